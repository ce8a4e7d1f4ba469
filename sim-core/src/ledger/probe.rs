//! The engine's own probe: whether a unit shape fits, on truth, whatever any policy thinks.

use super::waits::{Status, Waits};
use crate::device::DeviceSet;
use crate::ids::{DemandId, NodeId, PoolSet};
use crate::job::TaskRequest;
use crate::shape::DemandKey;
use crate::space::{Space, slots_on};
use crate::world::World;
use crate::world::cluster::Cluster;
use crate::world::occupy::assume;

impl Waits {
    /// Brings the status of every active shape up to date.
    ///
    /// Cost: nothing while nothing waits; otherwise one test per active task shape per touched node.
    pub(crate) fn probe(&mut self, world: &mut World) {
        let changed = std::mem::take(&mut world.cluster.capacity_changed);
        if !changed && !self.has_fresh() {
            return;
        }
        if self.is_idle() {
            self.forget_fresh();
            return;
        }
        world.sync_space();
        // Statuses change no list of shapes, so places stay valid.
        if changed {
            let mut known = (PoolSet::EMPTY, 0);
            for place in 0..self.active().len() {
                self.probe_one(world, place, &mut known);
            }
        } else {
            for place in 0..self.fresh().len() {
                let demand = self.fresh()[place];
                let status = status_of(world, demand);
                self.set_status(world.now, demand, status);
            }
        }
        self.forget_fresh();
    }

    /// Probes one active shape; `known` is a set of pools and what is free there, from the last one.
    fn probe_one(&mut self, world: &mut World, place: usize, known: &mut (PoolSet, u64)) {
        let shape = self.active()[place];
        if shape.status == Status::Never {
            return;
        }
        if known.0 != shape.accepted {
            *known = (shape.accepted, free_in(world, shape.accepted));
        }
        let free = known.1;
        let status = match shape.plain {
            _ if shape.rigid_milli > free => Status::Insufficient,
            Some((gpus, tasks)) if world.cluster.diverged.is_empty() => {
                if world.space.get_mut().whole_slots(gpus, shape.accepted) >= tasks {
                    Status::Startable
                } else if shape.milli <= free {
                    Status::Fragmented
                } else {
                    Status::Insufficient
                }
            }
            _ => status_of(world, shape.demand),
        };
        debug_assert_eq!(
            status,
            status_of(world, shape.demand),
            "the short cut is wrong"
        );
        if status != shape.status {
            self.set_status(world.now, shape.demand, status);
        }
    }
}

/// What is free in some pools, in truth \[milli\].
fn free_in(world: &World, pools: PoolSet) -> u64 {
    pools
        .iter()
        .map(|pool| world.cluster.pools[pool.index()].totals.free)
        .sum()
}

/// What the truth says of a unit shape.
pub(crate) fn status_of(world: &mut World, demand: DemandId) -> Status {
    let entry = world.demands.get(demand);
    if !entry.can_ever {
        return Status::Never;
    }
    let (accepted, milli, rigid) = (entry.accepted, entry.milli, entry.rigid);
    let bound_by_more = entry.bound_by_more;
    let free = free_in(world, accepted);
    if rigid && milli > free {
        // What fits is free: no need to look where.
        return Status::Insufficient;
    }
    if fits(world, demand, false) {
        Status::Startable
    } else if bound_by_more && fits(world, demand, true) {
        Status::Stranded
    } else if milli <= free {
        Status::Fragmented
    } else {
        Status::Insufficient
    }
}

/// Whether one unit fits now, in truth; `gpus_only` ignores CPU and memory.
fn fits(world: &mut World, demand: DemandId, gpus_only: bool) -> bool {
    let entry = world.demands.get(demand);
    let accepted = entry.accepted;
    if let [(shape, count)] = entry.key.needs[..] {
        let request = world.shapes.request(shape);
        let bound = entry.key.bound(0);
        let space = world.space.get_mut();
        let mut asked = *request;
        if gpus_only {
            (asked.cpu.0, asked.memory.0) = (0, 0);
        }
        if let Some(bound) = bound {
            let but = diverged(&world.cluster, space, accepted, &asked);
            let need = (shape, request);
            return space.has_room_but(need, accepted, bound, count, gpus_only, &but);
        }
        let mut slots = if gpus_only {
            space.gpu_slots(shape, request, accepted)
        } else {
            space.slots(shape, request, accepted)
        };
        for &node in &world.cluster.diverged {
            let state = world.cluster.node(node);
            if !accepted.contains(state.pool) {
                continue;
            }
            slots -= u64::from(space.slots_of(node, &asked)).min(slots);
            if state.is_usable() {
                // Switched off but paid, or with a GPU that failed unnoticed.
                let sharing = space.sharing(node);
                let free = state.free_in_truth();
                slots += u64::from(slots_on(&free, &asked, sharing));
            }
        }
        return slots >= u64::from(count);
    }
    fits_greedily(world, demand, accepted, gpus_only)
}

