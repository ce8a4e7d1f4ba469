//! How long a step of data-parallel training takes.
//!
//! Pollux's form (petuum/adaptdl, goodput.py): T = s·Tg + (Tg^γ + Ts^γ)^(1/γ), with Tg the computing of
//! one pass, s the passes accumulated before one that synchronises, Ts the exchange of gradients, γ
//! from 1 (one after the other) to 10 (all of the shorter hidden behind the longer).
//!
//! Exchange is an all-reduce over the slowest link (NCCL, tuning.cc; nccl-tests, PERFORMANCE.md), or
//! constants that were fitted to measurements.

use super::behaviour::BehaviourError;
use crate::time::SimDuration;
use crate::units::Bytes;

/// What carries bytes between GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// Bandwidth per direction [MB/s = 10⁶ bytes per second]; `u32::MAX` stands for unknown, and
    /// takes no time.
    pub bandwidth: u32,
    /// Latency of one hop \[ns\].
    pub latency: u32,
}

impl Pipe {
    /// Of unknown make: it takes no time.
    pub const UNKNOWN: Self = Self {
        bandwidth: u32::MAX,
        latency: 0,
    };

    fn is_known(self) -> bool {
        self.bandwidth != u32::MAX
    }

    /// Seconds that bytes take.
    fn seconds(self, bytes: f64) -> f64 {
        if self.is_known() {
            bytes / (f64::from(self.bandwidth.max(1)) * 1e6)
        } else {
            0.0
        }
    }

    fn hop(self) -> f64 {
        f64::from(self.latency) * 1e-9
    }

    fn slower(self, other: Self) -> Self {
        if other.bandwidth < self.bandwidth {
            other
        } else {
            self
        }
    }
}

/// What a placement means for the traffic between its GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// GPUs in all.
    pub gpus: u32,
    /// Nodes, or NVLink domains where these span nodes.
    pub islands: u32,
    /// GPUs on that of them that has most.
    pub widest: u32,
    /// What connects GPUs of one island: the slowest of all of them.
    pub inside: Pipe,
    /// What leads out of an island: the slowest of all of them.
    pub outside: Pipe,
}

/// A step of data-parallel training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Computing of one pass on the reference GPU.
    pub compute: SimDuration,
    /// Passes that are accumulated before the one that synchronises.
    pub accumulate: u32,
    /// γ in thousandths: 1,000 hides nothing, 10,000 all of the shorter.
    pub overlap: u32,
    /// What is exchanged in the end.
    pub exchange: Exchange,
}

/// What GPUs exchange in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The sum of gradients, over links.
    AllReduce {
        /// Size of the gradients.
        bytes: Bytes,
        /// In which way.
        algorithm: Algorithm,
    },
    /// Constants that were fitted to measurements.
    Fitted(FittedExchange),
}

/// How an all-reduce goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// The fastest of the others, as NCCL chooses.
    #[default]
    Best,
    /// One ring over all GPUs.
    Ring,
    /// A tree over all GPUs.
    Tree,
    /// Reduce-scatter inside, all-reduce between, all-gather inside.
    Hierarchical,
}

/// What NCCL's trees reach of the bandwidth of a ring.
const TREE_BANDWIDTH: f64 = 0.92;

/// Pollux's constants of the exchange: Ts = αr + βr·(K − 2) on one node of K GPUs,
/// αn + βn·(K − 2) + c·(1 − 1/g)·2/(N − 1) on N nodes of at most g GPUs.
///
/// The last term is not Pollux's: ranks that share a node share its network card. The more of them
/// and the fewer peers the node talks to, the longer they wait (docs/MODELS.md: how it was found).
///
/// Where the bandwidth is known that they were measured with, they are scaled to that of the
/// placement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FittedExchange {
    /// αr: on one node.
    pub inside: SimDuration,
    /// βr: for each GPU beyond two on one node.
    pub inside_each: SimDuration,
    /// αn: between nodes.
    pub outside: SimDuration,
    /// βn: for each GPU beyond two between nodes.
    pub outside_each: SimDuration,
    /// c: what ranks cost that share a network card, at two on each of two nodes.
    pub shared_card: SimDuration,
    /// What connected the GPUs of a node when it was measured \[MB/s\]; zero if unknown.
    pub measured_inside: u32,
    /// What led out of a node when it was measured \[MB/s\]; zero if unknown.
    pub measured_outside: u32,
}

impl Exchange {
    /// The all-reduce of so many bytes, in the fastest way.
    #[must_use]
    pub const fn all_reduce(bytes: Bytes) -> Self {
        let algorithm = Algorithm::Best;
        Self::AllReduce { bytes, algorithm }
    }

    /// Seconds that it takes.
    fn seconds(&self, on: &Spread) -> f64 {
        if on.gpus < 2 {
            return 0.0;
        }
        match self {
            Self::AllReduce { bytes, algorithm } => all_reduce(*bytes, *algorithm, on),
            Self::Fitted(fitted) => fitted.seconds(on),
        }
    }
}

