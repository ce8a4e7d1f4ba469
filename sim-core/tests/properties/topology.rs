//! Random nodes: classes, bandwidths and best subsets against plain recomputations.

use proptest::prelude::*;
use windtunnel_core::topology::{
    Cpu, Device, DeviceGraph, DeviceId, Link, PathClass, Port, Topology,
};
use windtunnel_core::{Bytes, DeviceSet, MilliCores};

/// A node: where each GPU hangs, NVLinks, network cards, whether there is an NVSwitch.
#[derive(Clone, Debug)]
struct Node {
    cpu: Cpu,
    /// Per GPU: socket, host bridge, and whether behind its switch.
    gpus: Vec<(usize, usize, bool)>,
    nvlinks: Vec<(usize, usize, u8)>,
    nics: Vec<(usize, usize, u32)>,
    has_switch: bool,
}

fn node() -> impl Strategy<Value = Node> {
    let cpus = prop::sample::select(vec![Cpu::Skylake, Cpu::Amd, Cpu::SapphireRapids]);
    let gpu = (0..2_usize, 0..2_usize, any::<bool>());
    let nvlink = (0..8_usize, 0..8_usize, 1..3_u8);
    let nic = (0..2_usize, 0..2_usize, 1_000..50_000_u32);
    let gpus = prop::collection::vec(gpu, 1..=7);
    let nvlinks = prop::collection::vec(nvlink, 0..14);
    (cpus, gpus, nvlinks, prop::collection::vec(nic, 0..4), 0..5).prop_map(
        |(cpu, gpus, nvlinks, nics, switch)| Node {
            cpu,
            nvlinks: nvlinks
                .into_iter()
                .filter(|&(a, b, _)| a < b && b < gpus.len())
                .collect(),
            gpus,
            nics,
            has_switch: switch == 0,
        },
    )
}

impl Node {
    fn topology(&self) -> Topology {
        let mut graph = DeviceGraph::new();
        let mut bridges: Vec<(DeviceId, DeviceId)> = Vec::new();
        let mut before = None;
        for id in 0..2 {
            let socket = graph.add(Device::Socket { cpu: self.cpu });
            let cores = MilliCores::cores(8);
            let numa = graph.add(Device::Numa { id, cores });
            graph.link(socket, numa, Link::inside());
            if let Some(before) = before {
                graph.link(before, socket, Link::socket(self.cpu));
            }
            before = Some(socket);
            for _ in 0..2 {
                let bridge = graph.add(Device::HostBridge);
                graph.link(numa, bridge, Link::inside());
                let switch = graph.add(Device::PcieSwitch);
                graph.link(bridge, switch, Link::pcie(4));
                bridges.push((bridge, switch));
            }
        }
        let mut gpus = Vec::new();
        for (index, &(socket, bridge, behind)) in (0..).zip(&self.gpus) {
            let gpu = graph.add(Device::Gpu { index });
            let (bridge, switch) = bridges[2 * socket + bridge];
            graph.link(if behind { switch } else { bridge }, gpu, Link::pcie(4));
            gpus.push(gpu);
        }
        for &(a, b, links) in &self.nvlinks {
            graph.link(gpus[a], gpus[b], Link::nvlink(3, links));
        }
        if self.has_switch {
            let switch = graph.add(Device::NvSwitch { nodes: 1 });
            for &gpu in &gpus {
                graph.link(gpu, switch, Link::nvlink(3, 6));
            }
        }
        for (place, &(socket, bridge, bandwidth)) in self.nics.iter().enumerate() {
            let port = Port {
                name: format!("nic{place}"),
                bandwidth,
                latency: 1_000,
                gpudirect: true,
            };
            let nic = graph.add(Device::Nic(port));
            graph.link(bridges[2 * socket + bridge].1, nic, Link::pcie(4));
        }
        Topology::derive(&graph, Bytes::gib(16)).unwrap()
    }

    /// NVLinks between two GPUs.
    fn links(&self, a: usize, b: usize) -> u8 {
        let direct = self.nvlinks.iter();
        let direct = direct.filter(|&&(x, y, _)| (x, y) == (a.min(b), a.max(b)));
        let direct: u8 = direct.map(|(.., links)| links).sum();
        direct + if self.has_switch { 6 } else { 0 }
    }

