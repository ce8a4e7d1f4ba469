//! Scenario builders and small policies, good enough to be read aloud.

use windtunnel_core::{
    Bucket, Decisions, Fit, JobList, JobLog, JobSpec, News, NodeModel, Platform, Policy, Reason,
    Report, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest, View,
};

pub(crate) fn secs(n: u64) -> SimDuration {
    SimDuration::from_secs(n)
}

pub(crate) fn at(n: u64) -> SimTime {
    SimTime::from_secs(n)
}

/// `count` nodes with `gpus` GPUs each and nothing else.
pub(crate) fn nodes(count: u32, gpus: u8) -> Supply {
    Supply::uniform(NodeModel::gpus_only("h100", gpus), count)
}

/// A gang of one task submitted at 0.
pub(crate) fn job(gpus: u16, run: u64) -> JobSpec {
    JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), secs(run))
}

/// Runs to a horizon and returns the report with all job records.
pub(crate) fn run(
    supply: Supply,
    jobs: Vec<JobSpec>,
    platform: impl Into<Platform>,
    horizon: u64,
) -> (Report, JobLog) {
    let options = RunOptions::default().horizon(secs(horizon));
    let simulation = Simulation::new(supply, JobList::new(jobs), platform, options).unwrap();
    let mut log = JobLog::default();
    let report = simulation.run_with(&mut log).unwrap();
    (report, log)
}

/// GPU-seconds per bucket, those that are not zero, as `name=value` in order.
pub(crate) fn ledger_line(report: &Report) -> String {
    let ledger = report.ledger.as_ref().unwrap();
    let mut parts: Vec<String> = Vec::new();
    for bucket in Bucket::ALL {
        let amount = ledger.gpu_seconds(bucket);
        if amount > 0 {
            parts.push(format!("{bucket}={amount}"));
        }
    }
    parts.join(" ")
}

/// Seconds a job waited, by reason, as `reason=seconds`.
pub(crate) fn waits(log: &JobLog, job: u32) -> String {
    let record = log
        .records
        .iter()
        .find(|record| record.job.0 == job)
        .unwrap();
    let waited = Reason::ALL
        .iter()
        .zip(record.waited)
        .filter(|(_, nanos)| *nanos > 0);
    let parts: Vec<String> = waited
        .map(|(reason, nanos)| format!("{reason}={}", nanos / 1_000_000_000))
        .collect();
    parts.join(" ")
}

/// Starts jobs strictly in submission order.
#[derive(Clone, Debug, Default)]
pub(crate) struct StrictFifo;

impl Policy for StrictFifo {
    fn name(&self) -> &str {
        "strict-fifo"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::Never | Fit::NotNow => {
                    out.waiting(job.id(), Reason::DoesNotFit);
                    out.rest(job.queue(), Reason::HeadOfLine);
                    break;
                }
            }
        }
    }
}

/// Starts every job that fits, in submission order.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstFit;

impl Policy for FirstFit {
    fn name(&self) -> &str {
        "first-fit"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}
