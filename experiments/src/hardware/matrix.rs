//! `windtunnel topo MODEL`: what `nvidia-smi topo -m` prints, and what it does not.

use std::fmt::Write;

use windtunnel_core::DeviceSet;
use windtunnel_core::topology::{PathClass, Topology};

use super::HardwareModel;

/// The legend of `nvidia-smi topo -m`, word for word.
const LEGEND: &str = "
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
";

/// Writing to a text does not fail.
macro_rules! put {
    ($out:expr, $($what:tt)*) => {{
        let _ = write!($out, $($what)*);
    }};
}

impl HardwareModel {
    /// The matrix of path classes with its legends, as `nvidia-smi topo -m` prints it: columns between
    /// tabs, network cards after the GPUs, and no colour.
    #[must_use]
    pub fn matrix(&self) -> String {
        let topology = self.topology();
        let (gpus, nics) = (usize::from(self.gpus), topology.nics());
        let mut out = String::new();
        for gpu in 0..gpus {
            put!(out, "\tGPU{gpu}");
        }
        for nic in 0..nics.len() {
            put!(out, "\tNIC{nic}");
        }
        out.push_str("\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n");
        for gpu in 0..gpus {
            put!(out, "GPU{gpu}");
            (0..gpus).for_each(|other| cell(&mut out, topology.path(gpu, other)));
            nics.iter().for_each(|nic| cell(&mut out, nic.paths[gpu]));
            let numa = topology.numa_of(gpu);
            put!(out, "\t{}\t{numa}\t\tN/A\n", self.cpu.affinity(numa));
        }
        for (place, nic) in nics.iter().enumerate() {
            put!(out, "NIC{place}");
            nic.paths.iter().for_each(|&path| cell(&mut out, path));
            (0..nics.len()).for_each(|other| cell(&mut out, topology.nic_path(place, other)));
            out.push_str("\t\t\t\t\n");
        }
        out.push_str(LEGEND);
        if !nics.is_empty() {
            out.push_str("\nNIC Legend:\n\n");
        }
        for (place, nic) in nics.iter().enumerate() {
            put!(out, "  NIC{place}: {}\n", nic.name);
        }
        out
    }

    /// All of `windtunnel topo`: the [`matrix`](Self::matrix), bandwidths of pairs, of sets and of the
    /// network, and where every figure is from.
    #[must_use]
    pub fn topo(&self) -> String {
        let mut out = self.matrix();
        pairs(&mut out, self.topology());
        sets(&mut out, self.topology());
        network(&mut out, self.topology());
        self.put_provenance(&mut out);
        out
    }
}

fn cell(out: &mut String, class: PathClass) {
    match class {
        PathClass::Same => out.push_str("\t X "),
        other => put!(out, "\t{other}"),
    }
}

/// \[MB/s\] as GB/s with a decimal; `-` for what is never sent.
pub(super) fn gb(bandwidth: u32) -> String {
    if bandwidth == u32::MAX {
        return "-".to_owned();
    }
    let tenths = (u64::from(bandwidth) + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The GPUs of a set: `0,3,4`.
fn list(set: DeviceSet) -> String {
    let gpus: Vec<String> = set.iter().map(|gpu| gpu.to_string()).collect();
    gpus.join(",")
}

fn pairs(out: &mut String, topology: &Topology) {
    let gpus = usize::from(topology.gpus());
    if gpus < 2 {
        return;
    }
    out.push_str("\nBandwidth of the path between two GPUs, per direction [GB/s]:\n\n");
    for gpu in 0..gpus {
        put!(out, "\tGPU{gpu}");
    }
    out.push('\n');
    for a in 0..gpus {
        put!(out, "GPU{a}");
        for b in 0..gpus {
            match a == b {
                true => out.push_str("\t X "),
                false => put!(out, "\t{}", gb(topology.bandwidth(a, b))),
            }
        }
        out.push('\n');
    }
    if topology.nvlink_domain_nodes() > 1 {
        put!(
            out,
            "\nThe NVLink domain spans {} nodes, with {} GB/s per GPU.\n",
            topology.nvlink_domain_nodes(),
            gb(topology.nvlink_domain_bandwidth()),
        );
    }
}

/// The sets of a size at which a ring runs fastest and slowest; of several the first.
fn sets(out: &mut String, topology: &Topology) {
    let gpus = u32::from(topology.gpus());
    if gpus < 2 {
        return;
    }
    out.push_str(
        "\nBus bandwidth of a ring all-reduce, the best and the worst set of each size [GB/s]:\n\n",
    );
    out.push_str("GPUs\tbest\tworst\tbest set\t\tworst set\n");
    for k in 2..=gpus {
        let best = topology.best_subset(topology.all(), k).unwrap_or_default();
        let sets = (1..=topology.all().0)
            .map(DeviceSet)
            .filter(|set| set.len() == k);
        let worst = sets
            .min_by_key(|&set| topology.collective(set))
            .unwrap_or_default();
        let speeds = [best, worst].map(|set| gb(topology.collective(set)));
        put!(
            out,
            "{k}\t{}\t{}\t{:<15}\t",
            speeds[0],
            speeds[1],
            list(best)
        );
        match speeds[0] == speeds[1] {
            true => out.push_str("any\n"),
            false => put!(out, "{}\n", list(worst)),
        }
    }
}

/// What each GPU and the best set of each size can send out.
fn network(out: &mut String, topology: &Topology) {
    if topology.nics().is_empty() {
        return;
    }
    out.push_str(
        "\nNetwork: the nearest cards of each GPU, and what it sends out alone [GB/s]:\n\n",
    );
    for gpu in 0..usize::from(topology.gpus()) {
        let nearest: Vec<String> = topology
            .nearest_nics(gpu)
            .iter()
            .map(|nic| format!("NIC{nic}"))
            .collect();
        let alone = topology.network(DeviceSet(1 << gpu));
        put!(out, "GPU{gpu}\t{}\t{}\n", gb(alone), nearest.join(","));
    }
    put!(out, "all\t{}\n", gb(topology.network(topology.all())));
}
