//! Nodes that are not usable, what holds set aside, and where tasks may go.

use windtunnel_core::units::{MILLI_PER_GPU, PPM};
use windtunnel_core::{
    Bucket, DeviceSet, Keeps, NodeId, NodeView, PoolId, PoolSpec, Reason, Sharing, Stage, TaskView,
    View,
};

use super::room::{Room, is_crowded};
use super::{Naive, mig};

/// A node where a probe may put tasks.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    pub(crate) pool: PoolId,
    /// What of its GPUs is free in the ledger's sense [milli].
    pub(crate) free: u64,
    pub(crate) room: Room,
}

fn kept(task: &TaskView<'_>) -> Keeps {
    task.suspended().map_or(Keeps::Everything, |kept| kept.0)
}

/// What tasks and holds leave of a node, and what holds set aside of it.
struct Found {
    room: Room,
    /// Milli-GPU that are free in the ledger's sense.
    free: u64,
    held: Vec<(Reason, u64)>,
}

impl Naive {
    /// Books nodes that are not usable and what holds set aside; returns where tasks may go.
    pub(super) fn cluster(&mut self, view: &View<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        let all = view.nodes().flat_map(|node| node.tasks());
        let holds = all.filter(|task| kept(task) == Keeps::Everything);
        self.cores = holds.map(|task| u128::from(task.request().cpu.0)).sum();
        for (pool, id) in self.case.supply().pools.iter().zip(0..) {
            let id = PoolId(id);
            for node in view.nodes_of(id) {
                self.check_memory(&node, pool);
                places.extend(self.node(&node, pool));
            }
        }
        places
    }

    /// Books one node, as far as it is not what tasks hold.
    fn node(&mut self, node: &NodeView<'_>, pool: &PoolSpec) -> Option<Place> {
        let (id, of) = (node.id(), node.pool());
        let capacity = u64::from(u32::from(pool.model.gpus) * MILLI_PER_GPU);
        match node.stage() {
            Stage::Absent | Stage::Requested => return None,
            Stage::Booting => {
                self.book(of, Bucket::Provisioning, None, capacity, PPM);
                return None;
            }
            Stage::Up | Stage::Off => {}
        }
        if self.failed.contains(&id) {
            self.book(of, Bucket::Down, None, capacity, PPM);
            return None;
        }
        let closed = self.cordoned.contains(&id) || self.draining.contains(&id);
        let broken = self.broken(id);
        let found = self.look(node, pool, broken);
        for (why, milli) in found.held {
            if closed {
                self.book(of, Bucket::Down, None, milli, PPM);
            } else {
                self.book(of, Bucket::IdleHeld, Some(why), milli, PPM);
            }
        }
        // A failed GPU is down as a whole, whoever has it.
        let failed = u64::from(broken.len() * MILLI_PER_GPU);
        self.book(of, Bucket::Down, None, failed, PPM);
        if closed {
            self.book(of, Bucket::Down, None, found.free, PPM);
            return None;
        }
        Some(Place {
            node: id,
            pool: of,
            free: found.free,
            room: found.room,
        })
    }

    /// What is left of a node that works.
    fn look(&self, node: &NodeView<'_>, pool: &PoolSpec, broken: DeviceSet) -> Found {
        let sharing = self.case.sharing(node.pool());
        let (cpu, memory) = (u64::from(pool.model.cpu.0), pool.model.memory.0);
        let mut room = Room::empty(sharing, pool.model.gpus, cpu, memory);
        // GPUs that a task has, and what holds have of each.
        let mut has_task = DeviceSet::EMPTY;
        let mut backed = vec![0; room.left.len()];
        for task in node.tasks() {
            let grant = task.grant().unwrap_or_default();
            room.lay(grant);
            has_task.0 |= grant.devices.0;
            let (want, kept) = (task.request(), kept(&task));
            if kept == Keeps::Everything {
                room.cpu -= u64::from(want.cpu.0);
            }
            if kept != Keeps::Nothing {
                room.memory -= want.memory.0;
            }
        }
        let mut held = Vec::new();
        for part in node.set_aside() {
            room.lay(part.grant);
            room.cpu -= u64::from(part.cpu.0);
            room.memory -= part.memory.0;
            let mut counts = part.grant.devices.0 & !broken.0;
            if is_crowded(sharing) {
                // Slots of a GPU on which there is a task are the task's.
                counts &= !has_task.0;
            }
            let each = u64::from(part.grant.milli_each);
            held.push((part.why, each * u64::from(counts.count_ones())));
            for device in DeviceSet(counts).iter() {
                backed[device] += each;
            }
        }
        for device in broken.iter() {
            room.left[device] = 0;
            room.taken[device] = u8::MAX;
        }
        let free = if is_crowded(sharing) {
            let nobody = |device: &usize| !has_task.contains(*device) && !broken.contains(*device);
            let gpus = (0..backed.len()).filter(nobody);
            gpus.map(|gpu| u64::from(MILLI_PER_GPU) - backed[gpu]).sum()
        } else {
            room.left.iter().map(|left| u64::from(*left)).sum()
        };
        Found { room, free, held }
    }

    /// Nobody is where the memory of the GPUs does not suffice for all.
    fn check_memory(&self, node: &NodeView<'_>, pool: &PoolSpec) {
        let there = pool.model.gpu_memory.0;
        if there == 0 {
            return;
        }
        let needs = |task: &TaskView<'_>| {
            let profile = &self.live.get(&task.id().job).map(|job| &job.spec.profile);
            let behaviour = profile.and_then(|profile| profile.behaviour.as_ref());
            behaviour.map_or(0, |behaviour| behaviour.gpu_memory.0)
        };
        for device in 0..usize::from(pool.model.gpus) {
            let on = node.tasks().filter_map(|task| Some((task, task.grant()?)));
            let on: Vec<_> = on
                .filter(|(_, grant)| grant.milli_each > 0 && grant.devices.contains(device))
                .collect();
            if let Sharing::Mig(table) = self.case.sharing(node.pool()) {
                for (task, grant) in on {
                    let of = u64::from(mig::slices(table).1);
                    let own = there / of * u64::from(grant.slices.count_ones());
                    assert!(needs(&task) <= own, "{} on {}", task.id(), node.id());
                }
            } else {
                let sum: u64 = on.iter().map(|(task, _)| needs(task)).sum();
                assert!(sum <= there, "{sum} on GPU {device} of {}", node.id());
            }
        }
    }
}
