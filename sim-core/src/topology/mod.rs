//! What connects the GPUs of one node: path classes, bandwidths, NUMA nodes, network cards.
//!
//! One [`Topology`] belongs to a node *model*, not to a node: twelve thousand equal nodes share it.
//! It is derived, once, from a [`DeviceGraph`], which says what is connected to what.

mod derive;
mod graph;
mod links;
mod network;
mod packing;
mod rings;
mod subset;
mod tree;

pub use graph::{Device, DeviceGraph, DeviceId, GraphError, Link, LinkKind, MAX_NICS, Port};
pub use links::Cpu;

use crate::device::{DeviceSet, MAX_DEVICES};
use crate::units::{Bytes, MilliCores};

/// How two devices of a node reach each other, as `nvidia-smi topo -m` names it; better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathClass {
    /// `X`: the device itself.
    Same,
    /// `NV#`: a bonded set of so many NVLinks, directly or through a switch of them.
    NvLink(u8),
    /// `PIX`: at most one PCIe bridge.
    Pix,
    /// `PXB`: several PCIe bridges, no host bridge.
    Pxb,
    /// `PHB`: a PCIe host bridge, typically the CPU.
    Phb,
    /// `NODE`: between host bridges of one NUMA node.
    Node,
    /// `SYS`: across the link between NUMA nodes.
    Sys,
}

impl std::fmt::Display for PathClass {
    /// As `nvidia-smi topo -m` prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => f.pad("X"),
            Self::NvLink(links) => f.pad(&format!("NV{links}")),
            Self::Pix => f.pad("PIX"),
            Self::Pxb => f.pad("PXB"),
            Self::Phb => f.pad("PHB"),
            Self::Node => f.pad("NODE"),
            Self::Sys => f.pad("SYS"),
        }
    }
}

/// A network card of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name, for output.
    pub name: String,
    /// What its port carries per direction, effectively [MB/s = 10⁶ bytes per second].
    pub bandwidth: u32,
    /// The NUMA node it hangs on.
    pub numa: u8,
    /// Latency of a small message \[ns\].
    pub latency: u32,
    /// Whether it reaches GPU memory by itself (GPUDirect RDMA).
    pub gpudirect: bool,
    /// What each GPU can send through it if nobody else does: the least of the way to it and its port
    /// \[MB/s\].
    pub reach: Vec<u32>,
    /// How each GPU reaches it.
    pub paths: Vec<PathClass>,
}

/// How the GPUs, cores and network cards of a node model are connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    gpus: u8,
    /// Memory of one GPU.
    gpu_memory: Bytes,
    /// CPU cores of each NUMA node.
    cores: Vec<MilliCores>,
    /// NUMA node of each GPU.
    numa: [u8; MAX_DEVICES],
    paths: Vec<PathClass>,
    /// GPUs that each GPU reaches over NVLinks.
    linked: [DeviceSet; MAX_DEVICES],
    bandwidth: Vec<u32>,
    latency: Vec<u32>,
    nics: Vec<Nic>,
    nic_paths: Vec<PathClass>,
    wires: rings::Wires,
    exits: network::Exits,
    memo: subset::Memo,
}

impl Topology {
    /// Number of GPUs.
    #[must_use]
    pub const fn gpus(&self) -> u8 {
        self.gpus
    }

    /// Memory of one GPU.
    #[must_use]
    pub const fn gpu_memory(&self) -> Bytes {
        self.gpu_memory
    }

    /// CPU cores of each NUMA node, in order.
    #[must_use]
    pub fn cores(&self) -> &[MilliCores] {
        &self.cores
    }

    /// The NUMA node of a GPU.
    ///
    /// # Panics
    /// If there is no such GPU.
    #[must_use]
    pub fn numa_of(&self, gpu: usize) -> u8 {
        assert!(gpu < usize::from(self.gpus), "no GPU {gpu}");
        self.numa[gpu]
    }

    /// Number of NUMA nodes.
    #[must_use]
    pub fn numa_nodes(&self) -> usize {
        self.cores.len()
    }

    /// GPUs of a NUMA node.
    #[must_use]
    pub fn gpus_of(&self, numa: u8) -> DeviceSet {
        let mut set = DeviceSet::EMPTY;
        for gpu in 0..usize::from(self.gpus) {
            if self.numa[gpu] == numa {
                set.0 |= 1 << gpu;
            }
        }
        set
    }

    /// How two GPUs reach each other.
    ///
    /// # Panics
    /// If there is no such GPU.
    #[must_use]
    pub fn path(&self, a: usize, b: usize) -> PathClass {
        self.paths[a * usize::from(self.gpus) + b]
    }

    /// The GPUs that a GPU reaches over NVLinks, directly or through a switch of them.
    pub(crate) const fn linked_to(&self, gpu: usize) -> DeviceSet {
        self.linked[gpu]
    }

    /// What the path between two GPUs carries per direction if nobody else uses it [MB/s].
    ///
    /// # Panics
    /// If there is no such GPU.
    #[must_use]
    pub fn bandwidth(&self, a: usize, b: usize) -> u32 {
        self.bandwidth[a * usize::from(self.gpus) + b]
    }

    /// How long a byte takes from one GPU to another, over the links alone \[ns\].
    ///
    /// # Panics
    /// If there is no such GPU.
    #[must_use]
    pub fn latency(&self, a: usize, b: usize) -> u32 {
        self.latency[a * usize::from(self.gpus) + b]
    }

    /// The network cards.
    #[must_use]
    pub fn nics(&self) -> &[Nic] {
        &self.nics
    }

    /// How two network cards reach each other.
    ///
    /// # Panics
    /// If there is no such card.
    #[must_use]
    pub fn nic_path(&self, a: usize, b: usize) -> PathClass {
        self.nic_paths[a * self.nics.len() + b]
    }
}
