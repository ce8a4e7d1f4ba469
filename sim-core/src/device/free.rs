//! What is free on one node: per GPU, CPU and memory.

use super::{DeviceSet, Grant, MAX_DEVICES, Sharing};
use crate::device::MigProfile;
use crate::job::{GpuRequest, TaskRequest};
use crate::units::MILLI_PER_GPU;

/// What is free on one node, as somebody sees it: per GPU, CPU and memory.
///
/// Capacity set aside by a hold is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFree {
    /// Thousandths left to grant on each GPU; zero beyond `devices`.
    pub left: [u16; MAX_DEVICES],
    /// Memory slices taken of each GPU, as a bit mask, where the pool shares by MIG; else none.
    pub taken: [u8; Self::MIG_DEVICES],
    /// Memory left \[bytes\].
    pub memory: u64,
    /// CPU left [thousandths of a core].
    pub cpu: u32,
    /// Sum of `left`.
    pub milli: u32,
    /// GPUs that are wholly free, as a bit mask.
    pub idle: u16,
    /// How its GPUs are shared.
    pub sharing: Sharing,
    /// GPUs the node has.
    pub devices: u8,
    /// Whether tasks may be placed here at all (up, not cordoned, not known to be down).
    pub open: bool,
}

impl NodeFree {
    /// Most GPUs of a node whose pool shares by MIG: the whole is one cache line that way.
    pub const MIG_DEVICES: usize = 8;

    /// An empty, open node of exclusive GPUs.
    #[must_use]
    pub fn empty(devices: u8, cpu: u32, memory: u64) -> Self {
        let mut left = [0; MAX_DEVICES];
        left[..usize::from(devices)].fill(1_000);
        Self {
            left,
            taken: [0; Self::MIG_DEVICES],
            sharing: Sharing::Exclusive,
            memory,
            cpu,
            milli: u32::from(devices) * MILLI_PER_GPU,
            idle: u16::try_from((1_u32 << devices) - 1).unwrap_or(u16::MAX),
            devices,
            open: true,
        }
    }

    /// The same, empty still, with its GPUs shared so.
    #[must_use]
    pub fn shared(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self.left[..usize::from(self.devices)].fill(sharing.full_each());
        self.milli = u32::from(self.devices) * u32::from(sharing.full_each());
        self
    }

    /// Leaves nothing of a GPU, whatever was: for plans that keep it for somebody.
    pub fn close_gpu(&mut self, device: usize) {
        self.milli -= u32::from(self.left[device]);
        self.left[device] = 0;
        self.idle &= !(1 << device);
        if let Some(taken) = self.taken.get_mut(device)
            && matches!(self.sharing, Sharing::Mig(_))
        {
            *taken = u8::MAX;
        }
    }

    /// The same without a free GPU.
    pub(crate) fn without_gpus(mut self) -> Self {
        self.left = [0; MAX_DEVICES];
        (self.milli, self.idle) = (0, 0);
        if matches!(self.sharing, Sharing::Mig(_)) {
            self.taken = [u8::MAX; Self::MIG_DEVICES];
        }
        self
    }

    /// Slices taken of a GPU, where the pool shares by MIG.
    fn taken_of(&self, device: usize) -> u8 {
        self.taken.get(device).copied().unwrap_or(u8::MAX)
    }

    /// Whether one GPU can serve what a request asks of each.
    pub(crate) fn gpu_serves(&self, device: usize, gpus: GpuRequest, sharing: Sharing) -> bool {
        match sharing {
            Sharing::Mig(table) => table.profile(gpus).fits(self.taken_of(device)) > 0,
            sharing => self.left[device] >= sharing.granted_each(gpus),
        }
    }

    /// Which device, and which of its slices, an instance of a profile goes to: those that leave the
    /// most placements, then the device with the least left, then the lowest. O(devices × starts).
    pub(crate) fn best_slices(&self, profile: &MigProfile) -> Option<(usize, u8)> {
        let Sharing::Mig(table) = self.sharing else {
            return None;
        };
        let devices = 0..usize::from(self.devices).min(Self::MIG_DEVICES);
        let found = devices.filter_map(|device| {
            let (mask, spoiled) = table.best(profile, self.taken[device])?;
            Some((spoiled, self.left[device], device, mask))
        });
        found.min().map(|(_, _, device, mask)| (device, mask))
    }

