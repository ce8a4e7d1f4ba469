//! Another order, to put into a fork.

use windtunnel_core::{Decisions, Fit, JobView, News, Policy, View};

/// Starts every pending job that fits, those that ask for the fewest GPUs first.
#[derive(Clone, Copy, Debug, Default)]
pub struct SmallestFirst;

impl Policy for SmallestFirst {
    fn name(&self) -> &str {
        "smallest-first"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut queue: Vec<JobView<'_>> = view.pending_jobs().collect();
        queue.sort_by_key(|job| (job.gpu_milli(), job.id()));
        let mut plan = view.plan();
        for job in queue {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}
