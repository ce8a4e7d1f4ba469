//! When the job would have started in other runs: those are taken only until it starts.

use rayon::prelude::*;
use windtunnel_core::{
    Event, EventKind, JobId, JobRecord, JobRef, Observer, Outcome, SimTime, Step, View,
};

use super::Life;
use crate::error::ExperimentError;
use crate::jobs::JobSource;
use crate::scenario::Scenario;
use crate::sweep::{self, RunKey};

/// Nodes more that are tried.
pub const MORE_NODES: [u32; 4] = [1, 2, 4, 8];

/// What would have become of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It would have started then.
    Started(SimTime),
    /// It would have ended without a start.
    Ended(SimTime, Outcome),
    /// It would not have started before the end of the run.
    StillWaiting,
}

/// A start on another platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its place in the scenario.
    pub platform: usize,
    /// What would have become of it.
    pub fate: Fate,
}

/// A start with more nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The pool that has more, by its place in the scenario.
    pub pool: usize,
    /// How many more, from the start of the run.
    pub more: u32,
    /// What would have become of it.
    pub fate: Fate,
}

pub(super) fn platforms(
    scenario: &Scenario,
    life: &Life,
) -> Result<Vec<Elsewhere>, ExperimentError> {
    let source = JobSource::open(scenario)?;
    let others: Vec<usize> = (0..scenario.platforms.len())
        .filter(|place| *place != life.key.platform)
        .collect();
    let fate = |&platform: &usize| {
        let key = RunKey {
            platform,
            seed: life.key.seed,
        };
        let fate = fate(scenario, &source, key, life.record.job)?;
        Ok(Elsewhere { platform, fate })
    };
    others.par_iter().with_max_len(1).map(fate).collect()
}

pub(super) fn more_nodes(scenario: &Scenario, life: &Life) -> Result<Vec<Start>, ExperimentError> {
    let waited = life.record.start != Some(life.record.submit);
    let pool = life.pools.iter().copied().find(|&pool| {
        scenario
            .pools
            .get(pool)
            .is_some_and(|pool| pool.nodes.is_some())
    });
    let Some(pool) = pool.filter(|_| waited) else {
        return Ok(Vec::new());
    };
    let start = |&more: &u32| {
        let mut larger = scenario.clone();
        let nodes = &mut larger.pools[pool].nodes;
        *nodes = nodes.and_then(|nodes| nodes.checked_add(more));
        let source = JobSource::open(&larger)?;
        let fate = fate(&larger, &source, life.key, life.record.job)?;
        Ok(Start { pool, more, fate })
    };
    MORE_NODES.par_iter().with_max_len(1).map(start).collect()
}

/// Runs until the job starts or ends.
fn fate(
    scenario: &Scenario,
    source: &JobSource<'_>,
    key: RunKey,
    id: JobId,
) -> Result<Fate, ExperimentError> {
    let mut simulation = sweep::simulation(scenario, source, key, false)?;
    let mut waiting = Waiting {
        id,
        job: None,
        fate: None,
    };
    loop {
        let step = simulation
            .step_with(&mut waiting)
            .map_err(|cause| sweep::broke_off(scenario, key, cause))?;
        match (waiting.fate, step) {
            (Some(fate), _) => return Ok(fate),
            (None, Step::Over(_)) => return Ok(Fate::StillWaiting),
            (None, Step::Instant(_)) => {}
        }
    }
}

struct Waiting {
    id: JobId,
    job: Option<JobRef>,
    fate: Option<Fate>,
}

impl Observer for Waiting {
    fn on_event(&mut self, event: &Event, _view: &View<'_>) {
        match event.kind {
            EventKind::Submitted { job } if job.id == self.id => self.job = Some(job),
            _ => {}
        }
    }

    fn on_job(&mut self, record: &JobRecord) {
        if record.job == self.id {
            self.fate = Some(match (record.start, record.outcome) {
                (Some(start), _) => Fate::Started(start),
                (None, Some(outcome)) => Fate::Ended(record.end, outcome),
                (None, None) => Fate::StillWaiting,
            });
        }
    }

    fn on_instant(&mut self, view: &View<'_>) {
        let start = self.job.and_then(|job| view.job(job)?.start());
        self.fate = self.fate.or(start.map(Fate::Started));
    }
}
