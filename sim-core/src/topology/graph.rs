//! The devices of a node model and the links between them, as a graph.

use std::collections::BTreeSet;

use petgraph::graph::{NodeIndex, UnGraph};

use super::links::Cpu;
use crate::device::MAX_DEVICES;
use crate::units::MilliCores;

/// Most network cards of a node.
pub const MAX_NICS: usize = 64;
/// Most links of a node.
const MAX_LINKS: usize = 4_096;

/// One device of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// A CPU socket: what NUMA nodes hang on.
    Socket {
        /// What it is; all sockets of a node are of one family.
        cpu: Cpu,
    },
    /// A NUMA node of a socket.
    Numa {
        /// Its number; a node's are 0, 1, ….
        id: u8,
        /// Its CPU cores.
        cores: MilliCores,
    },
    /// A PCIe host bridge of a NUMA node.
    HostBridge,
    /// A PCIe switch.
    PcieSwitch,
    /// A GPU.
    Gpu {
        /// Its number; a node's are 0, 1, ….
        index: u8,
    },
    /// A network card.
    Nic(Port),
    /// A switch of NVLinks, or several that act as one.
    NvSwitch {
        /// Nodes that it connects: 1 inside a box, 18 in a rack of 18 trays.
        nodes: u32,
    },
}

/// The port of a network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, unique in the node.
    pub name: String,
    /// What it carries per direction, effectively [MB/s = 10⁶ bytes per second].
    pub bandwidth: u32,
    /// Latency of a small message \[ns\].
    pub latency: u32,
    /// Whether it reaches GPU memory by itself (GPUDirect RDMA).
    pub gpudirect: bool,
}

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkKind {
    /// Bonded NVLinks between two GPUs, or a GPU and a switch of them.
    NvLink {
        /// How many.
        links: u8,
    },
    /// PCIe.
    Pcie {
        /// Its generation.
        generation: u8,
    },
    /// NVLink-C2C between a GPU and its CPU.
    C2c,
    /// Inside a CPU.
    Inside,
    /// Between the NUMA nodes of a socket.
    Mesh,
    /// Between sockets.
    Socket,
}

/// A link, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is.
    pub kind: LinkKind,
    /// Effective bandwidth per direction [MB/s = 10⁶ bytes per second].
    pub bandwidth: u32,
    /// Latency \[ns\].
    pub latency: u32,
}

impl Link {
    /// The same with another bandwidth \[MB/s\]: fewer lanes, a figure of one's own.
    #[must_use]
    pub const fn carrying(mut self, bandwidth: u32) -> Self {
        self.bandwidth = bandwidth;
        self
    }
}

/// A device in a [`DeviceGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub(super) u32);

impl DeviceId {
    /// Its place in the order in which devices were added, which is its index in
    /// [`DeviceGraph::graph`] too.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A graph of devices makes no sense as a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// No GPU.
    #[error("there is no GPU")]
    NoGpu,
    /// More GPUs than a node may have.
    #[error("{0} GPUs, and a node has at most 16")]
    TooManyGpus(usize),
    /// More network cards than a node may have.
    #[error("{0} network cards, and a node has at most 64")]
    TooManyNics(usize),
    /// More links than anybody's node has.
    #[error("{0} links, and a node has at most 4096")]
    TooManyLinks(usize),
    /// Two GPUs of one number, or a number that is left out.
    #[error("GPU numbers are 0, 1, …, each once: GPU {0} is missing or there twice")]
    GpuNumbers(usize),
    /// Two NUMA nodes of one number, or a number that is left out.
    #[error("numbers of NUMA nodes are 0, 1, …, each once: node {0} is missing or there twice")]
    NumaNumbers(usize),
    /// Two network cards of one name.
    #[error("two network cards are called `{0}`")]
    NicNames(String),
    /// A device without a way to a CPU.
    #[error("{0} is not connected to a CPU")]
    Unconnected(String),
    /// A device with two ways to a CPU: where PCIe is not a tree.
    #[error("{0} has two ways to a CPU, and PCIe is a tree")]
    TwoWays(String),
    /// Two sockets without a way between them.
    #[error("there is no link from one socket to another")]
    SocketsApart,
    /// Sockets of several families.
    #[error("the sockets are of several families of CPU")]
    MixedCpus,
    /// A link between devices that it cannot connect.
    #[error("{kind:?} cannot connect {a} and {b}")]
    WrongEnds {
        /// The link.
        kind: LinkKind,
        /// One end.
        a: String,
        /// The other.
        b: String,
    },
    /// A link, or the port of a network card, that carries nothing.
    #[error("the link between {0} carries nothing")]
    NoBandwidth(String),
    /// GPUs on switches of NVLinks that connect different numbers of nodes.
    #[error("switches of NVLinks connect at least one node, and all the same number")]
    Domains,
}

