//! What a policy decides, as data: the log of decisions is the explanation of a run.

use smallvec::SmallVec;

use crate::device::DeviceSet;
use crate::ids::{DemandId, HoldId, JobRef, NodeId, QueueId, TaskRef};
use crate::job::TaskRequest;
use crate::reason::Reason;
use crate::task::Outcome;
use crate::time::{SimDuration, SimTime};

/// Where one task goes: a node and, if the policy chooses them, its GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The node.
    pub node: NodeId,
    /// The GPUs, or `None` for the agent's choice.
    pub devices: Option<DeviceSet>,
}

impl From<NodeId> for Spot {
    fn from(node: NodeId) -> Self {
        Self {
            node,
            devices: None,
        }
    }
}

/// Spots of several tasks, in (group, index) order.
pub type Spots = SmallVec<[Spot; 4]>;

/// Which tasks a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSet {
    /// One task.
    Task(TaskRef),
    /// Every task of the job to which the decision can apply, in (group, index) order: its pending
    /// ones for a placement, those that hold something for an eviction, the suspended ones for a
    /// resumption, the reserved ones for a commit. Atomic.
    Job(JobRef),
}

impl TaskSet {
    /// The job it belongs to.
    #[must_use]
    pub const fn job(self) -> JobRef {
        match self {
            Self::Task(task) => task.job,
            Self::Job(job) => job,
        }
    }
}

impl From<TaskRef> for TaskSet {
    fn from(task: TaskRef) -> Self {
        Self::Task(task)
    }
}

impl From<JobRef> for TaskSet {
    fn from(job: JobRef) -> Self {
        Self::Job(job)
    }
}

/// Whether a promise is kept for later or bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Promised: Reserved until a [`Decision::Commit`] or [`Decision::Abandon`].
    Reserve,
    /// Bound after this long; zero binds at once.
    Bind {
        /// Binding latency.
        after: SimDuration,
    },
}

impl Commit {
    /// Bound at once.
    pub const NOW: Self = Self::Bind {
        after: SimDuration::ZERO,
    };
}

/// How sure a policy is of the capacity it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It checked against what it observes: if that is wrong, the policy is broken and the run ends;
    /// unless an agent refused, or memory did not suffice, for an earlier decision of the same call,
    /// which no plan foresees: from then on it is a `Try`.
    Sure,
    /// It may be refused: the task is pending again and listed in the news.
    Try,
}

/// Whether an eviction saves progress first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Save {
    /// Progress since the last save is lost.
    No,
    /// Progress is saved; the grace period is what it takes.
    Yes,
}

/// What a suspended task keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: progress since the last save is lost unless saved.
    Nothing,
    /// Its host memory, and with it its progress.
    Memory,
    /// Everything: GPUs, CPU, memory.
    Everything,
}

/// What becomes of an evicted task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Pending again as a new attempt, not before an instant.
    Requeue {
        /// Gated until then, if later than the end of the eviction.
        not_before: Option<SimTime>,
    },
    /// Suspended; [`Decision::Resume`] brings it back to its old place.
    Suspend {
        /// What it keeps meanwhile.
        keeps: Keeps,
    },
    /// Over; its controller decides what next.
    Kill,
}

/// One part of a hold: capacity on one node, as for one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldPart {
    /// The node.
    pub node: NodeId,
    /// How much, as a task would ask for it.
    pub amount: TaskRequest,
}

/// For whom a hold is kept, for explanations; the engine does not police it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldFor {
    /// Nobody in particular.
    Anyone,
    /// A job.
    Job(JobRef),
    /// A task.
    Task(TaskRef),
}

/// A range of the parts of a batch of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRange {
    start: u32,
    len: u32,
}

/// A promise of capacity without a task on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldSpec {
    /// What is held: ranges into [`Decisions`].
    pub parts: PartRange,
    /// From when it sets capacity aside.
    pub from: SimTime,
    /// Until when, if it ends by itself.
    pub until: Option<SimTime>,
    /// For whom.
    pub who: HoldFor,
    /// Why: the reason its capacity is booked under in `idle.held`.
    pub why: Reason,
}

/// A range of the spots of a batch of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotRange {
    start: u32,
    len: u32,
}

impl SpotRange {
    /// Number of spots.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// What is committed or abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Reserved tasks.
    Tasks(TaskSet),
    /// A hold.
    Hold(HoldId),
}

