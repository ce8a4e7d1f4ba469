//! Priorities that are enforced: higher ones take capacity away from lower ones.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use windtunnel_core::{
    Decisions, DemandId, Fit, Grants, JobNews, JobRef, JobView, Mark, News, Plan, Policy, Reason,
    Save, SimDuration, SimTime, Spots, TaskState, Then, View,
};

use crate::backfill::book::Book;
use crate::backfill::queue::Entry;
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::place::Placer;
use crate::run_time::RunTimes;

/// Higher priority first; lower ones that run are taken out where that makes room.
///
/// # Decision rule
/// 1. Go through the waiting jobs, highest priority first, then lowest id. Whoever fits starts, where
///    the placer says.
/// 2. For one that does not fit, take running jobs of strictly lower priority out of the picture,
///    lowest priority first, then latest start, then highest id, until it fits. Put each back, in
///    the reverse order, without which it fits all the same. Those that are left are its *victims*.
/// 3. If it fits that way: evict the victims, whole jobs, and requeue them; they lose what they did
///    since their last checkpoint. Without a grace period it starts at once; with one, it starts when
///    they have left, and until then nobody behind it starts.
/// 4. If it does not fit even so, it waits; others go on.
///
/// A job that would never fit is rejected (`never = wait`: left out of everything). An array starts as
/// many tasks as fit, and evicts for one more if none does. An elastic job starts with its minimum.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// `grace`: how long victims may take to leave, `0s` (default) or a length such as `30s`; `placer` =
/// `first-fit` (default), `best-fit`, `worst-fit` or `random`; `never` = `reject` (default) or `wait`.
///
/// # Complexity
/// O(shapes that wait + jobs started) per event, plus O(victims looked at) for each shape whose first
/// job does not fit while somebody of lower priority runs.
///
/// # Differences
/// Slurm and Kubernetes look for victims node by node and differ in what they prefer; the order here
/// is that of Kubernetes' reprieve (higher priorities are put back first), over the whole cluster.
///
/// # Reference
/// Folklore; the reprieve as in kube-scheduler's `selectVictimsOnNode`.
///
/// # Examples
/// The last job to start is the first to go, and no more than needed.
/// ```
/// use windtunnel_core::{JobList, JobLog, JobSpec, NodeModel, RunOptions, SimDuration, SimTime};
/// use windtunnel_core::{Simulation, Supply, TaskRequest};
/// use windtunnel_policies::{FirstFit, Priority};
///
/// let job = |at, gpus, priority| {
///     let run = SimDuration::from_secs(10);
///     JobSpec::new(SimTime::from_secs(at), TaskRequest::gpus(gpus), run).priority(priority)
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
/// let jobs = JobList::new(vec![job(0, 2, 0), job(1, 2, 0), job(5, 2, 7)]);
/// let mut log = JobLog::default();
/// let policy = Priority::new(FirstFit);
/// Simulation::new(supply, jobs, policy, RunOptions::default())?.run_with(&mut log)?;
/// let ends = |id: u32| log.records.iter().find(|record| record.job.0 == id).map(|r| r.end);
/// assert_eq!([0, 1, 2].map(ends), [10, 20, 15].map(|end| Some(SimTime::from_secs(end))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Priority<P> {
    placer: P,
    never: Never,
    grace: SimDuration,
    book: Book,
    /// What runs: lowest priority first, then latest start, then highest id.
    running: BTreeSet<(i64, Reverse<SimTime>, Reverse<JobRef>)>,
    /// Jobs that wait for their victims to leave, and the victims.
    awaited: Vec<(Key, Vec<JobRef>)>,
    /// Evicted without grace: pending again by the next call, and no news to who did it.
    evicted: Vec<JobRef>,
    /// The next job of each shape; kept for its allocation.
    next: BinaryHeap<Reverse<(Key, DemandId)>>,
}

/// What came of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Started,
    /// It waits; so may all others of its shape.
    Waits,
    /// It waits for its victims, and everyone behind it with it.
    Awaits,
}

impl<P: Placer> Priority<P> {
    /// Preemption without grace.
    #[must_use]
    pub fn new(placer: P) -> Self {
        Self {
            placer,
            never: Never::default(),
            grace: SimDuration::ZERO,
            book: Book::new(Order::Priority, RunTimes::limits_only()),
            running: BTreeSet::new(),
            awaited: Vec::new(),
            evicted: Vec::new(),
            next: BinaryHeap::new(),
        }
    }

    /// The same with a grace period for victims.
    #[must_use]
    pub fn grace(mut self, grace: SimDuration) -> Self {
        self.grace = grace;
        self
    }

    /// The same with another answer to jobs that never fit.
    #[must_use]
    pub fn never(mut self, never: Never) -> Self {
        self.never = never;
        self
    }

    /// Forgets jobs that run no more.
    fn forget_ended(&mut self, view: &View<'_>, news: &News<'_>) {
        let ended = |what: JobNews| matches!(what, JobNews::Ended(_) | JobNews::Withheld(_));
        let jobs = news.jobs.iter().filter(|change| ended(change.what));
        let tasks = news.tasks.iter().map(|change| change.task.job);
        let mut gone: Vec<JobRef> = jobs.map(|change| change.job).chain(tasks).collect();
        gone.dedup();
        gone.retain(|job| {
            let found = view.job(*job).filter(|found| found.outcome().is_none());
            found.is_none_or(|found| found.tasks_bound() == 0)
        });
        if !gone.is_empty() && !self.running.is_empty() {
            gone.sort_unstable();
            self.running
                .retain(|(_, _, Reverse(job))| gone.binary_search(job).is_err());
        }
    }

