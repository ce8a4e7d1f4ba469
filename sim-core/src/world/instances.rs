//! Instances (MIG) that exist: those that tasks left behind are used again if they fit exactly. They do
//! not outlive a reboot of their node (NVIDIA's MIG user guide).

use super::cluster::Cluster;
use crate::device::{Grant, NodeFree, Sharing};
use crate::ids::NodeId;
use crate::job::GpuRequest;

/// Per GPU and start: the instance that lies there, if any.
type Layout = [[Option<Instance>; 8]; NodeFree::MIG_DEVICES];

/// An instance by its slices: `3g` and `4g` have the same memory and are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instance {
    compute: u8,
    memory: u8,
}

impl Instance {
    /// Its memory slices if it lies at a start, as a bit mask.
    fn mask(self, start: usize) -> u8 {
        (0xFF >> (8 - self.memory)) << start
    }
}

impl Cluster {
    /// A task gets its instances, if its pool shares by MIG: those that are there, or new ones in place
    /// of whatever lies there, as nothing runs on it. Returns whether one had to be made.
    #[cold]
    pub(crate) fn give_instances(&mut self, node: NodeId, grant: Grant, gpus: GpuRequest) -> bool {
        let Sharing::Mig(table) = self.node(node).free.sharing else {
            return false;
        };
        let compute = table.profile(gpus).compute;
        self.instances.give(node, grant, compute)
    }
}

/// The instances of all nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instances {
    /// By node; empty if no pool shares by MIG.
    nodes: Vec<Layout>,
}

impl Instances {
    /// GPUs without instances.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![[[None; 8]; NodeFree::MIG_DEVICES]; nodes],
        }
    }

    /// A node boots, or is back from repair: it has none.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if let Some(layout) = self.nodes.get_mut(node.index()) {
            *layout = Layout::default();
        }
    }

    /// An instance of so many compute slices with the memory slices of a grant, on each of its GPUs.
    fn give(&mut self, node: NodeId, grant: Grant, compute: u8) -> bool {
        let start = grant.slices.trailing_zeros() as usize;
        #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
        let memory = grant.slices.count_ones() as u8;
        let wanted = Some(Instance { compute, memory });
        let mut made = false;
        for device in grant.devices.iter() {
            let layout = &mut self.nodes[node.index()][device];
            if layout[start] == wanted {
                continue;
            }
            made = true;
            for (at, found) in layout.iter_mut().enumerate() {
                if found.is_some_and(|instance| instance.mask(at) & grant.slices != 0) {
                    *found = None;
                }
            }
            layout[start] = wanted;
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceSet;

    #[test]
    fn what_fits_exactly_is_used_again() {
        let mut instances = Instances::new(1);
        let grant = |slices| Grant {
            slices,
            ..Grant::of(DeviceSet::one(1), 125)
        };
        let mut give = |slices, compute| instances.give(NodeId(0), grant(slices), compute);
        assert!(give(0b0100_0000, 1));
        assert!(!give(0b0100_0000, 1), "it is there");
        assert!(give(0b0000_1111, 4));
        assert!(!give(0b0100_0000, 1), "the other does not touch it");
        assert!(give(0b1111_0000, 3), "a larger one in its place");
        assert!(
            give(0b0100_0000, 1),
            "the larger one is gone, and so is the small one"
        );
        assert!(!give(0b0000_1111, 4));
        assert!(give(0b0000_1111, 3), "a 3g is no 4g");
        assert!(give(0b0000_0011, 2));
        assert!(give(0b0000_0011, 1), "nor is a 1g.double a 2g");
    }

    #[test]
    fn a_reboot_leaves_none() {
        let mut instances = Instances::new(2);
        let grant = Grant {
            slices: 0b0000_1111,
            ..Grant::of(DeviceSet::one(1), 500)
        };
        assert!(instances.give(NodeId(0), grant, 4) && instances.give(NodeId(1), grant, 4));
        instances.forget(NodeId(0));
        assert!(instances.give(NodeId(0), grant, 4));
        assert!(!instances.give(NodeId(1), grant, 4), "it did not boot");
        Instances::new(0).forget(NodeId(0));
    }
}
