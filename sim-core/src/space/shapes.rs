//! Where the tasks of one shape fit, and how many.

use super::log::TouchLog;
use super::{PoolInfo, slots_on};
use crate::bitset::BitSet;
use crate::device::NodeFree;
use crate::ids::{NodeId, PoolId, PoolSet};
use crate::job::TaskRequest;

/// What indices look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nodes<'a> {
    pub(super) free: &'a [NodeFree],
    pub(super) pool_of: &'a [PoolId],
    pub(super) pools: &'a [PoolInfo],
}

impl<'a> Nodes<'a> {
    pub(super) fn pool(&self, node: NodeId) -> &'a PoolInfo {
        &self.pools[self.pool_of[node.index()].index()]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.free.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// Tasks that fit on a node; at most 65,535.
    pub(super) fn slots(&self, node: NodeId, request: &TaskRequest) -> u16 {
        let pool = self.pool(node);
        if !pool.accepts(request) {
            return 0;
        }
        slots_on(&self.free[node.index()], request, pool.sharing)
    }
}

/// Where the tasks of one shape fit.
#[derive(Clone, Debug)]
pub(super) struct ShapeIndex {
    /// Position in the log up to which the index is current.
    cursor: u64,
    /// Nodes where at least one fits.
    pub(super) feasible: BitSet,
    /// How many nodes those are.
    count: u32,
    /// Tasks that fit, per node.
    slots: Vec<u16>,
    /// Sums over each pool.
    total: Vec<u64>,
}

impl ShapeIndex {
    pub(super) fn new(nodes: Nodes<'_>, log: &TouchLog, request: &TaskRequest) -> Self {
        let count = nodes.free.len();
        let mut index = Self {
            cursor: log.end(),
            feasible: BitSet::new(u32::try_from(count).unwrap_or(u32::MAX)),
            count: 0,
            slots: vec![0; count],
            total: vec![0; nodes.pools.len()],
        };
        for node in nodes.ids() {
            let slots = nodes.slots(node, request);
            index.update(node, nodes.pool_of[node.index()], slots);
        }
        index
    }

    /// Brings the index up to date; `false` if it had better be made anew.
    #[inline]
    pub(super) fn catch_up(
        &mut self,
        nodes: Nodes<'_>,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> bool {
        if self.cursor == log.end() {
            return true;
        }
        let only_took = log.only_took_since(self.cursor);
        if only_took && self.count == 0 {
            return true;
        }
        let Some(touched) = log.since(self.cursor) else {
            return false;
        };
        for node in touched {
            if only_took && self.slots[node.index()] == 0 {
                continue;
            }
            let slots = nodes.slots(node, request);
            self.update(node, nodes.pool_of[node.index()], slots);
        }
        self.cursor = log.end();
        true
    }

    fn update(&mut self, node: NodeId, pool: PoolId, slots: u16) {
        let old = &mut self.slots[node.index()];
        if *old == slots {
            return;
        }
        let total = &mut self.total[pool.index()];
        *total = *total - u64::from(*old) + u64::from(slots);
        if *old == 0 {
            self.feasible.insert(node.0);
            self.count += 1;
        } else if slots == 0 {
            self.feasible.remove(node.0);
            self.count -= 1;
        }
        *old = slots;
    }

    /// Tasks that fit in `pools`.
    pub(super) fn sum(&self, pools: PoolSet) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let totals = self.total.iter().zip(0..);
        totals
            .filter(|(_, id)| pools.contains(PoolId(*id)))
            .map(|(total, _)| *total)
            .sum()
    }
}
