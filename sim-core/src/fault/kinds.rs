//! What can break, and how far along a fault is.

use std::fmt;

use crate::device::DeviceSet;
use crate::time::SimDuration;
use crate::units::{PPM, Ppm};

/// What a fault does to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The whole node fails: nothing on it works.
    Node,
    /// One GPU fails, by its index: what holds it stops, the rest of the node goes on.
    Gpu(u8),
    /// The NVLink of one GPU fails, by the GPU's index: work goes on, slower.
    Nvlink(u8),
    /// A network card, or the link behind it, fails, by its index: work goes on, slower.
    Nic(u8),
    /// The node works at this part of its normal speed: a straggler.
    Slow(Ppm),
    /// Planned maintenance. The node takes no new tasks from the beginning of the fault on; what still
    /// runs after `lead` is ended, unsaved progress lost.
    Drain {
        /// From the beginning to the start of the window.
        lead: SimDuration,
    },
}

impl FaultKind {
    /// Two words for the digest: which kind, and of what or how much.
    pub(crate) const fn words(self) -> [u64; 2] {
        match self {
            Self::Node => [0, 0],
            Self::Gpu(index) => [1, index as u64],
            Self::Nvlink(index) => [2, index as u64],
            Self::Nic(index) => [3, index as u64],
            Self::Slow(to) => [4, to.0 as u64],
            Self::Drain { .. } => [5, 0],
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Gpu(index) => write!(f, "gpu {index}"),
            Self::Nvlink(index) => write!(f, "nvlink {index}"),
            Self::Nic(index) => write!(f, "nic {index}"),
            Self::Slow(to) => write!(f, "speed {}.{} %", to.0 / 10_000, to.0 / 1_000 % 10),
            Self::Drain { .. } => f.write_str("maintenance"),
        }
    }
}

/// How far along a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FaultStep {
    /// It began, in truth. For maintenance: the node drains.
    Began = 0,
    /// It was noticed: what it stopped is lost.
    Noticed = 1,
    /// A maintenance window opened: what still ran was ended.
    Opened = 2,
    /// It is over.
    Ended = 3,
}

impl fmt::Display for FaultStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Began => "began",
            Self::Noticed => "noticed",
            Self::Opened => "opened",
            Self::Ended => "ended",
        })
    }
}

/// Links of one node that are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// GPUs whose NVLink is down.
    pub nvlink: DeviceSet,
    /// Network cards that are down, as a bit mask: bit `i` is card `i`.
    pub nics: u16,
}

impl Links {
    /// Whether every link works.
    #[must_use]
    pub const fn are_up(self) -> bool {
        self.nvlink.is_empty() && self.nics == 0
    }
}

/// A slowdown that slows: neither a standstill nor full speed.
pub(crate) const fn slows(to: Ppm) -> bool {
    to.0 > 0 && to.0 < PPM
}
