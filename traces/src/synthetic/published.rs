//! Workloads whose statistics follow those published of real clusters.
//!
//! [`Published`] draws jobs that look like those of Microsoft Philly, of Helios Venus or of
//! Alibaba's openb, at any load, on a cluster of any size, for any length. It is for what a recorded
//! trace can't do: many seeds, a longer window, a larger cluster, another load.
//!
//! # What is drawn
//! A job's *size class* (GPUs, or a part of one, or none) by weight; its *ending* by share; its run
//! time as
//!
//! ```text
//! median × GPUs^γ × factor of the ending × exp(σ z),   z standard normal
//! ```
//!
//! in whole seconds, from 1 s to the longest published. Four published figures fix the parameters:
//! median and mean run time, GPU time per job, and the shares of GPU time by ending; they were found
//! by solving for these figures in closed form (sums of truncated log-normal moments over classes
//! and endings). Arrivals follow the counts per hour of the day and day of the week. Estimates err
//! as the authors of Helios drew them for Philly.
//!
//! | | Philly | Helios | openb |
//! | --- | --- | --- | --- |
//! | jobs it follows | 112,956 GPU jobs | 125,303 GPU jobs of Venus | 8,152 pods, default |
//! | median and mean run time | 874 s, 18,006 s | 204 s, 13,041 s | 616 s, 28,949 s |
//! | GPUs per job | 1.93 | 6.58 | 0.75 |
//! | GPU time per job | 61,038 GPU-s | 98,526 GPU-s | 25,540 GPU-s |
//! | completed, failed, cancelled | 60.4, 30.5, 9.0 % | 52.6, 20.2, 27.2 % | 74.2, 25.8, 0 % |
//! | the same by GPU time | 32, 39, 29 % | 52, 9, 40 % | as drawn |
//! | longest run | 4,240,676 s | 4,320,009 s | 12,537,496 s |
//! | estimates | err as below | err as below | none: pods have none |
//!
//! Where each figure comes from is in `docs/TRACES.md`.
//!
//! **Estimates.** With probability 0.1 the estimate errs by up to 10 %, with 0.4 by 10 to 50 %, with
//! 0.2 by 50 to 100 %, with 0.2 by 1 to 10 times the run time, with 0.1 by 10 to 100 times; up or
//! down with even odds, at least a second (Hu et al., SC'21, artifact, for Philly).
//!
//! **Load.** Jobs are drawn until their GPU time reaches the load; the last one is cut short so that
//! it is met to the second. Other run times stay as drawn, so the published figures hold at any load.
//! Classes that are larger than the cluster are left out.
//!
//! # What it leaves out
//! Users, repeats of a job and bursts: arrivals are independent given the hour. Duty cycles: GPUs
//! are taken as busy. Startup and checkpoints: the sources do not tell them.

mod tables;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::units::{MILLI_PER_GPU, PPM};
use windtunnel_core::{
    Bytes, GpuRequest, JobSpec, MilliCores, Names, SimDuration, SimTime, TaskRequest, TenantId,
};

use super::draw::{pick, whole};
use super::{JOBS_MAX, Pattern, SyntheticError, require};
use tables::{Class, Table};

/// Which cluster's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Microsoft Philly, 2017.
    Philly,
    /// Helios Venus, 2020.
    Helios,
    /// Alibaba openb, 2023: parts of GPUs, cores and memory.
    Openb,
}

/// A workload that follows a preset's published statistics, as plain data.
///
/// ```
/// use windtunnel_core::{Names, SimDuration, rng::Seed};
/// use windtunnel_traces::WorkloadStats;
/// use windtunnel_traces::synthetic::{Preset, Published};
/// let month = Published::new(Preset::Philly, 512, 0.8);
/// let jobs = month.generate(Seed(1), &mut Names::default())?;
/// let load = WorkloadStats::of(&jobs).offered_load(512, SimDuration::from_days(30));
/// assert!((load - 0.8).abs() < 1e-5);
/// # Ok::<(), windtunnel_traces::synthetic::SyntheticError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Whose statistics.
    pub preset: Preset,
    /// GPUs of the cluster that the load refers to.
    pub gpus: u32,
    /// Offered load: Σ GPUs × run time ÷ (GPUs of the cluster × window).
    pub load: f64,
    /// Jobs are submitted from 0, a Monday at midnight, to before this; at least a second.
    pub window: SimDuration,
}

