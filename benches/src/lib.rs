//! Shared scenario builders for the benchmarks.

use std::path::PathBuf;

use windtunnel_core::{JobList, JobSpec, Names, NodeModel, Supply};
use windtunnel_traces::HeliosReader;

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
