//! Waiting jobs, one list per unit shape, each in the policy's order and searchable by run time.
//!
//! Jobs of one shape fit or fail together, so a scheduler looks at the first of each list. Behind a
//! reservation only short ones may start: "the next job of this shape that runs at most so long" is
//! answered without looking at the jobs in between.

use windtunnel_core::{DemandId, JobRef};

use crate::order::Key;

/// Jobs per block. Found by trial on lists of 10 to 10⁵ jobs.
const BLOCK: usize = 64;

/// A job that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place in the order.
    pub(crate) key: Key,
    /// How long it is said to run \[ns\]; `u64::MAX` if unknown.
    pub(crate) run: u64,
    /// Which job.
    pub(crate) job: JobRef,
}

/// The jobs of one shape: sorted blocks, and the shortest run time in each.
///
/// O(√n) per operation for n jobs with blocks of fixed size and a scan over block summaries, which for
/// 10⁵ jobs is 1,600 words.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShapeQueue {
    blocks: Vec<Vec<Entry>>,
    shortest: Vec<u64>,
    len: usize,
}

impl ShapeQueue {
    /// The block that a key belongs to: the last that begins at or before it.
    fn block_of(&self, key: Key) -> usize {
        if self.blocks.len() < 2 {
            return 0;
        }
        let after = self
            .blocks
            .partition_point(|block| block.first().is_some_and(|entry| entry.key <= key));
        after.saturating_sub(1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first job.
    pub(crate) fn first(&self) -> Option<Entry> {
        self.blocks.first()?.first().copied()
    }

    /// The job at `key`.
    pub(crate) fn get(&self, key: Key) -> Option<Entry> {
        let block = self.blocks.get(self.block_of(key))?;
        let place = block.binary_search_by_key(&key, |entry| entry.key).ok()?;
        Some(block[place])
    }

    /// The first job behind `key` that runs for at most `run` \[ns\].
    pub(crate) fn next(&self, key: Key, run: u64) -> Option<Entry> {
        let start = self.block_of(key);
        let fits = |entry: &&Entry| entry.run <= run;
        let block = self.blocks.get(start)?;
        let from = block.partition_point(|entry| entry.key <= key);
        if let Some(found) = block[from..].iter().find(fits) {
            return Some(*found);
        }
        let rest = self.shortest[start + 1..].iter();
        let place = start + 1 + rest.clone().position(|&shortest| shortest <= run)?;
        self.blocks[place].iter().find(fits).copied()
    }

    /// The first job that runs for at most `run` \[ns\].
    pub(crate) fn first_within(&self, run: u64) -> Option<Entry> {
        let place = self.shortest.iter().position(|&shortest| shortest <= run)?;
        let found = self.blocks[place].iter().find(|entry| entry.run <= run);
        found.copied()
    }

    fn insert(&mut self, entry: Entry) {
        self.len += 1;
        if self.blocks.is_empty() {
            self.blocks.push(Vec::with_capacity(BLOCK));
            self.shortest.push(u64::MAX);
        }
        let place = self.block_of(entry.key);
        let block = &mut self.blocks[place];
        let at = block.partition_point(|other| other.key < entry.key);
        block.insert(at, entry);
        self.shortest[place] = self.shortest[place].min(entry.run);
        if block.len() >= BLOCK {
            // A list that only grows at its end leaves full blocks behind.
            let keep = if at + 1 == BLOCK {
                BLOCK - 1
            } else {
                BLOCK / 2
            };
            let mut tail = Vec::with_capacity(BLOCK);
            tail.extend(block.drain(keep..));
            self.blocks.insert(place + 1, tail);
            self.shortest.insert(place + 1, 0);
            self.summarize(place);
            self.summarize(place + 1);
        }
    }

    fn remove(&mut self, key: Key) -> bool {
        let place = self.block_of(key);
        let Some(block) = self.blocks.get_mut(place) else {
            return false;
        };
        let Ok(at) = block.binary_search_by_key(&key, |entry| entry.key) else {
            return false;
        };
        self.len -= 1;
        let gone = block.remove(at);
        if block.is_empty() && self.blocks.len() > 1 {
            self.blocks.remove(place);
            self.shortest.remove(place);
        } else if gone.run == self.shortest[place] {
            self.summarize(place);
        }
        true
    }

    fn summarize(&mut self, place: usize) {
        let runs = self.blocks[place].iter().map(|entry| entry.run);
        self.shortest[place] = runs.min().unwrap_or(u64::MAX);
    }
}

/// The lists of all shapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    shapes: Vec<ShapeQueue>,
    /// Shapes with a job that waits, each with the key of its first, in no order that matters.
    live: Vec<(Key, DemandId)>,
    /// Where each shape is in `live`.
    place: Vec<u32>,
    len: usize,
}

impl Queues {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shapes with a job that waits, each with the key of its first.
    pub(crate) fn shapes(&self) -> &[(Key, DemandId)] {
        &self.live
    }

