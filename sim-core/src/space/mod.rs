//! The free capacity that plans and the engine's probe work on, with indices per task shape.
//!
//! One copy of every node's free state, brought up to date from a list of touched nodes, changed by
//! plans and undone from a journal. For each task shape that was ever asked about it keeps, lazily,
//! how many tasks fit on each node: a shape pays one test per node touched since it was last asked.

mod levels;
mod log;
mod scores;
mod shapes;
mod sums;
mod whole;

use std::any::TypeId;
use std::sync::Arc;

use crate::device::{Grant, MAX_DEVICES, NodeFree, Sharing};
use crate::fabric::Places;
use crate::ids::{NodeId, PoolId, PoolSet, ShapeId};
use crate::job::{GpuRequest, TaskRequest};
use crate::plan::Scorer;
use crate::units::{Bytes, MilliCores};
use levels::LevelIndex;
pub(crate) use levels::{Bound, Pick};
use log::TouchLog;
use scores::ScoreSlot;
use shapes::{Nodes, ShapeIndex};
use whole::WholeIndex;

/// One index per shape that was asked about.
type Shapes = Vec<Option<Box<ShapeIndex>>>;

/// What the space must know of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolInfo {
    /// First node; nodes of other pools may lie between it and the last.
    pub(crate) first: u32,
    /// One past the last node.
    pub(crate) end: u32,
    pub(crate) sharing: Sharing,
    /// Bit of its GPU model.
    pub(crate) model: u64,
}

impl PoolInfo {
    /// Whether nodes of the pool are of a model the request accepts.
    pub(crate) fn accepts(&self, request: &TaskRequest) -> bool {
        request.models == 0 || request.models & self.model != 0
    }
}

/// Free capacity with indices.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    nodes: Vec<NodeFree>,
    pub(crate) pools: Vec<PoolInfo>,
    pool_of: Vec<PoolId>,
    /// Whether nodes of different pools take turns.
    mixed: bool,
    /// Whether some pool's GPUs are slots, so that whole GPUs need not be idle to be granted.
    slotted: bool,
    log: TouchLog,
    /// How often something was given back.
    given: u64,
    /// By shape: tasks that fit.
    shapes: Shapes,
    /// By shape: the same ignoring CPU and memory.
    gpu_shapes: Shapes,
    /// By scorer and shape: the best node.
    scores: Vec<(TypeId, Vec<ScoreSlot>)>,
    /// By shape: tasks that fit into each group of nodes, for every level that was asked for.
    levels: Vec<Vec<LevelIndex>>,
    places: Arc<Places>,
    whole: Option<Box<WholeIndex>>,
    journal: Vec<(NodeId, NodeFree)>,
    /// Nodes that a dropped plan left changed; see [`Space::abandon`].
    pub(crate) stale: Vec<NodeId>,
}

impl Space {
    pub(crate) fn new(
        nodes: Vec<NodeFree>,
        pools: Vec<PoolInfo>,
        pool_of: Vec<PoolId>,
        places: Arc<Places>,
    ) -> Self {
        Self {
            log: TouchLog::new(nodes.len()),
            given: 0,
            nodes,
            mixed: !pool_of.is_sorted(),
            slotted: pools.iter().any(|pool| pool.sharing.overcommits()),
            pools,
            pool_of,
            shapes: Vec::new(),
            gpu_shapes: Vec::new(),
            scores: Vec::new(),
            levels: Vec::new(),
            places,
            whole: None,
            journal: Vec::new(),
            stale: Vec::new(),
        }
    }

    pub(crate) fn node(&self, node: NodeId) -> &NodeFree {
        &self.nodes[node.index()]
    }

    pub(crate) fn pool_of(&self, node: NodeId) -> PoolId {
        self.pool_of[node.index()]
    }

    pub(crate) fn sharing(&self, node: NodeId) -> Sharing {
        self.pools[self.pool_of[node.index()].index()].sharing
    }

