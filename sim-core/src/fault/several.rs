//! Several models at once.

use super::{FaultModel, FaultStream, Site, together};
use crate::rng::Seed;
use crate::time::SimDuration;

/// The faults of several models, independent of each other.
///
/// ```
/// use windtunnel_core::rng::Seed;
/// use windtunnel_core::{
///     ExponentialFaults, FaultModel, FleetFaults, PoolId, SeveralFaults, SimDuration, Site,
/// };
/// let nodes = ExponentialFaults {
///     mean_between: SimDuration::from_days(154),
///     mean_repair: SimDuration::from_hours(15),
/// };
/// let both = SeveralFaults::default().and(nodes).and(FleetFaults::llama3());
/// let site = Site { pool: PoolId(0), ordinal: 3, gpus: 8 };
/// assert_eq!(both.streams(Seed(1), site).len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SeveralFaults(pub Vec<Box<dyn FaultModel>>);

impl SeveralFaults {
    /// The same and another model.
    #[must_use]
    pub fn and(mut self, model: impl FaultModel + 'static) -> Self {
        self.0.push(Box::new(model));
        self
    }
}

impl FaultModel for SeveralFaults {
    fn streams(&self, seed: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        let all = self.0.iter();
        all.flat_map(|model| model.streams(seed, site)).collect()
    }
    fn mean_between_stops(&self, nodes: u32, gpus: u64) -> Option<SimDuration> {
        let all = self.0.iter();
        let each = all.map(|model| model.mean_between_stops(nodes, gpus));
        each.fold(None, together)
    }
    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(self.clone())
    }
}
