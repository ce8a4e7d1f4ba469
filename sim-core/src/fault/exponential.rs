//! Whole nodes that fail independently, at one rate.

use rand_distr::{Distribution, Exp};

use super::{Fault, FaultKind, FaultModel, FaultStream, Site};
use crate::rng::{Purpose, Seed, StreamRng, stream};
use crate::time::{SimDuration, SimTime};

/// Nodes fail independently: times between failures and repair times are exponential.
///
/// Both are drawn in seconds and rounded up to whole milliseconds, at least one.
///
/// ```
/// use windtunnel_core::{ExponentialFaults, FaultModel, PoolId, SimDuration, SimTime, Site};
/// use windtunnel_core::rng::Seed;
/// let faults = ExponentialFaults {
///     mean_between: SimDuration::from_days(30),
///     mean_repair: SimDuration::from_hours(4),
/// };
/// let site = Site { pool: PoolId(0), ordinal: 7, gpus: 8 };
/// let mut node = faults.streams(Seed(1), site).remove(0);
/// let first = node.next(SimTime::ZERO).unwrap();
/// let again = faults.streams(Seed(1), site).remove(0).next(SimTime::ZERO).unwrap();
/// assert_eq!(first, again);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExponentialFaults {
    /// Mean time between a repair and the next failure of one node; zero means never.
    pub mean_between: SimDuration,
    /// Mean time to repair.
    pub mean_repair: SimDuration,
}

#[derive(Clone, Debug)]
struct ExponentialStream {
    faults: ExponentialFaults,
    rng: StreamRng,
}

/// One exponential draw with `mean`, in whole milliseconds, at least one.
fn exponential(mean: SimDuration, rng: &mut StreamRng) -> SimDuration {
    let Ok(unit) = Exp::new(1.0) else {
        return SimDuration::MAX;
    };
    let draw: f64 = unit.sample(rng);
    let millis = (draw * mean.as_secs_f64() * 1e3).ceil().clamp(1.0, 1e13);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped above"
    )]
    SimDuration::from_millis(millis as u64)
}

impl FaultStream for ExponentialStream {
    fn next(&mut self, from: SimTime) -> Option<Fault> {
        let between = exponential(self.faults.mean_between, &mut self.rng);
        let repair = exponential(self.faults.mean_repair, &mut self.rng);
        Some(Fault {
            at: from.checked_add(between)?,
            repair,
            what: FaultKind::Node,
        })
    }
    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl FaultModel for ExponentialFaults {
    fn streams(&self, seed: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        if self.mean_between.is_zero() {
            return Vec::new();
        }
        let (pool, ordinal) = (u64::from(site.pool.0), u64::from(site.ordinal));
        let rng = stream(seed, Purpose::Faults, pool, ordinal);
        vec![Box::new(ExponentialStream { faults: *self, rng })]
    }

    fn mean_between_stops(&self, nodes: u32, _gpus: u64) -> Option<SimDuration> {
        let nanos = self.mean_between.as_nanos().checked_div(nodes.into())?;
        (nanos > 0).then(|| SimDuration::from_nanos(nanos))
    }

    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(*self)
    }
}
