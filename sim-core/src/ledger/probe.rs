//! The engine's own probe: whether a unit shape fits, on truth, whatever any policy thinks.

use super::waits::{Active, Status, Waits};
use crate::device::{DeviceSet, MAX_DEVICES};
use crate::ids::{DemandId, NodeId, PoolId, PoolSet};
use crate::job::TaskRequest;
use crate::shape::DemandKey;
use crate::space::{Space, slots_on};
use crate::world::World;
use crate::world::cluster::Cluster;
use crate::world::occupy::assume;

impl Waits {
    /// Brings the status of every active shape up to date.
    ///
    /// Cost: nothing while nothing waits; one comparison per set of pools while nothing crosses what
    /// a shape needs; otherwise two comparisons per active shape that is whole GPUs and nothing else,
    /// and for others one test per touched node.
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
        if changed && !self.watch.holds(world) {
            self.probe_active(world);
        } else {
            for place in 0..self.fresh().len() {
                let demand = self.fresh()[place];
                let status = status_of(world, demand);
                self.set_status(world.now, demand, status);
                if let Some(shape) = self.active_shape(demand) {
                    self.watch.include(&shape, shape.status);
                }
            }
        }
        self.forget_fresh();
        debug_assert!(self.is_probed(world), "a status was not brought up to date");
    }

    /// Probes all active shapes.
    fn probe_active(&mut self, world: &mut World) {
        self.watch.begin(world);
        let mut known = Known::default();
        for place in 0..self.active().len() {
            let shape = &self.active[place];
            let (accepted, demand, before) = (shape.accepted, shape.demand, shape.status);
            let is_plain = shape.plain_gpus != 0 && self.watch.by_counts;
            if known.pools != accepted {
                known = Known::look(world, accepted, is_plain);
            } else if is_plain && !known.counted {
                known = Known::look(world, accepted, true);
            }
            let status = if shape.rigid_milli > known.free {
                // What fits is free: no need to look where.
                Status::Insufficient
            } else if is_plain {
                // Enough is free in sum, as its need is rigid.
                if known.slots_of(shape.plain_gpus) >= shape.plain_tasks {
                    Status::Startable
                } else {
                    Status::Fragmented
                }
            } else {
                status_of(world, demand)
            };
            self.watch.include(shape, status);
            if status != before {
                self.set_status(world.now, demand, status);
            }
        }
    }

    /// Whether every active shape has the status that a full look gives it.
    fn is_probed(&self, world: &mut World) -> bool {
        let probed = |shape: &Active| shape.status == status_of(world, shape.demand);
        self.active().iter().all(probed)
    }
}

/// What several shapes are compared with: they nearly always accept the same pools.
#[derive(Default)]
struct Known {
    pools: PoolSet,
    /// What is free there, in truth \[milli\].
    free: u64,
    /// Tasks of whole GPUs that fit there, by GPUs per task, from one on; if they were counted.
    slots: [u32; MAX_DEVICES],
    counted: bool,
}

impl Known {
    fn look(world: &mut World, pools: PoolSet, counted: bool) -> Self {
        let free = free_in(world, pools);
        let slots = if counted {
            world.space.get_mut().all_whole_slots(pools)
        } else {
            [0; MAX_DEVICES]
        };
        Self {
            pools,
            free,
            slots,
            counted,
        }
    }

    fn slots_of(&self, gpus: u16) -> u32 {
        let slots = self.slots.get(usize::from(gpus).wrapping_sub(1));
        slots.copied().unwrap_or(0)
    }
}

/// Within what bounds capacity may move without a change of any active shape's status.
///
/// A status changes when a sum crosses what the shape needs, so most changes of capacity change none.
/// Shapes that are no longer active keep their bounds until the next full look: that is only stricter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Whether nodes are as they are known to be, so that counts of free GPUs tell what fits.
    by_counts: bool,
    /// Whether a shape is active that counts say nothing of.
    others: bool,
    bounds: Vec<Bounds>,
}

/// The bounds for the shapes that accept the same pools. Each count is compared with the least it may
/// be and by how much it may be more.
#[derive(Clone, Debug)]
struct Bounds {
    pools: PoolSet,
    free: (u64, u64),
    least: [u32; MAX_DEVICES],
    most: [u32; MAX_DEVICES],
}

impl Watch {
    fn begin(&mut self, world: &World) {
        self.by_counts = world.cluster.diverged.is_empty();
        self.others = false;
        self.bounds.clear();
    }

    /// Whether no status can have changed.
    fn holds(&self, world: &mut World) -> bool {
        self.by_counts
            && !self.others
            && world.cluster.diverged.is_empty()
            && self.bounds.iter().all(|bounds| bounds.hold(world))
    }

    /// Narrows the bounds to those within which a shape keeps a status.
    #[inline]
    fn include(&mut self, shape: &Active, status: Status) {
        if shape.plain_gpus == 0 || !self.by_counts {
            self.others = true;
            return;
        }
        match self.bounds.last_mut() {
            Some(last) if last.pools == shape.accepted => last.include(shape, status),
            _ => self.include_elsewhere(shape, status),
        }
    }

    #[cold]
    fn include_elsewhere(&mut self, shape: &Active, status: Status) {
        let known = self.bounds.iter().position(|b| b.pools == shape.accepted);
        let place = known.unwrap_or_else(|| {
            self.bounds.push(Bounds::new(shape.accepted));
            self.bounds.len() - 1
        });
        self.bounds[place].include(shape, status);
    }
}

impl Bounds {
    fn new(pools: PoolSet) -> Self {
        Self {
            pools,
            free: (0, u64::MAX),
            least: [0; MAX_DEVICES],
            most: [u32::MAX; MAX_DEVICES],
        }
    }

    fn hold(&self, world: &mut World) -> bool {
        let free = free_in(world, self.pools);
        let space = world.space.get_mut();
        free >= self.free.0
            && free <= self.free.1
            && space.whole_slots_within(self.pools, &self.least, &self.most)
    }

    #[inline]
    fn include(&mut self, shape: &Active, status: Status) {
        if status == Status::Insufficient {
            self.free.1 = self.free.1.min(shape.rigid_milli - 1);
            return;
        }
        self.free.0 = self.free.0.max(shape.rigid_milli);
        let place = usize::from(shape.plain_gpus) - 1;
        if place >= MAX_DEVICES {
            // No node has so many: none will ever fit.
        } else if status == Status::Startable {
            self.least[place] = self.least[place].max(shape.plain_tasks);
        } else {
            self.most[place] = self.most[place].min(shape.plain_tasks - 1);
        }
    }
}

/// What is free in some pools, in truth \[milli\].
fn free_in(world: &World, pools: PoolSet) -> u64 {
    let free = |pool: PoolId| world.cluster.pools[pool.index()].totals.free;
    match pools.single() {
        Some(pool) => free(pool),
        None => pools.iter().map(free).sum(),
    }
}

/// What the truth says of a unit shape. Jobs that are larger than the supply have none here.
pub(crate) fn status_of(world: &mut World, demand: DemandId) -> Status {
    let entry = world.demands.get(demand);
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
