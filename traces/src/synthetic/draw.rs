//! Drawing a [`Synthetic`] workload, in two passes: draw every job, then scale run times to the load.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use smallvec::SmallVec;
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::units::{MILLI_PER_GPU, PPM};
use windtunnel_core::{
    Bytes, Ending, GpuRequest, JobSpec, MigInstance, MilliCores, Names, Ppm, SimDuration, SimTime,
    TaskRequest, TenantId,
};

use super::{JOBS_MAX, Synthetic, SyntheticError};

/// A job as drawn, all integers.
#[derive(Clone, Copy, Debug)]
struct Draft {
    gpu_milli: u32,
    instance: Option<MigInstance>,
    run_s: u64,
    duty_milli: u32,
    /// Estimate ÷ run time, in percent.
    estimate_percent: u64,
    cpu_heavy: bool,
    /// Place in the list of tenants.
    tenant: usize,
    ending: Ending,
}

/// Bounds of run times, in seconds.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: u64,
    max: u64,
}

/// 1 for a factor on run times.
const FACTOR_ONE: u64 = 1_000_000;
/// Largest factor on run times: 10⁶.
const FACTOR_MAX: u64 = 1_000_000 * FACTOR_ONE;

pub(super) fn generate(
    config: &Synthetic,
    seed: Seed,
    names: &mut Names,
) -> Result<Vec<JobSpec>, SyntheticError> {
    let bounds = Bounds {
        min: config.run_min.as_secs(),
        max: config.run_max.as_secs(),
    };
    let target = config.load.map(|load| milli_seconds(load, config));
    let drafts = drafts(config, seed, bounds, target)?;
    let factor = match (target, config.load) {
        (Some(target), Some(load)) => scale(&drafts, bounds, target).ok_or_else(|| {
            let total = |run_s: u64| {
                let milli = drafts
                    .iter()
                    .map(|draft| u64::from(draft.gpu_milli))
                    .sum::<u64>();
                load_of(u128::from(milli) * u128::from(run_s), config)
            };
            SyntheticError::LoadOutOfReach {
                wanted: load,
                lowest: total(bounds.min),
                highest: total(bounds.max),
            }
        })?,
        _ => FACTOR_ONE,
    };
    let mut rng = stream(seed, Purpose::Arrivals, 0, 0);
    let arrivals = config
        .pattern
        .arrivals(drafts.len(), config.window, &mut rng);
    let tenants: Vec<TenantId> = config
        .tenants
        .iter()
        .map(|(name, _)| names.tenant(name))
        .collect();
    Ok(drafts
        .iter()
        .zip(arrivals)
        .map(|(draft, submit)| {
            let run = SimDuration::from_secs(bounds.scaled(draft.run_s, factor));
            let tenant = tenants.get(draft.tenant).copied().unwrap_or_default();
            job(config, draft, submit, run, tenant)
        })
        .collect())
}

/// Thousandths of GPU-seconds that make up a load.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a load is above 0 and at most 1,000"
)]
fn milli_seconds(load: f64, config: &Synthetic) -> u128 {
    let ppm = (load * f64::from(PPM)).round() as u128;
    let gpu_seconds = ppm * u128::from(config.gpus) * u128::from(config.window.as_secs());
    gpu_seconds / u128::from(PPM) * u128::from(MILLI_PER_GPU)
}

/// The load that thousandths of GPU-seconds make up, for messages.
#[expect(clippy::cast_precision_loss, reason = "for messages only")]
fn load_of(milli_seconds: u128, config: &Synthetic) -> f64 {
    let whole = f64::from(config.gpus) * config.window.as_secs() as f64;
    milli_seconds as f64 / f64::from(MILLI_PER_GPU) / whole
}

