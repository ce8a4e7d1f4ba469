//! Cases of the family `kubernetes`: whole runs of a real control plane, kube-scheduler 1.36.
//!
//! A recording holds nodes, a workload, and two runs of it. Each run is taken again by `kube-default`
//! from what was given to the real scheduler (pods as its queue saw them, nodes in the order in which it
//! learned of them), and compared by when and where each pod was placed. The two recorded runs differ
//! from one another, too: that distance is the measure.

mod files;

use std::path::Path;

use windtunnel_core::{JobList, JobLog, NodeId, Platform, RunOptions, SimTime, Simulation};
use windtunnel_policies::registry;

use super::files::Files;
use super::{Case, Family, Row, Seen};
use crate::error::ExperimentError;
use files::{Cluster, Pod, Run};

/// Runs of a recording.
const RUNS: [u32; 2] = [1, 2];

/// Recordings of a real Kubernetes control plane.
pub(super) struct KubernetesFamily;

impl Family for KubernetesFamily {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn files(&self) -> &'static str {
        "workload.csv, nodes.csv, scheduler-config.yaml, feature-gates.json, and outcomes and node_order of \
         run 1 and 2"
    }

    fn look(&self, folder: &Path, name: &str) -> Result<Seen, ExperimentError> {
        look(Files::Folder(folder.to_owned()), name)
    }
}

/// The cases of a recording, in a folder or embedded.
pub(super) fn look(recording: Files, name: &str) -> Result<Seen, ExperimentError> {
    if !files::is_recording(&recording) {
        return Ok(Seen::Unknown);
    }
    if let Some(why) = files::beyond_us(&recording)? {
        return Ok(Seen::Nothing(why));
    }
    let case = |run: u32| {
        let (recording, name) = (recording.clone(), format!("{name}/run{run}"));
        Case::new(name.clone(), move || compare(&recording, &name, run))
    };
    Ok(Seen::Cases(RUNS.map(case).into()))
}

/// When and where a pod was placed, in seconds and by name.
#[derive(Clone, Debug, PartialEq)]
struct Placed {
    at: SimTime,
    node: String,
}

/// How two runs differ.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Apart {
    /// Mean difference of starts \[s\] over pods placed in both.
    start: f64,
    /// Pods on another node, or placed in one of them only.
    elsewhere: u32,
}

fn compare(recording: &Files, case: &str, run: u32) -> Result<Vec<Row>, ExperimentError> {
    let cluster = Cluster::read(recording, run)?;
    let real = Run::read(recording, run)?;
    let other = Run::read(recording, RUNS[0] + RUNS[1] - run)?;
    let ours = simulate(&cluster, &real)?;
    let recorded = |run: &Run| run.pods.iter().map(placed).collect::<Vec<_>>();
    let (theirs, others) = (recorded(&real), in_order_of(&real, &other));
    let distance = apart(&theirs, &ours);
    let between = apart(&theirs, &others);
    let wait = |placed: &[Option<Placed>]| {
        let waits = placed.iter().zip(&real.pods).filter_map(|(placed, pod)| {
            let at = placed.as_ref()?.at;
            Some(at.as_secs_f64() - pod.queued.as_secs_f64())
        });
        mean(waits)
    };
    let pods = u32::try_from(real.pods.len()).unwrap_or(u32::MAX);
    Ok(vec![
        Row {
            case: format!("{case}/starts"),
            compared: "mean wait of pods; distance: mean difference of their starts".to_owned(),
            real: wait(&theirs),
            simulated: wait(&ours),
            distance: distance.start,
            pass: distance.start <= between.start,
            run_to_run: Some(between.start),
            unit: "s",
            note:
                "no further than two real runs are from one another; a decision takes milliseconds \
                   there and no time here"
                    .to_owned(),
        },
        Row {
            case: format!("{case}/nodes"),
            compared: "pods on the same node".to_owned(),
            real: f64::from(pods),
            simulated: f64::from(pods - distance.elsewhere),
            distance: f64::from(distance.elsewhere),
            pass: distance.elsewhere <= between.elsewhere,
            run_to_run: Some(f64::from(between.elsewhere)),
            unit: "pods",
            note: "two real runs learn of the nodes in another order; ours has the one recorded"
                .to_owned(),
        },
    ])
}

fn placed(pod: &Pod) -> Option<Placed> {
    Some(Placed {
        at: pod.scheduled?,
        node: pod.node.clone(),
    })
}

/// The pods of another run in the order of the first, by name.
fn in_order_of(run: &Run, other: &Run) -> Vec<Option<Placed>> {
    let of = |pod: &Pod| placed(other.pods.iter().find(|known| known.name == pod.name)?);
    run.pods.iter().map(of).collect()
}

/// Takes a run again: pods are submitted when the real queue saw them, and hold their place for the time
/// they asked for and what starting and ending took on average in this run.
fn simulate(cluster: &Cluster, run: &Run) -> Result<Vec<Option<Placed>>, ExperimentError> {
    let text = format!(
        "kube-default{{version=1.36,tie=upstream,percentage={}}}",
        cluster.percentage
    );
    let policy = registry::policy(&text).map_err(|cause| ExperimentError::Policy {
        platform: "replay".to_owned(),
        cause,
    })?;
    let options = RunOptions::default().without_ledger();
    let jobs = JobList::new(run.jobs());
    let platform = Platform::new("replay", policy);
    let simulation = Simulation::new(cluster.nodes.supply(), jobs, platform, options)?;
    let mut log = JobLog::default();
    simulation
        .run_with(&mut log)
        .map_err(|cause| ExperimentError::Run {
            platform: "replay".to_owned(),
            seed: 0,
            cause,
        })?;
    let mut ours = vec![None; run.pods.len()];
    for record in log.records {
        let node = record.nodes.first().copied().unwrap_or(NodeId(0));
        ours[record.job.index()] = record.start.map(|at| Placed {
            at,
            node: cluster.nodes.nodes[node.index()].name.clone(),
        });
    }
    Ok(ours)
}

fn apart(a: &[Option<Placed>], b: &[Option<Placed>]) -> Apart {
    let both = a.iter().zip(b);
    let starts = both.clone().filter_map(|(a, b)| {
        let (a, b) = (a.as_ref()?.at, b.as_ref()?.at);
        Some((a.as_secs_f64() - b.as_secs_f64()).abs())
    });
    let node = |placed: &Option<Placed>| placed.as_ref().map(|placed| placed.node.clone());
    let elsewhere = both.filter(|(a, b)| node(a) != node(b)).count();
    Apart {
        start: mean(starts),
        elsewhere: u32::try_from(elsewhere).unwrap_or(u32::MAX),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of pods")]
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
