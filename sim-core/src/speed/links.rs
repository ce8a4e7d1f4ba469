//! What a topology says about a set of GPUs, in the words of [`step`](super::step).

use super::sensitivity::Reach;
use super::step::Pipe;
use crate::device::DeviceSet;
use crate::fabric::{Fabric, Level, Transport};
use crate::topology::Topology;

/// Latency of a hop over NVLink \[ns\] (NCCL, tuning.cc, Simple protocol).
const NVLINK_HOP: u32 = 3_400;
/// Latency of a hop over PCIe \[ns\] (NCCL, tuning.cc, Simple protocol).
const PCIE_HOP: u32 = 5_700;

/// What is left between GPUs of which one has lost its NVLinks: PCIe, and a link between sockets of the
/// slower kind (NCCL's constant for Skylake's UPI).
pub(super) const UNLINKED: Pipe = Pipe {
    bandwidth: 10_000,
    latency: PCIE_HOP,
};

/// What a transport reaches of what a card carries \[thousandths\], and the latency of a hop \[ns\].
///
/// Cards are stated at what NCCL plans with, which InfiniBand reaches. `RoCE` reaches 0.5 to 0.95 by its
/// tuning; EFA two thirds to three quarters; TCP, which goes through the host's memory, 0.4 of the line
/// rate (hardware.md §4 and §5). Latencies: NCCL's tuning.cc; EFA's and TCP's are general knowledge.
const fn carried(transport: Transport) -> (u32, u32) {
    match transport {
        Transport::InfiniBand => (1_000, 14_000),
        Transport::Roce => (900, 14_000),
        Transport::Efa => (750, 35_000),
        Transport::Tcp => (420, 60_000),
    }
}

/// Whether every GPU of a set reaches every other over NVLinks, possibly through others of the set.
pub(super) fn linked(topology: &Topology, set: DeviceSet) -> bool {
    let Some(first) = set.iter().next() else {
        return true;
    };
    let mut reached = DeviceSet(1 << first);
    let mut next = reached;
    while !next.is_empty() {
        let mut found = DeviceSet::EMPTY;
        for from in next.iter() {
            found.0 |= topology.linked_to(from).0 & set.0;
        }
        next = DeviceSet(found.0 & !reached.0);
        reached.0 |= found.0;
    }
    reached == set
}

/// What connects a set of GPUs of one node.
pub(super) fn inside(topology: &Topology, set: DeviceSet) -> Pipe {
    if set.len() < 2 {
        return Pipe::UNKNOWN;
    }
    let latency = if linked(topology, set) {
        NVLINK_HOP
    } else {
        PCIE_HOP
    };
    Pipe {
        bandwidth: topology.collective(set),
        latency,
    }
}

/// What connects GPUs of several nodes of one NVLink domain.
pub(super) fn domain(topology: &Topology) -> Pipe {
    match topology.nvlink_domain_bandwidth() {
        0 => Pipe::UNKNOWN,
        bandwidth => Pipe {
            bandwidth,
            latency: NVLINK_HOP,
        },
    }
}

/// How far apart a set of GPUs of one node is.
pub(super) fn reach(topology: &Topology, set: DeviceSet) -> Reach {
    if linked(topology, set) {
        return Reach::Linked;
    }
    let mut numas = set.iter().map(|gpu| topology.numa_of(gpu));
    let first = numas.next();
    if numas.all(|numa| Some(numa) == first) {
        Reach::Socket
    } else {
        Reach::Node
    }
}

/// What leads a set of GPUs out of its node, beside the sets of other units that go out, too.
///
/// Without GPUDirect RDMA every byte goes through the host: over PCIe into its memory, over a TCP
/// socket and PCIe again into a card, the one that the host talks through, be there eight. With it,
/// each GPU uses the cards next to it; where sets use the same cards, they get parts in proportion to
/// what each could use alone. O(others).
pub(super) fn outside(
    topology: &Topology,
    fabric: &Fabric,
    own: DeviceSet,
    others: &[DeviceSet],
) -> Pipe {
    let direct = topology.nics().iter().any(|nic| nic.gpudirect);
    let staged = !fabric.rdma || !direct || fabric.transport == Transport::Tcp;
    let transport = if staged {
        Transport::Tcp
    } else {
        fabric.transport
    };
    let (reached, latency) = carried(transport);
    let share = if staged {
        let widest = topology.nics().iter().map(|nic| nic.bandwidth).max();
        let units = u64::try_from(others.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        u64::from(widest.unwrap_or(u32::MAX)) / units
    } else {
        card_share(topology, own, others)
    };
    if share >= u64::from(u32::MAX) {
        return Pipe::UNKNOWN;
    }
    Pipe {
        bandwidth: whole(share * u64::from(reached) / 1_000),
        latency,
    }
}

/// What a set of GPUs gets of its cards \[MB/s\].
fn card_share(topology: &Topology, own: DeviceSet, others: &[DeviceSet]) -> u64 {
    let network = |set: DeviceSet| u64::from(topology.network(set));
    let alone = network(own);
    if alone == 0 {
        return u64::from(u32::MAX);
    }
    let (mut wanted, mut all) = (alone, own);
    for &other in others {
        let theirs = network(other);
        if network(DeviceSet(own.0 | other.0)) < alone + theirs {
            wanted += theirs;
            all.0 |= other.0;
        }
    }
    alone * network(all).min(wanted) / wanted
}

/// Bandwidth over what the fabric takes of it where the lowest level that holds all nodes is `level`.
///
/// Static: link ÷ oversubscription. Where card i of every node hangs on leaf i (rail-optimised), equal
/// cards meet on one leaf, whatever the rack.
pub(super) fn through(fabric: &Fabric, level: Option<Level>, pipe: Pipe) -> Pipe {
    if pipe.bandwidth == u32::MAX {
        return pipe;
    }
    let mut bandwidth = u64::from(pipe.bandwidth);
    let mut divide = |ratio: u32| bandwidth = bandwidth * 1_000 / u64::from(ratio.max(1_000));
    if level.is_none_or(|level| level > Level::Rack) && !fabric.rail_optimised {
        divide(fabric.rack_oversubscription);
    }
    if level.is_none() {
        divide(fabric.pod_oversubscription);
    }
    Pipe {
        bandwidth: whole(bandwidth),
        ..pipe
    }
}

/// The slower of two pipes.
pub(super) const fn slower(a: Pipe, b: Pipe) -> Pipe {
    if b.bandwidth < a.bandwidth { b } else { a }
}

/// So many pipes side by side.
pub(super) fn times(pipe: Pipe, count: u32) -> Pipe {
    if pipe.bandwidth == u32::MAX {
        return pipe;
    }
    Pipe {
        bandwidth: whole(u64::from(pipe.bandwidth) * u64::from(count)),
        ..pipe
    }
}

/// Nothing is so slow that it carries nothing; the largest number stands for unknown.
pub(super) fn whole(bandwidth: u64) -> u32 {
    u32::try_from(bandwidth.max(1)).unwrap_or(u32::MAX - 1)
}