    /// The grant of a request on devices that were chosen: with the slices that leave the most
    /// placements, where the pool shares by MIG. `None` if it is not free there.
    #[inline]
    #[must_use]
    pub fn grant(&self, devices: DeviceSet, gpus: GpuRequest) -> Option<Grant> {
        match (self.sharing, gpus) {
            // The common case: nothing but whole GPUs.
            (Sharing::Exclusive, GpuRequest::Whole(_)) => {
                let is_right = devices.len() == gpus.devices();
                (is_right && devices.0 & !self.idle == 0).then_some(Grant::of(devices, WHOLE))
            }
            _ => self.grant_shared(devices, gpus),
        }
    }

    /// The same where GPUs may be shared, or none is asked for.
    fn grant_shared(&self, devices: DeviceSet, gpus: GpuRequest) -> Option<Grant> {
        let milli_each = self.sharing.granted_each(gpus);
        let mut grant = Grant::of(devices, milli_each);
        if let (Sharing::Mig(table), false) = (self.sharing, devices.is_empty()) {
            grant.slices = if gpus.is_part() {
                let device = devices.iter().next()?;
                table.best(table.profile(gpus), self.taken_of(device))?.0
            } else {
                table.all()
            };
        }
        let is_right = devices.len() == gpus.devices();
        (is_right && self.has_grant(grant)).then_some(grant)
    }

