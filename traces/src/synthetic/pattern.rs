//! When jobs arrive.

use rand::RngExt;
use windtunnel_core::rng::StreamRng;
use windtunnel_core::{SimDuration, SimTime};

use super::{SyntheticError, weights};

/// The rate of arrivals over time. The number of jobs is fixed; given it, arrivals of a Poisson
/// process are independent draws from the rate's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The same rate all the time.
    Homogeneous,
    /// A rate that repeats every week; the window begins on a Monday at midnight. The rate at an
    /// hour is the product of its weights.
    Weekly {
        /// Weight of each hour of the day, from midnight.
        hours: [u16; 24],
        /// Weight of each day of the week, from Monday.
        days: [u16; 7],
    },
}

impl Pattern {
    /// Busy afternoons, quiet nights and weekends.
    #[must_use]
    pub fn office_hours() -> Self {
        Self::Weekly {
            hours: [
                35, 28, 24, 20, 18, 18, 20, 28, 50, 80, 95, 100, 90, 95, 100, 100, 98, 92, 80, 68,
                62, 58, 52, 44,
            ],
            days: [100, 100, 100, 98, 92, 48, 44],
        }
    }

    pub(super) fn check(&self) -> Result<(), SyntheticError> {
        if let Self::Weekly { hours, days } = self {
            weights("pattern.hours", hours.iter().map(|&w| u32::from(w)))?;
            weights("pattern.days", days.iter().map(|&w| u32::from(w)))?;
        }
        Ok(())
    }

    /// `count` arrivals within `window`, sorted, in whole milliseconds. Integers only.
    ///
    /// A draw is taken with a probability of rate ÷ highest rate (thinning). A window of which no
    /// hour has a weight falls back to the homogeneous rate.
    pub(super) fn arrivals(
        &self,
        count: usize,
        window: SimDuration,
        rng: &mut StreamRng,
    ) -> Vec<SimTime> {
        let end = window.as_millis();
        let highest = (0..end.div_ceil(HOUR_MS).min(7 * 24))
            .map(|hour| self.rate(hour))
            .max()
            .unwrap_or(0);
        let mut times: Vec<u64> = std::iter::repeat_with(|| rng_time(self, highest, end, rng))
            .take(count)
            .collect();
        times.sort_unstable();
        times.into_iter().map(SimTime::from_millis).collect()
    }

    /// Relative rate of the `hour`-th hour.
    fn rate(&self, hour: u64) -> u32 {
        match self {
            Self::Homogeneous => 1,
            Self::Weekly { hours, days } => {
                let (day, hour) = (hour / 24 % 7, hour % 24);
                #[expect(clippy::cast_possible_truncation, reason = "below 24")]
                let (day, hour) = (day as usize, hour as usize);
                u32::from(hours[hour]) * u32::from(days[day])
            }
        }
    }
}

const HOUR_MS: u64 = 3_600_000;

fn rng_time(pattern: &Pattern, highest: u32, end: u64, rng: &mut StreamRng) -> u64 {
    loop {
        let time = rng.random_range(0..end);
        if highest == 0 || rng.random_range(0..highest) < pattern.rate(time / HOUR_MS) {
            return time;
        }
    }
}

#[cfg(test)]
mod tests {
    use windtunnel_core::rng::{Purpose, Seed, stream};

    use super::*;

    /// Arrivals per hour of the day over `days` days.
    fn by_hour(pattern: &Pattern, count: usize, days: u64) -> [usize; 24] {
        let mut rng = stream(Seed(1), Purpose::Arrivals, 0, 0);
        let mut hours = [0; 24];
        for time in pattern.arrivals(count, SimDuration::from_days(days), &mut rng) {
            let hour = time.as_nanos() / 3_600_000_000_000 % 24;
            hours[usize::try_from(hour).unwrap()] += 1;
        }
        hours
    }

    #[test]
    fn a_homogeneous_rate_is_even() {
        for (hour, count) in by_hour(&Pattern::Homogeneous, 240_000, 10)
            .iter()
            .enumerate()
        {
            assert!((9_600..=10_400).contains(count), "{count} in hour {hour}");
        }
    }

    #[test]
    fn weights_shape_the_day_and_the_week() {
        let hours = by_hour(&Pattern::office_hours(), 100_000, 28);
        // 100 : 18 by the weights.
        let ratio = hours[11] * 100 / hours[4];
        assert!((500..=620).contains(&ratio), "{hours:?}");

        let mut days = [0; 7];
        days[2] = 1;
        let wednesday = Pattern::Weekly {
            hours: [1; 24],
            days,
        };
        let mut rng = stream(Seed(1), Purpose::Arrivals, 0, 0);
        for time in wednesday.arrivals(1_000, SimDuration::from_days(28), &mut rng) {
            assert_eq!(time.as_nanos() / 86_400_000_000_000 % 7, 2);
        }
    }

    #[test]
    fn a_window_without_weights_still_has_arrivals() {
        let mut hours = [0; 24];
        hours[23] = 1;
        let late = Pattern::Weekly {
            hours,
            days: [1; 7],
        };
        let mut rng = stream(Seed(1), Purpose::Arrivals, 0, 0);
        assert_eq!(
            late.arrivals(10, SimDuration::from_hours(1), &mut rng)
                .len(),
            10
        );
    }
}
