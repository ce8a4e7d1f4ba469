//! The order of pending events, without the events: a small sorted near part and unsorted far buckets.
//!
//! Time is cut into three regions. Every entry of one comes before every entry of the next:
//!
//! ```text
//! popped │ near: sorted, ready to pop │ rungs: unsorted buckets │ far: one unsorted list
//! ───────┼────────────────────────────┼─────────────────────────┼──────────────────────▶ time
//!       now                       near_last                  horizon
//! ```
//!
//! An entry is filed where its time belongs and is looked at again only when its bucket comes next.
//! Then a small bucket is sorted, and a large one is split into a rung of narrower buckets, whose
//! width follows from what the bucket holds. So an entry is moved a handful of times whatever the
//! number of pending entries, and each move is sequential: that is where a binary heap, with one
//! cache miss per level, loses.
//!
//! The structure is a relative of the ladder queue (Tang, Goh and Thng, ACM TOMACS 15(3), 2005).
//! It differs in the widths (powers of two, from the mean distance and not from the extremes, so that
//! one event at the end of time does not spoil them) and in the near part (a sorted run plus a heap).
//!
//! No distribution makes it quadratic. Splitting sends the earliest and the latest entry to different
//! buckets, and at least three quarters of the entries to buckets narrower by the number of buckets;
//! entries that can't be told apart by time are sorted at once. Entries that arrive in the near part
//! go to the heap, and back to a rung if they become many.
//!
//! The ladder does not know which events were cancelled: its callers say which entries are live.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::mem;

use super::queue::EventHandle;

/// A bucket of at most this many entries is sorted, a larger one is split.
const NEAR_MAX: usize = 64;
/// The number of entries per bucket that a new rung aims at.
const PER_BUCKET: usize = 4;
/// The number of buckets in a rung, at most: their open ends should fit the second-level cache.
const RUNG_MAX: usize = 1024;
/// The number of mean distances from the first entry that a new rung reaches.
const REACH: u64 = 4;
/// The number of entries in the near heap that is worth a rung.
const SPILL: usize = 256;

/// What the order needs to know about a pending event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Nanoseconds.
    pub(super) time: u64,
    /// Phase in the upper 4 bits, sequence number in the lower 60.
    pub(super) order: u64,
    /// Where the event is.
    pub(super) handle: EventHandle,
}

const _: () = assert!(size_of::<Entry>() <= 24);

impl Entry {
    const PADDING: Self = Self {
        time: 0,
        order: 0,
        handle: EventHandle {
            slot: 0,
            generation: 0,
        },
    };

    /// One wide integer, because two words compare without a branch that way.
    #[inline]
    const fn key(self) -> u128 {
        (self.time as u128) << 64 | self.order as u128
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Pending entries in the order of their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    /// The number of entries everywhere.
    len: usize,
    /// Near entries, latest first.
    run: Vec<Entry>,
    /// Near entries that arrived after the run was sorted.
    fresh: BinaryHeap<Reverse<Entry>>,
    /// The size of `fresh` at which it is worth looking whether it can become a rung.
    spill_at: usize,
    /// The last instant that belongs to the near part.
    near_last: u64,
    /// Rungs from the widest to the narrowest; those from `depth` on are spare.
    rungs: Vec<Rung>,
    /// The number of rungs in use. Each lies before the buckets left in the one before it.
    depth: usize,
    chunks: Chunks,
    /// The last instant that belongs to the rungs, or to the near part if there is no rung.
    horizon: u64,
    far: Vec<Entry>,
    /// Empty between calls; kept for its capacity.
    batch: Vec<Entry>,
    /// How often an entry was moved after it was filed.
    #[cfg(test)]
    moved: usize,
}

impl Ladder {
    /// The number of entries, live or not.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Files an entry. It may not be earlier than any entry that was taken out.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        self.len += 1;
        if entry.time > self.horizon {
            self.far.push(entry);
        } else if entry.time <= self.near_last {
            self.fresh.push(Reverse(entry));
            if self.fresh.len() > self.spill_at {
                self.spill();
            }
        } else {
            let rung = self.rungs[..self.depth]
                .iter_mut()
                .find(|rung| entry.time >= rung.base && rung.index(entry.time) >= rung.next)
                .expect("the narrowest rung begins where the near part ends");
            let index = rung.index(entry.time);
            self.chunks.push(&mut rung.buckets[index], entry);
        }
    }

