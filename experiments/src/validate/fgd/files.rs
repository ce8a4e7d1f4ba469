//! The files of a recording.

use std::path::Path;
use std::sync::Arc;

use windtunnel_core::{
    Bytes, GpuRequest, JobSpec, MilliCores, Names, NodeModel, SimDuration, SimTime, Target,
    Targets, TaskRequest, Work,
};
use windtunnel_traces::openb::{ListedNode, NodeList};

use crate::error::ExperimentError;
use crate::validate::table::{Row, Table};

const NODES: &str = "nodes_final.csv.gz";
const PLACEMENTS: &str = "placements.csv.gz";
const CURVE: &str = "curve.csv.gz";
/// The files by which a recording is known.
pub(super) const NAMES: [&str; 3] = [NODES, PLACEMENTS, CURVE];
/// Beside the folder.
const TARGETS: &str = "typical_pods_default.csv";

/// Where a pod went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Rank of its node, if it found one.
    pub(super) rank: Option<u32>,
    /// Its GPUs.
    pub(super) gpus: u16,
}

/// The state after an arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) used_milli: u64,
    pub(super) used_nodes: u64,
    pub(super) used_gpus: u64,
    pub(super) fragmented_milli: f64,
    pub(super) ratio_percent: f64,
}

impl Point {
    /// What can be compared exactly.
    pub(super) fn used_state(&self) -> [u64; 3] {
        [self.used_milli, self.used_nodes, self.used_gpus]
    }
}

/// Everything of one folder.
pub(super) struct Recording {
    /// Nodes by rank.
    pub(super) nodes: NodeList,
    /// Pods in order of arrival, one a second, without end.
    pub(super) jobs: Vec<JobSpec>,
    /// The same order.
    pub(super) decided: Vec<Decided>,
    pub(super) curve: Vec<Point>,
    pub(super) targets: Arc<Targets>,
    pub(super) names: Names,
}

impl Recording {
    pub(super) fn read(folder: &Path) -> Result<Self, ExperimentError> {
        let mut names = Names::default();
        let beside = folder.join("..").join(TARGETS);
        let (jobs, decided) = placements(&Table::read(&folder.join(PLACEMENTS))?, &mut names)?;
        Ok(Self {
            nodes: nodes(&Table::read(&folder.join(NODES))?)?,
            curve: curve(&Table::read(&folder.join(CURVE))?)?,
            targets: Arc::new(targets(&Table::read(&beside)?, &mut names)?),
            jobs,
            decided,
            names,
        })
    }

    /// Keeps the first arrivals.
    pub(super) fn truncate(&mut self, first: usize) {
        self.jobs.truncate(first);
        self.decided.truncate(first);
        self.curve.truncate(first);
    }
}

fn nodes(table: &Table) -> Result<NodeList, ExperimentError> {
    let [rank, name, cpu, memory, gpus, model] = table.columns([
        "node_rank",
        "node",
        "cpu_milli",
        "memory_mib",
        "gpu",
        "model",
    ])?;
    let mut nodes = Vec::new();
    for row in table.rows() {
        let gpus = row.number(gpus)?;
        let node = ListedNode {
            name: row.text(name).to_owned(),
            model: NodeModel {
                // A pool of equal nodes is named by what they have.
                name: format!(
                    "{gpus}x-{}-{}-{}",
                    row.text(model),
                    row.text(cpu),
                    row.text(memory)
                ),
                gpu_model: row.text(model).to_owned(),
                gpus,
                cpu: MilliCores(row.number(cpu)?),
                memory: Bytes(row.number::<u64>(memory)? << 20),
                gpu_memory: Bytes(0),
                topology: None,
            },
        };
        nodes.push((row.number::<u32>(rank)?, node));
    }
    nodes.sort_by_key(|(rank, _)| *rank);
    if let Some(place) = (0..nodes.len()).find(|&place| nodes[place].0 as usize != place) {
        let hint = format!("node ranks are 0, 1, 2, …; rank {place} is missing or there twice");
        return Err(ExperimentError::setting(
            table.file().display().to_string(),
            hint,
        ));
    }
    Ok(NodeList {
        nodes: nodes.into_iter().map(|(_, node)| node).collect(),
    })
}

