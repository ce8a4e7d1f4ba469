//! Workloads that are drawn, not recorded.
//!
//! [`Synthetic`] makes a list of jobs that look like a campus cluster's: many small, few large,
//! log-normal run times, estimates that err upwards, GPUs that are busy part of the time.
//! [`Poisson`] makes a stream of any length in constant memory. [`Published`] draws jobs whose
//! statistics follow those published of Philly, Helios and openb.
//!
//! All are **portable**: one seed gives the same jobs everywhere. Each job's properties come from
//! a random stream of its own, keyed by its ordinal, so a job does not change because another one
//! drew more. Floating-point draws are rounded to whole seconds (shares: to percent or thousandths)
//! at once and everything after is integer arithmetic, since the last bits of `exp` and `ln` differ
//! between builds.
//!
//! ```
//! use windtunnel_core::{Names, rng::Seed};
//! use windtunnel_traces::WorkloadStats;
//! use windtunnel_traces::synthetic::Synthetic;
//! let campus = Synthetic::campus();
//! let jobs = campus.generate(Seed(7), &mut Names::default())?;
//! let stats = WorkloadStats::of(&jobs);
//! assert_eq!(stats.jobs, 5_000);
//! assert_eq!(stats.gpu_milli_max, 32_000);
//! let load = stats.offered_load(campus.gpus, campus.window);
//! assert!((load - 0.9).abs() < 0.001);
//! # Ok::<(), windtunnel_traces::synthetic::SyntheticError>(())
//! ```

mod draw;
mod pattern;
mod poisson;
mod published;

use windtunnel_core::rng::Seed;
use windtunnel_core::units::MILLI_PER_GPU;
use windtunnel_core::{Bytes, Checkpoint, JobSpec, Level, MigInstance, Names, SimDuration};

pub use pattern::Pattern;
pub use poisson::{Poisson, PoissonStream};
pub use published::{Preset, Published};

/// Most jobs one list may have.
pub const JOBS_MAX: u32 = 10_000_000;

/// A campus-like workload, as plain data. Change what you need:
///
/// ```
/// use windtunnel_traces::synthetic::Synthetic;
/// let busy = Synthetic { load: Some(1.2), ..Synthetic::campus() };
/// assert_eq!(busy.jobs, Some(5_000));
/// ```
///
/// At least one of `jobs` and `load` must be given:
///
/// | `jobs` | `load` | |
/// | --- | --- | --- |
/// | given | – | that many jobs, run times as drawn |
/// | – | given | as many jobs as it takes, then run times are scaled to hit the load |
/// | given | given | that many jobs, run times are scaled to hit the load |
///
/// **Scaling** happens in a second pass: all run times are multiplied by one factor, rounded to
/// seconds and clamped again; the factor is the smallest that reaches the load. So the load is hit
/// for every seed, and the median moves with the factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// GPUs of the cluster that the load refers to.
    pub gpus: u32,
    /// GPUs of a node: a larger job becomes tasks of one full node each, which advance together.
    pub gpus_per_node: u16,
    /// Jobs are submitted from 0 to before this; at least a second.
    pub window: SimDuration,
    /// Number of jobs, exactly.
    pub jobs: Option<u32>,
    /// Offered load: Σ GPUs × run time ÷ (GPUs of the cluster × window). Startup and checkpoints
    /// come on top.
    pub load: Option<f64>,
    /// When jobs arrive.
    pub pattern: Pattern,
    /// (GPUs of a job, weight).
    pub gpu_mix: Vec<(u32, u32)>,
    /// (thousandths of a GPU that a job asks for, weight): drawn among those of `gpu_mix`.
    pub gpu_parts: Vec<(u16, u32)>,
    /// (instance (MIG) that a job asks for, weight): drawn among those of `gpu_mix`.
    pub gpu_instances: Vec<(MigInstance, u32)>,
    /// Median of the log-normal run time, before clamping and scaling.
    pub run_median: SimDuration,
    /// Standard deviation of the logarithm of the run time.
    pub run_sigma: f64,
    /// Shortest run time; at least a second.
    pub run_min: SimDuration,
    /// Longest run time.
    pub run_max: SimDuration,
    /// Mean duty cycle, 0 to 1.
    pub duty_mean: f64,
    /// Standard deviation of the duty cycle over jobs: normal, clamped evenly on both sides so
    /// that the mean holds, and rounded to thousandths.
    pub duty_spread: f64,
    /// Startup of every job.
    pub startup: SimDuration,
    /// Checkpoints of jobs with more than one GPU.
    pub checkpoint: Option<Checkpoint>,
    /// Median of estimate ÷ run time, log-normal; below 1 it is 1, above 20 it is 20.
    pub estimate_median: f64,
    /// Standard deviation of the logarithm of estimate ÷ run time.
    pub estimate_sigma: f64,
    /// Walltime limit ÷ estimate, at least 1; `None` sets no limits. Estimates are rounded up to
    /// ten minutes, limits to minutes.
    pub limit_factor: Option<f64>,
    /// CPU cores per GPU.
    pub cores_per_gpu: u32,
    /// Memory per GPU.
    pub memory_per_gpu: Bytes,
    /// Share of jobs that ask for more cores, 0 to 1: these strand GPUs.
    pub cpu_heavy: f64,
    /// How many times the cores those ask for; never more than a full node's worth.
    pub cpu_heavy_factor: u32,
    /// (tenant, weight); empty: all jobs are the default tenant's.
    pub tenants: Vec<(String, u32)>,
    /// Share of jobs that fail by themselves once their run time is over, 0 to 1.
    pub failed: f64,
    /// Share of jobs that their user cancels once their run time is over, 0 to 1.
    pub cancelled: f64,
    /// What all tasks of a job of several tasks must share, if anything.
    pub level: Option<Level>,
}

