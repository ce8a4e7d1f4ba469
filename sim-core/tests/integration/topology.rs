//! Topologies built by hand, against what is known of the machines they stand for.

use windtunnel_core::topology::{
    Cpu, Device, DeviceGraph, DeviceId, GraphError, Link, PathClass, Port, Topology,
};
use windtunnel_core::{Bytes, DeviceSet, MilliCores};

/// The NVLinks of a V100 cube mesh: GPU, GPU, links.
const CUBE_MESH: [(usize, usize, u8); 16] = [
    (0, 1, 1),
    (0, 2, 1),
    (0, 3, 2),
    (0, 4, 2),
    (1, 2, 2),
    (1, 3, 1),
    (1, 5, 2),
    (2, 3, 2),
    (2, 6, 1),
    (3, 7, 1),
    (4, 5, 1),
    (4, 6, 1),
    (4, 7, 2),
    (5, 6, 2),
    (5, 7, 1),
    (6, 7, 2),
];

/// A node under construction: sockets with one NUMA node each.
struct Build {
    graph: DeviceGraph,
    numas: Vec<DeviceId>,
    gpus: Vec<DeviceId>,
}

impl Build {
    fn new(cpu: Cpu, sockets: u8) -> Self {
        let mut graph = DeviceGraph::new();
        let mut before = None;
        let mut numas = Vec::new();
        for id in 0..sockets {
            let socket = graph.add(Device::Socket { cpu });
            let cores = MilliCores::cores(16);
            let numa = graph.add(Device::Numa { id, cores });
            graph.link(socket, numa, Link::inside());
            if let Some(before) = before {
                graph.link(before, socket, Link::socket(cpu));
            }
            before = Some(socket);
            numas.push(numa);
        }
        let gpus = Vec::new();
        Self { graph, numas, gpus }
    }

    fn bridge(&mut self, numa: usize) -> DeviceId {
        let bridge = self.graph.add(Device::HostBridge);
        self.graph.link(self.numas[numa], bridge, Link::inside());
        bridge
    }

    fn switch(&mut self, above: DeviceId, generation: u8) -> DeviceId {
        let switch = self.graph.add(Device::PcieSwitch);
        self.graph.link(above, switch, Link::pcie(generation));
        switch
    }

    fn gpu(&mut self, above: DeviceId, generation: u8) -> DeviceId {
        let index = u8::try_from(self.gpus.len()).unwrap();
        let gpu = self.graph.add(Device::Gpu { index });
        self.graph.link(above, gpu, Link::pcie(generation));
        self.gpus.push(gpu);
        gpu
    }

    fn nic(&mut self, above: DeviceId, name: &str, bandwidth: u32, generation: u8) -> DeviceId {
        let port = Port {
            name: name.to_owned(),
            bandwidth,
            latency: 1_500,
            gpudirect: true,
        };
        let nic = self.graph.add(Device::Nic(port));
        self.graph.link(above, nic, Link::pcie(generation));
        nic
    }

    fn topology(&self) -> Topology {
        Topology::derive(&self.graph, Bytes::gib(32)).unwrap()
    }

    /// Four switches with two GPUs and a network card each, two per socket; a cube mesh over it.
    fn cube_mesh() -> Self {
        let mut build = Self::new(Cpu::Broadwell, 2);
        for place in 0..4 {
            let bridge = build.bridge(place / 2);
            let switch = build.switch(bridge, 3);
            build.gpu(switch, 3);
            build.gpu(switch, 3);
            build.nic(switch, &format!("mlx5_{place}"), 11_500, 3);
        }
        for (a, b, links) in CUBE_MESH {
            let (a, b) = (build.gpus[a], build.gpus[b]);
            build.graph.link(a, b, Link::nvlink(2, links));
        }
        build
    }

    /// Eight GPUs behind host bridges of their own, four per socket, on one NVSwitch.
    fn switched() -> Self {
        let mut build = Self::new(Cpu::SapphireRapids, 2);
        let switch = build.graph.add(Device::NvSwitch { nodes: 1 });
        for place in 0..8 {
            let bridge = build.bridge(place / 4);
            let gpu = build.gpu(bridge, 5);
            build.graph.link(gpu, switch, Link::nvlink(4, 18));
        }
        build
    }
}

fn set(gpus: &[u32]) -> DeviceSet {
    DeviceSet(gpus.iter().fold(0, |set, gpu| set | 1 << gpu))
}

