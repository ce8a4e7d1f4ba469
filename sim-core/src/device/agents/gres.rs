//! `slurm-gres`: how slurmctld chooses GPUs and cores on a node.

use super::numa_of;
use crate::device::{
    Choice, DeviceChooser, DeviceRequest, DeviceSet, NodeState, Refusal, count_only,
};
use crate::topology::{PathClass, Topology};
use crate::units::MILLI_PER_GPU;

/// Chooses as slurmctld does from `gres.conf`.
///
/// # Decision rule
/// Without `cores`: the lowest free indices. With `cores` (`Cores=` in gres.conf) sockets matter:
/// those with free GPUs, most free cores first, until they have the cores and the GPUs; one GPU from
/// each of them, then more from them, then others. With `links` (`Links=`) the GPU with most NVLinks to
/// those already chosen goes first, then the lowest index. With `enforce`
/// (`--gres-flags=enforce-binding`) GPUs of other sockets are refused.
///
/// # Differences
/// Sockets are the topology's NUMA nodes; link counts are not cut to four levels.
///
/// # Reference
/// `gres_select_filter.c`, as read for slurmctld 22.05 to 26.05.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlurmGres {
    /// Whether gres.conf says which cores are near which GPU.
    pub cores: bool,
    /// Whether gres.conf says which GPUs are linked.
    pub links: bool,
    /// Whether GPUs must be near the cores.
    pub enforce: bool,
}

impl DeviceChooser for SlurmGres {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        let whole = u32::from(want.milli_each) == MILLI_PER_GPU;
        let topology = node.topology.filter(|_| whole && want.gpus.devices() > 0);
        let Some(topology) = topology else {
            return count_only(node.free, want)
                .map(Choice::from)
                .ok_or(Refusal::Devices);
        };
        let free = node.able(want.milli_each);
        let count = want.gpus.devices();
        let sockets = if self.cores {
            self.sockets(node, topology, want, free)
        } else {
            Some(0)
        };
        let sockets = match sockets {
            None if self.enforce => return Err(Refusal::Alignment),
            found => found.unwrap_or(0),
        };
        let mut chosen = DeviceSet::EMPTY;
        let steps = [Step::OneEach, Step::Near, Step::Any];
        for step in steps {
            while chosen.len() < count {
                let Some(gpu) = self.next(topology, free, chosen, sockets, step) else {
                    break;
                };
                chosen.0 |= 1 << gpu;
            }
        }
        if chosen.len() < count {
            return Err(Refusal::Devices);
        }
        let numa = if sockets == 0 {
            numa_of(node, chosen)
        } else {
            sockets
        };
        Ok(Choice {
            devices: chosen,
            numa: if self.cores { numa } else { 0 },
        })
    }

    fn pins_cores(&self) -> bool {
        true
    }
}

/// Which GPUs are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// On sockets that have none of the chosen yet.
    OneEach,
    /// On the job's sockets.
    Near,
    /// Anywhere.
    Any,
}

impl SlurmGres {
    /// The sockets a job gets, as a mask: `None` if no set of sockets with GPUs has all it needs.
    fn sockets(
        self,
        node: &NodeState<'_>,
        topology: &Topology,
        want: DeviceRequest,
        free: DeviceSet,
    ) -> Option<u8> {
        let numa_nodes = u8::try_from(topology.cores().len().min(8)).unwrap_or(8);
        let gpus = |socket: u8| DeviceSet(free.0 & topology.gpus_of(socket).0).len();
        let cores = |socket: u8| match node.cores.get(usize::from(socket)) {
            Some(free) => *free,
            None => topology.cores()[usize::from(socket)].0,
        };
        let mut order: smallvec::SmallVec<[u8; 8]> =
            (0..numa_nodes).filter(|&socket| gpus(socket) > 0).collect();
        order.sort_by_key(|&socket| (std::cmp::Reverse(cores(socket)), socket));
        let (mut mask, mut have_cores, mut have_gpus) = (0, 0_u32, 0);
        for socket in order {
            mask |= 1 << socket;
            have_cores = have_cores.saturating_add(cores(socket));
            have_gpus += gpus(socket);
            if have_cores >= want.cpu.0 && have_gpus >= want.gpus.devices() {
                return Some(mask);
            }
        }
        None
    }

    /// The next GPU of a step.
    fn next(
        self,
        topology: &Topology,
        free: DeviceSet,
        chosen: DeviceSet,
        sockets: u8,
        step: Step,
    ) -> Option<usize> {
        let left = DeviceSet(free.0 & !chosen.0);
        let near = |gpu: usize| sockets >> topology.numa_of(gpu) & 1 == 1;
        let fresh = |gpu: usize| !topology.gpus_of(topology.numa_of(gpu)).overlaps(chosen);
        let serves = |&gpu: &usize| match step {
            Step::OneEach => near(gpu) && fresh(gpu),
            Step::Near => near(gpu),
            Step::Any => true,
        };
        let links = |gpu: usize| -> u32 {
            let to = |other: usize| match topology.path(gpu, other) {
                PathClass::NvLink(links) => u32::from(links),
                _ => 0,
            };
            if self.links {
                chosen.iter().map(to).sum()
            } else {
                0
            }
        };
        left.iter()
            .filter(serves)
            .min_by_key(|&gpu| (std::cmp::Reverse(links(gpu)), gpu))
    }
}
