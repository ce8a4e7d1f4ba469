//! How long a job will run, as far as a policy may know.

use windtunnel_core::{
    EstimateGrant, Grants, JobView, Knowledge, LimitMode, OracleGrant, SimDuration, View, Work,
};

/// Where run times come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// What the user says: the estimate, else the walltime limit.
    #[default]
    Estimate,
    /// The truth.
    Oracle,
}

/// Answers how long jobs run.
///
/// By estimate: the job's estimate; without one, its walltime limit; without that, nothing is known
/// and the job counts as endless. By oracle: startup and work at the reference rate (the longest task
/// of an array), cut by the walltime limit where the platform enforces it exactly; services are
/// endless. Both count from the binding of the tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunTimes {
    by: By,
    estimate: Option<EstimateGrant>,
    oracle: Option<OracleGrant>,
}

impl RunTimes {
    /// Run times by estimate or by oracle; without grants, limits are all there is.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// What the policy that asks must declare.
    #[must_use]
    pub const fn knowledge(&self) -> Knowledge {
        match self.by {
            By::Estimate => Knowledge::Estimate,
            By::Oracle => Knowledge::Oracle,
        }
    }

    /// Takes the grants that the engine hands out.
    pub fn begin(&mut self, grants: Grants) {
        (self.estimate, self.oracle) = (grants.estimate, grants.oracle);
    }

    /// How long the job runs from its binding; `None` if nobody can say.
    #[must_use]
    pub fn of(&self, view: &View<'_>, job: JobView<'_>) -> Option<SimDuration> {
        match self.by {
            By::Estimate => {
                let estimate = self.estimate.as_ref();
                let estimate = estimate.and_then(|grant| view.estimate(grant, job.id()));
                estimate.or(job.limit())
            }
            By::Oracle => {
                let profile = view.truth(self.oracle.as_ref()?, job.id())?;
                let work = match &profile.work {
                    Work::Endless => None,
                    Work::Uniform(work) => Some(*work),
                    Work::PerTask(each) => each.iter().max().copied(),
                };
                let whole = work.map(|work| {
                    let nanos = work.as_nanos().saturating_add(profile.startup.as_nanos());
                    SimDuration::from_nanos(nanos)
                });
                let limit = job
                    .limit()
                    .filter(|_| view.limit_mode() == LimitMode::Exact);
                match (whole, limit) {
                    (Some(whole), Some(limit)) => Some(whole.min(limit)),
                    (whole, limit) => whole.or(limit),
                }
            }
        }
    }
}
