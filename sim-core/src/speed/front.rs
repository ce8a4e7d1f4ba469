//! What is kept of a unit on many nodes: what its speed model said of each, and the worst of all.
//!
//! Two tournament trees, one over nodes and one over NVLink domains, whose bandwidths are sums over
//! their nodes. A node that says something else costs O(log nodes), one that says the same O(1).
//! Memory: some 130 bytes per node of a unit that was asked twice.

use smallvec::SmallVec;

use super::limits::{Footprint, Limits, NodeLimits};
use super::{NodePart, Pipe, Placement};
use crate::fabric::Level;
use crate::ids::{NodeId, PoolId};

/// Something of which the worst of several counts.
trait Worst: Copy + Eq {
    /// What changes nothing.
    const NONE: Self;
    /// Of two, the first to the left.
    fn worst(self, other: Self) -> Self;
}

impl Worst for NodeLimits {
    const NONE: Self = Self::NONE;
    fn worst(self, other: Self) -> Self {
        self.worst(other)
    }
}

/// Bandwidth out of a domain.
impl Worst for u64 {
    const NONE: Self = Self::MAX;
    fn worst(self, other: Self) -> Self {
        self.min(other)
    }
}

/// Values in a row and the worst of them: node `i` of the tree is the worst of `2i` and `2i + 1`.
#[derive(Clone, Debug)]
struct Tournament<T> {
    nodes: Vec<T>,
}

impl<T: Worst> Tournament<T> {
    const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// O(values); keeps its memory.
    fn fill(&mut self, values: impl ExactSizeIterator<Item = T>) {
        let width = values.len().next_power_of_two();
        self.nodes.clear();
        self.nodes.resize(width, T::NONE);
        self.nodes.extend(values);
        self.nodes.resize(2 * width, T::NONE);
        for at in (1..width).rev() {
            self.nodes[at] = self.nodes[2 * at].worst(self.nodes[2 * at + 1]);
        }
    }

    /// O(log values), less if what it is part of stays as it was.
    fn set(&mut self, place: usize, value: T) {
        let mut at = self.nodes.len() / 2 + place;
        self.nodes[at] = value;
        while at > 1 {
            at /= 2;
            let worst = self.nodes[2 * at].worst(self.nodes[2 * at + 1]);
            if self.nodes[at] == worst {
                return;
            }
            self.nodes[at] = worst;
        }
    }

    fn get(&self, place: usize) -> T {
        self.nodes[self.nodes.len() / 2 + place]
    }

    fn worst(&self) -> T {
        self.nodes.get(1).copied().unwrap_or(T::NONE)
    }
}

/// What is kept of a unit.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    /// Whether what is kept is of the unit as it is now, but for `stale`.
    valid: bool,
    /// Nodes beside whose parts something changed.
    stale: Vec<NodeId>,
    /// By node.
    parts: Vec<NodePart>,
    /// The domain of each part, among those of the unit.
    domain_of: Vec<u32>,
    nodes: Tournament<NodeLimits>,
    domains: Tournament<u64>,
    footprint: Footprint,
}

impl Front {
    pub(crate) fn new() -> Self {
        Self {
            valid: false,
            stale: Vec::new(),
            parts: Vec::new(),
            domain_of: Vec::new(),
            nodes: Tournament::new(),
            domains: Tournament::new(),
            footprint: Footprint {
                gpus: 0,
                tasks: 0,
                islands: 0,
                widest: 0,
                level: None,
                pools: SmallVec::new(),
            },
        }
    }

    /// The unit is another, or elsewhere.
    pub(crate) fn forget(&mut self) {
        self.valid = false;
        self.stale.clear();
    }

    /// Something changed on a node beside the unit.
    pub(crate) fn touch(&mut self, node: NodeId) {
        if self.stale.len() >= self.parts.len() {
            // To ask about all of them is cheaper.
            self.forget();
        }
        if self.valid {
            self.stale.push(node);
        }
    }

    /// Whether what is kept is of the unit as it is now.
    pub(crate) const fn is_valid(&self) -> bool {
        self.valid
    }

    /// Running tasks.
    pub(crate) const fn running(&self) -> u32 {
        self.footprint.tasks
    }

