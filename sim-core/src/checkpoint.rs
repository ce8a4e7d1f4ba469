//! How often a job should save, how long a save takes, and what it costs in all.
//!
//! Formulas: Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974,
//! and Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3),
//! 2006, of whose estimate this is the first order. Integers in and out.

use crate::job::Checkpoint;
use crate::time::{NANOS_PER_SEC, SimDuration};
use crate::units::{Bytes, PPM, Ppm};

/// State to save per parameter of a model trained with Adam in mixed precision, by the project's
/// performance models: 2 bytes of weights, 4 of their master copy, 8 of moments.
pub const STATE_BYTES_PER_PARAMETER: u64 = 14;

impl Checkpoint {
    /// How long it takes to write so much state at so many bytes a second: bytes ÷ bandwidth, rounded
    /// up to whole nanoseconds; [`SimDuration::MAX`] if that is more than the clock holds or the
    /// bandwidth is zero.
    ///
    /// ```
    /// use windtunnel_core::{Bytes, Checkpoint, STATE_BYTES_PER_PARAMETER, SimDuration};
    /// // 70 billion parameters at 10 GB/s.
    /// let state = Bytes(70_000_000_000 * STATE_BYTES_PER_PARAMETER);
    /// assert_eq!(Checkpoint::time_to_save(state, 10_000_000_000), SimDuration::from_secs(98));
    /// ```
    #[must_use]
    pub fn time_to_save(state: Bytes, bytes_per_second: u64) -> SimDuration {
        let nanos = u128::from(state.0) * u128::from(NANOS_PER_SEC);
        match nanos.checked_add(u128::from(bytes_per_second).saturating_sub(1)) {
            Some(sum) if bytes_per_second > 0 => saturated(sum / u128::from(bytes_per_second)),
            _ => SimDuration::MAX,
        }
    }

    /// Checkpoints at the interval that loses least: τ = √(2 · cost · MTBF), in whole nanoseconds,
    /// rounded down, at least one. `mtbf` is the mean time between failures of the whole job
    /// ([`FaultModel::mean_between_stops`](crate::FaultModel::mean_between_stops)).
    ///
    /// ```
    /// use windtunnel_core::{Checkpoint, FaultModel, FleetFaults, SimDuration};
    /// let cost = SimDuration::from_secs(98);
    /// let mtbf = FleetFaults::llama3().mean_between_stops(2_048, 16_384).unwrap();
    /// let checkpoint = Checkpoint::young_daly(cost, mtbf);
    /// assert_eq!(checkpoint.interval.as_secs(), 1_748, "half an hour, at 4 h 20 min between stops");
    /// assert_eq!(checkpoint.cost, cost);
    /// ```
    #[must_use]
    pub fn young_daly(cost: SimDuration, mtbf: SimDuration) -> Self {
        let product = u128::from(cost.as_nanos()) * u128::from(mtbf.as_nanos());
        let interval = saturated(product.saturating_mul(2).isqrt().max(1));
        Self { interval, cost }
    }

    /// Part of the time that is lost to saves, repeated work and restarts, to first order:
    /// cost ÷ τ + τ ÷ (2 · MTBF) + restart ÷ MTBF, each rounded to the nearest 10⁻⁶; at most one.
    ///
    /// ```
    /// use windtunnel_core::{Checkpoint, Ppm, SimDuration};
    /// let (minutes, hours) = (SimDuration::from_mins, SimDuration::from_hours);
    /// let checkpoint = Checkpoint { interval: hours(1), cost: minutes(3) };
    /// // 3 of 60 minutes, half of 1 in 20 hours, 6 minutes in 20 hours.
    /// assert_eq!(checkpoint.waste(hours(20), minutes(6)), Ppm(50_000 + 25_000 + 5_000));
    /// ```
    #[must_use]
    pub fn waste(&self, mtbf: SimDuration, restart: SimDuration) -> Ppm {
        let ppm = |part: SimDuration, whole: u128| {
            let whole = whole.max(1);
            (u128::from(part.as_nanos()) * u128::from(PPM) + whole / 2) / whole
        };
        let (interval, mtbf) = (self.interval.as_nanos(), u128::from(mtbf.as_nanos()));
        let saves = ppm(self.cost, interval.into());
        let parts = saves + ppm(self.interval, 2 * mtbf) + ppm(restart, mtbf);
        Ppm(u32::try_from(parts.min(PPM.into())).unwrap_or(PPM))
    }
}

fn saturated(nanos: u128) -> SimDuration {
    u64::try_from(nanos).map_or(SimDuration::MAX, SimDuration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_interval_wastes_less() {
        let (cost, mtbf) = (SimDuration::from_secs(60), SimDuration::from_hours(5));
        let best = Checkpoint::young_daly(cost, mtbf);
        let least = best.waste(mtbf, SimDuration::ZERO);
        for percent in [10, 50, 90, 110, 200, 1_000] {
            let interval = SimDuration::from_nanos(best.interval.as_nanos() / 100 * percent);
            let other = Checkpoint { interval, cost };
            assert!(other.waste(mtbf, SimDuration::ZERO) > least, "{percent} %");
        }
    }

    #[test]
    fn the_square_of_the_interval_is_twice_the_product() {
        for (cost, mtbf) in [(1, 1), (2, 4), (98, 15_540), (3_600, 31_536_000)] {
            let (cost, mtbf) = (SimDuration::from_secs(cost), SimDuration::from_secs(mtbf));
            let tau = u128::from(Checkpoint::young_daly(cost, mtbf).interval.as_nanos());
            let twice = 2 * u128::from(cost.as_nanos()) * u128::from(mtbf.as_nanos());
            assert!(tau * tau <= twice && twice < (tau + 1) * (tau + 1));
        }
    }

    #[test]
    fn extremes_saturate() {
        let longest = SimDuration::MAX;
        assert_eq!(Checkpoint::young_daly(longest, longest).interval, longest);
        let free = Checkpoint::young_daly(SimDuration::ZERO, longest);
        assert_eq!(free.interval, SimDuration::from_nanos(1));
        assert_eq!(Checkpoint::time_to_save(Bytes(1), 0), longest);
        assert_eq!(Checkpoint::time_to_save(Bytes(u64::MAX), 1), longest);
        let hopeless = free.waste(SimDuration::ZERO, longest);
        assert_eq!(hopeless, Ppm::ONE);
    }
}
