//! Faults: what breaks, when and for how long, in truth. When anybody notices is the platform's.
//!
//! | file | subject |
//! | --- | --- |
//! | `kinds.rs` | what can break |
//! | `exponential.rs` | whole nodes at one rate |
//! | `fleet.rs` | nodes, GPUs, links and stragglers at the rates of a fleet |
//! | `repair.rs` | how long repairs take |
//! | `maintenance.rs` | a calendar of maintenance windows |
//! | `driver.rs` | drivers that do not come up when a node starts |
//! | `listed.rs` | a list |
//! | `several.rs` | several models at once |
//! | `draw.rs` | the draws behind them |

mod draw;
mod driver;
mod exponential;
mod fleet;
mod kinds;
mod listed;
mod maintenance;
mod repair;
mod several;

pub use driver::DriverFailures;
pub(crate) use driver::Install;
pub use exponential::ExponentialFaults;
pub use fleet::{FleetFaults, SlowBy};
pub(crate) use kinds::slows;
pub use kinds::{FaultKind, FaultStep, Links};
pub use listed::ListedFaults;
pub use maintenance::MaintenanceWindows;
pub use repair::{Lognormal, RepairTimes};
pub use several::SeveralFaults;

use crate::ids::PoolId;
use crate::rng::Seed;
use crate::time::{SimDuration, SimTime};

/// One fault of a node or of something in it.
///
/// What is broken already is not broken again: such a fault passes without effect. So does one on a
/// node that is not up, but for a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins.
    pub at: SimTime,
    /// How long until all is well again; at least one nanosecond.
    pub repair: SimDuration,
    /// What it does.
    pub what: FaultKind,
}

impl Fault {
    /// A whole node fails.
    ///
    /// ```
    /// use windtunnel_core::{Fault, FaultKind, SimDuration, SimTime};
    /// let fault = Fault::node(SimTime::from_secs(20), SimDuration::from_mins(5));
    /// assert_eq!(fault.what, FaultKind::Node);
    /// ```
    #[must_use]
    pub const fn node(at: SimTime, repair: SimDuration) -> Self {
        Self {
            at,
            repair,
            what: FaultKind::Node,
        }
    }
}

/// Faults of one node, in order of their beginnings.
pub trait FaultStream: Send {
    /// The next fault that begins at or after `from`: the end of the last repair (or the start of the
    /// run), or, if faults of the stream may overlap, the beginning of the last.
    fn next(&mut self, from: SimTime) -> Option<Fault>;
    /// Whether a fault may begin while an earlier one of the same stream lasts.
    fn overlaps(&self) -> bool {
        false
    }
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

/// A node, as far as its faults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its pool.
    pub pool: PoolId,
    /// Its place in the pool.
    pub ordinal: u32,
    /// GPUs it has.
    pub gpus: u8,
}

impl Site {
    /// Where draws for it are keyed, beside (seed, purpose): the pool, what is drawn and the how-many-th
    /// draw that is in the domain, the place in the pool as the ordinal.
    const fn domain(self, what: u8, draw: u32) -> u64 {
        self.pool.0 as u64 | (what as u64) << 8 | (draw as u64) << 16
    }
}

/// Which nodes have which faults, and when.
///
/// Draws are keyed by (pool, the node's place in it, kind of fault), so a node fails at the same time
/// whatever platform runs on it and whatever else befalls it.
pub trait FaultModel: Send + Sync + std::fmt::Debug {
    /// Streams of the faults of one node, independent of each other; none if it never fails.
    fn streams(&self, seed: Seed, site: Site) -> Vec<Box<dyn FaultStream>>;
    /// Mean time between faults that stop a job on so many nodes and GPUs; `None` if none ever does, or
    /// the model can't tell. Checkpoint intervals rest on it
    /// ([`Checkpoint::young_daly`](crate::Checkpoint::young_daly)).
    fn mean_between_stops(&self, _nodes: u32, _gpus: u64) -> Option<SimDuration> {
        None
    }
    /// A boxed copy.
    fn clone_model(&self) -> Box<dyn FaultModel>;
}

/// Mean time between events of two independent processes together: 1 ÷ (1 ÷ a + 1 ÷ b), rounded down.
fn together(a: Option<SimDuration>, b: Option<SimDuration>) -> Option<SimDuration> {
    let (Some(first), Some(second)) = (a, b) else {
        return a.or(b);
    };
    let (first, second) = (u128::from(first.as_nanos()), u128::from(second.as_nanos()));
    let nanos = (first * second).checked_div(first + second).unwrap_or(0);
    u64::try_from(nanos).ok().map(SimDuration::from_nanos)
}

impl Clone for Box<dyn FaultModel> {
    fn clone(&self) -> Self {
        (**self).clone_model()
    }
}

/// Nothing ever fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl FaultModel for NoFaults {
    fn streams(&self, _: Seed, _: Site) -> Vec<Box<dyn FaultStream>> {
        Vec::new()
    }
    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(*self)
    }
}
