//! A replay returns the log's own waits and utilization, exactly.

use windtunnel_core::{
    Bucket, JobList, JobLog, JobSpec, NodeId, NodeModel, RunOptions, SimDuration, SimTime,
    Simulation, Supply, TaskRequest,
};
use windtunnel_policies::policy;

use crate::support::{Dice, mixed_jobs};
use crate::textbook::Rigid;

/// Runs jobs under a policy and notes start and nodes of each.
fn run(jobs: &[JobSpec], supply: &Supply, name: &str) -> (windtunnel_core::Report, JobLog) {
    let mut log = JobLog::default();
    let list = JobList::new(jobs.to_vec());
    let policy = policy(name).unwrap();
    let simulation = Simulation::new(supply.clone(), list, policy, RunOptions::default());
    let report = simulation.unwrap().run_with(&mut log).unwrap();
    log.records.sort_by_key(|record| record.job);
    (report, log)
}

/// What one policy did is the log that is replayed: every start, node and bucket comes back.
#[test]
fn a_run_replayed_is_the_same_run() {
    let model = NodeModel::gpus_only("h100", 8).with_cores(32);
    let model = model.with_memory(windtunnel_core::Bytes::gib(64));
    let supply = Supply::uniform(model, 4);
    for (seed, name) in [
        (0, "first-fit"),
        (1, "fifo"),
        (2, "easy-backfill"),
        (3, "random"),
    ] {
        let mut jobs = mixed_jobs(seed, 150);
        // A record names one start per job, so: gangs of one node each, which a log can name.
        for job in &mut jobs {
            job.request.advance = windtunnel_core::Advance::All;
            job.request.groups[0].count = 1;
        }
        let (first, log) = run(&jobs, &supply, name);
        for (job, record) in jobs.iter_mut().zip(&log.records) {
            if let Some(start) = record.start {
                *job = job.clone().recorded(start, &record.nodes);
            }
        }
        let (again, replayed) = run(&jobs, &supply, "replay{unrecorded=wait}");
        for (a, b) in log.records.iter().zip(&replayed.records) {
            assert_eq!(
                (a.job, a.start, a.end, &a.nodes),
                (b.job, b.start, b.end, &b.nodes),
                "{name}"
            );
        }
        assert_eq!(first.end, again.end);
        let (a, b) = (first.ledger.unwrap(), again.ledger.unwrap());
        for bucket in Bucket::ALL
            .into_iter()
            .filter(|bucket| bucket.name().starts_with("alloc"))
        {
            assert_eq!(a.amount(bucket), b.amount(bucket), "{name}: {bucket}");
        }
    }
}

/// A log that over-commits: everything starts as soon as it fits, in the order of the log.
#[test]
fn a_log_that_overcommits_starts_late() {
    let mut dice = Dice(5 << 32);
    let jobs: Vec<JobSpec> = (0..200)
        .map(|n| {
            let run = SimDuration::from_secs(1 + dice.roll(9));
            let submit = SimTime::from_secs(n / 2);
            let start = submit + SimDuration::from_secs(dice.roll(5));
            JobSpec::new(submit, TaskRequest::gpus(1), run).recorded(start, &[NodeId(0)])
        })
        .collect();
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
    let (report, log) = run(&jobs, &supply, "replay");
    assert_eq!(report.summary.completed(), 200);
    let recorded = |job: &JobSpec| job.profile.recorded.as_ref().unwrap().start;
    let mut late = 0;
    for (job, record) in jobs.iter().zip(&log.records) {
        assert!(
            record.start.unwrap() >= recorded(job),
            "never before the log"
        );
        late += u32::from(record.start.unwrap() > recorded(job));
    }
    assert!(
        late > 100,
        "2 jobs of 5 s a second on 4 GPUs: {late} are late"
    );
}

/// The public log: every wait as recorded, and the processors' time. The log has up to 104 of the
/// machine's 100 processors in use, at 23 instants: on 100, a few jobs can't start when it says.
#[test]
fn kth_sp2_waits_as_recorded() {
    let Some(rigid) = crate::backfill::kth() else {
        return;
    };
    let recorded = |job: &Rigid| {
        let start = SimTime::from_nanos(job.submit + job.wait);
        crate::backfill::spec(job).recorded(start, &[])
    };
    let jobs: Vec<JobSpec> = rigid.iter().map(recorded).collect();
    for (processors, late) in [(104, 0), (100, 57)] {
        let supply = crate::backfill::processors(processors);
        let (report, log) = run(&jobs, &supply, "replay");
        assert_eq!(report.summary.completed(), 28_489);
        let start = |at: usize| log.records[at].start.unwrap().as_nanos();
        let waits = |at: usize| start(at) - rigid[at].submit;
        let differ = (0..jobs.len()).filter(|at| waits(*at) != rigid[*at].wait);
        assert_eq!(differ.count(), late, "on {processors} processors");
        let used = |at: usize| {
            let length = log.records[at].end.as_nanos() - start(at);
            u128::from(length) * u128::from(rigid[at].procs)
        };
        let hours = (0..jobs.len()).map(used).sum::<u128>() / (3_600 * 1_000_000_000);
        assert_eq!(hours, 562_394, "processor-hours, as its README states");
        if late == 0 {
            let mean = (0..jobs.len()).map(waits).sum::<u64>() / jobs.len() as u64;
            assert_eq!(
                mean / 1_000_000_000,
                15_390,
                "the mean wait that its README states"
            );
            let last = (0..jobs.len()).map(|at| rigid[at].submit + rigid[at].wait + rigid[at].run);
            assert_eq!(last.max(), Some(report.end.as_nanos()));
        }
    }
}
