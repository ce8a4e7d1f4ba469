//! The life of a task.
//!
//! ```text
//!          ┌──────────────────────── requeued: a new attempt ──────────────────────────┐
//!          v                                                                           │
//! Gated ⇄ Pending ──► Reserved ──► Starting ──► Running ──► Ending ──► Over(how) ──► (recreated)
//!          ^  │           │            │          │  ^         │
//!          │  └─ bound at once ────────┴──────────┘  │         └──► Suspended ──► resumed: Starting or Running
//!          └── refused or abandoned                  └── restart: Starting
//! ```
//!
//! Reserved, Starting, Running and Ending hold capacity; Suspended holds what it was told to keep.

use std::fmt;

use crate::device::Refusal;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TaskState {
    /// Not created yet by its controller.
    Unborn = 0,
    /// Exists, but must not be scheduled yet.
    Gated = 1,
    /// Waits for a place.
    Pending = 2,
    /// A place is promised, not yet bound.
    Reserved = 3,
    /// Bound, not yet running: image pull, initialisation.
    Starting = 4,
    /// Running.
    Running = 5,
    /// Taken out, to be resumed.
    Suspended = 6,
    /// Terminating gracefully, still holding its place.
    Ending = 7,
    /// This attempt is over.
    Over = 8,
}

impl TaskState {
    /// All states, in order.
    pub const ALL: [Self; 9] = [
        Self::Unborn,
        Self::Gated,
        Self::Pending,
        Self::Reserved,
        Self::Starting,
        Self::Running,
        Self::Suspended,
        Self::Ending,
        Self::Over,
    ];

    /// Whether a task in this state holds its GPUs (a suspended one may, if told to keep them).
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(
            self,
            Self::Reserved | Self::Starting | Self::Running | Self::Ending
        )
    }

    /// Whether a task in this state is bound to its place.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// Whether the life cycle allows a step from `self` to `next`.
    ///
    /// ```
    /// use windtunnel_core::TaskState::{Ending, Over, Pending, Running};
    /// assert!(Pending.may_become(Running), "bound at once, no startup time");
    /// assert!(!Over.may_become(Running), "a new attempt starts as pending");
    /// assert!(!Ending.may_become(Pending), "it must be over first");
    /// ```
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use TaskState::{
            Ending, Gated, Over, Pending, Reserved, Running, Starting, Suspended, Unborn,
        };
        // As bit sets, so that the compiler makes a table of it instead of branches.
        let successors = match self {
            Unborn => Self::set(&[Gated, Pending, Over]),
            Gated => Self::set(&[Pending, Over]),
            Pending => Self::set(&[Gated, Reserved, Starting, Running, Over]),
            Reserved => Self::set(&[Pending, Starting, Running, Over]),
            Starting => Self::set(&[Running, Starting, Ending, Suspended, Over]),
            Running => Self::set(&[Starting, Ending, Suspended, Over]),
            Suspended => Self::set(&[Starting, Running, Over]),
            Ending => Self::set(&[Suspended, Over]),
            Over => Self::set(&[Gated, Pending]),
        };
        successors >> next as u16 & 1 == 1
    }

    const fn set(states: &[Self]) -> u16 {
        let (mut set, mut place) = (0, 0);
        while place < states.len() {
            set |= 1 << states[place] as u16;
            place += 1;
        }
        set
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unborn => "unborn",
            Self::Gated => "gated",
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Ending => "ending",
            Self::Over => "over",
        })
    }
}

/// How an attempt of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEnd {
    /// Its work was done (or its job's), however that ends in truth.
    Done,
    /// A policy took it out.
    Evicted,
    /// Its node failed and that was noticed.
    NodeLost,
    /// A GPU that it held failed and that was noticed.
    GpuLost,
    /// A maintenance window of its node opened.
    Drained,
    /// The agent on its node refused it after it was bound.
    Refused(Refusal),
    /// Its controller ended it.
    Stopped,
    /// Its job finished (limit, reject, cancel, another task's failure).
    JobFinished,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Outcome {
    /// Its work was done.
    Completed = 0,
    /// It failed by itself.
    Failed = 1,
    /// Its user cancelled it.
    Cancelled = 2,
    /// It was killed at its walltime limit.
    TimedOut = 3,
    /// A policy rejected it.
    Rejected = 4,
    /// The platform gave it up (too many retries, killed without return).
    Killed = 5,
    /// The memory of its GPUs did not suffice, and whoever started it again gave up.
    OutOfMemory = 6,
}

impl Outcome {
    /// Whether it ended as in the truth: by its own doing, not the platform's.
    #[must_use]
    pub const fn as_in_truth(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Name in files: Batsim's `final_state` words where one exists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED_SUCCESSFULLY",
            Self::Failed => "COMPLETED_FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "COMPLETED_WALLTIME_REACHED",
            Self::Rejected => "REJECTED",
            Self::Killed => "COMPLETED_KILLED",
            Self::OutOfMemory => "OUT_OF_MEMORY",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TaskState;

    /// Rows: from; columns: to, in the order of [`TaskState::ALL`]. `x` is legal.
    const TABLE: [&str; 9] = [
        // UGPRSRSEO
        ".xx.....x", // Unborn
        "..x.....x", // Gated
        ".x.xxx..x", // Pending
        "..x.xx..x", // Reserved
        "....xxxxx", // Starting
        "....x.xxx", // Running
        "....xx..x", // Suspended
        "......x.x", // Ending
        ".xx......", // Over
    ];

    #[test]
    fn every_legal_and_illegal_step() {
        for (from, row) in TaskState::ALL.into_iter().zip(TABLE) {
            for (to, cell) in TaskState::ALL.into_iter().zip(row.chars()) {
                assert_eq!(from.may_become(to), cell == 'x', "{from} to {to}");
            }
        }
    }
}
