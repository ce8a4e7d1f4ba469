//! A random node among those where it fits.

use windtunnel_core::rng::{Purpose, Seed, stream};
use windtunnel_core::{Fit, JobView, NodeId, Plan, View};

use super::Placer;

/// Each task on a node drawn among those where it fits, all equally likely.
///
/// # Decision rule
/// Tasks in (group, index) order. With `n` nodes that have room, draw a 64-bit word `w` and take the
/// node at place ⌊w·n / 2⁶⁴⌋ in order of ids.
///
/// Draws are keyed by (seed, job): the stream of `Purpose::Policy` in domain 1 whose ordinal is the
/// job's id, begun anew at each attempt. What happens to one job shifts the draws of no other.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// None: the seed is the run's.
///
/// # Complexity
/// O(feasible nodes) per task.
///
/// # Differences
/// The bias of the multiplication is below nodes ÷ 2⁶⁴. The artefact of FGD scores each node with a
/// random number and breaks ties by name; the distribution is the same but for those ties.
///
/// # Reference
/// `Random` in the artefact of Weng et al., *Beware of Fragmentation*, USENIX ATC 2023, §6.1.
///
/// # Examples
/// The same seed gives the same run.
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Supply, TaskRequest, rng::Seed};
/// use windtunnel_policies::{Greedy, RandomFit};
///
/// let job = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(1), SimDuration::from_secs(10));
/// let digest = |seed| {
///     let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 100);
///     let jobs = JobList::new(vec![job.clone(); 50]);
///     let options = RunOptions::default().seed(Seed(seed));
///     Simulation::new(supply, jobs, Greedy::new(RandomFit::default()), options)?
///         .run()
///         .map(|report| report.digest)
///         .map_err(Box::<dyn std::error::Error>::from)
/// };
/// assert_eq!(digest(1)?, digest(1)?);
/// assert_ne!(digest(1)?, digest(2)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomFit {
    seed: Seed,
}

/// The domain of the streams of placement; policies that draw for themselves use domain 0.
const DOMAIN: u64 = 1;

impl Placer for RandomFit {
    fn name(&self) -> &'static str {
        "random"
    }

    fn begin(&mut self, view: &View<'_>) {
        self.seed = view.seed();
    }

    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit {
        let ordinal = u64::from(job.job_id().0);
        let mut draws = stream(self.seed, Purpose::Policy, DOMAIN, ordinal);
        let mut feasible: Vec<NodeId> = Vec::new();
        plan.place_by(job, |plan, task| {
            feasible.clear();
            let mut from = NodeId(0);
            while let Some(node) = plan.next_feasible(task, from) {
                feasible.push(node);
                from = NodeId(node.0 + 1);
            }
            let place = (u128::from(draws.next_word()) * feasible.len() as u128) >> 64;
            feasible.get(usize::try_from(place).ok()?).copied()
        })
    }
}
