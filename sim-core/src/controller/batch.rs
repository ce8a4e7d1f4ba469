//! Batch jobs and arrays: create the tasks, finish when the work is done, recreate what was lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::{Controller, Interest, Lifecycle, LifecycleCommand};
use crate::device::Refusal;
use crate::ids::{JobRef, TaskRef};
use crate::job::Advance;
use crate::news::{JobNews, News};
use crate::platform::LimitMode;
use crate::task::{Outcome, TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::view::View;

/// What becomes of a job that lost a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// All its tasks end and are recreated: what an MPI or NCCL job needs.
    #[default]
    Restart,
    /// Only the lost task is recreated: arrays, Indexed pods.
    Replace,
}

/// The plainest controller of work that ends: batch/v1 Job, a Slurm batch job, an array.
///
/// Creates all tasks at submission, finishes the job as the truth has it once its work is done,
/// restores tasks lost to node failures, refusals and evictions that kill, and enforces the walltime
/// limit exactly, from when everything the job needs is bound, unless the platform leaves that to
/// others; a job that is bound anew has its whole limit before it, one that is resumed the rest.
///
/// `gang_timeout`: a gang of which some tasks are bound and some not, for this long since the first
/// was, has all its tasks ended and recreated. `None` waits for ever, as plain pods do.
///
/// `retries`: a job one of whose tasks was refused after it was bound (its GPUs lack memory, or the agent
/// finds none that are aligned) is started again after 10 s, 20 s, 40 s and so on, at most 6 min, up to six
/// times (Kubernetes' `backoffLimit` and its delays); then it is given up.
#[derive(Clone, Debug)]
pub struct Batch {
    name: String,
    on_loss: OnLoss,
    gang_timeout: Option<SimDuration>,
    /// Retries wait base·2^(n−1), at most cap; `None` retries at once.
    backoff: Option<(SimDuration, SimDuration)>,
    /// How often a job may be refused and started again.
    retries: u32,
    /// Delay before it is, base·2^(n−1), at most cap.
    retry_delay: (SimDuration, SimDuration),
    /// How often jobs were refused so far.
    refused: BTreeMap<JobRef, u32>,
    /// Jobs of which something is bound.
    bound: BTreeMap<JobRef, Bound>,
    /// Ends of the time that incomplete gangs have; those that `bound` does not name are void.
    timeouts: BinaryHeap<Reverse<(SimTime, JobRef)>>,
}

/// How much of a job is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// Not all it needs; its time is up then.
    Partly(SimTime),
    /// All it needs; its limit is reached then, if it has one.
    Wholly(Option<SimTime>),
    /// Some of it is suspended; so much of its limit is left.
    Paused(SimDuration),
}