/// Seconds of an all-reduce. n GPUs, N islands of at most g; S bytes; latencies of a hop a (inside)
/// and A (outside), bandwidths b and B:
///
/// - ring: 2(n − N)·a + 2(N − 1)·A + 2(n − 1)/n · S/min(b, B)
/// - tree: 2⌈log₂ g⌉·a + 2⌈log₂ N⌉·A + 2S/(0.92·min(b, B))
/// - hierarchical: 2(g − 1)·a + 2(g − 1)/g · S/b + 2(N − 1)·A + 2(N − 1)/N · S/B
#[expect(
    clippy::cast_precision_loss,
    reason = "gradients are below 2^53 bytes, and a rounding would not matter"
)]
fn all_reduce(bytes: Bytes, algorithm: Algorithm, on: &Spread) -> f64 {
    let size = bytes.0 as f64;
    let (gpus, islands, widest) = (on.gpus, on.islands.max(1), on.widest.max(1));
    let (inside, outside) = (on.inside, on.outside);
    let slowest = match (islands > 1, widest > 1) {
        (true, true) => inside.slower(outside),
        (true, false) => outside,
        (false, _) => inside,
    };
    let around = |count: u32| 2.0 * f64::from(count - 1) / f64::from(count);
    let depth = |count: u32| 2.0 * f64::from(count.next_power_of_two().trailing_zeros());
    let ring = || {
        let hops_inside = 2.0 * f64::from(gpus.saturating_sub(islands)) * inside.hop();
        let hops_outside = 2.0 * f64::from(islands - 1) * outside.hop();
        hops_inside + hops_outside + slowest.seconds(around(gpus) * size)
    };
    let tree = || {
        let hops = depth(widest) * inside.hop() + depth(islands) * outside.hop();
        hops + slowest.seconds(2.0 * size / TREE_BANDWIDTH)
    };
    let hierarchical = || {
        let hops_inside = 2.0 * f64::from(widest - 1) * inside.hop();
        let hops_outside = 2.0 * f64::from(islands - 1) * outside.hop();
        let within = inside.seconds(around(widest) * size);
        hops_inside + hops_outside + within + outside.seconds(around(islands) * size)
    };
    match algorithm {
        Algorithm::Ring => ring(),
        Algorithm::Tree => tree(),
        Algorithm::Hierarchical => hierarchical(),
        Algorithm::Best => ring().min(tree()).min(hierarchical()),
    }
}

impl FittedExchange {
    fn seconds(&self, on: &Spread) -> f64 {
        let more = f64::from(on.gpus - 2);
        let scaled = |seconds: f64, measured: u32, pipe: Pipe| {
            if measured > 0 && pipe.is_known() {
                seconds * f64::from(measured) / f64::from(pipe.bandwidth.max(1))
            } else {
                seconds
            }
        };
        if on.islands < 2 {
            let sum = seconds(self.inside) + more * seconds(self.inside_each);
            return scaled(sum, self.measured_inside, on.inside);
        }
        let sharing = (1.0 - 1.0 / f64::from(on.widest)) * 2.0 / f64::from(on.islands - 1);
        let sum = seconds(self.outside)
            + more * seconds(self.outside_each)
            + sharing * seconds(self.shared_card);
        scaled(sum, self.measured_outside, on.outside)
    }
}

impl StepTime {
    pub(super) fn check(&self) -> Result<(), BehaviourError> {
        if self.compute.is_zero() {
            return Err(BehaviourError::NoStep);
        }
        if !(1_000..=10_000).contains(&self.overlap) {
            return Err(BehaviourError::Overlap);
        }
        Ok(())
    }

    /// Seconds of a step on a placement, on GPUs that are `speed` times as fast as the reference.
    ///
    /// ```
    /// use windtunnel_core::{Bytes, Exchange, Pipe, SimDuration, Spread, StepTime};
    /// let step = StepTime {
    ///     compute: SimDuration::from_millis(100),
    ///     accumulate: 0,
    ///     overlap: 1_000, // nothing hidden
    ///     exchange: Exchange::all_reduce(Bytes(1_000_000_000)),
    /// };
    /// let pair = Spread {
    ///     gpus: 2,
    ///     islands: 1,
    ///     widest: 2,
    ///     inside: Pipe { bandwidth: 20_000, latency: 0 }, // 20 GB/s
    ///     outside: Pipe::UNKNOWN,
    /// };
    /// assert_eq!(step.seconds(&pair, 1.0), 0.1 + 1.0 / 20.0); // 2(n - 1)/n = 1 GB at 20 GB/s
    /// ```
    #[must_use]
    pub fn seconds(&self, on: &Spread, speed: f64) -> f64 {
        let pass = seconds(self.compute) / speed;
        let exchange = self.exchange.seconds(on);
        let last = overlapped(pass, exchange, f64::from(self.overlap) / 1_000.0);
        f64::from(self.accumulate) * pass + last
    }
}

/// (a^γ + b^γ)^(1/γ), without leaving the range of a float.
fn overlapped(a: f64, b: f64, gamma: f64) -> f64 {
    let (long, short) = if a < b { (b, a) } else { (a, b) };
    if short <= 0.0 {
        return long;
    }
    if gamma <= 1.0 {
        return long + short;
    }
    let rest = libm::pow(short / long, gamma);
    long * libm::pow(1.0 + rest, 1.0 / gamma)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "steps are far below 2^53 ns, and a rounding would not matter"
)]
fn seconds(duration: SimDuration) -> f64 {
    duration.as_nanos() as f64 * 1e-9
}
