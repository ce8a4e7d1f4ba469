//! The reference speed: alone, and beside others on GPUs that are shared.

use windtunnel_core::sharing::{self, Use};
use windtunnel_core::units::{PPM, RATE_ONE};
use windtunnel_core::{
    Advance, Checkpoint, GpuRequest, JobSpec, MigTable, NodeId, Ppm, Sharing, TaskView, View,
};

use super::{Naive, mig};
use crate::chaos::Case;

/// Parts per million of what was asked for; they make a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slices {
    pub(crate) stalled: u32,
    pub(crate) interference: u32,
    pub(crate) underused: u32,
    pub(crate) lost: u32,
    pub(crate) useful: u32,
}

/// What a unit gets of its GPUs [ppm].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// Beside its neighbours.
    beside: u32,
    /// On instances, of what it would get of whole GPUs.
    instance: u32,
}

/// A GPU that a running task has.
#[derive(Clone, Copy, Debug)]
struct Seat {
    node: NodeId,
    device: usize,
}

/// How busy a task keeps a GPU that it has for itself: its behaviour speaks of the whole GPU, its duty of
/// what it asked for.
fn use_of(spec: &JobSpec, gpus: GpuRequest) -> Use {
    match &spec.profile.behaviour {
        Some(behaviour) => Use {
            compute: behaviour.compute_use,
            bandwidth: behaviour.bandwidth_use,
        },
        None => {
            let asked = gpus.milli() / gpus.devices().max(1);
            let used = u64::from(spec.profile.duty.0) * u64::from(asked);
            Use {
                compute: Ppm(u32::try_from(used.div_ceil(1_000)).unwrap()),
                bandwidth: Ppm(0),
            }
        }
    }
}

/// Turns, in whole numbers: nobody gets more than it uses, the others equal parts of 97 %.
fn turns(own: Use, others: &[Use]) -> u64 {
    let mut uses: Vec<u64> = others.iter().map(|u| u.compute.0.into()).collect();
    let (own, whole) = (u64::from(own.compute.0), u64::from(PPM));
    if uses.is_empty() {
        return whole;
    }
    uses.push(own);
    uses.sort_unstable();
    let mut left = whole * 97 / 100;
    for (place, used) in uses.iter().enumerate() {
        let greedy = (uses.len() - place) as u64;
        if used * greedy <= left {
            left -= used;
        } else if own >= *used {
            return (left * whole + greedy * own / 2) / (greedy * own);
        } else {
            break;
        }
    }
    whole
}

/// Kernels at once: the gentler of two fits, less what memory bandwidth costs.
fn at_once(own: Use, others: &[Use]) -> f64 {
    let part = |ppm: Ppm| f64::from(ppm.0) / f64::from(PPM);
    let beside: f64 = others.iter().map(|u| part(u.compute)).sum();
    let all = beside + part(own.compute);
    let speed = (1.0 - 0.05 * beside).min(libm::pow(all.max(1.0), -0.57));
    let bandwidth: f64 = others.iter().map(|u| part(u.bandwidth)).sum();
    let crowded = (bandwidth + part(own.bandwidth) - 1.0).max(0.0);
    let cap = if own.compute.0 == 0 {
        f64::MAX
    } else {
        1.0 / part(own.compute)
    };
    (speed - (0.3 * crowded).min(speed / 2.0)).min(cap)
}

/// On an instance: what of its compute and memory slices it can do with.
fn on_instance(own: Use, table: MigTable, memory: u32) -> Ppm {
    let profile = mig::lying_on(table, memory);
    let (compute, of) = (profile.compute, mig::slices(table));
    sharing::mig(own, (compute, of.0), (memory, of.1))
}

/// The model's word, if it is what the formula says: it is rounded from a float.
fn near(said: Ppm, formula: f64) -> u32 {
    let formula = (formula * f64::from(PPM)).clamp(1.0, f64::from(PPM));
    let distance = (f64::from(said.0) - formula).abs();
    // Both are rounded.
    assert!(distance <= 1.5, "{} ppm, not {formula}", said.0);
    said.0
}

impl Case {
    /// Whether some pool shares its GPUs in a way that changes speeds.
    fn sharing_matters(&self) -> bool {
        let pools = self.supply().pools.len();
        let plain = |s: Sharing| matches!(s, Sharing::Exclusive | Sharing::Fractions);
        let mut all = (0..pools).map(|pool| self.sharing(crate::chaos::pool_id(pool)));
        !all.all(plain)
    }
}

