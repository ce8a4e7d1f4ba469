//! Decisions of a real kube-scheduler filling the openb cluster, pod by pod.
//!
//! A folder of recorded decisions holds `nodes_final.csv.gz` (every node, its rank and what it has),
//! `placements.csv.gz` (every pod in order of arrival, and where it went) and `curve.csv.gz` (the state
//! after each arrival); `typical_pods_default.csv` beside the folder has the targets of fragmentation.
//! [`replay`] runs the same pods through the engine under one of our policies, nodes numbered by rank,
//! and compares node, GPU and curve of every arrival.

mod files;
mod watch;

use std::path::Path;
use std::sync::Arc;

use windtunnel_core::{JobList, Platform, RunOptions, Sharing, Simulation};
use windtunnel_policies::registry;

use crate::error::ExperimentError;
use files::{Decided, Point, Recording};
use watch::Watch;

/// Differences that are kept one by one.
const DIFFERENCES_KEPT: usize = 20;

/// One decision that came out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The arrival, from 0.
    pub order: usize,
    /// The pod.
    pub pod: String,
    /// What it asked for: CPU \[thousandths of a core\], memory \[MiB\], GPUs, thousandths of each.
    pub asked: [u64; 4],
    /// Rank of the recorded node; `None`: it found none.
    pub recorded: Option<u32>,
    /// Rank of ours.
    pub ours: Option<u32>,
    /// GPUs of the recorded node, as a mask.
    pub recorded_gpus: u16,
    /// GPUs of ours.
    pub our_gpus: u16,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Decisions compared: arrivals, placed or not.
    pub decisions: usize,
    /// Decisions with the recorded node, or none where none was found.
    pub node_equal: usize,
    /// Decisions with the recorded node and GPUs.
    pub gpu_equal: usize,
    /// Points of the curve compared: one per arrival.
    pub curve_points: usize,
    /// Points with the recorded GPU allocation, nodes and GPUs of nodes in use.
    pub curve_equal: usize,
    /// Largest difference between allocations \[milli-GPU\].
    pub used_difference_max: u64,
    /// Largest difference between values of F \[milli-GPU\]; the recording has two decimals.
    pub fragmented_difference_max: f64,
    /// Largest difference between fragmentation ratios \[percentage points\]; two decimals.
    pub ratio_difference_max: f64,
    /// GPU allocated in the end, recorded and ours \[milli-GPU\].
    pub used_in_the_end: [u64; 2],
    /// Pods placed, recorded and ours.
    pub placed: [usize; 2],
    /// The first differences, in order.
    pub first_differences: Vec<Difference>,
}

impl Compared {
    /// Whether every decision is the recorded one.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.gpu_equal == self.decisions
    }
}

/// Whether a folder holds recorded decisions of this kind.
#[must_use]
pub fn is_recording(folder: &Path) -> bool {
    files::NAMES.iter().all(|name| folder.join(name).exists())
}

/// Replays the first arrivals of a folder (`None`: all) under a policy of the registry, such as
/// `best-fit`, and compares.
///
/// # Errors
/// A file can't be read or is not of this form, the policy does not exist, or the run breaks off.
pub fn replay(
    folder: &Path,
    policy: &str,
    first: Option<usize>,
) -> Result<Compared, ExperimentError> {
    let mut recording = Recording::read(folder)?;
    if let Some(first) = first {
        recording.truncate(first);
    }
    let policy = registry::policy(policy).map_err(|cause| ExperimentError::Policy {
        platform: "replay".to_owned(),
        cause,
    })?;
    let platform = Platform::new("replay", policy).sharing(Sharing::Fractions);
    let options = RunOptions::default()
        .without_ledger()
        .names(recording.names.clone());
    let jobs = JobList::new(recording.jobs.clone());
    let simulation = Simulation::new(recording.nodes.supply(), jobs, platform, options)?;
    let mut watch = Watch::new(Arc::clone(&recording.targets), recording.jobs.len());
    simulation
        .run_with(&mut watch)
        .map_err(|cause| ExperimentError::Run {
            platform: "replay".to_owned(),
            seed: 0,
            cause,
        })?;
    Ok(compare(&recording, &watch))
}

fn compare(recording: &Recording, watch: &Watch) -> Compared {
    let mut found = Compared::default();
    for (order, theirs) in recording.decided.iter().enumerate() {
        let ours = watch.decided[order];
        found.decisions += 1;
        found.node_equal += usize::from(ours.rank == theirs.rank);
        found.gpu_equal += usize::from(ours == *theirs);
        found.placed[0] += usize::from(theirs.rank.is_some());
        found.placed[1] += usize::from(ours.rank.is_some());
        if ours != *theirs && found.first_differences.len() < DIFFERENCES_KEPT {
            let difference = difference(recording, order, *theirs, ours);
            found.first_differences.push(difference);
        }
    }
    for (theirs, ours) in recording.curve.iter().zip(&watch.curve) {
        compare_points(&mut found, theirs, ours);
    }
    found
}

fn compare_points(found: &mut Compared, theirs: &Point, ours: &Point) {
    found.curve_points += 1;
    found.curve_equal += usize::from(theirs.used_state() == ours.used_state());
    let used = theirs.used_milli.abs_diff(ours.used_milli);
    found.used_difference_max = found.used_difference_max.max(used);
    let apart = (theirs.fragmented_milli - ours.fragmented_milli).abs();
    found.fragmented_difference_max = found.fragmented_difference_max.max(apart);
    let apart = (theirs.ratio_percent - ours.ratio_percent).abs();
    found.ratio_difference_max = found.ratio_difference_max.max(apart);
    found.used_in_the_end = [theirs.used_milli, ours.used_milli];
}

fn difference(recording: &Recording, order: usize, theirs: Decided, ours: Decided) -> Difference {
    let job = &recording.jobs[order];
    let request = job.request.groups[0].request;
    let gpus = request.gpus;
    let each = gpus.milli().checked_div(gpus.devices()).unwrap_or(0);
    Difference {
        order,
        pod: job.name.as_deref().unwrap_or("").to_owned(),
        asked: [
            request.cpu.0.into(),
            request.memory.0 >> 20,
            gpus.devices().into(),
            each.into(),
        ],
        recorded: theirs.rank,
        ours: ours.rank,
        recorded_gpus: theirs.gpus,
        our_gpus: ours.gpus,
    }
}
