//! Worst fit over CPU and GPU.

use windtunnel_core::{Fit, JobView, NodeFree, Plan, Scorer, TaskRequest};

use super::{Placer, best_fit_score};

/// Each task on the feasible node that it leaves with most CPU and GPU: spreads the load.
///
/// # Decision rule
/// 1. Score every node where the task fits by [`best_fit_score`].
/// 2. Take the lowest score; among equals, the lowest node id.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// None.
///
/// # Complexity
/// O(nodes that changed since a task of the same request was placed + nodes ÷ 64) per task.
///
/// # Differences
/// None from worst fit; with two resources somebody has to weigh them, and the weights here are those
/// of [`BestFit`](super::BestFit), so that the two are each other's opposite.
///
/// # Reference
/// Johnson, *Fast Algorithms for Bin Packing*, Journal of Computer and System Sciences 8(3), 1974.
///
/// # Examples
/// Two jobs of two GPUs go to two nodes, and a job of four finds neither of them whole.
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Supply, TaskRequest};
/// use windtunnel_policies::{Greedy, WorstFit};
///
/// let job = |gpus| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::from_secs(10))
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 2);
/// let jobs = JobList::new(vec![job(2), job(2), job(4)]);
/// let report =
///     Simulation::new(supply, jobs, Greedy::new(WorstFit), RunOptions::default())?.run()?;
/// assert_eq!(report.end, SimTime::from_secs(20), "first fit would need 10");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WorstFit;

impl Placer for WorstFit {
    fn name(&self) -> &'static str {
        "worst-fit"
    }

    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit {
        plan.best_of::<Emptiest>(job)
    }

    fn may_fit(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> bool {
        plan.may_fit_of::<Emptiest>(job)
    }
}

/// The lowest [`best_fit_score`] first.
#[derive(Debug)]
enum Emptiest {}

impl Scorer for Emptiest {
    fn score(free: &NodeFree, request: &TaskRequest) -> i64 {
        best_fit_score(free, request)
    }
}
