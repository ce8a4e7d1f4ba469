//! Live jobs: what the engine keeps of a job between its submission and the last news of its end.

use smallvec::SmallVec;

use crate::by_reason::ByReason;
use crate::decision::Keeps;
use crate::device::{Cores, DeviceSet, Grant};
use crate::engine::EventHandle;
use crate::ids::{DemandId, HoldId, JobId, JobRef, NodeId, PoolSet, SchedulerId, ShapeId, TaskRef};
use crate::job::{Advance, JobSpec, TaskRequest};
use crate::per_pool::PerPool;
use crate::reason::Reason;
use crate::speed::{Front, Slices};
use crate::task::{Outcome, TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::units::RATE_ONE;

/// "No slot" in intrusive lists.
pub(crate) const NONE: u32 = u32::MAX;

/// What a task's GPUs are booked under in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Holds nothing, or its node is down: the node books it.
    #[default]
    None,
    /// Reserved.
    Held,
    /// Starting or Ending.
    Startup,
    /// Running, but its unit does not advance; or suspended and keeping its GPUs.
    Waiting,
    /// Running in a unit that advances.
    Advancing,
}

/// What happens when a task's Ending is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Over(TaskEnd),
    Requeue(Option<SimTime>),
    Suspend(Keeps),
}

/// Why a task is gated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// When it opens by itself, if ever.
    pub(crate) until: Option<SimTime>,
    /// Why; [`Reason::User`] is no demand.
    pub(crate) why: Option<Reason>,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) state: TaskState,
    pub(crate) mode: Mode,
    pub(crate) group: u16,
    pub(crate) index: u32,
    pub(crate) attempt: u32,
    pub(crate) node: NodeId,
    pub(crate) grant: Grant,
    /// NUMA nodes whose cores it is to take first.
    pub(crate) numa: u8,
    /// The cores it has to itself, where the node's agent pins them.
    pub(crate) cores: Option<Box<Cores>>,
    /// Whether it holds host memory and CPU (a suspended task may hold memory alone).
    pub(crate) hold: Option<HoldId>,
    pub(crate) keeps: Keeps,
    pub(crate) timer: Option<EventHandle>,
    /// Since when it holds its grant.
    pub(crate) granted_at: SimTime,
    pub(crate) after: After,
    pub(crate) gate: Gate,
    /// Whether it has a place on a node that has failed, noticed or not.
    pub(crate) dead: bool,
    /// GPUs of its grant that have failed, noticed or not: the node books them, the task the others.
    pub(crate) broken: DeviceSet,
    /// Whether its last start came to an end: it ran.
    pub(crate) started: bool,
    /// Whether its instance has to be made before it starts.
    pub(crate) remakes: bool,
    /// Whether it starts with what it kept in memory when it was suspended.
    pub(crate) resumes: bool,
}

impl Task {
    fn new(group: u16, index: u32) -> Self {
        Self {
            state: TaskState::Unborn,
            mode: Mode::None,
            group,
            index,
            attempt: 0,
            node: NodeId(0),
            grant: Grant::default(),
            numa: 0,
            cores: None,
            hold: None,
            keeps: Keeps::Nothing,
            timer: None,
            granted_at: SimTime::ZERO,
            after: After::Over(TaskEnd::Done),
            gate: Gate::default(),
            dead: false,
            broken: DeviceSet::EMPTY,
            started: false,
            remakes: false,
            resumes: false,
        }
    }

    /// Whether the task runs, in truth.
    pub(crate) fn works(&self) -> bool {
        self.state == TaskState::Running && !self.is_crippled()
    }

    /// Whether it can't work where it is: its node has failed, or a GPU of its own.
    pub(crate) fn is_crippled(&self) -> bool {
        self.dead || !self.broken.is_empty()
    }

    /// It has no part any more in what failed around it.
    pub(crate) fn leave_wreck(&mut self) {
        self.dead = false;
        self.broken = DeviceSet::EMPTY;
    }