    /// The first live entry. Drops what is not live and lies before it.
    #[inline]
    pub(super) fn first(&mut self, is_live: impl Fn(&Entry) -> bool) -> Option<Entry> {
        loop {
            let entry = match (self.run.last(), self.fresh.peek()) {
                (None, None) => {
                    if !self.refill(&is_live) {
                        return None;
                    }
                    continue;
                }
                (Some(run), None) => *run,
                (None, Some(Reverse(fresh))) if self.fresh.len() <= NEAR_MAX => *fresh,
                (None, Some(_)) => {
                    self.regroup();
                    continue;
                }
                (Some(run), Some(Reverse(fresh))) => *run.min(fresh),
            };
            if is_live(&entry) {
                return Some(entry);
            }
            self.remove_first(entry);
        }
    }

    /// Removes what [`first`](Self::first) found.
    #[inline]
    pub(super) fn remove_first(&mut self, first: Entry) {
        self.len -= 1;
        if self.run.last() == Some(&first) {
            self.run.pop();
        } else {
            self.fresh.pop();
        }
    }

    /// Drops every entry that is not live. Linear in the number of entries and buckets.
    pub(super) fn retain(&mut self, is_live: impl Fn(&Entry) -> bool) {
        self.run.retain(&is_live);
        self.fresh.retain(|Reverse(entry)| is_live(entry));
        self.far.retain(&is_live);
        self.len = self.run.len() + self.fresh.len() + self.far.len();
        for rung in &mut self.rungs[..self.depth] {
            for bucket in &mut rung.buckets[rung.next..] {
                self.chunks.drain(bucket, &mut self.batch);
                for entry in self.batch.drain(..).filter(&is_live) {
                    self.chunks.push(bucket, entry);
                    self.len += 1;
                }
            }
        }
    }

    /// The capacity of everything that can grow, in entries.
    #[cfg(test)]
    pub(super) fn storage(&self) -> usize {
        let lists = [&self.run, &self.far, &self.batch, &self.chunks.entries];
        let buckets: usize = self.rungs.iter().map(|rung| rung.buckets.capacity()).sum();
        lists.iter().map(|list| list.capacity()).sum::<usize>() + self.fresh.capacity() + buckets
    }

    /// Fills the empty near part with the next live entries; returns whether there were any.
    fn refill(&mut self, is_live: impl Fn(&Entry) -> bool) -> bool {
        let mut batch = mem::take(&mut self.batch);
        while self.run.is_empty() && self.next_batch(&mut batch) {
            let with_stale = batch.len();
            // Besides dropping what was cancelled, this fetches all the slots the next pops will
            // need, and at once: one at a time, they would be one cache miss per pop.
            batch.retain(&is_live);
            self.len -= with_stale - batch.len();
            #[cfg(test)]
            {
                self.moved += with_stale;
            }
            batch.sort_unstable_by(|a, b| b.cmp(a));
            mem::swap(&mut self.run, &mut batch);
        }
        self.batch = batch;
        self.spill_at = SPILL;
        !self.run.is_empty()
    }

    /// Moves the next bucket's entries to `batch`, if there are any left outside the near part.
    fn next_batch(&mut self, batch: &mut Vec<Entry>) -> bool {
        while let Some(innermost) = self.depth.checked_sub(1) {
            let rung = &mut self.rungs[innermost];
            let Some(index) = rung.next_filled() else {
                self.near_last = rung.last;
                self.depth = innermost;
                continue;
            };
            self.chunks.drain(&mut rung.buckets[index], batch);
            let last = rung.end(index);
            rung.next = index + 1;
            if rung.next == rung.buckets.len() {
                self.depth = innermost;
            }
            self.near_last = last;
            match Shape::of(batch.iter()) {
                Some(shape) if batch.len() > NEAR_MAX => self.lay(shape, last, batch),
                _ => return true,
            }
        }
        self.next_far(batch)
    }

    /// Like [`next_batch`](Self::next_batch), when there is nothing left but the far list.
    fn next_far(&mut self, batch: &mut Vec<Entry>) -> bool {
        let Some(latest) = self.far.iter().map(|entry| entry.time).max() else {
            return false;
        };
        match Shape::of(self.far.iter()) {
            Some(shape) if self.far.len() > NEAR_MAX => {
                let mut far = mem::take(&mut self.far);
                self.horizon = shape.end();
                self.lay(shape, self.horizon, &mut far);
                self.far = far;
                self.next_batch(batch)
            }
            _ => {
                batch.append(&mut self.far);
                self.near_last = latest;
                self.horizon = latest;
                true
            }
        }
    }

