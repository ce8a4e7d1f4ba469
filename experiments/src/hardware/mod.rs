//! Node models: what a server is made of, how it is connected, and where each figure is from.
//!
//! Those that come with the program are TOML files in `experiments/data/hardware`; a user's own is read
//! by [`parse`] and looks the same. `docs/HARDWARE.md` describes the format.
//!
//! ```
//! use windtunnel::core::{DeviceSet, topology::PathClass};
//! use windtunnel::hardware;
//! let box_ = hardware::model("hgx-h100")?;
//! assert_eq!(box_.gpus, 8);
//! assert_eq!(box_.topology().path(0, 7), PathClass::NvLink(18));
//! let node = box_.node_model(); // for a supply of the engine
//! assert_eq!(node.gpu_model, "h100-sxm5-80");
//! assert_eq!(
//!     hardware::model("hgx-h10").unwrap_err().to_string(),
//!     "no hardware `hgx-h10` comes with the program\n  hint: did you mean `hgx-h100`? `windtunnel topo --list` names all"
//! );
//! # Ok::<(), hardware::UnknownModel>(())
//! ```

mod build;
mod catalogue;
mod decode;
mod drawing;
mod gpu;
mod matrix;
mod provenance;

use std::sync::Arc;

use windtunnel_core::topology::{Cpu, DeviceGraph, Topology};
use windtunnel_core::{Bytes, MilliCores, NodeModel};

pub use catalogue::{UnknownModel, model, models};
pub(crate) use decode::text_of;
pub use decode::{load, parse};
pub use gpu::{GpuModel, MigProfile, gpus};

/// How well a figure is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Read in the cited primary source.
    Source,
    /// Read in a third-party page that quotes it.
    Secondary,
    /// Domain knowledge, not checked: a default to be overridden.
    #[default]
    General,
    /// Computed from other figures.
    Derived,
}

impl Verification {
    /// The words of files and outputs.
    pub const WORDS: &[(&str, Self)] = &[
        ("source", Self::Source),
        ("secondary", Self::Secondary),
        ("general", Self::General),
        ("derived", Self::Derived),
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Secondary => "secondary",
            Self::General => "general",
            Self::Derived => "derived",
        }
    }
}

/// Where a group of figures is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Where it was read, or how it was made.
    pub source: String,
    /// How well it is known.
    pub verification: Verification,
}

/// The CPUs and the memory of a node model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPart {
    /// Family of the CPUs.
    pub family: Cpu,
    /// Number of sockets.
    pub sockets: u8,
    /// Number of NUMA nodes, the same in each socket.
    pub numa_nodes: u8,
    /// Cores as schedulers count them; on clouds, virtual ones.
    pub cores: u32,
    /// Hardware threads per core, for the numbers that the operating system gives them.
    pub threads_per_core: u8,
    /// Memory \[GiB\].
    pub memory_gib: u32,
    /// Where it is from.
    pub provenance: Provenance,
}

impl CpuPart {
    /// The CPUs of a NUMA node as Linux lists them: `0-15,128-143`.
    #[must_use]
    pub fn affinity(&self, numa: u8) -> String {
        let each = self.cores / u32::from(self.numa_nodes.max(1));
        if each == 0 {
            return String::new();
        }
        let range = |thread: u8| {
            let first = u32::from(thread) * self.cores + u32::from(numa) * each;
            format!("{first}-{}", first + each - 1)
        };
        (0..self.threads_per_core)
            .map(range)
            .collect::<Vec<_>>()
            .join(",")
    }
}

/// Equal network cards of a node model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicGroup {
    /// What their names begin with.
    pub prefix: String,
    /// How many.
    pub count: u8,
    /// What they speak: `infiniband-ndr`, `efa` and the like.
    pub kind: String,
    /// Line rate \[Gb/s\].
    pub gbit_per_s: u32,
    /// What a port carries per direction, effectively [MB/s = 10⁶ bytes per second].
    pub effective: u32,
    /// Latency of a small message \[ns\].
    pub latency: u32,
    /// Whether they reach GPU memory by themselves.
    pub gpudirect: bool,
    /// Where it is from.
    pub provenance: Provenance,
}

/// The NVLinks of a node model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvLinkPart {
    /// Generation, from 1.
    pub generation: u8,
    /// What one link carries per direction, effectively \[MB/s\].
    pub link: u32,
    /// Links from each GPU to the NVSwitches; 0 without.
    pub switch_links: u8,
    /// Nodes that share the NVSwitches.
    pub domain_nodes: u32,
    /// GPU, GPU, links between them.
    pub pairs: Vec<(u8, u8, u8)>,
    /// Where it is from; by default as the constants.
    pub provenance: Provenance,
}

/// The power of a whole node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Power {
    /// When idle \[W\].
    pub idle_watts: u32,
    /// At most \[W\].
    pub max_watts: u32,
    /// Where it is from.
    pub provenance: Provenance,
}

/// A node model: one kind of server.
#[derive(Clone, Debug)]
pub struct HardwareModel {
    /// Its name, by which scenarios ask for it.
    pub name: String,
    /// Its name in full.
    pub title: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// Where the layout is from.
    pub provenance: Provenance,
    /// Its GPUs.
    pub gpu: GpuModel,
    /// How many.
    pub gpus: u8,
    /// CPUs and memory.
    pub cpu: CpuPart,
    /// NVLinks, if it has any.
    pub nvlink: Option<NvLinkPart>,
    /// Network cards.
    pub nics: Vec<NicGroup>,
    /// Power of the whole, if known.
    pub power: Option<Power>,
    graph: DeviceGraph,
    topology: Arc<Topology>,
    text: String,
}

impl PartialEq for HardwareModel {
    /// By its text, from which all else follows.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for HardwareModel {}

impl HardwareModel {
    /// The devices and the links between them.
    #[must_use]
    pub const fn graph(&self) -> &DeviceGraph {
        &self.graph
    }

    /// What the graph comes to; all nodes of the model share it.
    #[must_use]
    pub const fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The TOML it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The node model of the engine.
    #[must_use]
    pub fn node_model(&self) -> NodeModel {
        NodeModel {
            name: self.name.clone(),
            gpu_model: self.gpu.model.clone(),
            gpus: self.gpus,
            cpu: MilliCores(self.cpu.cores.saturating_mul(1_000)),
            memory: Bytes(u64::from(self.cpu.memory_gib) << 30),
            gpu_memory: self.topology().gpu_memory(),
            topology: Some(Arc::clone(&self.topology)),
        }
    }
}
