//! What lies between nodes: NVLink domains that span nodes, racks with a leaf switch, pods, a spine.

use crate::ids::{NodeId, PoolId};
use crate::supply::Supply;

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

/// How nodes are grouped, for one pool or for all. Groups are cut from nodes in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fabric {
    /// Nodes under one leaf switch; zero puts all nodes into one rack.
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

/// Where one node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    domain: u32,
    rack: u32,
    pod: u32,
}

/// Where every node stands: its NVLink domain, rack and pod, numbered over all pools.
///
/// A pool has racks of its own: nodes of two pools share neither rack nor pod, unless the fabric puts
/// all nodes into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    fabric: Fabric,
    nodes: Vec<Place>,
}

impl Places {
    /// Cuts the nodes of each pool, in order, into domains, racks and pods.
    pub(crate) fn new(supply: &Supply, node_pools: &[PoolId]) -> Self {
        let fabric = supply.fabric;
        let cut = |number: u32, size: u32| number.checked_div(size).unwrap_or(0);
        let mut first_rack = 0;
        let mut first_pod = 0;
        let starts: Vec<(u32, u32)> = supply
            .pools
            .iter()
            .map(|pool| {
                let start = (first_rack, first_pod);
                let racks = pool.max_nodes().div_ceil(fabric.nodes_per_rack.max(1));
                first_rack += if fabric.nodes_per_rack == 0 { 0 } else { racks };
                let pods = racks.div_ceil(fabric.racks_per_pod.max(1));
                first_pod += if fabric.racks_per_pod == 0 { 0 } else { pods };
                start
            })
            .collect();
        let mut ordinals = vec![0; supply.pools.len()];
        let place = |(node, pool): (u32, &PoolId)| {
            let ordinal = &mut ordinals[pool.index()];
            let (first_rack, first_pod) = starts[pool.index()];
            let rack = cut(*ordinal, fabric.nodes_per_rack);
            *ordinal += 1;
            Place {
                domain: node,
                rack: first_rack + rack,
                pod: first_pod + cut(rack, fabric.racks_per_pod),
            }
        };
        let nodes = (0..).zip(node_pools).map(place).collect();
        Self { fabric, nodes }
    }

    /// The fabric.
    #[must_use]
    pub const fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// The group of a node at a level: equal numbers, same group.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn group(&self, node: NodeId, level: Level) -> u32 {
        let place = &self.nodes[node.index()];
        match level {
            Level::Node => node.0,
            Level::Domain => place.domain,
            Level::Rack => place.rack,
            Level::Pod => place.pod,
        }
    }

    /// The lowest level that holds two nodes; `None` if only the spine does.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn common_level(&self, a: NodeId, b: NodeId) -> Option<Level> {
        [Level::Node, Level::Domain, Level::Rack, Level::Pod]
            .into_iter()
            .find(|&level| self.group(a, level) == self.group(b, level))
    }
}
