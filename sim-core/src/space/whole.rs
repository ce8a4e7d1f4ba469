//! One index for every request of whole GPUs and nothing else: nodes by how many GPUs are free.
//!
//! Such requests are the bulk of many traces; they share this index instead of paying one test per
//! shape and touched node.

use crate::device::{MAX_DEVICES, NodeFree};
use crate::ids::{NodeId, PoolId};

const LEVELS: usize = MAX_DEVICES + 1;
/// Half of the numbers of GPUs a task may ask for.
const HALF: usize = MAX_DEVICES / 2;

/// `SLOTS[level][count - 1]`: tasks of `count` GPUs that fit on a node with `level` free.
const SLOTS: [[u32; MAX_DEVICES]; LEVELS] = {
    let mut table = [[0; MAX_DEVICES]; LEVELS];
    let (mut level, mut free) = (0, 0_u32);
    while level < LEVELS {
        let (mut place, mut count) = (0, 1);
        while count <= free {
            table[level][place] = free / count;
            (place, count) = (place + 1, count + 1);
        }
        (level, free) = (level + 1, free + 1);
    }
    table
};

/// Nodes by wholly free GPUs; a node that is not open counts as having none.
#[derive(Clone, Debug)]
pub(super) struct WholeIndex {
    /// Free GPUs of each node.
    levels: MaxTree,
    /// Tasks that fit, per pool, by GPUs per task, from one GPU on.
    slots: Vec<[u32; MAX_DEVICES]>,
}

impl WholeIndex {
    pub(super) fn new(nodes: &[NodeFree], pool_of: &[PoolId], pools: usize) -> Self {
        let mut index = Self {
            levels: MaxTree::new(nodes.len()),
            slots: vec![[0; MAX_DEVICES]; pools],
        };
        for ((node, pool), id) in nodes.iter().zip(pool_of).zip(0..) {
            index.update(NodeId(id), pool.index(), node);
        }
        index
    }

    #[inline]
    pub(super) fn update(&mut self, node: NodeId, pool: usize, free: &NodeFree) {
        let new = level(free);
        let old = self.levels.set(node.index(), new);
        if old == new {
            return;
        }
        // Wrapping, so that one vector operation does it; the sums themselves never wrap.
        let (gone, come) = (&SLOTS[usize::from(old)], &SLOTS[usize::from(new)]);
        let sums = self.slots[pool].as_chunks_mut::<HALF>().0.iter_mut();
        let changes = come
            .as_chunks::<HALF>()
            .0
            .iter()
            .zip(gone.as_chunks::<HALF>().0);
        // Nodes of at most eight GPUs have nothing to do with the second half.
        let halves = if usize::from(old.max(new)) <= HALF {
            1
        } else {
            2
        };
        for (sums, (come, gone)) in sums.zip(changes).take(halves) {
            for ((sum, come), gone) in sums.iter_mut().zip(come).zip(gone) {
                *sum = sum.wrapping_add(*come).wrapping_sub(*gone);
            }
        }
    }

    /// Tasks of `count` GPUs that fit in a pool.
    pub(super) fn slots(&self, pool: usize, count: usize) -> u64 {
        let fit = self.slots[pool].get(count.wrapping_sub(1));
        u64::from(fit.copied().unwrap_or(0))
    }

    /// The same for every number of GPUs per task, from one on.
    pub(super) fn all_slots(&self, pool: usize) -> &[u32; MAX_DEVICES] {
        &self.slots[pool]
    }

    /// The first node in `from..end` with at least `count` GPUs free.
    pub(super) fn next(&self, count: usize, from: u32, end: u32) -> Option<u32> {
        let least = u8::try_from(count).ok().filter(|&c| c <= MOST)?;
        let found = self.levels.next(least, from as usize)?;
        u32::try_from(found).ok().filter(|node| *node < end)
    }
}

fn level(free: &NodeFree) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    let whole = free.whole() as u8;
    if free.open { whole } else { 0 }
}

/// The most a byte of a [`MaxTree`] may hold.
const MOST: u8 = 127;
/// Entries per word: one byte each.
const FAN: usize = 8;
/// A one in each byte.
const ONES: u64 = u64::MAX / 255;
/// The highest bit of each byte.
const HIGH: u64 = ONES << 7;