    fn start(
        &mut self,
        view: &View<'_>,
        job: JobView<'_>,
        entry: Entry,
        spots: Spots,
        out: &mut Decisions,
    ) -> Step {
        let count = spots.len();
        out.place(entry.job, spots);
        let entry_of = (job.priority(), Reverse(view.now()), Reverse(entry.job));
        self.running.insert(entry_of);
        if self.book.placed(view, job, entry, count) {
            Step::Started
        } else {
            Step::Waits
        }
    }

    /// Starts a job, evicts for it, or lets it wait.
    fn step(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        (shape, entry): (DemandId, Entry),
        out: &mut Decisions,
    ) -> Step {
        let Some(job) = view.job(entry.job) else {
            return Step::Waits;
        };
        if plan.may_fit_shape(shape)
            && let Fit::Now(spots) = self.placer.place(job, plan)
        {
            self.awaited.retain(|(key, _)| *key != entry.key);
            return self.start(view, job, entry, spots, out);
        }
        let mut awaited = self.awaited.iter();
        if let Some((_, victims)) = awaited.find(|(key, _)| *key == entry.key) {
            let leaves = |victim: &JobRef| {
                let found = view.job(*victim);
                found.is_some_and(|found| found.tasks_in(TaskState::Ending) > 0)
            };
            if victims.iter().any(leaves) {
                return Step::Awaits;
            }
            self.awaited.retain(|(key, _)| *key != entry.key);
        }
        let Some((victims, spots)) = self.find_victims(view, plan, job, shape) else {
            return Step::Waits;
        };
        for &victim in &victims {
            let then = Then::Requeue { not_before: None };
            out.evict(victim, self.grace, Save::No, then);
        }
        self.running
            .retain(|(_, _, Reverse(job))| !victims.contains(job));
        if self.grace.is_zero() {
            // For a look at where the victims may go, once all this has happened.
            out.wake_at(view.now());
            self.evicted.extend(victims);
            return self.start(view, job, entry, spots, out);
        }
        out.waiting(entry.job, Reason::Preemption);
        self.awaited.push((entry.key, victims));
        Step::Awaits
    }

    /// Whom to evict so that a job fits, and where it then goes; the plan has done both.
    fn find_victims(
        &self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        job: JobView<'_>,
        shape: DemandId,
    ) -> Option<(Vec<JobRef>, Spots)> {
        let mark = plan.mark();
        let lower = self
            .running
            .iter()
            .take_while(|(priority, _, _)| *priority < job.priority());
        let mut victims = Vec::new();
        let mut fits = false;
        for (_, _, Reverse(victim)) in lower {
            // What was started in this very call is not there to be evicted yet.
            let found = view.job(*victim).filter(|found| found.tasks_bound() > 0);
            let Some(found) = found.filter(|_| !victims.contains(victim)) else {
                continue;
            };
            found.tasks().for_each(|task| plan.release(task));
            victims.push(*victim);
            fits = plan.may_fit_shape(shape) && self.try_place(job, plan).is_some();
            if fits {
                break;
            }
        }
        if !fits {
            plan.undo_to(mark);
            return None;
        }
        self.reprieve(view, plan, job, mark, &mut victims);
        let Fit::Now(spots) = self.placer.place(job, plan) else {
            plan.undo_to(mark);
            return None;
        };
        Some((victims, spots))
    }

    /// Where a job fits, leaving the plan as it is.
    fn try_place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Option<Spots> {
        let mark = plan.mark();
        let fit = self.placer.place(job, plan);
        plan.undo_to(mark);
        match fit {
            Fit::Now(spots) => Some(spots),
            _ => None,
        }
    }

    /// Puts victims back that need not go, those one would rather keep first.
    fn reprieve(
        &self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        job: JobView<'_>,
        mark: Mark,
        victims: &mut Vec<JobRef>,
    ) {
        let release = |plan: &mut Plan<'_>, victims: &[JobRef]| {
            plan.undo_to(mark);
            for victim in victims.iter().filter_map(|victim| view.job(*victim)) {
                victim.tasks().for_each(|task| plan.release(task));
            }
        };
        for place in (0..victims.len()).rev() {
            let spared = victims.remove(place);
            release(plan, victims);
            if self.try_place(job, plan).is_none() {
                victims.insert(place, spared);
            }
        }
        release(plan, victims);
    }
}

impl<P: Placer + 'static> Policy for Priority<P> {
    fn name(&self) -> &str {
        "priority"
    }

    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.book.begin(view, grants);
        self.placer.begin(view);
        for task in view.nodes().flat_map(|node| node.tasks()) {
            let job = view.job(task.id().job);
            let mine = job.filter(|job| job.scheduler() == view.scheduler());
            if let Some(job) = mine.filter(|job| job.tasks_bound() > 0) {
                let start = job.start().unwrap_or(view.now());
                let entry = (job.priority(), Reverse(start), Reverse(job.id()));
                self.running.insert(entry);
            }
        }
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.book.read(view, news);
        self.book.turn_away(view, self.never, out);
        for job in std::mem::take(&mut self.evicted) {
            self.book.sync(view, job);
        }
        self.forget_ended(view, news);
        let mut plan = view.plan();
        self.next.clear();
        for &(key, shape) in self.book.queues.shapes() {
            self.next.push(Reverse((key, shape)));
        }
        while let Some(Reverse((key, shape))) = self.next.pop() {
            let Some(entry) = self.book.queues.of(shape).get(key) else {
                continue;
            };
            match self.step(view, &mut plan, (shape, entry), out) {
                Step::Started => {
                    if let Some(next) = self.book.queues.of(shape).first() {
                        self.next.push(Reverse((next.key, shape)));
                    }
                }
                Step::Waits => {}
                Step::Awaits => break,
            }
        }
    }
}