    /// Turns the near heap, the run being used up, into a rung or into the next run.
    #[cold]
    fn regroup(&mut self) {
        self.spill();
        let fresh = self.fresh.drain().map(|Reverse(entry)| entry);
        self.run.extend(fresh);
        // Entries of one instant arrive in order, and the sort notices.
        self.run.sort_unstable_by(|a, b| b.cmp(a));
        self.spill_at = SPILL;
    }

    /// Turns the near part into a rung, if it is worth it.
    ///
    /// Needed when the near part is wider than it should be. It may reach to the end of the run when
    /// the queue was almost empty, and all that is scheduled later falls into it.
    #[cold]
    fn spill(&mut self) {
        let near = self.fresh.iter().map(|Reverse(entry)| entry);
        // A longer run is not worth moving: the cost has to be paid by those that arrived.
        let shape = (self.run.len() <= self.fresh.len())
            .then(|| Shape::of(near.chain(&self.run)))
            .flatten();
        match shape {
            Some(shape) if shape.base > 0 => {
                let mut batch = mem::take(&mut self.batch);
                batch.append(&mut self.run);
                batch.extend(self.fresh.drain().map(|Reverse(entry)| entry));
                self.lay(shape, self.near_last, &mut batch);
                self.batch = batch;
                self.spill_at = SPILL;
            }
            _ => self.spill_at = 2 * self.fresh.len(),
        }
    }

    /// Adds a rung from the shape's base to `last`; leaves the entries behind `last` where they are.
    fn lay(&mut self, shape: Shape, last: u64, entries: &mut Vec<Entry>) {
        if self.depth == self.rungs.len() {
            self.rungs.push(Rung::default());
        }
        let rung = &mut self.rungs[self.depth];
        self.depth += 1;
        rung.base = shape.base;
        rung.shift = shape.shift;
        rung.last = last;
        rung.next = 0;
        rung.buckets.clear();
        rung.buckets.resize(shape.buckets, Bucket::default());
        #[cfg(test)]
        {
            self.moved += entries.len();
        }
        entries.retain(|entry| {
            if entry.time > last {
                return true;
            }
            let index = rung.index(entry.time);
            self.chunks.push(&mut rung.buckets[index], *entry);
            false
        });
        self.near_last = shape.base - 1;
    }
}

/// A row of buckets of equal width, except that the last one takes all that is left.
#[derive(Clone, Debug, Default)]
struct Rung {
    /// The first instant.
    base: u64,
    /// The last instant.
    last: u64,
    /// The width of a bucket is two to this, in nanoseconds.
    shift: u32,
    /// The first bucket that was not emptied yet.
    next: usize,
    buckets: Vec<Bucket>,
}

impl Rung {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "too many is clamped")]
    fn index(&self, time: u64) -> usize {
        let index = ((time - self.base) >> self.shift).min(RUNG_MAX as u64) as usize;
        index.min(self.buckets.len() - 1)
    }

    fn next_filled(&self) -> Option<usize> {
        (self.next..self.buckets.len()).find(|&index| self.buckets[index].len > 0)
    }

    /// The last instant that belongs to a bucket.
    fn end(&self, index: usize) -> u64 {
        if index + 1 == self.buckets.len() {
            self.last
        } else {
            self.base + ((index as u64 + 1) << self.shift) - 1
        }
    }
}

/// The buckets that suit a set of entries.
#[derive(Clone, Copy, Debug)]
struct Shape {
    base: u64,
    shift: u32,
    buckets: usize,
}