/// Whom a waiting reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One job; its own reason wins over the others.
    Job(JobRef),
    /// Every job that waits for the same unit shape, now and later.
    Shape(DemandId),
    /// Every job of a queue without a reason of its own or its shape's, now and later.
    Rest(QueueId),
}

/// One decision. Decisions apply in order, each validated against what the ones before left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Places pending tasks, atomically.
    Place {
        /// Which.
        tasks: TaskSet,
        /// Where: one spot per task.
        on: SpotRange,
        /// Promise or bind.
        commit: Commit,
        /// How sure.
        claim: Claim,
        /// Draw only from this hold.
        within: Option<HoldId>,
    },
    /// Sets capacity aside, on nodes of the scheduler's own pools. On a node that is down, cordoned
    /// or not there yet nothing is free, so the hold is backed only once tasks may be placed there.
    /// Only the scheduler that made a hold may place within it, commit it or end it.
    Hold {
        /// The id that [`Decisions::hold`] returned.
        id: HoldId,
        /// What and when.
        hold: HoldSpec,
        /// `Reserve` needs a commit before tasks may be placed within.
        commit: Commit,
        /// `Sure` must be backed in full at once if it starts now.
        claim: Claim,
    },
    /// Ends a hold; tasks placed within it stay.
    Release {
        /// Which.
        hold: HoldId,
    },
    /// Binds what was reserved.
    Commit {
        /// Which.
        what: Promise,
    },
    /// Gives up what was reserved: tasks are pending again, a hold ends.
    Abandon {
        /// Which.
        what: Promise,
    },
    /// Takes tasks out.
    Evict {
        /// Which.
        tasks: TaskSet,
        /// How long they keep their place while terminating.
        grace: SimDuration,
        /// Whether progress is saved.
        save: Save,
        /// What becomes of them.
        then: Then,
    },
    /// Brings suspended tasks back to their old places; valid like a placement. Those that kept their
    /// memory and had run go on at once, others start up again.
    Resume {
        /// Which.
        tasks: TaskSet,
    },
    /// Moves or resizes a running job: progress is saved, all its tasks restart on the new spots.
    Replace {
        /// Which.
        job: JobRef,
        /// One spot per task; for an elastic job as many as it shall have.
        on: SpotRange,
    },
    /// Ends a job: limit, reject, cancel.
    Finish {
        /// Which.
        job: JobRef,
        /// How.
        outcome: Outcome,
    },
    /// Says why something waits; sticky until changed.
    Waiting {
        /// Whom it is about.
        scope: Scope,
        /// Why.
        why: Reason,
    },
    /// Asks to be woken. Only one is kept, the last.
    WakeAt(SimTime),
}

/// The decisions of one call, in order; a flat arena, reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    pub(crate) list: Vec<Decision>,
    spots: Vec<Spot>,
    parts: Vec<HoldPart>,
    pub(crate) next_hold: u32,
}

impl Decisions {
    /// Places all pending tasks of a job, or one task: bound at once, and sure.
    pub fn place(&mut self, tasks: impl Into<TaskSet>, spots: impl IntoIterator<Item = Spot>) {
        self.place_as(tasks, spots, Commit::NOW, Claim::Sure, None);
    }

    /// Places tasks, choosing every detail.
    pub fn place_as(
        &mut self,
        tasks: impl Into<TaskSet>,
        spots: impl IntoIterator<Item = Spot>,
        commit: Commit,
        claim: Claim,
        within: Option<HoldId>,
    ) {
        let on = self.spot_range(spots);
        self.list.push(Decision::Place {
            tasks: tasks.into(),
            on,
            commit,
            claim,
            within,
        });
    }

    /// Holds capacity and returns the id of the hold.
    ///
    /// # Panics
    /// With more than 2³² parts in one call.
    pub fn hold(
        &mut self,
        parts: impl IntoIterator<Item = HoldPart>,
        from: SimTime,
        until: Option<SimTime>,
        who: HoldFor,
        why: Reason,
        claim: Claim,
    ) -> HoldId {
        self.hold_as(parts, from, until, who, why, Commit::NOW, claim)
    }

