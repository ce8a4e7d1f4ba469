//! From the graph, once: classes, bandwidths, nearest network cards.

use super::graph::{Device, DeviceGraph, GraphError, LinkKind};
use super::network::Exits;
use super::rings::Wires;
use super::subset::Memo;
use super::tree::{Lane, Tree, Way, gpus};
use super::{Nic, PathClass, Topology};
use crate::device::{DeviceSet, MAX_DEVICES};
use crate::units::{Bytes, MilliCores};

/// Weight of a flow on a lane; what is on a lane is counted in fifths of one.
pub(super) const FLOW: u32 = 5;
/// The same for traffic between two GPUs on PCIe lanes through the root complex of an Intel CPU,
/// which costs 6/5 (`INTEL_P2P_OVERHEAD` in NCCL's `topo.cc`).
pub(super) const INTEL_FLOW: u32 = 6;

impl Topology {
    /// What the graph of a node model comes to; `gpu_memory` is the memory of one GPU.
    ///
    /// Classes follow what `nvidia-smi topo -m` prints: NV# where there are NVLinks, direct or through
    /// a switch of them; else by what the way over PCIe goes through. Between NUMA nodes of one socket
    /// it is `NODE`, on AMD `SYS`. Bandwidth is the least of the links on the way, PCIe at 5/6 between
    /// two GPUs through a host bridge of an Intel CPU; NVLinks are used wherever there are any.
    ///
    /// Cost: O(devices² × depth), a few thousand steps for a server.
    ///
    /// # Errors
    /// The graph makes no sense as a node ([`GraphError`]).
    pub fn derive(graph: &DeviceGraph, gpu_memory: Bytes) -> Result<Self, GraphError> {
        graph.check()?;
        let tree = Tree::grow(graph)?;
        let devices: Vec<usize> = gpus(graph).iter().map(|gpu| gpu.index()).collect();
        let count = devices.len();
        let mut numa = [0; MAX_DEVICES];
        for (gpu, &device) in devices.iter().enumerate() {
            numa[gpu] = tree.numa(device);
        }
        let wires = wires(graph, &tree, &devices);
        let (mut paths, mut bandwidth, mut latency) = (Vec::new(), Vec::new(), Vec::new());
        let mut linked = [DeviceSet::EMPTY; MAX_DEVICES];
        for a in 0..count {
            for b in 0..count {
                let way = tree.way(devices[a], devices[b]);
                let over = wires.links(a, b);
                let is_nvlink = a != b && over > 0;
                linked[a].0 |= u16::from(is_nvlink) << b;
                paths.push(if is_nvlink {
                    PathClass::NvLink(over)
                } else {
                    way.class
                });
                bandwidth.push(wires.bandwidth(a, b));
                latency.push(if is_nvlink {
                    wires.nvlink_latency(a, b)
                } else {
                    wires.latency(&way.lanes)
                });
            }
        }
        let (nics, nic_paths, exits) = network(graph, &tree, &devices, &wires);
        Ok(Self {
            gpus: u8::try_from(count).unwrap_or_else(|_| unreachable!("at most 16")),
            gpu_memory,
            cores: cores(graph),
            numa,
            paths,
            linked,
            bandwidth,
            latency,
            nics,
            nic_paths,
            wires,
            exits,
            memo: Memo::default(),
        })
    }

    /// All GPUs of the node.
    #[must_use]
    pub const fn all(&self) -> DeviceSet {
        #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits")]
        DeviceSet(((1_u32 << self.gpus) - 1) as u16)
    }
}

fn cores(graph: &DeviceGraph) -> Vec<MilliCores> {
    let mut cores: Vec<(u8, MilliCores)> = Vec::new();
    for device in graph.devices() {
        if let Device::Numa { id, cores: its } = device {
            cores.push((*id, *its));
        }
    }
    cores.sort_unstable();
    cores.into_iter().map(|(_, cores)| cores).collect()
}

