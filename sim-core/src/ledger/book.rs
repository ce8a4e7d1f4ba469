//! The books: a level and a running sum per pool and bucket.
//!
//! A level [milli-GPU·ppm] changes only at instants; its sum is brought forward lazily, when the
//! level changes. Cost: O(levels that change) per instant.

use super::bucket::{BUCKETS, Bucket};
use super::crowd::Crowded;
use crate::by_reason::bits;
use crate::ids::PoolId;
use crate::live::Mode;
use crate::reason::{REASONS, Reason};
use crate::speed::Slices;
use crate::time::{SimDuration, SimTime};
use crate::units::{MILLI_PER_GPU, PPM};
use crate::world::cluster::Pool;

/// A level and its integral over time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauge {
    level: u64,
    since: SimTime,
    sum: u128,
}

impl Gauge {
    pub(crate) fn flush(&mut self, now: SimTime) {
        if self.since != now {
            let length = now.since(self.since).as_nanos();
            self.sum += u128::from(self.level) * u128::from(length);
            self.since = now;
        }
    }

    pub(crate) fn set(&mut self, level: u64, now: SimTime) {
        if self.level != level {
            self.flush(now);
            self.level = level;
        }
    }

    pub(crate) fn raise(&mut self, by: u64, now: SimTime) {
        if by != 0 {
            self.flush(now);
            self.level += by;
        }
    }

    pub(crate) fn lower(&mut self, by: u64, now: SimTime) {
        if by != 0 {
            self.flush(now);
            self.level = self
                .level
                .checked_sub(by)
                .expect("a ledger level below zero");
        }
    }

    /// The integral as of the last flush.
    pub(crate) fn sum(&self) -> u128 {
        self.sum
    }
}

/// The books of one pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolBook {
    /// Per bucket; `idle.held` is kept per reason instead.
    pub(crate) buckets: [Gauge; BUCKETS],
    /// `idle.held` per reason: by holds and by decisions.
    pub(crate) held: [Gauge; REASONS],
    /// Bit `i`: the level of `held[i]` is above zero.
    held_mask: u32,
    /// Sum of `reserved`.
    reserved_sum: u64,
    /// `idle.held` per reason, by reserved tasks [milli-GPU·ppm].
    reserved: [u64; REASONS],
    /// Whether anything free is stranded, fragmented or not enough.
    is_short: bool,
    /// Nodes that are paid.
    pub(crate) nodes: Gauge,
    /// Rented time as it is billed, beyond what was exactly used [node-ns].
    pub(crate) billed_extra: u128,
}

/// Free capacity charged to pending demand, for one pool [milli-GPU].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) held: [u64; REASONS],
    /// Bit `i`: `held[i]` is above zero.
    pub(crate) held_mask: u32,
    pub(crate) stranded: u64,
    pub(crate) fragmented: u64,
    pub(crate) insufficient: u64,
}

impl Charge {
    /// Back to nothing, at the cost of what there is.
    pub(crate) fn clear(&mut self) {
        for at in bits(std::mem::take(&mut self.held_mask)) {
            self.held[at] = 0;
        }
        (self.stranded, self.fragmented, self.insufficient) = (0, 0, 0);
    }
}

/// What a task's GPUs do: what to book them under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// GPUs granted \[milli\].
    pub(crate) granted: u32,
    /// GPUs asked for \[milli\].
    pub(crate) requested: u32,
    pub(crate) mode: Mode,
    pub(crate) slices: Slices,
}

/// Whether an entry is put on the books or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    On,
    Off,
}

/// Engine state: a fork continues it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) on: bool,
    /// Whether reserved tasks came or went since the idle levels were set.
    pub(crate) reserved_changed: bool,
    pub(crate) pools: Vec<PoolBook>,
}

impl Ledger {
    pub(crate) fn new(pools: usize, on: bool) -> Self {
        let book = PoolBook {
            buckets: [Gauge::default(); BUCKETS],
            held: [Gauge::default(); REASONS],
            held_mask: 0,
            reserved_sum: 0,
            reserved: [0; REASONS],
            is_short: false,
            nodes: Gauge::default(),
            billed_extra: 0,
        };
        Self {
            on,
            reserved_changed: false,
            pools: vec![book; pools],
        }
    }

