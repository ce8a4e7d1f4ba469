//! The bandwidth at which a ring all-reduce runs over a set of GPUs.

use super::Topology;
use super::derive::FLOW;
use super::graph::Link;
use super::packing::{Cycle, most};
use super::tree::Lane;
use crate::device::{DeviceSet, MAX_DEVICES};

/// Most GPUs of which every ring is looked at: 2,520 of eight.
const EXHAUSTIVE: usize = 8;

/// What connects the GPUs, ready for rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wires {
    gpus: usize,
    /// For two GPUs the NVLinks straight between them: how many, \[MB/s\], \[ns\].
    direct: Vec<(u8, u32, u32)>,
    /// Per switch of NVLinks and GPU: links, \[MB/s\], \[ns\].
    switches: Vec<[(u8, u32, u32); MAX_DEVICES]>,
    domain_nodes: u32,
    /// Per lane \[MB/s\] and \[ns\].
    lanes: Vec<(u32, u32)>,
    /// For two GPUs the lanes over PCIe and CPUs, with the weight of a flow on each.
    routes: Vec<Vec<(Lane, u32)>>,
    /// The GPUs in an order in which a ring crosses no link of the trees twice.
    tour: Vec<u8>,
}

impl Wires {
    pub(super) fn new(gpus: usize) -> Self {
        Self {
            gpus,
            direct: vec![(0, 0, 0); gpus * gpus],
            switches: Vec::new(),
            domain_nodes: 1,
            lanes: Vec::new(),
            routes: Vec::new(),
            tour: Vec::new(),
        }
    }

    pub(super) fn connect(&mut self, a: usize, b: usize, links: u8, link: &Link) {
        for at in [a * self.gpus + b, b * self.gpus + a] {
            let (known, bandwidth, latency) = &mut self.direct[at];
            *known = known.saturating_add(links);
            *bandwidth = bandwidth.saturating_add(link.bandwidth);
            *latency = (*latency).max(link.latency);
        }
    }

    pub(super) fn add_switch(&mut self, nodes: u32) {
        self.switches.push([(0, 0, 0); MAX_DEVICES]);
        self.domain_nodes = nodes;
    }

    pub(super) fn plug(&mut self, switch: usize, gpu: usize, links: u8, link: &Link) {
        let (known, bandwidth, latency) = &mut self.switches[switch][gpu];
        *known = known.saturating_add(links);
        *bandwidth = bandwidth.saturating_add(link.bandwidth);
        *latency = (*latency).max(link.latency);
    }

    pub(super) fn lay(&mut self, bandwidth: Vec<u32>, latency: Vec<u32>) {
        self.lanes = bandwidth.into_iter().zip(latency).collect();
    }

    pub(super) fn route(&mut self, lanes: impl Iterator<Item = (Lane, u32)>) {
        self.routes.push(lanes.collect());
    }

    pub(super) fn order(&mut self, tour: &[usize]) {
        #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
        tour.iter().for_each(|&gpu| self.tour.push(gpu as u8));
    }

    /// What a lane carries \[MB/s\].
    pub(super) fn lane(&self, lane: Lane) -> u32 {
        self.lanes[usize::from(lane)].0
    }

    /// The least of some lanes \[MB/s\].
    pub(super) fn narrowest(&self, lanes: &[Lane]) -> u32 {
        let widths = lanes.iter().map(|&lane| self.lane(lane));
        widths.min().unwrap_or(u32::MAX)
    }

    /// Latency of some lanes together \[ns\].
    pub(super) fn latency(&self, lanes: &[Lane]) -> u32 {
        lanes
            .iter()
            .map(|&lane| self.lanes[usize::from(lane)].1)
            .sum()
    }

    /// NVLinks between two GPUs, straight or through switches.
    pub(super) fn links(&self, a: usize, b: usize) -> u8 {
        let through = self.switches.iter().map(|ports| ports[a].0.min(ports[b].0));
        through.fold(self.direct[a * self.gpus + b].0, u8::saturating_add)
    }

    /// What they carry \[MB/s\].
    fn nvlink(&self, a: usize, b: usize) -> u32 {
        let through = self.switches.iter().map(|ports| ports[a].1.min(ports[b].1));
        through.fold(self.direct[a * self.gpus + b].1, u32::saturating_add)
    }

    /// Their latency \[ns\].
    pub(super) fn nvlink_latency(&self, a: usize, b: usize) -> u32 {
        let direct = self.direct[a * self.gpus + b];
        let through = self.switches.iter().map(|ports| ports[a].2.max(ports[b].2));
        if direct.0 > 0 {
            direct.2
        } else {
            through.max().unwrap_or(0)
        }
    }