impl Published {
    /// Thirty days.
    #[must_use]
    pub const fn new(preset: Preset, gpus: u32, load: f64) -> Self {
        Self {
            preset,
            gpus,
            load,
            window: SimDuration::from_days(30),
        }
    }

    /// Draws the jobs, sorted by submission. They have no names: output calls them by ordinal.
    ///
    /// O(jobs × classes) time, O(jobs) memory.
    ///
    /// # Errors
    /// A setting makes no sense, or it takes more than 10,000,000 jobs.
    pub fn generate(&self, seed: Seed, names: &mut Names) -> Result<Vec<JobSpec>, SyntheticError> {
        self.check()?;
        let table = self.preset.table();
        let drafts = self.drafts(table, seed)?;
        let pattern = Pattern::Weekly {
            hours: table.hours,
            days: table.days,
        };
        let mut rng = stream(seed, Purpose::Arrivals, 0, 0);
        let arrivals = pattern.arrivals(drafts.len(), self.window, &mut rng);
        let tenants: Vec<TenantId> = (1..=table.tenants.len())
            .map(|number| names.tenant(&format!("vc{number}")))
            .collect();
        let jobs = drafts.iter().zip(arrivals);
        Ok(jobs
            .map(|(draft, submit)| {
                let tenant = tenants.get(draft.tenant).copied().unwrap_or_default();
                job(draft, submit, tenant)
            })
            .collect())
    }

    fn check(&self) -> Result<(), SyntheticError> {
        let gpus = self.gpus;
        let fits = (1..=10_000_000).contains(&gpus);
        require(fits, "gpus", gpus, "it is from 1 to 10,000,000")?;
        let fits = self.load > 0.0 && self.load <= 1_000.0;
        require(fits, "load", self.load, "it is above 0 and at most 1000")?;
        let range = SimDuration::from_secs(1)..=SimDuration::from_days(36_500);
        let window = self.window;
        require(
            range.contains(&window),
            "window",
            window,
            "it is from 1s to 36500d",
        )
    }

    /// Jobs until their GPU time reaches the load.
    fn drafts(&self, table: &'static Table, seed: Seed) -> Result<Vec<Draft>, SyntheticError> {
        let largest = u64::from(self.gpus) * u64::from(MILLI_PER_GPU);
        let classes: Vec<&Class> = table
            .classes
            .iter()
            .filter(|class| class.gpu_milli() <= largest)
            .collect();
        let target = self.gpu_milli_seconds();
        let (mut drafts, mut demanded) = (Vec::new(), 0);
        while demanded < target {
            let ordinal = drafts.len() as u64;
            if ordinal >= u64::from(JOBS_MAX) {
                return Err(SyntheticError::Setting {
                    field: "load",
                    value: self.load.to_string(),
                    hint: "it takes more than 10,000,000 jobs of this size",
                });
            }
            let rng = &mut stream(seed, Purpose::Jobs, 0, ordinal);
            let mut draft = Draft::draw(table, &classes, rng);
            let milli = u128::from(draft.class.gpu_milli());
            let left = target - demanded;
            if milli * u128::from(draft.run_s) > left {
                draft.run_s = u64::try_from(left.div_ceil(milli)).unwrap_or(u64::MAX);
            }
            demanded += milli * u128::from(draft.run_s);
            drafts.push(draft);
        }
        Ok(drafts)
    }

