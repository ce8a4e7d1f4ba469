//! What the sharing of its GPUs costs a unit, whatever its speed model.

use smallvec::SmallVec;

use super::sharing::{Use, mig, mps, time_sliced};
use super::{Neighbours, PlacedTask, Placement};
use crate::device::{MigTable, Sharing};
use crate::ids::NodeId;
use crate::job::{GpuRequest, JobProfile};
use crate::units::{MILLI_PER_GPU, PPM, Ppm};

/// What a unit gets of the GPUs it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Speed beside its neighbours over its speed without them: what [`Slices`](crate::Slices) call
    /// sharing.
    pub beside: Ppm,
    /// Speed on its instances over its speed on whole GPUs: a matter of size, which no slice shows.
    pub instance: Ppm,
}

impl Shares {
    /// Nothing is shared.
    pub const ALL: Self = Self {
        beside: Ppm::ONE,
        instance: Ppm::ONE,
    };
}

/// How a task uses one of its GPUs if it has it for itself: as its job's behaviour says, else by its duty
/// of what it asked for, in thousandths.
#[must_use]
pub fn use_of(profile: &JobProfile, requested: u16) -> Use {
    match &profile.behaviour {
        Some(behaviour) => Use {
            compute: behaviour.compute_use,
            bandwidth: behaviour.bandwidth_use,
        },
        None => Use {
            compute: Ppm(scaled(profile.duty.0, requested)),
            bandwidth: Ppm(0),
        },
    }
}

/// What a unit gets of its GPUs by the sharing modes of their pools: the least over them, as its tasks
/// go in step.
///
/// Costs nothing where no pool of the supply shares GPUs in a way that matters; else O(tasks on the
/// nodes of the unit × its GPUs).
#[must_use]
pub fn shares(profile: &JobProfile, on: &Placement<'_>, beside: &Neighbours<'_>) -> Shares {
    if !on.cluster.sharing_matters {
        return Shares::ALL;
    }
    least_of(profile, on, beside, on.tasks())
}

/// The same of the tasks on one node. O(tasks on the node × its GPUs), if anything.
pub(super) fn shares_on(
    profile: &JobProfile,
    on: &Placement<'_>,
    beside: &Neighbours<'_>,
    node: NodeId,
) -> Shares {
    if !on.cluster.sharing_matters {
        return Shares::ALL;
    }
    least_of(profile, on, beside, beside.own_on(node))
}

fn least_of<'a>(
    profile: &JobProfile,
    on: &Placement<'_>,
    beside: &Neighbours<'_>,
    tasks: impl Iterator<Item = PlacedTask<'a>>,
) -> Shares {
    let mut shares = Shares::ALL;
    // A task without a GPU shares none.
    for task in tasks.filter(|task| !task.grant.devices.is_empty()) {
        let own = use_of(profile, beside.requested(task.group));
        match on.sharing(task.node) {
            Sharing::Mig(table) if task.grant.slices != table.all() => {
                let speed = of_instance(profile, beside.asked(task.group), table);
                shares.instance = shares.instance.min(speed);
            }
            // Nobody else is on GPUs that it has the whole of.
            Sharing::Mps if u32::from(task.grant.milli_each) == MILLI_PER_GPU => {}
            sharing if sharing.interferes() => {
                shares.beside = shares.beside.min(least(own, task, sharing, beside));
            }
            _ => {}
        }
    }
    shares
}

/// What a task gets of a GPU on an instance that serves a request. One that it names is as large as it
/// needs, unless a behaviour says otherwise or another has to do.
fn of_instance(profile: &JobProfile, asked: GpuRequest, table: MigTable) -> Ppm {
    let requested = match asked {
        GpuRequest::Instance(instance) => instance.compute_milli(),
        other => u16::try_from(other.milli()).unwrap_or(u16::MAX),
    };
    let lies = table.profile(asked);
    mig(
        use_of(profile, requested),
        (lies.compute.into(), table.compute_slices().into()),
        (lies.memory.into(), table.slices().into()),
    )
}

/// The least that a task gets of its GPUs beside its neighbours.
fn least(own: Use, task: PlacedTask<'_>, sharing: Sharing, beside: &Neighbours<'_>) -> Ppm {
    let speeds = task.grant.devices.iter().map(|device| {
        // Tasks of its own unit are in each other's way, too.
        let all = beside.all_on(task.node, device);
        let mut others: SmallVec<[Use; 8]> = all
            .map(|sharer| use_of(sharer.profile, sharer.requested))
            .collect();
        if let Some(place) = others.iter().position(|other| *other == own) {
            others.remove(place);
        }
        let others = others.into_iter();
        match sharing {
            Sharing::Mps => mps(own, others, Ppm::ONE),
            _ => time_sliced(own, others),
        }
    });
    speeds.min().unwrap_or(Ppm::ONE)
}

/// `ppm × milli ÷ 1000`, rounded up, so that a use stays one.
fn scaled(ppm: u32, milli: u16) -> u32 {
    let used = u64::from(ppm) * u64::from(milli);
    u32::try_from(used.div_ceil(u64::from(MILLI_PER_GPU))).unwrap_or(PPM)
}
