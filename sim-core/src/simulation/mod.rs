//! The simulation: one run of one platform over one workload, one instant at a time.
//!
//! # Life of a run
//! 1. [`Simulation::new`] builds the world and asks for the first job.
//! 2. [`step`](Simulation::step) takes the next instant: applies all its events in the order of
//!    [`Phase`](crate::engine::Phase), then holds a decision round — controllers, admission,
//!    schedulers by id, autoscalers, each only if it has news, repeated for those that received news
//!    from another — then settles speeds and the ledger, once.
//! 3. [`run`](Simulation::run) steps to the end and returns the [`Report`].

mod again;
mod apply;
mod blame;
mod components;
mod crowd;
mod events;
mod faults;
mod instant;
mod lifecycle;
mod nodes;
mod options;
mod progress;
mod round;
mod spread;
mod tasks;

pub use options::{Horizon, RunOptions};

use crate::arrivals::Arrivals;
use crate::decision::Decisions;
use crate::engine::{EventHandle, EventQueue};
use crate::error::{BuildError, ForkError, RunError};
use crate::hash::WordHash;
use crate::ids::SchedulerId;
use crate::ledger::{Crowds, Ledger, Waits};
use crate::observe::{Event, NoObserver, Observer};
use crate::platform::{Platform, PoolSettings};
use crate::policy::{Grants, Knowledge};
use crate::record::JobRecord;
use crate::report::{Report, Summary};
use crate::supply::Supply;
use crate::time::SimTime;
use crate::view::View;
use crate::world::World;
use components::{Component, Inboxes};
use events::{Coming, Ev};
use faults::FaultSource;

/// How a step left the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An instant was taken.
    Instant(SimTime),
    /// The run is over.
    Over(SimTime),
}

/// One run. Owned data throughout: it starts no thread, does no I/O, prints nothing.
///
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Decisions, Fit, News, Policy, Supply, TaskRequest, View};
///
/// #[derive(Clone)]
/// struct Greedy;
/// impl Policy for Greedy {
///     fn name(&self) -> &str { "greedy" }
///     fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
///         let mut plan = view.plan();
///         for job in view.pending_jobs() {
///             if let Fit::Now(spots) = plan.first_fit(job) {
///                 out.place(job.id(), spots);
///             }
///         }
///     }
/// }
///
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 1);
/// let hour = SimDuration::from_hours(1);
/// let job = |gpus| JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), hour);
/// let jobs = JobList::new(vec![job(8), job(2)]);
/// let report = Simulation::new(supply, jobs, Greedy, RunOptions::default())?.run()?;
/// assert_eq!(report.end, SimTime::from_secs(7_200));
/// assert_eq!(report.summary.wait.mean(), Some(SimDuration::from_mins(30)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Simulation {
    pub(crate) world: World,
    queue: EventQueue<Ev>,
    arrivals: Box<dyn Arrivals>,
    next_arrival: Option<Coming>,
    last_submit: SimTime,
    supply: Supply,
    platform: Platform,
    settings: Vec<PoolSettings>,
    faults: Vec<FaultSource>,
    inboxes: Inboxes,
    wakes: Vec<Option<EventHandle>>,
    ledger: Ledger,
    /// Books of nodes whose GPUs are over-committed.
    crowds: Crowds,
    /// Whether speeds depend on neighbours: by the speed model, or by how some pool shares its GPUs.
    minds_neighbours: bool,
    waits: Waits,
    summary: Summary,
    scratch: Scratch,
    digest: WordHash,
    /// The last instant in the digest.
    digested: SimTime,
    /// Things that happened, ever; shows whether a call changed anything.
    changes: u64,
    /// Whether something was scheduled for the present instant since its events were applied.
    reopened: bool,
    /// Calls in a row that were only woken and changed nothing.
    idle_calls: u32,
    /// Calls at the instant `calls_from`.
    calls: u32,
    calls_from: SimTime,
    /// Live jobs that keep a drain run alive: those with an end.
    finite_jobs: u64,
    options: RunOptions,
    over: bool,
}