    /// The GPUs that are booked by what it does, and how many of them it asked for, both \[milli\]: those
    /// that have failed are the node's to book. A fraction has one GPU; whole ones are as many as asked.
    pub(crate) fn booked_milli(&self, requested: u32) -> (u32, u32) {
        if self.broken.is_empty() {
            return (self.grant.milli(), requested);
        }
        let works = self.grant.without(self.broken).milli();
        (works, requested.min(works))
    }

    /// Whether the task has a part in its unit's progress: it runs, or keeps what it did, or is about
    /// to, or is on its way back with it.
    pub(crate) fn has_progress(&self) -> bool {
        let keeps = |keeps: Keeps| keeps != Keeps::Nothing;
        match self.state {
            TaskState::Running | TaskState::Suspended => true,
            TaskState::Starting => self.resumes,
            TaskState::Ending => matches!(self.after, After::Suspend(what) if keeps(what)),
            _ => false,
        }
    }

    /// Whether the task holds GPUs on its node.
    pub(crate) fn holds_gpus(&self) -> bool {
        self.state.holds()
            || (self.state == TaskState::Suspended && self.keeps == Keeps::Everything)
    }
}

/// Something that makes progress: a gang, an elastic job, or one task of an array.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Work left, in ns × 10⁻⁹ of the reference rate; means nothing if it never ends.
    pub(crate) left: u128,
    /// Work left as of the last save.
    pub(crate) left_saved: u128,
    /// Progress since the last save of a unit without end is not tracked; this is the work done.
    pub(crate) done: u128,
    /// Current rate; zero unless it advances.
    pub(crate) rate: u64,
    /// Current slices, if it advances.
    pub(crate) slices: Slices,
    /// Slices under which its advancing tasks are booked.
    pub(crate) booked: Slices,
    /// Whether it never ends.
    pub(crate) endless: bool,
    pub(crate) advancing: bool,
    /// Since when the current rate holds.
    pub(crate) since: SimTime,
    /// Running time since the last save or start \[ns\].
    pub(crate) since_save: u64,
    /// Useful capacity since the last save, per pool [milli-GPU·ppm·ns].
    pub(crate) unsaved: PerPool<u128>,
    /// GPUs asked for by its running tasks while it advances, per pool \[milli\].
    pub(crate) weights: PerPool<u64>,
    /// What its tasks have of over-committed GPUs that is useful while it advances, per pool
    /// [milli-GPU·ppm]; `weights` counts the others.
    pub(crate) crowded: PerPool<u64>,
    /// Its next finish or reconsideration.
    pub(crate) event: Option<EventHandle>,
    /// Whether it waits to be looked at again at the end of the instant.
    pub(crate) dirty: bool,
    /// Whether what it has, or whether it runs, may have changed since it was looked at: its
    /// neighbours must be asked again, too.
    pub(crate) moved: bool,
    /// Whether it runs on more than one node.
    pub(crate) spans_nodes: bool,
    /// What its speed model said of each of its nodes, for one on many nodes that was asked twice.
    pub(crate) front: Option<Box<Front>>,
    pub(crate) done_work: bool,
}

impl Unit {
    fn new() -> Self {
        Self {
            left: 0,
            left_saved: 0,
            endless: false,
            done: 0,
            rate: 0,
            slices: Slices::USEFUL,
            booked: Slices::USEFUL,
            advancing: false,
            since: SimTime::ZERO,
            since_save: 0,
            unsaved: PerPool::default(),
            weights: PerPool::default(),
            crowded: PerPool::default(),
            event: None,
            dirty: false,
            moved: false,
            spans_nodes: false,
            front: None,
            done_work: false,
        }
    }
}

