//! What is free on one node, and what a task would get of it, in every sharing mode.

use windtunnel_core::units::MILLI_PER_GPU;
use windtunnel_core::{GpuRequest, Grant, NodeFree, Sharing, TaskRequest};

use super::mig;

/// What is free on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) sharing: Sharing,
    /// Thousandths that each GPU has to grant; for slots, so many of them.
    pub(crate) left: Vec<u32>,
    /// Slices that instances lie on.
    pub(crate) taken: Vec<u8>,
    pub(crate) cpu: u64,
    pub(crate) memory: u64,
}

/// A GPU that a task gets: which, how many thousandths, and on which slices.
pub(crate) type Part = (usize, u32, u8);

/// Thousandths granted on each GPU of a request.
pub(crate) fn granted_each(sharing: Sharing, gpus: GpuRequest) -> u32 {
    match (sharing, gpus) {
        (_, GpuRequest::None) => 0,
        (Sharing::TimeSliced { slots }, _) => MILLI_PER_GPU / u32::from(slots),
        (Sharing::Unchecked, _) => 1,
        (Sharing::Fractions | Sharing::Mps, GpuRequest::Milli(milli)) => milli.into(),
        (Sharing::Mig(table), GpuRequest::Milli(milli)) => {
            mig::milli(table, &mig::serving(table, milli.into()))
        }
        _ => MILLI_PER_GPU,
    }
}

/// Thousandths that an idle GPU has to grant.
pub(crate) fn full_each(sharing: Sharing) -> u32 {
    match sharing {
        Sharing::TimeSliced { slots } => u32::from(slots) * (MILLI_PER_GPU / u32::from(slots)),
        _ => MILLI_PER_GPU,
    }
}

/// Whether many tasks have the whole of a GPU at once.
pub(crate) fn is_crowded(sharing: Sharing) -> bool {
    matches!(sharing, Sharing::TimeSliced { .. } | Sharing::Unchecked)
}

impl Room {
    pub(crate) fn empty(sharing: Sharing, gpus: u8, cpu: u64, memory: u64) -> Self {
        Self {
            sharing,
            left: vec![full_each(sharing); usize::from(gpus)],
            taken: vec![0; usize::from(gpus)],
            cpu,
            memory,
        }
    }

    /// What a plan has of a node.
    pub(crate) fn of(free: &NodeFree) -> Self {
        let gpus = usize::from(free.devices);
        let left = free.left[..gpus].iter().map(|left| u32::from(*left));
        let taken = |gpu| free.taken.get(gpu).copied().unwrap_or(u8::MAX);
        Self {
            sharing: free.sharing,
            left: left.collect(),
            taken: (0..gpus).map(taken).collect(),
            cpu: free.cpu.into(),
            memory: free.memory,
        }
    }

    /// Somebody has this.
    pub(crate) fn lay(&mut self, grant: Grant) {
        if grant.milli_each == 0 {
            return;
        }
        for device in grant.devices.iter() {
            self.left[device] -= u32::from(grant.milli_each);
            assert_eq!(self.taken[device] & grant.slices, 0, "slices overlap");
            self.taken[device] |= grant.slices;
        }
    }

    /// The GPUs a task would get by the count-only rule, if it fits; `bare` ignores the rest.
    pub(crate) fn seat(&self, want: &TaskRequest, bare: bool) -> Option<Vec<Part>> {
        let rest = self.cpu >= u64::from(want.cpu.0) && self.memory >= want.memory.0;
        if !rest && !bare {
            return None;
        }
        let each = granted_each(self.sharing, want.gpus);
        let able = (0..self.left.len()).filter(|gpu| self.left[*gpu] >= each);
        match (want.gpus, self.sharing) {
            (GpuRequest::None, _) => Some(Vec::new()),
            (GpuRequest::Milli(_), Sharing::Fractions | Sharing::Mps) => {
                let tightest = able.min_by_key(|gpu| (self.left[*gpu], *gpu))?;
                Some(vec![(tightest, each, 0)])
            }
            (GpuRequest::Milli(milli), Sharing::Mig(table)) => {
                let profile = mig::serving(table, milli.into());
                let best = |gpu: usize| Some((gpu, mig::best(table, profile, self.taken[gpu])?));
                let best = (0..self.left.len()).filter_map(best);
                let (gpu, (_, mask)) =
                    best.min_by_key(|&(gpu, (spoiled, _))| (spoiled, self.left[gpu], gpu))?;
                Some(vec![(gpu, each, mask)])
            }
            (gpus, sharing) => {
                let mut able: Vec<usize> = able.collect();
                if matches!(sharing, Sharing::TimeSliced { .. }) {
                    able.sort_by_key(|gpu| (u32::MAX - self.left[*gpu], *gpu));
                }
                let mask = match sharing {
                    Sharing::Mig(table) => mig::all(table),
                    _ => 0,
                };
                let chosen = able.get(..gpus.devices() as usize)?;
                Some(chosen.iter().map(|gpu| (*gpu, each, mask)).collect())
            }
        }
    }

    pub(crate) fn take(&mut self, want: &TaskRequest, parts: &[Part], bare: bool) {
        for &(gpu, milli, mask) in parts {
            self.left[gpu] -= milli;
            self.taken[gpu] |= mask;
        }
        if !bare {
            self.cpu -= u64::from(want.cpu.0);
            self.memory -= want.memory.0;
        }
    }

    /// Tasks like one that fit, however their GPUs are chosen where they are slots.
    pub(crate) fn count(&self, want: &TaskRequest) -> u64 {
        let mut count = if is_crowded(self.sharing) && want.gpus != GpuRequest::None {
            self.count_slots(want.gpus)
        } else {
            let (mut rest, mut count) = (self.clone(), 0);
            let endless = want.gpus == GpuRequest::None;
            while let Some(parts) = rest.seat(want, true).filter(|_| !endless) {
                rest.take(want, &parts, true);
                count += 1;
            }
            if endless { u64::from(u16::MAX) } else { count }
        };
        let by_cpu = self.cpu.checked_div(want.cpu.0.into());
        let by_memory = self.memory.checked_div(want.memory.0);
        for most in [by_cpu, by_memory].into_iter().flatten() {
            count = count.min(most);
        }
        count
    }

    /// Every task takes a slot on as many different GPUs: with n tasks no GPU is of use for more than n.
    fn count_slots(&self, gpus: GpuRequest) -> u64 {
        let each = granted_each(self.sharing, gpus);
        let slots = || self.left.iter().map(move |left| u64::from(left / each));
        let fit = |n: &u64| {
            let there: u64 = slots().map(|slots| slots.min(*n)).sum();
            there >= n * u64::from(gpus.devices())
        };
        (0..=slots().sum()).rev().find(fit).unwrap()
    }
}
