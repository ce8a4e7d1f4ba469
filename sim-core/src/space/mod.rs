//! The free capacity that plans and the engine's probe work on, with indices per task shape.
//!
//! One copy of every node's free state, brought up to date from a list of touched nodes, changed by
//! plans and undone from a journal. For each task shape that was ever asked about it keeps, lazily,
//! how many tasks fit on each node: a shape pays one test per node touched since it was last asked.

mod whole;

use crate::bitset::BitSet;
use crate::device::{NodeFree, Sharing};
use crate::ids::{NodeId, PoolId, PoolSet, ShapeId};
use crate::job::{GpuRequest, TaskRequest};
use whole::WholeIndex;

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

/// Where the tasks of one shape fit.
#[derive(Clone, Debug)]
struct ShapeIndex {
    /// Position in the log of touched nodes up to which the index is current.
    cursor: u64,
    /// Nodes where at least one fits.
    feasible: BitSet,
    /// Tasks that fit, per node.
    slots: Vec<u16>,
    /// Tasks that fit by GPU alone, per node; empty if CPU and memory play no part.
    gpu_slots: Vec<u16>,
    /// Sums over each pool.
    total: Vec<u64>,
    gpu_total: Vec<u64>,
}

/// Free capacity with indices.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    nodes: Vec<NodeFree>,
    pub(crate) pools: Vec<PoolInfo>,
    pool_of: Vec<PoolId>,
    /// Whether nodes of different pools take turns.
    mixed: bool,
    /// Nodes touched, oldest first, from log position `log_start`.
    log: Vec<NodeId>,
    log_start: u64,
    shapes: Vec<Option<Box<ShapeIndex>>>,
    whole: Option<Box<WholeIndex>>,
    journal: Vec<(NodeId, NodeFree)>,
    /// Nodes that a dropped plan left changed; see [`Space::abandon`].
    pub(crate) stale: Vec<NodeId>,
}

impl Space {
    pub(crate) fn new(nodes: Vec<NodeFree>, pools: Vec<PoolInfo>, pool_of: Vec<PoolId>) -> Self {
        Self {
            nodes,
            pools,
            mixed: !pool_of.is_sorted(),
            pool_of,
            log: Vec::new(),
            log_start: 0,
            shapes: Vec::new(),
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
    pub(crate) fn set(&mut self, node: NodeId, free: NodeFree) {
        if self.nodes[node.index()] != free {
            self.nodes[node.index()] = free;
            self.touch(node);
        }
    }

    /// Replaces a node's free state so that [`undo_to`](Self::undo_to) can take it back.
    pub(crate) fn change(&mut self, node: NodeId, free: NodeFree) {
        self.journal.push((node, self.nodes[node.index()]));
        self.nodes[node.index()] = free;
        self.touch(node);
    }

    /// Leaves what a plan changed since `mark` as it is, to be set right before anybody looks again:
    /// nearly always the plan's decisions were applied and there is nothing to set right.
    pub(crate) fn abandon(&mut self, mark: usize) {
        for (node, _) in self.journal.drain(mark..) {
            self.stale.push(node);
        }
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
                self.nodes[node.index()] = free;
                self.touch(node);
            }
        }
    }

    /// A node changed: the index for whole GPUs follows at once, those of shapes when next asked.
    fn touch(&mut self, node: NodeId) {
        if let Some(index) = &mut self.whole {
            let pool = self.pool_of[node.index()].index();
            index.update(node, pool, &self.nodes[node.index()]);
        }
        if self.shapes.is_empty() {
            return;
        }
        if self.log.len() > 4 * self.nodes.len() + 1_024 {
            self.log_start += self.log.len() as u64;
            self.log.clear();
        }
        self.log.push(node);
    }

    /// Brings the index of a shape up to date.
    fn refresh(&mut self, shape: ShapeId, request: &TaskRequest) {
        if self.shapes.len() <= shape.index() {
            self.shapes.resize(shape.index() + 1, None);
        }
        let end = self.log_start + self.log.len() as u64;
        match &self.shapes[shape.index()] {
            Some(index) if index.cursor == end => return,
            Some(index) if index.cursor >= self.log_start => {
                let start = usize::try_from(index.cursor - self.log_start).unwrap_or(usize::MAX);
                if self.log.len() - start <= self.nodes.len() {
                    self.catch_up(shape, request, start, end);
                    return;
                }
            }
            _ => {}
        }
        self.rebuild(shape, request, end);
    }

    fn catch_up(&mut self, shape: ShapeId, request: &TaskRequest, start: usize, end: u64) {
        let Some(mut index) = self.shapes[shape.index()].take() else {
            return;
        };
        for place in start..self.log.len() {
            let node = self.log[place];
            let (slots, gpu_slots) = self.slots_of(node, request);
            index.update(node, self.pool_of[node.index()], slots, gpu_slots);
        }
        index.cursor = end;
        self.shapes[shape.index()] = Some(index);
    }

