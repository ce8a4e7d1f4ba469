//! What the GPUs of a unit that advances do: parts of the allocated time.

use crate::job::Checkpoint;
use crate::units::{PPM, Ppm};

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

impl Default for Slices {
    fn default() -> Self {
        Self::USEFUL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimDuration;

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
