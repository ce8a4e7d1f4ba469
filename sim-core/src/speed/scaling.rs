//! How an elastic job's speed grows with its tasks.

use super::behaviour::BehaviourError;
use crate::time::SimDuration;

/// Speed by number of tasks: points, straight lines between them, flat beyond the last.
///
/// ```
/// use windtunnel_core::Curve;
/// let curve = Curve { points: vec![(1, 1_000_000), (2, 1_800_000), (8, 4_800_000)] };
/// assert_eq!(curve.speed(4), 2_800_000);
/// assert_eq!(curve.speed(16), 4_800_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    /// (tasks, speed in any unit), by rising number of tasks. Only ratios of speeds matter.
    pub points: Vec<(u32, u32)>,
}

impl Curve {
    /// The speed at a number of tasks; before the first point in proportion to the tasks.
    #[must_use]
    pub fn speed(&self, tasks: u32) -> u64 {
        let mut before = (0, 0);
        for &(count, speed) in &self.points {
            if tasks <= count {
                let (from, low) = before;
                let (across, at) = (u64::from(count - from), u64::from(tasks - from));
                let sum = u64::from(low) * (across - at) + u64::from(speed) * at;
                return sum / across.max(1);
            }
            before = (count, speed);
        }
        u64::from(before.1)
    }

    pub(super) fn check(&self) -> Result<(), BehaviourError> {
        let rising = self.points.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let stands = self
            .points
            .iter()
            .any(|&(tasks, speed)| tasks == 0 || speed == 0);
        if self.points.is_empty() || !rising || stands {
            return Err(BehaviourError::Curve);
        }
        Ok(())
    }
}

/// What a larger batch is worth (Pollux): E(M) = (φ + M₀)/(φ + M) of the progress per sample at M₀,
/// with φ the gradient noise scale, which grows as training goes on.
///
/// ```
/// use windtunnel_core::{Efficiency, SimDuration};
/// let hour = SimDuration::from_hours(1);
/// let cifar = Efficiency { batch_each: 128, batch: 128, noise: vec![(SimDuration::ZERO, 1_024), (hour, 8_192)] };
/// assert_eq!(cifar.at(8, SimDuration::ZERO), (1_024.0 + 128.0) / (1_024.0 + 1_024.0));
/// assert_eq!(cifar.next(SimDuration::ZERO), Some(hour));
/// assert_eq!(cifar.next(hour), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Efficiency {
    /// Batch per GPU, accumulated passes included.
    pub batch_each: u32,
    /// M₀: the batch the job was written for.
    pub batch: u32,
    /// φ from a point of its progress on; the first from zero.
    pub noise: Vec<(SimDuration, u32)>,
}

impl Efficiency {
    /// E(M) on so many GPUs.
    #[must_use]
    pub fn at(&self, gpus: u32, done: SimDuration) -> f64 {
        let noise = self.noise.iter().rev().find(|(from, _)| *from <= done);
        let noise = noise.map_or(0.0, |&(_, noise)| f64::from(noise));
        let batch = f64::from(self.batch_each) * f64::from(gpus);
        (noise + f64::from(self.batch)) / (noise + batch)
    }

    /// The point of progress at which the noise changes next.
    #[must_use]
    pub fn next(&self, done: SimDuration) -> Option<SimDuration> {
        let marks = self.noise.iter().map(|&(from, _)| from);
        marks.filter(|&from| from > done).min()
    }

    pub(super) fn check(&self) -> Result<(), BehaviourError> {
        let starts = self.noise.first().is_some_and(|(from, _)| from.is_zero());
        let rising = self.noise.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let nothing = self.noise.iter().any(|&(_, noise)| noise == 0);
        if self.batch_each == 0 || self.batch == 0 || nothing || !starts || !rising {
            return Err(BehaviourError::Batch);
        }
        Ok(())
    }
}
