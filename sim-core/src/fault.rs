//! Faults: when nodes fail and for how long, in truth. When anybody notices is the platform's.

use rand_distr::{Distribution, Exp};

use crate::ids::PoolId;
use crate::rng::{Purpose, Seed, StreamRng, stream};
use crate::time::{SimDuration, SimTime};

/// One failure of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When the node fails.
    pub at: SimTime,
    /// How long until it is repaired; at least one nanosecond.
    pub repair: SimDuration,
}

/// The failures of one node, in order, one after the other's repair.
pub trait FaultStream: Send {
    /// The next failure that begins at or after `from` (the end of the last repair, or the start).
    fn next(&mut self, from: SimTime) -> Option<Fault>;
    /// A boxed copy that yields the same rest.
    fn clone_stream(&self) -> Box<dyn FaultStream>;
}

impl Clone for Box<dyn FaultStream> {
    fn clone(&self) -> Self {
        (**self).clone_stream()
    }
}

impl std::fmt::Debug for dyn FaultStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultStream")
    }
}

/// Which nodes fail and when.
///
/// Draws are keyed by (pool, the node's place in it), so a node fails at the same time whatever
/// platform runs on it.
pub trait FaultModel: Send + Sync + std::fmt::Debug {
    /// The failures of one node; `None` if it never fails.
    fn stream(&self, seed: Seed, pool: PoolId, ordinal: u32) -> Option<Box<dyn FaultStream>>;
    /// A boxed copy.
    fn clone_model(&self) -> Box<dyn FaultModel>;
}

impl Clone for Box<dyn FaultModel> {
    fn clone(&self) -> Self {
        (**self).clone_model()
    }
}

/// No node ever fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl FaultModel for NoFaults {
    fn stream(&self, _: Seed, _: PoolId, _: u32) -> Option<Box<dyn FaultStream>> {
        None
    }
    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(*self)
    }
}

/// Nodes fail independently: times between failures and repair times are exponential.
///
/// Both are drawn in seconds and rounded up to whole milliseconds, at least one.
///
/// ```
/// use windtunnel_core::{ExponentialFaults, FaultModel, PoolId, SimDuration, SimTime};
/// use windtunnel_core::rng::Seed;
/// let faults = ExponentialFaults {
///     mean_between: SimDuration::from_days(30),
///     mean_repair: SimDuration::from_hours(4),
/// };
/// let mut node = faults.stream(Seed(1), PoolId(0), 7).unwrap();
/// let first = node.next(SimTime::ZERO).unwrap();
/// let again = faults.stream(Seed(1), PoolId(0), 7).unwrap().next(SimTime::ZERO).unwrap();
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
        })
    }
    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl FaultModel for ExponentialFaults {
    fn stream(&self, seed: Seed, pool: PoolId, ordinal: u32) -> Option<Box<dyn FaultStream>> {
        if self.mean_between.is_zero() {
            return None;
        }
        let rng = stream(seed, Purpose::Faults, u64::from(pool.0), u64::from(ordinal));
        Some(Box::new(ExponentialStream { faults: *self, rng }))
    }
    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(*self)
    }
}

/// Failures from a list: (pool, the node's place in it, fault), in any order.
///
/// For tests and for replaying a log; faults of one node must not overlap (later ones are put off
/// to the end of the repair before them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedFaults(pub Vec<(PoolId, u32, Fault)>);

#[derive(Clone, Debug)]
struct ListedStream(std::collections::VecDeque<Fault>);

impl FaultStream for ListedStream {
    fn next(&mut self, from: SimTime) -> Option<Fault> {
        let fault = self.0.pop_front()?;
        Some(Fault {
            at: fault.at.max(from),
            ..fault
        })
    }
    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl FaultModel for ListedFaults {
    fn stream(&self, _: Seed, pool: PoolId, ordinal: u32) -> Option<Box<dyn FaultStream>> {
        let mut own: Vec<Fault> = self
            .0
            .iter()
            .filter(|(p, o, _)| *p == pool && *o == ordinal)
            .map(|f| f.2)
            .collect();
        own.sort_by_key(|fault| fault.at);
        (!own.is_empty()).then(|| Box::new(ListedStream(own.into())) as Box<dyn FaultStream>)
    }
    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(self.clone())
    }
}