/// The devices of a node model and how they are connected.
///
/// PCIe is a tree below each socket: socket, NUMA nodes, host bridges, switches, GPUs and network
/// cards. NVLinks go between GPUs, or from GPUs to a switch of NVLinks.
///
/// ```
/// use windtunnel_core::topology::{Cpu, Device, DeviceGraph, Link, PathClass, Topology};
/// use windtunnel_core::{Bytes, DeviceSet, MilliCores};
/// let mut graph = DeviceGraph::new();
/// let socket = graph.add(Device::Socket { cpu: Cpu::Skylake });
/// let numa = graph.add(Device::Numa { id: 0, cores: MilliCores::cores(32) });
/// graph.link(socket, numa, Link::inside());
/// let gpus: Vec<_> = (0..3).map(|index| {
///     let bridge = graph.add(Device::HostBridge);
///     graph.link(numa, bridge, Link::inside());
///     let gpu = graph.add(Device::Gpu { index });
///     graph.link(bridge, gpu, Link::pcie(4));
///     gpu
/// }).collect();
/// graph.link(gpus[0], gpus[1], Link::nvlink(3, 12)); // a bridge over two of them
///
/// let topology = Topology::derive(&graph, Bytes::gib(80))?;
/// assert_eq!(topology.path(0, 1), PathClass::NvLink(12));
/// assert_eq!(topology.path(1, 2), PathClass::Node);
/// assert_eq!(topology.collective(DeviceSet(0b011)), 240_000); // MB/s
/// assert_eq!(topology.collective(DeviceSet(0b111)), 20_000); // the third GPU joins over PCIe
/// # Ok::<(), windtunnel_core::topology::GraphError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DeviceGraph {
    graph: UnGraph<Device, Link>,
}

impl DeviceGraph {
    /// No devices yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a device.
    pub fn add(&mut self, device: Device) -> DeviceId {
        #[expect(clippy::cast_possible_truncation, reason = "petgraph counts to 2^32")]
        DeviceId(self.graph.add_node(device).index() as u32)
    }

    /// Connects two devices. Whether that makes sense is looked at in
    /// [`Topology::derive`](super::Topology::derive).
    ///
    /// # Panics
    /// If a device is of another graph and not in this one.
    pub fn link(&mut self, a: DeviceId, b: DeviceId, link: Link) {
        self.graph
            .add_edge(NodeIndex::new(a.index()), NodeIndex::new(b.index()), link);
    }

    /// The graph, for whoever wants to walk it.
    #[must_use]
    pub const fn graph(&self) -> &UnGraph<Device, Link> {
        &self.graph
    }

