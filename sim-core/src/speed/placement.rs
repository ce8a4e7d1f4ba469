//! Where a unit runs.

use smallvec::SmallVec;

use crate::device::{Cores, DeviceSet, Grant, Sharing};
use crate::fabric::{Level, Places};
use crate::ids::{NodeId, PoolId};
use crate::live::Task;
use crate::time::SimDuration;
use crate::topology::Topology;
use crate::units::Ppm;
use crate::world::cluster::Cluster;
use crate::world::health::Health;

/// Where a unit runs: its running tasks.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// Tasks that run.
    pub running: u32,
    /// Tasks at which the work was stated: the count of the group for elastic jobs, else all.
    pub nominal: u32,
    /// Time since the job was submitted.
    pub elapsed: SimDuration,
    pub(crate) tasks: &'a [Task],
    pub(crate) cluster: &'a Cluster,
}

/// One running task and its place.
#[derive(Clone, Copy, Debug)]
pub struct PlacedTask<'a> {
    /// Its node.
    pub node: NodeId,
    /// Its GPUs.
    pub grant: Grant,
    /// Its group.
    pub group: u16,
    /// The cores it has to itself; `None` where they are not pinned.
    pub cores: Option<&'a Cores>,
}

impl<'a> PlacedTask<'a> {
    pub(super) fn of(task: &'a Task) -> Self {
        Self {
            node: task.node,
            grant: task.grant,
            group: task.group,
            cores: task.cores.as_deref(),
        }
    }
}

/// What a unit has on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePart {
    /// The node.
    pub node: NodeId,
    /// Its GPUs there, over all its tasks.
    pub devices: DeviceSet,
    /// Its tasks there.
    pub tasks: u32,
}

impl<'a> Placement<'a> {
    /// Node and GPUs of each running task, in (group, index) order.
    pub fn tasks(&self) -> impl Iterator<Item = PlacedTask<'a>> + use<'a> {
        self.tasks
            .iter()
            .filter(|task| task.works())
            .map(PlacedTask::of)
    }

    /// The nodes it runs on and what it has there, by node. O(tasks × log tasks).
    #[must_use]
    pub fn parts(&self) -> SmallVec<[NodePart; 2]> {
        let mut parts: SmallVec<[NodePart; 2]> = self
            .tasks()
            .map(|task| NodePart {
                node: task.node,
                devices: task.grant.devices,
                tasks: 1,
            })
            .collect();
        if parts.len() > 1 {
            parts.sort_unstable_by_key(|part| part.node);
            parts.dedup_by(|next, part| {
                let same = next.node == part.node;
                if same {
                    part.devices.0 |= next.devices.0;
                    part.tasks += next.tasks;
                }
                same
            });
        }
        parts
    }

    /// The lowest level of the fabric that holds all nodes of parts; `None` is the spine.
    pub(super) fn level_of(&self, parts: &[NodePart]) -> Option<Level> {
        let mut level = Some(Level::Node);
        for part in parts {
            let common = self.common_level(parts[0].node, part.node);
            level = level.zip(common).map(|(a, b)| a.max(b));
        }
        level
    }

    /// The pool of a node.
    #[must_use]
    pub fn pool(&self, node: NodeId) -> PoolId {
        self.cluster.node(node).pool
    }

    /// Whether some pool of the supply shares its GPUs in a way that changes speeds.
    pub(super) fn shares_gpus(&self) -> bool {
        self.cluster.sharing_matters
    }

    /// How the GPUs of a node are shared.
    #[must_use]
    pub fn sharing(&self, node: NodeId) -> Sharing {
        self.cluster.node(node).free.sharing
    }

    /// How a node's parts are connected, if its model says.
    #[must_use]
    pub fn topology(&self, node: NodeId) -> Option<&'a Topology> {
        let pool = self.cluster.node(node).pool;
        self.cluster.pools[pool.index()].topology.as_deref()
    }

    /// What is broken on a node, in truth.
    pub(crate) fn health(&self, node: NodeId) -> &'a Health {
        &self.cluster.node(node).health
    }

    /// At which part of its normal speed the slowest of its nodes works. O(tasks) once a node of the run
    /// has been slow, nothing before.
    #[must_use]
    pub fn slowest(&self) -> Ppm {
        if !self.cluster.ever_slow {
            return Ppm::ONE;
        }
        let speeds = self.tasks().map(|task| self.health(task.node).slow);
        speeds.min().unwrap_or(Ppm::ONE)
    }

    /// Where nodes stand in the fabric.
    #[must_use]
    pub fn places(&self) -> &'a Places {
        &self.cluster.places
    }

    /// The lowest level of the fabric that holds two nodes; `None` if only the spine does.
    #[must_use]
    pub fn common_level(&self, a: NodeId, b: NodeId) -> Option<Level> {
        self.cluster.places.common_level(a, b)
    }
}
