//! Memory of GPUs: whether what a task needs is there beside what others have.

use super::World;
use crate::device::{Grant, Sharing};
use crate::ids::NodeId;

impl World {
    /// Whether the memory of the GPUs of a grant suffices for a task beside those that are there, each
    /// at its peak; of an instance (MIG) it is its own. Always, if nobody says how much a GPU has or
    /// the job needs.
    ///
    /// O(tasks on the node × its GPUs), where somebody does.
    #[inline]
    pub(crate) fn memory_suffices(
        &self,
        slot: u32,
        task: usize,
        node: NodeId,
        grant: Grant,
    ) -> bool {
        !self.cluster.knows_memory || self.memory_is_there(slot, task, node, grant)
    }

    fn memory_is_there(&self, slot: u32, task: usize, node: NodeId, grant: Grant) -> bool {
        let own = self.gpu_memory_of(slot);
        let state = self.cluster.node(node);
        let there = self.cluster.pools[state.pool.index()].gpu_memory;
        if own == 0 || there.0 == 0 || grant.devices.is_empty() {
            return true;
        }
        if let Sharing::Mig(table) = state.free.sharing {
            let slices = u8::try_from(grant.slices.count_ones()).unwrap_or(u8::MAX);
            return own <= table.memory(slices, there).0;
        }
        let resident = |device: usize| -> u64 {
            let others = state.tasks.iter().filter(|&&(other, place)| {
                let grant = self.jobs.slot(other).tasks[place as usize].grant;
                let is_self = (other, place as usize) == (slot, task);
                !is_self && grant.milli_each > 0 && grant.devices.contains(device)
            });
            others.map(|&(other, _)| self.gpu_memory_of(other)).sum()
        };
        let mut devices = grant.devices.iter();
        devices.all(|device| resident(device).saturating_add(own) <= there.0)
    }

    /// Memory a task of a job takes of each of its GPUs \[bytes\]; zero if it says nothing.
    fn gpu_memory_of(&self, slot: u32) -> u64 {
        let behaviour = self.jobs.slot(slot).spec.profile.behaviour.as_ref();
        behaviour.map_or(0, |behaviour| behaviour.gpu_memory.0)
    }
}