/// Buffers that are reused from instant to instant.
#[derive(Debug, Default)]
struct Scratch {
    dirty_units: Vec<(u32, u32)>,
    dirty_waits: Vec<u32>,
    ended: Vec<u32>,
    tape: Vec<Event>,
    recording: bool,
    recording_jobs: bool,
    records: Vec<JobRecord>,
    inbox: Option<Box<crate::news::Inbox>>,
    decisions: Option<Box<Decisions>>,
    /// An agent refused, or memory did not suffice, for one of the decisions that are being applied:
    /// the plan they come from is not what became of it.
    is_astray: bool,
    lifecycle: crate::controller::Lifecycle,
    admissions: crate::admission::Admissions,
    scaling: crate::autoscaler::Scaling,
    free: Vec<u64>,
    charges: Vec<crate::ledger::Charge>,
}

impl Simulation {
    /// Builds a run.
    ///
    /// # Errors
    /// If the supply or the platform breaks a rule. A stream of jobs that breaks off at its first
    /// job is reported by the first [`step`](Self::step).
    pub fn new(
        supply: Supply,
        arrivals: impl Arrivals + 'static,
        platform: impl Into<Platform>,
        options: RunOptions,
    ) -> Result<Self, BuildError> {
        Self::boxed(supply, Box::new(arrivals), platform.into(), options)
    }