    /// The GPU time that makes up the load [GPU/1000 × s], at least one unit.
    fn gpu_milli_seconds(&self) -> u128 {
        let ppm = u128::from(whole(self.load * f64::from(PPM)));
        let capacity = u128::from(self.gpus) * u128::from(MILLI_PER_GPU);
        (ppm * capacity * u128::from(self.window.as_secs()) / u128::from(PPM)).max(1)
    }
}

/// A job as drawn, all integers.
#[derive(Clone, Copy, Debug)]
struct Draft {
    class: &'static Class,
    run_s: u64,
    /// Cores and memory of a task.
    shape: tables::Shape,
    ending: windtunnel_core::Ending,
    estimate_s: Option<u64>,
    /// Place in the list of tenants.
    tenant: usize,
}

impl Draft {
    /// One job. A new property is drawn last, so that it does not shift the others.
    fn draw(table: &Table, classes: &[&'static Class], rng: &mut StreamRng) -> Self {
        let class = classes[pick(classes, |class| class.weight, rng)];
        let shape = class.shapes[pick(class.shapes, |&(weight, _)| weight, rng)].1;
        let ending = table.endings[pick(&table.endings, |ending| ending.weight, rng)];
        let z: f64 = StandardNormal.sample(rng);
        let scale = table.median_s * class.size().powf(table.gamma) * ending.factor;
        let run_s = whole(scale * (table.sigma * z).exp()).clamp(1, table.run_max_s);
        let estimate_s = table.estimates.then(|| estimate(run_s, rng));
        Self {
            class,
            run_s,
            shape,
            ending: ending.ending,
            estimate_s,
            tenant: pick(table.tenants, |&weight| weight, rng),
        }
    }
}

/// Relative error of an estimate: up to which share of the draws [ppm], from and to which error
/// \[ppm\].
const ERRORS: [(u32, u64, u64); 5] = [
    (100_000, 0, 100_000),
    (500_000, 100_000, 500_000),
    (700_000, 500_000, 1_000_000),
    (900_000, 1_000_000, 10_000_000),
    (PPM, 10_000_000, 100_000_000),
];

/// An estimate of a run time, in whole seconds, at least one. Integers only.
fn estimate(run_s: u64, rng: &mut StreamRng) -> u64 {
    let at = rng.random_range(0..PPM);
    let found = ERRORS.iter().find(|(below, _, _)| at < *below);
    let &(_, from, to) = found.unwrap_or(&ERRORS[0]);
    let error = rng.random_range(from..to);
    let one = u64::from(PPM);
    let factor = if rng.random_range(0..2_u32) == 0 {
        one + error
    } else {
        one.saturating_sub(error)
    };
    let seconds = u128::from(run_s) * u128::from(factor) / u128::from(one);
    u64::try_from(seconds).unwrap_or(u64::MAX).max(1)
}

fn job(draft: &Draft, submit: SimTime, tenant: TenantId) -> JobSpec {
    let class = draft.class;
    let request = TaskRequest {
        gpus: class.gpus,
        models: 0,
        cpu: MilliCores(draft.shape.cpu_milli),
        memory: Bytes::mib(draft.shape.memory_mib),
    };
    let run = SimDuration::from_secs(draft.run_s);
    let mut job = JobSpec::new(submit, request, run).tasks(class.tasks);
    job.request.estimate = draft.estimate_s.map(SimDuration::from_secs);
    job.request.tenant = tenant;
    job.profile.ending = draft.ending;
    job
}

impl Class {
    /// GPUs over all tasks \[milli\].
    fn gpu_milli(&self) -> u64 {
        u64::from(self.tasks) * u64::from(self.gpus.milli())
    }

