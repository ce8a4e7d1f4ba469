//! `topology-manager`: the kubelet's Topology Manager with the static CPU manager.

use super::{NvidiaPlugin, lowest, numa_of};
use crate::device::{
    Choice, DeviceChooser, DeviceRequest, DeviceSet, MAX_NUMA, NodeState, Refusal, count_only,
};
use crate::topology::Topology;
use crate::units::MILLI_PER_GPU;

/// How strictly GPUs and cores must be on the same NUMA nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// Nobody looks: cores are the lowest free ones, GPUs too.
    #[default]
    None,
    /// Aligned where possible, admitted anyway.
    BestEffort,
    /// Refused if it needs more NUMA nodes than the fewest that could ever serve it.
    Restricted,
    /// Refused unless one NUMA node serves all of it.
    SingleNumaNode,
}

/// Aligns GPUs and cores as the kubelet's Topology Manager does, and rejects after binding.
///
/// # Decision rule
/// GPUs and cores each offer hints: every set of NUMA nodes with enough of them free, preferred if it
/// is as small as any set that would do on an empty node. Hints are merged by intersection, preferred
/// if both are; the best is preferred, then has fewest nodes, then the lowest. Devices come from the
/// hint's nodes first, within them by NVIDIA's pair scores if `pair_scores`, else by index; cores
/// likewise. A refusal ends the attempt ([`Refusal::Alignment`]): a controller must create another,
/// which a scheduler that knows nothing of NUMA may send to the same node.
///
/// # Differences
/// Scope is the task; the CPU manager's policy is `static`, so that cores are pinned; memory and huge
/// pages give no hints. A node without a known topology aligns nothing.
///
/// # Reference
/// Kubernetes `pkg/kubelet/cm/topologymanager/policy.go` at 0969002 and the task page.
#[derive(Clone, Debug, Default)]
pub struct TopologyManager {
    alignment: Alignment,
    plugin: Option<NvidiaPlugin>,
}

impl TopologyManager {
    /// With one of the four policies.
    #[must_use]
    pub fn new(alignment: Alignment) -> Self {
        Self {
            alignment,
            plugin: None,
        }
    }

    /// The same with GPUs chosen by NVIDIA's pair scores within the aligned ones.
    #[must_use]
    pub fn pair_scores(mut self) -> Self {
        self.plugin = Some(NvidiaPlugin::default());
        self
    }

    /// Chooses among the GPUs of a set.
    fn among(
        &mut self,
        node: &NodeState<'_>,
        topology: &Topology,
        want: DeviceRequest,
        set: DeviceSet,
    ) -> Option<DeviceSet> {
        if u32::from(want.milli_each) < MILLI_PER_GPU {
            // Parts, slots and instances: as counted, on these GPUs.
            let others = DeviceSet(topology.all().0 & !set.0);
            return count_only(&node.free.without(others), want);
        }
        match &mut self.plugin {
            Some(plugin) => plugin.prefer(topology, set, want.gpus.devices()),
            None => lowest(set, want.gpus.devices()),
        }
    }

    /// GPUs from the aligned ones first, then from the others.
    fn devices(
        &mut self,
        node: &NodeState<'_>,
        topology: &Topology,
        want: DeviceRequest,
        numa: u8,
    ) -> Option<DeviceSet> {
        let able = node.able(want.milli_each);
        let aligned = DeviceSet(able.0 & gpus_on(topology, numa).0);
        let count = want.gpus.devices();
        if count == 0 {
            return Some(DeviceSet::EMPTY);
        }
        if aligned.len() >= count
            && let Some(chosen) = self.among(node, topology, want, aligned)
        {
            return Some(chosen);
        }
        if u32::from(want.milli_each) < MILLI_PER_GPU {
            return self.among(node, topology, want, able);
        }
        let others = lowest(DeviceSet(able.0 & !aligned.0), count - aligned.len())?;
        Some(DeviceSet(aligned.0 | others.0))
    }
}

impl DeviceChooser for TopologyManager {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        let hint = match node.topology {
            Some(topology) if self.alignment != Alignment::None => {
                Some((topology, best_hint(node, topology, want, self.alignment)))
            }
            _ => None,
        };
        let Some((topology, hint)) = hint else {
            let chosen = match (node.topology, &mut self.plugin) {
                (Some(topology), Some(plugin)) if u32::from(want.milli_each) == MILLI_PER_GPU => {
                    plugin.prefer(topology, node.able(want.milli_each), want.gpus.devices())
                }
                _ => count_only(node.free, want),
            };
            return chosen.map(Choice::from).ok_or(Refusal::Devices);
        };
        let strict = self.alignment != Alignment::BestEffort;
        if strict && !hint.preferred {
            return Err(Refusal::Alignment);
        }
        let devices = self
            .devices(node, topology, want, hint.numa)
            .ok_or(Refusal::Devices)?;
        let numa = if hint.numa == 0 {
            numa_of(node, devices)
        } else {
            hint.numa
        };
        Ok(Choice { devices, numa })
    }

    fn pins_cores(&self) -> bool {
        true
    }
}

