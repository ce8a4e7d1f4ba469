//! A speed model that uses all that is known: links, GPU models, neighbours, phases.

use std::sync::Arc;

use super::behaviour::{Behaviour, Traffic};
use super::best::{BestPlacements, cost};
use super::co_located::shares_on;
use super::reference::{ReferenceSpeed, checkpointed, scaled};
use super::situation::{Situation, condition, pipes};
use super::{
    Limits, Neighbours, NodeLimits, NodePart, PlacedTask, Placement, Shares, Slices, Speed,
    SpeedByNode, SpeedModel, Until, shares,
};
use crate::ids::PoolId;
use crate::job::JobProfile;
use crate::supply::Supply;
use crate::time::SimDuration;
use crate::units::{PPM, Ppm, RATE_ONE};

/// Speed by where a unit runs, on which GPU model, and beside whom.
///
/// A job without a [`Behaviour`] is as fast as with [`ReferenceSpeed`]. Of one that has it
/// - t, topology: step time at the best placement of its size on that GPU model ÷ step time where it
///   is, at most one, less what its cores lose on the wrong socket; `stalled` is 1 − t;
/// - s, sharing: see [`sharing`](super::sharing);
/// - d, duty: that of its cycle's phase, else the job's own, else its use of the GPU;
/// - the rate is t × s × speed of the GPU model × scaling, less checkpoints. Scaling is one unless an
///   elastic job runs with another number of tasks than its work was stated at.
///
/// Work is thus the run time at the best placement on the reference GPU. The best placement is the
/// fastest of the even ones, alone, on the best GPUs of each node (nodes of a pool are alike).
///
/// Cost: O(parts), without allocation on one node; on several O(parts × log parts) plus O(tasks) on
/// their nodes. Floats are within the model only; the answer is rounded once.
///
/// Reference: docs/MODELS.md.
#[derive(Clone, Debug, Default)]
pub struct TopologySpeed {
    best: Arc<BestPlacements>,
}

impl TopologySpeed {
    /// The model for one supply. A [`Simulation`](crate::Simulation) does this by itself.
    #[must_use]
    pub fn new(supply: &Supply) -> Self {
        Self {
            best: Arc::new(BestPlacements::new(supply)),
        }
    }

    /// Seconds of a step at the best placement of so many GPUs, `gpus_each` to a task, on a pool of the
    /// supply, with RDMA where its cards can do it; `None` for a job without steps.
    #[must_use]
    pub fn best_step(
        &self,
        behaviour: &Arc<Behaviour>,
        pool: PoolId,
        gpus: u32,
        gpus_each: u32,
    ) -> Option<f64> {
        let best = self.best.of(behaviour, pool, gpus, gpus_each);
        matches!(behaviour.traffic, Traffic::Step(_)).then_some(best.cost)
    }

    /// What a unit's placement leaves of its speed, and the speed of its GPUs over the reference.
    fn pace(
        &self,
        behaviour: &Arc<Behaviour>,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        parts: &[NodePart],
    ) -> Pace {
        let stance = Stance {
            gpus: parts.iter().map(|part| part.devices.len()).sum(),
            tasks: parts.iter().map(|part| part.tasks).sum(),
            compute: parts
                .iter()
                .map(|part| condition(on, part).compute)
                .min()
                .unwrap_or(Ppm::ONE),
            host_loss: host_loss(behaviour, on.tasks(), on),
        };
        let pools = parts.iter().map(|part| on.pool(part.node));
        let there = || Situation::new(on, beside, parts);
        self.pace_at(behaviour, stance, pools, there)
    }

    /// The same, from what nodes leave together.
    fn pace_within(
        &self,
        behaviour: &Arc<Behaviour>,
        on: &Placement<'_>,
        limits: &Limits<'_>,
    ) -> Pace {
        let Limits { worst, footprint } = limits;
        let stance = Stance {
            gpus: footprint.gpus,
            tasks: footprint.tasks,
            compute: worst.compute,
            host_loss: lost_to(behaviour, worst.cores),
        };
        let pools = footprint.pools.iter().copied();
        let there = || Situation::within(on, limits);
        self.pace_at(behaviour, stance, pools, there)
    }