impl Synthetic {
    /// 5,000 jobs of 1 to 32 GPUs in 30 days on 38 nodes of 8 GPUs, offered load 0.9: median run
    /// time about 3 h, mean about 10 h; mean duty 0.7; office hours; checkpoints every 30 minutes
    /// for jobs with more than one GPU.
    ///
    /// A task asks for at most 96 cores and 768 GiB.
    #[must_use]
    pub fn campus() -> Self {
        let tenants = [
            ("vision", 25),
            ("language", 20),
            ("robotics", 15),
            ("chemistry", 12),
            ("physics", 10),
            ("medicine", 8),
            ("statistics", 6),
            ("teaching", 4),
        ];
        Self {
            gpus: 38 * 8,
            gpus_per_node: 8,
            window: SimDuration::from_days(30),
            jobs: Some(5_000),
            load: Some(0.9),
            pattern: Pattern::office_hours(),
            gpu_mix: vec![(1, 50), (2, 14), (4, 14), (8, 15), (16, 5), (32, 2)],
            gpu_parts: Vec::new(),
            gpu_instances: Vec::new(),
            run_median: SimDuration::from_hours(3),
            run_sigma: 1.6,
            run_min: SimDuration::from_mins(1),
            run_max: SimDuration::from_days(7),
            duty_mean: 0.7,
            duty_spread: 0.15,
            startup: SimDuration::from_secs(60),
            checkpoint: Some(Checkpoint {
                interval: SimDuration::from_mins(30),
                cost: SimDuration::from_secs(30),
            }),
            estimate_median: 1.8,
            estimate_sigma: 0.6,
            limit_factor: Some(1.5),
            cores_per_gpu: 12,
            memory_per_gpu: Bytes::gib(96),
            cpu_heavy: 0.1,
            cpu_heavy_factor: 3,
            tenants: tenants
                .map(|(name, weight)| (name.to_owned(), weight))
                .into(),
            failed: 0.12,
            cancelled: 0.10,
            level: None,
        }
    }

