//! What a workload asks for in all.

use windtunnel_core::{JobSpec, SimDuration, TaskRequest, Work};

/// Thousandths of a GPU, or of a core, times nanoseconds that make an hour of it.
const GPU_HOUR: u128 = 1_000 * windtunnel_core::units::NANOS_PER_HOUR;

/// Sums and middles over a list of jobs. An elastic job counts at its nominal number of tasks.
///
/// ```
/// use windtunnel_core::{JobSpec, SimDuration, SimTime, TaskRequest};
/// use windtunnel_traces::WorkloadStats;
/// let job = |hours| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(2), SimDuration::from_hours(hours))
/// };
/// let stats = WorkloadStats::of(&[job(1), job(3), job(8)]);
/// assert_eq!(stats.run_median, SimDuration::from_hours(3));
/// assert_eq!(stats.gpu_hours(), 24.0);
/// assert_eq!(stats.offered_load(4, SimDuration::from_hours(12)), 0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkloadStats {
    /// Jobs.
    pub jobs: u64,
    /// Jobs that never end; they are in no sum below but `gpu_milli`.
    pub endless: u64,
    /// GPUs asked for, summed over jobs [GPU/1000].
    pub gpu_milli: u64,
    /// GPUs of the largest job [GPU/1000].
    pub gpu_milli_max: u64,
    /// GPU-time demanded [GPU/1000 × ns].
    pub gpu_milli_nanos: u128,
    /// CPU time demanded [core/1000 × ns].
    pub cpu_milli_nanos: u128,
    /// Median run time, the upper one of an even number; under `each` a task's.
    pub run_median: SimDuration,
}

impl WorkloadStats {
    /// Counts `jobs`.
    #[must_use]
    pub fn of(jobs: &[JobSpec]) -> Self {
        let mut stats = Self::default();
        let mut runs = Vec::with_capacity(jobs.len());
        for job in jobs {
            let milli = job.request.gpu_milli();
            stats.jobs += 1;
            stats.gpu_milli += milli;
            stats.gpu_milli_max = stats.gpu_milli_max.max(milli);
            match &job.profile.work {
                Work::Endless => stats.endless += 1,
                Work::Uniform(run) => {
                    runs.push(*run);
                    for group in &job.request.groups {
                        stats.demand(&group.request, group.count, *run);
                    }
                }
                Work::PerTask(each) => {
                    runs.extend(each.iter());
                    let tasks = job.request.groups.iter().flat_map(|group| {
                        std::iter::repeat_n(&group.request, group.count as usize)
                    });
                    for (request, run) in tasks.zip(each.iter()) {
                        stats.demand(request, 1, *run);
                    }
                }
            }
        }
        let middle = runs.len() / 2;
        if !runs.is_empty() {
            stats.run_median = *runs.select_nth_unstable(middle).1;
        }
        stats
    }

    /// `count` tasks of `request` that run for `run`.
    fn demand(&mut self, request: &TaskRequest, count: u32, run: SimDuration) {
        let length = u128::from(count) * u128::from(run.as_nanos());
        self.gpu_milli_nanos += u128::from(request.gpus.milli()) * length;
        self.cpu_milli_nanos += u128::from(request.cpu.0) * length;
    }

    /// Core-hours demanded, for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn core_hours(&self) -> f64 {
        self.cpu_milli_nanos as f64 / GPU_HOUR as f64
    }

    /// GPU-hours demanded, for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn gpu_hours(&self) -> f64 {
        self.gpu_milli_nanos as f64 / GPU_HOUR as f64
    }

    /// Mean GPUs per job, for people; 0 without jobs.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn gpus_mean(&self) -> f64 {
        self.gpu_milli as f64 / 1e3 / self.jobs.max(1) as f64
    }

    /// GPU-time demanded ÷ (GPUs × window), for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn offered_load(&self, gpus: u32, window: SimDuration) -> f64 {
        let offered = u128::from(gpus) * 1_000 * u128::from(window.as_nanos());
        self.gpu_milli_nanos as f64 / offered as f64
    }

    /// CPU time demanded ÷ (cores × window), for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn offered_core_load(&self, cores: u32, window: SimDuration) -> f64 {
        let offered = u128::from(cores) * 1_000 * u128::from(window.as_nanos());
        self.cpu_milli_nanos as f64 / offered as f64
    }
}