/// Nodes whose truth differs from what is observed: tasks of a request that fit by what is observed,
/// and in truth.
fn diverged(
    cluster: &Cluster,
    space: &Space,
    accepted: PoolSet,
    request: &TaskRequest,
) -> Vec<(NodeId, u64, u64)> {
    let count = |node: &NodeId| {
        let state = cluster.node(*node);
        let observed = u64::from(space.slots_of(*node, request));
        let takes = state.is_usable() && space.pools[state.pool.index()].accepts(request);
        // Switched off but paid, or with a GPU that failed unnoticed.
        let free = state.free_in_truth();
        let slots = slots_on(&free, request, space.sharing(*node));
        (*node, observed, if takes { slots.into() } else { 0 })
    };
    let mine = |node: &&NodeId| accepted.contains(cluster.node(**node).pool);
    cluster.diverged.iter().filter(mine).map(count).collect()
}

/// Groups greedily in order, each task on the lowest node where it fits, or, where all must be within
/// a group of nodes, in the first one with room for all.
fn fits_greedily(world: &mut World, demand: DemandId, accepted: PoolSet, gpus_only: bool) -> bool {
    let key = &world.demands.get(demand).key;
    if !key.bounds.is_empty() {
        let key = key.clone();
        return fits_bounded(world, &key, accepted, gpus_only);
    }
    let needs = key.needs.clone();
    let space = world.space.get_mut();
    let mark = space.mark();
    let mut all = true;
    for (shape, count) in needs {
        let mut request = *world.shapes.request(shape);
        if gpus_only {
            request.cpu.0 = 0;
            request.memory.0 = 0;
        }
        let mut left = count;
        for pool in accepted.iter() {
            let info = space.pools[pool.index()];
            if !info.accepts(&request) {
                continue;
            }
            for node in (info.first..info.end).map(NodeId) {
                if left == 0 {
                    break;
                }
                let state = world.cluster.node(node);
                if state.pool == pool && state.is_usable() {
                    left -= fill(space, node, state.health.gpus, &request, left);
                }
            }
        }
        if left > 0 {
            all = false;
            break;
        }
    }
    space.undo_to(mark);
    all
}

/// The same where some groups must not cross a level.
fn fits_bounded(world: &mut World, key: &DemandKey, accepted: PoolSet, gpus_only: bool) -> bool {
    let space = world.space.get_mut();
    let places = &world.cluster.places;
    let start = space.mark();
    let all = (0..).zip(&key.needs).all(|(place, &(shape, count))| {
        let mut request = *world.shapes.request(shape);
        if gpus_only {
            (request.cpu.0, request.memory.0) = (0, 0);
        }
        let mut fill_within = |within: &[NodeId]| {
            let mark = space.mark();
            let mut left = count;
            for &node in within.iter() {
                let state = world.cluster.node(node);
                let accepts = space.pools[state.pool.index()].accepts(&request);
                if left > 0 && state.is_usable() && accepted.contains(state.pool) && accepts {
                    left -= fill(space, node, state.health.gpus, &request, left);
                }
            }
            if left > 0 {
                space.undo_to(mark);
            }
            left == 0
        };
        let Some(bound) = key.bound(place) else {
            let nodes = 0..u32::try_from(world.cluster.nodes.len()).unwrap_or(u32::MAX);
            return fill_within(&nodes.map(NodeId).collect::<Vec<_>>());
        };
        let mut groups = match bound.group {
            Some(group) => group..group + 1,
            None => 0..places.group_count(bound.level),
        };
        groups.any(|group| fill_within(places.nodes(bound.level, group)))
    });
    space.undo_to(start);
    all
}

/// Puts up to `wanted` tasks on a usable node of the space; returns how many fitted.
fn fill(
    space: &mut Space,
    node: NodeId,
    failed: DeviceSet,
    request: &TaskRequest,
    wanted: u32,
) -> u32 {
    let sharing = space.sharing(node);
    let mut free = space.node(node).without(failed);
    // It may be switched off.
    free.open = true;
    let mut placed = 0;
    while placed < wanted && free.fits(request, sharing) {
        let Some(grant) = assume(&free, request, sharing) else {
            break;
        };
        free.take(grant, request.cpu.0, request.memory.0);
        placed += 1;
    }
    if placed > 0 {
        space.change(node, free);
    }
    placed
}
