//! What followed after two runs parted, job by job.

use std::collections::BTreeMap;

use windtunnel_core::{JobId, JobRecord, Outcome, SimTime};

use super::Parting;

/// Jobs of the parting whose fate is kept.
const KEPT: usize = 4;

/// When a job started and ended in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// When it started, if it did.
    pub start: Option<SimTime>,
    /// When it ended, or the run did.
    pub end: SimTime,
    /// How it ended; `None` if it did not.
    pub outcome: Option<Outcome>,
}

impl Spell {
    fn of(record: &JobRecord) -> Self {
        Self {
            start: record.start,
            end: record.end,
            outcome: record.outcome,
        }
    }
}

/// What followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The first jobs of the parting (of the one beyond nodes, if there is one), with what became of
    /// them, left and right.
    pub jobs: Vec<(JobId, [Option<Spell>; 2])>,
    /// Jobs in both runs.
    pub compared: u64,
    /// Jobs that start at the same time in both, or in neither.
    pub same_start: u64,
    /// Jobs that start sooner in the left run, or only there; the same for the right.
    pub sooner: [u64; 2],
    /// The job of which the sooner one of two different starts comes first, with both starts.
    pub first_other: Option<(JobId, [Option<SimTime>; 2])>,
    /// Jobs that ended in one of them and not yet in the other.
    open: [BTreeMap<JobId, Spell>; 2],
}

impl Followed {
    pub(super) fn follow(&mut self, parting: &Parting) {
        let mut jobs: Vec<JobId> = parting.acts.iter().flatten().map(|act| act.job).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs.truncate(KEPT);
        self.jobs = jobs.into_iter().map(|job| (job, [None, None])).collect();
    }

    pub(super) fn take(&mut self, side: usize, records: impl Iterator<Item = JobRecord>) {
        for record in records {
            let spell = Spell::of(&record);
            if let Some(kept) = self.jobs.iter_mut().find(|kept| kept.0 == record.job) {
                kept.1[side] = Some(spell);
            }
            match self.open[1 - side].remove(&record.job) {
                Some(other) if side == 1 => self.compare(record.job, [other, spell]),
                Some(other) => self.compare(record.job, [spell, other]),
                None => {
                    self.open[side].insert(record.job, spell);
                }
            }
        }
    }

    fn compare(&mut self, job: JobId, spells: [Spell; 2]) {
        self.compared += 1;
        let starts = spells.map(|spell| spell.start);
        let [left, right] = starts.map(|start| start.unwrap_or(SimTime::MAX));
        if left == right {
            self.same_start += 1;
            return;
        }
        self.sooner[usize::from(right < left)] += 1;
        let key = |(job, starts): (JobId, [Option<SimTime>; 2])| {
            (starts.into_iter().flatten().min(), job)
        };
        let first = self.first_other.map(key);
        if first.is_none_or(|first| key((job, starts)) < first) {
            self.first_other = Some((job, starts));
        }
    }

    /// A run with a shorter horizon has fewer jobs; those have no counterpart.
    pub(super) fn finish(&mut self) {
        self.open = Default::default();
    }
}
