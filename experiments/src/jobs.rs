//! The jobs of a scenario, seed by seed, as the engine takes them.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use windtunnel_core::hash::{Digest, WordHash};
use windtunnel_core::rng::Seed;
use windtunnel_core::{
    ArrivalError, Arrivals, Horizon, JobList, JobSpec, Names, NotForkable, SimDuration, SimTime,
    Targets,
};
use windtunnel_traces::{
    Action, Decoded, Format, HeliosReader, JobReader, Loaded, NativeReader, OpenbReader,
    PhillyReader, RowCounts, RowIssue, Strictness, SwfReader, WorkloadStats,
};

use crate::behaviours::{Behaving, Behaviours};
use crate::error::ExperimentError;
use crate::facts::{JobFacts, in_time, none_in_time, refuse_unix_time};
use crate::scenario::{BehaviourMix, Log, Scenario, Table, Workload};

/// Most row issues that are kept to be shown.
const ISSUES_KEPT: usize = 5;

/// A stream of jobs and the names they were made with.
pub(crate) type Jobs = (Box<dyn Arrivals>, Names);

/// What is known of a workload before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkloadSize {
    /// Number of jobs that are submitted by the end of the run; others are in neither figure.
    pub jobs: u64,
    /// Σ GPUs × run time ÷ (GPUs of the supply × window), where the window ends at the horizon or, in
    /// a drain run, with the last submission. Of a supply without GPUs the same of CPU cores.
    pub offered_load: f64,
}

/// What was read from a file of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRead {
    /// The file.
    pub path: String,
    /// Fingerprint of its bytes.
    pub digest: Digest,
    /// Where its rows went; all zero if it was streamed.
    pub counts: RowCounts,
    /// The first few issues.
    pub issues: Vec<RowIssue>,
}

/// Makes the jobs of each seed, once, and lets them go after the last platform has them.
pub(crate) struct JobSource<'a> {
    scenario: &'a Scenario,
    /// A list for all seeds, of a table that was read whole.
    shared: Option<(JobList, Names)>,
    /// Pods to fill the cluster with, in another order for each seed.
    pods: Option<(Vec<JobSpec>, Names)>,
    /// One entry per seed, in the order of the scenario.
    drawn: Vec<Mutex<Slot>>,
    trace: Option<TraceRead>,
    /// Whether targets of fragmentation are wanted.
    with_targets: bool,
    /// Those of jobs that are the same for every seed.
    targets: Option<Arc<Targets>>,
}

#[derive(Default)]
struct Slot {
    targets: Option<Arc<Targets>>,
    jobs: Option<(JobList, Names)>,
    uses: usize,
    size: Option<WorkloadSize>,
    facts: Option<JobFacts>,
}

impl<'a> JobSource<'a> {
    /// Reads a table, if there is one to be read whole.
    pub(crate) fn open(scenario: &'a Scenario) -> Result<Self, ExperimentError> {
        Self::read(scenario, false)
    }

    /// The same; the typical shapes of the jobs are taken from every list, as targets of
    /// fragmentation.
    pub(crate) fn open_with_targets(scenario: &'a Scenario) -> Result<Self, ExperimentError> {
        Self::read(scenario, true)
    }

    fn read(scenario: &'a Scenario, with_targets: bool) -> Result<Self, ExperimentError> {
        let seeds = scenario.run.seeds.len();
        let mut this = Self {
            scenario,
            shared: None,
            pods: None,
            drawn: std::iter::repeat_with(Mutex::default).take(seeds).collect(),
            trace: None,
            with_targets,
            targets: None,
        };
        if let Workload::OpenbFill(fill) = &scenario.workload {
            this.pods = this.load(&fill.table())?;
        } else if let Some(table) = scenario.workload.table() {
            let loaded = this.load(&table)?;
            this.shared = loaded.map(|(jobs, names)| (JobList::new(jobs), names));
            if let Some((list, _)) = &this.shared {
                this.refuse_none_in_time(list.jobs())?;
            }
        }
        Ok(this)
    }

    /// Reads a table, unless it is to be streamed, and takes note of its file.
    fn load(&mut self, table: &Table) -> Result<Option<(Vec<JobSpec>, Names)>, ExperimentError> {
        let trace = self.trace.insert(TraceRead {
            path: table.path.display().to_string(),
            digest: file_digest(&table.path)?,
            counts: RowCounts::default(),
            issues: Vec::new(),
        });
        if table.stream {
            return Ok(None);
        }
        let mut names = Names::default();
        let loaded = match &self.scenario.workload {
            Workload::Helios(_) => read_all(helios(table)?, table, &mut names)?,
            Workload::Philly(_) => read_all(philly(table)?, table, &mut names)?,
            Workload::Swf(log) => read_all(swf(log)?, table, &mut names)?,
            Workload::Openb(_) | Workload::OpenbFill(_) => {
                read_all(openb(table)?, table, &mut names)?
            }
            _ => read_all(native(self.scenario, table)?, table, &mut names)?,
        };
        trace.counts = loaded.counts;
        trace.issues = worst(loaded.issues);
        self.targets = self.targets_of(&loaded.jobs);
        Ok(Some((loaded.jobs, names)))
    }

