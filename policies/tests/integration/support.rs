//! Scenario builders, good enough to be read aloud.

use std::fmt::Write;

use windtunnel_core::{
    Bucket, JobList, JobLog, JobRecord, JobSpec, NodeModel, Observer, Platform, Reason, Report,
    RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest, Timeline, View,
};
use windtunnel_policies::policy;

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

/// A job of one task submitted at 0.
pub(crate) fn job(gpus: u16, run: u64) -> JobSpec {
    JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), secs(run))
}

/// The same submitted later.
pub(crate) fn later(submit: u64, mut job: JobSpec) -> JobSpec {
    job.submit = at(submit);
    job
}

/// A cluster, jobs and how the platform differs from the plainest one.
pub(crate) struct Scenario {
    pub(crate) supply: Supply,
    pub(crate) jobs: Vec<JobSpec>,
    pub(crate) horizon: Option<u64>,
    pub(crate) platform: fn(Platform) -> Platform,
}

impl Scenario {
    pub(crate) fn new(supply: Supply, jobs: Vec<JobSpec>) -> Self {
        Self {
            supply,
            jobs,
            horizon: None,
            platform: |platform| platform,
        }
    }

    fn simulation(&self, text: &str) -> Simulation {
        let platform = (self.platform)(Platform::from(policy(text).unwrap()));
        let mut options = RunOptions::default();
        if let Some(horizon) = self.horizon {
            options = options.horizon(secs(horizon));
        }
        let jobs = JobList::new(self.jobs.clone());
        Simulation::new(self.supply.clone(), jobs, platform, options).unwrap()
    }

    /// Runs under a policy.
    pub(crate) fn run(&self, policy: &str) -> (Report, JobLog) {
        let mut log = JobLog::default();
        let report = self.simulation(policy).run_with(&mut log).unwrap();
        (report, log)
    }

    /// Runs under a policy while somebody watches.
    pub(crate) fn watched(&self, policy: &str, watch: &mut dyn Observer) {
        self.simulation(policy).run_with(watch).unwrap();
    }

    /// The timeline under a policy, then waits and ledger, as text.
    pub(crate) fn story(&self, policy: &str) -> String {
        let mut watch = Both::default();
        let report = self.simulation(policy).run_with(&mut watch).unwrap();
        let mut text = format!("--- {policy}\n{}", watch.timeline.text());
        watch.log.records.sort_by_key(|record| record.job);
        for record in &watch.log.records {
            let _ = writeln!(text, "{}", waits(record));
        }
        let _ = writeln!(text, "{}\n", ledger_line(&report));
        text
    }
}

#[derive(Default)]
struct Both {
    timeline: Timeline,
    log: JobLog,
}

impl Observer for Both {
    fn on_event(&mut self, event: &windtunnel_core::Event, view: &View<'_>) {
        self.timeline.on_event(event, view);
    }
    fn on_job(&mut self, record: &JobRecord) {
        self.log.on_job(record);
    }
}

/// Why a job waited, in seconds.
pub(crate) fn waits(record: &JobRecord) -> String {
    let mut text = format!("{} waited", record.job);
    for (reason, nanos) in Reason::ALL.iter().zip(record.waited) {
        if nanos > 0 {
            let _ = write!(text, " {reason}={}", SimDuration::from_nanos(nanos));
        }
    }
    text
}

/// GPU-seconds per bucket, those that are not zero.
pub(crate) fn ledger_line(report: &Report) -> String {
    let ledger = report.ledger.as_ref().unwrap();
    let mut text = "ledger:".to_owned();
    for bucket in Bucket::ALL {
        let amount = ledger.gpu_seconds(bucket);
        if amount > 0 {
            let _ = write!(text, " {bucket}={amount}");
        }
    }
    text
}

/// Numbers that look random and are the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 += 1;
        windtunnel_core::hash::finalize(self.0) % sides
    }
}

/// Jobs of all kinds: gangs, arrays, elastic ones, with and without GPUs, over 100 s.
pub(crate) fn mixed_jobs(seed: u64, count: u64) -> Vec<JobSpec> {
    use windtunnel_core::Advance;
    let mut dice = Dice(seed << 32);
    let mut submit = 0;
    (0..count)
        .map(|_| {
            submit += dice.roll(3);
            let gpus = [0, 1, 1, 2, 4, 8][usize::try_from(dice.roll(6)).unwrap()];
            let cores = 1 + u32::try_from(dice.roll(16)).unwrap();
            let mut spec = job(gpus, 1 + dice.roll(40));
            let request = &mut spec.request.groups[0].request;
            *request = request.with_cores(if dice.roll(4) == 0 { 0 } else { cores });
            let tasks = 1 + u32::try_from(dice.roll(3)).unwrap();
            let advance = match dice.roll(4) {
                0 => Advance::Each,
                1 => Advance::Between { min: 1, max: tasks },
                _ => Advance::All,
            };
            let priority = i64::try_from(dice.roll(2)).unwrap();
            later(
                submit,
                spec.tasks(tasks).advance(advance).priority(priority),
            )
        })
        .collect()
}
