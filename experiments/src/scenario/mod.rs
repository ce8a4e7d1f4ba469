//! A scenario: workload, supply, platforms, seeds and horizon, as plain data.
//!
//! It can be written in code, read from TOML ([`Scenario::from_toml`], [`Scenario::load`]) and read
//! back from a manifest. Reading and [`complete`](Scenario::complete) spell every default out, so
//! that what a manifest echoes is all there is to know.

mod behaviours;
mod build;
mod check;
mod cluster;
mod decode;
mod decode_workload;
mod devices;
mod fabric;
mod faults;
pub(crate) mod fields;
mod hardware;
mod instances;
mod load;
mod locate;
mod saves;
mod schema;
mod sharing;
pub(crate) mod source;
mod speed;
pub(crate) mod text;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use windtunnel_core::{DriverFailures, Horizon, LimitMode, MicroDollars, OnLoss, Ppm, SimDuration};

use crate::hardware::HardwareModel;

pub use behaviours::BehaviourMix;
pub use cluster::Cluster;
pub use devices::Devices;
pub use fabric::{FabricSpec, Oversubscription};
pub use faults::{Faults, Fleet, Maintenance, Repair};
pub use load::{EMBEDDED, Embedded};
pub use saves::Saves;
pub use sharing::{SLOTS_PER_GPU, SharingMode};
pub use source::SourceError;
pub(crate) use source::did_you_mean;
pub use speed::SpeedWord;
pub use workload::{Drawn, FillPods, Log, Published, Rate, Stream, Table, Week, Workload};

/// What is run: one workload on one supply, under each of the platforms, with each of the seeds.
///
/// ```
/// use windtunnel::Scenario;
/// let mut scenario = Scenario::campus();
/// scenario.run.seeds.truncate(2);
/// scenario.platforms.retain(|platform| platform.name == "fifo");
/// assert_eq!(scenario.gpu_count(), 304);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name, seeds and horizon.
    #[serde(rename = "scenario")]
    pub run: Run,
    /// The jobs.
    pub workload: Workload,
    /// How the jobs use their GPUs, for platforms whose speed model asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviours: Option<BehaviourMix>,
    /// The hardware; a pool's place is its id in the engine. Either pools or a cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// The hardware as a list of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// What lies between the nodes.
    pub fabric: FabricSpec,
    /// The faults that befall the nodes.
    pub faults: Faults,
    /// The people, for platforms that do not say otherwise.
    pub staff: Staff,
    /// What is compared, in the order of the output.
    pub platforms: Vec<PlatformSpec>,
}

/// Name, seeds and horizon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its name in outputs.
    pub name: String,
    /// The seeds, in the order of the output. In a file also a count n, which means 1 to n.
    #[schemars(with = "Seeds")]
    pub seeds: Vec<u64>,
    /// `drain`, or a duration after which the run stops.
    #[serde(serialize_with = "text::horizon")]
    #[schemars(with = "String")]
    pub horizon: Horizon,
    /// How often fragmentation is sampled for `fragmentation.csv`, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub sample_every: Option<SimDuration>,
}

/// For the schema: a count or a list.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Seeds {
    Count(u32),
    List(Vec<u64>),
}

/// Equal nodes under one price; either owned (`nodes`) or `rented`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name, unique in the scenario.
    pub name: String,
    /// Number of owned nodes, paid from the start to the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// How it is rented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rented: Option<Rented>,
    /// What a node is, by the name of a model that comes with the program (`windtunnel topo --list`):
    /// GPUs, cores, memory, and how they are connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// The same from a TOML file of your own, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_file: Option<PathBuf>,
    /// The same as text; what a file becomes once it was read, so that a manifest needs no other file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_toml: Option<String>,
    /// GPUs of a node, at most 16; 0 for a pool without GPUs. With hardware: as that has.
    pub gpus_per_node: u8,
    /// The model of the GPUs, by which jobs ask for them. With hardware: as that has, unless given.
    pub gpu_model: String,
    /// Memory of a GPU in GB (10⁹ bytes); not given: what its hardware has, else nothing runs out of
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_gb: Option<u32>,
    /// How its GPUs are shared; not given: as the platform says.
    #[serde(
        serialize_with = "text::own_sharing",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "String", extend("enum" = sharing::words()))]
    pub sharing: Option<SharingMode>,
    /// CPU cores of a node. With hardware: as that has, unless given.
    pub cores: u32,
    /// Memory of a node in GiB. With hardware: as that has, unless given.
    pub memory_gib: u32,
    /// Price in $ per node and hour.
    #[serde(serialize_with = "text::dollars")]
    #[schemars(with = "f64")]
    pub usd_per_node_hour: MicroDollars,
    /// Nodes of one NVLink domain; not given: what the node model says, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_per_domain: Option<u32>,
    /// Nodes under one leaf switch; not given: as in `[fabric]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_per_rack: Option<u32>,
    /// The hardware, once it was looked up.
    #[serde(skip)]
    model: Option<Arc<HardwareModel>>,
}

