//! Fingerprints of small runs, committed: the same on every system, in debug and in release.
//!
//! `UPDATE_GOLDEN=1 cargo test` rewrites them; a change is a change of results and needs a line in the
//! changelog.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{FirstFit, StrictFifo, job, nodes, secs};
use windtunnel_core::hash::WordHash;
use windtunnel_core::rng::Seed;
use windtunnel_core::{
    Advance, Batch, ExponentialFaults, JobList, JobSpec, NodeModel, Platform, PoolSpec, Ppm,
    Report, RunOptions, Sharing, SimDuration, SimTime, Simulation, Supply, TaskRequest,
};

type Scenario = fn() -> Report;

/// Gangs of one to three tasks whose size and length follow from their number alone.
fn gangs(count: u64) -> Vec<JobSpec> {
    let gang = |n: u64| {
        let gpus = u16::try_from(1 + n % 4).unwrap();
        let tasks = u32::try_from(1 + n * 7 % 3).unwrap();
        let mut spec = job(gpus, 60 + n * 37 % 400).tasks(tasks);
        spec.submit = SimTime::from_secs(n * 25);
        spec.startup(secs(n % 5)).checkpoint(secs(50), secs(n % 3))
    };
    (0..count).map(gang).collect()
}

fn simulate(supply: Supply, jobs: Vec<JobSpec>, platform: impl Into<Platform>) -> Report {
    let options = RunOptions::default().seed(Seed(7)).horizon(secs(20_000));
    let run = Simulation::new(supply, JobList::new(jobs), platform, options);
    run.unwrap().run().unwrap()
}

fn faults() -> ExponentialFaults {
    ExponentialFaults {
        mean_between: SimDuration::from_mins(40),
        mean_repair: SimDuration::from_mins(4),
    }
}

fn fifo() -> Report {
    simulate(nodes(4, 8), gangs(200), StrictFifo)
}

fn first_fit() -> Report {
    simulate(nodes(4, 8), gangs(200), FirstFit)
}

fn failing_nodes() -> Report {
    let platform = Platform::from(FirstFit).detection_delay(secs(40));
    let retries = Batch::new().backoff(secs(10), secs(300));
    let supply = nodes(6, 8).with_faults(faults());
    simulate(supply, gangs(200), platform.batch(retries))
}

fn fractions_and_cores() -> Report {
    let model = NodeModel::gpus_only("l4", 4).with_cores(16);
    let jobs = gangs(200).into_iter().zip(0..).map(|(mut spec, n)| {
        let part = TaskRequest::gpu_milli(100 + n * 97 % 900);
        spec.request.groups[0].request = part.with_cores(u32::from(1 + n % 5));
        spec.duty(Ppm(300_000 + 3_000 * u32::from(n)))
    });
    let platform = Platform::from(FirstFit).sharing(Sharing::Fractions);
    simulate(Supply::uniform(model, 5), jobs.collect(), platform)
}

fn arrays_and_elastic_jobs() -> Report {
    let jobs = gangs(200).into_iter().zip(0_u32..).map(|(spec, n)| {
        let elastic = Advance::Between { min: 1, max: 3 };
        spec.advance(if n % 2 == 0 { Advance::Each } else { elastic })
    });
    simulate(nodes(4, 8).with_faults(faults()), jobs.collect(), FirstFit)
}

fn two_models_and_limits() -> Report {
    let pool =
        |name: &str, gpus, count| PoolSpec::owned(name, NodeModel::gpus_only(name, gpus), count);
    let supply = Supply::new(vec![pool("a100", 8, 2), pool("t4", 4, 3)]);
    let jobs = gangs(200).into_iter().zip(0_u32..).map(|(mut spec, n)| {
        spec.request.groups[0].request.models = u64::from(n % 4);
        spec.limit(secs(200))
    });
    simulate(supply, jobs.collect(), FirstFit)
}

/// One line: the digest of the events and one of the ledger.
fn line(name: &str, scenario: Scenario) -> String {
    let (report, again) = (scenario(), scenario());
    assert_eq!(report.digest, again.digest, "{name}: twice in one process");
    assert_eq!(report.ledger, again.ledger, "{name}: twice in one process");
    let mut books = WordHash::default();
    for row in &report.ledger.as_ref().unwrap().rows {
        let place = u64::from(row.pool.0) << 16 | (row.bucket.index() as u64) << 8;
        books.word(place | row.reason.map_or(0, |why| why.index() as u64 + 1));
        books.text(&row.amount.to_string());
    }
    let ended = report.summary.completed();
    let digest = report.digest;
    let books = books.digest();
    format!("{name:<24} events {digest} ledger {books} completed {ended}")
}

#[test]
fn digests_are_the_committed_ones() {
    let scenarios: [(&str, Scenario); 6] = [
        ("fifo", fifo),
        ("first-fit", first_fit),
        ("failing-nodes", failing_nodes),
        ("fractions-and-cores", fractions_and_cores),
        ("arrays-and-elastic-jobs", arrays_and_elastic_jobs),
        ("two-models-and-limits", two_models_and_limits),
    ];
    let mut text = String::new();
    for (name, scenario) in scenarios {
        writeln!(text, "{}", line(name, scenario)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/digests.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let golden = golden.replace("\r\n", "\n");
    assert_eq!(text, golden, "UPDATE_GOLDEN=1 rewrites {}", path.display());
}
