//! Backfilling against the textbook, and its promises on clusters the textbook knows nothing of.

use std::io::{Read, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use windtunnel_core::{
    Decision, Decisions, Grants, JobList, JobLog, JobRef, JobSpec, Knowledge, News, NodeModel,
    Platform, Policy, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest, View,
};
use windtunnel_policies::{
    AnyPlacer, By, ConservativeBackfill, EasyBackfill, FirstFit, Order, WorstFit, policy,
};

use crate::support::Dice;
use crate::textbook::{self, Rigid};

/// One node of so many cores and no GPU: rigid processors.
pub(crate) fn processors(count: u32) -> Supply {
    Supply::uniform(NodeModel::gpus_only("none", 0).with_cores(count), 1)
}

pub(crate) fn spec(job: &Rigid) -> JobSpec {
    let cores = u32::try_from(job.procs).unwrap();
    JobSpec::new(
        SimTime::from_nanos(job.submit),
        TaskRequest::gpus(0).with_cores(cores),
        SimDuration::from_nanos(job.run),
    )
    .estimate(SimDuration::from_nanos(job.estimate))
}

/// Start of each job under a policy \[ns\].
fn simulated(jobs: &[Rigid], total: u32, name: &str) -> Vec<u64> {
    let list = JobList::new(jobs.iter().map(spec).collect());
    let policy = policy(name).unwrap();
    let options = RunOptions::default().without_ledger();
    let mut log = JobLog::default();
    let simulation = Simulation::new(processors(total), list, policy, options).unwrap();
    simulation.run_with(&mut log).unwrap();
    log.records.sort_by_key(|record| record.job);
    let start = |record: &windtunnel_core::JobRecord| record.start.unwrap().as_nanos();
    log.records.iter().map(start).collect()
}

/// The same under conservative backfilling; nobody may overrun his estimate.
fn compare_conservative(jobs: &[Rigid], total: u32) {
    let expected = textbook::conservative_starts(jobs, u64::from(total));
    let found = simulated(jobs, total, "conservative-backfill");
    let first = (0..jobs.len()).find(|&job| expected[job] != found[job]);
    assert_eq!(
        expected, found,
        "the first to differ is {first:?}: {jobs:#?}"
    );
}

fn compare(jobs: &[Rigid], total: u32) {
    for (name, backfills) in [("fifo", false), ("easy-backfill", true)] {
        let expected = textbook::starts(jobs, u64::from(total), backfills);
        let found = simulated(jobs, total, name);
        let differ = expected.iter().zip(&found).filter(|(a, b)| a != b).count();
        let first = (0..jobs.len()).find(|&job| expected[job] != found[job]);
        assert_eq!(
            differ,
            0,
            "{name}: {differ} of {} starts differ; the first is job {first:?}: {:?} textbook, {:?} ours",
            jobs.len(),
            first.map(|job| expected[job]),
            first.map(|job| found[job])
        );
    }
}

/// Jobs that crowd 10 processors: equal submit times, zero run times, estimates too long, exact, or
/// (`overrun`) too short.
fn crowd(overrun: bool) -> impl Strategy<Value = Vec<Rigid>> {
    let job = (0..3_u64, 0..9_u64, 0..9_u64, 1..=10_u64, 0..3_u64);
    prop::collection::vec(job, 1..60).prop_map(move |rows| {
        let mut submit = 0;
        let rigid = |(gap, run, other, procs, kind): (u64, u64, u64, u64, u64)| {
            submit += if kind == 0 { 0 } else { gap };
            let estimate = match kind {
                0 => run,
                1 if overrun => other,
                _ => run + other,
            };
            Rigid {
                submit,
                run,
                estimate,
                procs,
                wait: 0,
            }
        };
        rows.into_iter().map(rigid).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn easy_is_the_textbook_with_honest_estimates(jobs in crowd(false)) {
        compare(&jobs, 10);
    }

    #[test]
    fn conservative_is_the_textbook(jobs in crowd(false)) {
        compare_conservative(&jobs, 10);
    }

    #[test]
    fn conservative_survives_estimates_that_are_overrun(jobs in crowd(true)) {
        let starts = simulated(&jobs, 10, "conservative-backfill");
        prop_assert!(starts.iter().zip(&jobs).all(|(start, job)| *start >= job.submit));
    }

    #[test]
    fn easy_is_the_textbook_with_estimates_that_are_overrun(jobs in crowd(true)) {
        compare(&jobs, 10);
    }
}

/// KTH-SP2 from the public log: submit, run, processors, requested time; `None`, visibly, where it is
/// missing and need not be there.
pub(crate) fn kth() -> Option<Vec<Rigid>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/traces/swf/KTH-SP2-1996-2.swf.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        let ci = std::env::vars().any(|(key, value)| key == "CI" && value == "true");
        let path = path.display();
        assert!(!ci, "CI needs the public traces beside the project: {path}");
        let _ = writeln!(std::io::stderr(), "skipped: {path} is not there");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let rows = text.lines().filter(|line| !line.starts_with(';'));
    let job = |line: &str| {
        let field = |at: usize| {
            line.split_whitespace()
                .nth(at)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        const SECOND: u64 = 1_000_000_000;
        Rigid {
            submit: field(1) * SECOND,
            run: field(3) * SECOND,
            wait: field(2) * SECOND,
            procs: field(4),
            estimate: field(8) * SECOND,
        }
    };
    let mut jobs: Vec<Rigid> = rows.map(job).collect();
    assert_eq!(jobs.len(), 28_489);
    jobs.sort_by_key(|job| job.submit);
    Some(jobs)
}

#[test]
fn kth_sp2_is_the_textbook_job_by_job() {
    let Some(jobs) = kth() else { return };
    compare(&jobs, 100);
    let starts = simulated(&jobs, 100, "easy-backfill");
    let waited: u64 = starts
        .iter()
        .zip(&jobs)
        .map(|(start, job)| start - job.submit)
        .sum();
    let mean = waited / jobs.len() as u64 / 1_000_000_000;
    let _ = writeln!(
        std::io::stderr(),
        "KTH-SP2 under easy-backfill: mean wait {mean} s"
    );
}

/// Notes what a policy promises after each call and holds it to that: a job that still waits has a
/// promise that is no later, and not in the past.
#[derive(Clone, Debug)]
struct Watched<P> {
    policy: P,
    promises: fn(&P) -> Vec<(JobRef, SimTime)>,
    promised: Vec<(JobRef, SimTime)>,
}

impl<P: Policy + Clone + 'static> Policy for Watched<P> {
    fn name(&self) -> &str {
        "watched"
    }
    fn knowledge(&self) -> Knowledge {
        self.policy.knowledge()
    }
    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.policy.begin(view, grants);
    }
    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.policy.decide(view, news, out);
        let now = (self.promises)(&self.policy);
        for &(job, at) in &self.promised {
            let starts = out.list().iter().any(
                |decision| matches!(decision, Decision::Place { tasks, .. } if tasks.job() == job),
            );
            if !starts && view.job(job).is_some_and(|job| job.is_pending()) {
                let kept = now
                    .iter()
                    .find(|(other, _)| *other == job)
                    .map(|(_, at)| *at);
                let late = view.now() >= at || kept.is_none_or(|kept| kept > at);
                assert!(!late, "{job:?} at {}: was {at}, is {kept:?}", view.now());
            }
        }
        self.promised = now;
    }
}

