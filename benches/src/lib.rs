//! Shared scenario builders for the benchmarks.

pub mod fill;

use std::path::PathBuf;

use windtunnel_core::rng::Seed;
use windtunnel_core::{Arrivals, JobList, JobSpec, Names, NodeModel, Policy, Supply};
use windtunnel_policies::registry::policy;
use windtunnel_traces::HeliosReader;
use windtunnel_traces::synthetic::{Poisson, PoissonStream};

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