    /// GPUs, as far as the run time goes: a job without any counts as a quarter of one.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    fn size(&self) -> f64 {
        match self.gpus {
            GpuRequest::None => 0.25,
            _ => self.gpu_milli() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distributions that are drawn from have the published figures: by integration over the
    /// normal variable, without sampling. Columns: median, mean run time \[s\], GPUs per job, GPU
    /// time per job [GPU-s], and its shares by ending.
    #[test]
    fn parameters_give_the_published_figures() {
        let check = |preset: Preset, figures: [f64; 4], by_ending: [f64; 3]| {
            let table = preset.table();
            let all = f64::from(table.classes.iter().map(|class| class.weight).sum::<u32>());
            let ends = f64::from(
                table
                    .endings
                    .iter()
                    .map(|ending| ending.weight)
                    .sum::<u32>(),
            );
            let (mut below, mut run, mut gpus, mut gpu_time) = (0.0, 0.0, 0.0, 0.0);
            let mut shares = [0.0; 3];
            for class in table.classes {
                let share = f64::from(class.weight) / all;
                let devices = f64::from(u32::try_from(class.gpu_milli()).unwrap()) / 1e3;
                gpus += share * devices;
                for (sum, ending) in shares.iter_mut().zip(&table.endings) {
                    let scale = table.median_s * class.size().powf(table.gamma) * ending.factor;
                    for step in -800..800_i32 {
                        let z = (f64::from(step) + 0.5) / 100.0;
                        let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                        let weight = share * f64::from(ending.weight) / ends * density / 100.0;
                        let drawn =
                            whole(scale * (table.sigma * z).exp()).clamp(1, table.run_max_s);
                        let length = f64::from(u32::try_from(drawn).unwrap());
                        below += if length < figures[0] { weight } else { 0.0 };
                        run += weight * length;
                        gpu_time += weight * length * devices;
                        *sum += weight * length * devices;
                    }
                }
            }
            let near = |found: f64, expected: f64, tolerance: f64| {
                let is_near = (found - expected).abs() <= tolerance * expected;
                assert!(is_near, "{preset:?}: {found}, published {expected}");
            };
            near(below, 0.5, 0.01);
            near(run, figures[1], 0.005);
            near(gpus, figures[2], 0.002);
            near(gpu_time, figures[3], 0.005);
            for (found, expected) in shares.into_iter().zip(by_ending) {
                near(found / gpu_time, expected, 0.005);
            }
        };
        let philly = [874.0, 18_006.055, 1.928, 6_894_650_654.0 / 112_956.0];
        check(Preset::Philly, philly, [0.321, 0.386, 0.294]);
        // 6.736 GPUs over the whole log, 6.58 in the shared part.
        let venus = [204.0, 13_040.598, 6.58, 12_345_612_608.0 / 125_303.0];
        check(Preset::Helios, venus, [0.516_2, 0.085_2, 0.398_5]);
        let openb = [
            616.0,
            28_949.0,
            6_086.8 / 8_152.0,
            51_471.0 * 3_600.0 / 7_255.0,
        ];
        check(Preset::Openb, openb, [0.742, 0.258, 0.0]);
    }

    #[test]
    fn estimates_err_as_their_authors_drew_them() {
        const DRAWS: usize = 100_000;
        let mut rng = stream(Seed(1), Purpose::Jobs, 0, 0);
        let run = 1_000_000;
        let (mut below, mut up) = ([0_usize; 5], 0);
        for _ in 0..DRAWS {
            let found = estimate(run, &mut rng);
            up += usize::from(found > run);
            // An error of more than all of it downwards leaves a second, whatever it was.
            if found > run {
                let error = (found - run) * 1_000_000 / run;
                below[ERRORS.iter().position(|(_, _, to)| error < *to).unwrap()] += 1;
            }
        }
        // Four standard deviations of a share of 100,000 draws are at most 0.63 points.
        assert!(up.abs_diff(DRAWS / 2) < 640, "{up}");
        for (found, expected) in below
            .into_iter()
            .zip([5_000_usize, 20_000, 10_000, 10_000, 5_000])
        {
            assert!(found.abs_diff(expected) < 510, "{below:?}");
        }
    }
}
