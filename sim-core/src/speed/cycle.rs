//! Phases of a job that repeat: how busy its GPUs are, and until when.

use super::Until;
use super::behaviour::BehaviourError;
use crate::time::SimDuration;
use crate::units::Ppm;

/// What a cycle runs by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// The job's own progress, as run time at the reference rate: epochs and their validation.
    #[default]
    Progress,
    /// Time since its submission, whether it runs or not: people, and the hours of a day.
    Time,
}

/// A part of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutyPhase {
    /// How long it is.
    pub length: SimDuration,
    /// How busy its GPUs are.
    pub duty: Ppm,
}

/// A repeating cycle of phases.
///
/// ```
/// use windtunnel_core::{Clock, Cycle, DutyPhase, Ppm, SimDuration, Until};
/// let hour = SimDuration::from_hours(1);
/// let notebook = Cycle {
///     clock: Clock::Time,
///     phases: vec![
///         DutyPhase { length: hour, duty: Ppm(600_000) },
///         DutyPhase { length: hour * 5, duty: Ppm(0) },
///     ],
/// };
/// let (duty, until) = notebook.at(SimDuration::ZERO, hour * 9); // 3 hours into its second round
/// assert_eq!(duty, Ppm(0));
/// assert_eq!(until, Until::After(hour * 3));
/// assert_eq!(notebook.mean(), Ppm(100_000));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// What it runs by.
    pub clock: Clock,
    /// Its phases in order.
    pub phases: Vec<DutyPhase>,
}

impl Cycle {
    /// The duty at a point of a job's life, and when it may change.
    #[must_use]
    pub fn at(&self, done: SimDuration, elapsed: SimDuration) -> (Ppm, Until) {
        let now = match self.clock {
            Clock::Progress => done,
            Clock::Time => elapsed,
        };
        let length: u64 = self.phases.iter().map(|p| p.length.as_nanos()).sum();
        let mut into = now.as_nanos().checked_rem(length).unwrap_or(0);
        for phase in &self.phases {
            let Some(over) = into.checked_sub(phase.length.as_nanos()) else {
                let left = SimDuration::from_nanos(phase.length.as_nanos() - into);
                let until = match self.clock {
                    Clock::Progress => Until::Progress(done + left),
                    Clock::Time => Until::After(left),
                };
                return (phase.duty, until);
            };
            into = over;
        }
        (Ppm::ONE, Until::After(SimDuration::MAX))
    }

    /// The mean duty over a round, rounded to the nearest ppm.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a mean of ppm")]
    pub fn mean(&self) -> Ppm {
        let length = |phase: &DutyPhase| u128::from(phase.length.as_nanos());
        let whole: u128 = self.phases.iter().map(length).sum();
        let busy: u128 = self
            .phases
            .iter()
            .map(|p| length(p) * u128::from(p.duty.0))
            .sum();
        Ppm((busy + whole / 2).checked_div(whole).unwrap_or(1_000_000) as u32)
    }

    pub(super) fn check(&self) -> Result<(), BehaviourError> {
        let empty = self.phases.iter().any(|phase| phase.length.is_zero());
        if self.phases.is_empty() || empty {
            return Err(BehaviourError::NoPhase);
        }
        if self.phases.iter().any(|phase| phase.duty > Ppm::ONE) {
            return Err(BehaviourError::Part);
        }
        Ok(())
    }
}
