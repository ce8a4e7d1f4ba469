//! How fast a unit advances, and what its GPUs do meanwhile.

use crate::device::Grant;
use crate::ids::NodeId;
use crate::job::{Checkpoint, JobProfile};
use crate::time::SimDuration;
use crate::units::{PPM, Ppm, RATE_ONE};

/// Where a unit runs: its running tasks.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// Tasks that run.
    pub running: u32,
    /// Tasks at which the work was stated: the count of the group for elastic jobs, else all.
    pub nominal: u32,
    pub(crate) tasks: &'a [crate::live::Task],
}

impl Placement<'_> {
    /// Node and GPUs of each running task, in (group, index) order.
    pub fn tasks(&self) -> impl Iterator<Item = (NodeId, Grant)> {
        self.tasks
            .iter()
            .filter(|task| task.works())
            .map(|task| (task.node, task.grant))
    }
}

/// What else runs on the nodes of a unit. Contention between neighbours comes with sharing; until
/// then there is nothing to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neighbours<'a>(std::marker::PhantomData<&'a ()>);

/// Parts of the allocated time, in ppm of it; they sum to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// Waiting on slow links.
    pub stalled: u32,
    /// Lost to co-located jobs.
    pub interference: u32,
    /// The job's own duty below one.
    pub underused: u32,
    /// Periodic checkpoint overhead.
    pub lost: u32,
    /// What remains.
    pub useful: u32,
}

impl Slices {
    /// Everything useful.
    pub const USEFUL: Self = Self {
        stalled: 0,
        interference: 0,
        underused: 0,
        lost: 0,
        useful: PPM,
    };

    /// Slices from the factors of a speed model, all at most one: `topology` against the best
    /// placement of that size on that GPU model, `sharing`, `duty`, and the overhead of checkpoints.
    ///
    /// stalled = 1 − t; interference = t(1 − s); underused = t·s(1 − d); lost = t·s·d·c/(T + c); each
    /// rounded once to the nearest ppm, the remainder is useful.
    ///
    /// ```
    /// use windtunnel_core::{Ppm, Slices};
    /// let slices = Slices::from_factors(Ppm(900_000), Ppm::ONE, Ppm(500_000), None);
    /// assert_eq!((slices.stalled, slices.underused, slices.useful), (100_000, 450_000, 450_000));
    /// ```
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "every part is at most 10^6"
    )]
    pub fn from_factors(
        topology: Ppm,
        sharing: Ppm,
        duty: Ppm,
        checkpoint: Option<Checkpoint>,
    ) -> Self {
        let whole = u128::from(PPM);
        let (t, s, d) = (
            u128::from(topology.0),
            u128::from(sharing.0),
            u128::from(duty.0),
        );
        let round = |value: u128, unit: u128| ((value + unit / 2) / unit) as u32;
        let stalled = PPM - topology.0;
        let interference = round(t * (whole - s), whole);
        let underused = round(t * s * (whole - d), whole * whole);
        let lost = checkpoint.map_or(0, |Checkpoint { interval, cost }| {
            let period = u128::from(interval.as_nanos()) + u128::from(cost.as_nanos());
            let busy = (t * s * d) / (whole * whole);
            round(busy * u128::from(cost.as_nanos()), period)
        });
        let taken = stalled + interference + underused + lost;
        // Half-up rounding can exceed the whole by a ppm or two when nothing is useful.
        let excess = taken.saturating_sub(PPM);
        Self {
            stalled,
            interference,
            underused: underused - excess.min(underused),
            lost,
            useful: PPM.saturating_sub(taken),
        }
    }
}

/// When a speed must be asked for again although nothing changed around the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After this much time.
    After(SimDuration),
    /// Once it has done this much work in all, as run time at the reference rate.
    Progress(SimDuration),
}

/// The answer of a speed model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Progress per time, in parts per 10⁹ of the reference rate. Zero stands still.
    pub rate: u64,
    /// What the GPUs do.
    pub slices: Slices,
    /// When to ask again.
    pub until: Option<Until>,
}

/// How fast a unit advances: a pure function of what it is given.
pub trait SpeedModel: Send + Sync + std::fmt::Debug {
    /// Speed of a unit all of whose needed tasks run. `done` is the work it has behind it, as run
    /// time at the reference rate.
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed;
}

/// The reference speed: rate one (elastic jobs: × running ÷ nominal count), slowed by checkpoint
/// overhead; slices only underused (1 − duty) and checkpoint overhead.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceSpeed;

impl SpeedModel for ReferenceSpeed {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        _beside: &Neighbours<'_>,
        _done: SimDuration,
    ) -> Speed {
        let mut rate = RATE_ONE;
        if on.running != on.nominal && on.nominal > 0 {
            rate = scaled(rate, u64::from(on.running), u64::from(on.nominal));
        }
        if let Some(Checkpoint { interval, cost }) = profile.checkpoint
            && !cost.is_zero()
        {
            rate = scaled(
                rate,
                interval.as_nanos(),
                interval.as_nanos() + cost.as_nanos(),
            );
        }
        if profile.duty == Ppm::ONE && profile.checkpoint.is_none() {
            return Speed {
                rate,
                slices: Slices::USEFUL,
                until: None,
            };
        }
        let slices = Slices::from_factors(Ppm::ONE, Ppm::ONE, profile.duty, profile.checkpoint);
        Speed {
            rate,
            slices,
            until: None,
        }
    }
}

/// `rate × part ÷ whole`, rounded down, at least one.
#[expect(clippy::cast_possible_truncation, reason = "saturated")]
fn scaled(rate: u64, part: u64, whole: u64) -> u64 {
    let value = u128::from(rate) * u128::from(part) / u128::from(whole);
    value.clamp(1, u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_always_sum_to_one() {
        let checkpoint = Checkpoint {
            interval: SimDuration::from_secs(30),
            cost: SimDuration::from_secs(7),
        };
        for t in [0, 1, 333_333, 999_999, PPM] {
            for s in [0, 1, 500_001, PPM] {
                for d in [0, 1, 700_000, PPM] {
                    for saves in [None, Some(checkpoint)] {
                        let x = Slices::from_factors(Ppm(t), Ppm(s), Ppm(d), saves);
                        let sum = x.stalled + x.interference + x.underused + x.lost + x.useful;
                        assert_eq!(sum, PPM, "{t} {s} {d}: {x:?}");
                    }
                }
            }
        }
    }
}
