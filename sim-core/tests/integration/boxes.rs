//! Boxes for tests of speed: node models with what connects their GPUs.

use std::sync::Arc;

use windtunnel_core::topology::{Cpu, Device, DeviceGraph, DeviceId, Link, Port, Topology};
use windtunnel_core::{Bytes, MilliCores, NodeModel};

/// Two sockets, `per_switch` GPUs below each PCIe switch, and a card of `card` MB/s below each of the
/// first `cards` switches.
pub(crate) struct Box8 {
    pub(crate) cpu: Cpu,
    pub(crate) generation: u8,
    pub(crate) gpus: u8,
    pub(crate) per_switch: u8,
    pub(crate) cards: u8,
    pub(crate) card: u32,
}

impl Box8 {
    fn graph(&self) -> (DeviceGraph, Vec<DeviceId>) {
        let mut graph = DeviceGraph::new();
        let numas = [0, 1].map(|id| {
            let socket = graph.add(Device::Socket { cpu: self.cpu });
            let cores = MilliCores::cores(32);
            let numa = graph.add(Device::Numa { id, cores });
            graph.link(socket, numa, Link::inside());
            (socket, numa)
        });
        graph.link(numas[0].0, numas[1].0, Link::socket(self.cpu));
        let switches = self.gpus / self.per_switch;
        let mut gpus = Vec::new();
        for place in 0..switches {
            let bridge = graph.add(Device::HostBridge);
            let numa = numas[usize::from(place * 2 / switches)].1;
            graph.link(numa, bridge, Link::inside());
            let switch = graph.add(Device::PcieSwitch);
            graph.link(bridge, switch, Link::pcie(self.generation));
            for _ in 0..self.per_switch {
                let index = u8::try_from(gpus.len()).unwrap();
                let gpu = graph.add(Device::Gpu { index });
                graph.link(switch, gpu, Link::pcie(self.generation));
                gpus.push(gpu);
            }
            if place < self.cards {
                let name = format!("mlx5_{place}");
                let nic = graph.add(Device::Nic(Port {
                    name,
                    bandwidth: self.card,
                    latency: 1_500,
                    gpudirect: true,
                }));
                graph.link(switch, nic, Link::pcie(self.generation));
            }
        }
        (graph, gpus)
    }
}

fn node(name: &str, gpu_model: &str, gpus: u8, graph: &DeviceGraph) -> NodeModel {
    let topology = Topology::derive(graph, Bytes::gib(80)).unwrap();
    let mut model = NodeModel::gpus_only(gpu_model, gpus).with_topology(Arc::new(topology));
    name.clone_into(&mut model.name);
    model
}

/// Eight H100 on NVSwitches, eight cards of 400 Gb/s.
pub(crate) fn hgx() -> NodeModel {
    let parts = Box8 {
        cpu: Cpu::SapphireRapids,
        generation: 5,
        gpus: 8,
        per_switch: 1,
        cards: 8,
        card: 48_000,
    };
    let (mut graph, gpus) = parts.graph();
    let switch = graph.add(Device::NvSwitch { nodes: 1 });
    for gpu in gpus {
        graph.link(gpu, switch, Link::nvlink(4, 18));
    }
    node("hgx", "h100", 8, &graph)
}

/// Eight A100 on PCIe, pairs of neighbours bridged, one card of 200 Gb/s.
pub(crate) fn bridged() -> NodeModel {
    let parts = Box8 {
        cpu: Cpu::Skylake,
        generation: 4,
        gpus: 8,
        per_switch: 2,
        cards: 1,
        card: 24_000,
    };
    let (mut graph, gpus) = parts.graph();
    for pair in gpus.chunks(2) {
        graph.link(pair[0], pair[1], Link::nvlink(3, 12));
    }
    node("bridged", "a100", 8, &graph)
}

/// Eight V100 in a cube mesh, four cards of 100 Gb/s.
pub(crate) fn cube_mesh() -> NodeModel {
    let parts = Box8 {
        cpu: Cpu::Broadwell,
        generation: 3,
        gpus: 8,
        per_switch: 2,
        cards: 4,
        card: 12_000,
    };
    let (mut graph, gpus) = parts.graph();
    let double = [
        (0, 3),
        (0, 4),
        (1, 2),
        (1, 5),
        (2, 3),
        (4, 7),
        (5, 6),
        (6, 7),
    ];
    let single = [
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 6),
        (3, 7),
        (4, 5),
        (4, 6),
        (5, 7),
    ];
    let pairs = double.map(|pair| (pair, 2)).into_iter();
    for ((a, b), links) in pairs.chain(single.map(|pair| (pair, 1))) {
        graph.link(gpus[a], gpus[b], Link::nvlink(2, links));
    }
    node("cube-mesh", "v100", 8, &graph)
}