    /// A task's GPUs are booked from now on, or no longer.
    pub(crate) fn book_task(&mut self, pool: PoolId, entry: Entry, change: Change, now: SimTime) {
        let Entry {
            granted,
            requested,
            mode,
            slices,
        } = entry;
        let lower = change == Change::Off;
        if mode == Mode::None || !self.on {
            return;
        }
        let book = &mut self.pools[pool.index()];
        let mut shift = |bucket: Bucket, milli: u32, ppm: u32| {
            let amount = u64::from(milli) * u64::from(ppm);
            let gauge = &mut book.buckets[bucket.index()];
            if lower {
                gauge.lower(amount, now)
            } else {
                gauge.raise(amount, now)
            }
        };
        let rounding = granted - requested;
        if rounding > 0 {
            shift(Bucket::AllocatedRounding, rounding, PPM);
        }
        match mode {
            Mode::None => {}
            Mode::Startup => shift(Bucket::AllocatedStartup, requested, PPM),
            Mode::Waiting => shift(Bucket::AllocatedWaiting, requested, PPM),
            Mode::Advancing => {
                shift(Bucket::AllocatedUseful, requested, slices.useful);
                if slices != Slices::USEFUL {
                    shift(Bucket::AllocatedStalled, requested, slices.stalled);
                    shift(
                        Bucket::AllocatedInterference,
                        requested,
                        slices.interference,
                    );
                    shift(Bucket::AllocatedUnderused, requested, slices.underused);
                    shift(Bucket::AllocatedLost, requested, slices.lost);
                }
            }
            Mode::Held => {
                self.reserved_changed = true;
                let reserved = &mut book.reserved[Reason::Latency.index()];
                let by = u64::from(requested) * u64::from(PPM);
                if lower {
                    *reserved -= by;
                    book.reserved_sum -= by;
                } else {
                    *reserved += by;
                    book.reserved_sum += by;
                }
            }
        }
    }

    /// GPUs that advance \[milli\] do something else from now on: what a task's going off the books and
    /// on again comes to, for all tasks of a unit at once.
    pub(crate) fn rebook(
        &mut self,
        pool: PoolId,
        milli: u64,
        (old, new): (Slices, Slices),
        now: SimTime,
    ) {
        if !self.on {
            return;
        }
        let book = &mut self.pools[pool.index()];
        for (bucket, old, new) in [
            (Bucket::AllocatedUseful, old.useful, new.useful),
            (Bucket::AllocatedStalled, old.stalled, new.stalled),
            (
                Bucket::AllocatedInterference,
                old.interference,
                new.interference,
            ),
            (Bucket::AllocatedUnderused, old.underused, new.underused),
            (Bucket::AllocatedLost, old.lost, new.lost),
        ] {
            let gauge = &mut book.buckets[bucket.index()];
            if old < new {
                gauge.raise(milli * u64::from(new - old), now);
            } else {
                gauge.lower(milli * u64::from(old - new), now);
            }
        }
    }

    /// What a node's over-committed GPUs are booked under changes.
    pub(crate) fn book_crowd(
        &mut self,
        pool: PoolId,
        (old, new): (Crowded, Crowded),
        now: SimTime,
    ) {
        if !self.on || old == new {
            return;
        }
        let book = &mut self.pools[pool.index()];
        for (bucket, old, new) in [
            (Bucket::AllocatedStartup, old.startup, new.startup),
            (Bucket::AllocatedWaiting, old.waiting, new.waiting),
            (Bucket::AllocatedUseful, old.useful, new.useful),
            (Bucket::AllocatedLost, old.lost, new.lost),
            (
                Bucket::AllocatedInterference,
                old.interference,
                new.interference,
            ),
            (Bucket::AllocatedUnderused, old.underused, new.underused),
        ] {
            let gauge = &mut book.buckets[bucket.index()];
            gauge.set(gauge.level + new - old, now);
        }
        if old.held != new.held {
            self.reserved_changed = true;
            let reserved = &mut book.reserved[Reason::Latency.index()];
            *reserved = *reserved + new.held - old.held;
            book.reserved_sum = book.reserved_sum + new.held - old.held;
        }
    }