impl Pool {
    /// Most nodes the pool can have.
    #[must_use]
    pub fn max_nodes(&self) -> u32 {
        match &self.rented {
            Some(rented) => rented.max,
            None => self.nodes.unwrap_or(0),
        }
    }
}

/// How a pool is rented. The engine's supply is fixed unless a platform scales it, and no built-in
/// platform does yet: `min` nodes are up from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rented {
    /// Nodes that are up from the start and never go.
    pub min: u32,
    /// Most nodes.
    pub max: u32,
    /// From the request to the start of the instance; unpaid.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub request_delay: SimDuration,
    /// From the start of the instance to a usable node; paid.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub boot_delay: SimDuration,
    /// Rented time is billed in whole multiples of this; `0s` bills exactly.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub billing_granularity: SimDuration,
    /// Rented time is billed at least this long.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub billing_minimum: SimDuration,
}

/// What the people cost who run it; both add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    /// $ per hour of the run.
    #[serde(serialize_with = "text::dollars")]
    #[schemars(with = "f64")]
    pub usd_per_hour: MicroDollars,
    /// $ per hour of the run and GPU of the supply at its largest.
    #[serde(serialize_with = "text::dollars")]
    #[schemars(with = "f64")]
    pub usd_per_gpu_hour: MicroDollars,
}

/// What a team runs on the hardware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformSpec {
    /// Its name in outputs, unique in the scenario.
    pub name: String,
    /// Its policy: `name` or `name{param=value}`; `windtunnel policies` lists them.
    pub policy: String,
    /// A gang that is partly bound for this long is ended and recreated, or `never`.
    #[serde(serialize_with = "text::never")]
    #[schemars(with = "String")]
    pub gang_timeout: Option<SimDuration>,
    /// What becomes of a batch job that lost a task: `restart` all of it, or `replace` the task.
    #[serde(serialize_with = "text::on_loss")]
    #[schemars(with = "String", extend("enum" = ["restart", "replace"]))]
    pub on_loss: OnLoss,
    /// How GPUs are shared in pools that do not say otherwise: `exclusive`, `fractions` (which do nothing
    /// to each other), `mps` (which slow each other), `time-sliced`, `mig`, or `unchecked` (any number of
    /// tasks on a GPU).
    #[serde(serialize_with = "text::sharing")]
    #[schemars(with = "String", extend("enum" = sharing::words()))]
    pub sharing: SharingMode,
    /// Slots of a time-sliced GPU, 1 to 48; not given: 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_per_gpu: Option<u8>,
    /// What making an instance (MIG) takes that is not there yet; not given: 5 s.
    #[serde(
        serialize_with = "text::given_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "String")]
    pub mig_reconfigure: Option<SimDuration>,
    /// How often a job is started again that was refused after it was bound (its GPUs lack memory, or are
    /// not aligned), after 10 s, 20 s, 40 s and so on, at most 6 min, before it is given up; not given: 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Who chooses devices inside a node: `count-only`, `arbitrary`, `nvidia-plugin`, `kubelet-` or
    /// `slurm-` with how strictly it aligns.
    #[serde(serialize_with = "text::devices")]
    #[schemars(with = "String", extend("enum" = devices::words()))]
    pub devices: Devices,
    /// How fast jobs run: `reference` (the same everywhere) or `topology` (by links, GPU models,
    /// neighbours and phases, as far as jobs have behaviours).
    #[serde(serialize_with = "text::speed")]
    #[schemars(with = "String", extend("enum" = ["reference", "topology"]))]
    pub speed: SpeedWord,
    /// How long the failure of a node goes unnoticed.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub detection_delay: SimDuration,
    /// Probability that the driver of a node does not come up when the node boots or was repaired, 0 to 1.
    #[serde(serialize_with = "text::ppm")]
    #[schemars(with = "f64")]
    pub driver_failure: Ppm,
    /// Shortest time until it is tried again.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub driver_retry_min: SimDuration,
    /// Longest time until it is tried again.
    #[serde(serialize_with = "text::duration")]
    #[schemars(with = "String")]
    pub driver_retry_max: SimDuration,
    /// Who enforces walltime limits: `exact` (the controller), `policy`, or `ignore`.
    #[serde(serialize_with = "text::limit")]
    #[schemars(with = "String", extend("enum" = ["exact", "policy", "ignore"]))]
    pub limit: LimitMode,
    /// Whether network cards read and write GPU memory by themselves; not given: as in `[fabric]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdma: Option<bool>,
    /// Staff in $ per hour; not given: as in `[staff]`.
    #[serde(
        serialize_with = "text::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "f64")]
    pub staff_usd_per_hour: Option<MicroDollars>,
    /// Staff in $ per GPU-hour; not given: as in `[staff]`.
    #[serde(
        serialize_with = "text::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "f64")]
    pub staff_usd_per_gpu_hour: Option<MicroDollars>,
    /// Heads and control planes without GPUs, in $ per hour.
    #[serde(serialize_with = "text::dollars")]
    #[schemars(with = "f64")]
    pub control_plane_usd_per_hour: MicroDollars,
}