    /// What all nodes leave together, asking about those that changed: O(stale × log nodes) of its own,
    /// O(nodes × log nodes) if nothing is kept.
    pub(crate) fn limits(
        &mut self,
        on: &Placement<'_>,
        mut ask: impl FnMut(&NodePart) -> NodeLimits,
    ) -> Limits<'_> {
        if !self.valid {
            self.build(on, ask);
            return self.worst();
        }
        self.stale.sort_unstable();
        self.stale.dedup();
        while let Some(node) = self.stale.pop() {
            // A neighbour that left may have been where the unit has nothing that runs.
            if let Ok(place) = self.parts.binary_search_by_key(&node, |part| part.node) {
                let said = ask(&self.parts[place]);
                self.say(place, said);
            }
        }
        self.worst()
    }

    fn say(&mut self, place: usize, said: NodeLimits) {
        let before = self.nodes.get(place);
        if said == before {
            return;
        }
        self.nodes.set(place, said);
        let domain = self.domain_of[place] as usize;
        let bandwidth = self.domains.get(domain) - u64::from(before.outside.bandwidth)
            + u64::from(said.outside.bandwidth);
        self.domains.set(domain, bandwidth);
    }

    fn build(&mut self, on: &Placement<'_>, ask: impl FnMut(&NodePart) -> NodeLimits) {
        self.parts.clear();
        self.parts.extend(on.parts());
        self.stale.clear();
        self.valid = true;
        let places = on.places();
        let domain = |part: &NodePart| places.group(part.node, Level::Domain);
        let mut domains: Vec<u32> = self.parts.iter().map(domain).collect();
        domains.sort_unstable();
        domains.dedup();
        let rank = |part| domains.binary_search(&domain(part)).unwrap_or(0);
        self.domain_of.clear();
        let ranks = self.parts.iter().map(rank);
        self.domain_of
            .extend(ranks.map(|rank| u32::try_from(rank).unwrap_or(u32::MAX)));
        self.nodes.fill(self.parts.iter().map(ask));
        let mut sums = vec![(0_u64, 0_u32); domains.len()];
        for (place, &domain) in self.domain_of.iter().enumerate() {
            let (bandwidth, gpus) = &mut sums[domain as usize];
            *bandwidth += u64::from(self.nodes.get(place).outside.bandwidth);
            *gpus += self.parts[place].devices.len();
        }
        self.domains
            .fill(sums.iter().map(|&(bandwidth, _)| bandwidth));
        self.footprint = Footprint {
            gpus: self.parts.iter().map(|part| part.devices.len()).sum(),
            tasks: self.parts.iter().map(|part| part.tasks).sum(),
            islands: u32::try_from(domains.len()).unwrap_or(u32::MAX),
            widest: sums.iter().map(|&(_, gpus)| gpus).max().unwrap_or(0),
            level: on.level_of(&self.parts),
            pools: pools_of(on, &self.parts),
        };
    }

    fn worst(&self) -> Limits<'_> {
        let worst = self.nodes.worst();
        let narrowest = self.domains.worst();
        Limits {
            worst: NodeLimits {
                outside: Pipe {
                    bandwidth: u32::try_from(narrowest).unwrap_or(u32::MAX),
                    ..worst.outside
                },
                ..worst
            },
            footprint: &self.footprint,
        }
    }
}

/// The pools of a unit, in the order of the first node in each. O(parts × pools).
fn pools_of(on: &Placement<'_>, parts: &[NodePart]) -> SmallVec<[PoolId; 2]> {
    let mut pools = SmallVec::new();
    for part in parts {
        let pool = on.pool(part.node);
        if !pools.contains(&pool) {
            pools.push(pool);
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_worst_is_kept(
            values in prop::collection::vec(0_u64..20, 1..40),
            changes in prop::collection::vec((0_usize..40, 0_u64..20), 0..60),
        ) {
            let mut values = values;
            let mut tree = Tournament::new();
            tree.fill(values.iter().copied());
            for (place, value) in changes {
                let place = place % values.len();
                values[place] = value;
                tree.set(place, value);
                prop_assert_eq!(tree.worst(), *values.iter().min().unwrap());
                prop_assert_eq!(tree.get(place), value);
            }
        }

        /// Of equally fast insides the first node's counts, wherever it lies in the tree.
        #[test]
        fn of_equals_the_first_counts(
            values in prop::collection::vec((0_u32..3, any::<u32>()), 1..20),
            changes in prop::collection::vec((0_usize..20, 0_u32..3, any::<u32>()), 0..30),
        ) {
            let limits = |&(bandwidth, latency): &(u32, u32)| NodeLimits {
                inside: Pipe { bandwidth, latency },
                ..NodeLimits::NONE
            };
            let mut values = values;
            let mut tree = Tournament::new();
            tree.fill(values.iter().map(limits));
            for (place, bandwidth, latency) in changes {
                let place = place % values.len();
                values[place] = (bandwidth, latency);
                tree.set(place, limits(&values[place]));
                let all = values.iter().map(limits);
                let expected = all.fold(NodeLimits::NONE, NodeLimits::worst);
                prop_assert_eq!(tree.worst(), expected);
            }
        }
    }
}