/// Time a job has waited, by reason, and where it is being counted now.
#[derive(Clone, Debug)]
pub(crate) struct WaitBook {
    /// The lane it waits in, if any.
    pub(crate) lane: Option<u32>,
    /// The lane's counters when it joined \[ns\].
    pub(crate) snapshot: ByReason,
    /// Waited so far \[ns\].
    pub(crate) waited: ByReason,
    /// GPUs it demands in its lane \[milli\].
    pub(crate) demand: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) live: bool,
    pub(crate) spec: JobSpec,
    pub(crate) scheduler: SchedulerId,
    pub(crate) shapes: SmallVec<[ShapeId; 1]>,
    /// Pools it may run on: its scheduler's, within what admission allows.
    pub(crate) pools: PoolSet,
    pub(crate) tasks: Vec<Task>,
    pub(crate) units: Vec<Unit>,
    /// Number of tasks in each state.
    pub(crate) count: [u32; 9],
    pub(crate) done_tasks: u32,
    /// Held back by admission, and why.
    pub(crate) withheld: Option<Reason>,
    /// Its own waiting reason.
    pub(crate) own: Option<Reason>,
    /// The unit shape it is listed under.
    pub(crate) demand: DemandId,
    pub(crate) listed: bool,
    pub(crate) wait: WaitBook,
    pub(crate) wait_dirty: bool,
    /// Whether the autoscaler was told that it is unschedulable, since it began to wait.
    pub(crate) told: bool,
    pub(crate) start: Option<SimTime>,
    pub(crate) deadline: Option<EventHandle>,
    pub(crate) attempts: u32,
    pub(crate) preemptions: u32,
    /// Progress that was useful when made, and of it what was lost since [milli-GPU·ppm·ns].
    pub(crate) useful: u128,
    pub(crate) lost: u128,
    /// GPU time held, per pool [milli-GPU·ns].
    pub(crate) held: PerPool<u128>,
    pub(crate) outcome: Option<Outcome>,
    /// Whether its record was made.
    pub(crate) recorded: bool,
    pub(crate) never_fits: bool,
    /// Most milli-GPUs held at once, for the record.
    pub(crate) nodes_used: SmallVec<[NodeId; 4]>,
}

/// Neighbours in an intrusive list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

impl Links {
    const NONE: Self = Self {
        prev: NONE,
        next: NONE,
    };
}

/// A job's place in the lists of what waits, apart from the job and side by side with others: who
/// joins or leaves a list touches its neighbours here, and not thousands of large jobs.
#[derive(Clone, Copy, Debug)]
struct Listing {
    id: JobId,
    links: [Links; 2],
}

impl Job {
    /// Moves a task to another state, the one place where that happens; returns which it was in.
    ///
    /// # Panics
    /// If the life cycle does not allow it.
    #[inline]
    pub(crate) fn set_state(&mut self, task: usize, next: TaskState) -> TaskState {
        let entry = &mut self.tasks[task];
        let before = std::mem::replace(&mut entry.state, next);
        assert!(
            before.may_become(next),
            "{}: {before} can't become {next}",
            self.id
        );
        let restarts = matches!(next, TaskState::Starting | TaskState::Pending);
        entry.started = next == TaskState::Running || (entry.started && !restarts);
        self.count[before as usize] -= 1;
        self.count[next as usize] += 1;
        before
    }

    pub(crate) fn in_state(&self, state: TaskState) -> u32 {
        self.count[state as usize]
    }

    /// Tasks that have a place or are promised one.
    pub(crate) fn placed(&self) -> u32 {
        use TaskState::{Ending, Reserved, Running, Starting};
        [Reserved, Starting, Running, Ending]
            .into_iter()
            .map(|s| self.in_state(s))
            .sum()
    }

    /// Tasks that are bound.
    pub(crate) fn bound(&self) -> u32 {
        self.in_state(TaskState::Starting) + self.in_state(TaskState::Running)
    }

    /// The unit of a task.
    pub(crate) fn unit_of(&self, task: usize) -> usize {
        if self.spec.request.advance == Advance::Each {
            task
        } else {
            0
        }
    }