    /// The jobs of the seed at a place, with their behaviours.
    pub(crate) fn jobs(&self, place: usize) -> Result<Jobs, ExperimentError> {
        let (jobs, names) = self.plain_jobs(place)?;
        let behaviours = self.scenario.behaviours.as_ref();
        let Some(mix) = behaviours
            .map(BehaviourMix::mixed)
            .filter(|mix| !mix.is_empty())
        else {
            return Ok((jobs, names));
        };
        let seed = Seed(self.scenario.run.seeds[place]);
        let jobs = Behaving::new(jobs, mix, seed);
        Ok((Box::new(jobs), names))
    }

    fn plain_jobs(&self, place: usize) -> Result<Jobs, ExperimentError> {
        if let Some((list, names)) = &self.shared {
            return Ok((Box::new(list.clone()), names.clone()));
        }
        let seed = Seed(self.scenario.run.seeds[place]);
        match &self.scenario.workload {
            Workload::Campus(drawn) | Workload::Synthetic(drawn) => self.draw(place, || {
                let mut names = Names::default();
                let mut jobs = drawn.generator().generate(seed, &mut names)?;
                let faults = &self.scenario.faults;
                drawn.checkpoint_interval.plan(faults, &mut jobs);
                Ok((JobList::new(jobs), names))
            }),
            Workload::Preset(drawn) => self.draw(place, || {
                let mut names = Names::default();
                let jobs = drawn.generator().generate(seed, &mut names)?;
                Ok((JobList::new(jobs), names))
            }),
            Workload::OpenbFill(fill) => self.draw(place, || {
                let (pods, names) = self.pods.clone().expect("read when the source was opened");
                let fill = fill.generator(self.scenario.gpu_count());
                Ok((JobList::new(fill.generate(seed, pods)), names))
            }),
            Workload::Poisson(stream) => {
                Ok((Box::new(stream.generator().stream(seed)?), Names::default()))
            }
            Workload::Native(table) => Ok((
                first_of(native(self.scenario, table)?, table),
                Names::default(),
            )),
            Workload::Helios(table) => Ok((first_of(helios(table)?, table), Names::default())),
            Workload::Openb(table) => Ok((first_of(openb(table)?, table), Names::default())),
            Workload::Philly(table) => Ok((first_of(philly(table)?, table), Names::default())),
            Workload::Swf(log) => Ok((first_of(swf(log)?, &log.table()), Names::default())),
        }
    }

    /// The jobs that `make` draws for the seed at a place: once, for all platforms.
    fn draw(
        &self,
        place: usize,
        make: impl FnOnce() -> Result<(JobList, Names), ExperimentError>,
    ) -> Result<Jobs, ExperimentError> {
        let mut slot = lock(&self.drawn[place]);
        if slot.jobs.is_none() {
            let (list, names) = make()?;
            slot.size = self.size_of(list.jobs());
            slot.facts = Some(self.facts_of(list.jobs()));
            slot.targets = self.targets_of(list.jobs());
            slot.jobs = Some((list, names));
        }
        slot.uses += 1;
        let jobs = if slot.uses == self.scenario.platforms.len() {
            slot.jobs.take()
        } else {
            slot.jobs.clone()
        };
        let (list, names) = jobs.expect("made above");
        Ok((Box::new(list), names))
    }

    /// The typical shapes of the jobs of the seed at a place, once they were made: of a fill those of
    /// its pods, as the original has it. None of a stream.
    pub(crate) fn targets(&self, place: usize) -> Option<Arc<Targets>> {
        let shared = self.targets.clone();
        shared.or_else(|| lock(&self.drawn[place]).targets.clone())
    }

    fn targets_of(&self, jobs: &[JobSpec]) -> Option<Arc<Targets>> {
        self.with_targets.then(|| Arc::new(Targets::typical(jobs)))
    }

    /// The size of each seed's workload, in the order of the scenario; `None` of a stream and of jobs
    /// that never end.
    pub(crate) fn sizes(&self) -> Vec<Option<WorkloadSize>> {
        match &self.shared {
            Some((list, _)) => vec![self.size_of(list.jobs()); self.drawn.len()],
            None => self.drawn.iter().map(|slot| lock(slot).size).collect(),
        }
    }

    /// What is to be known of each seed's jobs, in the order of the scenario; `None` of a stream.
    pub(crate) fn facts(&self) -> Vec<Option<JobFacts>> {
        match &self.shared {
            Some((list, _)) => vec![Some(self.facts_of(list.jobs())); self.drawn.len()],
            None => {
                let slots = self.drawn.iter();
                slots.map(|slot| lock(slot).facts.clone()).collect()
            }
        }
    }

    fn facts_of(&self, jobs: &[JobSpec]) -> JobFacts {
        JobFacts::of(jobs, self.scenario.run.horizon)
    }