    /// Draws the jobs, sorted by submission. They have no names: output calls them by ordinal.
    ///
    /// # Errors
    /// A setting makes no sense, or the load can't be reached within the bounds of run times.
    pub fn generate(&self, seed: Seed, names: &mut Names) -> Result<Vec<JobSpec>, SyntheticError> {
        self.check()?;
        draw::generate(self, seed, names)
    }

    fn check(&self) -> Result<(), SyntheticError> {
        let share = |field, value: f64| {
            let fits = (0.0..=1.0).contains(&value);
            require(fits, field, value, "a share is from 0 to 1")
        };
        let positive = |field, value: f64, most: f64| {
            let fits = value > 0.0 && value <= most;
            require(fits, field, value, "it must be above 0 and of sane size")
        };
        let sigma = |field, value: f64| {
            let fits = (0.0..=5.0).contains(&value);
            require(
                fits,
                field,
                value,
                "a standard deviation here is from 0 to 5",
            )
        };
        require(self.gpus > 0, "gpus", self.gpus, "a cluster has GPUs")?;
        let node = self.gpus_per_node;
        require(node > 0, "gpus_per_node", node, "a node has GPUs")?;
        let (second, century) = (SimDuration::from_secs(1), SimDuration::from_days(36_500));
        let window = self.window;
        require(
            (second..=century).contains(&window),
            "window",
            window,
            "it is from 1s to 36500d",
        )?;
        require(
            self.jobs.is_some() || self.load.is_some(),
            "jobs",
            "none",
            "give a number of jobs, a load, or both",
        )?;
        if let Some(jobs) = self.jobs {
            let fits = (1..=JOBS_MAX).contains(&jobs);
            require(fits, "jobs", jobs, "it is from 1 to 10,000,000")?;
        }
        if let Some(load) = self.load {
            positive("load", load, 1_000.0)?;
        }
        self.pattern.check()?;
        let mix = self.gpu_mix.iter().map(|&(_, weight)| weight);
        let parts = self.gpu_parts.iter().map(|&(_, weight)| weight);
        let instances = self.gpu_instances.iter().map(|&(_, weight)| weight);
        weights("gpu_mix", mix.chain(parts).chain(instances))?;
        for &(milli, _) in &self.gpu_parts {
            let fits = milli > 0 && u32::from(milli) < MILLI_PER_GPU;
            let hint = "a part is from 1 to 999 thousandths of a GPU";
            require(fits, "gpu_parts", milli, hint)?;
        }
        for &(gpus, _) in &self.gpu_mix {
            let node = u32::from(node);
            require(
                gpus > 0 && gpus <= 1_000_000 && (gpus <= node || gpus % node == 0),
                "gpu_mix",
                gpus,
                "a job larger than a node must be a whole number of nodes",
            )?;
        }
        require(
            self.run_min >= second && self.run_min <= self.run_max && self.run_max <= century,
            "run_min",
            self.run_min,
            "run times are from 1s to 36500d, run_min at most run_max",
        )?;
        require(
            !self.run_median.is_zero() && self.run_median <= century,
            "run_median",
            self.run_median,
            "it is from above 0s to 36500d",
        )?;
        sigma("run_sigma", self.run_sigma)?;
        share("duty_mean", self.duty_mean)?;
        share("duty_spread", self.duty_spread)?;
        if let Some(checkpoint) = self.checkpoint {
            let interval = checkpoint.interval;
            require(
                !interval.is_zero(),
                "checkpoint",
                interval,
                "it must be above 0s",
            )?;
        }
        positive("estimate_median", self.estimate_median, 1_000.0)?;
        sigma("estimate_sigma", self.estimate_sigma)?;
        if let Some(factor) = self.limit_factor {
            let fits = (1.0..=1_000.0).contains(&factor);
            require(fits, "limit_factor", factor, "it is from 1 to 1000")?;
        }
        let cores = self.cores_per_gpu;
        require(cores <= 4_000, "cores_per_gpu", cores, "it is at most 4000")?;
        let memory = self.memory_per_gpu.0;
        require(
            memory <= 1 << 40,
            "memory_per_gpu",
            memory,
            "it is at most a TiB",
        )?;
        share("cpu_heavy", self.cpu_heavy)?;
        let factor = self.cpu_heavy_factor;
        require(factor > 0, "cpu_heavy_factor", factor, "it is at least 1")?;
        if !self.tenants.is_empty() {
            weights("tenants", self.tenants.iter().map(|(_, weight)| *weight))?;
        }
        share("failed", self.failed)?;
        share("cancelled", self.cancelled)?;
        share("failed + cancelled", self.failed + self.cancelled)
    }
}

