//! Jobs and their units: the work that is left, and what of it is saved.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::units::RATE_ONE;
use windtunnel_core::{
    Advance, DeviceSet, JobSpec, Keeps, NodeId, PoolId, Reason, TaskState, Work,
};

use super::speed::Slices;

/// Something that makes progress: a gang, an elastic job, or one task of an array.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Work left, and as of the last save [ns × 10⁻⁹]; it may go below zero in its last nanosecond.
    pub(crate) left: Option<i128>,
    pub(crate) saved: Option<i128>,
    /// Running time since the last save or start [ns].
    pub(crate) running: u64,
    /// Useful capacity since the last save, by pool.
    pub(crate) unsaved: BTreeMap<PoolId, u128>,
    pub(crate) advance: Option<Pace>,
    pub(crate) done: bool,
}

/// How a unit advances.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) rate: u64,
    pub(crate) period: Option<u64>,
    pub(crate) slices: Slices,
    /// What of its GPUs is useful, by pool [milli-GPU·ppm].
    pub(crate) useful: BTreeMap<PoolId, u128>,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) spec: JobSpec,
    /// Larger than the supply.
    pub(crate) never: bool,
    pub(crate) units: Vec<Unit>,
    /// Where tasks are, and in which state.
    pub(crate) places: BTreeMap<(u16, u32), (NodeId, TaskState)>,
    /// Tasks that were suspended and keep their progress.
    pub(crate) keeping: BTreeSet<(u16, u32)>,
    /// Tasks that start, or did in this instant, with progress that they kept.
    pub(crate) resuming: BTreeSet<(u16, u32)>,
    /// What suspended tasks keep.
    pub(crate) keeps: BTreeMap<(u16, u32), Keeps>,
    /// GPUs that tasks held at the end of the last instant.
    pub(crate) devices: BTreeMap<(u16, u32), DeviceSet>,
    pub(crate) why: Option<Reason>,
    pub(crate) waited: BTreeMap<Reason, u64>,
    pub(crate) useful: u128,
    pub(crate) lost: u128,
}

impl Job {
    pub(crate) fn new(spec: JobSpec, never: bool) -> Self {
        let count = match spec.request.advance {
            Advance::Each => spec.request.groups[0].count as usize,
            _ => 1,
        };
        let units = (0..count).map(|place| {
            let work = match &spec.profile.work {
                Work::Endless => None,
                Work::Uniform(work) => Some(*work),
                Work::PerTask(each) => Some(each[place]),
            };
            let left = work.map(|work| i128::from(work.as_nanos()) * i128::from(RATE_ONE));
            Unit {
                left,
                saved: left,
                running: 0,
                unsaved: BTreeMap::new(),
                advance: None,
                done: false,
            }
        });
        Self {
            units: units.collect(),
            spec,
            never,
            places: BTreeMap::new(),
            keeping: BTreeSet::new(),
            resuming: BTreeSet::new(),
            keeps: BTreeMap::new(),
            devices: BTreeMap::new(),
            why: None,
            waited: BTreeMap::new(),
            useful: 0,
            lost: 0,
        }
    }
}

impl Unit {
    pub(crate) fn save(&mut self) {
        self.saved = self.left;
        self.running = 0;
        self.unsaved.clear();
    }

    /// Works for so long; returns the useful capacity that went into it.
    pub(crate) fn work(&mut self, length: u64) -> u128 {
        let Some(pace) = self.advance.clone() else {
            return 0;
        };
        let mut rest = length;
        if let Some(period) = pace.period
            && length / period > 1_000
        {
            // Many whole periods make no difference but to the work that is left.
            let skipped = (length / period - 2) * period;
            rest -= skipped;
            let done = i128::from(pace.rate) * i128::from(skipped);
            self.left = self.left.map(|left| left - done);
        }
        while rest > 0 {
            let to_save = pace.period.map_or(rest, |period| period - self.running);
            let step = rest.min(to_save);
            rest -= step;
            self.running += step;
            let done = i128::from(pace.rate) * i128::from(step);
            self.left = self.left.map(|left| left - done);
            for (pool, level) in &pace.useful {
                *self.unsaved.entry(*pool).or_default() += level * u128::from(step);
            }
            if Some(self.running) == pace.period {
                self.save();
            }
        }
        pace.useful.values().sum::<u128>() * u128::from(length)
    }
}
