//! Batch jobs and arrays: create the tasks, finish when the work is done, recreate what was lost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Controller, Interest, Lifecycle, LifecycleCommand};
use crate::ids::JobRef;
use crate::news::{JobNews, News, TaskChange};
use crate::platform::LimitMode;
use crate::task::{Outcome, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::view::View;

/// What becomes of a job that lost a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// All its tasks end and are recreated: what an MPI or NCCL job needs.
    #[default]
    Restart,
    /// Only the lost task is recreated: arrays, Indexed pods.
    Replace,
}

/// The plainest controller of work that ends: batch/v1 Job, a Slurm batch job, an array.
///
/// Creates all tasks at submission, finishes the job as the truth has it once its work is done,
/// restores tasks lost to node failures, refusals and evictions that kill, and enforces the walltime
/// limit exactly from the job's start unless the platform leaves that to others.
///
/// `gang_timeout`: a gang of which some tasks are bound and some not, for this long since the first
/// was, has all its tasks ended and recreated. `None` waits for ever, as plain pods do.
#[derive(Clone, Debug)]
pub struct Batch {
    name: String,
    on_loss: OnLoss,
    gang_timeout: Option<SimDuration>,
    /// Retries wait base·2^(n−1), at most cap; `None` retries at once.
    backoff: Option<(SimDuration, SimDuration)>,
    watched: BinaryHeap<Reverse<(SimTime, JobRef)>>,
}

impl Batch {
    /// The batch controller: a gang that loses a task restarts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: "batch".to_owned(),
            on_loss: OnLoss::Restart,
            gang_timeout: None,
            backoff: None,
            watched: BinaryHeap::new(),
        }
    }

    /// The array controller: every task stands for itself.
    #[must_use]
    pub fn array() -> Self {
        Self {
            name: "array".to_owned(),
            on_loss: OnLoss::Replace,
            ..Self::new()
        }
    }

    /// The same with a timeout for incomplete gangs.
    #[must_use]
    pub fn gang_timeout(mut self, timeout: SimDuration) -> Self {
        self.gang_timeout = Some(timeout);
        self
    }

    /// The same with another answer to losses.
    #[must_use]
    pub fn on_loss(mut self, on_loss: OnLoss) -> Self {
        self.on_loss = on_loss;
        self
    }

    /// The same with a delay before the n-th new attempt of a task: base·2^(n−1), at most `cap`.
    #[must_use]
    pub fn backoff(mut self, base: SimDuration, cap: SimDuration) -> Self {
        self.backoff = Some((base, cap));
        self
    }

    fn not_before(&self, now: SimTime, attempt: u32) -> Option<SimTime> {
        let (base, cap) = self.backoff?;
        let delay = base.saturating_mul(1 << attempt.min(40)).min(cap);
        Some(now.saturating_add(delay))
    }

    fn lost(&self, view: &View<'_>, change: &TaskChange, out: &mut Lifecycle) {
        let Some(job) = view.job(change.task.job) else {
            return;
        };
        let not_before = self.not_before(view.now(), change.task.attempt);
        let alone = self.on_loss == OnLoss::Replace || job.advance() == crate::Advance::Each;
        if alone {
            out.recreate(change.task, not_before);
        } else {
            out.restart(change.task.job, not_before);
        }
    }

    fn bound(&mut self, view: &View<'_>, job: JobRef, out: &mut Lifecycle) {
        let Some(found) = view.job(job) else { return };
        if found.is_queued() {
            if let (Some(timeout), 1) = (self.gang_timeout, found.tasks_bound()) {
                self.watched
                    .push(Reverse((view.now().saturating_add(timeout), job)));
            }
            return;
        }
        if let (Some(limit), LimitMode::Exact) = (found.limit(), view.limit_mode()) {
            let at = view.now().saturating_add(limit);
            out.push(LifecycleCommand::Deadline { job, at });
        }
    }

    /// Restarts gangs whose time is up.
    fn expire(&mut self, view: &View<'_>, out: &mut Lifecycle) {
        while let Some(Reverse((at, job))) = self.watched.peek().copied() {
            if at > view.now() {
                out.wake_at(at);
                return;
            }
            self.watched.pop();
            let incomplete = |job: &crate::JobView<'_>| job.is_queued() && job.tasks_bound() > 0;
            if view.job(job).is_some_and(|found| incomplete(&found)) {
                out.restart(job, self.not_before(view.now(), 0));
            }
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Controller for Batch {
    fn name(&self) -> &str {
        &self.name
    }

    fn interest(&self) -> Interest {
        Interest {
            lost: true,
            progress: self.gang_timeout.is_some(),
        }
    }

    fn react(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
        for change in news.jobs {
            match change.what {
                JobNews::Submitted => out.create(change.job),
                JobNews::WorkDone(outcome) => out.finish(change.job, outcome),
                JobNews::DeadlinePassed => out.finish(change.job, Outcome::TimedOut),
                _ => {}
            }
        }
        for change in news.tasks {
            match change.now {
                TaskState::Over => self.lost(view, change, out),
                TaskState::Starting | TaskState::Running => self.bound(view, change.task.job, out),
                _ => {}
            }
        }
        if self.gang_timeout.is_some() {
            self.expire(view, out);
        }
    }
}