impl Shape {
    /// `None` if no bucket tells the entries apart.
    ///
    /// Buckets cover four times the mean distance from the first entry, thus at least three quarters
    /// of the entries, and no more than there is. There are at least two.
    fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Self> {
        let (mut count, mut sum) = (0_u64, 0_u128);
        let (mut min, mut max) = (u64::MAX, 0);
        for entry in entries {
            count += 1;
            sum += u128::from(entry.time);
            min = min.min(entry.time);
            max = max.max(entry.time);
        }
        if min >= max {
            return None;
        }
        let distances = sum - u128::from(min) * u128::from(count);
        let mean = u64::try_from(distances / u128::from(count)).expect("at most the largest");
        let reach = mean.saturating_mul(REACH).saturating_add(1).min(max - min);
        let wanted = (count / PER_BUCKET as u64).clamp(2, RUNG_MAX as u64);
        // The narrowest width at which no more than `wanted` buckets are needed.
        let shift = (reach / wanted).checked_ilog2().map_or(0, |log| log + 1);
        let buckets = usize::try_from((reach >> shift) + 1).expect("at most the wanted");
        Some(Self {
            base: min,
            shift,
            buckets,
        })
    }

    /// The last instant of the last bucket if it is as wide as the others.
    fn end(self) -> u64 {
        let width = 1_u64 << self.shift;
        let start = self.base + (self.buckets as u64 - 1) * width;
        start.saturating_add(width - 1)
    }
}

/// A list of entries in [`Chunks`].
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// The chunk that is being filled; means nothing if the bucket is empty.
    head: u32,
    len: u32,
}

/// The storage of all buckets, in chunks that are reused: memory follows the number of entries, and
/// there is no allocation once it stopped growing.
#[derive(Clone, Debug, Default)]
struct Chunks {
    entries: Vec<Entry>,
    /// For each chunk in use the one filled before it, for each free one the next free one.
    links: Vec<u32>,
    /// The first free chunk, if `free_len` says that there is one.
    free: u32,
    free_len: usize,
}

impl Chunks {
    /// The number of entries in a chunk.
    const SIZE: usize = 16;

    #[inline]
    fn push(&mut self, bucket: &mut Bucket, entry: Entry) {
        let used = bucket.len as usize % Self::SIZE;
        if used == 0 {
            bucket.head = self.allocate(bucket.head);
        }
        self.entries[bucket.head as usize * Self::SIZE + used] = entry;
        bucket.len += 1;
    }

    fn allocate(&mut self, link: u32) -> u32 {
        if self.free_len > 0 {
            let chunk = self.free;
            self.free_len -= 1;
            self.free = mem::replace(&mut self.links[chunk as usize], link);
            return chunk;
        }
        let chunk = u32::try_from(self.links.len()).expect("at most 2^32 chunks");
        self.links.push(link);
        let end = self.entries.len() + Self::SIZE;
        self.entries.resize(end, Entry::PADDING);
        chunk
    }

