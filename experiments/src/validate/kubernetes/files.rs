//! The files of a recorded control plane.

use windtunnel_core::{
    Bytes, GpuRequest, JobSpec, MilliCores, NodeModel, SimDuration, SimTime, TaskRequest,
};
use windtunnel_traces::openb::{ListedNode, NodeList};

use crate::error::ExperimentError;
use crate::validate::files::Files;
use crate::validate::table::{Row, Table};

const WORKLOAD: &str = "workload.csv";
const NODES: &str = "nodes.csv";
const CONFIG: &str = "scheduler-config.yaml";
const GATES: &str = "feature-gates.json";

/// Whether these are the files that are read here.
pub(super) fn is_recording(files: &Files) -> bool {
    let per_run = [1, 2].map(|run| [of_run("outcomes", run), of_run("node_order", run)]);
    let mut names = per_run.into_iter().flatten();
    names.all(|name| files.has(&name))
        && [WORKLOAD, NODES, CONFIG, GATES]
            .iter()
            .all(|name| files.has(name))
}

fn of_run(what: &str, run: u32) -> String {
    format!("{what}_run{run}.csv")
}

/// Columns of the workload that must be empty or zero, and what they ask for.
const BEYOND: [(&str, &str); 9] = [
    ("priority", "priorities and preemption"),
    ("scheduler", "a profile of its own"),
    ("gang", "gangs"),
    ("deadline_s", "deadlines of Jobs"),
    ("claim", "claims of devices"),
    ("node_selector", "node selectors"),
    ("affinity", "affinity"),
    ("tolerations", "taints and tolerations"),
    ("spread", "spreading over zones"),
];

/// What of a recording `kube-default` does not have, if anything.
pub(super) fn beyond_us(files: &Files) -> Result<Option<String>, ExperimentError> {
    let mut lacks: Vec<&str> = Vec::new();
    let workload = files.table(WORKLOAD)?;
    let columns = workload.columns(BEYOND.map(|(name, _)| name))?;
    let [kind] = workload.columns(["kind"])?;
    for row in workload.rows() {
        for (column, (_, what)) in columns.into_iter().zip(BEYOND) {
            if !matches!(row.text(column), "" | "0") {
                lacks.push(what);
            }
        }
        if row.text(kind) != "pod" {
            lacks.push("Jobs of several pods");
        }
    }
    let nodes = files.table(NODES)?;
    let [taints] = nodes.columns(["taints"])?;
    if nodes.rows().any(|row| !row.text(taints).is_empty()) {
        lacks.push("taints and tolerations");
    }
    if files.has("operations.csv") {
        lacks.push("nodes that come and change");
    }
    let config = files.text(CONFIG)?;
    if config.contains("profiles:") {
        lacks.push("a profile of its own");
    }
    if value(&config, "parallelism").is_some_and(|workers| workers != "1") {
        lacks.push("workers that race");
    }
    let gates: serde_json::Value = serde_json::from_str(&files.text(GATES)?).map_err(|error| {
        ExperimentError::setting(files.label(GATES).display().to_string(), error.to_string())
    })?;
    if gates["feature_gates"]
        .as_object()
        .is_some_and(|gates| !gates.is_empty())
    {
        lacks.push("feature gates");
    }
    lacks.sort_unstable();
    lacks.dedup();
    let why = || {
        format!(
            "asks for {}, which kube-default does not have",
            lacks.join(", ")
        )
    };
    Ok((!lacks.is_empty()).then(why))
}

/// The value of a key at the top of a YAML file.
fn value<'a>(yaml: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = yaml.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.map(str::trim)
}

/// The nodes of a run in the order in which the scheduler visits them.
pub(super) struct Cluster {
    pub(super) nodes: NodeList,
    /// Percentage of nodes to score; 0 is adaptive.
    pub(super) percentage: u8,
}

impl Cluster {
    pub(super) fn read(files: &Files, run: u32) -> Result<Self, ExperimentError> {
        let order = files.table(&of_run("node_order", run))?;
        let [name, zone] = order.columns(["node", "zone"])?;
        let listed: Vec<(&str, &str)> = order
            .rows()
            .map(|row| (row.text(zone), row.text(name)))
            .collect();
        let table = files.table(NODES)?;
        let [node] = table.columns(["node"])?;
        let mut nodes = Vec::new();
        for name in round_robin(&listed) {
            let row = table
                .rows()
                .find(|row| row.text(node) == name)
                .ok_or_else(|| {
                    let file = table.file().display().to_string();
                    ExperimentError::setting(
                        file,
                        format!("node `{name}` of node_order_run{run} is missing"),
                    )
                })?;
            nodes.push(listed_node(&table, &row)?);
        }
        let config = files.text(CONFIG)?;
        let percentage = match value(&config, "percentageOfNodesToScore") {
            None => 0,
            Some(number) => number
                .parse()
                .ok()
                .filter(|number| *number <= 100)
                .ok_or_else(|| {
                    let file = files.label(CONFIG).display().to_string();
                    ExperimentError::setting(file, "percentageOfNodesToScore is no percentage")
                })?,
        };
        let nodes = NodeList { nodes };
        Ok(Self { nodes, percentage })
    }
}