    /// The same from boxed arrivals.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn boxed(
        supply: Supply,
        arrivals: Box<dyn Arrivals>,
        mut platform: Platform,
        options: RunOptions,
    ) -> Result<Self, BuildError> {
        let schedulers = platform.schedulers.len();
        if schedulers == 0 {
            return Err(BuildError::NoScheduler {
                platform: platform.name,
            });
        }
        if let Some(bad) = platform
            .router
            .iter()
            .find(|r| r.scheduler.index() >= schedulers)
        {
            let scheduler = bad.scheduler.0;
            return Err(BuildError::BadRoute {
                platform: platform.name.clone(),
                scheduler,
            });
        }
        if Component::count(&platform) > 64 {
            return Err(BuildError::TooManyComponents {
                platform: platform.name,
            });
        }
        let mut supply = supply;
        if let Some(rdma) = platform.rdma {
            supply.fabric.rdma = rdma;
        }
        if let Some(bound) = platform.speed.bound(&supply) {
            platform.speed = bound;
        }
        let settings = platform.settings(supply.pools.len());
        let pools: Vec<_> = platform.schedulers.iter().map(|s| s.pools).collect();
        let mut world = World::build(
            &supply,
            &settings,
            &pools,
            options.names.clone(),
            options.seed,
        )?;
        world.limit = platform.limit;
        let components = Component::count(&platform);
        let mut simulation = Self {
            queue: EventQueue::new(),
            arrivals,
            next_arrival: None,
            last_submit: SimTime::ZERO,
            inboxes: Inboxes::new(&platform),
            wakes: vec![None; components],
            ledger: Ledger::new(supply.pools.len(), options.ledger),
            crowds: Crowds::for_cluster(&world.cluster),
            minds_neighbours: world.cluster.interferes || platform.speed.minds_neighbours(),
            waits: Waits::default(),
            summary: Summary::default(),
            scratch: Scratch::default(),
            digest: WordHash::default(),
            digested: SimTime::ZERO,
            changes: 0,
            reopened: false,
            idle_calls: 0,
            calls: 0,
            calls_from: SimTime::ZERO,
            finite_jobs: 0,
            over: false,
            faults: Vec::new(),
            world,
            supply,
            platform,
            settings,
            options,
        };
        simulation.begin();
        Ok(simulation)
    }

    fn begin(&mut self) {
        self.scratch.free = vec![0; self.supply.pools.len()];
        self.scratch.charges = vec![crate::ledger::Charge::default(); self.supply.pools.len()];
        for id in 0..self.platform.schedulers.len() {
            let id = SchedulerId(u8::try_from(id).expect("few schedulers"));
            let view = View::new(&self.world, id);
            let policy = &mut self.platform.schedulers[id.index()].policy;
            let grants = Grants::of(policy.knowledge());
            policy.begin(&view, grants);
        }
        self.begin_faults();
        // Owned nodes are paid from 0, not from the first event.
        if self.ledger.on {
            self.settle_idle();
        }
    }

    /// Takes the next instant.
    ///
    /// # Errors
    /// If the stream of jobs breaks off or a component breaks the rules. The run can't be resumed.
    pub fn step(&mut self) -> Result<Step, RunError> {
        self.step_with(&mut NoObserver)
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run(self) -> Result<Report, RunError> {
        self.run_with(&mut NoObserver)
    }

    /// Runs to the end, watched.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run_with(mut self, observer: &mut dyn Observer) -> Result<Report, RunError> {
        while let Step::Instant(_) = self.step_with(observer)? {}
        Ok(self.report())
    }

    /// Runs every instant up to and including `until`, watched; unless the run is over by then, the
    /// clock shows `until` afterwards, and a policy that takes another's place acts there.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run_until(
        &mut self,
        until: SimTime,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        while !self.over && self.next_time()?.is_some_and(|next| next <= until) {
            self.step_with(observer)?;
        }
        if !self.over && !self.is_drained() && until <= self.end_time() {
            self.world.now = self.world.now.max(until);
        }
        Ok(())
    }

    /// The simulated time of the last instant taken.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.world.now
    }

    /// When the next instant is, if anything more can happen: the end of the run may come before it.
    ///
    /// With it two runs can be stepped side by side, the one that is behind first.
    ///
    /// ```
    /// use windtunnel_core::{Decisions, JobList, JobSpec, News, NodeModel, Policy, RunOptions, View};
    /// use windtunnel_core::{Reason, SimDuration, SimTime, Simulation, Supply, TaskRequest};
    /// #[derive(Clone)]
    /// struct Idle; // places nothing
    /// impl Policy for Idle {
    ///     fn name(&self) -> &str { "idle" }
    ///     fn decide(&mut self, _: &View<'_>, _: &News<'_>, _: &mut Decisions) {}
    /// }
    /// let at = SimTime::from_secs(7);
    /// let jobs = vec![JobSpec::new(at, TaskRequest::gpus(2), SimDuration::from_secs(1))];
    /// let supply = Supply::uniform(NodeModel::gpus_only("h100", 1), 2);
    /// let mut run = Simulation::new(supply, JobList::new(jobs), Idle, RunOptions::default())?;
    /// assert_eq!(run.next_instant()?, Some(at));
    /// run.step()?;
    /// assert_eq!(run.next_instant()?, None, "nothing more can happen");
    /// let job = run.view().pending_jobs().next().map(|job| job.id()).ok_or("it waits")?;
    /// assert_eq!(run.why_waits(job), Some(Reason::NeverFits), "no node has two GPUs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the stream of jobs breaks off.
    pub fn next_instant(&mut self) -> Result<Option<SimTime>, RunError> {
        if self.over {
            return Ok(None);
        }
        // Looking may read the next job, without which the run seems drained.
        let next = self.next_time()?;
        let end = self.end_time();
        Ok(next.filter(|next| *next <= end && !self.is_drained()))
    }

    /// Why a job waits at present; `None` if it does not, or is not alive. O(1).
    ///
    /// It is the reason that `jobs.csv` books the time to, so the times between its changes sum up to
    /// [`JobRecord::waited`]. Without a ledger nothing probes what fits; then it is what the policy
    /// stated, if anything.
    #[must_use]
    pub fn why_waits(&self, job: crate::JobRef) -> Option<crate::Reason> {
        self.waits.why(self.world.jobs.get(job)?)
    }

    /// What the policy of a job says of why it waits ([`Policy::explain`](crate::Policy::explain), asked
    /// about the first task that is to be placed); `None` if it says nothing, or nothing of the job is
    /// to be placed. It changes nothing in the run.
    #[must_use]
    pub fn explanation(&mut self, job: crate::JobRef) -> Option<crate::Explanation> {
        self.world.sync_space();
        let found = self.world.jobs.get(job)?;
        let mut tasks = found.tasks.iter();
        let place = tasks.position(|task| task.state == crate::TaskState::Pending)?;
        let task = found.task_ref(job.slot, place);
        let view = View::new(&self.world, found.scheduler);
        let scheduler = &self.platform.schedulers[found.scheduler.index()];
        scheduler.policy.explain(task, &view)
    }

    /// A view of the present state, as the first scheduler sees it.
    #[must_use]
    pub fn view(&mut self) -> View<'_> {
        // Plans look at a copy of the free capacity that is brought up to date when it is needed.
        self.world.sync_space();
        View::new(&self.world, SchedulerId(0))
    }

    /// An independent copy of the run at its present state, without observers.
    ///
    /// # Errors
    /// A one-shot stream of jobs can't be copied.
    pub fn fork(&self) -> Result<Self, ForkError> {
        Ok(Self {
            world: self.world.clone(),
            queue: self.queue.clone(),
            arrivals: self.arrivals.fork()?,
            next_arrival: self.next_arrival,
            last_submit: self.last_submit,
            supply: self.supply.clone(),
            platform: self.platform.clone(),
            settings: self.settings.clone(),
            faults: self.faults.clone(),
            inboxes: self.inboxes.clone(),
            wakes: self.wakes.clone(),
            ledger: self.ledger.clone(),
            crowds: self.crowds.clone(),
            minds_neighbours: self.minds_neighbours,
            waits: self.waits.clone(),
            summary: self.summary.clone(),
            scratch: Scratch {
                free: self.scratch.free.clone(),
                charges: self.scratch.charges.clone(),
                ..Scratch::default()
            },
            digest: self.digest,
            digested: self.digested,
            changes: self.changes,
            reopened: self.reopened,
            idle_calls: self.idle_calls,
            calls: self.calls,
            calls_from: self.calls_from,
            finite_jobs: self.finite_jobs,
            options: self.options.clone(),
            over: self.over,
        })
    }

    /// Puts another policy in the place of a scheduler's: to ask a fork "what if".
    ///
    /// The new policy is told everything that is pending, as if it had just been created, and is
    /// asked at once, at the present time. What was on its way to the old one is gone: its news and
    /// its wake-up, and so is what it said of why jobs wait. Its holds are the new one's.
    ///
    /// # Panics
    /// If there is no such scheduler.
    pub fn replace_policy(&mut self, scheduler: SchedulerId, policy: impl crate::Policy + 'static) {
        self.inboxes
            .replaced(Component::Scheduler(scheduler), policy.wants_progress());
        self.platform.schedulers[scheduler.index()].policy = Box::new(policy);
        // Before anything was submitted there is nothing to ask about.
        if !self.over && self.summary.submitted > 0 {
            self.wake(Component::Scheduler(scheduler), self.world.now)
                .expect("now is not in the past");
        } else {
            self.cancel_wake(Component::Scheduler(scheduler));
        }
        self.waits.forget(&self.world, scheduler);
        let theirs = |job: &crate::live::Job| job.scheduler == scheduler && job.own.is_some();
        let jobs = self.world.jobs.iter().filter(|(_, job)| theirs(job));
        for slot in jobs.map(|(slot, _)| slot).collect::<Vec<_>>() {
            self.world.jobs.slot_mut(slot).own = None;
            self.mark_wait(slot);
        }
        self.world.sync_space();
        let view = View::new(&self.world, scheduler);
        let policy = &mut self.platform.schedulers[scheduler.index()].policy;
        policy.begin(&view, Grants::of(policy.knowledge()));
        let inbox = self.inboxes.post_scheduler(scheduler);
        let created = crate::JobNews::Created;
        inbox
            .jobs
            .extend(view.pending_jobs().map(|job| crate::JobChange {
                job: job.id(),
                what: created,
            }));
    }

    /// The figures of the run so far; final once it is over.
    ///
    /// # Panics
    /// If the ledger does not balance, which would be a bug of the engine.
    #[must_use]
    pub fn report(&self) -> Report {
        let end = self.world.now;
        let ledger = self.options.ledger.then(|| {
            let mut closed = self.ledger.clone();
            closed.close(end);
            self.bill_rented(&mut closed);
            let length = end.since(SimTime::ZERO);
            let platform = &self.platform;
            closed.report(
                &self.supply,
                length,
                platform.staff_per_hour,
                platform.control_plane_per_hour,
                self.world.cluster.cpu_held(end),
            )
        });
        let policies = self.platform.schedulers.iter();
        let mut digest = self.digest;
        digest.word(end.as_nanos());
        Report {
            platform: self.platform.name.clone(),
            policies: policies
                .clone()
                .map(|s| s.policy.name().to_owned())
                .collect(),
            knowledge: policies
                .map(|s| s.policy.knowledge())
                .max()
                .unwrap_or(Knowledge::Nothing),
            seed: self.options.seed,
            end,
            summary: self.summary.clone(),
            ledger,
            digest: digest.digest(),
        }
    }
}

impl std::fmt::Debug for dyn Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrivals")
    }
}