    fn pace_at(
        &self,
        behaviour: &Arc<Behaviour>,
        stance: Stance,
        mut pools: impl Iterator<Item = PoolId>,
        there: impl FnOnce() -> Situation,
    ) -> Pace {
        let (gpus, Some(mut pool)) = (stance.gpus, pools.next()) else {
            return Pace::ONE;
        };
        if gpus == 0 {
            return Pace::ONE;
        }
        let gpus_each = (gpus / stance.tasks.max(1)).max(1);
        let mut best = self.best.of(behaviour, pool, gpus, gpus_each);
        for other in pools {
            if other == pool {
                continue;
            }
            // A unit is as fast as its slowest GPUs.
            let there = self.best.of(behaviour, other, gpus, gpus_each);
            if there.gpu_speed < best.gpu_speed {
                (best, pool) = (there, other);
            }
        }
        let health = fraction(stance.compute);
        let placed = match &behaviour.traffic {
            Traffic::None => health,
            Traffic::Step(_) => best.cost / cost(behaviour, &there(), best.gpu_speed * health),
            Traffic::Loss(_) => health * best.cost / cost(behaviour, &there(), best.gpu_speed),
        };
        Pace {
            placed: placed.min(1.0) * (1.0 - stance.host_loss),
            gpu_speed: best.gpu_speed,
            pool,
            gpus_each,
        }
    }

    /// Speed of an elastic job over that at its nominal size, with all else equal: its curve, else
    /// what its best step times and the worth of its batch say, else in proportion. `None` is the last.
    fn scaling(
        &self,
        behaviour: &Arc<Behaviour>,
        on: &Placement<'_>,
        pace: Pace,
        done: SimDuration,
    ) -> Option<f64> {
        if let Some(curve) = &behaviour.curve {
            return Some(ratio(curve.speed(on.running), curve.speed(on.nominal)));
        }
        if !matches!(behaviour.traffic, Traffic::Step(_)) {
            return None;
        }
        let goodput = |tasks: u32| {
            let gpus = tasks * pace.gpus_each;
            let best = self.best.of(behaviour, pace.pool, gpus, pace.gpus_each);
            let worth = behaviour.efficiency.as_ref();
            f64::from(tasks) / best.cost * worth.map_or(1.0, |worth| worth.at(gpus, done))
        };
        Some(goodput(on.running) / goodput(on.nominal))
    }

    fn answer(
        &self,
        profile: &JobProfile,
        behaviour: &Arc<Behaviour>,
        on: &Placement<'_>,
        (pace, shares): (Pace, Shares),
        done: SimDuration,
    ) -> Speed {
        let Shares {
            beside: sharing,
            instance,
        } = shares;
        let mut rate = RATE_ONE;
        let mut factor = pace.placed * fraction(sharing) * fraction(instance) * pace.gpu_speed;
        let mut until = None;
        if on.running != on.nominal && on.nominal > 0 {
            match self.scaling(behaviour, on, pace, done) {
                Some(scaling) => {
                    factor *= scaling;
                    let worth = behaviour.efficiency.as_ref();
                    until = worth.and_then(|worth| worth.next(done));
                }
                None => rate = scaled(rate, u64::from(on.running), u64::from(on.nominal)),
            }
        }
        rate = checkpointed(times(rate, factor), profile.checkpoint);
        let (duty, until) = duty(behaviour, profile, on, done, (rate, until));
        let topology = super::sharing::part(pace.placed);
        Speed {
            rate,
            slices: Slices::from_factors(topology, sharing, duty, profile.checkpoint),
            until,
        }
    }
}

/// Where a unit runs, but for its links.
#[derive(Clone, Copy, Debug)]
struct Stance {
    gpus: u32,
    tasks: u32,
    /// What is left of the speed of its slowest node.
    compute: Ppm,
    host_loss: f64,
}

/// What a placement makes of a unit's speed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    placed: f64,
    gpu_speed: f64,
    pool: PoolId,
    gpus_each: u32,
}

impl Pace {
    /// Without GPUs, nothing is slower anywhere.
    const ONE: Self = Self {
        placed: 1.0,
        gpu_speed: 1.0,
        pool: PoolId(0),
        gpus_each: 1,
    };
}

/// Share of its speed that a unit loses because cores lie on other sockets than GPUs: that of the
/// task that loses most, as all wait for it.
fn host_loss<'a>(
    behaviour: &Behaviour,
    tasks: impl Iterator<Item = PlacedTask<'a>>,
    on: &Placement<'_>,
) -> f64 {
    if behaviour.host_loss == Ppm::ZERO {
        return 0.0;
    }
    lost_to(behaviour, near_cores(tasks, on))
}

/// The share of its speed that a unit loses if so many cores of one of its tasks are near its GPUs.
fn lost_to(behaviour: &Behaviour, near: Ppm) -> f64 {
    fraction(behaviour.host_loss) * fraction(Ppm(PPM - near.0))
}