    /// Whether exactly this is free.
    #[must_use]
    pub fn has_grant(&self, grant: Grant) -> bool {
        let mut devices = grant.devices.iter();
        self.has(grant.devices, grant.milli_each)
            && (grant.slices == 0 || devices.all(|at| self.taken_of(at) & grant.slices == 0))
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
            gpus if sharing.overcommits() => self.slot_sets(gpus, sharing),
            GpuRequest::Whole(count) => self.whole() / u32::from(count.max(1)),
            part => match sharing {
                Sharing::Fractions | Sharing::Mps => {
                    let milli = sharing.granted_each(part).max(1);
                    self.left[..usize::from(self.devices)]
                        .iter()
                        .map(|&left| u32::from(left / milli))
                        .sum()
                }
                Sharing::Mig(table) => {
                    let profile = table.profile(part);
                    let devices = usize::from(self.devices).min(Self::MIG_DEVICES);
                    let taken = self.taken[..devices].iter();
                    taken.map(|&taken| profile.fits(taken)).sum()
                }
                _ => self.whole(),
            },
        }
    }

    /// Tasks that fit one after the other, each taking a slot on as many different GPUs as it asks for:
    /// the largest `n` for which the GPUs have n × count slots, counting at most n of each.
    fn slot_sets(&self, gpus: GpuRequest, sharing: Sharing) -> u32 {
        let each = sharing.granted_each(gpus).max(1);
        let count = gpus.devices().max(1);
        let slots = self.left[..usize::from(self.devices)].iter();
        let slots = slots.map(|&left| u32::from(left / each));
        let enough = |n: u32| slots.clone().map(|slots| slots.min(n)).sum::<u32>() >= n * count;
        let mut most = slots.clone().sum::<u32>() / count;
        while !enough(most) {
            // At most what counting at most so many of each allows; it shrinks to the answer.
            most = slots.clone().map(|slots| slots.min(most)).sum::<u32>() / count;
        }
        most
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
                GpuRequest::Whole(count) if !sharing.overcommits() => {
                    self.whole() >= u32::from(count)
                }
                GpuRequest::Milli(_) | GpuRequest::Instance(_) if sharing == Sharing::Exclusive => {
                    self.idle != 0
                }
                gpus => self.fits_shared(gpus, sharing),
            }
    }

    /// Whether a request fits on GPUs that are shared.
    fn fits_shared(&self, gpus: GpuRequest, sharing: Sharing) -> bool {
        match (sharing, gpus) {
            (Sharing::Fractions | Sharing::Mps, gpus) if gpus.is_part() => {
                let milli = sharing.granted_each(gpus);
                self.left.iter().any(|&left| left >= milli)
            }
            (Sharing::Mig(table), gpus) if gpus.is_part() => {
                let profile = table.profile(gpus);
                let devices = usize::from(self.devices).min(Self::MIG_DEVICES);
                self.taken[..devices]
                    .iter()
                    .any(|&taken| profile.fits(taken) > 0)
            }
            _ => {
                let each = sharing.granted_each(gpus);
                let with_slot = self.left.iter().filter(|&&left| left >= each);
                with_slot.count() >= gpus.devices() as usize
            }
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
            if grant.devices.0 & !self.idle != 0 {
                taken_beyond(grant, self.idle);
            }
            // All at once: without branches it is a few vector operations.
            for (left, &moves) in self.left.iter_mut().zip(&MOVES) {
                *left &= spread(grant.devices, moves) ^ u16::MAX;
            }
            self.idle &= !grant.devices.0;
        } else {
            self.take_parts(grant);
        }
        if grant.slices != 0 {
            self.take_slices(grant);
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

    #[inline(never)]
    fn take_parts(&mut self, grant: Grant) {
        for device in grant.devices.iter() {
            let left = &mut self.left[device];
            *left = left
                .checked_sub(grant.milli_each)
                .expect("GPU taken beyond what is left");
        }
        if grant.milli_each > 0 {
            self.idle &= !grant.devices.0;
        }
    }

    #[cold]
    fn take_slices(&mut self, grant: Grant) {
        for device in grant.devices.iter() {
            let taken = &mut self.taken[device];
            assert!(
                *taken & grant.slices == 0,
                "slices of GPU {device} taken twice"
            );
            *taken |= grant.slices;
        }
    }

    /// Gives back what [`take`](Self::take) took.
    ///
    /// # Panics
    /// If a GPU would have more than a whole: something was given back twice.
    pub fn give(&mut self, grant: Grant, cpu: u32, memory: u64) {
        if u32::from(grant.milli_each) == MILLI_PER_GPU {
            let mut before = 0;
            for (left, &moves) in self.left.iter_mut().zip(&MOVES) {
                let given = spread(grant.devices, moves);
                before |= *left & given;
                *left |= given & grant.milli_each;
            }
            if before != 0 {
                given_twice(grant);
            }
            self.idle |= grant.devices.0;
        } else if grant.milli_each > 0 {
            self.give_parts(grant);
        }
        // A task that gave up its GPUs keeps its slices' names.
        if grant.slices != 0 && grant.milli_each > 0 {
            self.give_slices(grant);
        }
        self.milli += grant.milli();
        self.cpu += cpu;
        self.memory += memory;
    }

    #[inline(never)]
    fn give_parts(&mut self, grant: Grant) {
        let full = self.sharing.full_each();
        for device in grant.devices.iter() {
            let left = &mut self.left[device];
            *left += grant.milli_each;
            assert!(
                *left <= full,
                "GPU {device} given back twice: {left} thousandths"
            );
            self.idle |= u16::from(*left == full) << device;
        }
    }

    #[cold]
    fn give_slices(&mut self, grant: Grant) {
        for device in grant.devices.iter() {
            let taken = &mut self.taken[device];
            assert!(
                *taken & grant.slices == grant.slices,
                "slices of GPU {device} given back twice"
            );
            *taken &= !grant.slices;
        }
    }

    /// Adds what is free elsewhere on the same node: set aside for somebody.
    pub(crate) fn add(&mut self, other: &Self) {
        for device in 0..MAX_DEVICES {
            self.left[device] += other.left[device];
            self.idle |= u16::from(self.left[device] == self.sharing.full_each()) << device;
        }
        for (taken, theirs) in self.taken.iter_mut().zip(other.taken) {
            *taken &= theirs;
        }
        self.milli += other.milli;
        self.cpu += other.cpu;
        self.memory += other.memory;
    }

    /// The same without some GPUs.
    pub(crate) fn without(mut self, devices: DeviceSet) -> Self {
        for device in devices.iter() {
            self.close_gpu(device);
        }
        self
    }

    /// Whether nothing of it is more than in `other`, another state of the same node.
    #[inline]
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let rest = self.cpu <= other.cpu && self.memory <= other.memory && self.open <= other.open;
        if self.sharing == Sharing::Exclusive {
            // A GPU is wholly free or not at all.
            return rest && self.idle & !other.idle == 0;
        }
        rest && self.gpus_are_within(other)
    }

    /// The same of the GPUs alone.
    fn gpus_are_within(&self, other: &Self) -> bool {
        let lefts = self.left.iter().zip(&other.left);
        let gpus = lefts.fold(true, |within, (a, b)| within & (a <= b));
        let (taken, theirs) = (
            u64::from_le_bytes(self.taken),
            u64::from_le_bytes(other.taken),
        );
        gpus && theirs & !taken == 0
    }

    /// Whether it is equal to another state of the same node.
    #[inline]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.idle == other.idle
            && (self.left == other.left)
                & (self.taken == other.taken)
                & (self.milli == other.milli)
                & (self.cpu == other.cpu)
                & (self.memory == other.memory)
                & (self.open == other.open)
    }

    /// GPUs that are wholly free.
    #[must_use]
    pub const fn whole(&self) -> u32 {
        DeviceSet(self.idle).len()
    }
}

