//! How long repairs take.

use std::sync::Arc;

use super::draw::{below, exponential, lognormal};
use crate::rng::StreamRng;
use crate::time::SimDuration;
use crate::units::{PPM, Ppm};

/// One way in which a repair may go: its share of all repairs, and a lognormal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lognormal {
    /// Its share of repairs.
    pub share: Ppm,
    /// Half of them take at most this long.
    pub median: SimDuration,
    /// Standard deviation of the logarithm \[10⁻⁶\].
    pub sigma: Ppm,
}

/// How long repairs take, drawn anew for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairTimes {
    /// Always as long.
    Fixed(SimDuration),
    /// Exponential with this mean.
    Exponential(SimDuration),
    /// One of several ways, by share; what the shares leave of 1,000,000 goes to the last.
    Mixture(Arc<[Lognormal]>),
}

impl RepairTimes {
    /// 70 % a reset or reboot (median 20 min, sigma 0.8), 25 % a technician (24 h, 0.7), 5 % a part
    /// that is sent away (7 days, 0.5).
    ///
    /// Source: `repair_model` of the project's performance models, general knowledge: no fleet has
    /// published its distribution.
    ///
    /// ```
    /// use windtunnel_core::{RepairTimes, SimDuration};
    /// let RepairTimes::Mixture(ways) = RepairTimes::mixture() else { unreachable!() };
    /// assert_eq!(ways.iter().map(|way| way.share.0).sum::<u32>(), 1_000_000);
    /// assert_eq!(ways[0].median, SimDuration::from_mins(20));
    /// ```
    #[must_use]
    pub fn mixture() -> Self {
        let way = |percent: u32, median, tenths: u32| Lognormal {
            share: Ppm(percent * 10_000),
            median,
            sigma: Ppm(tenths * 100_000),
        };
        Self::Mixture(Arc::new([
            way(70, SimDuration::from_mins(20), 8),
            way(25, SimDuration::from_hours(24), 7),
            way(5, SimDuration::from_days(7), 5),
        ]))
    }

    pub(super) fn draw(&self, rng: &mut StreamRng) -> SimDuration {
        match self {
            Self::Fixed(length) => *length,
            Self::Exponential(mean) => exponential(*mean, rng),
            Self::Mixture(ways) => {
                let mut place = below(rng, u64::from(PPM));
                let mut chosen = None;
                for way in ways.iter() {
                    chosen = Some(way);
                    match place.checked_sub(u64::from(way.share.0)) {
                        Some(rest) => place = rest,
                        None => break,
                    }
                }
                chosen.map_or(SimDuration::ZERO, |way| {
                    lognormal(way.median, f64::from(way.sigma.0) / f64::from(PPM), rng)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Seed, stream};

    /// Share of repairs that take at most `length`, by the closed form: Σ share · Φ(ln(t ÷ m) ÷ σ).
    fn closed_form(ways: &[Lognormal], length: SimDuration) -> f64 {
        let part = |way: &Lognormal| {
            let z = (length.as_secs_f64() / way.median.as_secs_f64()).ln();
            let z = z / (f64::from(way.sigma.0) / 1e6);
            let phi = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            f64::from(way.share.0) / 1e6 * phi
        };
        ways.iter().map(part).sum()
    }

    #[test]
    fn the_mixture_has_the_quantiles_of_its_closed_form() {
        let repair = RepairTimes::mixture();
        let RepairTimes::Mixture(ways) = &repair else {
            unreachable!()
        };
        let mut rng = stream(Seed(1), Purpose::Faults, 0, 0);
        let draws: Vec<SimDuration> = (0..100_000).map(|_| repair.draw(&mut rng)).collect();
        for minutes in [5, 10, 20, 60, 360, 1_440, 2_880, 10_080, 20_160] {
            let length = SimDuration::from_mins(minutes);
            let expected = closed_form(ways, length);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let found = draws.iter().filter(|draw| **draw <= length).count() as f64 / 1e5;
            // Four standard deviations of a share of 100,000 draws.
            let bound = 4.0 * (expected * (1.0 - expected) / 1e5).sqrt();
            assert!(
                (found - expected).abs() < bound,
                "within {length}: {found} of repairs, {expected} expected"
            );
        }
    }

    #[test]
    fn value_stability() {
        let repair = RepairTimes::mixture();
        let mut rng = stream(Seed(7), Purpose::Faults, 1, 2);
        let draws: Vec<u64> = (0..5)
            .map(|_| repair.draw(&mut rng).as_nanos() / 1_000_000)
            .collect();
        assert_eq!(
            draws,
            [102_208_989, 43_379_728, 441_654_976, 1_499_678, 56_406_349]
        );
        let mean = SimDuration::from_hours(1);
        let draws: Vec<u64> = (0..3)
            .map(|_| exponential(mean, &mut rng).as_nanos() / 1_000_000)
            .collect();
        assert_eq!(draws, [3_049_584, 1_386_376, 432_160]);
    }
}
