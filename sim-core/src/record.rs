//! What is recorded of a job once it is over.

use crate::ids::{ControllerId, JobId, NodeId, QueueId, TenantId};
use crate::job_name::JobName;
use crate::reason::REASONS;
use crate::task::Outcome;
use crate::time::{SimDuration, SimTime};
use crate::units::MicroDollars;

/// The life of one job, for output. Formulas in `docs/METRICS.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Its ordinal.
    pub job: JobId,
    /// Its name in the trace.
    pub name: Option<JobName>,
    /// Its controller.
    pub kind: ControllerId,
    /// Who pays.
    pub tenant: TenantId,
    /// Its queue.
    pub queue: QueueId,
    /// When it was submitted.
    pub submit: SimTime,
    /// When all tasks a unit needs were first bound.
    pub start: Option<SimTime>,
    /// When it ended, or the run did.
    pub end: SimTime,
    /// How it ended; `None` if it did not.
    pub outcome: Option<Outcome>,
    /// Whether it is larger than the supply.
    pub never_fits: bool,
    /// Number of tasks.
    pub tasks: u32,
    /// GPUs asked for over all tasks \[milli\].
    pub gpu_milli: u64,
    /// Its walltime limit.
    pub limit: Option<SimDuration>,
    /// Incarnations of its most restarted task; zero if none was ever created.
    pub attempts: u32,
    /// Times a policy took a running unit of it out, suspensions apart.
    pub preemptions: u32,
    /// Time queued over all attempts, by reason \[ns\].
    pub waited: [u64; REASONS],
    /// GPU time that was useful and stayed so [milli-GPU·ppm·ns].
    pub useful: u128,
    /// GPU time whose progress was thrown away [milli-GPU·ppm·ns].
    pub lost: u128,
    /// GPU time held [milli-GPU·ns].
    pub held: u128,
    /// What that cost: GPU time held × price ÷ GPUs per node, rounded down.
    pub cost: MicroDollars,
    /// Nodes it ran on, in order of first use (at most 1,024).
    pub nodes: Vec<NodeId>,
}

impl JobRecord {
    /// Time queued over all attempts: the sum over reasons.
    #[must_use]
    pub fn queued(&self) -> SimDuration {
        SimDuration::from_nanos(self.waited.iter().sum())
    }

    /// First start − submit; to the end for a job that never started.
    #[must_use]
    pub fn wait(&self) -> SimDuration {
        self.start.unwrap_or(self.end).since(self.submit)
    }

    /// End − submit: job completion time.
    #[must_use]
    pub fn jct(&self) -> SimDuration {
        self.end.since(self.submit)
    }

    /// Time during which everything it needed was bound: completion time − queued time.
    #[must_use]
    pub fn run_time(&self) -> SimDuration {
        self.jct().saturating_sub(self.queued())
    }

    /// max(1, JCT ÷ max(run time, τ)) with τ = 10 s, in parts per million, rounded down.
    #[must_use]
    pub fn bounded_slowdown_ppm(&self) -> u128 {
        bounded_slowdown_ppm(self.jct(), self.run_time())
    }
}

/// The formula of [`JobRecord::bounded_slowdown_ppm`].
pub(crate) fn bounded_slowdown_ppm(jct: SimDuration, run: SimDuration) -> u128 {
    const FLOOR: u64 = SimDuration::from_secs(10).as_nanos();
    let run = run.as_nanos().max(FLOOR);
    let parts = match jct.as_nanos().checked_mul(1_000_000) {
        Some(product) => u128::from(product / run),
        None => u128::from(jct.as_nanos()) * 1_000_000 / u128::from(run),
    };
    parts.max(1_000_000)
}
