//! The openb cluster filled to 130 % of its GPUs by pods that never leave: 10,866 decisions on 1,213
//! nodes, and the naive way to take them.

use std::path::PathBuf;

use windtunnel_core::rng::{Purpose, Seed, stream};
use windtunnel_core::{
    Bytes, Decisions, JobList, JobNews, JobSpec, MilliCores, Names, News, NodeFree, NodeId, Plan,
    Platform, Policy, RunOptions, Sharing, SimDuration, SimTime, Simulation, Supply, TaskRequest,
    TaskView, View,
};
use windtunnel_traces::OpenbReader;
use windtunnel_traces::openb::{Fill, ListedNode, NodeList};

use rand::RngExt;

/// A cluster and the pods that fill it.
#[derive(Clone, Debug)]
pub struct FillCase {
    /// The nodes.
    pub supply: Supply,
    /// The pods, one a second.
    pub pods: JobList,
    /// What they were made with.
    pub names: Names,
}

impl FillCase {
    /// The public trace and nodes, or pods and nodes made up where they are not at hand.
    ///
    /// # Panics
    /// If the files are there but can't be read.
    #[must_use]
    pub fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/openb");
        let pods = folder.join("openb_pod_list_default.csv.gz");
        let mut names = Names::default();
        let (supply, pods) = if pods.exists() {
            let nodes = NodeList::open(folder.join("openb_node_list_gpu_node.csv"));
            let reader = OpenbReader::open(pods).expect("the trace opens");
            let pods = reader.read_all(&mut names).expect("the trace reads").jobs;
            (nodes.expect("the list reads").supply(), pods)
        } else {
            (made_up_nodes().supply(), made_up_pods())
        };
        let fill = Fill::new(supply.gpu_count() * 1_000);
        let pods = JobList::new(fill.generate(Seed(42), pods));
        Self {
            supply,
            pods,
            names,
        }
    }

    /// A run of it under a policy.
    ///
    /// # Panics
    /// Never: supply and platform are legal.
    #[must_use]
    pub fn simulation(&self, policy: Box<dyn Policy>, ledger: bool) -> Simulation {
        let platform = Platform::new("fill", policy).sharing(Sharing::Fractions);
        let mut options = RunOptions::default().names(self.names.clone());
        options.ledger = ledger;
        Simulation::new(self.supply.clone(), self.pods.clone(), platform, options)
            .expect("legal parts")
    }
}

impl Default for FillCase {
    fn default() -> Self {
        Self::new()
    }
}

/// 1,200 nodes of four kinds, in turns.
fn made_up_nodes() -> NodeList {
    let kinds = [(8, "A", 96), (8, "A", 128), (2, "B", 64), (2, "B", 96)];
    let node = |place: usize| {
        let (gpus, model, cores) = kinds[place % kinds.len()];
        ListedNode {
            name: format!("n{place}"),
            model: windtunnel_core::NodeModel {
                name: format!("{gpus}x-{model}-{cores}c"),
                gpu_model: model.to_owned(),
                gpus,
                cpu: MilliCores::cores(cores),
                memory: Bytes(u64::from(cores) << 32),
                gpu_memory: Bytes(0),
                topology: None,
            },
        }
    };
    NodeList {
        nodes: (0..1_200).map(node).collect(),
    }
}

/// 8,000 pods, mostly of one GPU or a part of one, of about a hundred shapes.
fn made_up_pods() -> Vec<JobSpec> {
    let mut rng = stream(Seed(1), Purpose::Jobs, 0, 0);
    let mut pod = |place: u32| {
        let request = match rng.random_range(0..100_u32) {
            0..13 => TaskRequest::default(),
            13..50 => TaskRequest::gpu_milli(100 * rng.random_range(1..10_u16)),
            50..98 => TaskRequest::gpus(1),
            98 => TaskRequest::gpus(2),
            _ => TaskRequest::gpus(8),
        };
        let cores = 2 * rng.random_range(1..7_u32);
        let request = request
            .with_cores(cores)
            .with_memory(Bytes(u64::from(cores) << 31));
        JobSpec::new(SimTime::ZERO, request, SimDuration::ZERO).named(&format!("p{place:05}"))
    };
    (0..8_000).map(&mut pod).collect()
}

/// Best fit as the original has it, without an index: every pod that arrives is tested on every node,
/// feasible nodes are scored in floating point, scores are stretched to 0..100, and the first of the
/// highest wins. A pod is never tried again. Same decisions as `best-fit` while nothing leaves.
#[derive(Clone, Debug, Default)]
pub struct NaiveBestFit {
    /// Feasible nodes and their scores; kept for its allocation.
    scored: Vec<(NodeId, i64)>,
}

impl NaiveBestFit {
    fn choose(&mut self, view: &View<'_>, plan: &Plan<'_>, task: TaskView<'_>) -> Option<NodeId> {
        self.scored.clear();
        for node in view.nodes().filter(|node| plan.fits(task, node.id())) {
            self.scored
                .push((node.id(), score(node.free(), task.request())));
        }
        let scores = || self.scored.iter().map(|(_, score)| *score);
        let (low, high) = (scores().min()?, scores().max()?);
        let mut best: Option<(NodeId, i64)> = None;
        for &(node, score) in &self.scored {
            let stretched = match high - low {
                0 => 0,
                range => (score - low) * 100 / range,
            };
            if best.is_none_or(|(_, most)| stretched > most) {
                best = Some((node, stretched));
            }
        }
        best.map(|(node, _)| node)
    }
}

/// `trunc(100·(1 − [½·(cpu left)/128 cores + ½·(GPU left)/8 GPUs]))`, in floating point.
#[expect(clippy::cast_possible_truncation, reason = "between 0 and 100")]
fn score(free: &NodeFree, request: &TaskRequest) -> i64 {
    let cpu = f64::from(free.cpu) - f64::from(request.cpu.0);
    let gpu = f64::from(free.milli) - f64::from(request.gpus.milli());
    ((1.0 - (0.5 * cpu / 128_000.0 + 0.5 * gpu / 8_000.0)) * 100.0) as i64
}

impl Policy for NaiveBestFit {
    fn name(&self) -> &'static str {
        "naive-best-fit"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let plan = view.plan();
        for change in news.jobs {
            let found = view
                .job(change.job)
                .filter(|_| change.what == JobNews::Created);
            let Some(task) = found.and_then(|job| job.tasks().next()) else {
                continue;
            };
            if let Some(node) = self.choose(view, &plan, task) {
                out.place(change.job, [node.into()]);
            }
        }
    }
}

/// Nanoseconds that this thread has spent on a processor; wall time where the system does not say.
///
/// # Panics
/// Never: the clock does not go back.
#[must_use]
pub fn cpu_nanos() -> u128 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split(' ').next()?.parse().ok());
    spent.unwrap_or_else(|| BEGAN.get_or_init(Instant::now).elapsed().as_nanos())
}