/// The least share of a task's cores that are near its GPUs.
fn near_cores<'a>(tasks: impl Iterator<Item = PlacedTask<'a>>, on: &Placement<'_>) -> Ppm {
    let far = tasks.map(|task| far_cores(on, &task)).max();
    Ppm(PPM - far.unwrap_or(Ppm::ZERO).0)
}

/// Share of a task's cores that lie on NUMA nodes without a GPU of it. Cores that are not pinned go
/// where there is work, and cost nothing that is known.
fn far_cores(on: &Placement<'_>, task: &PlacedTask<'_>) -> Ppm {
    let (Some(cores), Some(topology)) = (task.cores, on.topology(task.node)) else {
        return Ppm::ZERO;
    };
    let gpus = task.grant.devices.iter();
    let near = gpus.fold(0, |mask, gpu| mask | 1 << topology.numa_of(gpu));
    if near == 0 {
        return Ppm::ZERO;
    }
    Ppm(PPM - cores.share_on(near).0)
}

impl SpeedModel for TopologySpeed {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed {
        let Some(behaviour) = &profile.behaviour else {
            return ReferenceSpeed.speed(profile, on, beside, done);
        };
        let parts = on.parts();
        let pace = self.pace(behaviour, on, beside, &parts);
        let shares = shares(profile, on, beside);
        self.answer(profile, behaviour, on, (pace, shares), done)
    }

    fn minds_neighbours(&self) -> bool {
        true
    }

    fn by_node(&self) -> Option<&dyn SpeedByNode> {
        Some(self)
    }

    fn bound(&self, supply: &Supply) -> Option<Arc<dyn SpeedModel>> {
        Some(Arc::new(Self::new(supply)))
    }
}

impl SpeedByNode for TopologySpeed {
    fn limits(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        part: &NodePart,
    ) -> NodeLimits {
        let Some(behaviour) = &profile.behaviour else {
            return ReferenceSpeed.limits(profile, on, beside, part);
        };
        let mut limits = NodeLimits {
            compute: condition(on, part).compute,
            shares: shares_on(profile, on, beside, part.node),
            ..NodeLimits::NONE
        };
        if behaviour.host_loss != Ppm::ZERO {
            limits.cores = near_cores(beside.own_on(part.node), on);
        }
        if behaviour.traffic != Traffic::None {
            (limits.inside, limits.outside) = pipes(on, beside, part);
        }
        limits
    }

    fn speed_within(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        limits: &Limits<'_>,
        done: SimDuration,
    ) -> Speed {
        let Some(behaviour) = &profile.behaviour else {
            return ReferenceSpeed.speed_within(profile, on, limits, done);
        };
        let pace = self.pace_within(behaviour, on, limits);
        self.answer(profile, behaviour, on, (pace, limits.worst.shares), done)
    }
}

/// How busy the GPUs are if nothing hinders, and when to ask again: at the end of the cycle's phase, or
/// at `mark` of the progress, which a clock by time is told as a time.
fn duty(
    behaviour: &Behaviour,
    profile: &JobProfile,
    on: &Placement<'_>,
    done: SimDuration,
    (rate, mark): (u64, Option<SimDuration>),
) -> (Ppm, Option<Until>) {
    let Some(cycle) = &behaviour.cycle else {
        let duty = if profile.duty == Ppm::ONE {
            behaviour.compute_use
        } else {
            profile.duty
        };
        return (duty, mark.map(Until::Progress));
    };
    let (duty, end) = cycle.at(done, on.elapsed);
    let until = match (end, mark) {
        (_, None) => end,
        (Until::Progress(end), Some(mark)) => Until::Progress(end.min(mark)),
        (Until::After(left), Some(mark)) => {
            let work = u128::from(mark.saturating_sub(done).as_nanos()) * u128::from(RATE_ONE);
            let nanos = work.div_ceil(u128::from(rate.max(1)));
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            Until::After(left.min(SimDuration::from_nanos(nanos)))
        }
    };
    (duty, Some(until))
}

fn fraction(part: Ppm) -> f64 {
    f64::from(part.0) / f64::from(PPM)
}

#[expect(clippy::cast_precision_loss, reason = "speeds are 32 bits each")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A rate times a factor, rounded once to parts per 10⁹, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rates are far below 2^53"
)]
fn times(rate: u64, factor: f64) -> u64 {
    ((rate as f64 * factor).round() as u64).max(1)
}