#[test]
fn a_cube_mesh_has_rings_over_some_sets_and_not_over_others() {
    let mesh = Build::cube_mesh().topology();
    // Six links per GPU make three rings, each in both directions: six lanes of 20 GB/s.
    assert_eq!(mesh.collective(mesh.all()), 120_000);
    assert_eq!(mesh.collective(set(&[0, 1, 2, 3])), 80_000);
    assert_eq!(mesh.collective(set(&[0, 3, 4, 7])), 40_000);
    assert_eq!(mesh.collective(set(&[0, 3])), 40_000, "two links");
    assert_eq!(mesh.collective(set(&[0, 1])), 20_000, "one link");
    // No link between them: over both PCIe trees and the link between the sockets.
    for far in [[0, 5], [1, 4]] {
        assert_eq!(mesh.path(far[0], far[1]), PathClass::Sys);
        let far = DeviceSet(1 << far[0] | 1 << far[1]);
        assert_eq!(mesh.collective(far), 6_000);
    }
    // One GPU without links to the others spoils the ring of all.
    assert_eq!(mesh.collective(set(&[0, 3, 5])), 6_000);
    assert_eq!(mesh.best_subset(mesh.all(), 4), Some(set(&[0, 1, 2, 3])));
    assert_eq!(mesh.best_subset(set(&[0, 1, 4, 5]), 2), Some(set(&[0, 4])));
}

#[test]
fn network_cards_are_shared_and_capped() {
    let mesh = Build::cube_mesh().topology();
    assert_eq!(mesh.network(set(&[0])), 11_500);
    assert_eq!(mesh.network(set(&[0, 1])), 11_500, "one card for both");
    assert_eq!(mesh.network(set(&[0, 2])), 23_000);
    assert_eq!(mesh.network(mesh.all()), 46_000);
    assert_eq!(mesh.nearest_nics(5), [2]);
    assert_eq!(mesh.nics()[2].paths[5], PathClass::Pix);
    assert_eq!(mesh.nic_path(0, 1), PathClass::Node);
    assert_eq!(mesh.nic_path(0, 2), PathClass::Sys);

    // One card on the first socket: the second reaches it over the link between them, all together.
    let mut build = Build::new(Cpu::Broadwell, 2);
    for place in 0..4 {
        let bridge = build.bridge(place / 2);
        build.gpu(bridge, 3);
    }
    let bridge = build.bridge(0);
    build.nic(bridge, "ib0", 11_500, 3);
    let far = build.topology();
    assert_eq!(far.network(set(&[0])), 11_500);
    assert_eq!(far.network(set(&[2])), 6_000);
    assert_eq!(far.network(set(&[2, 3])), 6_000);
    assert_eq!(far.network(set(&[0, 3])), 11_500);
    assert_eq!(far.nics()[0].reach, [11_500, 11_500, 6_000, 6_000]);
}

#[test]
fn behind_an_nvswitch_all_sets_are_alike() {
    let node = Build::switched().topology();
    assert_eq!(node.path(0, 7), PathClass::NvLink(18));
    for mask in 0..256_u16 {
        if mask.count_ones() > 1 {
            assert_eq!(node.collective(DeviceSet(mask)), 370_800, "{mask:b}");
        }
    }
    assert_eq!(node.nvlink_domain_nodes(), 1);
    assert_eq!(node.nvlink_domain_bandwidth(), 370_800);
}

#[test]
fn a_bridged_pair_keeps_its_speed_until_a_third_joins() {
    let mut build = Build::new(Cpu::Skylake, 2);
    for place in 0..8 {
        let bridge = build.bridge(place / 4);
        build.gpu(bridge, 4);
    }
    for pair in [0, 2, 4, 6] {
        let (a, b) = (build.gpus[pair], build.gpus[pair + 1]);
        build.graph.link(a, b, Link::nvlink(3, 12));
    }
    let node = build.topology();
    assert_eq!(node.collective(set(&[0, 1])), 240_000);
    assert_eq!(node.collective(set(&[0, 1, 2])), 20_000, "24 GB/s at 5/6");
    assert_eq!(node.collective(set(&[0, 1, 2, 3])), 20_000);
    assert_eq!(node.collective(set(&[3, 4])), 10_000, "the socket link");
    // The pair that is left whole is left alone.
    assert_eq!(node.best_subset(set(&[0, 2, 3]), 1), Some(set(&[0])));
    assert_eq!(node.best_subset(set(&[1, 2, 3, 4]), 2), Some(set(&[2, 3])));
}

#[test]
fn classes_are_those_of_nvidia_smi() {
    let mut build = Build::new(Cpu::Skylake, 2);
    let bridge = build.bridge(0);
    let upper = build.switch(bridge, 4);
    let lower = build.switch(upper, 4);
    for above in [upper, upper, lower, bridge] {
        build.gpu(above, 4);
    }
    let other = build.bridge(0);
    build.gpu(other, 4);
    let across = build.bridge(1);
    build.gpu(across, 4);
    let node = build.topology();
    let classes: Vec<String> = (0..6).map(|b| node.path(0, b).to_string()).collect();
    assert_eq!(classes, ["X", "PIX", "PXB", "PHB", "NODE", "SYS"]);
    // The switch's own link up is shared by two GPUs below it that both send outside: not by a ring.
    assert_eq!(node.bandwidth(0, 1), 24_000);
    assert_eq!(node.bandwidth(0, 3), 20_000);
    assert_eq!(node.collective(set(&[0, 1, 2, 4])), 20_000);
    assert_eq!((node.numa_of(4), node.numa_of(5)), (0, 1));
    assert_eq!(node.gpus_of(1), set(&[5]));
}