/// What rings are made of.
fn wires(graph: &DeviceGraph, tree: &Tree<'_>, devices: &[usize]) -> Wires {
    let mut wires = Wires::new(devices.len());
    let (mut pcie, mut lane_bandwidth, mut lane_latency) = (Vec::new(), Vec::new(), Vec::new());
    let gpu_at = |device: usize| devices.iter().position(|&gpu| gpu == device);
    let mut switches: Vec<usize> = Vec::new();
    for (a, b, link) in graph.links() {
        for _ in 0..2 {
            pcie.push(matches!(link.kind, LinkKind::Pcie { .. }));
            lane_bandwidth.push(link.bandwidth);
            lane_latency.push(link.latency);
        }
        let LinkKind::NvLink { links } = link.kind else {
            continue;
        };
        match (gpu_at(a), gpu_at(b)) {
            (Some(one), Some(other)) => wires.connect(one, other, links, link),
            (Some(gpu), None) | (None, Some(gpu)) => {
                let switch = if gpu_at(a).is_some() { b } else { a };
                let known = switches.iter().position(|&other| other == switch);
                let place = known.unwrap_or_else(|| {
                    switches.push(switch);
                    wires.add_switch(nodes_of(graph, switch));
                    switches.len() - 1
                });
                wires.plug(place, gpu, links, link);
            }
            (None, None) => {}
        }
    }
    wires.lay(lane_bandwidth, lane_latency);
    for &a in devices {
        for &b in devices {
            let way = tree.way(a, b);
            wires.route(
                way.lanes
                    .iter()
                    .map(|&lane| (lane, weight(&way, lane, &pcie))),
            );
        }
    }
    let mut tour: Vec<usize> = (0..devices.len()).collect();
    tour.sort_by_key(|&gpu| tree.place(devices[gpu]));
    wires.order(&tour);
    wires
}

fn weight(way: &Way, lane: Lane, pcie: &[bool]) -> u32 {
    if way.is_intel && pcie[usize::from(lane)] {
        INTEL_FLOW
    } else {
        FLOW
    }
}

fn nodes_of(graph: &DeviceGraph, switch: usize) -> u32 {
    match graph.device(switch) {
        Device::NvSwitch { nodes } => *nodes,
        _ => 1,
    }
}

/// The network cards, their classes among each other, and the ways out.
fn network(
    graph: &DeviceGraph,
    tree: &Tree<'_>,
    gpus: &[usize],
    wires: &Wires,
) -> (Vec<Nic>, Vec<PathClass>, Exits) {
    let mut exits = Exits::new(graph.graph().node_count(), gpus.len());
    let cards: Vec<usize> = (0..graph.graph().node_count())
        .filter(|&index| matches!(graph.device(index), Device::Nic(_)))
        .collect();
    let mut nics = Vec::with_capacity(cards.len());
    for &card in &cards {
        let Device::Nic(port) = graph.device(card) else {
            continue;
        };
        let ways: Vec<Way> = gpus.iter().map(|&gpu| tree.way(gpu, card)).collect();
        let reach = ways
            .iter()
            .map(|way| wires.narrowest(&way.lanes).min(port.bandwidth));
        nics.push(Nic {
            name: port.name.clone(),
            bandwidth: port.bandwidth,
            numa: tree.numa(card),
            latency: port.latency,
            gpudirect: port.gpudirect,
            reach: reach.collect(),
            paths: ways.iter().map(|way| way.class).collect(),
        });
        exits.card(card, port.bandwidth);
    }
    for (gpu, &device) in gpus.iter().enumerate() {
        let nearest = nics.iter().map(|nic| nic.paths[gpu]).min();
        for (place, &card) in cards.iter().enumerate() {
            if Some(nics[place].paths[gpu]) == nearest {
                let lanes = tree.way(device, card).lanes;
                let arcs = lanes.iter().map(|&lane| {
                    let (from, to) = tree.ends(lane);
                    (from, to, wires.lane(lane))
                });
                exits.exit(gpu, device, place, arcs);
            }
        }
    }
    let among = cards
        .iter()
        .flat_map(|&a| cards.iter().map(move |&b| (a, b)));
    let classes = among.map(|(a, b)| tree.way(a, b).class).collect();
    (nics, classes, exits)
}
