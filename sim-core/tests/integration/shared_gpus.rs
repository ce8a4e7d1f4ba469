//! GPUs that several tasks have at once: time-slicing, MPS, MIG, memory. Worked to the unit.

use std::sync::Arc;

use crate::support::{FirstFit, StrictFifo, at, ledger_line, nodes, run, secs, waits};
use windtunnel_core::{
    Advance, Batch, Behaviour, Bucket, Bytes, Controller, ControllerId, Fault, JobLog, JobSpec,
    ListedFaults, MigTable, NodeModel, Outcome, Platform, Ppm, Report, Sharing, SimDuration, Supply,
    TaskRequest,
};

const TWO: Sharing = Sharing::TimeSliced { slots: 2 };
const FOUR: Sharing = Sharing::TimeSliced { slots: 4 };

fn shared(sharing: Sharing) -> Platform {
    Platform::new("shared", FirstFit).sharing(sharing)
}

fn whole(submit: u64, run: u64, duty: u32) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpus(1), secs(run)).duty(Ppm(duty * 10_000))
}

fn part(submit: u64, milli: u16, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpu_milli(milli), secs(run))
}

/// Milliseconds at which jobs ended, by id.
fn ends(log: &JobLog) -> Vec<u64> {
    let mut records: Vec<_> = log.records.iter().collect();
    records.sort_by_key(|record| record.job);
    records.iter().map(|record| record.end.as_nanos() / 1_000_000).collect()
}

/// milli-GPU·s per bucket, those that are not zero.
fn exact(report: &Report) -> String {
    let ledger = report.ledger.as_ref().unwrap();
    let lines = Bucket::ALL.into_iter().filter_map(|bucket| {
        let unit = 1_000_000 * 1_000_000_000;
        let amount = ledger.amount(bucket);
        (amount > 0).then(|| {
            let rest = amount % unit;
            let rest = if rest == 0 { String::new() } else { format!("+{rest}") };
            format!("{bucket}={}{rest}", amount / unit)
        })
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Two jobs that are always busy on one GPU go at 0.485 each: 97 % of it, the rest is lost to switching.
/// a does 20 s alone, b comes; b's 48.5 s take 100 s; a has 48.5 + 20 s by then and does its last 31.5
/// alone.
#[test]
fn two_busy_jobs_take_turns() {
    let mut jobs = vec![whole(0, 100, 100), whole(20, 485, 100)];
    jobs[1].profile.work = windtunnel_core::Work::Uniform(SimDuration::from_millis(48_500));
    let (report, log) = run(nodes(1, 1), jobs, shared(TWO), 200);
    assert_eq!(ends(&log), [151_500, 120_000]);
    assert_eq!(
        exact(&report),
        "idle.no_demand=48500 allocated.interference=3000 allocated.useful=148500"
    );
}
