//! Observers: see everything, change nothing.

use std::fmt;

use crate::fault::{FaultKind, FaultStep};
use crate::ids::{HoldId, JobRef, NodeId, PoolId, TaskRef};
use crate::record::JobRecord;
use crate::task::{Outcome, TaskEnd, TaskState};
use crate::time::SimTime;
use crate::view::View;

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NodeEvent {
    /// It was asked for.
    Requested = 0,
    /// Its payment began; it boots.
    Booting = 1,
    /// It is usable.
    Ready = 2,
    /// It failed, in truth.
    Failed = 3,
    /// Its failure was noticed.
    Noticed = 4,
    /// It is repaired.
    Repaired = 5,
    /// It takes no new tasks.
    Cordoned = 6,
    /// It takes tasks again.
    Uncordoned = 7,
    /// It was given back; its payment ended.
    Released = 8,
    /// It was switched off.
    PoweredOff = 9,
    /// Its driver did not come up; it will be tried again.
    DriverFailed = 10,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A job was submitted.
    Submitted {
        /// Which.
        job: JobRef,
    },
    /// A task entered a state.
    Task {
        /// Which, as the attempt it is now.
        task: TaskRef,
        /// The state before.
        from: TaskState,
        /// The state now.
        to: TaskState,
        /// Its node, where it has one.
        node: Option<NodeId>,
        /// How its attempt ended, if it did.
        end: Option<TaskEnd>,
    },
    /// A placement was refused before or at bind.
    Refused {
        /// Which task.
        task: TaskRef,
        /// The node it was meant for.
        node: Option<NodeId>,
    },
    /// A job ended.
    Ended {
        /// Which.
        job: JobRef,
        /// How.
        outcome: Outcome,
    },
    /// Admission let a job through.
    Admitted {
        /// Which.
        job: JobRef,
    },
    /// Admission holds a job back.
    Withheld {
        /// Which.
        job: JobRef,
        /// Why.
        why: crate::Reason,
    },
    /// A node changed.
    Node {
        /// Which.
        node: NodeId,
        /// Its pool.
        pool: PoolId,
        /// How.
        what: NodeEvent,
    },
    /// A fault that is not the failure of a whole node: of a part of it, of its speed, or planned.
    Fault {
        /// The node.
        node: NodeId,
        /// Its pool.
        pool: PoolId,
        /// Of what.
        what: FaultKind,
        /// How far along it is.
        step: FaultStep,
    },
    /// A hold was made.
    HoldMade {
        /// Which.
        hold: HoldId,
        /// GPUs it set aside at once \[milli\].
        milli: u32,
    },
    /// A reserved hold was committed.
    HoldCommitted {
        /// Which.
        hold: HoldId,
    },
    /// A hold ended.
    HoldEnded {
        /// Which.
        hold: HoldId,
    },
}

/// One thing that happened, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// What.
    pub kind: EventKind,
}

impl fmt::Display for EventKind {
    /// The line a timeline shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitted { job } => write!(f, "{job} submitted"),
            Self::Task {
                task,
                to,
                node,
                end,
                ..
            } => {
                write!(f, "{task} {to}")?;
                if let Some(node) = node {
                    write!(f, " on {node}")?;
                }
                match end {
                    Some(TaskEnd::Done) | None => Ok(()),
                    Some(TaskEnd::Evicted) => f.write_str(" (evicted)"),
                    Some(TaskEnd::NodeLost) => f.write_str(" (node lost)"),
                    Some(TaskEnd::GpuLost) => f.write_str(" (gpu lost)"),
                    Some(TaskEnd::Drained) => f.write_str(" (drained)"),
                    Some(TaskEnd::Refused(_)) => f.write_str(" (refused by the agent)"),
                    Some(TaskEnd::Stopped) => f.write_str(" (stopped)"),
                    Some(TaskEnd::JobFinished) => f.write_str(" (job finished)"),
                }
            }
            Self::Refused {
                task,
                node: Some(node),
            } => write!(f, "{task} refused on {node}"),
            Self::Refused { task, node: None } => write!(f, "{task} refused"),
            Self::Ended { job, outcome } => write!(f, "{job} ended: {}", outcome.name()),
            Self::Admitted { job } => write!(f, "{job} admitted"),
            Self::Withheld { job, why } => write!(f, "{job} withheld: {why}"),
            Self::Node { node, what, .. } => {
                let word = match what {
                    NodeEvent::Requested => "requested",
                    NodeEvent::Booting => "booting",
                    NodeEvent::Ready => "ready",
                    NodeEvent::Failed => "failed",
                    NodeEvent::Noticed => "noticed down",
                    NodeEvent::Repaired => "repaired",
                    NodeEvent::Cordoned => "cordoned",
                    NodeEvent::Uncordoned => "uncordoned",
                    NodeEvent::Released => "released",
                    NodeEvent::PoweredOff => "switched off",
                    NodeEvent::DriverFailed => "driver failed",
                };
                write!(f, "{node} {word}")
            }
            Self::Fault {
                node, what, step, ..
            } => write!(f, "{node} {what} {step}"),
            Self::HoldMade { hold, milli } => write!(f, "{hold} made, {milli} milli-GPU set aside"),
            Self::HoldCommitted { hold } => write!(f, "{hold} committed"),
            Self::HoldEnded { hold } => write!(f, "{hold} ended"),
        }
    }
}

/// Watches a run.
///
/// Events of an instant are delivered in order once the instant is complete, so the view shows the
/// state after it. Attaching an observer changes no result.
pub trait Observer {
    /// Whether it wants single events and instants.
    fn wants_events(&self) -> bool {
        true
    }
    /// Whether it wants job records.
    fn wants_jobs(&self) -> bool {
        true
    }
    /// Something happened.
    fn on_event(&mut self, _event: &Event, _view: &View<'_>) {}
    /// A job ended; within an instant in order of id. Unfinished ones come at the end of the run.
    fn on_job(&mut self, _record: &JobRecord) {}
    /// An instant is complete.
    fn on_instant(&mut self, _view: &View<'_>) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn wants_events(&self) -> bool {
        false
    }
    fn wants_jobs(&self) -> bool {
        false
    }
}

/// Writes a timeline that a person can review: one line per event, `t=` and what happened.
///
/// Steps that a reader can infer (a new task becoming pending) are left out.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    lines: Vec<String>,
}

impl Timeline {
    /// The timeline so far.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

impl Observer for Timeline {
    fn on_event(&mut self, event: &Event, _view: &View<'_>) {
        if let EventKind::Task {
            from: TaskState::Unborn,
            to: TaskState::Pending,
            ..
        } = event.kind
        {
            return;
        }
        self.lines
            .push(format!("t={:<8} {}", event.at.to_string(), event.kind));
    }
}

/// Keeps job records in memory.
#[derive(Clone, Debug, Default)]
pub struct JobLog {
    /// The records, in order of end, then id; unfinished ones last.
    pub records: Vec<JobRecord>,
}

impl Observer for JobLog {
    fn wants_events(&self) -> bool {
        false
    }
    fn on_job(&mut self, record: &JobRecord) {
        self.records.push(record.clone());
    }
}
