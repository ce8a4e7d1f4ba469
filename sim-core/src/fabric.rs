//! What lies between nodes: NVLink domains that span nodes, racks with a leaf switch, pods, a spine.

mod places;

pub use places::Places;

/// A level of the fabric that a group of tasks must not cross, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One node.
    Node,
    /// An NVLink domain: one node, or several under one NVLink switch.
    Domain,
    /// A rack: nodes under one leaf switch.
    Rack,
    /// A pod: racks under one set of spine switches.
    Pod,
}

impl Level {
    /// All levels, innermost first.
    pub const ALL: [Self; 4] = [Self::Node, Self::Domain, Self::Rack, Self::Pod];

    /// Its name in files: `node`, `domain`, `rack`, `pod`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Domain => "domain",
            Self::Rack => "rack",
            Self::Pod => "pod",
        }
    }

    /// The level of a name.
    ///
    /// ```
    /// use windtunnel_core::Level;
    /// assert_eq!(Level::named("rack"), Some(Level::Rack));
    /// assert_eq!(Level::named("row"), None);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Domain => "NVLink domain",
            other => other.name(),
        })
    }
}

/// How nodes are grouped, and what carries the traffic between them. Groups are cut from the nodes of
/// each pool in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fabric {
    /// Nodes under one leaf switch; zero puts all nodes into one rack. A pool may have its own number
    /// ([`Layout`]).
    pub nodes_per_rack: u32,
    /// Racks of one pod; zero puts all racks into one pod.
    pub racks_per_pod: u32,
    /// Bandwidth into a leaf over bandwidth out of it, in thousandths: 1000 is non-blocking.
    pub rack_oversubscription: u32,
    /// The same for what leaves a pod.
    pub pod_oversubscription: u32,
    /// What carries the traffic.
    pub transport: Transport,
    /// Whether network cards read and write GPU memory by themselves (GPUDirect RDMA).
    pub rdma: bool,
    /// Whether card `i` of every node hangs on leaf `i`, so that equal ranks are one hop apart.
    pub rail_optimised: bool,
}

/// How the nodes of one pool stand, where it differs from the fabric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Nodes of one NVLink domain; without it, what the node model says.
    pub nodes_per_domain: Option<u32>,
    /// Nodes under one leaf switch; zero puts them into the rack that all such pools share. Without it,
    /// what the fabric says.
    pub nodes_per_rack: Option<u32>,
}

/// What carries the traffic between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// InfiniBand.
    #[default]
    InfiniBand,
    /// RDMA over converged Ethernet.
    Roce,
    /// Amazon's Elastic Fabric Adapter.
    Efa,
    /// Plain TCP sockets.
    Tcp,
}

impl Transport {
    /// All of them, in the order in which they are mentioned.
    pub const ALL: [Self; 4] = [Self::InfiniBand, Self::Roce, Self::Efa, Self::Tcp];

    /// Its name in files: `infiniband`, `roce`, `efa`, `tcp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InfiniBand => "infiniband",
            Self::Roce => "roce",
            Self::Efa => "efa",
            Self::Tcp => "tcp",
        }
    }

    /// The transport of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|transport| transport.name() == name)
    }
}

impl Default for Fabric {
    /// One rack, one pod, non-blocking InfiniBand with RDMA.
    fn default() -> Self {
        Self {
            nodes_per_rack: 0,
            racks_per_pod: 0,
            rack_oversubscription: 1_000,
            pod_oversubscription: 1_000,
            transport: Transport::InfiniBand,
            rdma: true,
            rail_optimised: false,
        }
    }
}
