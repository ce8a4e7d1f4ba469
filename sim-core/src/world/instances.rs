//! Instances (MIG) that exist: those that tasks left behind are used again if they fit exactly. They do
//! not outlive a reboot of their node (NVIDIA's MIG user guide).

use crate::device::{Grant, NodeFree};
use crate::ids::NodeId;

/// Per GPU and start: memory slices of the instance that lies there, or none.
type Layout = [[u8; 8]; NodeFree::MIG_DEVICES];

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
            nodes: vec![[[0; 8]; NodeFree::MIG_DEVICES]; nodes],
        }
    }

    /// A node boots, or is back from repair: it has none.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if let Some(layout) = self.nodes.get_mut(node.index()) {
            *layout = Layout::default();
        }
    }

    /// A task gets its instances: those that are there, or new ones in place of whatever lies there, as
    /// nothing runs on it. Returns whether one had to be made.
    pub(crate) fn give(&mut self, node: NodeId, grant: Grant) -> bool {
        if grant.slices == 0 {
            return false;
        }
        let start = grant.slices.trailing_zeros() as usize;
        #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
        let length = grant.slices.count_ones() as u8;
        let mut made = false;
        for device in grant.devices.iter() {
            let layout = &mut self.nodes[node.index()][device];
            if layout[start] == length {
                continue;
            }
            made = true;
            for (at, found) in layout.iter_mut().enumerate() {
                let slices = (0xFF_u8.checked_shr(8 - u32::from(*found)).unwrap_or(0)) << at;
                if slices & grant.slices != 0 {
                    *found = 0;
                }
            }
            layout[start] = length;
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
        let mut give = |slices| instances.give(NodeId(0), grant(slices));
        assert!(give(0b0100_0000));
        assert!(!give(0b0100_0000), "it is there");
        assert!(give(0b0000_1111));
        assert!(!give(0b0100_0000), "the other does not touch it");
        assert!(give(0b1111_0000), "a larger one in its place");
        assert!(
            give(0b0100_0000),
            "the larger one is gone, and so is the small one"
        );
        assert!(!give(0b0000_1111));
    }

    #[test]
    fn a_reboot_leaves_none() {
        let mut instances = Instances::new(2);
        let grant = Grant {
            slices: 0b0000_1111,
            ..Grant::of(DeviceSet::one(1), 500)
        };
        assert!(instances.give(NodeId(0), grant) && instances.give(NodeId(1), grant));
        instances.forget(NodeId(0));
        assert!(instances.give(NodeId(0), grant));
        assert!(!instances.give(NodeId(1), grant), "it did not boot");
        Instances::new(0).forget(NodeId(0));
    }
}