    /// What the path between two GPUs carries per direction \[MB/s\].
    pub(super) fn bandwidth(&self, a: usize, b: usize) -> u32 {
        if a == b {
            return u32::MAX;
        }
        let nvlink = self.nvlink(a, b);
        if nvlink > 0 {
            return nvlink;
        }
        self.pcie(a, b)
    }

    /// What the path between two GPUs over PCIe and CPUs carries per direction \[MB/s\].
    fn pcie(&self, a: usize, b: usize) -> u32 {
        let lanes = self.routes[a * self.gpus + b].iter();
        let widths = lanes.map(|&(lane, weight)| share(self.lane(lane), weight));
        widths.min().unwrap_or(u32::MAX)
    }

    pub(super) const fn domain_nodes(&self) -> u32 {
        self.domain_nodes
    }

    /// What each GPU can send into the switches of NVLinks, the least of all GPUs \[MB/s\].
    pub(super) fn domain_bandwidth(&self) -> u32 {
        let port = |gpu: usize| self.switches.iter().map(|ports| ports[gpu].1).sum();
        (0..self.gpus).map(port).min().unwrap_or(0)
    }

    /// The bus bandwidth of a set of at least three \[MB/s\].
    fn rings(&self, set: DeviceSet) -> u32 {
        let gpus: Vec<usize> = set.iter().collect();
        let through = self.switches.iter();
        let ports = |ports: &[(u8, u32, u32); MAX_DEVICES]| {
            let widths = gpus.iter().map(|&gpu| ports[gpu].1);
            widths.min().unwrap_or(0)
        };
        let switched = through.map(ports).fold(0, u32::saturating_add);
        let nvlink = switched.saturating_add(self.direct_rings(&gpus));
        nvlink.max(self.one_ring(set, &gpus, nvlink))
    }

    /// Rings over NVLinks straight between GPUs, as many as the links carry.
    fn direct_rings(&self, gpus: &[usize]) -> u32 {
        if gpus.len() > EXHAUSTIVE {
            return 0;
        }
        let mut edge_of = vec![usize::MAX; self.gpus * self.gpus];
        let mut capacities = Vec::new();
        for (place, &a) in gpus.iter().enumerate() {
            for &b in &gpus[place + 1..] {
                let width = self.direct[a * self.gpus + b].1;
                if width > 0 {
                    edge_of[a * self.gpus + b] = capacities.len();
                    edge_of[b * self.gpus + a] = capacities.len();
                    capacities.push(width);
                }
            }
        }
        let mut cycles = Vec::new();
        let mut ring = vec![gpus[0]];
        self.cycles(gpus, &edge_of, &mut ring, 0, &mut cycles);
        // Each ring runs in both directions.
        most(&capacities, &cycles, 2)
    }

    /// Every ring over NVLinks that begins so, once and not also backwards.
    fn cycles(
        &self,
        gpus: &[usize],
        edge_of: &[usize],
        ring: &mut Vec<usize>,
        edges: Cycle,
        found: &mut Vec<Cycle>,
    ) {
        let last = ring[ring.len() - 1];
        if ring.len() == gpus.len() {
            let edge = edge_of[last * self.gpus + ring[0]];
            if edge != usize::MAX && ring[1] < last {
                found.push(edges | 1 << edge);
            }
            return;
        }
        for &next in gpus {
            let edge = edge_of[last * self.gpus + next];
            if edge == usize::MAX || ring.contains(&next) {
                continue;
            }
            ring.push(next);
            self.cycles(gpus, edge_of, ring, edges | 1 << edge, found);
            ring.pop();
        }
    }

    /// The best single ring over whatever connects its neighbours, if it is better than `least`.
    fn one_ring(&self, set: DeviceSet, gpus: &[usize], least: u32) -> u32 {
        let mut search = Search {
            wires: self,
            load: vec![0; self.lanes.len()],
            best: least,
        };
        if gpus.len() > EXHAUSTIVE {
            let tour = self.tour.iter().map(|&gpu| usize::from(gpu));
            let ring: Vec<usize> = tour.filter(|&gpu| set.0 >> gpu & 1 == 1).collect();
            let mut width = u32::MAX;
            for (place, &gpu) in ring.iter().enumerate() {
                width = width.min(search.step(gpu, ring[(place + 1) % ring.len()]));
            }
            return width;
        }
        let mut ring = vec![gpus[0]];
        search.go(gpus, &mut ring, u32::MAX);
        search.best
    }
}

