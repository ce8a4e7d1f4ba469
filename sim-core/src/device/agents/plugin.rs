//! `nvidia-plugin`: the preferred allocation of NVIDIA's Kubernetes device plugin.

use std::collections::BTreeMap;

use super::lowest;
use crate::device::{
    Choice, DeviceChooser, DeviceRequest, DeviceSet, NodeState, Refusal, count_only,
};
use crate::topology::{PathClass, Topology};
use crate::units::MILLI_PER_GPU;

/// Chooses as NVIDIA's device plugin does when the kubelet asks which devices it prefers.
///
/// # Decision rule
/// All partitions of the free GPUs into sets of the requested size (the last ones padded) are scored
/// by the sum of their pair scores; of the best partition, the first found, the best set is taken.
/// Pair score: 10 across sockets, 20 within one, 30 under one host bridge, 40 over several PCIe
/// switches, 50 over one, plus 100 for each NVLink between them (then on top of 10 or 20).
///
/// # Complexity
/// Remembered per set of free GPUs and size. Beyond ten free GPUs, where partitions are too many, the
/// set with the best score is taken.
///
/// # Differences
/// The PCIe path below an NVLink is not known here, so a linked pair counts 10 or 20 by its sockets.
///
/// # Reference
/// k8s-device-plugin at 1b826ac with go-gpuallocator's best-effort policy.
///
/// Where the node's parts are unknown it chooses as [`CountOnly`](crate::CountOnly).
#[derive(Clone, Debug, Default)]
pub struct NvidiaPlugin {
    /// Pair scores of the node model asked about last.
    scores: Vec<u16>,
    /// What was chosen on it, by free GPUs and count.
    known: BTreeMap<(u16, u32), DeviceSet>,
}

/// Most free GPUs whose partitions are enumerated.
const MOST: u32 = 10;

impl NvidiaPlugin {
    /// The preferred set of `count` among the GPUs in `free`; `None` if there are fewer.
    pub(super) fn prefer(
        &mut self,
        topology: &Topology,
        free: DeviceSet,
        count: u32,
    ) -> Option<DeviceSet> {
        if free.len() < count {
            return None;
        }
        if count == 0 || free.len() == count {
            return lowest(free, count);
        }
        let gpus = usize::from(topology.gpus());
        let same = self.scores.len() == gpus * gpus
            && pair_scores(topology).eq(self.scores.iter().copied());
        if !same {
            self.scores.clear();
            self.scores.extend(pair_scores(topology));
            self.known.clear();
        }
        let key = (free.0, count);
        if let Some(found) = self.known.get(&key) {
            return Some(*found);
        }
        let mut search = Search {
            scores: &self.scores,
            gpus,
            count,
            memo: BTreeMap::new(),
        };
        let best = if free.len() <= MOST {
            search.best_of_best_partition(free)
        } else {
            search.best_set(free)
        };
        self.known.insert(key, best);
        Some(best)
    }
}

impl DeviceChooser for NvidiaPlugin {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        let whole = u32::from(want.milli_each) == MILLI_PER_GPU;
        let chosen = match node.topology {
            Some(topology) if whole => {
                self.prefer(topology, node.able(want.milli_each), want.gpus.devices())
            }
            _ => count_only(node.free, want),
        };
        chosen.map(Choice::from).ok_or(Refusal::Devices)
    }
}

/// The score of every pair, row by row.
fn pair_scores(topology: &Topology) -> impl Iterator<Item = u16> + '_ {
    let gpus = usize::from(topology.gpus());
    let pair = move |a: usize, b: usize| {
        let by_socket = if topology.numa_of(a) == topology.numa_of(b) {
            20
        } else {
            10
        };
        match topology.path(a, b) {
            PathClass::Same => 0,
            PathClass::NvLink(links) => by_socket + 100 * u16::from(links),
            PathClass::Pix => 50,
            PathClass::Pxb => 40,
            PathClass::Phb => 30,
            PathClass::Node => 20,
            PathClass::Sys => 10,
        }
    };
    (0..gpus * gpus).map(move |at| pair(at / gpus, at % gpus))
}

/// A search among partitions.
struct Search<'a> {
    scores: &'a [u16],
    gpus: usize,
    count: u32,
    /// Per GPUs left and padding left: the best score of a partition and its first set.
    memo: BTreeMap<(u16, u32), (u32, DeviceSet)>,
}

impl Search<'_> {
    fn score(&self, set: DeviceSet) -> u32 {
        let pairs = set.iter().flat_map(|a| set.iter().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| a < b)
            .map(|(a, b)| u32::from(self.scores[a * self.gpus + b]))
            .sum()
    }

    /// The best whole set of the best partition.
    fn best_of_best_partition(&mut self, free: DeviceSet) -> DeviceSet {
        let mut left = free;
        let mut padding = (self.count - free.len() % self.count) % self.count;
        let mut best: Option<(u32, DeviceSet)> = None;
        while !left.is_empty() {
            let (_, set) = self.partition(left, padding);
            let score = self.score(set);
            if set.len() == self.count && best.is_none_or(|(most, _)| score > most) {
                best = Some((score, set));
            }
            padding -= self.count - set.len();
            left.0 &= !set.0;
        }
        best.map_or_else(|| self.best_set(free), |(_, set)| set)
    }

    /// Best score of a partition of what is left, and its first set: the one with the lowest GPU.
    fn partition(&mut self, left: DeviceSet, padding: u32) -> (u32, DeviceSet) {
        if left.is_empty() {
            return (0, DeviceSet::EMPTY);
        }
        if let Some(found) = self.memo.get(&(left.0, padding)) {
            return *found;
        }
        let lowest = left.0 & left.0.wrapping_neg();
        let rest = left.0 & !lowest;
        let mut best: Option<(u32, DeviceSet)> = None;
        // Fullest sets first, and among equal sizes the lowest GPUs first.
        for pads in 0..=padding.min(self.count - 1) {
            let mut sets = subsets(rest, self.count - 1 - pads);
            sets.sort_by_key(|set| set.reverse_bits());
            for set in sets.into_iter().rev() {
                let set = DeviceSet(set | lowest);
                let after = DeviceSet(left.0 & !set.0);
                let score = self.score(set) + self.partition(after, padding - pads).0;
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, set));
                }
            }
        }
        let found = best.unwrap_or((0, left));
        self.memo.insert((left.0, padding), found);
        found
    }

    /// The set of the requested size with the best score, lowest GPUs first.
    fn best_set(&self, free: DeviceSet) -> DeviceSet {
        let sets = subsets(free.0, self.count).into_iter().map(DeviceSet);
        sets.max_by_key(|set| (self.score(*set), set.0.reverse_bits()))
            .unwrap_or(DeviceSet::EMPTY)
    }
}

/// All subsets of a mask with so many bits.
fn subsets(mask: u16, count: u32) -> Vec<u16> {
    let mut all = Vec::new();
    let mut subset = mask;
    loop {
        if subset.count_ones() == count {
            all.push(subset);
        }
        if subset == 0 {
            return all;
        }
        subset = (subset - 1) & mask;
    }
}
