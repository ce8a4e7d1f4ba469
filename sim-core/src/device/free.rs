//! What is free on one node: per GPU, CPU and memory.

use super::{DeviceSet, Grant, MAX_DEVICES, Sharing};
use crate::job::{GpuRequest, TaskRequest};
use crate::units::MILLI_PER_GPU;

/// What is free on one node, as somebody sees it: per GPU, CPU and memory.
///
/// Capacity set aside by a hold is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFree {
    /// Thousandths left on each GPU; zero beyond `devices`.
    pub left: [u16; MAX_DEVICES],
    /// Memory left \[bytes\].
    pub memory: u64,
    /// CPU left [thousandths of a core].
    pub cpu: u32,
    /// Sum of `left`.
    pub milli: u32,
    /// GPUs that are wholly free, as a bit mask.
    pub idle: u16,
    /// GPUs the node has.
    pub devices: u8,
    /// Whether tasks may be placed here at all (up, not cordoned, not known to be down).
    pub open: bool,
}

impl NodeFree {
    /// An empty, open node.
    #[must_use]
    pub fn empty(devices: u8, cpu: u32, memory: u64) -> Self {
        let mut left = [0; MAX_DEVICES];
        left[..usize::from(devices)].fill(1_000);
        Self {
            left,
            memory,
            cpu,
            milli: u32::from(devices) * MILLI_PER_GPU,
            idle: u16::try_from((1_u32 << devices) - 1).unwrap_or(u16::MAX),
            devices,
            open: true,
        }
    }

    /// Tasks like `request` that would fit by their GPUs alone, ignoring CPU and memory.
    ///
    /// `u32::MAX` for a request without GPUs; zero on a node that is not open. Model constraints are
    /// the pool's, not checked here.
    #[must_use]
    pub fn gpu_slots(&self, request: &TaskRequest, sharing: Sharing) -> u32 {
        if !self.open {
            return 0;
        }
        match request.gpus {
            GpuRequest::None => u32::MAX,
            GpuRequest::Whole(count) => self.whole() / u32::from(count.max(1)),
            GpuRequest::Milli(milli) => match sharing {
                Sharing::Exclusive => self.whole(),
                Sharing::Fractions => {
                    let milli = milli.max(1);
                    self.left[..usize::from(self.devices)]
                        .iter()
                        .map(|&left| u32::from(left / milli))
                        .sum()
                }
            },
        }
    }

    /// Tasks like `request` that would fit: the least over GPUs, CPU and memory.
    #[must_use]
    pub fn slots(&self, request: &TaskRequest, sharing: Sharing) -> u32 {
        let mut slots = self.gpu_slots(request, sharing);
        // Divisions are dear, and most nodes of a busy cluster lack GPUs.
        if slots == 0 {
            return 0;
        }
        if let Some(by_cpu) = self.cpu.checked_div(request.cpu.0) {
            slots = slots.min(by_cpu);
        }
        if let Some(by_memory) = self.memory.checked_div(request.memory.0) {
            slots = slots.min(u32::try_from(by_memory).unwrap_or(u32::MAX));
        }
        slots
    }

    /// Whether one task like `request` fits; the model is the pool's to check.
    #[inline]
    #[must_use]
    pub fn fits(&self, request: &TaskRequest, sharing: Sharing) -> bool {
        self.open
            && self.cpu >= request.cpu.0
            && self.memory >= request.memory.0
            && match request.gpus {
                GpuRequest::None => true,
                GpuRequest::Whole(count) => self.whole() >= u32::from(count),
                GpuRequest::Milli(_) if sharing == Sharing::Exclusive => self.idle != 0,
                GpuRequest::Milli(milli) => self.left.iter().any(|&left| left >= milli),
            }
    }

    /// Whether every device of `devices` has `milli_each` left.
    #[must_use]
    pub fn has(&self, devices: DeviceSet, milli_each: u16) -> bool {
        if u32::from(milli_each) == MILLI_PER_GPU {
            return devices.0 & !self.idle == 0;
        }
        devices
            .iter()
            .all(|i| self.left[i] >= milli_each && i < usize::from(self.devices))
    }

