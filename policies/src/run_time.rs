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
    /// Whether nothing but limits is asked for, so that no grant is needed.
    limits_only: bool,
}

impl RunTimes {
    /// Run times by estimate or by oracle; before [`begin`](Self::begin), limits are all there is.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// Walltime limits and nothing else, of a policy that declares nothing.
    pub(crate) fn limits_only() -> Self {
        Self {
            limits_only: true,
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
    ///
    /// # Panics
    /// If the policy that asks did not declare what it uses: it would silently decide without
    /// estimates.
    pub fn begin(&mut self, grants: Grants) {
        match self.by {
            _ if self.limits_only => {}
            By::Estimate => assert!(
                grants.estimate.is_some(),
                "the policy uses estimates but does not declare them: add `fn knowledge(&self) -> \
                 Knowledge {{ self.run_times.knowledge() }}` to its `impl Policy`"
            ),
            By::Oracle => assert!(
                grants.oracle.is_some(),
                "the policy uses the truth but does not declare it: add `fn knowledge(&self) -> \
                 Knowledge {{ self.run_times.knowledge() }}` to its `impl Policy`"
            ),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use windtunnel_core::{
        Decisions, JobList, News, NodeModel, Policy, RunOptions, Simulation, Supply,
    };

    /// Uses run times and declares what it is told to.
    #[derive(Clone, Debug)]
    struct Declares(RunTimes, Knowledge);

    impl Policy for Declares {
        fn name(&self) -> &str {
            "declares"
        }
        fn knowledge(&self) -> Knowledge {
            self.1
        }
        fn begin(&mut self, _: &View<'_>, grants: Grants) {
            self.0.begin(grants);
        }
        fn decide(&mut self, _: &View<'_>, _: &News<'_>, _: &mut Decisions) {}
    }

    fn begin(times: RunTimes, declared: Knowledge) {
        let supply = Supply::uniform(NodeModel::gpus_only("h100", 1), 1);
        let (jobs, options) = (JobList::new(Vec::new()), RunOptions::default());
        Simulation::new(supply, jobs, Declares(times, declared), options).unwrap();
    }

    #[test]
    fn what_is_declared_may_be_used() {
        begin(RunTimes::new(By::Estimate), Knowledge::Estimate);
        begin(RunTimes::new(By::Estimate), Knowledge::Oracle);
        begin(RunTimes::new(By::Oracle), Knowledge::Oracle);
        begin(RunTimes::limits_only(), Knowledge::Nothing);
    }

    #[test]
    #[should_panic(
        expected = "the policy uses estimates but does not declare them: add `fn knowledge"
    )]
    fn estimates_that_are_not_declared() {
        begin(RunTimes::new(By::Estimate), Knowledge::Nothing);
    }

    #[test]
    #[should_panic(
        expected = "the policy uses the truth but does not declare it: add `fn knowledge"
    )]
    fn truth_that_is_not_declared() {
        begin(RunTimes::new(By::Oracle), Knowledge::Estimate);
    }
}
