//! Runs a scenario: every platform with every seed, in parallel across runs, never inside one.
//!
//! Results come in the order (platform, seed) of the scenario, whatever the number of threads, and
//! nothing is summed across threads.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use windtunnel_core::rng::Seed;
use windtunnel_core::{
    JobRecord, Names, Observer, Platform, Policy, REASONS, Report, RunError, RunOptions,
    Simulation, Step,
};

use crate::error::ExperimentError;
use crate::facts::{JobFacts, none_in_time};
use crate::jobs::{JobSource, Jobs, TraceRead, WorkloadSize};
use crate::samples::{Sample, Sampler};
use crate::scenario::{IN_CODE, PlatformSpec, Scenario};

/// Instants between two looks at whether to stop.
const STEPS_PER_LOOK: u32 = 4_096;

/// One run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunKey {
    /// Place of the platform in the scenario.
    pub platform: usize,
    /// Place of the seed in the scenario.
    pub seed: usize,
}

/// Takes part in a sweep: keeps job records, shows progress, stops it.
pub trait Hooks: Sync {
    /// Takes the job records of one run; `None` if nobody wants them.
    ///
    /// # Errors
    /// They can't be kept.
    fn records(&self, _run: RunKey) -> Result<Option<Box<dyn RecordSink>>, ExperimentError> {
        Ok(None)
    }
    /// Whether fragmentation is sampled as often as the scenario says.
    fn wants_samples(&self) -> bool {
        false
    }
    /// A run is over.
    fn on_run_end(&self, _run: RunKey) {}
    /// Whether to stop as soon as possible.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Takes the job records of one run, in order of (end, id), unfinished ones last.
pub trait RecordSink {
    /// Takes one.
    ///
    /// # Errors
    /// It can't be kept.
    fn record(&mut self, record: &JobRecord, names: &Names) -> Result<(), ExperimentError>;
    /// There are no more.
    ///
    /// # Errors
    /// Some can't be kept.
    fn finish(self: Box<Self>) -> Result<(), ExperimentError>;
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// Why jobs waited, over a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitTotals {
    /// Jobs that waited for a reason at all, by [`Reason`](windtunnel_core::Reason).
    pub jobs: [u64; REASONS],
    /// Time they waited for it, in nanoseconds.
    pub nanos: [u128; REASONS],
}

impl WaitTotals {
    fn add(&mut self, record: &JobRecord) {
        for (place, &waited) in record.waited.iter().enumerate() {
            self.jobs[place] += u64::from(waited > 0);
            self.nanos[place] += u128::from(waited);
        }
    }
}

/// Jobs that could never run, over a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeverFit {
    /// The one that was submitted first.
    pub first: Option<JobRecord>,
    /// GPU time their tasks held all the same, in vain [milli-GPU·ns]: a platform that places task by
    /// task starts what fits of a gang.
    pub held: u128,
}

impl NeverFit {
    fn add(&mut self, record: &JobRecord) {
        if !record.never_fits {
            return;
        }
        self.held += record.held;
        if self
            .first
            .as_ref()
            .is_none_or(|first| record.job < first.job)
        {
            self.first = Some(record.clone());
        }
    }
}

/// What came of one run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Which run.
    pub key: RunKey,
    /// Its figures.
    pub report: Report,
    /// Why its jobs waited.
    pub waits: WaitTotals,
    /// Jobs of it that could never run.
    pub never: NeverFit,
    /// Fragmentation over time; nothing unless a hook wants it.
    pub samples: Vec<Sample>,
}

/// What came of all runs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What was run.
    pub scenario: Scenario,
    /// The workload of each seed, in the order of the scenario; `None` of a stream
    /// and of jobs that never end.
    pub sizes: Vec<Option<WorkloadSize>>,
    /// What is to be known of each seed's jobs, in the same order; `None` of a stream.
    pub facts: Vec<Option<JobFacts>>,
    /// The file the jobs came from, if they did.
    pub trace: Option<TraceRead>,
    /// One result per run: all seeds of the first platform, then of the second, ….
    pub runs: Vec<RunResult>,
}

impl Comparison {
    /// The runs of a platform, by seed.
    #[must_use]
    pub fn of_platform(&self, platform: usize) -> &[RunResult] {
        let seeds = self.scenario.run.seeds.len();
        &self.runs[platform * seeds..(platform + 1) * seeds]
    }
}

