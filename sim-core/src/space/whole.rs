//! One index for every request of whole GPUs and nothing else: nodes by how many GPUs are free.
//!
//! Such requests are the bulk of many traces; they share this index instead of paying one test per
//! shape and touched node.

use super::PoolInfo;
use crate::bitset::BitSet;
use crate::device::{MAX_DEVICES, NodeFree};
use crate::ids::NodeId;

const LEVELS: usize = MAX_DEVICES + 1;

/// `SLOTS[level][count]`: tasks of `count` GPUs that fit on a node with `level` free.
const SLOTS: [[u64; LEVELS]; LEVELS] = {
    let mut table = [[0; LEVELS]; LEVELS];
    let mut level = 0;
    while level < LEVELS {
        let mut count = 1;
        while count <= level {
            table[level][count] = (level / count) as u64;
            count += 1;
        }
        level += 1;
    }
    table
};

/// Nodes by wholly free GPUs; a node that is not open counts as having none.
#[derive(Clone, Debug)]
pub(super) struct WholeIndex {
    /// Position in the log of touched nodes up to which the index is current.
    pub(super) cursor: u64,
    /// Nodes with exactly so many free.
    levels: Vec<BitSet>,
    /// Free GPUs of each node.
    level_of: Vec<u8>,
    /// Tasks that fit, per pool, by GPUs per task.
    slots: Vec<[u64; LEVELS]>,
}

impl WholeIndex {
    pub(super) fn new(nodes: &[NodeFree], pools: &[PoolInfo], cursor: u64) -> Self {
        let len = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let top = nodes
            .iter()
            .map(|node| usize::from(node.devices))
            .max()
            .unwrap_or(0);
        let mut index = Self {
            cursor,
            levels: vec![BitSet::new(len); top + 1],
            level_of: vec![0; nodes.len()],
            slots: vec![[0; LEVELS]; pools.len()],
        };
        for (pool, slots) in pools.iter().zip(&mut index.slots) {
            for node in pool.first..pool.end {
                let level = level(&nodes[node as usize]);
                index.levels[usize::from(level)].insert(node);
                index.level_of[node as usize] = level;
                for (sum, fit) in slots.iter_mut().zip(SLOTS[usize::from(level)]) {
                    *sum += fit;
                }
            }
        }
        index
    }

    pub(super) fn update(&mut self, node: NodeId, pool: usize, free: &NodeFree) {
        let new = level(free);
        let old = std::mem::replace(&mut self.level_of[node.index()], new);
        if old == new {
            return;
        }
        self.levels[usize::from(old)].remove(node.0);
        self.levels[usize::from(new)].insert(node.0);
        // Wrapping, so that one vector operation does it; the sums themselves never wrap.
        let (gone, come) = (&SLOTS[usize::from(old)], &SLOTS[usize::from(new)]);
        for ((sum, come), gone) in self.slots[pool].iter_mut().zip(come).zip(gone) {
            *sum = sum.wrapping_add(*come).wrapping_sub(*gone);
        }
    }

    /// Tasks of `count` GPUs that fit in a pool.
    pub(super) fn slots(&self, pool: usize, count: usize) -> u64 {
        self.slots[pool].get(count).copied().unwrap_or(0)
    }

    /// The first node in `from..end` with at least `count` GPUs free.
    pub(super) fn next(&self, count: usize, from: u32, end: u32) -> Option<u32> {
        let levels = self.levels.get(count..)?;
        levels
            .iter()
            .filter_map(|set| set.next_at_or_after(from))
            .min()
            .filter(|node| *node < end)
    }
}

fn level(free: &NodeFree) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    let whole = free.whole() as u8;
    if free.open { whole } else { 0 }
}