/// All jobs; without a number of jobs, as many as it takes to demand `target`.
fn drafts(
    config: &Synthetic,
    seed: Seed,
    bounds: Bounds,
    target: Option<u128>,
) -> Result<Vec<Draft>, SyntheticError> {
    let mut drafts = Vec::new();
    let mut demanded = 0;
    loop {
        let count = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
        let enough = match (config.jobs, target) {
            (Some(jobs), _) => count >= jobs,
            (None, Some(target)) => count > 0 && demanded >= target,
            (None, None) => true,
        };
        if enough {
            return Ok(drafts);
        }
        if count >= JOBS_MAX {
            return Err(SyntheticError::Setting {
                field: "load",
                value: config.load.unwrap_or_default().to_string(),
                hint: "it takes more than 10,000,000 jobs of this size",
            });
        }
        let draft = draft(
            config,
            bounds,
            &mut stream(seed, Purpose::Jobs, 0, u64::from(count)),
        );
        demanded += u128::from(draft.gpu_milli) * u128::from(draft.run_s);
        drafts.push(draft);
    }
}

/// One job. A new property is drawn last, so that it does not shift the others.
fn draft(config: &Synthetic, bounds: Bounds, rng: &mut StreamRng) -> Draft {
    let (gpu_milli, instance) = gpus(config, rng);
    let run = config.run_median.as_secs_f64() * log_normal(config.run_sigma, rng);
    let run_s = bounds.scaled(whole(run), FACTOR_ONE);
    let duty = duty(config.duty_mean, config.duty_spread, rng);
    let estimate = config.estimate_median * log_normal(config.estimate_sigma, rng);
    let cpu_heavy = chance(config.cpu_heavy, rng);
    let tenant = pick(&config.tenants, |(_, weight)| *weight, rng);
    let end = rng.random_range(0..PPM);
    let (failed, cancelled) = (ppm(config.failed), ppm(config.cancelled));
    Draft {
        gpu_milli,
        instance,
        run_s,
        duty_milli: duty,
        estimate_percent: whole(100.0 * estimate).clamp(100, 2_000),
        cpu_heavy,
        tenant,
        ending: match end {
            _ if end < failed => Ending::Fails,
            _ if end < failed + cancelled => Ending::Cancelled,
            _ => Ending::Completes,
        },
    }
}

/// Thousandths of a GPU, and the instance that they are, if any.
type Size = (u32, Option<MigInstance>);

/// What a job asks for, whole GPUs, parts of one and instances alike, in one draw.
fn gpus(config: &Synthetic, rng: &mut StreamRng) -> Size {
    let whole = config.gpu_mix.iter();
    let whole = whole.map(|&(gpus, weight)| ((gpus.saturating_mul(MILLI_PER_GPU), None), weight));
    let parts = config.gpu_parts.iter();
    let parts = parts.map(|&(milli, weight)| ((u32::from(milli), None), weight));
    let instances = config.gpu_instances.iter();
    let instances = instances.map(|&(instance, weight)| {
        let milli = u32::from(instance.milli());
        ((milli, Some(instance)), weight)
    });
    let mix: SmallVec<[(Size, u32); 16]> = whole.chain(parts).chain(instances).collect();
    let place = pick(&mix, |&(_, weight)| weight, rng);
    mix[place].0
}

