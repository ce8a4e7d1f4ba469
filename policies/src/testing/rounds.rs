//! Time-sharing in rounds, with checkpoints.

use std::collections::BTreeMap;

use windtunnel_core::{
    Decisions, Fit, JobNews, JobRef, JobView, News, Policy, Reason, Save, SimDuration, SimTime,
    TaskState, Then, View,
};

/// Gavel's mechanism: at the end of every round (six minutes there) whoever ran saves a checkpoint
/// and leaves if somebody else waits; the job with the fewest rounds so far comes next and restores.
/// Saving is the grace period of the eviction, restoring the startup of the next attempt.
#[derive(Clone, Debug)]
pub struct Rounds {
    round: SimDuration,
    save: SimDuration,
    served: BTreeMap<JobRef, u32>,
    end: SimTime,
}

impl Rounds {
    /// Rounds of `round`; saving takes `save`.
    #[must_use]
    pub const fn new(round: SimDuration, save: SimDuration) -> Self {
        Self {
            round,
            save,
            served: BTreeMap::new(),
            end: SimTime::from_nanos(round.as_nanos()),
        }
    }

    fn rounds_of(&self, job: JobRef) -> u32 {
        self.served.get(&job).copied().unwrap_or(0)
    }
}

impl Policy for Rounds {
    fn name(&self) -> &str {
        "rounds"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        for change in news.jobs {
            if let JobNews::Ended(_) = change.what {
                self.served.remove(&change.job);
            }
        }
        if view.now() >= self.end {
            while self.end <= view.now() {
                self.end += self.round;
            }
            if view.pending_count() > 0 {
                for task in view.nodes().flat_map(|node| node.tasks()) {
                    if matches!(task.state(), TaskState::Starting | TaskState::Running) {
                        let then = Then::Requeue { not_before: None };
                        out.evict(task.id(), self.save, Save::Yes, then);
                    }
                }
            }
        }
        let mut queue: Vec<JobView<'_>> = view.pending_jobs().collect();
        queue.sort_by_key(|job| (self.rounds_of(job.id()), job.id()));
        let mut plan = view.plan();
        for job in queue {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
                *self.served.entry(job.id()).or_default() += 1;
            } else {
                out.waiting(job.id(), Reason::Priority);
            }
        }
        if view.pending_count() > 0 {
            out.wake_at(self.end);
        }
    }
}
