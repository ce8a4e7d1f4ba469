//! A unit's speed, node by node: what each node leaves of it, and what they leave together.

use smallvec::SmallVec;

use super::{Neighbours, NodePart, Pipe, Placement, Shares, Speed};
use crate::fabric::Level;
use crate::ids::PoolId;
use crate::job::JobProfile;
use crate::time::SimDuration;
use crate::units::Ppm;

/// What a node leaves a unit of its speed: all that may change there while the unit stays as it is.
///
/// Of several nodes the worst counts, value by value ([`worst`](Self::worst)).
///
/// ```
/// use windtunnel_core::{NodeLimits, Pipe, Ppm};
/// let slow = NodeLimits { compute: Ppm(700_000), ..NodeLimits::NONE };
/// let pipe = Pipe { bandwidth: 12_000, latency: 14_000 };
/// let narrow = NodeLimits { outside: pipe, ..NodeLimits::NONE };
/// let both = slow.worst(narrow);
/// assert_eq!((both.compute, both.outside), (Ppm(700_000), pipe));
/// assert_eq!(both.worst(NodeLimits::NONE), both);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// What is left of the speed of its GPUs.
    pub compute: Ppm,
    /// The share of its cores that are near its GPUs, of the task that has least.
    pub cores: Ppm,
    /// What it gets of GPUs that it shares.
    pub shares: Shares,
    /// What connects its GPUs there; of two with the same bandwidth the first node's.
    pub inside: Pipe,
    /// What leads out: the least bandwidth and the longest latency. Bandwidths of the nodes of one
    /// NVLink domain add up before they are compared.
    pub outside: Pipe,
}

impl NodeLimits {
    /// Nothing is limited.
    pub const NONE: Self = Self {
        compute: Ppm::ONE,
        cores: Ppm::ONE,
        shares: Shares::ALL,
        inside: Pipe::UNKNOWN,
        outside: Pipe::UNKNOWN,
    };

    /// What two nodes leave together; `self` is the one with the smaller number.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self {
            compute: self.compute.min(other.compute),
            cores: self.cores.min(other.cores),
            shares: Shares {
                beside: self.shares.beside.min(other.shares.beside),
                instance: self.shares.instance.min(other.shares.instance),
            },
            inside: if other.inside.bandwidth < self.inside.bandwidth {
                other.inside
            } else {
                self.inside
            },
            outside: Pipe {
                bandwidth: self.outside.bandwidth.min(other.outside.bandwidth),
                latency: self.outside.latency.max(other.outside.latency),
            },
        }
    }
}

/// Where a unit runs, as far as that stays the same while the unit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// GPUs in all.
    pub gpus: u32,
    /// Running tasks.
    pub tasks: u32,
    /// NVLink domains.
    pub islands: u32,
    /// GPUs in that of them that has most.
    pub widest: u32,
    /// The lowest level of the fabric that holds all; `None` is the spine.
    pub level: Option<Level>,
    /// Its pools, in the order of the first node in each.
    pub pools: SmallVec<[PoolId; 2]>,
}

/// What all nodes of a unit leave it together.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The worst of all nodes; `outside` is that of the narrowest NVLink domain.
    pub worst: NodeLimits,
    /// Where it runs.
    pub footprint: &'a Footprint,
}

/// A speed model whose answer can be put together from what it says of each node.
///
/// A unit on many nodes is then asked about again only where something changed: the engine keeps what
/// was said of the others and the worst of all, so a neighbour that comes or goes costs O(tasks on its
/// node + log nodes of the unit).
pub trait SpeedByNode {
    /// What a node leaves of the speed of a unit that runs there and elsewhere: a function of the
    /// unit's tasks on that node and of what else is there.
    fn limits(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        part: &NodePart,
    ) -> NodeLimits;

    /// The speed within these limits: exactly what [`SpeedModel::speed`](super::SpeedModel::speed)
    /// answers. It may cost no more for many nodes than for few.
    fn speed_within(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        limits: &Limits<'_>,
        done: SimDuration,
    ) -> Speed;
}
