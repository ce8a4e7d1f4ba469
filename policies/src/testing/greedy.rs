//! Whatever fits starts.

use windtunnel_core::{
    Decisions, Fit, News, Policy, Reason, Save, SimDuration, SimTime, TaskState, Then, View,
};

/// Starts every pending job that fits, in order of submission, on the lowest-numbered nodes, and
/// says of the others that they do not fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greedy;

impl Policy for Greedy {
    fn name(&self) -> &str {
        "greedy"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::NotNow | Fit::Never => out.waiting(job.id(), Reason::DoesNotFit),
            }
        }
    }
}

/// [`Greedy`] that also kills everything that runs at given instants, as a spot market or a drain
/// through the eviction API does: the attempts are over, and what comes next is their controllers'.
#[derive(Clone, Debug)]
pub struct Reclaimer {
    /// When, ascending.
    times: Vec<SimTime>,
    grace: SimDuration,
}

impl Reclaimer {
    /// Reclaims everything at each of `times`, with `grace`.
    #[must_use]
    pub fn new(mut times: Vec<SimTime>, grace: SimDuration) -> Self {
        times.sort_unstable();
        Self { times, grace }
    }
}

impl Policy for Reclaimer {
    fn name(&self) -> &str {
        "reclaimer"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        if self.times.first().is_some_and(|at| *at <= view.now()) {
            self.times.remove(0);
            for task in view.nodes().flat_map(|node| node.tasks()) {
                if matches!(task.state(), TaskState::Starting | TaskState::Running) {
                    out.evict(task.id(), self.grace, Save::No, Then::Kill);
                }
            }
        }
        if let Some(next) = self.times.first() {
            out.wake_at(*next);
        }
        Greedy.decide(view, news, out);
    }
}
