//! An elastic job that grows and shrinks.

use windtunnel_core::{
    Advance, Decisions, Fit, JobRef, JobView, News, NodeId, Plan, Policy, Reason, Spots, View,
};

/// Elastic training in the manner of Pollux or elastic Horovod: an elastic job takes as many tasks
/// as fit. When another job does not fit it shrinks by as little as makes room, never below its
/// minimum; when nothing waits it grows again. Every change saves, moves and restarts it once.
#[derive(Clone, Debug, Default)]
pub struct ElasticFiller {
    elastic: Vec<JobRef>,
}

/// Fewest and most tasks of an elastic job.
fn range(job: JobView<'_>) -> Option<(u32, u32)> {
    match job.advance() {
        Advance::Between { min, max } => Some((min, max)),
        _ => None,
    }
}

/// Plans an elastic job anew with `count` tasks; the plan is unchanged if they do not fit.
fn resize(plan: &mut Plan<'_>, job: JobView<'_>, count: u32) -> Option<Spots> {
    let mark = plan.mark();
    job.tasks().for_each(|task| plan.release(task));
    let mut spots = Spots::new();
    for task in job.tasks().take(count as usize) {
        let node = plan.next_feasible(task, NodeId(0));
        let Some(node) = node.filter(|node| plan.take(task, *node)) else {
            plan.undo_to(mark);
            return None;
        };
        spots.push(node.into());
    }
    Some(spots)
}

impl ElasticFiller {
    /// Shrinks one elastic job by as little as lets `job` start, and starts it.
    fn make_room(
        &self,
        view: &View<'_>,
        job: JobView<'_>,
        plan: &mut Plan<'_>,
        out: &mut Decisions,
    ) -> bool {
        for elastic in self.elastic.iter().filter_map(|id| view.job(*id)) {
            let Some((min, _)) = range(elastic) else {
                continue;
            };
            for count in (min..elastic.tasks_bound()).rev() {
                let mark = plan.mark();
                if let Some(smaller) = resize(plan, elastic, count)
                    && let Fit::Now(spots) = plan.first_fit(job)
                {
                    out.replace(elastic.id(), smaller);
                    out.place(job.id(), spots);
                    return true;
                }
                plan.undo_to(mark);
            }
        }
        false
    }
}

impl Policy for ElasticFiller {
    fn name(&self) -> &str {
        "elastic-filler"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        self.elastic.retain(|job| view.job(*job).is_some());
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            if let Some((min, max)) = range(job) {
                if !self.elastic.contains(&job.id()) {
                    self.elastic.push(job.id());
                }
                let mut sizes = (min..=max).rev();
                if let Some(spots) = sizes.find_map(|count| resize(&mut plan, job, count)) {
                    out.place(job.id(), spots);
                }
            } else if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            } else if !self.make_room(view, job, &mut plan, out) {
                out.waiting(job.id(), Reason::DoesNotFit);
            }
        }
        if view.pending_count() > 0 {
            return;
        }
        for job in self.elastic.iter().filter_map(|id| view.job(*id)) {
            let bound = job.tasks_bound();
            if let Some((_, max)) = range(job).filter(|_| bound > 0) {
                let mut sizes = (bound + 1..=max).rev();
                if let Some(spots) = sizes.find_map(|count| resize(&mut plan, job, count)) {
                    out.replace(job.id(), spots);
                }
            }
        }
    }
}