#[test]
fn numa_nodes_of_one_socket_are_far_apart_on_amd() {
    for (cpu, class) in [(Cpu::Amd, PathClass::Sys), (Cpu::Skylake, PathClass::Node)] {
        let mut graph = DeviceGraph::new();
        let socket = graph.add(Device::Socket { cpu });
        for id in 0..2 {
            let cores = MilliCores::cores(8);
            let numa = graph.add(Device::Numa { id, cores });
            graph.link(socket, numa, Link::mesh(cpu));
            let bridge = graph.add(Device::HostBridge);
            graph.link(numa, bridge, Link::inside());
            let gpu = graph.add(Device::Gpu { index: id });
            graph.link(bridge, gpu, Link::pcie(4));
        }
        let node = Topology::derive(&graph, Bytes::gib(40)).unwrap();
        assert_eq!(node.path(0, 1), class);
    }
}

#[test]
fn what_was_asked_is_not_part_of_a_topology() {
    let asked = Build::cube_mesh().topology();
    let best = asked.best_subset(asked.all(), 3);
    let fresh = asked.clone();
    assert_eq!(asked, fresh);
    assert_eq!(fresh.best_subset(fresh.all(), 3), best);
    assert_ne!(asked, Build::switched().topology());
}

#[test]
fn graphs_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut Build)| {
        let mut build = Build::cube_mesh();
        change(&mut build);
        Topology::derive(&build.graph, Bytes::gib(1))
            .unwrap_err()
            .to_string()
    };
    let said = [
        refused(&|build| {
            build.graph.add(Device::Gpu { index: 8 });
        }),
        refused(&|build| {
            build.graph.add(Device::Gpu { index: 9 });
        }),
        refused(&|build| {
            build.graph.add(Device::Gpu { index: 0 });
        }),
        refused(&|build| {
            (8..17).for_each(|index| {
                build.graph.add(Device::Gpu { index });
            })
        }),
        refused(&|build| {
            let bridge = build.bridge(1);
            let gpu = build.gpus[0];
            build.graph.link(bridge, gpu, Link::pcie(3));
        }),
        refused(&|build| {
            let (a, numa) = (build.gpus[0], build.numas[0]);
            build.graph.link(a, numa, Link::pcie(3));
        }),
        refused(&|build| {
            let gpu = build.gpus[0];
            build.nic(gpu, "x", 1, 3);
        }),
        refused(&|build| {
            let bridge = build.bridge(1);
            build.nic(bridge, "mlx5_0", 1, 3);
        }),
        refused(&|build| {
            let bridge = build.bridge(1);
            build.nic(bridge, "mute", 0, 3);
        }),
        refused(&|build| {
            build.graph.add(Device::Socket { cpu: Cpu::Amd });
        }),
        refused(&|build| {
            build.graph.add(Device::Socket {
                cpu: Cpu::Broadwell,
            });
        }),
        refused(&|build| {
            build.graph.add(Device::NvSwitch { nodes: 0 });
        }),
        refused(&|build| {
            let (a, b) = (build.gpus[0], build.gpus[5]);
            build.graph.link(a, b, Link::nvlink(2, 0));
        }),
    ];
    let expected = [
        "GPU8 is not connected to a CPU",
        "GPU numbers are 0, 1, …, each once: GPU 8 is missing or there twice",
        "GPU numbers are 0, 1, …, each once: GPU 0 is missing or there twice",
        "17 GPUs, and a node has at most 16",
        "GPU0 has two ways to a CPU, and PCIe is a tree",
        "Pcie { generation: 3 } cannot connect GPU0 and NUMA node 0",
        "Pcie { generation: 3 } cannot connect GPU0 and network card `x`",
        "two network cards are called `mlx5_0`",
        "the link between network card `mute` and the network carries nothing",
        "the sockets are of several families of CPU",
        "there is no link from one socket to another",
        "switches of NVLinks connect at least one node, and all the same number",
        "the link between GPU0 and GPU5 carries nothing",
    ];
    assert_eq!(said, expected);
    let nothing = Topology::derive(&DeviceGraph::new(), Bytes::gib(1));
    assert_eq!(nothing.unwrap_err(), GraphError::NoGpu);
}