/// What a lane gives each of the flows on it, whose weights sum to `load`.
fn share(width: u32, load: u32) -> u32 {
    let share = u64::from(width) * u64::from(FLOW) / u64::from(load.max(1));
    u32::try_from(share).unwrap_or(u32::MAX)
}

/// A search for the best ring by branch and bound.
struct Search<'w> {
    wires: &'w Wires,
    /// Weights of the flows on each lane.
    load: Vec<u32>,
    best: u32,
}

impl Search<'_> {
    /// Puts a flow on its lanes; the least that any of them still gives.
    fn step(&mut self, from: usize, to: usize) -> u32 {
        let nvlink = self.wires.nvlink(from, to);
        if nvlink > 0 {
            return nvlink;
        }
        let mut width = u32::MAX;
        for &(lane, weight) in &self.wires.routes[from * self.wires.gpus + to] {
            let load = &mut self.load[usize::from(lane)];
            *load += weight;
            width = width.min(share(self.wires.lane(lane), *load));
        }
        width
    }

    fn back(&mut self, from: usize, to: usize) {
        if self.wires.nvlink(from, to) == 0 {
            for &(lane, weight) in &self.wires.routes[from * self.wires.gpus + to] {
                self.load[usize::from(lane)] -= weight;
            }
        }
    }

    fn go(&mut self, gpus: &[usize], ring: &mut Vec<usize>, width: u32) {
        let last = ring[ring.len() - 1];
        if ring.len() == gpus.len() {
            let width = width.min(self.step(last, ring[0]));
            self.back(last, ring[0]);
            self.best = self.best.max(width);
            return;
        }
        for &next in gpus {
            if ring.contains(&next) {
                continue;
            }
            let width = width.min(self.step(last, next));
            if width > self.best {
                ring.push(next);
                self.go(gpus, ring, width);
                ring.pop();
            }
            self.back(last, next);
        }
    }
}

impl Topology {
    /// The bus bandwidth of an all-reduce over a set of GPUs, \[MB/s\]: what nccl-tests calls `busbw`,
    /// `(S/t) × 2(n−1)/n`. `u32::MAX` for fewer than two GPUs, which have nothing to send.
    ///
    /// Two GPUs: what their path carries. More: the best that rings give.
    /// - Over switches of NVLinks every GPU sends and receives at the full rate of its links.
    /// - Over NVLinks straight between GPUs: as many rings as the links carry, each in both
    ///   directions; the most of all ways to share the links among rings, exactly.
    /// - Over anything, one ring: the least over the lanes (a link in one direction) of its bandwidth
    ///   divided by the flows on it; the best of all rings. PCIe counts 6/5 through Intel CPUs.
    ///
    /// The best of these. Rings over NVLinks are what a cube mesh has: 3 of them, 6 lanes of 20 GB/s.
    /// Reduction inside NVSwitches (NVLS) is not a ring: it gives H100 boxes some 30 % more than this.
    /// Of sets of more than eight GPUs one ring is looked at, in the order of the PCIe tree, and no
    /// packing of straight NVLinks, so there it is a lower bound.
    ///
    /// Cost: a load of the answer, once it is known; before, up to some milliseconds for eight GPUs.
    ///
    /// Source of the constants: [`Link`]; of the formula: design note in `docs/HARDWARE.md`.
    ///
    /// # Panics
    /// If the node does not have a GPU of the set.
    #[must_use]
    pub fn collective(&self, set: DeviceSet) -> u32 {
        assert!(
            set.0 & !self.all().0 == 0,
            "the node has no such GPU: {set:?}"
        );
        match set.len() {
            0 | 1 => u32::MAX,
            2 => {
                let (a, b) = (set.0.trailing_zeros(), 15 - set.0.leading_zeros());
                self.bandwidth(a as usize, b as usize)
            }
            _ => self
                .memo
                .collective(set, self.gpus, || self.wires.rings(set)),
        }
    }

    /// How many nodes the NVLink domain of this one spans: 1, or 18 for the trays of an NVL72 rack.
    #[must_use]
    pub const fn nvlink_domain_nodes(&self) -> u32 {
        self.wires.domain_nodes()
    }

    /// What each GPU can send within the NVLink domain, over its switches, per direction \[MB/s\]; 0
    /// without switches.
    #[must_use]
    pub fn nvlink_domain_bandwidth(&self) -> u32 {
        self.wires.domain_bandwidth()
    }
}
