//! The first decision at which two runs part, what both saw then, and what followed from it.
//!
//! [`diff`] steps two simulations of the same jobs side by side and compares what happens to jobs:
//! placements task by task, bindings, evictions, ends, admission. Reasons of waiting, wake-ups and
//! holds are not compared: two policies that say different things and do the same have not parted.
//! If at first they only take other nodes for the same tasks, the first act that one of them does not
//! do at all is told too ([`Diff::beyond_nodes`]).
//!
//! ```
//! use windtunnel::core::{
//!     Decisions, Fit, JobList, JobSpec, News, NodeModel, Policy, RunOptions, SimDuration, SimTime,
//!     Simulation, Supply, TaskRequest, View,
//! };
//! use windtunnel::diff::diff;
//! use windtunnel::policies::policy;
//!
//! #[derive(Clone)]
//! struct LastFirst; // the job that came last is placed first
//! impl Policy for LastFirst {
//!     fn name(&self) -> &str { "last-first" }
//!     fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
//!         let mut plan = view.plan();
//!         let mut jobs: Vec<_> = view.pending_jobs().collect();
//!         jobs.reverse();
//!         for job in jobs {
//!             if let Fit::Now(spots) = plan.first_fit(job) {
//!                 out.place(job.id(), spots);
//!             }
//!         }
//!     }
//! }
//!
//! let job = |second| {
//!     let submit = SimTime::from_secs(second);
//!     JobSpec::new(submit, TaskRequest::gpus(4), SimDuration::from_mins(1))
//! };
//! let jobs = JobList::new(vec![job(0), job(10), job(20)]);
//! let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
//! let run = |policy: Box<dyn Policy>| {
//!     Simulation::new(supply.clone(), jobs.clone(), policy, RunOptions::default())
//! };
//! let found = diff(run(Box::new(LastFirst))?, run(policy("fifo")?)?)?;
//!
//! let parting = found.parting.expect("they part when the first job ends");
//! assert_eq!(parting.at, SimTime::from_secs(60));
//! assert_eq!(parting.acts[0][0].to_string(), "places job-2 (4 GPUs) on node 0");
//! assert_eq!(parting.acts[1][0].to_string(), "places job-1 (4 GPUs) on node 0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acts;
mod followed;
mod state;
mod text;

use windtunnel_core::{JobId, JobRef, Reason, Report, RunError, SimTime, Simulation, Step};

use crate::error::ExperimentError;
use crate::jobs::JobSource;
use crate::scenario::Scenario;
use crate::sweep::{self, RunKey};

pub use acts::{Act, What};
pub use followed::{Followed, Spell};
pub use state::{Queued, State};

use acts::{Heed, Watch};

/// Why two runs can't be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// They are not given the same jobs.
    #[error("the runs have different jobs: {0} is not the same in both")]
    DifferentJobs(JobId),
    /// One of them broke off.
    #[error("the {side} run: {cause}")]
    Run {
        /// `left` or `right`.
        side: &'static str,
        /// Why.
        cause: RunError,
    },
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// When.
    pub at: SimTime,
    /// Whether they do the same with the same tasks, on other nodes.
    pub only_nodes: bool,
    /// What each did that the other did not, left and right; empty for one that only waited.
    pub acts: [Vec<Act>; 2],
    /// Why a job on which the other acted waits here, left and right.
    pub waits: [Vec<(JobId, Reason)>; 2],
    /// What the policies say of these jobs, left and right, if anything.
    pub says: [Vec<(JobId, String)>; 2],
    /// The state just before, worked out from the left and from the right run; `None` if what a run
    /// did can't be undone on paper (an eviction, a rejection). Where both are given they are equal.
    pub before: [Option<State>; 2],
    /// The state just after, left and right.
    pub after: [State; 2],
}

/// What [`diff`] found.
#[derive(Clone, Debug)]
pub struct Diff {
    /// Names of the two, left and right.
    pub names: [String; 2],
    /// Where they part, if they do.
    pub parting: Option<Parting>,
    /// Where they first differ in more than nodes, if at the parting they only take other nodes for
    /// the same tasks, and if they do.
    pub beyond_nodes: Option<Parting>,
    /// What followed.
    pub followed: Followed,
    /// Their figures, left and right.
    pub reports: [Report; 2],
}