impl Batch {
    /// The batch controller: a gang that loses a task restarts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: "batch".to_owned(),
            on_loss: OnLoss::Restart,
            gang_timeout: None,
            backoff: None,
            retries: 6,
            retry_delay: (SimDuration::from_secs(10), SimDuration::from_mins(6)),
            refused: BTreeMap::new(),
            bound: BTreeMap::new(),
            timeouts: BinaryHeap::new(),
        }
    }

    /// The array controller: every task stands for itself.
    #[must_use]
    pub fn array() -> Self {
        Self {
            name: "array".to_owned(),
            on_loss: OnLoss::Replace,
            ..Self::new()
        }
    }

    /// The same with a timeout for incomplete gangs.
    #[must_use]
    pub fn gang_timeout(mut self, timeout: SimDuration) -> Self {
        self.gang_timeout = Some(timeout);
        self
    }

    /// The same with another answer to losses.
    #[must_use]
    pub fn on_loss(mut self, on_loss: OnLoss) -> Self {
        self.on_loss = on_loss;
        self
    }

    /// The same with a delay before the n-th new attempt of a task: base·2^(n−1), at most `cap`.
    #[must_use]
    pub fn backoff(mut self, base: SimDuration, cap: SimDuration) -> Self {
        self.backoff = Some((base, cap));
        self
    }

    /// The same with another answer to refusals: the n-th time a job is refused, it is started again after
    /// base·2^(n−1), at most `cap`, up to `retries` times; then it ends as
    /// [`OutOfMemory`](Outcome::OutOfMemory) if that was why, else as [`Killed`](Outcome::Killed). Zero
    /// `retries` end it at once.
    #[must_use]
    pub fn retries(mut self, retries: u32, base: SimDuration, cap: SimDuration) -> Self {
        self.retries = retries;
        self.retry_delay = (base, cap);
        self
    }

    /// Counts that jobs were refused, once each, and ends those of which that is enough. Returns when each
    /// of the others may be started again.
    fn count_refused(
        &mut self,
        view: &View<'_>,
        news: &News<'_>,
        out: &mut Lifecycle,
    ) -> BTreeMap<JobRef, SimTime> {
        let mut again = BTreeMap::new();
        for change in news.tasks {
            let Some(TaskEnd::Refused(why)) = change.end else {
                continue;
            };
            let job = change.task.job;
            if again.contains_key(&job) || view.job(job).is_none() {
                continue;
            }
            let count = self.refused.entry(job).or_default();
            *count += 1;
            if *count > self.retries {
                let outcome = match why {
                    Refusal::OutOfMemory => Outcome::OutOfMemory,
                    _ => Outcome::Killed,
                };
                self.finish(job, outcome, out);
                continue;
            }
            let (base, cap) = self.retry_delay;
            let delay = base.saturating_mul(1 << (*count - 1).min(40)).min(cap);
            again.insert(job, view.now().saturating_add(delay));
        }
        again
    }

    fn not_before(&self, now: SimTime, attempt: u32) -> Option<SimTime> {
        let (base, cap) = self.backoff?;
        let delay = base.saturating_mul(1 << attempt.min(40)).min(cap);
        Some(now.saturating_add(delay))
    }

    /// Makes good for lost tasks: each by itself, or the whole of its job, once.
    fn lost(
        &mut self,
        view: &View<'_>,
        lost: &[TaskRef],
        again: &BTreeMap<JobRef, SimTime>,
        out: &mut Lifecycle,
    ) {
        let mut restarted = BTreeSet::new();
        for &task in lost {
            // By now the attempt may have been replaced.
            let (Some(job), Some(_)) = (view.job(task.job), view.task(task)) else {
                continue;
            };
            self.bound.remove(&task.job);
            let not_before = self.not_before(view.now(), task.attempt);
            let not_before = not_before.max(again.get(&task.job).copied());
            if self.on_loss == OnLoss::Replace || job.advance() == Advance::Each {
                out.recreate(task, not_before);
            } else if restarted.insert(task.job) {
                out.restart(task.job, not_before);
            }
        }
    }

    /// Looks at how much of a job is bound after a change.
    fn look(&mut self, view: &View<'_>, job: JobRef, out: &mut Lifecycle) {
        let Some(found) = view.job(job) else { return };
        let before = self.bound.get(&job).copied();
        if found.tasks_in(TaskState::Suspended) > 0 {
            // Suspended time does not count against the limit.
            if let Some(Bound::Wholly(Some(at))) = before {
                let left = at.since(view.now().min(at));
                self.bound.insert(job, Bound::Paused(left));
            }
        } else if found.tasks_bound() == 0 {
            self.bound.remove(&job);
        } else if found.is_queued() {
            let is_gang = found.advance() != Advance::Each;
            match (before, self.gang_timeout) {
                (Some(Bound::Partly(_)), _) => {}
                (_, Some(timeout)) if is_gang => {
                    let at = view.now().saturating_add(timeout);
                    self.bound.insert(job, Bound::Partly(at));
                    self.timeouts.push(Reverse((at, job)));
                }
                _ => drop(self.bound.remove(&job)),
            }
        } else if !matches!(before, Some(Bound::Wholly(_))) {
            let limit = match before {
                Some(Bound::Paused(left)) => Some(left),
                _ => found.limit(),
            };
            let limit = limit.filter(|_| view.limit_mode() == LimitMode::Exact);
            let end = limit.map(|limit| view.now().saturating_add(limit));
            self.bound.insert(job, Bound::Wholly(end));
            if let Some(at) = end {
                out.push(LifecycleCommand::Deadline { job, at });
            }
        }
    }

    /// A deadline passed: the job's, unless it was taken out since it was set.
    fn deadline(&mut self, view: &View<'_>, job: JobRef, out: &mut Lifecycle) {
        if let Some(Bound::Wholly(Some(at))) = self.bound.get(&job)
            && *at <= view.now()
        {
            self.finish(job, Outcome::TimedOut, out);
        }
    }

    fn forget(&mut self, job: JobRef) {
        // Nearly always there is nothing to forget.
        if !self.bound.is_empty() {
            self.bound.remove(&job);
        }
        if !self.refused.is_empty() {
            self.refused.remove(&job);
        }
    }

    fn finish(&mut self, job: JobRef, outcome: Outcome, out: &mut Lifecycle) {
        self.forget(job);
        out.finish(job, outcome);
    }

    /// What became of single tasks; of most jobs a controller hears nothing of the kind.
    fn hear_of_tasks(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
        let again = self.count_refused(view, news, out);
        let finished = out.list.len();
        let mut lost = Vec::new();
        for change in news.tasks {
            match change.now {
                TaskState::Over => lost.push(change.task),
                _ => self.look(view, change.task.job, out),
            }
        }
        if !lost.is_empty() {
            self.lost(view, &lost, &again, out);
        }
        // What tasks did meanwhile is no matter for jobs that were finished above.
        for command in &out.list[..finished] {
            if let LifecycleCommand::Finish { job, .. } = command {
                self.bound.remove(job);
            }
        }
    }

    /// Restarts gangs whose time is up.
    fn expire(&mut self, view: &View<'_>, out: &mut Lifecycle) {
        while let Some(Reverse((at, job))) = self.timeouts.peek().copied() {
            let is_void = self.bound.get(&job) != Some(&Bound::Partly(at));
            if !is_void && at > view.now() {
                out.wake_at(at);
                return;
            }
            self.timeouts.pop();
            if !is_void {
                self.bound.remove(&job);
                out.restart(job, self.not_before(view.now(), 0));
            }
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Controller for Batch {
    fn name(&self) -> &str {
        &self.name
    }

    fn interest(&self) -> Interest {
        Interest {
            lost: true,
            progress: self.gang_timeout.is_some(),
        }
    }

    fn react(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
        for change in news.jobs {
            match change.what {
                JobNews::Submitted => out.create(change.job),
                JobNews::WorkDone(outcome) => self.finish(change.job, outcome, out),
                JobNews::DeadlinePassed => self.deadline(view, change.job, out),
                JobNews::Ended(_) => self.forget(change.job),
                _ => {}
            }
        }
        if !news.tasks.is_empty() {
            self.hear_of_tasks(view, news, out);
        }
        if self.gang_timeout.is_some() {
            self.expire(view, out);
        }
    }
}