fn placements(
    table: &Table,
    names: &mut Names,
) -> Result<(Vec<JobSpec>, Vec<Decided>), ExperimentError> {
    let asked = table.columns(["cpu_milli", "num_gpu", "gpu_milli", "gpu_spec"])?;
    let [order, pod, memory, outcome, rank, gpus] = table.columns([
        "order",
        "pod",
        "memory_mib",
        "outcome",
        "node_rank",
        "gpu_index",
    ])?;
    let (mut jobs, mut decided) = (Vec::new(), Vec::new());
    for (row, place) in table.rows().zip(0_u64..) {
        if row.number::<u64>(order)? != place {
            return Err(row.wrong(order, "pods come in order of arrival, from 0"));
        }
        let mut request = request(&row, asked, names)?;
        request.memory = Bytes(row.number::<u64>(memory)? << 20);
        let submit = SimTime::ZERO + SimDuration::from_secs(place);
        let mut job = JobSpec::new(submit, request, SimDuration::ZERO).named(row.text(pod));
        job.profile.work = Work::Endless;
        jobs.push(job);
        let is_placed = row.text(outcome) == "scheduled";
        let rank = is_placed.then(|| row.number(rank)).transpose()?;
        let gpus = if is_placed { row.mask(gpus)? } else { 0 };
        decided.push(Decided { rank, gpus });
    }
    Ok((jobs, decided))
}

/// CPU and GPUs, from the columns `cpu_milli, num_gpu, gpu_milli, gpu_spec`.
fn request(
    row: &Row<'_>,
    [cpu, count, milli, spec]: [usize; 4],
    names: &mut Names,
) -> Result<TaskRequest, ExperimentError> {
    let gpus = match (row.number::<u16>(count)?, row.number::<u16>(milli)?) {
        (0, _) => GpuRequest::None,
        (count, 1_000) => GpuRequest::Whole(count),
        (1, part @ 1..=999) => GpuRequest::Milli(part),
        _ => return Err(row.wrong(milli, "expected 1 to 999 of one GPU, or 1000")),
    };
    let mut models = 0;
    for model in row.text(spec).split('|').filter(|model| !model.is_empty()) {
        let id = names.gpu_model(model);
        let id = id.ok_or_else(|| row.wrong(spec, "more than 64 GPU models"))?;
        models |= 1 << id.0;
    }
    Ok(TaskRequest {
        gpus,
        models,
        cpu: MilliCores(row.number(cpu)?),
        memory: Bytes(0),
    })
}

fn curve(table: &Table) -> Result<Vec<Point>, ExperimentError> {
    let [used, gpus, nodes, fragmented, ratio] = table.columns([
        "used_gpu_milli",
        "gpus_on_used_nodes",
        "used_nodes",
        "frag_milli",
        "frag_ratio_pct",
    ])?;
    let point = |row: Row<'_>| {
        Ok(Point {
            used_milli: row.number(used)?,
            used_nodes: row.number(nodes)?,
            used_gpus: row.number(gpus)?,
            fragmented_milli: row.number(fragmented)?,
            ratio_percent: row.number(ratio)?,
        })
    };
    table.rows().map(point).collect()
}

fn targets(table: &Table, names: &mut Names) -> Result<Targets, ExperimentError> {
    let asked = table.columns(["cpu_milli", "num_gpu", "gpu_milli", "gpu_spec"])?;
    let [count] = table.columns(["count"])?;
    let target = |row: Row<'_>| {
        Ok(Target {
            request: request(&row, asked, names)?,
            count: row.number(count)?,
        })
    };
    let list: Result<Vec<Target>, ExperimentError> = table.rows().map(target).collect();
    Ok(Targets::new(list?))
}
