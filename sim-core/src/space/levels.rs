//! How many tasks of one shape fit into each group of nodes: racks, pods, NVLink domains.
//!
//! Such an index exists for shapes of which a task group asked for a level, and for no other.

use super::log::TouchLog;
use super::shapes::Nodes;
use super::sums::Sums;
use super::{PoolSet, Space};
use crate::fabric::{Level, Places};
use crate::ids::{NodeId, ShapeId};
use crate::job::TaskRequest;
use crate::units::{Bytes, MilliCores};

/// Which of the groups with enough room is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The one with the lowest number.
    First,
    /// The one with the least room, then the lowest number.
    Tightest,
}

/// What tasks must share, and which one it is if some of them are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bound {
    pub(crate) level: Level,
    pub(crate) group: Option<u32>,
}

/// What tells the indices of one shape apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelKey {
    level: Level,
    pools: PoolSet,
    /// Whether CPU and memory are ignored.
    gpus_only: bool,
}

/// Tasks of one shape that fit, by group.
#[derive(Clone, Debug)]
pub(super) struct LevelIndex {
    key: LevelKey,
    /// Position in the log up to which the index is current.
    cursor: u64,
    /// Tasks that fit, per node.
    slots: Vec<u16>,
    sums: Sums,
}

impl LevelIndex {
    fn new(
        key: LevelKey,
        nodes: Nodes<'_>,
        places: &Places,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> Self {
        let mut index = Self {
            key,
            cursor: log.end(),
            slots: vec![0; nodes.free.len()],
            sums: Sums::new(places.group_count(key.level)),
        };
        for node in nodes.ids() {
            index.update(node, nodes, places, request);
        }
        index
    }

    /// Brings the index up to date; `false` if it had better be made anew.
    fn catch_up(
        &mut self,
        nodes: Nodes<'_>,
        places: &Places,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> bool {
        if self.cursor == log.end() {
            return true;
        }
        let only_took = log.only_took_since(self.cursor);
        if only_took && self.sums.largest() == 0 {
            return true;
        }
        let Some(touched) = log.since(self.cursor) else {
            return false;
        };
        for node in touched {
            if !only_took || self.slots[node.index()] > 0 {
                self.update(node, nodes, places, request);
            }
        }
        self.cursor = log.end();
        true
    }

    fn update(&mut self, node: NodeId, nodes: Nodes<'_>, places: &Places, request: &TaskRequest) {
        if !self.key.pools.contains(nodes.pool_of[node.index()]) {
            return;
        }
        let slots = nodes.slots(node, request);
        let old = std::mem::replace(&mut self.slots[node.index()], slots);
        if old != slots {
            let group = places.group(node, self.key.level);
            self.sums.replace(group, old.into(), slots.into());
        }
    }
}

impl Space {
    /// The sums of a shape over the groups of a level, up to date: one test per node touched since
    /// they were last asked for.
    fn sums(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
        level: Level,
        gpus_only: bool,
    ) -> &Sums {
        let nodes = Nodes {
            free: &self.nodes,
            pool_of: &self.pool_of,
            pools: &self.pools,
        };
        let gpus_only = gpus_only && (request.cpu.0 > 0 || request.memory.0 > 0);
        let mut request = *request;
        if gpus_only {
            (request.cpu, request.memory) = (MilliCores(0), Bytes(0));
        }
        let key = LevelKey {
            level,
            pools,
            gpus_only,
        };
        if self.levels.len() <= shape.index() {
            self.levels.resize_with(shape.index() + 1, Vec::new);
        }
        let known = &mut self.levels[shape.index()];
        let place = known.iter().position(|index| index.key == key);
        let fresh = || LevelIndex::new(key, nodes, &self.places, &self.log, &request);
        let place = match place {
            None => {
                known.push(fresh());
                known.len() - 1
            }
            Some(place) => {
                if !known[place].catch_up(nodes, &self.places, &self.log, &request) {
                    known[place] = fresh();
                }
                place
            }
        };
        &known[place].sums
    }

    /// The next group with room for `count` tasks of a shape behind one found before, and its room.
    ///
    /// O(log groups) for the first one, O(groups) for the tightest.
    pub(crate) fn next_group(
        &mut self,
        (shape, request): (ShapeId, &TaskRequest),
        pools: PoolSet,
        level: Level,
        count: u32,
        pick: Pick,
        after: Option<(u64, u32)>,
    ) -> Option<(u64, u32)> {
        let sums = self.sums(shape, request, pools, level, false);
        sums.next(pick, u64::from(count.max(1)), after)
    }

    /// Tasks of a shape that fit within a bound: into its group, or into the group with most room.
    pub(crate) fn bound_slots(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
        bound: Bound,
    ) -> u64 {
        let sums = self.sums(shape, request, pools, bound.level, false);
        bound.group.map_or(sums.largest(), |group| sums.of(group))
    }

    /// Whether `count` tasks of a shape fit within a bound, if there is one.
    #[inline]
    pub(crate) fn has_room(
        &mut self,
        shape: ShapeId,
        request: &TaskRequest,
        pools: PoolSet,
        bound: Option<Bound>,
        count: u32,
    ) -> bool {
        let slots = match bound {
            None => self.slots(shape, request, pools),
            Some(bound) => self.bound_slots(shape, request, pools, bound),
        };
        slots >= u64::from(count)
    }

    /// The same where some nodes count otherwise: each with what to leave out and what to put in.
    /// `gpus_only` ignores CPU and memory.
    pub(crate) fn has_room_but(
        &mut self,
        (shape, request): (ShapeId, &TaskRequest),
        pools: PoolSet,
        bound: Bound,
        count: u32,
        gpus_only: bool,
        but: &[(NodeId, u64, u64)],
    ) -> bool {
        let level = bound.level;
        let wanted = u64::from(count);
        let places = std::sync::Arc::clone(&self.places);
        let sums = self.sums(shape, request, pools, level, gpus_only);
        if but.is_empty() {
            let slots = bound.group.map_or(sums.largest(), |group| sums.of(group));
            return slots >= wanted;
        }
        let mut list = sums.list().to_vec();
        for (node, less, more) in but {
            let sum = &mut list[places.group(*node, level) as usize];
            *sum = *sum - less + more;
        }
        match bound.group {
            Some(group) => list[group as usize] >= wanted,
            None => list.iter().any(|sum| *sum >= wanted),
        }
    }

    /// The first node at or after `from` within a group of nodes where a task of the shape fits.
    ///
    /// One look at the shape's index where the nodes of the group follow each other, else at most one
    /// per node of the group.
    pub(crate) fn next_feasible_within(
        &mut self,
        (shape, request): (ShapeId, &TaskRequest),
        pools: PoolSet,
        from: NodeId,
        (level, group): (Level, u32),
    ) -> Option<NodeId> {
        let places = std::sync::Arc::clone(&self.places);
        let members = places.nodes(level, group);
        let mut at = from;
        loop {
            let next = members.get(members.partition_point(|node| *node < at))?;
            let found = self.next_feasible(shape, request, pools, *next)?;
            if places.group(found, level) == group {
                return Some(found);
            }
            at = found;
        }
    }

    /// The group of a node at a level.
    pub(crate) fn group_of(&self, node: NodeId, level: Level) -> u32 {
        self.places.group(node, level)
    }
}