    /// The tasks of a unit, as a range.
    pub(crate) fn tasks_of(&self, unit: usize) -> std::ops::Range<usize> {
        if self.spec.request.advance == Advance::Each {
            unit..unit + 1
        } else {
            0..self.tasks.len()
        }
    }

    /// Whether some task its units need is not bound: the job is queued.
    pub(crate) fn is_queued(&self) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        match self.spec.request.advance {
            Advance::Between { min, .. } => self.bound() < min,
            _ => {
                use TaskState::{Gated, Pending, Reserved, Suspended};
                [Gated, Pending, Reserved, Suspended]
                    .into_iter()
                    .any(|s| self.in_state(s) > 0)
            }
        }
    }

    /// Index of a task by its identity.
    pub(crate) fn task_index(&self, group: u16, index: u32) -> Option<usize> {
        if usize::from(group) >= self.spec.request.groups.len() {
            return None;
        }
        let before: u32 = self.spec.request.groups[..usize::from(group)]
            .iter()
            .map(|g| g.count)
            .sum();
        let place = before.checked_add(index)? as usize;
        let task = self.tasks.get(place)?;
        (task.group == group && task.index == index).then_some(place)
    }

    /// A reference to the current attempt of a task.
    pub(crate) fn task_ref(&self, slot: u32, task: usize) -> TaskRef {
        let Task {
            group,
            index,
            attempt,
            ..
        } = self.tasks[task];
        TaskRef {
            job: JobRef { slot, id: self.id },
            group,
            index,
            attempt,
        }
    }
}

/// The table of live jobs: slots are reused, so memory grows with live jobs and not with the trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobTable {
    slots: Vec<Job>,
    /// One per slot.
    listings: Vec<Listing>,
    free: Vec<u32>,
}

impl JobTable {
    /// A free slot, for [`insert`](Self::insert) once its specification is written, or to be
    /// [given back](Self::give_back). Specifications are large: they are written where they stay.
    pub(crate) fn take_free(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.slots.push(blank());
        self.listings.push(Listing {
            id: JobId(0),
            links: [Links::NONE; 2],
        });
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 live jobs")
    }

    /// A free slot was not needed.
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// A free slot whose specification is written becomes a job; it keeps the slot's allocations.
    pub(crate) fn insert(&mut self, slot: u32, id: JobId) -> JobRef {
        self.listings[slot as usize] = Listing {
            id,
            links: [Links::NONE; 2],
        };
        let job = &mut self.slots[slot as usize];
        reset(job, id);
        JobRef { slot, id }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let job = &mut self.slots[slot as usize];
        assert!(job.live, "{} removed twice", job.id);
        job.live = false;
        self.free.push(slot);
    }

    pub(crate) fn get(&self, job: JobRef) -> Option<&Job> {
        self.slots
            .get(job.slot as usize)
            .filter(|found| found.live && found.id == job.id)
    }

    pub(crate) fn slot(&self, slot: u32) -> &Job {
        &self.slots[slot as usize]
    }

    pub(crate) fn slot_mut(&mut self, slot: u32) -> &mut Job {
        &mut self.slots[slot as usize]
    }

    /// The id of the job in a slot.
    pub(crate) fn id(&self, slot: u32) -> JobId {
        self.listings[slot as usize].id
    }

    /// A job's neighbours in one of the lists.
    pub(crate) fn links(&self, slot: u32, which: usize) -> Links {
        self.listings[slot as usize].links[which]
    }

    pub(crate) fn links_mut(&mut self, slot: u32, which: usize) -> &mut Links {
        &mut self.listings[slot as usize].links[which]
    }

    /// Live jobs in order of slot; sort by id where order matters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Job)> {
        self.slots
            .iter()
            .zip(0..)
            .filter(|(job, _)| job.live)
            .map(|(job, slot)| (slot, job))
    }
}

