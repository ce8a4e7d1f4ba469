//! Controllers: who creates the tasks of a job, recreates lost ones and finishes the job.

mod batch;
mod service;

pub use batch::{Batch, OnLoss};
pub use service::Service;

use crate::ids::{JobRef, TaskRef};
use crate::news::News;
use crate::reason::Reason;
use crate::task::Outcome;
use crate::time::SimTime;
use crate::view::View;

/// What a controller wants of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleCommand {
    /// Creates all tasks of a submitted job: pending, or gated until an instant or for ever.
    Create {
        /// Which job.
        job: JobRef,
        /// Keeps them gated for this reason until an instant (`None`: until [`Self::Ungate`]).
        gate: Option<(Reason, Option<SimTime>)>,
    },
    /// Opens the gates of a job's tasks.
    Ungate {
        /// Which job.
        job: JobRef,
    },
    /// Creates a new attempt of a task that is over, not before an instant.
    Recreate {
        /// The attempt that is over.
        task: TaskRef,
        /// Gated until then (reason backoff).
        not_before: Option<SimTime>,
    },
    /// Ends every task of a job and recreates all of them as new attempts.
    Restart {
        /// Which job.
        job: JobRef,
        /// Gated until then (reason backoff).
        not_before: Option<SimTime>,
    },
    /// Ends one task.
    Stop {
        /// Which task.
        task: TaskRef,
    },
    /// Ends the job.
    Finish {
        /// Which job.
        job: JobRef,
        /// How.
        outcome: Outcome,
    },
    /// Changes how many tasks the first group of an `each` job has: a service scaled up or down.
    SetCount {
        /// Which job.
        job: JobRef,
        /// The new number.
        count: u32,
    },
    /// Asks for [`JobNews::DeadlinePassed`](crate::JobNews::DeadlinePassed) at an instant; the last
    /// request for a job wins.
    Deadline {
        /// Which job.
        job: JobRef,
        /// When.
        at: SimTime,
    },
    /// Asks to be woken. Only one is kept, the last.
    WakeAt(SimTime),
}

impl LifecycleCommand {
    /// The job it is about, if any.
    #[must_use]
    pub const fn job(&self) -> Option<JobRef> {
        match self {
            Self::Create { job, .. }
            | Self::Ungate { job }
            | Self::Restart { job, .. }
            | Self::Finish { job, .. }
            | Self::SetCount { job, .. }
            | Self::Deadline { job, .. } => Some(*job),
            Self::Recreate { task, .. } | Self::Stop { task } => Some(task.job),
            Self::WakeAt(_) => None,
        }
    }
}

/// The commands of one call, in order.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    pub(crate) list: Vec<LifecycleCommand>,
}

impl Lifecycle {
    /// Creates all tasks of a job, pending.
    pub fn create(&mut self, job: JobRef) {
        self.list.push(LifecycleCommand::Create { job, gate: None });
    }

    /// Creates a new attempt of a task that is over.
    pub fn recreate(&mut self, task: TaskRef, not_before: Option<SimTime>) {
        self.list
            .push(LifecycleCommand::Recreate { task, not_before });
    }

    /// Ends every task of a job and recreates all of them.
    pub fn restart(&mut self, job: JobRef, not_before: Option<SimTime>) {
        self.list
            .push(LifecycleCommand::Restart { job, not_before });
    }

    /// Ends the job.
    pub fn finish(&mut self, job: JobRef, outcome: Outcome) {
        self.list.push(LifecycleCommand::Finish { job, outcome });
    }

    /// Asks to be woken. Only one is kept, the last: in a loop over jobs pass the minimum.
    pub fn wake_at(&mut self, at: SimTime) {
        self.list.push(LifecycleCommand::WakeAt(at));
    }

    /// Adds any command.
    pub fn push(&mut self, command: LifecycleCommand) {
        self.list.push(command);
    }
}

/// Which task changes a controller wants to hear of. Fewer calls, faster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Tasks that end other than by their work being done.
    pub lost: bool,
    /// Tasks that become bound, run, or wait again. Of jobs with a walltime limit that is the
    /// controller's to enforce it hears in any case.
    pub progress: bool,
}

impl Interest {
    /// Everything.
    pub const ALL: Self = Self {
        lost: true,
        progress: true,
    };
}

/// Owns the jobs of one kind.
///
/// # Contract
/// `react` is called in a decision round whenever something happened to one of its jobs that it
/// did not cause itself, or its wake-up is due. It hears of the end of a job that another finished
/// ([`JobNews::Ended`](crate::JobNews::Ended)); what it asks for a job that ended in the same instant
/// is void. A job it never creates tasks for, or never finishes,
/// stays for ever.
pub trait Controller: Send + ControllerClone {
    /// Stable kebab-case name, as in a trace's `kind`.
    fn name(&self) -> &str;

    /// What it wants to hear of for one of its jobs.
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    /// Reacts to what happened to its jobs.
    fn react(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle);
}

/// Clones a boxed controller; implemented for every `Clone` one.
pub trait ControllerClone {
    /// A boxed copy.
    fn clone_controller(&self) -> Box<dyn Controller>;
}

impl<T: Controller + Clone + 'static> ControllerClone for T {
    fn clone_controller(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Controller> {
    fn clone(&self) -> Self {
        (**self).clone_controller()
    }
}

impl std::fmt::Debug for dyn Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Controller({})", self.name())
    }
}