    /// The class and the bandwidth of a pair, from the description alone.
    fn pair(&self, a: usize, b: usize) -> (PathClass, u32) {
        let links = self.links(a, b);
        if links > 0 {
            return (PathClass::NvLink(links), 20_000 * u32::from(links));
        }
        let intel = if self.cpu == Cpu::Amd { 24_000 } else { 20_000 };
        let socket = match self.cpu {
            Cpu::Skylake => 10_000,
            Cpu::Amd => 16_000,
            _ => 22_000,
        };
        let ((sa, ba, wa), (sb, bb, wb)) = (self.gpus[a], self.gpus[b]);
        match (sa == sb, ba == bb, wa && wb) {
            (true, true, true) => (PathClass::Pix, 24_000),
            (true, true, false) => (PathClass::Phb, intel),
            (true, false, _) => (PathClass::Node, intel),
            (false, ..) => (PathClass::Sys, intel.min(socket)),
        }
    }

    /// Bandwidth that leaves each side of every cut of a set over NVLinks; no rings carry more.
    fn narrowest_cut(&self, set: DeviceSet) -> u32 {
        let parts = (1..set.0).filter(|part| part & !set.0 == 0);
        let cut = |part: u16| -> u32 {
            let (inside, outside) = (DeviceSet(part), DeviceSet(set.0 & !part));
            let pairs = inside
                .iter()
                .flat_map(|a| outside.iter().map(move |b| (a, b)));
            let links = pairs.map(|(a, b)| u32::from(self.links(a, b)));
            20_000 * links.sum::<u32>()
        };
        parts.map(cut).min().unwrap_or(u32::MAX)
    }
}

/// The best k of a set, by trying all and comparing what is documented.
fn plain_best(node: &Topology, free: DeviceSet, k: u32) -> DeviceSet {
    let mut best: Option<((u32, u32, u32), DeviceSet)> = None;
    for mask in 1..=free.0 {
        let set = DeviceSet(mask);
        if mask & !free.0 != 0 || set.len() != k {
            continue;
        }
        let rest = DeviceSet(free.0 & !mask);
        let worth = (
            node.collective(set),
            node.network(set),
            node.collective(rest),
        );
        if best.is_none_or(|(other, _)| worth > other) {
            best = Some((worth, set));
        }
    }
    best.unwrap().1
}

proptest! {
    #[test]
    fn pairs_are_what_connects_them(node in node()) {
        let topology = node.topology();
        for a in 0..node.gpus.len() {
            prop_assert_eq!(topology.path(a, a), PathClass::Same);
            for b in (0..node.gpus.len()).filter(|&b| b != a) {
                let found = (topology.path(a, b), topology.bandwidth(a, b));
                prop_assert_eq!(found, node.pair(a, b));
                let both = DeviceSet(1 << a | 1 << b);
                prop_assert_eq!(topology.collective(both), node.pair(a, b).1);
            }
        }
    }

    /// No ring carries more than crosses a cut of its set, nor more than the fastest pair if it is of PCIe.
    #[test]
    fn rings_keep_within_their_cuts(node in node()) {
        let topology = node.topology();
        for mask in 1..=topology.all().0 {
            let set = DeviceSet(mask);
            let found = topology.collective(set);
            if set.len() < 3 {
                continue;
            }
            let pairs = || set.iter().flat_map(|a| set.iter().map(move |b| (a, b)));
            let fastest = pairs().filter(|(a, b)| a < b).map(|(a, b)| node.pair(a, b).1).max();
            prop_assert!(found > 0);
            // Over PCIe nobody gets more than its own link; over NVLinks no more than a cut has.
            prop_assert!(found <= node.narrowest_cut(set).max(24_000), "{set:?}");
            if node.nvlinks.is_empty() && !node.has_switch {
                prop_assert!(Some(found) <= fastest);
            }
        }
    }

    #[test]
    fn the_best_subset_is_the_best_of_all(node in node(), free in any::<u16>()) {
        let topology = node.topology();
        let free = DeviceSet(free & topology.all().0);
        for k in 1..=free.len() {
            let best = plain_best(&topology, free, k);
            prop_assert_eq!(topology.best_subset(free, k), Some(best));
            prop_assert_eq!(topology.best_subset(free, k), Some(best), "remembered");
        }
        prop_assert_eq!(topology.best_subset(free, 0), Some(DeviceSet::EMPTY));
        prop_assert_eq!(topology.best_subset(free, free.len() + 1), None);
    }

    /// More GPUs send no less, and no more than all ports carry.
    #[test]
    fn the_network_grows_with_the_set(node in node()) {
        let topology = node.topology();
        let ports: u32 = node.nics.iter().map(|nic| nic.2).sum();
        for mask in 1..=topology.all().0 {
            let all = topology.network(DeviceSet(mask));
            prop_assert!(all <= ports);
            for gpu in DeviceSet(mask).iter() {
                prop_assert!(topology.network(DeviceSet(mask & !(1 << gpu))) <= all);
            }
        }
    }
}