fn listed_node(table: &Table, row: &Row<'_>) -> Result<ListedNode, ExperimentError> {
    let [name, cpu, memory, gpus] = table.columns(["node", "cpu_m", "mem_mi", "gpus"])?;
    let gpus = row.number(gpus)?;
    let (cpu, memory): (u32, u64) = (row.number(cpu)?, row.number(memory)?);
    Ok(ListedNode {
        name: row.text(name).to_owned(),
        model: NodeModel {
            name: format!("{gpus}x-{cpu}-{memory}"),
            gpu_model: "gpu".to_owned(),
            gpus,
            cpu: MilliCores(cpu),
            memory: Bytes(memory << 20),
            gpu_memory: Bytes(0),
            topology: None,
        },
    })
}

/// One node of every zone, then the next of every zone, …; zones in order of first mention.
fn round_robin<'a>(listed: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut zones: Vec<(&str, Vec<&str>)> = Vec::new();
    for &(zone, name) in listed {
        match zones.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, names)) => names.push(name),
            None => zones.push((zone, vec![name])),
        }
    }
    let longest = zones
        .iter()
        .map(|(_, names)| names.len())
        .max()
        .unwrap_or(0);
    let round = |place: usize| {
        zones
            .iter()
            .filter_map(move |(_, names)| names.get(place).copied())
    };
    (0..longest).flat_map(round).collect()
}

/// A pod as a run recorded it.
pub(super) struct Pod {
    pub(super) name: String,
    /// When the scheduler's queue saw it.
    pub(super) queued: SimTime,
    /// When it was decided, if it was.
    pub(super) scheduled: Option<SimTime>,
    /// When the scheduler saw it end.
    freed: Option<SimTime>,
    pub(super) node: String,
    duration: SimDuration,
    request: TaskRequest,
}

/// The pods of a run, by when they were queued.
pub(super) struct Run {
    pub(super) pods: Vec<Pod>,
}

impl Run {
    pub(super) fn read(files: &Files, run: u32) -> Result<Self, ExperimentError> {
        let workload = files.table(WORKLOAD)?;
        let [name] = workload.columns(["name"])?;
        let outcomes = files.table(&of_run("outcomes", run))?;
        let [pod, queued, scheduled, freed, node] =
            outcomes.columns(["pod", "queued_s", "scheduled_s", "freed_s", "node"])?;
        let mut pods = Vec::new();
        for row in outcomes.rows() {
            let found = workload
                .rows()
                .find(|asked| asked.text(name) == row.text(pod));
            let asked =
                found.ok_or_else(|| row.wrong(pod, "the workload has no pod of this name"))?;
            let time = |column: usize| -> Result<Option<SimTime>, ExperimentError> {
                let is_empty = row.text(column).is_empty();
                let time = (!is_empty).then(|| row.seconds(column)).transpose()?;
                Ok(time.map(|time| SimTime::ZERO + time))
            };
            pods.push(Pod {
                name: row.text(pod).to_owned(),
                queued: time(queued)?.ok_or_else(|| row.wrong(queued, "every pod was queued"))?,
                scheduled: time(scheduled)?,
                freed: time(freed)?,
                node: row.text(node).to_owned(),
                duration: duration(&workload, &asked)?,
                request: request(&workload, &asked)?,
            });
        }
        pods.sort_by(|a, b| (a.queued, &a.name).cmp(&(b.queued, &b.name)));
        Ok(Self { pods })
    }

    /// What starting and ending took on average, beyond the time asked for.
    fn overhead(&self) -> SimDuration {
        let (mut sum, mut count) = (0_u64, 0_u64);
        for pod in &self.pods {
            let (Some(scheduled), Some(freed)) = (pod.scheduled, pod.freed) else {
                continue;
            };
            let held = freed.as_nanos().saturating_sub(scheduled.as_nanos());
            sum = sum.saturating_add(held.saturating_sub(pod.duration.as_nanos()));
            count += 1;
        }
        SimDuration::from_nanos(sum.checked_div(count).unwrap_or(0))
    }

    /// The pods as jobs of one task, in the same order.
    pub(super) fn jobs(&self) -> Vec<JobSpec> {
        let overhead = self.overhead();
        let job = |pod: &Pod| {
            JobSpec::new(pod.queued, pod.request, pod.duration)
                .named(&pod.name)
                .startup(overhead)
        };
        self.pods.iter().map(job).collect()
    }
}

fn duration(workload: &Table, row: &Row<'_>) -> Result<SimDuration, ExperimentError> {
    let [duration] = workload.columns(["duration_s"])?;
    row.seconds(duration)
}

/// An empty cell asks for nothing.
fn request(workload: &Table, row: &Row<'_>) -> Result<TaskRequest, ExperimentError> {
    let [cpu, memory, gpus] = workload.columns(["cpu_m", "mem_mi", "gpu"])?;
    let memory: u64 = row.optional(memory)?.unwrap_or(0);
    Ok(TaskRequest {
        gpus: match row.optional(gpus)? {
            None | Some(0) => GpuRequest::None,
            Some(count) => GpuRequest::Whole(count),
        },
        models: 0,
        cpu: MilliCores(row.optional(cpu)?.unwrap_or(0)),
        memory: Bytes(memory << 20),
    })
}
