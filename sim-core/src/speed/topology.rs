//! A speed model that uses all that is known: links, GPU models, neighbours, phases.

use std::sync::Arc;

use super::behaviour::{Behaviour, Traffic};
use super::best::{BestPlacements, cost};
use super::reference::{ReferenceSpeed, checkpointed, scaled};
use super::situation::{Situation, condition};
use super::{
    Neighbours, NodePart, PlacedTask, Placement, Shares, Slices, Speed, SpeedModel, Until, shares,
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
        let gpus: u32 = parts.iter().map(|part| part.devices.len()).sum();
        if gpus == 0 {
            return Pace::ONE;
        }
        let tasks: u32 = parts.iter().map(|part| part.tasks).sum();
        let gpus_each = (gpus / tasks.max(1)).max(1);
        let mut best = self
            .best
            .of(behaviour, on.pool(parts[0].node), gpus, gpus_each);
        let mut pool = on.pool(parts[0].node);
        let mut health = Ppm::ONE;
        for part in parts {
            health = health.min(condition(on, part).compute);
            let other = on.pool(part.node);
            if other == pool {
                continue;
            }
            // A unit is as fast as its slowest GPUs.
            let there = self.best.of(behaviour, other, gpus, gpus_each);
            if there.gpu_speed < best.gpu_speed {
                (best, pool) = (there, other);
            }
        }
        let health = fraction(health);
        let placed = match &behaviour.traffic {
            Traffic::None => health,
            Traffic::Step(_) => {
                let there = Situation::new(on, beside, parts);
                best.cost / cost(behaviour, &there, best.gpu_speed * health)
            }
            Traffic::Loss(_) => {
                let there = Situation::new(on, beside, parts);
                health * best.cost / cost(behaviour, &there, best.gpu_speed)
            }
        };
        Pace {
            placed: placed.min(1.0) * (1.0 - host_loss(behaviour, on)),
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
fn host_loss(behaviour: &Behaviour, on: &Placement<'_>) -> f64 {
    if behaviour.host_loss == Ppm::ZERO {
        return 0.0;
    }
    let far = on.tasks().map(|task| far_cores(on, &task)).max();
    fraction(behaviour.host_loss) * fraction(far.unwrap_or(Ppm::ZERO))
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
        let Shares {
            beside: sharing,
            instance,
        } = shares(profile, on, beside);
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

    fn minds_neighbours(&self) -> bool {
        true
    }

    fn bound(&self, supply: &Supply) -> Option<Arc<dyn SpeedModel>> {
        Some(Arc::new(Self::new(supply)))
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