/// A list of small numbers in which the next one that is large enough is found without looking at
/// those in between: each byte of a row is the maximum of a word of eight in the row below.
///
/// Setting and finding take O(log₈ length); 100,000 numbers are six rows.
#[derive(Clone, Debug)]
struct MaxTree {
    words: Vec<u64>,
    /// Where each row begins in `words`, lowest first, and where the last one ends.
    starts: Vec<usize>,
}

impl MaxTree {
    fn new(len: usize) -> Self {
        let mut starts = vec![0];
        let (mut rest, mut end) = (len, 0);
        loop {
            rest = rest.div_ceil(FAN).max(1);
            end += rest;
            starts.push(end);
            if rest == 1 {
                break;
            }
        }
        Self {
            words: vec![0; end],
            starts,
        }
    }

    /// Sets a number, at most [`MOST`]; returns what it was.
    #[inline]
    fn set(&mut self, index: usize, value: u8) -> u8 {
        let (mut at, mut value) = (index, value);
        let mut word = &mut self.words[at / FAN];
        let first = byte(*word, at);
        let mut old = first;
        let mut row = 1;
        loop {
            let below = put(word, at, old, value);
            // The row above is concerned only if this was its maximum, or is now.
            if old == value || row + 1 >= self.starts.len() {
                return first;
            }
            at /= FAN;
            word = &mut self.words[self.starts[row] + at / FAN];
            let most = byte(*word, at);
            if value < most {
                if old < most {
                    return first;
                }
                value = greatest(below);
            }
            (old, row) = (most, row + 1);
        }
    }

    /// The first place at or after `from` with at least `least`, which must not be zero.
    fn next(&self, least: u8, from: usize) -> Option<usize> {
        let (mut row, mut at) = (0, from);
        loop {
            let (start, end) = (self.starts[row], self.starts[row + 1]);
            let word = at / FAN;
            if word >= end - start {
                return None;
            }
            let hits = at_least(self.words[start + word], least) & (u64::MAX << (at % FAN * 8));
            if hits != 0 {
                at = word * FAN + hits.trailing_zeros() as usize / 8;
                if row == 0 {
                    return Some(at);
                }
                row -= 1;
                at *= FAN;
            } else {
                row += 1;
                at = word + 1;
                if row + 1 == self.starts.len() {
                    return None;
                }
            }
        }
    }
}

/// The byte at a place, counted in bytes over all words of a row.
#[expect(clippy::cast_possible_truncation, reason = "that byte is wanted")]
fn byte(word: u64, at: usize) -> u8 {
    (word >> (at % FAN * 8)) as u8
}

/// Replaces the byte at a place; returns the word.
fn put(word: &mut u64, at: usize, old: u8, new: u8) -> u64 {
    // The difference of the two, where they stand, turns one into the other.
    *word ^= u64::from(old ^ new) << (at % FAN * 8);
    *word
}

/// The greatest byte of a word, without branches: halves are folded onto one another.
#[expect(clippy::cast_possible_truncation, reason = "the lowest byte is wanted")]
fn greatest(word: u64) -> u8 {
    [32, 16, 8].into_iter().fold(word, |word, shift| {
        let other = word >> shift;
        // All bits but the highest, which no byte uses, of each byte that is at least the other.
        let wins = (word | HIGH).wrapping_sub(other) & HIGH;
        let wins = wins - (wins >> 7);
        (word & wins) | (other & !wins)
    }) as u8
}

/// The highest bit of each byte that is at least `least`: no byte reaches that bit by itself, so the
/// bytes are compared by one subtraction without borrows between them.
fn at_least(word: u64, least: u8) -> u64 {
    (word | HIGH).wrapping_sub(u64::from(least) * ONES) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree against a plain list, over lengths around the row boundaries.
    #[test]
    fn a_max_tree_finds_what_a_scan_finds() {
        for len in [1, 7, 8, 9, 64, 65, 513, 1_000] {
            let mut tree = MaxTree::new(len);
            let mut list = vec![0_u8; len];
            let mut state = len as u64 | 1 << 32;
            for _ in 0..400 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let place = usize::try_from(state >> 20).unwrap() % len;
                let value = u8::try_from(state % 17).unwrap();
                assert_eq!(tree.set(place, value), list[place]);
                list[place] = value;
                let from = usize::try_from(state >> 40).unwrap() % (len + 1);
                for least in [1, 3, 8, 16] {
                    let scan = (from..len).find(|&at| list[at] >= least);
                    assert_eq!(tree.next(least, from), scan, "{least} from {from} of {len}");
                }
            }
        }
    }
}
