//! Where the tasks of one job go.

mod any;
mod best_fit;
mod random;
mod worst_fit;

use windtunnel_core::{Fit, JobView, Plan, View};

pub use any::AnyPlacer;
pub use best_fit::{BestFit, best_fit_score};
pub use random::RandomFit;
pub use worst_fit::WorstFit;

/// Chooses nodes for one job.
///
/// # Contract
/// Called only for jobs that may fit. On [`Fit::Now`] the plan has taken the capacity, on anything
/// else it is unchanged. Equal capacity, equal job, equal answer.
pub trait Placer: Clone + Send + std::fmt::Debug {
    /// Kebab-case name: that of the greedy policy made of it.
    fn name(&self) -> &'static str;

    /// Called once before the first event, for placers that draw.
    fn begin(&mut self, _view: &View<'_>) {}

    /// A quick answer that may err towards yes: `false` if [`place`](Self::place) certainly finds
    /// nothing now.
    fn may_fit(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> bool {
        plan.may_fit(job)
    }

    /// Places all tasks that the job still needs (of an array, as many as fit), or none.
    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit;
}

/// Each task on the lowest-numbered node where it fits.
///
/// # Decision rule
/// Tasks in (group, index) order, each on the node with the lowest id that has room for it after
/// those before.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// None.
///
/// # Complexity
/// O(tasks), from an index of nodes where the request fits.
///
/// # Differences
/// None.
///
/// # Reference
/// Johnson et al., *Worst-Case Performance Bounds for Simple One-Dimensional Packing Algorithms*,
/// SIAM Journal on Computing 3(4), 1974.
///
/// # Examples
/// See [`Greedy`](crate::Greedy).
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstFit;

impl Placer for FirstFit {
    fn name(&self) -> &'static str {
        "first-fit"
    }

    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit {
        plan.first_fit(job)
    }
}
