//! Shared scenario builders for the benchmarks.

pub mod fill;
pub mod month;
pub mod wide;

use std::fmt::Write as _;
use std::path::PathBuf;

use windtunnel_core::rng::Seed;
use windtunnel_core::{Arrivals, JobList, JobSpec, Names, NodeModel, Policy, Supply, Work};
use windtunnel_policies::registry::policy;
use windtunnel_traces::synthetic::{Poisson, PoissonStream};
use windtunnel_traces::{Format, HeliosReader, JobReader, TraceError};

/// The Venus trace in memory; `None` where the public data is not at hand.
///
/// # Panics
/// If the file is there but can't be read: a benchmark of half a trace would mislead.
#[must_use]
pub fn venus() -> Option<JobList> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/traces/helios-venus/venus_gpu_jobs.csv.gz");
    if !path.exists() {
        return None;
    }
    let mut names = Names::default();
    let reader = HeliosReader::open(&path).expect("the trace opens");
    let loaded = reader.read_all(&mut names).expect("the trace reads");
    Some(JobList::new(loaded.jobs))
}

/// `count` nodes of eight V100, without CPU and memory to speak of.
#[must_use]
pub fn venus_nodes(count: u32) -> Supply {
    Supply::uniform(NodeModel::gpus_only("v100", 8), count)
}

/// The first `count` jobs of a list.
#[must_use]
pub fn first(jobs: &JobList, count: usize) -> JobList {
    let jobs: Vec<JobSpec> = jobs.jobs().iter().take(count).cloned().collect();
    JobList::new(jobs)
}

/// The same jobs with their true run times as estimates: Venus has none.
#[must_use]
pub fn exact_estimates(jobs: &JobList) -> JobList {
    let exact = |job: &JobSpec| match job.profile.work {
        Work::Uniform(run) => job.clone().estimate(run),
        _ => job.clone(),
    };
    JobList::new(jobs.jobs().iter().map(exact).collect())
}

/// The built-in EASY backfilling, in order of submission, on the lowest-numbered nodes.
///
/// # Panics
/// Never: the name is known.
#[must_use]
pub fn easy() -> Box<dyn Policy> {
    policy("easy-backfill").expect("easy-backfill is built in")
}

/// The built-in strict fifo.
///
/// # Panics
/// Never: the name is known.
#[must_use]
pub fn fifo() -> Box<dyn Policy> {
    policy("fifo").expect("fifo is built in")
}

/// A stream of `count` jobs of 1 to 8 GPUs at load 0.7 on so many GPUs.
///
/// # Panics
/// If there are too few GPUs for such a stream.
#[must_use]
pub fn stream(gpus: u32, count: u64, seed: Seed) -> PoissonStream {
    Poisson::new(gpus, 0.7, count)
        .stream(seed)
        .expect("legal figures")
}

/// Twenty thousand jobs of Venus' mean size and load, for where the trace is not at hand.
///
/// # Panics
/// Never: the stream's figures are legal.
#[must_use]
pub fn synthetic_venus() -> JobList {
    let mut names = Names::default();
    let mut jobs = stream(1_064, 20_000, Seed(1));
    let jobs: Result<Vec<JobSpec>, _> =
        std::iter::from_fn(|| Arrivals::next(&mut jobs, &mut names)).collect();
    JobList::new(jobs.expect("a generator does not fail"))
}

/// A native table of so many rows: the four columns that are required, or fifteen.
#[must_use]
pub fn native_table(rows: u64, wide: bool) -> String {
    let mut text = String::from("# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus");
    text += if wide {
        ",tasks,gpu_model,cpus,memory_gib,limit_s,estimate_s,tenant,queue,startup_s,duty,ending\n"
    } else {
        "\n"
    };
    for row in 0..rows {
        let run = row * 7_919 % 86_400;
        // Writing to a text does not fail.
        let _ = if wide {
            let (tasks, team) = (1 + row % 4, row % 20);
            writeln!(
                text,
                "job-{row},{row}.5,{run},8,{tasks},A100|H100,12.5,96,{run}.0,{run},team-{team},batch,60,0.7,completed"
            )
        } else {
            writeln!(text, "job-{row},{row},{run},{}", 1 + row % 8)
        };
    }
    text
}

/// A log in SWF of so many rows, padded as those of the archive are.
#[must_use]
pub fn swf_log(rows: u64) -> String {
    let mut text = String::from("; Version: 2.2\n; MaxProcs: 128\n");
    for row in 0..rows {
        let (wait, run, procs) = (row * 31 % 5_000, row * 7_919 % 86_400, 1 + row % 128);
        let (asked, user) = (run + 600, row % 200);
        let _ = writeln!(
            text,
            "{row:>8} {row:>8} {wait:>6} {run:>6} {procs:>4}     -1     -1 {procs:>4} {asked:>6}     -1  1 {user:>3} {user:>3}  -1 -1  1 -1 -1"
        );
    }
    text
}

/// Pulls every job, as a simulation does; says how many there were.
///
/// # Panics
/// If a row is not a job: a benchmark of complaints would mislead.
pub fn read_rows<F: Format>(reader: Result<JobReader<&[u8], F>, TraceError>) -> u64 {
    let mut reader = reader.expect("the table opens");
    let mut names = Names::default();
    let mut jobs = 0;
    while let Some(job) = reader.next_job(&mut names) {
        job.expect("the row reads");
        jobs += 1;
    }
    jobs
}
