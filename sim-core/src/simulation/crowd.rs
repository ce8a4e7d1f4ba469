//! Over-committed GPUs: who has how much of them, once everybody on them was asked how fast it goes.

use super::Simulation;
use crate::ids::PoolId;
use crate::ledger::Useful;

impl Simulation {
    /// Books the nodes anew whose over-committed GPUs got or lost a holder, or one that does something
    /// else than before.
    ///
    /// O(tasks on the node × its GPUs) per node and instant.
    pub(super) fn split_crowds(&mut self) {
        let now = self.world.now;
        while let Some(id) = self.crowds.next() {
            let node = self.world.cluster.node(id);
            let pool = node.pool;
            let booked = self.crowds.rebook(id, node, &self.world.jobs);
            self.ledger.book_crowd(pool, booked.levels, now);
            for entry in booked.was_useful {
                self.change_level(pool, entry, false);
            }
            for entry in booked.useful {
                self.change_level(pool, entry, true);
            }
        }
    }

    /// What a task has of its GPUs changes for its unit, from now on.
    fn change_level(&mut self, pool: PoolId, entry: Useful, more: bool) {
        let Useful { slot, task, level } = entry;
        let unit = self.world.jobs.slot(slot).unit_of(task as usize);
        self.catch_up(slot, unit);
        let crowded = &mut self.world.jobs.slot_mut(slot).units[unit].crowded;
        if more {
            crowded.add(pool, level);
        } else {
            crowded.lower(pool, level);
        }
    }
}
