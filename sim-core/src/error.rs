//! What can go wrong, one type per boundary.

use crate::arrivals::ArrivalError;
use crate::decision::Decision;
use crate::device::Refusal;
use crate::fabric::Level;
use crate::ids::{JobId, NodeId};
use crate::job::JobError;
use crate::supply::SupplyError;
use crate::time::SimTime;

/// A simulation can't be built from its parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The supply breaks a rule.
    #[error("supply: {0}")]
    Supply(#[from] SupplyError),
    /// A platform without a scheduler.
    #[error("platform `{platform}` has no scheduler")]
    NoScheduler {
        /// The platform.
        platform: String,
    },
    /// More components than the engine calls.
    #[error("platform `{platform}` has more than 62 controllers and schedulers")]
    TooManyComponents {
        /// The platform.
        platform: String,
    },
    /// A route to a scheduler that does not exist.
    #[error("platform `{platform}`: a route leads to scheduler {scheduler}, which does not exist")]
    BadRoute {
        /// The platform.
        platform: String,
        /// The scheduler's number.
        scheduler: u8,
    },
}

/// What is wrong with a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// It names a job that is not there (any more).
    #[error("there is no such job")]
    UnknownJob,
    /// It names a task, or an attempt, that is not there (any more).
    #[error("there is no such task, or a newer attempt took its place")]
    UnknownTask,
    /// It names a hold that is not there (any more).
    #[error("there is no such hold")]
    UnknownHold,
    /// It names a node that is not there, or in none of the scheduler's pools.
    #[error("there is no such node in this scheduler's pools")]
    UnknownNode,
    /// The node's GPUs are of a model that the job does not accept.
    #[error("the job does not accept the GPU model of that node")]
    WrongModel,
    /// The hold is another scheduler's.
    #[error("the hold belongs to another scheduler")]
    NotYourHold,
    /// The job is another scheduler's.
    #[error("the job belongs to another scheduler")]
    NotYours,
    /// The task is in a state to which the decision does not apply.
    #[error("the task is {0}")]
    WrongState(crate::TaskState),
    /// No task of the job is in a state to which the decision applies.
    #[error("no task of the job is in a state to which this applies")]
    NothingToDo,
    /// The number of spots does not match the number of tasks.
    #[error("{spots} spots for {tasks} tasks")]
    WrongCount {
        /// Spots given.
        spots: usize,
        /// Tasks meant.
        tasks: usize,
    },
    /// The job is held back by admission.
    #[error("the job is not admitted")]
    NotAdmitted,
    /// Tasks of one group on both sides of a border that they must not cross.
    #[error("its tasks must share one {level}, and {node} is in another than {home}")]
    CrossesLevel {
        /// What they must share.
        level: Level,
        /// Where a task was put.
        node: NodeId,
        /// Where the first one of its group is.
        home: NodeId,
    },
    /// A sure placement does not fit.
    #[error("it does not fit there: {0}")]
    DoesNotFit(Refusal),
    /// A hold that should be backed at once is not.
    #[error("the capacity to hold is not free")]
    HoldNotBacked,
    /// A wake-up in the past.
    #[error("a wake-up at {0} is in the past")]
    WakeInThePast(SimTime),
    /// The decision does not apply to this kind of job.
    #[error("only a job that advances as one can be moved or resized")]
    NotReplaceable,
}

/// A run can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The stream of jobs broke off; nothing of the result can be used.
    #[error("jobs: {0}")]
    Arrivals(#[from] ArrivalError),
    /// A job of the stream breaks a rule.
    #[error("{job}: {cause}")]
    Job {
        /// Which job.
        job: JobId,
        /// What is wrong.
        cause: JobError,
    },
    /// A job names a controller that the platform does not have.
    #[error("{job} is of kind {kind}, but the platform has {have} controllers")]
    UnknownKind {
        /// Which job.
        job: JobId,
        /// The controller's number.
        kind: u8,
        /// How many there are.
        have: usize,
    },
    /// The stream of jobs went back in time.
    #[error(
        "{job} is submitted at {submit}, before the job ahead of it at {before}; sort the trace by submission"
    )]
    Unsorted {
        /// Which job.
        job: JobId,
        /// Its submission.
        submit: SimTime,
        /// The submission of the job ahead of it.
        before: SimTime,
    },
    /// A policy broke the rules: it is to be mended, the run can't be resumed.
    #[error("at {time}, {policy} {told}")]
    InvalidDecision {
        /// When.
        time: SimTime,
        /// Which component.
        policy: String,
        /// What it decided.
        decision: Box<Decision>,
        /// What it decided and what is wrong with that, in words: jobs, nodes, what they have free.
        told: String,
        /// What is wrong with it.
        cause: DecisionError,
    },
    /// Another component broke the rules.
    #[error("at {time}, {component} asked for {command}: {cause}")]
    InvalidCommand {
        /// When.
        time: SimTime,
        /// Which component.
        component: String,
        /// What it asked for.
        command: String,
        /// What is wrong with it.
        cause: DecisionError,
    },
    /// Wake-ups follow each other and nothing else happens.
    #[error(
        "{rounds} rounds up to {time} in which components only woke up and nothing changed (last: {component})"
    )]
    NoProgress {
        /// When.
        time: SimTime,
        /// How many rounds.
        rounds: u32,
        /// Who woke up last.
        component: String,
    },
    /// Components are called again and again at one instant and time does not go on, although each
    /// call changes something: they undo each other's work, or a policy its own.
    #[error("{calls} calls at {time} and time does not go on (last: {component})")]
    Livelock {
        /// When.
        time: SimTime,
        /// How many calls.
        calls: u32,
        /// Who was to be called next.
        component: String,
    },
    /// The simulated clock is at its end.
    #[error("the simulated clock is at its end ({0})")]
    ClockOverflow(SimTime),
}

impl RunError {
    /// Whether a policy or another component broke the rules, rather than the input.
    #[must_use]
    pub const fn is_invalid_decision(&self) -> bool {
        matches!(
            self,
            Self::InvalidDecision { .. } | Self::InvalidCommand { .. }
        )
    }
}

/// A run can't be forked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// Its stream of jobs can be read once only.
    #[error(transparent)]
    Arrivals(#[from] crate::arrivals::NotForkable),
}