/// A set of NUMA nodes that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    /// The nodes; none: no preference.
    numa: u8,
    preferred: bool,
}

/// GPUs on some NUMA nodes.
fn gpus_on(topology: &Topology, numa: u8) -> DeviceSet {
    let on = (0..8).filter(|at| numa >> at & 1 == 1);
    on.fold(DeviceSet::EMPTY, |set, at| {
        DeviceSet(set.0 | topology.gpus_of(at).0)
    })
}

/// All sets of NUMA nodes on which `free` suffices, preferred where as small as the smallest on
/// which `full` does. `None`: nothing is asked for, so nothing is preferred.
fn hints(
    numa_nodes: usize,
    wanted: u32,
    free: impl Fn(u8) -> u32,
    full: impl Fn(u8) -> u32,
) -> Option<Vec<Hint>> {
    if wanted == 0 {
        return None;
    }
    let masks =
        || 1..=u8::try_from((1_u32 << numa_nodes.clamp(1, MAX_NUMA)) - 1).unwrap_or(u8::MAX);
    let fewest = masks()
        .filter(|mask| full(*mask) >= wanted)
        .map(u8::count_ones)
        .min()?;
    let enough = masks().filter(|mask| free(*mask) >= wanted);
    let hint = |numa: u8| Hint {
        numa,
        preferred: numa.count_ones() == fewest,
    };
    Some(enough.map(hint).collect())
}

/// The merged hint that a policy goes by.
fn best_hint(
    node: &NodeState<'_>,
    topology: &Topology,
    want: DeviceRequest,
    alignment: Alignment,
) -> Hint {
    let numa_nodes = topology.cores().len();
    let able = node.able(want.milli_each);
    let gpus = hints(
        numa_nodes,
        want.gpus.devices(),
        |mask| DeviceSet(able.0 & gpus_on(topology, mask).0).len(),
        |mask| gpus_on(topology, mask).len(),
    );
    let sum = |cores: &dyn Fn(usize) -> u32, mask: u8| -> u32 {
        let on = (0..numa_nodes.min(MAX_NUMA)).filter(|at| mask >> at & 1 == 1);
        on.map(cores).fold(0, u32::saturating_add)
    };
    let free_cores = |at: usize| node.cores.get(at).copied().unwrap_or(0);
    let full_cores = |at: usize| topology.cores()[at].0;
    let cores = hints(
        if node.cores.is_empty() { 0 } else { numa_nodes },
        if node.cores.is_empty() { 0 } else { want.cpu.0 },
        |mask| sum(&free_cores, mask),
        |mask| sum(&full_cores, mask),
    );
    let single = alignment == Alignment::SingleNumaNode;
    let usable = |hint: &Hint| !single || (hint.preferred && hint.numa.count_ones() == 1);
    let any = [Hint {
        numa: u8::MAX,
        preferred: true,
    }];
    let keep = |hints: Option<Vec<Hint>>| -> Vec<Hint> {
        hints.map_or(any.to_vec(), |hints| {
            hints.into_iter().filter(usable).collect()
        })
    };
    merge(&keep(gpus), &keep(cores))
}

/// Every intersection of two hints; the best of them. Preferred ones are looked at first: there are
/// few of them, and one of them nearly always serves.
fn merge(gpus: &[Hint], cores: &[Hint]) -> Hint {
    let nothing = Hint {
        numa: 0,
        preferred: false,
    };
    for preferred in [true, false] {
        let of = |hints: &[Hint]| -> Vec<u8> {
            let hints = hints.iter().filter(|hint| hint.preferred || !preferred);
            hints.map(|hint| hint.numa).collect()
        };
        let (left, right) = (of(gpus), of(cores));
        let both = left.iter().flat_map(|a| right.iter().map(move |b| a & b));
        let best = both
            .filter(|numa| *numa != 0)
            .min_by_key(|numa| (numa.count_ones(), *numa));
        if let Some(numa) = best {
            // Neither asked for anything: no preference.
            let numa = if numa == u8::MAX { 0 } else { numa };
            return Hint { numa, preferred };
        }
    }
    nothing
}
