//! What a unit's coming, going, starting or standing still means for its neighbours: their speeds
//! are asked for again, once, in the same instant.
//!
//! Only where the speed model minds neighbours, or a pool shares its GPUs in a way that does. Cost: O(tasks on the nodes of units that changed).

use smallvec::SmallVec;

use super::Simulation;
use super::progress::Unsaved;
use crate::device::DeviceSet;
use crate::ids::NodeId;
use crate::task::TaskState;

/// A unit: (slot, unit).
type Key = (u32, usize);

impl Simulation {
    /// Settles which of the marked units advance, before anybody is asked how fast, and marks their
    /// neighbours.
    pub(super) fn spread_marks(&mut self) {
        let mut place = 0;
        // The list grows at its end by neighbours, which spread no further.
        while let Some(&(slot, unit)) = self.scratch.dirty_units.get(place) {
            place += 1;
            let key = (slot, unit as usize);
            let job = self.world.jobs.slot_mut(slot);
            if job.units[key.1].moved && job.outcome.is_none() {
                let spanned = job.units[key.1].spans_nodes;
                self.settle_advance(key);
                self.mark_all_neighbours(key, spanned);
            }
        }
    }

    /// Whether a unit advances from now on; its speed is set later in the instant.
    fn settle_advance(&mut self, (slot, unit): Key) {
        let advances = self.advances(slot, unit);
        if !advances && self.world.jobs.slot(slot).units[unit].advancing {
            self.stop_unit(slot, unit, Unsaved::Kept);
        }
        self.catch_up(slot, unit);
        let job = self.world.jobs.slot_mut(slot);
        let mut nodes = job.tasks[job.tasks_of(unit)]
            .iter()
            .filter(|task| task.works())
            .map(|task| task.node);
        let first = nodes.next();
        let spans_nodes = nodes.any(|node| Some(node) != first);
        let entry = &mut job.units[unit];
        entry.advancing = advances;
        // A unit that stands still is remembered as it was when it ran, for those it leaves.
        entry.spans_nodes = if advances {
            spans_nodes
        } else {
            entry.spans_nodes
        };
    }

    /// Marks the neighbours of a unit on all nodes where it has tasks, running or no longer; `spanned` is
    /// whether it ran on several nodes before.
    fn mark_all_neighbours(&mut self, own: Key, spanned: bool) {
        let job = self.world.jobs.slot(own.0);
        let across = job.units[own.1].spans_nodes || spanned;
        let mut parts: SmallVec<[(NodeId, DeviceSet); 8]> = job.tasks[job.tasks_of(own.1)]
            .iter()
            .filter(|task| task.state.holds() || task.state == TaskState::Suspended)
            .map(|task| (task.node, task.grant.devices))
            .collect();
        parts.sort_unstable_by_key(|part| part.0);
        parts.dedup_by(|next, part| {
            let same = next.0 == part.0;
            if same {
                part.1.0 |= next.1.0;
            }
            same
        });
        for (node, devices) in parts {
            self.mark_neighbours(own, node, devices, across);
        }
    }

    /// Marks the units that advance on a node beside `own` and share a GPU with it, or, where it
    /// spans nodes, span nodes too. What is kept of the node for them is touched.
    pub(super) fn mark_neighbours(
        &mut self,
        own: Key,
        node: NodeId,
        devices: DeviceSet,
        across: bool,
    ) {
        let minds =
            self.platform.speed.minds_neighbours() || self.world.sharing_of(node).interferes();
        if !minds {
            return;
        }
        let jobs = &mut self.world.jobs;
        for &(slot, task) in &self.world.cluster.nodes[node.index()].tasks {
            let job = jobs.slot_mut(slot);
            let unit = job.unit_of(task as usize);
            let shares = job.tasks[task as usize].grant.devices.overlaps(devices);
            let entry = &mut job.units[unit];
            let minds = shares || (across && entry.spans_nodes);
            if (slot, unit) == own || !entry.advancing || !minds {
                continue;
            }
            if let Some(front) = &mut entry.front {
                front.touch(node);
            }
            if !std::mem::replace(&mut entry.dirty, true) {
                let unit = u32::try_from(unit).expect("at most 10^6 tasks");
                self.scratch.dirty_units.push((slot, unit));
            }
        }
    }
}
