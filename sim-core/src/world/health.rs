//! What is broken in one node, in truth and as noticed, and what is planned for it.

use crate::device::{DeviceSet, Grant, NodeFree, Sharing};
use crate::fault::{FaultKind, Links, slows};
use crate::time::SimTime;
use crate::units::Ppm;

/// One fault that lasts.
#[derive(Clone, Copy, Debug)]
struct Ailment {
    /// Names it, on its node, for ever.
    id: u32,
    what: FaultKind,
    /// When it began.
    since: SimTime,
}

/// A node's ailments beyond whether it is down, and their sum.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// What lasts at present; nearly always empty.
    ailments: Vec<Ailment>,
    next: u32,
    /// GPUs that have failed, in truth.
    pub(crate) gpus: DeviceSet,
    /// Those of them whose failure was noticed: out of service, nobody can be granted them.
    pub(crate) seen: DeviceSet,
    pub(crate) links: Links,
    /// At which part of its normal speed the node works.
    pub(crate) slow: Ppm,
    /// It takes no new tasks because maintenance is near or under way.
    pub(crate) draining: bool,
    /// Tries to bring its driver up: after boots, after repairs.
    pub(crate) installs: [u32; 2],
}

impl Default for Health {
    fn default() -> Self {
        Self {
            ailments: Vec::new(),
            next: 0,
            gpus: DeviceSet::EMPTY,
            seen: DeviceSet::EMPTY,
            links: Links::default(),
            slow: Ppm::ONE,
            draining: false,
            installs: [0; 2],
        }
    }
}

impl Health {
    /// Whether a fault would change anything on a node of so many GPUs: what is broken already, or not
    /// there, does not break.
    pub(crate) fn is_open_to(&self, what: FaultKind, gpus: u8) -> bool {
        let whole = |set: DeviceSet, gpu: u8| gpu < gpus && set.0 >> gpu & 1 == 0;
        match what {
            FaultKind::Node => true,
            FaultKind::Gpu(gpu) => whole(self.gpus, gpu),
            FaultKind::Nvlink(gpu) => whole(self.links.nvlink, gpu),
            FaultKind::Nic(nic) => nic < 16 && self.links.nics >> nic & 1 == 0,
            FaultKind::Slow(to) => slows(to) && self.slow == Ppm::ONE,
            FaultKind::Drain { .. } => !self.draining,
        }
    }

    /// A fault begins; the id by which it is known.
    pub(crate) fn begin(&mut self, what: FaultKind, since: SimTime) -> u32 {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.ailments.push(Ailment { id, what, since });
        self.set(what, true);
        id
    }

    /// What a fault that lasts is, and since when; `None` if it is over.
    pub(crate) fn find(&self, id: u32) -> Option<(FaultKind, SimTime)> {
        let found = self.ailments.iter().find(|ailment| ailment.id == id)?;
        Some((found.what, found.since))
    }

    /// A fault is over.
    pub(crate) fn end(&mut self, id: u32) {
        if let Some(place) = self.ailments.iter().position(|ailment| ailment.id == id) {
            let ailment = self.ailments.remove(place);
            self.set(ailment.what, false);
        }
    }

    /// Failures of the whole node are over: it was switched off and on.
    pub(crate) fn restart(&mut self) {
        self.ailments.retain(|found| found.what != FaultKind::Node);
    }

    /// Everything is over: another node takes this one's place. Faults keep their numbers, so that the
    /// end of an old one is no end of a new one.
    pub(crate) fn replace(&mut self, free: &mut NodeFree) {
        free.give(out_of_service(self.seen, free.sharing), 0, 0);
        *self = Self {
            next: self.next,
            installs: self.installs,
            ..Self::default()
        };
    }

    /// When maintenance begins that the node drains for.
    pub(crate) fn window(&self) -> Option<SimTime> {
        self.ailments.iter().find_map(|found| match found.what {
            FaultKind::Drain { lead } => found.since.checked_add(lead),
            _ => None,
        })
    }

    fn set(&mut self, what: FaultKind, on: bool) {
        let mark = |set: &mut u16, bit: u8| *set = *set & !(1 << bit) | u16::from(on) << bit;
        match what {
            FaultKind::Node => {}
            FaultKind::Gpu(gpu) => mark(&mut self.gpus.0, gpu),
            FaultKind::Nvlink(gpu) => mark(&mut self.links.nvlink.0, gpu),
            FaultKind::Nic(nic) => mark(&mut self.links.nics, nic),
            FaultKind::Slow(to) => self.slow = if on { to } else { Ppm::ONE },
            FaultKind::Drain { .. } => self.draining = on,
        }
    }
}

/// All of some GPUs, as if somebody held them: what takes failed ones out of what is free.
pub(crate) fn out_of_service(devices: DeviceSet, sharing: Sharing) -> Grant {
    let slices = match sharing {
        Sharing::Mig(table) => table.all(),
        _ => 0,
    };
    Grant {
        devices,
        milli_each: sharing.full_each(),
        slices,
    }
}