    /// Replaces a node's free state; not undone by anything.
    #[inline]
    pub(crate) fn set(&mut self, node: NodeId, free: &NodeFree) {
        if !self.nodes[node.index()].is_same(free) {
            self.touch(node, free);
        }
    }

    /// Replaces a node's free state so that [`undo_to`](Self::undo_to) can take it back.
    pub(crate) fn change(&mut self, node: NodeId, free: NodeFree) {
        self.journal.push((node, self.nodes[node.index()]));
        self.touch(node, &free);
    }

    /// Takes a grant on a node, and the request's CPU and memory, in place; undone as a
    /// [`change`](Self::change).
    pub(crate) fn take(&mut self, node: NodeId, grant: Grant, request: &TaskRequest) {
        let state = &mut self.nodes[node.index()];
        self.journal.push((node, *state));
        state.take(grant, request.cpu.0, request.memory.0);
        self.follow(node, false);
    }

    /// Leaves what a plan changed since `mark` as it is, to be set right before anybody looks again:
    /// nearly always the plan's decisions were applied and there is nothing to set right.
    #[inline]
    pub(crate) fn abandon(&mut self, mark: usize) {
        while self.journal.len() > mark
            && let Some((node, _)) = self.journal.pop()
        {
            self.stale.push(node);
        }
    }

    /// Grows whenever a node has more of anything free than before.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    pub(crate) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Nodes changed since `mark` and not undone, each as it was before, in order.
    pub(crate) fn changes_since(&self, mark: usize) -> &[(NodeId, NodeFree)] {
        &self.journal[mark..]
    }

    pub(crate) fn undo_to(&mut self, mark: usize) {
        while self.journal.len() > mark {
            if let Some((node, free)) = self.journal.pop() {
                self.touch(node, &free);
            }
        }
    }

    /// A node changes: the index for whole GPUs follows at once, the others when next asked.
    fn touch(&mut self, node: NodeId, free: &NodeFree) {
        let state = &mut self.nodes[node.index()];
        let gave = !free.is_within(state);
        *state = *free;
        self.follow(node, gave);
    }

    /// Brings the indices up to date with a node, which may have more of something free than before.
    #[inline]
    fn follow(&mut self, node: NodeId, gave: bool) {
        if let Some(index) = &mut self.whole {
            let pool = self.pool_of[node.index()].index();
            index.update(node, pool, &self.nodes[node.index()]);
        }
        self.given += u64::from(gave);
        let is_indexed = !self.shapes.is_empty() || !self.gpu_shapes.is_empty();
        if is_indexed || !self.scores.is_empty() || !self.levels.is_empty() {
            self.log.push(node, gave);
        }
    }

    /// The index of a shape, up to date.
    #[inline]
    fn shape(&mut self, shape: ShapeId, request: &TaskRequest) -> &ShapeIndex {
        let nodes = Nodes {
            free: &self.nodes,
            pool_of: &self.pool_of,
            pools: &self.pools,
        };
        current(&mut self.shapes, shape, request, nodes, &self.log)
    }

    /// The same for the shape's GPUs alone.
    fn gpu_shape(&mut self, shape: ShapeId, request: &TaskRequest) -> &ShapeIndex {
        let nodes = Nodes {
            free: &self.nodes,
            pool_of: &self.pool_of,
            pools: &self.pools,
        };
        let gpus = TaskRequest {
            cpu: MilliCores(0),
            memory: Bytes(0),
            ..*request
        };
        current(&mut self.gpu_shapes, shape, &gpus, nodes, &self.log)
    }

    /// The node with the least score for a task of a shape, then the lowest id; over all pools.
    ///
    /// O(nodes touched since the shape was last asked about + nodes ÷ 64).
    pub(crate) fn best<S: Scorer>(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
    ) -> Option<NodeId> {
        let nodes = Nodes {
            free: &self.nodes,
            pool_of: &self.pool_of,
            pools: &self.pools,
        };
        let key = TypeId::of::<S>();
        let place = self.scores.iter().position(|(found, _)| *found == key);
        let place = place.unwrap_or_else(|| {
            self.scores.push((key, Vec::new()));
            self.scores.len() - 1
        });
        let shapes = &mut self.scores[place].1;
        if shapes.len() <= shape.index() {
            shapes.resize(shape.index() + 1, ScoreSlot::default());
        }
        shapes[shape.index()].best::<S>(nodes, &self.log, request)
    }