    pub(crate) fn of(&self, shape: DemandId) -> &ShapeQueue {
        &self.shapes[shape.index()]
    }

    /// The first job of all. O(shapes).
    pub(crate) fn first(&self) -> Option<(DemandId, Entry)> {
        let (_, shape) = self.live.iter().min_by_key(|(key, _)| *key)?;
        Some((*shape, self.shapes[shape.index()].first()?))
    }

    pub(crate) fn insert(&mut self, shape: DemandId, entry: Entry) {
        if self.shapes.len() <= shape.index() {
            self.shapes.resize_with(shape.index() + 1, Default::default);
            self.place.resize(shape.index() + 1, 0);
        }
        let queue = &mut self.shapes[shape.index()];
        if queue.is_empty() {
            let place = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
            self.place[shape.index()] = place;
            self.live.push((entry.key, shape));
        } else {
            let first = &mut self.live[self.place[shape.index()] as usize].0;
            *first = entry.key.min(*first);
        }
        queue.insert(entry);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, shape: DemandId, key: Key) {
        let queue = &mut self.shapes[shape.index()];
        if !queue.remove(key) {
            return;
        }
        self.len -= 1;
        let place = self.place[shape.index()] as usize;
        if let Some(first) = queue.first() {
            self.live[place].0 = first.key;
            return;
        }
        self.live.swap_remove(place);
        if let Some((_, moved)) = self.live.get(place) {
            self.place[moved.index()] = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windtunnel_core::JobId;

    fn entry(rank: u64, id: u32, run: u64) -> Entry {
        let (id, slot) = (JobId(id), id);
        Entry {
            key: (rank, id),
            run,
            job: JobRef { slot, id },
        }
    }

    /// Against a plain sorted list, through thousands of random steps.
    #[test]
    fn agrees_with_a_sorted_list() {
        let mut queue = ShapeQueue::default();
        let mut plain: Vec<Entry> = Vec::new();
        let mut state = 1_u64;
        let mut dice = |sides: u64| {
            state = windtunnel_core::hash::finalize(state + 1);
            state % sides
        };
        for step in 0..6_000_u32 {
            let grows = dice(10) < if step < 3_000 { 7 } else { 3 };
            if grows || plain.is_empty() {
                let new = entry(dice(4), step, dice(1_000));
                queue.insert(new);
                let at = plain.partition_point(|other| other.key < new.key);
                plain.insert(at, new);
            } else {
                let at = usize::try_from(dice(plain.len() as u64)).unwrap();
                assert!(queue.remove(plain.remove(at).key));
            }
            let run = dice(1_000);
            assert_eq!(queue.first(), plain.first().copied());
            let short = |from: usize| plain[from..].iter().find(|e| e.run <= run).copied();
            assert_eq!(queue.first_within(run), short(0));
            let key = (dice(4), JobId(u32::try_from(dice(6_000)).unwrap()));
            let behind = plain.partition_point(|other| other.key <= key);
            assert_eq!(queue.next(key, run), short(behind));
            assert_eq!(queue.is_empty(), plain.is_empty());
        }
        assert!(queue.blocks.iter().flatten().eq(plain.iter()));
    }
}