/// Gangs and single tasks with GPUs and cores, estimates exact or too long.
fn gangs(seed: u64, count: u64) -> Vec<JobSpec> {
    let mut dice = Dice(seed << 32);
    let mut submit = 0;
    (0..count)
        .map(|_| {
            submit += dice.roll(6);
            let gpus = [0, 1, 1, 2, 4, 8][usize::try_from(dice.roll(6)).unwrap()];
            let cores = u32::try_from(dice.roll(12)).unwrap();
            let request = TaskRequest::gpus(gpus).with_cores(cores);
            let run = SimDuration::from_secs(dice.roll(50));
            let estimate = run + SimDuration::from_secs(dice.roll(3) * dice.roll(30));
            let tasks = 1 + u32::try_from(dice.roll(4)).unwrap();
            JobSpec::new(SimTime::from_secs(submit), request, run)
                .tasks(tasks)
                .estimate(estimate)
        })
        .collect()
}

/// Runs crowds of gangs on nodes with GPUs and cores, wherever tasks are placed.
fn keeps_promises<P: Policy + Clone + 'static>(
    make: fn(AnyPlacer) -> P,
    promises: fn(&P) -> Vec<(JobRef, SimTime)>,
) {
    for seed in 0..40 {
        for placer in [AnyPlacer::First(FirstFit), AnyPlacer::Worst(WorstFit)] {
            let watched = Watched {
                policy: make(placer),
                promises,
                promised: Vec::new(),
            };
            let supply = Supply::uniform(NodeModel::gpus_only("h100", 8).with_cores(32), 4);
            let (jobs, options) = (JobList::new(gangs(seed, 150)), RunOptions::default());
            let simulation = Simulation::new(supply, jobs, Platform::from(watched), options);
            let report = simulation.unwrap().run().unwrap();
            assert_eq!(report.summary.completed(), 150);
        }
    }
}

/// The head starts no later than it was ever promised.
#[test]
fn easy_never_delays_the_head() {
    keeps_promises(
        |placer| EasyBackfill::new(placer).order(Order::Fcfs, By::Estimate),
        |policy| policy.promise().into_iter().collect(),
    );
}

/// Nobody starts later than ever promised.
#[test]
fn conservative_never_delays_anybody() {
    keeps_promises(
        |placer| ConservativeBackfill::new(placer).order(Order::Fcfs, By::Estimate),
        |policy| policy.promises().collect(),
    );
}
