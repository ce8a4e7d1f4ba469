//! Fragmentation kept up to date node by node against a plain recomputation, at every instant.

use proptest::prelude::*;
use windtunnel_core::fragmentation::{SIZES, SPANS};
use windtunnel_core::{
    Fragmentation, FragmentationMeter, NodeId, NodeView, Observer, Sharing, SlotMeter, SlotsLeft,
    Target, Targets, View,
};

use crate::chaos::{Case, Log, case};

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

impl Observer for Checker {
    fn on_instant(&mut self, view: &View<'_>) {
        self.meter.refresh(view);
        assert_eq!(*self.meter.now(), self.plainly(view));
        self.slots.refresh(view);
        assert_eq!(*self.slots.now(), slots_plainly(view));
    }
}

proptest! {
    #[test]
    fn the_meter_is_a_plain_sum(case in case()) {
        let mut checker = Checker::new(&case);
        // A run that breaks off was checked until then.
        let _ = case.simulation(&Log::default()).run_with(&mut checker);
    }
}