/// A scenario about to be run.
///
/// ```
/// use windtunnel::{Scenario, Sweep};
/// let mut scenario = Scenario::campus();
/// scenario.run.seeds = vec![7];
/// scenario.platforms.retain(|platform| platform.name == "fifo");
/// let comparison = Sweep::new(scenario).threads(1).run()?;
/// assert_eq!(comparison.runs[0].report.summary.submitted, 5_000);
/// # Ok::<(), windtunnel::ExperimentError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sweep {
    scenario: Scenario,
    own: Vec<Own>,
    threads: usize,
}

/// A policy made in code, anew for each run.
#[derive(Clone)]
struct Own {
    /// Place of its platform in the scenario.
    platform: usize,
    make: Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({})", self.platform)
    }
}

impl Sweep {
    /// Runs `scenario` on as many threads as there are cores.
    #[must_use]
    pub const fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            own: Vec::new(),
            threads: 0,
        }
    }

    /// The same with one platform more, whose policy is made in code, anew for each run. Everything
    /// else of it is as on the first platform of the scenario (as of [`PlatformSpec::new`] if there is
    /// none), so that the policy alone makes the difference;
    /// [`with_platform`](Self::with_platform) takes other settings.
    ///
    /// The comparison has it like any other: ranked, in differences, in files. What can't be done is
    /// to run it again from the manifest alone, which shows its policy as [`IN_CODE`].
    ///
    /// ```
    /// use windtunnel::policies::{BestFit, Greedy};
    /// use windtunnel::{Scenario, Sweep, compare};
    /// let mut scenario = Scenario::campus();
    /// scenario.run.seeds = vec![1];
    /// scenario.platforms.retain(|platform| platform.name == "best-fit");
    /// let sweep = Sweep::new(scenario).with_policy("mine", || Box::new(Greedy::new(BestFit)));
    /// let comparison = sweep.run()?;
    /// assert_eq!(comparison.scenario.platforms[1].name, "mine");
    /// let [theirs, mine] = &comparison.runs[..] else { panic!("one run each") };
    /// assert_eq!(mine.report.digest, theirs.report.digest, "it is the same policy");
    /// assert_eq!(compare::ranked(&comparison).len(), 2);
    /// # Ok::<(), windtunnel::ExperimentError>(())
    /// ```
    #[must_use]
    pub fn with_policy(
        self,
        name: &str,
        make: impl Fn() -> Box<dyn Policy> + Send + Sync + 'static,
    ) -> Self {
        let first = self.scenario.platforms.first().cloned();
        let mut spec = first.unwrap_or_else(|| PlatformSpec::new(name, IN_CODE));
        name.clone_into(&mut spec.name);
        self.with_platform(spec, make)
    }

    /// The same with settings of its own; what `spec` says of a policy does not count.
    #[must_use]
    pub fn with_platform(
        mut self,
        mut spec: PlatformSpec,
        make: impl Fn() -> Box<dyn Policy> + Send + Sync + 'static,
    ) -> Self {
        IN_CODE.clone_into(&mut spec.policy);
        self.own.push(Own {
            platform: self.scenario.platforms.len(),
            make: Arc::new(make),
        });
        self.scenario.platforms.push(spec);
        self
    }

    /// What will be run, platforms made in code among the others: what
    /// [`JobFiles::new`](crate::output::JobFiles::new) wants to know.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The same on so many threads; 0 means as many as there are cores. It changes no result.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Runs everything.
    ///
    /// # Errors
    /// The scenario breaks a rule, its jobs can't be had, or a run broke off: the first run that did,
    /// in the order of the scenario.
    pub fn run(self) -> Result<Comparison, ExperimentError> {
        self.run_with(&NoHooks)
    }

    /// Runs everything, watched.
    ///
    /// # Errors
    /// As [`run`](Self::run); also if a hook fails, or stops it.
    pub fn run_with(self, hooks: &dyn Hooks) -> Result<Comparison, ExperimentError> {
        let scenario = self.scenario.complete()?;
        let is_sampled = hooks.wants_samples() && scenario.run.sample_every.is_some();
        let source = if is_sampled {
            JobSource::open_with_targets(&scenario)?
        } else {
            JobSource::open(&scenario)?
        };
        let (platforms, seeds) = (scenario.platforms.len(), scenario.run.seeds.len());
        // Seed by seed, so that few lists of jobs are alive at once.
        let keys: Vec<RunKey> = (0..platforms * seeds)
            .map(|place| RunKey {
                platform: place % platforms,
                seed: place / platforms,
            })
            .collect();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()
            .map_err(|error| ExperimentError::setting("threads", error.to_string()))?;
        let results: Vec<Result<RunResult, ExperimentError>> = pool.install(|| {
            let run = |&key: &RunKey| {
                let own = self.own.iter().find(|own| own.platform == key.platform);
                let spec = &scenario.platforms[key.platform];
                let platform = match own {
                    Some(own) => scenario.platform_with(spec, (own.make)()),
                    None => scenario.platform(spec)?,
                };
                run_one(&scenario, &source, platform, key, hooks)
            };
            keys.par_iter().with_max_len(1).map(run).collect()
        });
        let mut runs = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        runs.sort_by_key(|run| (run.key.platform, run.key.seed));
        if runs.iter().all(|run| run.report.summary.submitted == 0) {
            return Err(none_in_time(&scenario, None));
        }
        Ok(Comparison {
            sizes: source.sizes(),
            facts: source.facts(),
            trace: source.trace(),
            runs,
            scenario,
        })
    }
}

