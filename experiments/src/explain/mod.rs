//! Why a job waited: its life in one run, and when it would have started elsewhere.
//!
//! The run is taken again with somebody watching the job; that changes nothing in it, which its digest
//! shows. What the job waited for is what `jobs.csv` books its time to: the lengths of the waits of a
//! [`Life`] sum up to the columns `wait_<reason>_s`, exactly.

mod elsewhere;
mod find;
mod fold;
mod room;
mod watch;

use windtunnel_core::{JobId, JobRecord, NodeId, Outcome, Reason, SimDuration, SimTime};

use crate::error::ExperimentError;
use crate::jobs::JobSource;
use crate::scenario::Scenario;
use crate::sweep::{self, RunKey};

pub use elsewhere::{Elsewhere, Fate, MORE_NODES, Start};
pub use room::Room;

/// A time of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Since when.
    pub from: SimTime,
    /// Until when.
    pub until: SimTime,
    /// What for, longest first: one reason, or several that took turns, with their lengths.
    pub reasons: Vec<(Reason, SimDuration)>,
    /// Times the reason changed meanwhile.
    pub changes: u32,
    /// What was free meanwhile, where the job may run.
    pub room: Room,
    /// Jobs at the head of its queue while it waited for [`Reason::HeadOfLine`], one after another.
    pub behind: Vec<JobId>,
    /// What the policy said of it when it began, if anything.
    pub says: Option<String>,
}

impl Wait {
    /// The reason it waited for longest.
    #[must_use]
    pub fn why(&self) -> Reason {
        self.reasons.first().map_or(Reason::Other, |first| first.0)
    }

    /// How long.
    #[must_use]
    pub fn length(&self) -> SimDuration {
        self.until.since(self.from)
    }
}

/// Why a time of running ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The job ended.
    Ended(Outcome),
    /// A policy took a task of it out.
    Evicted,
    /// A node of it failed.
    NodeLost,
    /// A GPU of it failed.
    GpuLost,
    /// Its node went into maintenance.
    Drained,
    /// A task of it was ended by its controller, or refused, or is done.
    Stopped,
    /// The run ended.
    EndOfRun,
}

/// A time during which everything the job needed was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Since when.
    pub from: SimTime,
    /// Until when.
    pub until: SimTime,
    /// On which nodes.
    pub nodes: Vec<NodeId>,
    /// Why it ended.
    pub leave: Leave,
}

/// A part of a job's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// It waited.
    Wait(Wait),
    /// It ran.
    Stay(Stay),
}

/// What became of one job in one run.
#[derive(Clone, Debug)]
pub struct Life {
    /// Which run.
    pub key: RunKey,
    /// Its figures.
    pub record: JobRecord,
    /// Its tenant's name.
    pub tenant: String,
    /// Its queue's name.
    pub queue: String,
    /// CPU it asks for over all tasks [thousandths of a core].
    pub cpu_milli: u64,
    /// Waits and stays, in order, a wait for every change of its reason.
    pub chapters: Vec<Chapter>,
    /// The fingerprint of the run.
    pub digest: windtunnel_core::hash::Digest,
    /// Other jobs of the same name, if it was asked for by id and the id is also a name.
    pub namesake: Option<JobId>,
    /// Pools it may run in, by their place in the scenario.
    pub pools: Vec<usize>,
}

impl Life {
    /// The chapters with short waits joined into the ones before them, until there are at most `most`
    /// waits in a row; every length stays what it is in sum.
    #[must_use]
    pub fn folded(&self, most: usize) -> Vec<Chapter> {
        fold::fold(&self.chapters, most)
    }
}

/// The life of a job, by id (`job-17`) or by its name in the trace.
///
/// ```
/// use windtunnel::{Scenario, explain};
/// let mut scenario = Scenario::campus();
/// scenario.platforms.retain(|platform| platform.name == "fifo");
/// let life = explain::life(&scenario, 0, 0, "job-1000")?;
/// let waited = life.chapters.iter().filter_map(|chapter| match chapter {
///     explain::Chapter::Wait(wait) => Some(wait.length().as_nanos()),
///     explain::Chapter::Stay(_) => None,
/// });
/// assert_eq!(waited.sum::<u64>(), life.record.queued().as_nanos());
/// # Ok::<(), windtunnel::ExperimentError>(())
/// ```
///
/// # Errors
/// There is no such job, or several of the name; or the run breaks off.
///
/// # Panics
/// If the scenario has no such platform or seed.
pub fn life(
    scenario: &Scenario,
    platform: usize,
    seed: usize,
    job: &str,
) -> Result<Life, ExperimentError> {
    let source = JobSource::open(scenario)?;
    let key = RunKey { platform, seed };
    let found = find::find(scenario, &source, seed, job)?;
    let mut simulation = sweep::simulation(scenario, &source, key, true)?;
    let mut life = watch::watch(&mut simulation, found.id, key)
        .map_err(|cause| sweep::broke_off(scenario, key, cause))?
        .ok_or_else(|| {
            let what = format!("{} was not submitted before the end of the run", found.id);
            ExperimentError::setting(what, "a longer horizon would reach it")
        })?;
    life.namesake = found.namesake;
    Ok(life)
}

/// The job that was queued longest in a run, the first of several.
///
/// # Errors
/// The run breaks off, or has no jobs.
///
/// # Panics
/// If the scenario has no such platform or seed.
pub fn longest_wait(
    scenario: &Scenario,
    platform: usize,
    seed: usize,
) -> Result<JobId, ExperimentError> {
    let source = JobSource::open(scenario)?;
    let key = RunKey { platform, seed };
    let mut longest = watch::Longest::default();
    sweep::simulation(scenario, &source, key, false)?
        .run_with(&mut longest)
        .map_err(|cause| sweep::broke_off(scenario, key, cause))?;
    longest
        .job
        .ok_or_else(|| ExperimentError::setting("nobody waited", "the run has no jobs"))
}

/// When the job would have started under each other platform of the scenario, in order.
///
/// # Errors
/// A run breaks off.
pub fn elsewhere(scenario: &Scenario, life: &Life) -> Result<Vec<Elsewhere>, ExperimentError> {
    elsewhere::platforms(scenario, life)
}

/// When the job would have started had its pool had so many more nodes from the start, for each of
/// [`MORE_NODES`]; nothing if it did not wait or no owned pool can take it.
///
/// # Errors
/// A run breaks off.
pub fn with_more_nodes(scenario: &Scenario, life: &Life) -> Result<Vec<Start>, ExperimentError> {
    elsewhere::more_nodes(scenario, life)
}
