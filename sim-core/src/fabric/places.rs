//! Where nodes stand: which domain, rack and pod each is in, and who else is there.

use super::{Fabric, Level};
use crate::ids::{NodeId, PoolId};
use crate::supply::Supply;

/// The groups of one level: the number of each node's, and the nodes of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Groups {
    of: Vec<u32>,
    /// Where each group begins in `members`, and where the last one ends.
    starts: Vec<u32>,
    /// Nodes by group, ascending within one.
    members: Vec<NodeId>,
}

impl Groups {
    /// Groups of equal keys, numbered in the order of their first nodes. Keys are below `bound`.
    fn new(keys: &[u32], bound: u32) -> Self {
        let mut numbers = vec![u32::MAX; bound as usize];
        let mut sizes: Vec<u32> = Vec::new();
        let number = |key: &u32| {
            let number = &mut numbers[*key as usize];
            if *number == u32::MAX {
                *number = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
                sizes.push(0);
            }
            sizes[*number as usize] += 1;
            *number
        };
        let of: Vec<u32> = keys.iter().map(number).collect();
        let mut starts = vec![0];
        for size in &sizes {
            starts.push(starts[starts.len() - 1] + size);
        }
        let mut next = starts.clone();
        let mut members = vec![NodeId(0); of.len()];
        for (node, group) in (0..).map(NodeId).zip(&of) {
            let place = &mut next[*group as usize];
            members[*place as usize] = node;
            *place += 1;
        }
        Self {
            of,
            starts,
            members,
        }
    }

    fn nodes(&self, group: u32) -> &[NodeId] {
        let (start, end) = (
            self.starts[group as usize] as usize,
            self.starts[group as usize + 1] as usize,
        );
        &self.members[start..end]
    }

    fn count(&self) -> u32 {
        u32::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// Where every node stands: its NVLink domain, rack and pod.
///
/// The nodes of a pool are cut, in order, into domains and racks, and its racks into pods; so a pool
/// has racks of its own, also where nodes of several pools take turns. Pools without a number of nodes
/// per rack share one rack, and without a number of racks per pod all pools share one pod. At each
/// level groups are numbered over all pools, in the order of their first nodes.
///
/// ```
/// use windtunnel_core::{Fabric, Level, NodeId, NodeModel, Supply, World};
/// let fabric = Fabric { nodes_per_rack: 4, racks_per_pod: 2, ..Fabric::default() };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 10).with_fabric(fabric);
/// let mut world = World::new(&supply)?;
/// let places = world.view().places();
/// assert_eq!(places.group_count(Level::Rack), 3, "the last one is half empty");
/// assert_eq!(places.nodes(Level::Rack, 2), [NodeId(8), NodeId(9)]);
/// assert_eq!(places.common_level(NodeId(3), NodeId(4)), Some(Level::Pod));
/// assert_eq!(places.common_level(NodeId(7), NodeId(8)), None, "only the spine joins them");
/// # Ok::<(), windtunnel_core::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    fabric: Fabric,
    nodes: Groups,
    domains: Groups,
    racks: Groups,
    pods: Groups,
}

/// Where the keys of one pool begin at each level.
#[derive(Clone, Copy, Debug, Default)]
struct Starts {
    domain: u32,
    rack: u32,
    pod: u32,
}

/// Nodes of one pool per domain and per rack, and racks per pod; zero: no limit.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    domain: u32,
    rack: u32,
    pod: u32,
}

impl Places {
    /// Cuts the nodes of each pool, in order, into domains, racks and pods. O(nodes).
    pub(crate) fn new(supply: &Supply, node_pools: &[PoolId]) -> Self {
        let fabric = supply.fabric;
        // Key 0 of racks and pods is the one that pools share.
        let mut next = Starts {
            domain: 0,
            rack: 1,
            pod: 1,
        };
        let mut pools = Vec::new();
        for pool in &supply.pools {
            let sizes = Sizes {
                domain: pool.nodes_per_domain(),
                rack: pool.nodes_per_rack(&fabric),
                pod: fabric.racks_per_pod,
            };
            pools.push((sizes, next));
            let cut = |count: u32, size: u32| match size {
                0 => 0,
                size => count.div_ceil(size),
            };
            next.domain += cut(pool.max_nodes(), sizes.domain);
            let racks = cut(pool.max_nodes(), sizes.rack);
            next.rack += racks;
            next.pod += cut(racks, sizes.pod);
        }
        let mut ordinals = vec![0_u32; pools.len()];
        let mut keys: [Vec<u32>; 3] = Default::default();
        for pool in node_pools {
            let (sizes, start) = pools[pool.index()];
            let ordinal = ordinals[pool.index()];
            ordinals[pool.index()] += 1;
            let rack = ordinal.checked_div(sizes.rack);
            let pod = rack.and_then(|rack| rack.checked_div(sizes.pod));
            keys[0].push(start.domain + ordinal / sizes.domain);
            keys[1].push(rack.map_or(0, |rack| start.rack + rack));
            keys[2].push(pod.map_or(0, |pod| start.pod + pod));
        }
        let count = u32::try_from(node_pools.len()).unwrap_or(u32::MAX);
        let each: Vec<u32> = (0..count).collect();
        Self {
            fabric,
            nodes: Groups::new(&each, count),
            domains: Groups::new(&keys[0], next.domain),
            racks: Groups::new(&keys[1], next.rack),
            pods: Groups::new(&keys[2], next.pod),
        }
    }

    /// The fabric.
    #[must_use]
    pub const fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    const fn groups(&self, level: Level) -> &Groups {
        match level {
            Level::Node => &self.nodes,
            Level::Domain => &self.domains,
            Level::Rack => &self.racks,
            Level::Pod => &self.pods,
        }
    }

    /// The group of a node at a level: equal numbers, same group.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn group(&self, node: NodeId, level: Level) -> u32 {
        self.groups(level).of[node.index()]
    }

    /// Number of groups at a level; of racks: of leaf switches, or of sets of them where each card of a
    /// node has a leaf of its own.
    #[must_use]
    pub fn group_count(&self, level: Level) -> u32 {
        self.groups(level).count()
    }

    /// The nodes of a group, ascending.
    ///
    /// # Panics
    /// If there is no such group.
    #[must_use]
    pub fn nodes(&self, level: Level, group: u32) -> &[NodeId] {
        self.groups(level).nodes(group)
    }

    /// The lowest level that holds two nodes; `None` if only the spine does.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn common_level(&self, a: NodeId, b: NodeId) -> Option<Level> {
        Level::ALL
            .into_iter()
            .find(|&level| self.group(a, level) == self.group(b, level))
    }
}
