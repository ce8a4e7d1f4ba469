//! Drivers that do not come up when a node starts.

use super::Site;
use super::draw::below;
use crate::rng::{Purpose, Seed, stream};
use crate::time::SimDuration;
use crate::units::{PPM, Ppm};

/// How often the driver of a node fails to come up when the node starts, and what that costs: a trait
/// of a platform, since it depends on what is installed how.
///
/// A node that was rented, switched on or repaired needs its driver before it is usable. Each try
/// fails with a probability, independently; after a failure the node is tried again after a time that
/// is uniform between two bounds. Until then the node is booting (paid as `provisioning`), or still down
/// after a repair. Draws are keyed by the node and the number of its tries, by boots and by repairs.
///
/// ```
/// use windtunnel_core::{DriverFailures, Ppm, SimDuration};
/// let driver = DriverFailures::default();
/// assert_eq!(driver.probability, Ppm(20_000), "2 %");
/// assert_eq!(driver.retry_min, SimDuration::from_mins(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverFailures {
    /// Probability that one try fails.
    pub probability: Ppm,
    /// Shortest time to the next try.
    pub retry_min: SimDuration,
    /// Longest time to the next try.
    pub retry_max: SimDuration,
}

impl Default for DriverFailures {
    /// 2 %, 5 to 15 minutes: assumptions, no source gives a rate.
    fn default() -> Self {
        Self {
            probability: Ppm(20_000),
            retry_min: SimDuration::from_mins(5),
            retry_max: SimDuration::from_mins(15),
        }
    }
}

/// Why a driver comes up: each counts its tries by itself, so that a platform that boots nodes more
/// often does not change what happens after their repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    Boot = 0,
    Repair = 1,
}

impl DriverFailures {
    /// How long until the next try, if the `n`-th try on a node fails.
    pub(crate) fn fails(
        &self,
        seed: Seed,
        site: Site,
        why: Install,
        n: u32,
    ) -> Option<SimDuration> {
        let domain = site.domain(why as u8, n);
        let mut rng = stream(seed, Purpose::Drivers, domain, u64::from(site.ordinal));
        if below(&mut rng, u64::from(PPM)) >= u64::from(self.probability.0) {
            return None;
        }
        let (min, max) = (self.retry_min.as_nanos(), self.retry_max.as_nanos());
        let spread = max.saturating_sub(min).saturating_add(1);
        // At least a nanosecond: a node that is tried again and again must get somewhere.
        let wait = min.saturating_add(below(&mut rng, spread)).max(1);
        Some(SimDuration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PoolId;

    #[test]
    fn as_often_and_as_long_as_said() {
        let driver = DriverFailures::default();
        let site = |ordinal| Site {
            pool: PoolId(1),
            ordinal,
            gpus: 8,
        };
        let try_at = |n: u32| driver.fails(Seed(3), site(n / 100), Install::Boot, n % 100);
        let waits: Vec<SimDuration> = (0..50_000).filter_map(try_at).collect();
        // 1,000 expected, four standard deviations: 4 · √(50,000 · 0.02 · 0.98) = 125.
        assert!((875..=1_125).contains(&waits.len()), "{}", waits.len());
        let bounds = driver.retry_min..=driver.retry_max;
        assert!(waits.iter().all(|wait| bounds.contains(wait)));
        let sum: u64 = waits.iter().map(|wait| wait.as_nanos()).sum();
        let mean = sum / waits.len() as u64 / 1_000_000_000;
        // 600 s expected; four standard deviations of the mean: 4 · (600 ÷ √12) ÷ √1,000 = 22 s.
        assert!((578..=622).contains(&mean), "{mean}");
    }

    #[test]
    fn boots_and_repairs_do_not_share_draws() {
        let always = DriverFailures {
            probability: Ppm::ONE,
            ..DriverFailures::default()
        };
        let site = Site {
            pool: PoolId(0),
            ordinal: 0,
            gpus: 1,
        };
        let of = |why, n| always.fails(Seed(1), site, why, n);
        assert_ne!(of(Install::Boot, 0), of(Install::Repair, 0));
        assert_ne!(of(Install::Boot, 0), of(Install::Boot, 1));
        assert_eq!(of(Install::Boot, 1), of(Install::Boot, 1));
    }
}