    /// Useful time that turns out to have been for nothing.
    pub(crate) fn lose(&mut self, pool: PoolId, amount: u128, now: SimTime) {
        if !self.on {
            return;
        }
        let book = &mut self.pools[pool.index()];
        for bucket in [Bucket::AllocatedUseful, Bucket::AllocatedLost] {
            book.buckets[bucket.index()].flush(now);
        }
        let useful = &mut book.buckets[Bucket::AllocatedUseful.index()].sum;
        *useful = useful
            .checked_sub(amount)
            .expect("more lost than was ever useful");
        book.buckets[Bucket::AllocatedLost.index()].sum += amount;
    }

    /// Sets what a pool's free, down and provisioning capacity is booked under from now on.
    ///
    /// Nearly always little of it is other than before; what can't be is not looked at.
    pub(crate) fn set_idle(&mut self, pool: PoolId, state: &Pool, charge: &Charge, now: SimTime) {
        let book = &mut self.pools[pool.index()];
        let totals = &state.totals;
        let ppm = |milli: u64| milli * u64::from(PPM);
        let short = charge.stranded + charge.fragmented + charge.insufficient;
        let mut charged = short;
        let mut look = charge.held_mask | book.held_mask;
        if totals.held_sum > 0 || book.reserved_sum > 0 {
            look = (1 << REASONS) - 1;
        }
        for at in bits(look) {
            let held = ppm(totals.held[at] + charge.held[at]) + book.reserved[at];
            book.held[at].set(held, now);
            book.held_mask = book.held_mask & !(1 << at) | u32::from(held > 0) << at;
            charged += charge.held[at];
        }
        let free = totals
            .free
            .checked_sub(charged)
            .expect("more charged than was free");
        let mut set = |bucket: Bucket, milli| book.buckets[bucket.index()].set(ppm(milli), now);
        set(Bucket::IdleNoDemand, free);
        if short > 0 || book.is_short {
            set(Bucket::IdleInsufficient, charge.insufficient);
            set(Bucket::IdleFragmented, charge.fragmented);
            set(Bucket::IdleStranded, charge.stranded);
            book.is_short = short > 0;
        }
        if state.reshaped {
            set(Bucket::Provisioning, totals.provisioning);
            set(Bucket::Down, totals.down);
            book.nodes.set(totals.paid_nodes, now);
        }
    }

    /// A rented node's payment ended after `used`: books what is billed beyond it.
    pub(crate) fn bill_extra(&mut self, pool: PoolId, used: SimDuration, price: &crate::Price) {
        let granularity = u128::from(price.granularity.as_nanos()).max(1);
        let used = u128::from(used.as_nanos());
        let billed = used
            .max(u128::from(price.minimum.as_nanos()))
            .div_ceil(granularity)
            * granularity;
        self.pools[pool.index()].billed_extra += billed - used;
    }

    /// Whether, in every pool, all levels together are what is paid for now: finds an imbalance in
    /// the instant in which it begins. O(pools × levels).
    pub(crate) fn is_level(&self, gpus: impl Iterator<Item = u8>) -> bool {
        self.pools.iter().zip(gpus).all(|(book, gpus)| {
            let milli = u64::from(gpus) * u64::from(MILLI_PER_GPU * PPM);
            let gauges = book.buckets.iter().chain(&book.held);
            gauges.map(|gauge| gauge.level).sum::<u64>() == book.nodes.level * milli
        })
    }

    /// Brings every sum forward to the end of the run.
    pub(crate) fn close(&mut self, now: SimTime) {
        for book in &mut self.pools {
            book.nodes.flush(now);
            book.buckets
                .iter_mut()
                .chain(&mut book.held)
                .for_each(|gauge| gauge.flush(now));
        }
    }
}

impl PoolBook {
    /// GPU time booked under a bucket so far [milli-GPU·ppm·ns].
    pub(crate) fn total(&self, bucket: Bucket) -> u128 {
        match bucket {
            Bucket::IdleHeld => self.held.iter().map(Gauge::sum).sum(),
            _ => self.buckets[bucket.index()].sum(),
        }
    }
}
