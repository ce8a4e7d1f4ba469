//! Options of a run.

use crate::names::Names;
use crate::rng::Seed;
use crate::time::SimDuration;

/// When a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Horizon {
    /// When arrivals are exhausted and no job with an end is alive, at the latest 28 days after the
    /// last submission; paid to the last end.
    #[default]
    Drain,
    /// After this long: the last instant taken is the one at the horizon; paid to there.
    After(SimDuration),
}

/// How long a drain run may go on after the last submission.
pub(crate) const DRAIN_LIMIT: SimDuration = SimDuration::from_days(28);

/// Seed, horizon, ledger.
///
/// ```
/// use windtunnel_core::{RunOptions, SimDuration, rng::Seed};
/// let options = RunOptions::default().seed(Seed(7)).horizon(SimDuration::from_days(30));
/// assert_eq!(options.seed, Seed(7));
/// ```
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The root of all randomness.
    pub seed: Seed,
    /// When the run ends.
    pub horizon: Horizon,
    /// Whether the ledger is kept. Off, reasons of waiting are as policies state them, unprobed; the
    /// digest is the same.
    pub ledger: bool,
    /// Names that jobs were made with.
    pub names: Names,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            seed: Seed::default(),
            horizon: Horizon::Drain,
            ledger: true,
            names: Names::default(),
        }
    }
}

impl RunOptions {
    /// The same with a seed.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// The same with a fixed horizon.
    #[must_use]
    pub fn horizon(mut self, after: SimDuration) -> Self {
        self.horizon = Horizon::After(after);
        self
    }

    /// The same without a ledger.
    #[must_use]
    pub fn without_ledger(mut self) -> Self {
        self.ledger = false;
        self
    }

    /// The same with the names that jobs were made with.
    #[must_use]
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }
}
