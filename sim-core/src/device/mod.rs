//! GPUs inside one node: which are free, how they are shared, and who chooses among them.

mod agents;
mod choose;
mod cores;
mod free;
mod instance;
mod mig;
mod reach;
mod sharing;

pub use agents::{Alignment, Arbitrary, NvidiaPlugin, SlurmGres, TopologyAware, TopologyManager};
pub(crate) use choose::count_only;
pub use choose::{
    Choice, ChooserClone, CountOnly, DeviceChooser, DeviceRequest, NodeState, Refusal,
};
pub use cores::{Cores, MAX_NUMA};
pub use free::NodeFree;
pub use instance::{MigInstance, MigNameError};
pub use mig::{MigProfile, MigTable};
pub use sharing::Sharing;

/// Most GPUs a node may have.
pub const MAX_DEVICES: usize = 16;

/// A set of the GPUs of one node, as a bit mask: bit `i` is GPU `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceSet(pub u16);

impl DeviceSet {
    /// No GPU.
    pub const EMPTY: Self = Self(0);

    /// The set of GPU `index`.
    #[must_use]
    pub const fn one(index: u32) -> Self {
        Self(1 << index)
    }

    /// Number of GPUs in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        // Not every processor counts bits by itself, and this is asked for a dozen times per task.
        let [low, high] = self.0.to_le_bytes();
        SIZES[low as usize] as u32 + SIZES[high as usize] as u32
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether GPU `index` is in the set.
    #[must_use]
    pub const fn contains(self, index: usize) -> bool {
        index < MAX_DEVICES && self.0 >> index & 1 == 1
    }

    /// Whether two sets have a GPU in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Indices in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let device = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            Some(device)
        })
    }
}

/// How many bits of a byte are set.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut byte = 1;
    while byte < 256 {
        sizes[byte] = sizes[byte / 2] + (byte % 2 == 1) as u8;
        byte += 1;
    }
    sizes
};

/// GPUs a task holds on its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Which devices.
    pub devices: DeviceSet,
    /// Thousandths of each of them.
    pub milli_each: u16,
    /// Memory slices of each of them, as a bit mask, where the pool shares by MIG; else none.
    pub slices: u8,
}

impl Grant {
    /// `milli_each` thousandths of each of `devices`.
    #[must_use]
    pub const fn of(devices: DeviceSet, milli_each: u16) -> Self {
        Self {
            devices,
            milli_each,
            slices: 0,
        }
    }

    /// Thousandths of a GPU over all devices.
    #[must_use]
    pub const fn milli(self) -> u32 {
        self.devices.len() * self.milli_each as u32
    }

    /// The same without some devices.
    pub(crate) const fn without(self, devices: DeviceSet) -> Self {
        Self {
            devices: DeviceSet(self.devices.0 & !devices.0),
            milli_each: self.milli_each,
            slices: self.slices,
        }
    }
}
