//! Scenario builders, and what a proof checks.

use std::fmt::Write as _;

use windtunnel_core::{
    Bucket, Event, JobList, JobLog, JobRecord, JobSpec, NodeModel, Observer, Platform, PoolId,
    Reason, Report, RunError, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest,
    Timeline, View,
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

/// A job of one task, submitted at `submit`, that runs for `run` seconds.
pub(crate) fn job(submit: u64, gpus: u16, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpus(gpus), secs(run))
}

/// The timeline and the records of one run.
#[derive(Default)]
struct Watch {
    timeline: Timeline,
    log: JobLog,
}

impl Observer for Watch {
    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        self.timeline.on_event(event, view);
    }
    fn on_job(&mut self, record: &JobRecord) {
        self.log.on_job(record);
    }
}

/// A scenario that can be run as often as a proof likes.
#[derive(Clone)]
pub(crate) struct Case {
    supply: Supply,
    jobs: Vec<JobSpec>,
    platform: Platform,
    options: RunOptions,
}

impl Case {
    /// Drains unless told otherwise.
    pub(crate) fn new(supply: Supply, jobs: Vec<JobSpec>, platform: impl Into<Platform>) -> Self {
        Self {
            supply,
            jobs,
            platform: platform.into(),
            options: RunOptions::default(),
        }
    }

    pub(crate) fn horizon(mut self, seconds: u64) -> Self {
        self.options = self.options.horizon(secs(seconds));
        self
    }

    pub(crate) fn simulation(&self) -> Simulation {
        let jobs = JobList::new(self.jobs.clone());
        let (supply, platform) = (self.supply.clone(), self.platform.clone());
        Simulation::new(supply, jobs, platform, self.options.clone()).unwrap()
    }

    /// Runs it and checks the timeline against the golden file.
    ///
    /// Also: a fork in the middle of the run ends in the same report as the run itself, and so does
    /// the run without a ledger and without an observer.
    pub(crate) fn prove(&self, golden: &str) -> Proof {
        let proof = Proof::of(self.simulation(), golden);
        self.forks_like(&proof.report);
        let mut bare = self.clone();
        bare.options = bare.options.without_ledger();
        assert_eq!(bare.simulation().run().unwrap().digest, proof.report.digest);
        proof
    }

    fn forks_like(&self, report: &Report) {
        for part in 1..8 {
            let until = SimTime::from_nanos(report.end.as_nanos() / 8 * part);
            let mut simulation = self.simulation();
            simulation
                .run_until(until, &mut windtunnel_core::NoObserver)
                .unwrap();
            let half = simulation.fork().unwrap().run().unwrap();
            same(&half, report);
            same(&simulation.run().unwrap(), report);
        }
    }

    /// Runs it to the error it must end in.
    pub(crate) fn fails(&self) -> RunError {
        self.simulation().run().unwrap_err()
    }
}

/// Equal to the unit, everywhere.
pub(crate) fn same(a: &Report, b: &Report) {
    assert_eq!((a.digest, a.end), (b.digest, b.end));
    assert_eq!(a.ledger, b.ledger);
    assert_eq!(format!("{:?}", a.summary), format!("{:?}", b.summary));
}

/// What came out.
pub(crate) struct Proof {
    pub(crate) report: Report,
    pub(crate) records: Vec<JobRecord>,
}

impl Proof {
    /// Runs a simulation to its end and checks the timeline against the golden file.
    pub(crate) fn of(simulation: Simulation, golden: &str) -> Self {
        let mut watch = Watch::default();
        let report = simulation.run_with(&mut watch).unwrap();
        let records = watch.log.records;
        let proof = Self { report, records };
        check_golden(golden, &proof.page(&watch.timeline.text()));
        proof
    }

    /// GPU-seconds per bucket, those that are not zero, as `name=value` in order; `idle.held` by
    /// reason.
    pub(crate) fn ledger(&self) -> String {
        self.ledger_of(|_| true)
    }

    /// The same for one pool.
    pub(crate) fn ledger_of_pool(&self, pool: u8) -> String {
        self.ledger_of(|other| other == PoolId(pool))
    }

    fn ledger_of(&self, wanted: impl Fn(PoolId) -> bool) -> String {
        let ledger = self.report.ledger.as_ref().unwrap();
        let mut parts: Vec<(Bucket, Option<Reason>, u128)> = Vec::new();
        for row in ledger.rows.iter().filter(|row| wanted(row.pool)) {
            match parts
                .iter_mut()
                .find(|p| (p.0, p.1) == (row.bucket, row.reason))
            {
                Some(part) => part.2 += row.amount,
                None => parts.push((row.bucket, row.reason, row.amount)),
            }
        }
        parts.sort_by_key(|part| (part.0, part.1));
        let mut text: Vec<String> = Vec::new();
        for (bucket, reason, amount) in parts.into_iter().filter(|part| part.2 > 0) {
            let why = reason.map_or(String::new(), |why| format!("({why})"));
            text.push(format!("{bucket}{why}={}", gpu_seconds(amount)));
        }
        text.join(" ")
    }

    /// Paid GPU-seconds: the sum of all buckets.
    pub(crate) fn paid(&self) -> String {
        gpu_seconds(self.report.ledger.as_ref().unwrap().paid())
    }

    pub(crate) fn record(&self, job: u32) -> &JobRecord {
        self.records
            .iter()
            .find(|record| record.job.0 == job)
            .unwrap()
    }

    /// Seconds a job waited, by reason.
    pub(crate) fn waits(&self, job: u32) -> String {
        let waited = Reason::ALL.iter().zip(self.record(job).waited);
        let waited = waited.filter(|(_, nanos)| *nanos > 0);
        let parts: Vec<String> = waited
            .map(|(reason, nanos)| format!("{reason}={}", SimDuration::from_nanos(nanos)))
            .collect();
        parts.join(" ")
    }

    /// The page a person reviews.
    fn page(&self, timeline: &str) -> String {
        let mut page = format!("{timeline}\nend      {}\n", self.report.end);
        let _ = writeln!(page, "paid     {} GPU-seconds", self.paid());
        for part in self.ledger().split(' ') {
            let _ = writeln!(page, "         {part}");
        }
        for record in &self.records {
            let id = record.job.0;
            let outcome = record
                .outcome
                .map_or("unfinished", |outcome| outcome.name());
            let waits = self.waits(id);
            let waits = if waits.is_empty() { "nothing" } else { &waits };
            let attempts = record.attempts;
            let _ = writeln!(
                page,
                "job-{id}    {outcome}, {attempts} attempts, waited {waits}"
            );
        }
        page
    }
}

/// GPU-seconds of a ledger amount, exact to the thousandth.
fn gpu_seconds(amount: u128) -> String {
    let milli = amount / 1_000_000_000_000_000;
    assert_eq!(
        amount % 1_000_000_000_000_000,
        0,
        "thousandths of a GPU-second"
    );
    let (whole, rest) = (milli / 1_000, milli % 1_000);
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:03}")
    }
}

/// Compares a page with `<name>.txt` beside the tests; `UPDATE_GOLDEN=1` rewrites it.
fn check_golden(name: &str, page: &str) {
    let path = format!("{}/tests/seams/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "whether to rewrite golden files")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    if update {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    assert!(golden == page, "{path} differs; the run was:\n{page}");
}
