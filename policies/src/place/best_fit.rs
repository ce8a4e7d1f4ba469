//! Best fit over CPU and GPU.

use windtunnel_core::{Fit, JobView, NodeFree, Plan, Scorer, TaskRequest};

use super::Placer;

/// What counts as a whole node of CPU [thousandths of a core].
const CPU_WHOLE: i64 = 128_000;
/// What counts as a whole node of GPU \[thousandths\].
const GPU_WHOLE: i64 = 8_000;

/// Each task on the feasible node that it leaves with least CPU and GPU.
///
/// Small tasks fill the gaps, empty nodes stay empty for large ones.
///
/// # Decision rule
/// 1. Score every node where the task fits by [`best_fit_score`].
/// 2. Take the highest score; among equals, the lowest node id.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// None. The yardsticks are those of the paper's largest node: 128 cores and 8 GPUs count as one
/// each, on every node.
///
/// # Complexity
/// O(nodes that changed since a task of the same request was placed + nodes ÷ 64) per task.
///
/// # Differences
/// The original stretches scores over the feasible nodes to 0..100 afterwards; that keeps their order
/// and their ties as long as they span at most 100 points, which holds for nodes up to 128 cores and
/// 8 GPUs, so it is left out. It runs in floating point; we divide integers, which gives the same
/// score wherever the division comes out even or not (all 10,866 decisions recorded from the original
/// come out the same). Memory takes no part in the score. Ties go to the lowest id where the original
/// takes the smallest node name, a random order drawn once per run.
///
/// # Reference
/// `BestFit` of the artefact of Weng et al., *Beware of Fragmentation: Scheduling GPU-Sharing Workloads
/// with Fragmentation Gradient Descent*, USENIX ATC 2023, §6.1.
///
/// # Examples
/// The second node has a gap of exactly two GPUs; best fit closes it and keeps the first one whole.
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Supply, TaskRequest};
/// use windtunnel_policies::{BestFit, FirstFit, Greedy};
///
/// let job = |gpus, secs| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::from_secs(secs))
/// };
/// let mut jobs = vec![job(4, 1), job(2, 9), job(2, 9), job(4, 9)];
/// for late in &mut jobs[2..] {
///     late.submit = SimTime::from_secs(2); // the job of 4 on the first node has ended by then
/// }
/// let supply = || Supply::uniform(NodeModel::gpus_only("h100", 4), 2);
/// let options = RunOptions::default;
/// let best = Simulation::new(supply(), JobList::new(jobs.clone()), Greedy::new(BestFit), options())?;
/// let first = Simulation::new(supply(), JobList::new(jobs), Greedy::new(FirstFit), options())?;
///
/// assert_eq!(best.run()?.end, SimTime::from_secs(11));
/// assert_eq!(first.run()?.end, SimTime::from_secs(18), "2 + 2 split the nodes, 4 must wait");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BestFit;

impl Placer for BestFit {
    fn name(&self) -> &'static str {
        "best-fit"
    }

    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit {
        plan.best_of::<Fullest>(job)
    }

    fn may_fit(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> bool {
        plan.may_fit_of::<Fullest>(job)
    }
}

/// The highest [`best_fit_score`] first.
#[derive(Debug)]
enum Fullest {}

impl Scorer for Fullest {
    fn score(free: &NodeFree, request: &TaskRequest) -> i64 {
        -best_fit_score(free, request)
    }
}

/// `trunc(100·(1 − [½·(cpu left)/128 cores + ½·(GPU left)/8 GPUs]))`, where *left* is what the node
/// would have free with the task on it; 100 is full. Below zero for nodes larger than the yardstick.
///
/// ```
/// use windtunnel_core::{NodeFree, TaskRequest};
/// use windtunnel_policies::place::best_fit_score;
/// let node = NodeFree::empty(8, 128_000, 0); // all 8 GPUs and 128 cores are free
/// assert_eq!(best_fit_score(&node, &TaskRequest::gpus(8).with_cores(128)), 100);
/// assert_eq!(best_fit_score(&node, &TaskRequest::gpus(4).with_cores(32)), 37, "100·(1 − 3/8 − 1/4)");
/// ```
#[must_use]
pub fn best_fit_score(free: &NodeFree, request: &TaskRequest) -> i64 {
    let cpu = i64::from(free.cpu) - i64::from(request.cpu.0);
    let gpu = i64::from(free.milli) - i64::from(request.gpus.milli());
    // Over the common denominator 2·CPU_WHOLE = 256,000; one GPU weighs as much as 16 cores.
    let whole = 2 * CPU_WHOLE;
    100 * (whole - cpu - gpu * (CPU_WHOLE / GPU_WHOLE)) / whole
}