    /// A table of which not a single job is submitted by the end of the run; or by Unix time, so that
    /// the cluster would be paid for decades until the first.
    fn refuse_none_in_time(&self, jobs: &[JobSpec]) -> Result<(), ExperimentError> {
        let is_native = matches!(self.scenario.workload, Workload::Native(_));
        let drains = self.scenario.run.horizon == Horizon::Drain;
        if let Some(first) = jobs.first().filter(|_| is_native && drains) {
            refuse_unix_time(first)?;
        }
        let facts = self.facts_of(jobs);
        match facts.first_late {
            Some((first, submit)) if facts.jobs == 0 => Err(none_in_time(
                self.scenario,
                Some((facts.late, &first, submit)),
            )),
            _ => Ok(()),
        }
    }

    fn size_of(&self, jobs: &[JobSpec]) -> Option<WorkloadSize> {
        let jobs = in_time(jobs, self.scenario.run.horizon);
        let stats = WorkloadStats::of(jobs);
        if stats.endless > 0 {
            return None;
        }
        let last = jobs.last().map_or(SimTime::ZERO, |job| job.submit);
        let window = match self.scenario.run.horizon {
            Horizon::After(length) => length,
            Horizon::Drain => last.since(SimTime::ZERO),
        };
        Some(WorkloadSize {
            jobs: stats.jobs,
            offered_load: self.offered_load(&stats, window.max(SimDuration::from_secs(1))),
        })
    }

    fn offered_load(&self, stats: &WorkloadStats, window: SimDuration) -> f64 {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        match (self.scenario.gpu_count(), self.scenario.core_count()) {
            (0, 0) => 0.0,
            (0, cores) => stats.offered_core_load(count(cores), window),
            (gpus, _) => stats.offered_load(count(gpus), window),
        }
    }

    /// What was read from a file, if anything was.
    pub(crate) fn trace(&self) -> Option<TraceRead> {
        self.trace.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn strictness(table: &Table) -> Strictness {
    if table.strict {
        Strictness::Strict
    } else {
        Strictness::Lenient
    }
}

/// A native table, whose rows may name the behaviours of the scenario, or of the program.
fn native(
    scenario: &Scenario,
    table: &Table,
) -> Result<NativeReader<Decoded<File>>, ExperimentError> {
    let behaviours = match &scenario.behaviours {
        Some(behaviours) => behaviours.all(),
        None => Behaviours::embedded().ready()?,
    };
    Ok(NativeReader::open(&table.path)?
        .with_behaviours(behaviours)
        .with_strictness(strictness(table)))
}

fn helios(table: &Table) -> Result<HeliosReader<Decoded<File>>, ExperimentError> {
    Ok(HeliosReader::open(&table.path)?.with_strictness(strictness(table)))
}

fn openb(table: &Table) -> Result<OpenbReader<Decoded<File>>, ExperimentError> {
    Ok(OpenbReader::open(&table.path)?.with_strictness(strictness(table)))
}

fn philly(table: &Table) -> Result<PhillyReader<Decoded<File>>, ExperimentError> {
    Ok(PhillyReader::open(&table.path)?.with_strictness(strictness(table)))
}

fn swf(log: &Log) -> Result<SwfReader<Decoded<File>>, ExperimentError> {
    Ok(SwfReader::open(&log.path)?
        .with_options(log.options())
        .with_strictness(strictness(&log.table())))
}

/// The first few issues, those that changed a job or cost one before mere remarks.
fn worst(mut issues: Vec<RowIssue>) -> Vec<RowIssue> {
    issues.sort_by_key(|issue| issue.action == Action::Kept);
    issues.truncate(ISSUES_KEPT);
    issues
}

fn read_all<F: Format>(
    reader: JobReader<Decoded<File>, F>,
    table: &Table,
    names: &mut Names,
) -> Result<Loaded, ExperimentError> {
    let mut loaded = reader.read_all(names)?;
    if let Some(first) = table.first {
        loaded
            .jobs
            .truncate(usize::try_from(first).unwrap_or(usize::MAX));
    }
    Ok(loaded)
}

/// The fingerprint of a file's bytes.
fn file_digest(path: &Path) -> Result<Digest, ExperimentError> {
    let failed = |cause| ExperimentError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = WordHash::default();
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0_u64;
    loop {
        // Whole buffers, so that the words do not depend on how the bytes arrive.
        let read = read_full(&mut file, &mut buffer).map_err(failed)?;
        for chunk in buffer[..read].chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            hash.word(u64::from_le_bytes(bytes));
        }
        length += read as u64;
        if read < buffer.len() {
            hash.word(length);
            return Ok(hash.digest());
        }
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn first_of<F: Format + 'static>(
    reader: JobReader<Decoded<File>, F>,
    table: &Table,
) -> Box<dyn Arrivals> {
    let left = table.first.unwrap_or(u64::MAX);
    Box::new(First { reader, left })
}

/// A streamed table, at most so many jobs of it.
struct First<F: Format> {
    reader: JobReader<Decoded<File>, F>,
    left: u64,
}

impl<F: Format + 'static> Arrivals for First<F> {
    fn next(&mut self, names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        self.left = self.left.checked_sub(1)?;
        self.reader.next(names)
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Err(NotForkable)
    }
}