    /// Moves a bucket's entries to the end of `out`, in no order.
    fn drain(&mut self, bucket: &mut Bucket, out: &mut Vec<Entry>) {
        let Bucket { mut head, len } = mem::take(bucket);
        let mut left = len as usize;
        while left > 0 {
            let filled = (left - 1) % Self::SIZE + 1;
            let start = head as usize * Self::SIZE;
            out.extend_from_slice(&self.entries[start..start + filled]);
            left -= filled;
            let link = mem::replace(&mut self.links[head as usize], self.free);
            self.free = head;
            self.free_len += 1;
            head = link;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of entries in each check: a quadratic number of moves would be noticed.
    const COUNT: u64 = 100_000;

    fn entry(time: u64, order: u64) -> Entry {
        Entry {
            time,
            order,
            ..Entry::PADDING
        }
    }

    /// Pops `pops` entries and pushes, for each, one at each of the times that `follow` says.
    ///
    /// Checks the order, and that entries are moved a handful of times on average.
    fn check<const N: usize>(
        name: &str,
        times: impl Iterator<Item = u64>,
        pops: u64,
        mut follow: impl FnMut(u64, u64) -> [u64; N],
    ) {
        let mut ladder = Ladder::default();
        let mut pushed = 0;
        for time in times {
            ladder.push(entry(time, pushed));
            pushed += 1;
        }
        let mut last = 0;
        let mut popped = 0;
        while let Some(first) = ladder.first(|_| true) {
            assert!(first.key() >= last, "{name}: went back");
            last = first.key();
            ladder.remove_first(first);
            if popped < pops {
                for time in follow(first.time, popped) {
                    ladder.push(entry(time, pushed));
                    pushed += 1;
                }
            }
            popped += 1;
        }
        assert_eq!(popped, pushed, "{name}: lost entries");
        assert_eq!(ladder.len(), 0, "{name}");
        let moves = ladder.moved as u64 / pushed;
        assert!(moves <= 8, "{name}: {moves} moves per entry");
    }

    fn random(n: u64) -> u64 {
        crate::hash::finalize(n)
    }

    const NONE: fn(u64, u64) -> [u64; 0] = |_, _| [];

    #[test]
    fn ugly_sets_are_not_quadratic() {
        check("one instant", (0..COUNT).map(|_| 7), 0, NONE);
        check("increasing", 0..COUNT, 0, NONE);
        check("decreasing", (0..COUNT).rev(), 0, NONE);
        check("uniform", (0..COUNT).map(random), 0, NONE);
        let bimodal = |n| random(n) % if n % 2 == 0 { 1_000 } else { 1 << 53 };
        check("nanoseconds and months", (0..COUNT).map(bimodal), 0, NONE);
        let scales = |n| random(n) >> (n % 64);
        check("every scale", (0..COUNT).map(scales), 0, NONE);
        let ends = |n| if n % 2 == 0 { 0 } else { u64::MAX };
        check("both ends of the clock", (0..COUNT).map(ends), 0, NONE);
        let outlier = |n| if n == 0 { u64::MAX } else { 5 };
        check("one instant, one outlier", (0..COUNT).map(outlier), 0, NONE);
        // Each bucket holds half of what the one around it held.
        let nested = |n: u64| u64::MAX >> (n.trailing_ones() * 3).min(63);
        check("nested clusters", (0..COUNT).map(nested), 0, NONE);
    }

    #[test]
    fn ugly_histories_are_not_quadratic() {
        let hold = |now, n| [now + random(n) % 1_000_000];
        check(
            "hold",
            (0..10_000).map(random).map(|t| t % 1_000_000),
            COUNT,
            hold,
        );
        check("a single event", 0..1, COUNT, |now, _| [now + 1]);
        check("every event at once", 0..1, COUNT, |now, _| [now]);
        // The near part reaches to the end of the clock when the others arrive.
        check(
            "end of the run",
            [1, 1 << 60].into_iter(),
            COUNT / 2,
            |now, n| [now + random(n) % 1_000, now + random(!n) % 1_000_000],
        );
        // A long sorted run, and newcomers just behind it.
        check(
            "behind a crowd",
            (0..COUNT).map(|_| 9).chain([1 << 40]),
            COUNT,
            |now, n| [now + 1 + random(n) % 1_000],
        );
        // Every newcomer is next.
        check(
            "always first",
            (1..COUNT).map(|n| n << 32),
            COUNT,
            |now, n| [now + n % 2],
        );
        let scales = |now: u64, n| [now.saturating_add(random(n) >> (20 + n % 44))];
        check("hold on every scale", (0..1_000).map(random), COUNT, scales);
    }

    #[test]
    fn newcomers_go_before_the_rung_they_precede() {
        let mut ladder = Ladder::default();
        let batches = [
            (1 << 20, NEAR_MAX + 1),
            (1 << 12, SPILL + 1),
            (1 << 10, SPILL + 1),
            (1 << 11, 1),
        ];
        let mut times = Vec::new();
        for (base, count) in batches {
            for n in 0..count as u64 {
                times.push(base + n * 7 % 1_000);
                ladder.push(entry(base + n * 7 % 1_000, times.len() as u64));
            }
            let first = ladder.first(|_| true).map(|entry| entry.time);
            assert_eq!(first, times.iter().min().copied());
        }
        times.sort_unstable();
        for time in times {
            let first = ladder.first(|_| true).expect("as many as were pushed");
            assert_eq!(first.time, time);
            ladder.remove_first(first);
        }
    }

    #[test]
    fn rungs_cover_what_they_should() {
        for times in [
            vec![1, 2],
            vec![0, u64::MAX],
            vec![5, 5, 5, 6],
            vec![3, 1 << 40, 1 << 63],
        ] {
            let entries: Vec<Entry> = times.iter().map(|&time| entry(time, 0)).collect();
            let shape = Shape::of(entries.iter()).expect("not one instant");
            assert_eq!(shape.base, times[0]);
            assert!(shape.buckets >= 2, "{shape:?}");
            assert!(shape.end() > times[0], "{shape:?}");
        }
        assert!(Shape::of([entry(4, 0), entry(4, 1)].iter()).is_none());
        assert!(Shape::of([].iter()).is_none());
    }
}
