//! Fragmentation kept up to date node by node against a plain recomputation, at every instant.

use proptest::prelude::*;
use windtunnel_core::fragmentation::{SIZES, SPANS};
use windtunnel_core::{
    Fragmentation, FragmentationMeter, MigBlocked, MigProfile, NodeId, NodeView, Observer, Sharing,
    SlotMeter, SlotsLeft, Target, Targets, View,
};

use crate::chaos::{Case, Log, case, shared_case};

struct Checker {
    case: Case,
    targets: Targets,
    meter: FragmentationMeter,
    slots: SlotMeter,
}

/// Slots counted one by one: pools and groups apart, node after node.
fn slots_plainly(view: &View<'_>) -> SlotsLeft {
    let mut left = SlotsLeft::default();
    let nodes = || (0..u32::try_from(view.node_count()).unwrap()).map(|id| view.node(NodeId(id)));
    for node in nodes().filter(|node| node.free().open && node.capacity().devices > 0) {
        let all = node.capacity().milli;
        left.gpu_milli += u64::from(all);
        left.allocated_milli += u64::from(all - node.free().milli);
        left.nodes += 1;
        left.partly += u64::from(![0, all].contains(&node.free().milli));
    }
    for (span, row) in SPANS.iter().zip(&mut left.slots) {
        for (k, sum) in SIZES.iter().zip(row) {
            let mut free: std::collections::BTreeMap<_, u32> = std::collections::BTreeMap::new();
            for node in nodes().filter(|node| node.free().open) {
                let gpus = u32::from(node.capacity().devices);
                let mut whole = node.free().whole();
                if *k <= gpus {
                    while whole >= *k {
                        whole -= k;
                        *sum += 1;
                    }
                } else if gpus > 0 && whole == gpus {
                    let group = span.map(|level| view.places().group(node.id(), level));
                    let mine = free.entry((group, node.pool())).or_default();
                    *mine += 1;
                    if *mine * gpus >= *k {
                        *mine = 0;
                        *sum += 1;
                    }
                }
            }
        }
    }
    left
}

impl Checker {
    fn new(case: &Case) -> Self {
        let targets = Targets::typical(&case.jobs());
        Self {
            case: case.clone(),
            meter: FragmentationMeter::new(targets.clone()),
            targets,
            slots: SlotMeter::default(),
        }
    }

    /// F and stranded of one node for one target, as the table in the docs has it.
    fn of_node(&self, node: &NodeView<'_>, target: &Target) -> (u32, u32) {
        let (free, want) = (node.free(), &target.request);
        let model = self.case.supply().pools[node.pool().index()]
            .model
            .gpu_model
            .clone();
        let model: u32 = model[1..].parse().unwrap();
        let all = free.milli;
        if want.gpus.devices() == 0 || (want.models != 0 && want.models >> model & 1 == 0) {
            return (all, 0);
        }
        let sharing = self.case.sharing(node.pool());
        let each = sharing.granted_each(want.gpus);
        let serves = |at: &usize| match sharing {
            // Some legal start, all of whose slices are free.
            Sharing::Mig(table) => {
                let profile = table.profile(want.gpus);
                let is_free = |slice: u8| free.taken[*at] >> slice & 1 == 0;
                let fits = |start: &u8| (*start..start + profile.memory).all(is_free);
                profile.starts.iter().any(fits)
            }
            _ => free.left[*at] >= each,
        };
        let (able, small): (Vec<usize>, Vec<usize>) =
            (0..usize::from(free.devices)).partition(serves);
        let fits = able.len() >= want.gpus.devices() as usize;
        let (cpu, memory) = (free.cpu >= want.cpu.0, free.memory >= want.memory.0);
        let small = small.into_iter().map(|at| u32::from(free.left[at])).sum();
        match (fits, cpu, memory) {
            (true, true, true) => (small, 0),
            (true, true, false) => (small, all),
            (true, false, _) => (all, all),
            (false, ..) => (all, 0),
        }
    }

    fn plainly(&self, view: &View<'_>) -> Fragmentation {
        let mut sum = Fragmentation {
            weight: self.targets.weight(),
            ..Fragmentation::default()
        };
        for node in view.nodes().filter(|node| node.free().open) {
            sum.idle_milli += u64::from(node.free().milli);
            for (slots, k) in sum.slots.iter_mut().zip([1, 2, 4, 8]) {
                *slots += u64::from(node.free().whole() / k);
            }
            for target in self.targets.list() {
                let (fragmented, stranded) = self.of_node(&node, target);
                sum.fragmented += u128::from(target.count) * u128::from(fragmented);
                sum.stranded += u128::from(target.count) * u128::from(stranded);
            }
        }
        sum
    }
}

/// The most compute and memory slices that instances can have on what is left of a GPU from a slice on,
/// by trying them all, from left to right.
fn most(profiles: &[MigProfile], taken: u8, from: u8) -> (u8, u8) {
    let mut most = (0, 0);
    for profile in profiles {
        for start in profile.starts.iter().filter(|start| **start >= from) {
            let slices = (*start..start + profile.memory).fold(0_u8, |all, at| all | 1 << at);
            if slices & taken == 0 {
                let (compute, memory) = self::most(profiles, taken, start + profile.memory);
                most.0 = most.0.max(compute + profile.compute);
                most.1 = most.1.max(memory + profile.memory);
            }
        }
    }
    most
}

/// What no further instance can have, GPU by GPU.
fn blocked_plainly(view: &View<'_>) -> MigBlocked {
    let mut sum = MigBlocked::default();
    for node in view.nodes().filter(|node| node.free().open) {
        let Sharing::Mig(table) = node.sharing() else {
            continue;
        };
        let tasks = node
            .tasks()
            .map(|task| (task.grant().unwrap_or_default(), task.request().gpus));
        let aside = node.set_aside().map(|part| (part.grant, part.amount.gpus));
        let grants: Vec<_> = tasks
            .chain(aside)
            .filter(|(grant, _)| grant.milli_each > 0)
            .collect();
        for device in 0..usize::from(node.free().devices) {
            if node.failed_gpus().contains(device) {
                continue;
            }
            let here = || {
                grants
                    .iter()
                    .filter(|(grant, _)| grant.devices.contains(device))
            };
            let taken = here().fold(0_u8, |taken, (grant, _)| taken | grant.slices);
            let compute: u8 = here().map(|(_, gpus)| table.profile(*gpus).compute).sum();
            let more = most(table.profiles(), taken, 0);
            let free = u8::try_from(taken.count_zeros()).unwrap() - (8 - table.slices());
            sum.gpus += 1;
            sum.compute += u64::from(table.compute_slices() - compute - more.0);
            sum.memory += u64::from(free - more.1);
        }
    }
    sum
}

impl Observer for Checker {
    fn on_instant(&mut self, view: &View<'_>) {
        self.meter.refresh(view);
        assert_eq!(*self.meter.now(), self.plainly(view));
        self.slots.refresh(view);
        assert_eq!(*self.slots.now(), slots_plainly(view));
        assert_eq!(MigBlocked::of(view), blocked_plainly(view));
    }
}

proptest! {
    #[test]
    fn the_meter_is_a_plain_sum(case in case()) {
        let mut checker = Checker::new(&case);
        // A run that breaks off was checked until then.
        let _ = case.simulation(&Log::default()).run_with(&mut checker);
    }

    #[test]
    fn the_meter_is_a_plain_sum_however_gpus_are_shared(case in shared_case()) {
        let mut checker = Checker::new(&case);
        let _ = case.simulation(&Log::default()).run_with(&mut checker);
    }
}
