//! Fast ways give the same outcome as plain ones.

use windtunnel_core::{
    Decisions, Fit, JobList, JobLog, News, NodeModel, Platform, Policy, RunOptions, Simulation,
    Supply, TaskState, View,
};
use windtunnel_policies::kubernetes::plugins::NodeResourcesFit;
use windtunnel_policies::kubernetes::{Config, KubeDefault, NodeFilter, Profile, Tie};
use windtunnel_policies::{BestFit, FirstFit, Greedy, Placer};

use crate::support::mixed_jobs;

/// (job, start, end) of every job.
type Outcomes = Vec<(u32, Option<u64>, u64)>;

fn outcomes(policy: impl Policy + 'static, seed: u64) -> Outcomes {
    let model = NodeModel::gpus_only("h100", 8)
        .with_cores(32)
        .with_memory(windtunnel_core::Bytes::gib(64));
    let options = RunOptions::default().horizon(windtunnel_core::SimDuration::from_hours(1));
    let jobs = JobList::new(mixed_jobs(seed, 150));
    let simulation = Simulation::new(
        Supply::uniform(model, 4),
        jobs,
        Platform::from(policy),
        options,
    );
    let mut log = JobLog::default();
    simulation.unwrap().run_with(&mut log).unwrap();
    let row = |record: &windtunnel_core::JobRecord| {
        (
            record.job.0,
            record.start.map(|at| at.as_nanos()),
            record.end.as_nanos(),
        )
    };
    log.records.iter().map(row).collect()
}

/// Greedy as one would write it: ask every pending job.
#[derive(Clone, Debug)]
struct Plain<P>(P);

impl<P: Placer + 'static> Policy for Plain<P> {
    fn name(&self) -> &str {
        "plain"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            match self.0.place(job, &mut plan) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::Never => out.reject(job.id()),
                Fit::NotNow => {}
            }
        }
    }
}

#[test]
fn skipping_whole_shapes_changes_nothing() {
    for seed in 0..20 {
        assert_eq!(
            outcomes(Greedy::new(FirstFit), seed),
            outcomes(Plain(FirstFit), seed)
        );
        assert_eq!(
            outcomes(Greedy::new(BestFit), seed),
            outcomes(Plain(BestFit), seed)
        );
    }
}

/// Passes everything and makes the scheduler forget failures at every binding.
#[derive(Debug)]
struct Forgetful;

impl NodeFilter for Forgetful {
    fn name(&self) -> &'static str {
        "Forgetful"
    }
    fn binding_may_help(&self) -> bool {
        true
    }
}

#[test]
fn remembering_failures_changes_nothing() {
    for seed in 0..20 {
        let config = Config {
            tie: Tie::Upstream,
            ..Config::default()
        };
        let plain = || Profile::new().filter(NodeResourcesFit);
        let quick = outcomes(KubeDefault::with_profile(config, plain()), seed);
        let slow = outcomes(
            KubeDefault::with_profile(config, plain().filter(Forgetful)),
            seed,
        );
        assert_eq!(quick, slow);
        assert!(quick.iter().any(|(_, start, _)| start.is_some()));
    }
}

/// No pod that would fit is left waiting: Kubernetes has no head of line either.
#[derive(Clone, Debug)]
struct Checked(KubeDefault);

impl Policy for Checked {
    fn name(&self) -> &str {
        "checked"
    }
    fn begin(&mut self, view: &View<'_>, grants: windtunnel_core::Grants) {
        self.0.begin(view, grants);
    }
    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.0.decide(view, news, out);
        let mut plan = view.plan();
        let mut placed = std::collections::BTreeSet::new();
        for decision in out.list() {
            if let windtunnel_core::Decision::Place {
                tasks: windtunnel_core::TaskSet::Task(task),
                on,
                ..
            } = decision
            {
                assert!(plan.take(view.task(*task).unwrap(), out.spots(*on)[0].node));
                placed.insert(*task);
            }
        }
        let tasks = view.pending_jobs().flat_map(|job| job.tasks());
        for task in tasks.filter(|task| task.state() == TaskState::Pending) {
            let left_out = !placed.contains(&task.id()) && plan.slots(task) > 0;
            assert!(
                !left_out,
                "{} waits at {} though it fits",
                task.id(),
                view.now()
            );
        }
    }
}

#[test]
fn no_pod_waits_that_fits() {
    for seed in 0..20 {
        let checked = outcomes(Checked(KubeDefault::default()), seed);
        assert_eq!(checked, outcomes(KubeDefault::default(), seed));
    }
}