    /// The devices in the order in which they were added.
    pub(super) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.graph.node_weights()
    }

    pub(super) fn device(&self, index: usize) -> &Device {
        &self.graph[NodeIndex::new(index)]
    }

    /// The links in the order in which they were added.
    pub(super) fn links(&self) -> impl Iterator<Item = (usize, usize, &Link)> {
        let ends = |edge: petgraph::graph::EdgeIndex| self.graph.edge_endpoints(edge);
        self.graph.edge_indices().filter_map(move |edge| {
            let (a, b) = ends(edge)?;
            Some((a.index(), b.index(), &self.graph[edge]))
        })
    }

    /// How messages call a device.
    #[must_use]
    pub fn name(&self, device: DeviceId) -> String {
        self.name_of(device.index())
    }

    pub(super) fn name_of(&self, index: usize) -> String {
        let place = |is_same: fn(&Device) -> bool| {
            let before = self.devices().take(index);
            before.filter(|device| is_same(device)).count()
        };
        match self.device(index) {
            Device::Socket { .. } => {
                format!("socket {}", place(|d| matches!(d, Device::Socket { .. })))
            }
            Device::Numa { id, .. } => format!("NUMA node {id}"),
            Device::HostBridge => {
                format!("host bridge {}", place(|d| *d == Device::HostBridge))
            }
            Device::PcieSwitch => {
                format!("PCIe switch {}", place(|d| *d == Device::PcieSwitch))
            }
            Device::Gpu { index } => format!("GPU{index}"),
            Device::Nic(port) => format!("network card `{}`", port.name),
            Device::NvSwitch { .. } => {
                format!(
                    "NVSwitch {}",
                    place(|d| matches!(d, Device::NvSwitch { .. }))
                )
            }
        }
    }

    /// Numbers, names and the ends of links.
    pub(super) fn check(&self) -> Result<(), GraphError> {
        let gpus = |device: &Device| match device {
            Device::Gpu { index } => Some(usize::from(*index)),
            _ => None,
        };
        let numas = |device: &Device| match device {
            Device::Numa { id, .. } => Some(usize::from(*id)),
            _ => None,
        };
        let count = self.devices().filter_map(gpus).count();
        if count == 0 {
            return Err(GraphError::NoGpu);
        }
        if count > MAX_DEVICES {
            return Err(GraphError::TooManyGpus(count));
        }
        let links = self.graph.edge_count();
        if links > MAX_LINKS {
            return Err(GraphError::TooManyLinks(links));
        }
        numbered(self.devices().filter_map(gpus)).map_err(GraphError::GpuNumbers)?;
        numbered(self.devices().filter_map(numas)).map_err(GraphError::NumaNumbers)?;
        self.check_nics()?;
        self.check_switches()?;
        self.links()
            .try_for_each(|(a, b, link)| self.check_link(a, b, link))
    }

    fn check_nics(&self) -> Result<(), GraphError> {
        let mut names = BTreeSet::new();
        for device in self.devices() {
            let Device::Nic(port) = device else { continue };
            if !names.insert(&port.name) {
                return Err(GraphError::NicNames(port.name.clone()));
            }
            if port.bandwidth == 0 {
                let ends = format!("network card `{}` and the network", port.name);
                return Err(GraphError::NoBandwidth(ends));
            }
        }
        if names.len() > MAX_NICS {
            return Err(GraphError::TooManyNics(names.len()));
        }
        Ok(())
    }

    fn check_switches(&self) -> Result<(), GraphError> {
        let mut cpus = BTreeSet::new();
        let mut domains = BTreeSet::new();
        for device in self.devices() {
            match device {
                Device::Socket { cpu } => drop(cpus.insert(*cpu)),
                Device::NvSwitch { nodes } => drop(domains.insert(*nodes)),
                _ => {}
            }
        }
        if cpus.len() > 1 {
            return Err(GraphError::MixedCpus);
        }
        if domains.len() > 1 || domains.contains(&0) {
            return Err(GraphError::Domains);
        }
        Ok(())
    }

    fn check_link(&self, a: usize, b: usize, link: &Link) -> Result<(), GraphError> {
        use Device::{Gpu, HostBridge, Nic, Numa, NvSwitch, PcieSwitch, Socket};
        let is_right = |a: &Device, b: &Device| match link.kind {
            LinkKind::NvLink { .. } => {
                matches!((a, b), (Gpu { .. }, Gpu { .. } | NvSwitch { .. }))
            }
            LinkKind::Pcie { .. } => matches!(
                (a, b),
                (HostBridge | PcieSwitch, PcieSwitch | Gpu { .. } | Nic(_))
            ),
            LinkKind::C2c => matches!((a, b), (HostBridge, Gpu { .. })),
            LinkKind::Inside => matches!(
                (a, b),
                (Socket { .. }, Numa { .. }) | (Numa { .. }, HostBridge)
            ),
            LinkKind::Mesh => matches!((a, b), (Socket { .. }, Numa { .. })),
            LinkKind::Socket => matches!((a, b), (Socket { .. }, Socket { .. })),
        };
        let (one, other) = (self.device(a), self.device(b));
        if a == b || !(is_right(one, other) || is_right(other, one)) {
            return Err(GraphError::WrongEnds {
                kind: link.kind,
                a: self.name_of(a),
                b: self.name_of(b),
            });
        }
        if link.bandwidth == 0 || link.kind == (LinkKind::NvLink { links: 0 }) {
            let ends = format!("{} and {}", self.name_of(a), self.name_of(b));
            return Err(GraphError::NoBandwidth(ends));
        }
        Ok(())
    }
}

/// Whether numbers are 0, 1, …, each once; else the first that is not.
fn numbered(numbers: impl Iterator<Item = usize>) -> Result<(), usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    let wrong = numbers
        .iter()
        .enumerate()
        .find(|(place, number)| place != *number);
    wrong.map_or(Ok(()), |(place, &number)| Err(place.min(number)))
}
