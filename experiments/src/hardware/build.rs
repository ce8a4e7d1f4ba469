//! A description to a graph of devices.

use windtunnel_core::MilliCores;
use windtunnel_core::topology::{Device, DeviceGraph, DeviceId, Link, LinkKind, Port};

use super::decode::{Branch, Pcie};
use super::{CpuPart, NicGroup, NvLinkPart};

/// The graph of a node: sockets, NUMA nodes, the PCIe trees, NVLinks, in the order of the file.
pub(super) fn graph(
    gpus: u8,
    cpu: &CpuPart,
    socket: Link,
    nvlink: Option<&NvLinkPart>,
    nics: &[NicGroup],
    pcie: &[Pcie],
) -> DeviceGraph {
    let mut graph = DeviceGraph::new();
    let numas = cpus(&mut graph, cpu, socket);
    let gpus: Vec<DeviceId> = (0..gpus)
        .map(|index| graph.add(Device::Gpu { index }))
        .collect();
    let nics: Vec<DeviceId> = nics
        .iter()
        .flat_map(|group| (0..group.count).map(move |place| port(group, place)))
        .map(|port| graph.add(Device::Nic(port)))
        .collect();
    let mut tops: Vec<DeviceId> = Vec::new();
    for branch in pcie {
        let devices = branch.gpus.iter().map(|&gpu| gpus[usize::from(gpu)]);
        let devices: Vec<DeviceId> = devices
            .chain(branch.nics.iter().map(|&nic| nics[usize::from(nic)]))
            .collect();
        let above = pcie
            .iter()
            .position(|other| branch.below.is_some() && other.id == branch.below);
        let mut bridge = || {
            let bridge = graph.add(Device::HostBridge);
            graph.link(numas[usize::from(branch.numa)], bridge, Link::inside());
            bridge
        };
        let tops_of: Vec<DeviceId> = match (branch.kind, above) {
            (Branch::Switch, above) => {
                let above = above.map_or_else(bridge, |place| tops[place]);
                let switch = graph.add(Device::PcieSwitch);
                graph.link(above, switch, branch.link);
                vec![switch]
            }
            (Branch::Bridge, _) => vec![bridge()],
            (Branch::Bridges | Branch::C2c, _) => devices.iter().map(|_| bridge()).collect(),
        };
        for (place, &device) in devices.iter().enumerate() {
            let top = tops_of.get(place).unwrap_or(&tops_of[0]);
            graph.link(*top, device, branch.link);
        }
        tops.push(tops_of.first().copied().unwrap_or(numas[0]));
    }
    if let Some(nvlink) = nvlink {
        bond(&mut graph, nvlink, &gpus);
    }
    graph
}

/// Sockets and NUMA nodes; the NUMA nodes.
fn cpus(graph: &mut DeviceGraph, cpu: &CpuPart, between: Link) -> Vec<DeviceId> {
    let sockets: Vec<DeviceId> = (0..cpu.sockets)
        .map(|_| graph.add(Device::Socket { cpu: cpu.family }))
        .collect();
    for (place, &a) in sockets.iter().enumerate() {
        for &b in &sockets[place + 1..] {
            graph.link(a, b, between);
        }
    }
    let each = cpu.numa_nodes / cpu.sockets;
    let cores = MilliCores((cpu.cores / u32::from(cpu.numa_nodes)).saturating_mul(1_000));
    let inside = match each {
        1 => Link::inside(),
        _ => Link::mesh(cpu.family),
    };
    let numa = |id: u8| {
        let numa = graph.add(Device::Numa { id, cores });
        graph.link(sockets[usize::from(id / each)], numa, inside);
        numa
    };
    (0..cpu.numa_nodes).map(numa).collect()
}

fn port(group: &NicGroup, place: u8) -> Port {
    Port {
        name: format!("{}{place}", group.prefix),
        bandwidth: group.effective,
        latency: group.latency,
        gpudirect: group.gpudirect,
    }
}

/// The NVLinks.
fn bond(graph: &mut DeviceGraph, nvlink: &NvLinkPart, gpus: &[DeviceId]) {
    let link = |links: u8| {
        let bonded = Link::nvlink(nvlink.generation, links);
        debug_assert_eq!(bonded.kind, LinkKind::NvLink { links });
        bonded.carrying(nvlink.link.saturating_mul(links.into()))
    };
    for &(a, b, links) in &nvlink.pairs {
        graph.link(gpus[usize::from(a)], gpus[usize::from(b)], link(links));
    }
    if nvlink.switch_links > 0 {
        let nodes = nvlink.domain_nodes;
        let switch = graph.add(Device::NvSwitch { nodes });
        for &gpu in gpus {
            graph.link(gpu, switch, link(nvlink.switch_links));
        }
    }
}