/// The smallest factor on run times with which `drafts` demand `target`; `None` if they can't.
fn scale(drafts: &[Draft], bounds: Bounds, target: u128) -> Option<u64> {
    let demand = |factor| -> u128 {
        let each = drafts.iter().map(|draft| {
            u128::from(draft.gpu_milli) * u128::from(bounds.scaled(draft.run_s, factor))
        });
        each.sum()
    };
    let (mut low, mut high) = (0, FACTOR_MAX);
    if demand(low) > target || demand(high) < target {
        return None;
    }
    // Invariant: `low` demands too little (or is 0), `high` enough.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if demand(middle) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

impl Bounds {
    /// `run_s` × factor, rounded and clamped.
    fn scaled(self, run_s: u64, factor: u64) -> u64 {
        let scaled = u128::from(run_s) * u128::from(factor) + u128::from(FACTOR_ONE) / 2;
        let seconds = u64::try_from(scaled / u128::from(FACTOR_ONE)).unwrap_or(u64::MAX);
        seconds.clamp(self.min, self.max)
    }
}

fn job(
    config: &Synthetic,
    draft: &Draft,
    submit: SimTime,
    run: SimDuration,
    tenant: TenantId,
) -> JobSpec {
    let node = u32::from(config.gpus_per_node) * MILLI_PER_GPU;
    let (tasks, per_task) = match draft.gpu_milli {
        milli if milli > node => (milli / node, node),
        milli => (1, milli),
    };
    let heavy = if draft.cpu_heavy {
        config.cpu_heavy_factor
    } else {
        1
    };
    // A heavy task stays within a node full of ordinary ones.
    let shares = per_task.saturating_mul(heavy).min(node.max(per_task));
    let milli = u64::from(shares) * u64::from(config.cores_per_gpu);
    let (count, part) = (per_task / MILLI_PER_GPU, per_task % MILLI_PER_GPU);
    let request = TaskRequest {
        gpus: match (draft.instance, u16::try_from(part)) {
            (Some(instance), _) => GpuRequest::Instance(instance),
            (None, Ok(part)) if part > 0 => GpuRequest::Milli(part),
            _ => GpuRequest::Whole(u16::try_from(count).unwrap_or(u16::MAX)),
        },
        models: 0,
        cpu: MilliCores(u32::try_from(milli).unwrap_or(u32::MAX)),
        memory: Bytes(config.memory_per_gpu.0 * u64::from(per_task) / u64::from(MILLI_PER_GPU)),
    };
    let estimate_s = (run.as_secs() * draft.estimate_percent).div_ceil(100);
    let estimate = up_to(estimate_s, 600);
    let mut job = JobSpec::new(submit, request, run)
        .tasks(tasks)
        .startup(config.startup)
        .estimate(estimate)
        .duty(Ppm(draft.duty_milli * (PPM / MILLI_PER_GPU)));
    job.request.groups[0].level = config.level.filter(|_| tasks > 1);
    if let Some(factor) = config.limit_factor {
        let percent = whole(100.0 * factor);
        job = job.limit(up_to((estimate.as_secs() * percent).div_ceil(100), 60));
    }
    if draft.gpu_milli > MILLI_PER_GPU {
        job.profile.checkpoint = config.checkpoint;
    }
    job.request.tenant = tenant;
    job.profile.ending = draft.ending;
    job
}

/// `seconds` rounded up to a multiple of `step`.
fn up_to(seconds: u64, step: u64) -> SimDuration {
    SimDuration::from_secs(seconds.div_ceil(step) * step)
}

/// A log-normal draw with median 1.
fn log_normal(sigma: f64, rng: &mut StreamRng) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    (sigma * z).exp()
}

/// A duty cycle in thousandths: normal, clamped as far above the mean as below it.
fn duty(mean: f64, spread: f64, rng: &mut StreamRng) -> u32 {
    let z: f64 = StandardNormal.sample(rng);
    let room = mean.min(1.0 - mean);
    let share = mean + (spread * z).clamp(-room, room);
    u32::try_from(whole(1_000.0 * share)).map_or(1_000, |milli| milli.min(1_000))
}

/// The place of a draw by weight; 0 of an empty list.
pub(super) fn pick<T>(list: &[T], weight: impl Fn(&T) -> u32, rng: &mut StreamRng) -> usize {
    let sum: u32 = list.iter().map(&weight).sum();
    let mut at = rng.random_range(0..sum.max(1));
    for (place, item) in list.iter().enumerate() {
        let weight = weight(item);
        if at < weight {
            return place;
        }
        at -= weight;
    }
    0
}

fn chance(share: f64, rng: &mut StreamRng) -> bool {
    rng.random_range(0..PPM) < ppm(share)
}

/// A share as parts per million.
fn ppm(share: f64) -> u32 {
    Ppm::from_fraction(share).map_or(0, |ppm| ppm.0)
}

/// The nearest whole number, the door from floating point: 0 below it, 2⁶³ above.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped; NaN becomes 0"
)]
pub(super) fn whole(value: f64) -> u64 {
    value.round().clamp(0.0, 9_223_372_036_854_775_808.0) as u64
}
