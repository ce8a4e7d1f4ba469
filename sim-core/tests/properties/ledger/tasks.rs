//! What tasks hold, and which units advance.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::units::PPM;
use windtunnel_core::{Advance, Bucket, JobRef, Reason, TaskRef, TaskState, TaskView, View};

use super::Naive;
use super::job::{Job, Pace};
use super::room::is_crowded;

/// What a task does with what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Held,
    Startup,
    Waiting,
    Advancing,
}

/// The tasks of one unit of a job.
fn tasks_of<'t, 'v>(job: &Job, unit: usize, all: &'t [TaskView<'v>]) -> &'t [TaskView<'v>] {
    match job.spec.request.advance {
        Advance::Each => &all[unit..=unit],
        _ => all,
    }
}

impl Naive {
    /// Finds out which units advance, how fast, and books what tasks hold.
    pub(super) fn tasks(&mut self, view: &View<'_>) {
        let mut live = std::mem::take(&mut self.live);
        let advancing = self.advancing(&live, view);
        for (id, job) in &mut live {
            let seen = view.job(*id).expect("a live job is seen");
            let tasks: Vec<_> = seen.tasks().collect();
            job.devices.clear();
            for task in &tasks {
                if let Some(grant) = task.grant() {
                    let place = (task.id().group, task.id().index);
                    job.devices.insert(place, grant.devices);
                }
            }
            for place in 0..job.units.len() {
                let mine = tasks_of(job, place, &tasks);
                let pace = advancing
                    .contains(&(*id, place))
                    .then(|| self.pace(job, mine, view, &advancing));
                job.units[place].advance = pace;
                for task in mine {
                    self.book_task(job, place, task, view);
                }
            }
        }
        for node in view.nodes() {
            if is_crowded(self.case.sharing(node.pool())) && !self.failed.contains(&node.id()) {
                self.book_crowd(&mut live, &node);
            }
        }
        self.live = live;
    }

    /// Units of which every task that is needed runs, and that are not done.
    fn advancing(
        &self,
        live: &BTreeMap<JobRef, Job>,
        view: &View<'_>,
    ) -> BTreeSet<(JobRef, usize)> {
        let mut advancing = BTreeSet::new();
        for (id, job) in live {
            let tasks: Vec<_> = view.job(*id).unwrap().tasks().collect();
            for (place, unit) in job.units.iter().enumerate() {
                let mine = tasks_of(job, place, &tasks);
                let needed = match job.spec.request.advance {
                    Advance::Between { min, .. } => min as usize,
                    _ => mine.len(),
                };
                if mine.iter().filter(|task| self.works(task)).count() >= needed && !unit.done {
                    advancing.insert((*id, place));
                }
            }
        }
        advancing
    }

    /// Whether a task runs, and nothing of what it has has failed.
    fn works(&self, task: &TaskView<'_>) -> bool {
        task.state() == TaskState::Running && self.is_sound(task)
    }

    fn pace(
        &self,
        job: &Job,
        mine: &[TaskView<'_>],
        view: &View<'_>,
        advancing: &BTreeSet<(JobRef, usize)>,
    ) -> Pace {
        let running: Vec<_> = mine.iter().filter(|task| self.works(task)).collect();
        let unit_of = |task: TaskRef| self.unit_at(task);
        let advances =
            |task: &TaskView<'_>| self.works(task) && advancing.contains(&unit_of(task.id()));
        let slowest = self.slowest(&running);
        let shares = self.shares(view, (&job.spec, &running), &advances);
        let (rate, slices) = self.speed(&job.spec, running.len(), slowest, shares);
        let mut useful = BTreeMap::new();
        for task in running {
            let pool = view.node(task.node().unwrap()).pool();
            if !is_crowded(self.case.sharing(pool)) {
                let level = u128::from(task.request().gpus.milli()) * u128::from(slices.useful);
                *useful.entry(pool).or_default() += level;
            }
        }
        let saves = job.spec.profile.checkpoint;
        Pace {
            rate,
            period: saves.map(|saves| saves.interval.as_nanos() + saves.cost.as_nanos()),
            slices,
            useful,
        }
    }

    /// The unit that a task belongs to.
    pub(super) fn unit_at(&self, task: TaskRef) -> (JobRef, usize) {
        let spec = &self.specs[task.job.id.index()];
        let each = spec.request.advance == Advance::Each;
        (task.job, if each { task.index as usize } else { 0 })
    }

    /// What a task does with what it holds, if it holds anything that works.
    pub(super) fn does(&self, task: &TaskView<'_>, advances: bool) -> Option<Does> {
        let node = task.node().filter(|node| !self.failed.contains(node))?;
        task.grant()?;
        let _ = node;
        let is_sound = self.is_sound(task);
        Some(match task.state() {
            TaskState::Reserved => Does::Held,
            TaskState::Ending => Does::Startup,
            TaskState::Starting if is_sound => Does::Startup,
            TaskState::Running if advances && is_sound => Does::Advancing,
            _ => Does::Waiting,
        })
    }

    /// Books what a task holds of GPUs that it has for itself, or a part of.
    fn book_task(&mut self, job: &Job, unit: usize, task: &TaskView<'_>, view: &View<'_>) {
        let pace = job.units[unit].advance.as_ref();
        let Some(does) = self.does(task, pace.is_some()) else {
            return;
        };
        let node = task.node().unwrap();
        let pool = view.node(node).pool();
        if is_crowded(self.case.sharing(pool)) {
            return;
        }
        let grant = task.grant().unwrap();
        let sound = (grant.devices.0 & !self.broken(node).0).count_ones();
        let granted = u64::from(sound * u32::from(grant.milli_each));
        let asked = u64::from(task.request().gpus.milli()).min(granted);
        self.book(pool, Bucket::AllocatedRounding, None, granted - asked, PPM);
        match does {
            Does::Held => self.book(pool, Bucket::IdleHeld, Some(Reason::Latency), asked, PPM),
            Does::Startup => self.book(pool, Bucket::AllocatedStartup, None, asked, PPM),
            Does::Waiting => self.book(pool, Bucket::AllocatedWaiting, None, asked, PPM),
            Does::Advancing => {
                let slices = pace.expect("it advances").slices;
                for (bucket, ppm) in [
                    (Bucket::AllocatedStalled, slices.stalled),
                    (Bucket::AllocatedInterference, slices.interference),
                    (Bucket::AllocatedUnderused, slices.underused),
                    (Bucket::AllocatedLost, slices.lost),
                    (Bucket::AllocatedUseful, slices.useful),
                ] {
                    self.book(pool, bucket, None, asked, ppm);
                }
            }
        }
    }
}