    /// Takes a grant and the request's CPU and memory.
    ///
    /// # Panics
    /// If something of it is not there: check first.
    pub fn take(&mut self, grant: Grant, cpu: u32, memory: u64) {
        if u32::from(grant.milli_each) == MILLI_PER_GPU {
            assert!(
                grant.devices.0 & !self.idle == 0,
                "GPU taken beyond what is left: {:#b} of {:#b}",
                grant.devices.0,
                self.idle
            );
            for device in grant.devices.iter() {
                self.left[device] = 0;
            }
        } else {
            for device in grant.devices.iter() {
                let left = &mut self.left[device];
                *left = left
                    .checked_sub(grant.milli_each)
                    .expect("GPU taken beyond what is left");
            }
        }
        if grant.milli_each > 0 {
            self.idle &= !grant.devices.0;
        }
        self.milli -= grant.milli();
        self.cpu = self
            .cpu
            .checked_sub(cpu)
            .expect("CPU taken beyond what is left");
        self.memory = self
            .memory
            .checked_sub(memory)
            .expect("memory taken beyond what is left");
    }

    /// Gives back what [`take`](Self::take) took.
    ///
    /// # Panics
    /// If a GPU would have more than a whole: something was given back twice.
    pub fn give(&mut self, grant: Grant, cpu: u32, memory: u64) {
        if u32::from(grant.milli_each) == MILLI_PER_GPU {
            for device in grant.devices.iter() {
                let before = std::mem::replace(&mut self.left[device], grant.milli_each);
                assert!(
                    before == 0,
                    "GPU {device} given back twice: {before} thousandths were left"
                );
            }
            self.idle |= grant.devices.0;
        } else if grant.milli_each > 0 {
            for device in grant.devices.iter() {
                let left = &mut self.left[device];
                *left += grant.milli_each;
                assert!(
                    *left <= 1_000,
                    "GPU {device} given back twice: {left} thousandths"
                );
                self.idle |= u16::from(*left == 1_000) << device;
            }
        }
        self.milli += grant.milli();
        self.cpu += cpu;
        self.memory += memory;
    }

    /// Adds what is free elsewhere on the same node: set aside for somebody.
    pub(crate) fn add(&mut self, other: &Self) {
        for device in 0..MAX_DEVICES {
            self.left[device] += other.left[device];
            self.idle |= u16::from(self.left[device] == 1_000) << device;
        }
        self.milli += other.milli;
        self.cpu += other.cpu;
        self.memory += other.memory;
    }

    /// The same without some GPUs.
    pub(crate) fn without(mut self, devices: DeviceSet) -> Self {
        for device in devices.iter() {
            self.milli -= u32::from(std::mem::take(&mut self.left[device]));
        }
        self.idle &= !devices.0;
        self
    }

    /// Whether nothing of it is more than in `other`, another state of the same node.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let lefts = self.left.iter().zip(&other.left);
        let gpus = lefts.fold(true, |within, (a, b)| within & (a <= b));
        gpus && self.cpu <= other.cpu && self.memory <= other.memory && self.open <= other.open
    }

    /// GPUs that are wholly free.
    #[must_use]
    pub const fn whole(&self) -> u32 {
        self.idle.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_take_the_least_over_resources() {
        let node = NodeFree::empty(8, 16_000, 64);
        let request = TaskRequest::gpus(2).with_cores(5);
        assert_eq!(node.slots(&request, Sharing::Exclusive), 3);
        assert_eq!(node.gpu_slots(&request, Sharing::Exclusive), 4);
    }

    #[test]
    fn a_fraction_never_spans_devices() {
        let mut node = NodeFree::empty(2, 0, 0);
        for device in 0..2 {
            node.take(
                Grant {
                    devices: DeviceSet::one(device),
                    milli_each: 600,
                },
                0,
                0,
            );
        }
        let half = TaskRequest::gpu_milli(500);
        assert!(
            !node.fits(&half, Sharing::Fractions),
            "800 free in sum, 400 on each"
        );
        assert_eq!(
            node.slots(&TaskRequest::gpu_milli(200), Sharing::Fractions),
            4
        );
    }

    #[test]
    fn taking_and_giving_are_inverse() {
        let fresh = NodeFree::empty(4, 8_000, 100);
        let mut node = fresh;
        let grant = Grant {
            devices: DeviceSet(0b0110),
            milli_each: 1_000,
        };
        node.take(grant, 3_000, 40);
        assert_eq!(
            (node.whole(), node.milli, node.cpu, node.memory),
            (2, 2_000, 5_000, 60)
        );
        node.give(grant, 3_000, 40);
        assert_eq!(node, fresh);
    }
}