/// Why a workload can't be drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntheticError {
    /// A setting makes no sense.
    #[error("synthetic workload, {field} = `{value}`; hint: {hint}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        hint: &'static str,
    },
    /// Even the shortest or longest run times do not give the load.
    #[error("{}", out_of_reach(*wanted, *lowest, *highest))]
    LoadOutOfReach {
        /// The load asked for.
        wanted: f64,
        /// The load if every job runs for `run_min`.
        lowest: f64,
        /// The load if every job runs for `run_max`.
        highest: f64,
    },
}

/// A load from here on is more likely meant in percent.
const PERCENT_MIN: f64 = 10.0;

/// The message of a load that can't be had; the bounds are rounded to loads that can.
fn out_of_reach(wanted: f64, lowest: f64, highest: f64) -> String {
    let (lowest, highest) = (
        two_digits(lowest, f64::ceil),
        two_digits(highest, f64::floor),
    );
    let percent = if wanted >= PERCENT_MIN {
        format!("{wanted} % is {}; else ", wanted / 100.0)
    } else {
        String::new()
    };
    format!(
        "synthetic workload: load {wanted} is out of reach, run times within their bounds give \
         {lowest} to {highest}; hint: {percent}change `jobs`, `run_min` or `run_max`"
    )
}

/// A number that is not negative with two significant digits, for messages.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the exponent of a finite number is small"
)]
fn two_digits(number: f64, round: fn(f64) -> f64) -> String {
    if number <= 0.0 {
        return "0".to_owned();
    }
    let exponent = number.log10().floor() as i32 - 1;
    let step = 10.0_f64.powi(exponent);
    let decimals = exponent.min(0).unsigned_abs() as usize;
    format!("{:.decimals$}", round(number / step) * step)
}

fn require(
    fits: bool,
    field: &'static str,
    value: impl ToString,
    hint: &'static str,
) -> Result<(), SyntheticError> {
    if fits {
        return Ok(());
    }
    Err(SyntheticError::Setting {
        field,
        value: value.to_string(),
        hint,
    })
}

/// Weights must have a positive sum that fits.
fn weights(field: &'static str, weights: impl Iterator<Item = u32>) -> Result<(), SyntheticError> {
    let sum = weights.map(u64::from).sum::<u64>();
    let fits = sum > 0 && u32::try_from(sum).is_ok();
    require(fits, field, sum, "the sum of weights is from 1 to 2^32 - 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_out_of_reach_is_told_in_round_figures() {
        let error = |wanted| SyntheticError::LoadOutOfReach {
            wanted,
            lowest: 0.001_234_5,
            highest: 12.345_6,
        };
        assert_eq!(
            error(90.0).to_string(),
            "synthetic workload: load 90 is out of reach, run times within their bounds give 0.0013 \
             to 12; hint: 90 % is 0.9; else change `jobs`, `run_min` or `run_max`"
        );
        assert!(!error(1e-4).to_string().contains('%'));
        assert_eq!(two_digits(0.0, f64::ceil), "0");
        assert_eq!(two_digits(0.996, f64::ceil), "1.00");
        assert_eq!(two_digits(2_345.6, f64::floor), "2300");
    }
}
