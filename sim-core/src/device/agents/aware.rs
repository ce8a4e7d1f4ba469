//! `topology-aware`: the best connected devices, and the cores next to them.

use super::numa_of;
use crate::device::{
    Choice, DeviceChooser, DeviceRequest, DeviceSet, NodeState, Refusal, count_only,
};
use crate::units::MILLI_PER_GPU;

/// Chooses the set of GPUs that communicates fastest.
///
/// # Decision rule
/// [`Topology::best_subset`](crate::topology::Topology::best_subset) among the free GPUs: fastest
/// all-reduce, then fastest to the network, then what leaves the fastest rest, then the lowest; cores of
/// the NUMA nodes of these GPUs. Fractions, and nodes whose parts are unknown: as
/// [`CountOnly`](crate::CountOnly).
///
/// # Complexity
/// One table look-up; a set of free GPUs and a count are searched once per node model.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopologyAware;

impl DeviceChooser for TopologyAware {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        let whole = u32::from(want.milli_each) == MILLI_PER_GPU;
        let devices = match node.topology {
            Some(topology) if whole => {
                let free = DeviceSet(node.able(want.milli_each).0 & topology.all().0);
                topology.best_subset(free, want.gpus.devices())
            }
            _ => count_only(node.free, want),
        };
        let devices = devices.ok_or(Refusal::Devices)?;
        let numa = numa_of(node, devices);
        Ok(Choice { devices, numa })
    }

    fn pins_cores(&self) -> bool {
        true
    }
}