    /// Holds capacity, choosing every detail, and returns the id of the hold.
    ///
    /// # Panics
    /// With more than 2³² parts in one call.
    #[expect(clippy::too_many_arguments, reason = "the plain form is `hold`")]
    pub fn hold_as(
        &mut self,
        parts: impl IntoIterator<Item = HoldPart>,
        from: SimTime,
        until: Option<SimTime>,
        who: HoldFor,
        why: Reason,
        commit: Commit,
        claim: Claim,
    ) -> HoldId {
        let start = small(self.parts.len());
        self.parts.extend(parts);
        let parts = PartRange {
            start,
            len: small(self.parts.len()) - start,
        };
        let id = HoldId(self.next_hold);
        self.next_hold += 1;
        let hold = HoldSpec {
            parts,
            from,
            until,
            who,
            why,
        };
        self.list.push(Decision::Hold {
            id,
            hold,
            commit,
            claim,
        });
        id
    }

    /// Ends a hold.
    pub fn release(&mut self, hold: HoldId) {
        self.list.push(Decision::Release { hold });
    }

    /// Takes tasks out.
    pub fn evict(&mut self, tasks: impl Into<TaskSet>, grace: SimDuration, save: Save, then: Then) {
        self.list.push(Decision::Evict {
            tasks: tasks.into(),
            grace,
            save,
            then,
        });
    }

    /// Brings suspended tasks back.
    pub fn resume(&mut self, tasks: impl Into<TaskSet>) {
        self.list.push(Decision::Resume {
            tasks: tasks.into(),
        });
    }

    /// Moves or resizes a running job.
    pub fn replace(&mut self, job: JobRef, spots: impl IntoIterator<Item = Spot>) {
        let on = self.spot_range(spots);
        self.list.push(Decision::Replace { job, on });
    }

    /// Ends a job.
    pub fn finish(&mut self, job: JobRef, outcome: Outcome) {
        self.list.push(Decision::Finish { job, outcome });
    }

    /// Rejects a job.
    pub fn reject(&mut self, job: JobRef) {
        self.finish(job, Outcome::Rejected);
    }

    /// Says why a job waits.
    pub fn waiting(&mut self, job: JobRef, why: Reason) {
        self.list.push(Decision::Waiting {
            scope: Scope::Job(job),
            why,
        });
    }

    /// Says why every job of a unit shape waits.
    pub fn waiting_shape(&mut self, shape: DemandId, why: Reason) {
        self.list.push(Decision::Waiting {
            scope: Scope::Shape(shape),
            why,
        });
    }

    /// Says why the rest of a queue waits.
    pub fn rest(&mut self, queue: QueueId, why: Reason) {
        self.list.push(Decision::Waiting {
            scope: Scope::Rest(queue),
            why,
        });
    }

    /// Asks to be woken at `at`. Only one is kept, the last: in a loop over jobs pass the minimum.
    pub fn wake_at(&mut self, at: SimTime) {
        self.list.push(Decision::WakeAt(at));
    }

    /// Adds any decision.
    pub fn push(&mut self, decision: Decision) {
        self.list.push(decision);
    }

    /// Puts spots into the arena, for [`push`](Self::push).
    ///
    /// # Panics
    /// With more than 2³² spots in one call.
    pub fn spot_range(&mut self, spots: impl IntoIterator<Item = Spot>) -> SpotRange {
        let start = small(self.spots.len());
        // Nearly always one or two: cheaper one by one than with a look ahead.
        for spot in spots {
            self.spots.push(spot);
        }
        SpotRange {
            start,
            len: small(self.spots.len()) - start,
        }
    }

    /// The decisions so far, in order.
    #[must_use]
    pub fn list(&self) -> &[Decision] {
        &self.list
    }

    /// The spots of a range; none if the range is of another batch and does not lie in this one.
    #[must_use]
    pub fn spots(&self, range: SpotRange) -> &[Spot] {
        let start = range.start as usize;
        let spots = self.spots.get(start..start + range.len as usize);
        spots.unwrap_or_default()
    }

    /// The parts of a hold; none if the range is of another batch and does not lie in this one.
    #[must_use]
    pub fn parts(&self, range: PartRange) -> &[HoldPart] {
        let start = range.start as usize;
        let parts = self.parts.get(start..start + range.len as usize);
        parts.unwrap_or_default()
    }

    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets every decision and keeps the memory, for use with worlds built by hand.
    pub fn clear(&mut self) {
        self.list.clear();
        self.spots.clear();
        self.parts.clear();
    }

    pub(crate) fn begin(&mut self, next_hold: u32) {
        self.clear();
        self.next_hold = next_hold;
    }
}

fn small(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 entries in one batch of decisions")
}