    /// Pools of a set with nodes of a model the request accepts.
    fn accepted(&self, request: &TaskRequest, pools: PoolSet) -> PoolSet {
        let known = PoolSet(pools.0 & (u64::MAX >> (64 - self.pools.len().clamp(1, 64))));
        if request.models == 0 {
            return known;
        }
        known
            .iter()
            .filter(|pool| self.pools[pool.index()].accepts(request))
            .collect()
    }

    /// Tasks of a shape that fit on a node; at most 65,535.
    pub(crate) fn slots_of(&self, node: NodeId, request: &TaskRequest) -> u16 {
        let nodes = Nodes {
            free: &self.nodes,
            pool_of: &self.pool_of,
            pools: &self.pools,
        };
        nodes.slots(node, request)
    }

    /// The index for whole GPUs: made when first asked for, kept current from then on.
    #[inline]
    fn whole(&mut self) -> &WholeIndex {
        let Self {
            whole,
            nodes,
            pools,
            pool_of,
            ..
        } = self;
        whole.get_or_insert_with(|| Box::new(WholeIndex::new(nodes, pool_of, pools.len())))
    }

    /// Tasks of so many whole GPUs each that fit in `pools`, whose models they must accept.
    #[inline]
    pub(crate) fn whole_slots(&mut self, gpus: usize, pools: PoolSet) -> u64 {
        let index = self.whole();
        let slots = |pool: PoolId| index.slots(pool.index(), gpus);
        match pools.single() {
            Some(pool) => slots(pool),
            None => pools.iter().map(slots).sum(),
        }
    }

    /// The same for every number of GPUs per task, from one on.
    pub(crate) fn all_whole_slots(&mut self, pools: PoolSet) -> [u32; MAX_DEVICES] {
        let index = self.whole();
        if let Some(pool) = pools.single() {
            return *index.all_slots(pool.index());
        }
        let mut sums = [0; MAX_DEVICES];
        for pool in pools.iter() {
            for (sum, slots) in sums.iter_mut().zip(index.all_slots(pool.index())) {
                // Of at most 10^7 nodes with 16 GPUs each.
                *sum += slots;
            }
        }
        sums
    }

    /// Whether, for every number of GPUs per task, at least and at most so many tasks fit.
    pub(crate) fn whole_slots_within(
        &mut self,
        pools: PoolSet,
        least: &[u32; MAX_DEVICES],
        most: &[u32; MAX_DEVICES],
    ) -> bool {
        let within = |slots: &[u32; MAX_DEVICES]| {
            let bounds = least.iter().zip(most);
            // All of them at once: without branches it is a few vector operations.
            slots
                .iter()
                .zip(bounds)
                .fold(true, |within, (slots, (least, most))| {
                    within & (least <= slots) & (slots <= most)
                })
        };
        match pools.single() {
            Some(pool) => within(self.whole().all_slots(pool.index())),
            None => within(&self.all_whole_slots(pools)),
        }
    }

    /// Tasks of a shape that fit in `pools`, over all nodes.
    pub(crate) fn slots(&mut self, shape: ShapeId, request: &TaskRequest, pools: PoolSet) -> u64 {
        if let Some(count) = self.plain(request) {
            let accepted = self.accepted(request, pools);
            return self.whole_slots(count, accepted);
        }
        self.shape(shape, request).sum(pools)
    }