/// Keeps records until the end of the instant: names are at hand only then.
#[derive(Default)]
struct Recorder {
    waits: WaitTotals,
    never: NeverFit,
    keep: bool,
    records: Vec<JobRecord>,
}

impl Observer for Recorder {
    fn wants_events(&self) -> bool {
        false
    }

    fn on_job(&mut self, record: &JobRecord) {
        self.waits.add(record);
        self.never.add(record);
        if self.keep {
            self.records.push(record.clone());
        }
    }
}

/// One run of a scenario, about to begin; the ledger does not change what happens in it.
pub(crate) fn simulation(
    scenario: &Scenario,
    source: &JobSource<'_>,
    key: RunKey,
    ledger: bool,
) -> Result<Simulation, ExperimentError> {
    let platform = scenario.platform(&scenario.platforms[key.platform])?;
    simulation_of(scenario, source, platform, key, ledger)
}

fn simulation_of(
    scenario: &Scenario,
    source: &JobSource<'_>,
    platform: Platform,
    key: RunKey,
    ledger: bool,
) -> Result<Simulation, ExperimentError> {
    let (arrivals, names): Jobs = source.jobs(key.seed)?;
    let options = RunOptions {
        seed: Seed(scenario.run.seeds[key.seed]),
        horizon: scenario.run.horizon,
        ledger,
        names,
    };
    let simulation = Simulation::boxed(scenario.supply(), arrivals, platform, options)?;
    Ok(simulation)
}

/// A run broke off.
pub(crate) fn broke_off(scenario: &Scenario, key: RunKey, cause: RunError) -> ExperimentError {
    ExperimentError::Run {
        platform: scenario.platforms[key.platform].name.clone(),
        seed: scenario.run.seeds[key.seed],
        cause,
    }
}

fn run_one(
    scenario: &Scenario,
    source: &JobSource<'_>,
    platform: Platform,
    key: RunKey,
    hooks: &dyn Hooks,
) -> Result<RunResult, ExperimentError> {
    if hooks.is_stopped() {
        return Err(ExperimentError::Interrupted);
    }
    let mut simulation = simulation_of(scenario, source, platform, key, true)?;
    let mut sink = hooks.records(key)?;
    let mut recorder = Recorder {
        keep: sink.is_some(),
        ..Recorder::default()
    };
    let failed = |cause| broke_off(scenario, key, cause);
    let every = scenario.run.sample_every.filter(|_| hooks.wants_samples());
    let mut sampler = every.map(|every| Sampler::new(every, source.targets(key.seed)));
    let mut steps = 0_u32;
    loop {
        if let Some(sampler) = &mut sampler
            && let Some(next) = simulation.next_instant().map_err(failed)?
        {
            sampler.before(next, &mut simulation);
        }
        let step = simulation.step_with(&mut recorder).map_err(failed)?;
        if let Some(sink) = &mut sink {
            for record in recorder.records.drain(..) {
                sink.record(&record, simulation.view().names())?;
            }
        }
        if let Step::Over(_) = step {
            break;
        }
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(STEPS_PER_LOOK) && hooks.is_stopped() {
            return Err(ExperimentError::Interrupted);
        }
    }
    if let Some(sink) = sink {
        sink.finish()?;
    }
    hooks.on_run_end(key);
    let samples = sampler.map(|sampler| sampler.finish(&mut simulation));
    Ok(RunResult {
        key,
        samples: samples.unwrap_or_default(),
        report: simulation.report(),
        waits: recorder.waits,
        never: recorder.never,
    })
}
