//! A stream of jobs of any length in constant memory.

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::{
    ArrivalError, Arrivals, JobSpec, Names, NotForkable, SimDuration, SimTime, TaskRequest,
};

use super::{SyntheticError, require};

/// GPUs of jobs: twenty equally likely ones, 2.7 on average.
const SIZES: [u16; 20] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8];

/// Poisson arrivals, exponential run times, jobs of 1 (50 %), 2 (20 %), 4 (15 %) and 8 GPUs (15 %)
/// in one task. For benchmarks and for checks against queueing theory.
///
/// ```
/// use windtunnel_core::{Arrivals, Names, rng::Seed};
/// use windtunnel_traces::synthetic::Poisson;
/// let mut stream = Poisson::new(1_000, 0.9, 10_000_000).stream(Seed(1))?;
/// let mut copy = stream.fork()?;
/// let names = &mut Names::default();
/// assert_eq!(stream.next(names), copy.next(names));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisson {
    /// GPUs of the cluster that the load refers to.
    pub gpus: u32,
    /// Offered load in the long run: mean GPU-time demanded ÷ GPU-time of the cluster.
    pub load: f64,
    /// Number of jobs.
    pub jobs: u64,
    /// Mean run time; from a second to a year.
    pub run_mean: SimDuration,
}

impl Poisson {
    /// `jobs` jobs that run for an hour on average.
    #[must_use]
    pub const fn new(gpus: u32, load: f64, jobs: u64) -> Self {
        Self {
            gpus,
            load,
            jobs,
            run_mean: SimDuration::from_hours(1),
        }
    }

    /// Begins the stream.
    ///
    /// # Errors
    /// A setting makes no sense, or the stream would pass a million jobs per second or a century.
    pub fn stream(&self, seed: Seed) -> Result<PoissonStream, SyntheticError> {
        require(self.gpus > 0, "gpus", self.gpus, "a cluster has GPUs")?;
        let fits = self.load > 0.0 && self.load <= 1_000.0;
        require(fits, "load", self.load, "it is above 0 and at most 1000")?;
        let run = self.run_mean;
        let fits = (SimDuration::from_secs(1)..=SimDuration::from_days(365)).contains(&run);
        require(fits, "run_mean", run, "it is from 1s to 365d")?;
        let gpus: u16 = SIZES.iter().sum();
        let gpus_mean = f64::from(gpus) / 20.0;
        let run_ms = run.as_secs_f64() * 1e3;
        let gap_us = gpus_mean * run_ms * 1e3 / (self.load * f64::from(self.gpus));
        let fits = gap_us >= 1.0;
        require(
            fits,
            "load",
            self.load,
            "more than a million jobs per second",
        )?;
        #[expect(clippy::cast_precision_loss, reason = "a bound, not a result")]
        let fits = gap_us * self.jobs as f64 <= 3.15e15;
        require(fits, "jobs", self.jobs, "the stream would pass a century")?;
        Ok(PoissonStream {
            gaps: stream(seed, Purpose::Arrivals, 0, 0),
            jobs: stream(seed, Purpose::Jobs, 0, 0),
            gap_us,
            run_ms,
            now: SimTime::ZERO,
            left: self.jobs,
        })
    }
}

/// The stream that [`Poisson`] describes: gaps in whole microseconds, run times in whole
/// milliseconds, at least one.
#[derive(Clone, Debug)]
pub struct PoissonStream {
    gaps: StreamRng,
    jobs: StreamRng,
    gap_us: f64,
    run_ms: f64,
    now: SimTime,
    left: u64,
}

impl Arrivals for PoissonStream {
    #[inline]
    fn next(&mut self, _names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        self.left = self.left.checked_sub(1)?;
        let gap = exponential(self.gap_us, &mut self.gaps);
        self.now += SimDuration::from_micros(gap);
        let size = self.jobs.random_range(0..20_u32);
        let run = exponential(self.run_ms, &mut self.jobs).max(1);
        let request = TaskRequest::gpus(SIZES[size as usize]);
        Some(Ok(JobSpec::new(
            self.now,
            request,
            SimDuration::from_millis(run),
        )))
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Ok(Box::new(self.clone()))
    }
}

/// An exponential draw, rounded.
#[inline]
fn exponential(mean: f64, rng: &mut StreamRng) -> u64 {
    let draw: f64 = Exp1.sample(rng);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; below 10^15 by the checks on the means"
    )]
    let whole = (mean * draw).round() as u64;
    whole
}