    /// The same ignoring CPU and memory.
    pub(crate) fn gpu_slots(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
    ) -> u64 {
        if let GpuRequest::Whole(count) = request.gpus
            && !self.slotted
        {
            let accepted = self.accepted(request, pools);
            return self.whole_slots(usize::from(count), accepted);
        }
        if request.cpu.0 == 0 && request.memory.0 == 0 {
            return self.slots(shape, request, pools);
        }
        self.gpu_shape(shape, request).sum(pools)
    }

    /// The first node at or after `from` within `pools` where a task of the shape fits.
    ///
    /// Where nodes of different pools take turns, nodes outside `pools` are passed one by one.
    pub(crate) fn next_feasible(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
        from: NodeId,
    ) -> Option<NodeId> {
        if let Some(count) = self.plain(request) {
            let accepted = self.accepted(request, pools);
            return self.first_whole(count, accepted, from);
        }
        self.shape(shape, request);
        let index = self.shapes[shape.index()].as_ref()?;
        if self.mixed {
            let next = |at| index.feasible.next_at_or_after(at);
            return self.first_within(pools, from, next);
        }
        let mut at = from.0;
        for pool in pools.iter() {
            let Some(pool) = self.pools.get(pool.index()) else {
                break;
            };
            if pool.end <= at {
                continue;
            }
            at = at.max(pool.first);
            if let Some(found) = index.feasible.next_at_or_after(at)
                && found < pool.end
            {
                return Some(NodeId(found));
            }
        }
        None
    }

    /// The first node at or after `from` with so many whole GPUs free, within `pools`, whose models must
    /// be accepted.
    pub(crate) fn first_whole(
        &mut self,
        count: usize,
        pools: PoolSet,
        from: NodeId,
    ) -> Option<NodeId> {
        self.whole();
        let index = self.whole.as_ref()?;
        if self.mixed {
            let next = |at| index.next(count, at, u32::MAX);
            return self.first_within(pools, from, next);
        }
        pools.iter().find_map(|pool| {
            let pool = &self.pools[pool.index()];
            index
                .next(count, from.0.max(pool.first), pool.end)
                .map(NodeId)
        })
    }

    /// GPUs of a request that the index for whole GPUs can answer.
    #[inline]
    fn plain(&self, request: &TaskRequest) -> Option<usize> {
        if self.slotted {
            return None;
        }
        plain_whole(request)
    }

    /// The first node of `pools` that `next` finds, going on behind those of other pools.
    fn first_within(
        &self,
        pools: PoolSet,
        from: NodeId,
        next: impl Fn(u32) -> Option<u32>,
    ) -> Option<NodeId> {
        let mut at = from.0;
        loop {
            let found = next(at)?;
            if pools.contains(self.pool_of[found as usize]) {
                return Some(NodeId(found));
            }
            at = found + 1;
        }
    }
}

/// GPUs of a request for whole ones and nothing else.
pub(crate) fn plain_whole(request: &TaskRequest) -> Option<usize> {
    match request.gpus {
        GpuRequest::Whole(count) if request.cpu.0 == 0 && request.memory.0 == 0 => {
            Some(usize::from(count))
        }
        _ => None,
    }
}

/// Tasks of a shape that fit on a node with this much free; at most 65,535.
pub(crate) fn slots_on(free: &NodeFree, request: &TaskRequest, sharing: Sharing) -> u16 {
    u16::try_from(free.slots(request, sharing)).unwrap_or(u16::MAX)
}

/// The index of a shape, made or brought up to date.
#[inline]
fn current<'a>(
    shapes: &'a mut Shapes,
    shape: ShapeId,
    request: &TaskRequest,
    nodes: Nodes<'_>,
    log: &TouchLog,
) -> &'a ShapeIndex {
    if shapes.len() <= shape.index() {
        shapes.resize(shape.index() + 1, None);
    }
    let slot = &mut shapes[shape.index()];
    let is_current = slot
        .as_mut()
        .is_some_and(|index| index.catch_up(nodes, log, request));
    if !is_current {
        *slot = Some(Box::new(ShapeIndex::new(nodes, log, request)));
    }
    slot.as_ref().expect("made above")
}