fn blank() -> Job {
    let nothing = TaskRequest::gpus(1);
    let spec = JobSpec::new(SimTime::ZERO, nothing, SimDuration::ZERO);
    Job {
        id: JobId(0),
        live: false,
        spec,
        scheduler: SchedulerId(0),
        shapes: SmallVec::new(),
        pools: PoolSet::EMPTY,
        tasks: Vec::new(),
        units: Vec::new(),
        count: [0; 9],
        done_tasks: 0,
        withheld: None,
        own: None,
        demand: DemandId(0),
        listed: false,
        wait: WaitBook {
            lane: None,
            snapshot: ByReason::default(),
            waited: ByReason::default(),
            demand: 0,
        },
        wait_dirty: false,
        told: false,
        start: None,
        deadline: None,
        attempts: 0,
        preemptions: 0,
        useful: 0,
        lost: 0,
        held: PerPool::default(),
        outcome: None,
        recorded: false,
        never_fits: false,
        nodes_used: SmallVec::new(),
    }
}

fn reset(job: &mut Job, id: JobId) {
    job.id = id;
    job.live = true;
    job.shapes.clear();
    job.pools = PoolSet::EMPTY;
    job.tasks.clear();
    job.units.clear();
    job.count = [0; 9];
    let elastic = match job.spec.request.advance {
        Advance::Between { max, .. } => Some(max),
        _ => None,
    };
    // Exactly: most jobs have one task, and long queues many jobs.
    job.tasks
        .reserve_exact(job.spec.request.task_count() as usize);
    for (group, place) in job.spec.request.groups.iter().zip(0..) {
        for index in 0..elastic.unwrap_or(group.count) {
            job.tasks.push(Task::new(place, index));
        }
    }
    job.count[TaskState::Unborn as usize] = u32::try_from(job.tasks.len()).unwrap_or(u32::MAX);
    let units = if job.spec.request.advance == Advance::Each {
        job.tasks.len()
    } else {
        1
    };
    job.units.reserve_exact(units);
    for unit in 0..units {
        job.units.push(new_unit(&job.spec, unit));
    }
    job.done_tasks = 0;
    job.withheld = None;
    job.own = None;
    job.listed = false;
    job.wait.lane = None;
    job.wait.demand = 0;
    job.wait.snapshot.clear();
    job.wait.waited.clear();
    job.wait_dirty = false;
    job.told = false;
    job.start = None;
    job.deadline = None;
    job.attempts = 0;
    job.preemptions = 0;
    job.useful = 0;
    job.lost = 0;
    job.held.clear();
    job.outcome = None;
    job.recorded = false;
    job.never_fits = false;
    job.nodes_used.clear();
}

/// A unit with all its work before it.
pub(crate) fn new_unit(spec: &JobSpec, unit: usize) -> Unit {
    use crate::job::Work;
    let work = match &spec.profile.work {
        Work::Endless => None,
        Work::Uniform(work) => Some(*work),
        Work::PerTask(each) => each.get(unit).copied(),
    };
    let ahead = |work: SimDuration| u128::from(work.as_nanos()) * u128::from(RATE_ONE);
    let left = work.map_or(0, ahead);
    Unit {
        left,
        left_saved: left,
        endless: work.is_none(),
        ..Unit::new()
    }
}

/// A task that grows a job (a service scaled up), with its unit if it is its own.
pub(crate) fn grow(job: &mut Job, group: u16) {
    let index = u32::try_from(job.tasks.iter().filter(|t| t.group == group).count())
        .expect("fewer than 2^32 tasks");
    job.tasks.push(Task::new(group, index));
    job.count[TaskState::Unborn as usize] += 1;
    if job.spec.request.advance == Advance::Each {
        let unit = new_unit(&job.spec, job.units.len());
        job.units.push(unit);
    }
}

/// Takes the last task away again; it must be over.
pub(crate) fn shrink(job: &mut Job) {
    if let Some(task) = job.tasks.pop() {
        assert_eq!(
            task.state,
            TaskState::Over,
            "a task that is not over can't be taken away"
        );
        job.count[TaskState::Over as usize] -= 1;
        job.units.pop();
    }
}