    fn rebuild(&mut self, shape: ShapeId, request: &TaskRequest, end: u64) {
        let count = self.nodes.len();
        let with_rest = request.cpu.0 > 0 || request.memory.0 > 0;
        let mut index = Box::new(ShapeIndex {
            cursor: end,
            feasible: BitSet::new(u32::try_from(count).unwrap_or(u32::MAX)),
            slots: vec![0; count],
            gpu_slots: vec![0; if with_rest { count } else { 0 }],
            total: vec![0; self.pools.len()],
            gpu_total: vec![0; self.pools.len()],
        });
        for place in 0..count {
            let node = NodeId(u32::try_from(place).unwrap_or(u32::MAX));
            let (slots, gpu_slots) = self.slots_of(node, request);
            index.update(node, self.pool_of[place], slots, gpu_slots);
        }
        self.shapes[shape.index()] = Some(index);
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

    /// Tasks of a shape that fit on a node, and by GPU alone; at most 65,535.
    pub(crate) fn slots_of(&self, node: NodeId, request: &TaskRequest) -> (u16, u16) {
        let pool = &self.pools[self.pool_of[node.index()].index()];
        if !pool.accepts(request) {
            return (0, 0);
        }
        slots_on(&self.nodes[node.index()], request, pool.sharing)
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
        pools
            .iter()
            .map(|pool| index.slots(pool.index(), gpus))
            .sum()
    }

    /// Tasks of a shape that fit in `pools`, over all nodes.
    pub(crate) fn slots(&mut self, shape: ShapeId, request: &TaskRequest, pools: PoolSet) -> u64 {
        if let Some(count) = plain_whole(request) {
            let accepted = self.accepted(request, pools);
            let index = self.whole();
            return accepted
                .iter()
                .map(|pool| index.slots(pool.index(), count))
                .sum();
        }
        self.refresh(shape, request);
        let index = self.shapes[shape.index()].as_ref();
        index.map_or(0, |index| sum(&index.total, pools))
    }

    /// The same ignoring CPU and memory.
    pub(crate) fn gpu_slots(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
    ) -> u64 {
        if plain_whole(request).is_some() {
            return self.slots(shape, request, pools);
        }
        self.refresh(shape, request);
        let index = self.shapes[shape.index()].as_ref();
        index.map_or(0, |index| {
            sum(
                if index.gpu_slots.is_empty() {
                    &index.total
                } else {
                    &index.gpu_total
                },
                pools,
            )
        })
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
        if let Some(count) = plain_whole(request) {
            let accepted = self.accepted(request, pools);
            self.whole();
            let index = self.whole.as_ref()?;
            if self.mixed {
                let next = |at| index.next(count, at, u32::MAX);
                return self.first_within(accepted, from, next);
            }
            return accepted.iter().find_map(|pool| {
                let pool = &self.pools[pool.index()];
                index
                    .next(count, from.0.max(pool.first), pool.end)
                    .map(NodeId)
            });
        }
        self.refresh(shape, request);
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

/// Tasks of a shape that fit on a node with this much free, and by GPU alone; at most 65,535.
pub(crate) fn slots_on(free: &NodeFree, request: &TaskRequest, sharing: Sharing) -> (u16, u16) {
    let cap = |slots: u32| u16::try_from(slots).unwrap_or(u16::MAX);
    let gpu = free.gpu_slots(request, sharing);
    if request.cpu.0 == 0 && request.memory.0 == 0 {
        return (cap(gpu), cap(gpu));
    }
    (cap(free.slots(request, sharing)), cap(gpu))
}

impl ShapeIndex {
    fn update(&mut self, node: NodeId, pool: PoolId, slots: u16, gpu_slots: u16) {
        let old = &mut self.slots[node.index()];
        if *old != slots {
            let total = &mut self.total[pool.index()];
            *total = *total - u64::from(*old) + u64::from(slots);
            if *old == 0 {
                self.feasible.insert(node.0);
            } else if slots == 0 {
                self.feasible.remove(node.0);
            }
            *old = slots;
        }
        if let Some(old) = self.gpu_slots.get_mut(node.index()) {
            let total = &mut self.gpu_total[pool.index()];
            *total = *total - u64::from(*old) + u64::from(gpu_slots);
            *old = gpu_slots;
        }
    }
}

fn sum(totals: &[u64], pools: PoolSet) -> u64 {
    if pools.len() == 1 {
        return totals
            .get(pools.0.trailing_zeros() as usize)
            .copied()
            .unwrap_or(0);
    }
    totals
        .iter()
        .zip(0..)
        .filter(|(_, id)| pools.contains(PoolId(*id)))
        .map(|(t, _)| *t)
        .sum()
}