/// What stands for the text of a policy that was made in code
/// ([`Sweep::with_policy`](crate::Sweep::with_policy)).
pub const IN_CODE: &str = "(in code)";

impl PlatformSpec {
    /// A platform that runs `policy` with the plainest of everything else.
    #[must_use]
    pub fn new(name: &str, policy: &str) -> Self {
        Self {
            name: name.to_owned(),
            policy: policy.to_owned(),
            gang_timeout: None,
            on_loss: OnLoss::default(),
            sharing: SharingMode::default(),
            slots_per_gpu: None,
            mig_reconfigure: None,
            retries: None,
            devices: Devices::default(),
            speed: SpeedWord::default(),
            detection_delay: SimDuration::ZERO,
            driver_failure: Ppm(0),
            driver_retry_min: DriverFailures::default().retry_min,
            driver_retry_max: DriverFailures::default().retry_max,
            limit: LimitMode::default(),
            rdma: None,
            staff_usd_per_hour: None,
            staff_usd_per_gpu_hour: None,
            control_plane_usd_per_hour: MicroDollars::default(),
        }
    }
}

impl Scenario {
    /// GPUs when every pool is at its largest.
    #[must_use]
    pub fn gpu_count(&self) -> u64 {
        let gpus = |pool: &Pool| u64::from(pool.max_nodes()) * u64::from(pool.gpus_per_node);
        let listed = self.cluster.iter().flat_map(Cluster::gpus);
        self.pools.iter().map(gpus).sum::<u64>() + listed.map(u64::from).sum::<u64>()
    }

    /// GPUs of the node that has most of them.
    #[must_use]
    pub fn gpus_per_node_max(&self) -> u8 {
        let pools = self.pools.iter().map(|pool| pool.gpus_per_node);
        let listed = self.cluster.iter().flat_map(Cluster::gpus);
        pools.chain(listed).max().unwrap_or(0)
    }

    /// CPU cores when every pool is at its largest.
    #[must_use]
    pub fn core_count(&self) -> u64 {
        let cores = |pool: &Pool| u64::from(pool.max_nodes()) * u64::from(pool.cores);
        self.pools.iter().map(cores).sum()
    }

    /// Nodes when every pool is at its largest.
    #[must_use]
    pub fn node_count(&self) -> u64 {
        let nodes = self.pools.iter().map(|pool| u64::from(pool.max_nodes()));
        let listed = self.cluster.iter().flat_map(Cluster::gpus);
        nodes.sum::<u64>() + listed.count() as u64
    }

    /// The JSON Schema of scenario files, for editors and other programs.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schema::schema()
    }
}
