//! What changed since a component was last called.

use crate::device::Refusal;
use crate::ids::{JobRef, NodeId, TaskRef};
use crate::reason::Reason;
use crate::task::{Outcome, TaskEnd, TaskState};

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobNews {
    /// It was submitted; its controller creates its tasks.
    Submitted,
    /// Its tasks exist and wait to be scheduled.
    Created,
    /// Admission let it through.
    Admitted,
    /// Admission holds it back.
    Withheld(Reason),
    /// Its work is done; its controller finishes it, as the truth has it.
    WorkDone(Outcome),
    /// The deadline that its controller set has passed.
    DeadlinePassed,
    /// A scheduler called it unschedulable (autoscalers only).
    Unschedulable,
    /// It ended; the reference is valid until the end of this round.
    Ended(Outcome),
}

/// A job and what happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobChange {
    /// Which job.
    pub job: JobRef,
    /// What happened.
    pub what: JobNews,
}

/// A task and the state it entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskChange {
    /// Which task, as the attempt it was when it changed.
    pub task: TaskRef,
    /// The state it entered.
    pub now: TaskState,
    /// How the attempt ended, if it is over.
    pub end: Option<TaskEnd>,
}

/// What changed since a component was last called, by others than itself, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct News<'a> {
    /// Changes of jobs.
    pub jobs: &'a [JobChange],
    /// Changes of tasks.
    pub tasks: &'a [TaskChange],
    /// Nodes whose observed state changed, where a hold began or ended, or (for autoscalers) that
    /// became idle or busy.
    pub nodes: &'a [NodeId],
    /// Placements that were refused before or at bind; the tasks are pending again.
    pub refused: &'a [(TaskRef, Refusal)],
    /// Whether admission let a job through, held one back or revoked one.
    pub quota: bool,
    /// Whether the wake-up that was asked for is due.
    pub woken: bool,
}

/// News on its way to one component.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) jobs: Vec<JobChange>,
    pub(crate) tasks: Vec<TaskChange>,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) refused: Vec<(TaskRef, Refusal)>,
    pub(crate) quota: bool,
    pub(crate) woken: bool,
}

impl Inbox {
    /// Whether all it holds is a wake-up.
    pub(crate) fn only_woken(&self) -> bool {
        self.woken
            && self.jobs.is_empty()
            && self.tasks.is_empty()
            && self.nodes.is_empty()
            && self.refused.is_empty()
            && !self.quota
    }

    pub(crate) fn news(&self) -> News<'_> {
        News {
            jobs: &self.jobs,
            tasks: &self.tasks,
            nodes: &self.nodes,
            refused: &self.refused,
            quota: self.quota,
            woken: self.woken,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
        self.tasks.clear();
        self.nodes.clear();
        self.refused.clear();
        self.quota = false;
        self.woken = false;
    }
}