impl Naive {
    /// The least that a unit gets of the GPUs of its running tasks.
    pub(super) fn shares(
        &self,
        view: &View<'_>,
        unit: (&JobSpec, &[&TaskView<'_>]),
        advances: &impl Fn(&TaskView<'_>) -> bool,
    ) -> Shares {
        let (spec, running) = unit;
        let mut shares = Shares {
            beside: PPM,
            instance: PPM,
        };
        for task in running {
            let (node, grant) = (task.node().unwrap(), task.grant().unwrap());
            let mode = self.case.sharing(view.node(node).pool());
            let own = use_of(spec, task.request().gpus);
            if let (Sharing::Mig(table), false) = (mode, grant.devices.is_empty())
                && grant.slices != mig::all(table)
            {
                let speed = on_instance(own, table, grant.slices.count_ones());
                shares.instance = shares.instance.min(speed.0);
            }
            for device in grant.devices.iter() {
                let seat = Seat { node, device };
                let beside = self.beside(view, seat, mode, (task, own), advances);
                shares.beside = shares.beside.min(beside);
            }
        }
        shares
    }

    /// What a task gets of one GPU beside others that advance there.
    fn beside(
        &self,
        view: &View<'_>,
        seat: Seat,
        mode: Sharing,
        (task, own): (&TaskView<'_>, Use),
        advances: &impl Fn(&TaskView<'_>) -> bool,
    ) -> u32 {
        let here = |other: &TaskView<'_>| {
            let devices = other.grant().unwrap_or_default().devices;
            other.id() != task.id() && devices.contains(seat.device) && advances(other)
        };
        let others = view.node(seat.node).tasks().filter(here);
        let uses = others.map(|other| {
            let spec = &self.specs[other.id().job.id.index()];
            use_of(spec, other.request().gpus)
        });
        let uses: Vec<Use> = uses.collect();
        let all = uses.iter().copied();
        match mode {
            Sharing::Mps => near(
                sharing::mps(own, all, Ppm::ONE),
                if uses.is_empty() {
                    1.0
                } else {
                    at_once(own, &uses)
                },
            ),
            Sharing::TimeSliced { .. } | Sharing::Unchecked => {
                let turns = u32::try_from(turns(own, &uses)).unwrap();
                near(
                    sharing::time_sliced(own, all),
                    f64::from(turns) / f64::from(PPM),
                )
            }
            _ => PPM,
        }
    }

    /// At how many millionths of its speed the slowest node of some tasks works.
    pub(super) fn slowest(&self, running: &[&TaskView<'_>]) -> u32 {
        let nodes = running.iter().filter_map(|task| task.node());
        let speeds = nodes.map(|node| self.slow.get(&node).copied().unwrap_or(PPM));
        speeds.min().unwrap_or(PPM)
    }

    /// Rate and slices of a unit of which so many tasks run.
    pub(super) fn speed(
        &self,
        spec: &JobSpec,
        running: usize,
        slowest: u32,
        shares: Shares,
    ) -> (u64, Slices) {
        let part = |rate: u128, part: u128, whole: u128| (rate * part / whole).max(1);
        let mut rate = u128::from(RATE_ONE);
        if let Advance::Between { .. } = spec.request.advance {
            rate = part(rate, running as u128, spec.request.groups[0].count.into());
        }
        if let Some(Checkpoint { interval, cost }) = spec.profile.checkpoint {
            let period = u128::from(interval.as_nanos()) + u128::from(cost.as_nanos());
            rate = part(rate, interval.as_nanos().into(), period);
        }
        for less in [slowest, shares.beside, shares.instance] {
            rate = part(rate, less.into(), PPM.into());
        }
        let slices = self.slices(spec, slowest, shares.beside);
        (u64::try_from(rate).unwrap(), slices)
    }

    /// Stalled, interference, underused, lost, in this order, each of what the ones before leave.
    fn slices(&self, spec: &JobSpec, slowest: u32, beside: u32) -> Slices {
        let duty = match &spec.profile.behaviour {
            Some(behaviour) if spec.profile.duty.0 == PPM && self.case.sharing_matters() => {
                behaviour.compute_use.0
            }
            _ => spec.profile.duty.0,
        };
        let whole = u128::from(PPM);
        let (t, s, d) = (u128::from(slowest), u128::from(beside), u128::from(duty));
        let nearest = |value: u128, unit: u128| {
            let rounded = (value * 2 + unit) / (2 * unit);
            u32::try_from(rounded).unwrap()
        };
        let stalled = PPM - slowest;
        let interference = nearest(t * (whole - s), whole);
        let mut underused = nearest(t * s * (whole - d), whole * whole);
        let lost = spec.profile.checkpoint.map_or(0, |checkpoint| {
            let cost = u128::from(checkpoint.cost.as_nanos());
            let period = cost + u128::from(checkpoint.interval.as_nanos());
            nearest(t * s * d / (whole * whole) * cost, period)
        });
        let taken = stalled + interference + underused + lost;
        underused -= taken.saturating_sub(PPM);
        Slices {
            stalled,
            interference,
            underused,
            lost,
            useful: PPM.saturating_sub(taken),
        }
    }
}