/// Steps two runs of the same jobs side by side to their ends: O(work of both runs); memory grows with
/// the jobs that are over in one of them only.
///
/// # Errors
/// They have different jobs, or one breaks off.
pub fn diff(mut left: Simulation, mut right: Simulation) -> Result<Diff, DiffError> {
    let mut watches = [Watch::default(), Watch::default()];
    let (mut parting, mut beyond_nodes) = (None, None);
    let mut followed = Followed::default();
    while let Some(at) = next(&mut left, &mut right)? {
        for (side, simulation) in [&mut left, &mut right].into_iter().enumerate() {
            let watch = &mut watches[side];
            while simulation.next_instant().map_err(broke(side))? == Some(at) {
                simulation.step_with(watch).map_err(broke(side))?;
            }
        }
        let [a, b] = &mut watches;
        acts::same_jobs(a, b)?;
        if !acts::same(a, b) {
            let only_nodes = acts::same_but_nodes(a, b);
            if parting.is_none() {
                let found = part(at, &mut left, &mut right, &watches, Heed::All);
                followed.follow(&found);
                parting = Some(found);
            } else if !only_nodes {
                let found = part(at, &mut left, &mut right, &watches, Heed::NoNodes);
                followed.follow(&found);
                beyond_nodes = Some(found);
            }
            if !only_nodes {
                // All is told that there is to tell: nobody asks for deeds any more.
                watches.iter_mut().for_each(Watch::only_submissions);
            }
        }
        for (side, watch) in watches.iter_mut().enumerate() {
            followed.take(side, watch.records.drain(..));
            watch.clear();
        }
    }
    for (side, simulation) in [&mut left, &mut right].into_iter().enumerate() {
        while let Step::Instant(_) = simulation
            .step_with(&mut watches[side])
            .map_err(broke(side))?
        {}
        followed.take(side, watches[side].records.drain(..));
    }
    followed.finish();
    let reports = [left.report(), right.report()];
    Ok(Diff {
        names: [reports[0].platform.clone(), reports[1].platform.clone()],
        parting,
        beyond_nodes,
        followed,
        reports,
    })
}

fn broke(side: usize) -> impl Fn(RunError) -> DiffError {
    move |cause| DiffError::Run {
        side: ["left", "right"][side],
        cause,
    }
}

/// The next instant of whichever is behind.
fn next(left: &mut Simulation, right: &mut Simulation) -> Result<Option<SimTime>, DiffError> {
    let left = left.next_instant().map_err(broke(0))?;
    let right = right.next_instant().map_err(broke(1))?;
    Ok([left, right].into_iter().flatten().min())
}

fn part(
    at: SimTime,
    left: &mut Simulation,
    right: &mut Simulation,
    watches: &[Watch; 2],
    heed: Heed,
) -> Parting {
    let only = acts::apart(&watches[0], &watches[1], heed);
    let acts = [
        acts::told(&only[0], &watches[0]),
        acts::told(&only[1], &watches[1]),
    ];
    let jobs = [held_back(left, &acts[1]), held_back(right, &acts[0])];
    let waits = [waits(left, &jobs[0]), waits(right, &jobs[1])];
    let says = [says(left, &jobs[0]), says(right, &jobs[1])];
    let before = [
        state::before(&left.view(), &only[0], &watches[0]),
        state::before(&right.view(), &only[1], &watches[1]),
    ];
    let after = [State::of(&left.view()), State::of(&right.view())];
    Parting {
        at,
        only_nodes: acts::same_but_nodes(&watches[0], &watches[1]),
        acts,
        waits,
        says,
        before,
        after,
    }
}

/// Jobs that wait here on which the other run acted.
fn held_back(simulation: &mut Simulation, acts: &[Act]) -> Vec<JobRef> {
    let wanted = |id: JobId| acts.iter().any(|act| act.job == id);
    let view = simulation.view();
    let jobs = view.pending_jobs().filter(|job| wanted(job.job_id()));
    jobs.map(|job| job.id()).collect()
}

/// Why they wait.
fn waits(simulation: &Simulation, jobs: &[JobRef]) -> Vec<(JobId, Reason)> {
    let why = |job: &JobRef| Some((job.id, simulation.why_waits(*job)?));
    jobs.iter().filter_map(why).collect()
}

/// What their policies say of them.
fn says(simulation: &mut Simulation, jobs: &[JobRef]) -> Vec<(JobId, String)> {
    let says = |job: &JobRef| Some((job.id, simulation.explanation(*job)?.text));
    jobs.iter().filter_map(says).collect()
}

/// A run of a scenario: platform and seed by their places.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its platform.
    pub platform: usize,
    /// Its seed.
    pub seed: usize,
}

impl Diff {
    /// Where they differ in more than nodes: what one does with a task the other does not do then.
    #[must_use]
    pub fn first_other_act(&self) -> Option<&Parting> {
        let parting = self.parting.as_ref()?;
        if parting.only_nodes {
            self.beyond_nodes.as_ref()
        } else {
            Some(parting)
        }
    }
}

impl Chosen<'_> {
    fn simulation(&self) -> Result<Simulation, ExperimentError> {
        let source = JobSource::open(self.scenario)?;
        let key = RunKey {
            platform: self.platform,
            seed: self.seed,
        };
        sweep::simulation(self.scenario, &source, key, true)
    }

    fn name(&self) -> String {
        self.scenario.platforms[self.platform].name.clone()
    }
}

/// The same for two runs of scenarios, which may be one and the same.
///
/// # Errors
/// As [`diff`]; also if their jobs can't be had.
///
/// # Panics
/// If a scenario has no such platform or seed.
pub fn runs(left: Chosen<'_>, right: Chosen<'_>) -> Result<Diff, ExperimentError> {
    let found = diff(left.simulation()?, right.simulation()?).map_err(|error| match error {
        DiffError::Run { side, cause } => {
            let run = if side == "left" { left } else { right };
            ExperimentError::Run {
                platform: run.name(),
                seed: run.scenario.run.seeds[run.seed],
                cause,
            }
        }
        other @ DiffError::DifferentJobs(_) => ExperimentError::setting(
            other.to_string(),
            "compare runs of one workload and one seed",
        ),
    })?;
    Ok(found)
}