/// All of a GPU.
#[expect(clippy::cast_possible_truncation, reason = "1000")]
const WHOLE: u16 = MILLI_PER_GPU as u16;

#[cold]
#[inline(never)]
fn taken_beyond(grant: Grant, idle: u16) -> ! {
    let devices = grant.devices.0;
    panic!("GPU taken beyond what is left: {devices:#b} of {idle:#b}");
}

#[cold]
#[inline(never)]
fn given_twice(grant: Grant) -> ! {
    panic!("of GPUs {:#b} some were given back twice", grant.devices.0);
}

/// What moves each GPU's bit to the highest place.
const MOVES: [u16; MAX_DEVICES] = {
    let mut moves = [0; MAX_DEVICES];
    let mut device = 0;
    while device < MAX_DEVICES {
        moves[device] = 1 << (MAX_DEVICES - 1 - device);
        device += 1;
    }
    moves
};

/// All bits if the GPU whose bit is moved so is in a set, else none: a product and a shift, for all GPUs
/// at once.
#[inline]
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the highest bit is spread"
)]
const fn spread(devices: DeviceSet, moves: u16) -> u16 {
    (devices.0.wrapping_mul(moves) as i16 >> 15) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{MigInstance, MigTable};
    use crate::world::occupy::assume;
    use proptest::prelude::*;

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
            node.take(Grant::of(DeviceSet::one(device), 600), 0, 0);
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
        let grant = Grant::of(DeviceSet(0b0110), 1_000);
        node.take(grant, 3_000, 40);
        assert_eq!(
            (node.whole(), node.milli, node.cpu, node.memory),
            (2, 2_000, 5_000, 60)
        );
        node.give(grant, 3_000, 40);
        assert_eq!(node, fresh);
    }

    const MODES: [Sharing; 8] = [
        Sharing::Exclusive,
        Sharing::Fractions,
        Sharing::Mps,
        Sharing::TimeSliced { slots: 3 },
        Sharing::TimeSliced { slots: 48 },
        Sharing::Unchecked,
        Sharing::Mig(MigTable::H100x80),
        Sharing::Mig(MigTable::A30x24),
    ];

    fn request(kind: u16) -> TaskRequest {
        match kind {
            0..=3 => TaskRequest::gpus(kind + 1),
            4..200 => TaskRequest::mig(MigInstance::ALL[usize::from(kind % 5)]),
            milli => TaskRequest::gpu_milli(milli),
        }
    }

    proptest! {
        /// In every mode, what is taken and given back in any order leaves what was there; what is said
        /// to fit does, as often as is said and no more; slices never overlap.
        #[test]
        fn grants_come_and_go(
            mode in 0..MODES.len(),
            gpus in 0_u8..5,
            steps in prop::collection::vec((any::<bool>(), 0_u16..1_000, any::<prop::sample::Index>()), 1..60),
        ) {
            let sharing = MODES[mode];
            let fresh = NodeFree::empty(gpus, 0, 0).shared(sharing);
            let mut node = fresh;
            let mut granted: Vec<Grant> = Vec::new();
            for (gives, kind, which) in steps {
                if gives && !granted.is_empty() {
                    let grant = granted.swap_remove(which.index(granted.len()));
                    node.give(grant, 0, 0);
                    continue;
                }
                let want = request(kind);
                let grant = assume(&node, &want, sharing);
                prop_assert_eq!(node.fits(&want, sharing), grant.is_some());
                prop_assert_eq!(node.slots(&want, sharing) > 0, grant.is_some());
                if sharing != Sharing::Unchecked {
                    let mut full = node;
                    let mut count = 0;
                    while let Some(grant) = assume(&full, &want, sharing) {
                        full.take(grant, 0, 0);
                        count += 1;
                    }
                    prop_assert_eq!(node.slots(&want, sharing), count);
                }
                if let Some(grant) = grant {
                    let before = node;
                    node.take(grant, 0, 0);
                    prop_assert!(node.is_within(&before) && !before.is_within(&node));
                    for other in granted.iter().filter(|other| other.devices.overlaps(grant.devices)) {
                        prop_assert_eq!(other.slices & grant.slices, 0);
                    }
                    granted.push(grant);
                }
            }
            for grant in granted {
                node.give(grant, 0, 0);
            }
            prop_assert_eq!(node, fresh);
        }
    }
}
