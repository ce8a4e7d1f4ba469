//! A controller that replaces failed pods after a backoff.

use windtunnel_core::{
    Controller, Interest, JobNews, Lifecycle, News, Outcome, SimDuration, TaskState, View,
};

/// batch/v1 Job with `backoffLimit`: a pod that ended without its work being done is replaced by a
/// new one, a stranger to the scheduler, after base·2ⁿ (n failures before this one, at most `cap`);
/// after too many failures of one index the job is given up.
#[derive(Clone, Copy, Debug)]
pub struct RetryingController {
    base: SimDuration,
    cap: SimDuration,
    limit: u32,
}

impl RetryingController {
    /// Backoff `base` doubling up to `cap`; gives up after `limit` retries of one pod.
    #[must_use]
    pub const fn new(base: SimDuration, cap: SimDuration, limit: u32) -> Self {
        Self { base, cap, limit }
    }
}

impl Controller for RetryingController {
    fn name(&self) -> &str {
        "retrying"
    }

    fn interest(&self) -> Interest {
        Interest {
            lost: true,
            progress: false,
        }
    }

    fn react(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
        for change in news.jobs {
            match change.what {
                JobNews::Submitted => out.create(change.job),
                JobNews::WorkDone(outcome) => out.finish(change.job, outcome),
                _ => {}
            }
        }
        let failed = |change: &&windtunnel_core::TaskChange| change.now == TaskState::Over;
        for change in news.tasks.iter().filter(failed) {
            let failures = change.task.attempt;
            if failures >= self.limit {
                out.finish(change.task.job, Outcome::Killed);
                continue;
            }
            let delay = self
                .base
                .saturating_mul(1 << failures.min(40))
                .min(self.cap);
            out.recreate(change.task, Some(view.now() + delay));
        }
    }
}
