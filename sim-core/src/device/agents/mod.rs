//! Agents of real systems: how kubelet, NVIDIA's device plugin and slurmctld choose among the
//! devices of a node.

mod arbitrary;
mod gres;
mod manager;
mod plugin;

pub use arbitrary::Arbitrary;
pub use gres::SlurmGres;
pub use manager::{Alignment, TopologyManager};
pub use plugin::NvidiaPlugin;

use super::{DeviceSet, NodeState};

/// The `count` lowest GPUs of a set; `None` if it has fewer.
fn lowest(set: DeviceSet, count: u32) -> Option<DeviceSet> {
    let mut rest = set.0;
    for _ in 0..count {
        rest &= rest.checked_sub(1)?;
    }
    Some(DeviceSet(set.0 & !rest))
}

/// NUMA nodes that have a GPU of a set, as a bit mask; all that cores are told apart for where the
/// node's parts are unknown.
fn numa_of(node: &NodeState<'_>, devices: DeviceSet) -> u8 {
    let Some(topology) = node.topology else {
        return 0;
    };
    let known = devices
        .iter()
        .filter(|&gpu| gpu < usize::from(topology.gpus()));
    known.fold(0, |mask, gpu| {
        mask | 1_u8.checked_shl(topology.numa_of(gpu).into()).unwrap_or(0)
    })
}
