//! What both backfilling policies keep: who waits, in which list; who runs, until when by estimate.
//!
//! Kept up to date from the news and from the policy's own decisions, never by looking at the cluster.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Advance, Decisions, DemandId, Grants, JobId, JobRef, JobView, News, Reason, SimDuration,
    SimTime, TaskRef, TaskState, TaskView, View,
};

use super::queue::{Entry, Queues};
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::run_time::RunTimes;

/// Stands for all tasks of a job.
const WHOLE: u32 = u32::MAX;

/// Something that runs and will end by estimate: a job, or one task of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    /// When, by estimate; may have passed.
    pub(crate) end: SimTime,
    id: JobId,
    task: u32,
    attempt: u32,
    slot: u32,
}

impl Due {
    pub(crate) const fn job(&self) -> JobRef {
        JobRef {
            slot: self.slot,
            id: self.id,
        }
    }

    /// The task of an array that it is about, with its attempt; `None`: all of the job.
    pub(crate) fn task(&self) -> Option<TaskRef> {
        (self.task != WHOLE).then_some(TaskRef {
            job: self.job(),
            group: 0,
            index: self.task,
            attempt: self.attempt,
        })
    }
}

/// What is known of a job by its slot.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    id: JobId,
    waits: Option<(DemandId, Key)>,
    runs: Option<SimTime>,
    /// Whether it was placed as a whole, with or without a known end.
    placed: bool,
    /// Whether it is an array of which something was placed.
    array: bool,
}

/// Who waits and who runs.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    order: Order,
    pub(crate) runs: RunTimes,
    pub(crate) queues: Queues,
    known: Vec<Known>,
    /// Expected ends, soonest first.
    pub(crate) due: BTreeSet<Due>,
    /// Expected ends of tasks of arrays.
    tasks: BTreeMap<TaskRef, SimTime>,
    /// What ended since the last call: jobs, and tasks of arrays by index.
    pub(crate) ended: Vec<(JobId, Option<u32>)>,
    /// Who waits no more, and was not started.
    pub(crate) left: Vec<Key>,
    /// Jobs that came since the last call, in order.
    pub(crate) fresh: Vec<(DemandId, Entry)>,
    /// Whether the book was opened in the middle of a run and nothing was read since.
    adopted: bool,
    /// Whether capacity may have grown since the last call.
    pub(crate) grew: bool,
    /// Whether something came to its end before its time, or the cluster changed.
    pub(crate) surprised: bool,
}

impl Book {
    pub(crate) fn new(order: Order, runs: RunTimes) -> Self {
        Self {
            order,
            runs,
            queues: Queues::default(),
            known: Vec::new(),
            due: BTreeSet::new(),
            tasks: BTreeMap::new(),
            ended: Vec::new(),
            left: Vec::new(),
            fresh: Vec::new(),
            adopted: false,
            grew: false,
            surprised: false,
        }
    }

    /// Opens the book: on an empty cluster, or in the middle of a run that another policy began.
    pub(crate) fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.runs.begin(grants);
        for task in view.nodes().flat_map(|node| node.tasks()) {
            self.adopt(view, task);
        }
        for job in view.pending_jobs() {
            self.sync(view, job.id());
        }
        self.adopted = true;
    }

    /// Takes over a task that somebody else started.
    fn adopt(&mut self, view: &View<'_>, task: TaskView<'_>) {
        let id = task.id();
        let Some(job) = view
            .job(id.job)
            .filter(|job| job.scheduler() == view.scheduler())
        else {
            return;
        };
        let run = self
            .runs
            .of(view, job)
            .map_or(u64::MAX, SimDuration::as_nanos);
        let end = end_of(job.start().unwrap_or(view.now()), run);
        let known = self.slot(id.job);
        known.id = id.job.id;
        if job.advance() == Advance::Each {
            known.array = true;
            if let Some(end) = end {
                self.tasks.insert(id, end);
                self.due.insert(due_task(end, id));
            }
        } else if !known.placed {
            (known.placed, known.runs) = (true, end);
            if let Some(end) = end {
                self.due.insert(due_job(end, id.job));
            }
        }
    }

    /// Whether a job waits, as far as the book goes.
    pub(crate) fn waits(&self, job: JobRef) -> bool {
        let known = self.known.get(job.slot as usize);
        known.is_some_and(|known| known.id == job.id && known.waits.is_some())
    }

    /// When a task that runs is expected to end; `None` if never.
    pub(crate) fn expected_end(&self, task: TaskRef) -> Option<SimTime> {
        let known = self.known.get(task.job.slot as usize)?;
        if known.array {
            return self.tasks.get(&task).copied();
        }
        known.runs
    }

    /// Brings the book up to date.
    pub(crate) fn read(&mut self, view: &View<'_>, news: &News<'_>) {
        let adopted = std::mem::take(&mut self.adopted);
        if !adopted {
            self.fresh.clear();
        }
        self.ended.clear();
        self.left.clear();
        self.grew = !news.tasks.is_empty() || !news.nodes.is_empty() || !news.refused.is_empty();
        self.grew |= news.quota || news.woken;
        self.surprised = !news.nodes.is_empty() || !news.refused.is_empty();
        self.grew |= adopted;
        self.surprised |= adopted;
        for change in news.tasks {
            match change.now {
                TaskState::Over => self.task_over(view.now(), change.task),
                // Taken out and to be placed again: it is the attempt before that came to its end.
                TaskState::Pending | TaskState::Gated if change.task.attempt > 0 => {
                    let attempt = change.task.attempt - 1;
                    let before = TaskRef {
                        attempt,
                        ..change.task
                    };
                    self.task_over(view.now(), before);
                }
                _ => {}
            }
            self.sync(view, change.task.job);
        }
        for change in news.jobs {
            self.sync(view, change.job);
        }
        for (task, _) in news.refused {
            self.sync(view, task.job);
        }
        if self.fresh.len() > 1 {
            self.fresh.sort_unstable_by_key(|(_, entry)| entry.key);
        }
    }

    /// Takes jobs that never fit out of the newcomers.
    pub(crate) fn turn_away(&mut self, view: &View<'_>, never: Never, out: &mut Decisions) {
        let mut place = 0;
        while let Some((_, entry)) = self.fresh.get(place) {
            let job = entry.job;
            if view.job(job).is_none_or(|found| found.can_ever_fit()) {
                place += 1;
                continue;
            }
            match never {
                Never::Reject => out.reject(job),
                Never::Wait => out.waiting(job, Reason::NeverFits),
            }
            self.forget(job);
            self.fresh.remove(place);
        }
    }

    fn slot(&mut self, job: JobRef) -> &mut Known {
        let place = job.slot as usize;
        if self.known.len() <= place {
            self.known.resize_with(place + 1, Known::default);
        }
        &mut self.known[place]
    }

    /// A task of an array came to its end.
    fn task_over(&mut self, now: SimTime, task: TaskRef) {
        let known = self.slot(task.job);
        if known.id != task.job.id || !known.array {
            return;
        }
        self.ended.push((task.job.id, Some(task.index)));
        match self.tasks.remove(&task) {
            Some(end) => {
                self.due.remove(&due_task(end, task));
                self.surprised |= now < end;
            }
            None => self.surprised = true,
        }
    }

    /// Compares what is known of a job with what is true of it.
    pub(crate) fn sync(&mut self, view: &View<'_>, job: JobRef) {
        let found = view.job(job).filter(|found| found.outcome().is_none());
        let mut known = *self.slot(job);
        if known.id != job.id {
            known = Known::default();
            known.id = job.id;
        }
        let wanted = found.filter(JobView::is_pending);
        let shape = wanted.map(|found| found.shape());
        if shape != known.waits.map(|(shape, _)| shape) {
            if let Some((shape, key)) = known.waits.take() {
                self.queues.remove(shape, key);
                self.left.push(key);
                // Whoever waited behind it may be the first now.
                self.grew = true;
            }
            if let Some(found) = wanted {
                known.waits = Some(self.enqueue(view, found));
            }
        }
        if known.array && found.is_none() {
            self.forget_tasks(job);
        }
        if known.placed && found.is_none_or(|found| !holds(found)) {
            known.placed = false;
            self.ended.push((job.id, None));
            self.grew = true;
            match known.runs.take() {
                Some(end) => {
                    self.due.remove(&due_job(end, job));
                    self.surprised |= view.now() < end;
                }
                None => self.surprised = true,
            }
        }
        *self.slot(job) = known;
    }

    /// An array is over, whatever became of its tasks.
    fn forget_tasks(&mut self, job: JobRef) {
        let of = |id: JobId| TaskRef {
            job: JobRef { slot: job.slot, id },
            group: 0,
            index: 0,
            attempt: 0,
        };
        let next = of(JobId(job.id.0.saturating_add(1)));
        let tasks = self.tasks.range(of(job.id)..next);
        let tasks: Vec<(TaskRef, SimTime)> = tasks.map(|(task, end)| (*task, *end)).collect();
        for (task, end) in tasks {
            self.tasks.remove(&task);
            self.due.remove(&due_task(end, task));
            self.ended.push((task.job.id, Some(task.index)));
            self.surprised = true;
        }
    }

    fn enqueue(&mut self, view: &View<'_>, found: JobView<'_>) -> (DemandId, Key) {
        let run = self.runs.of(view, found);
        let key = self.order.key(found, run);
        let entry = Entry {
            key,
            run: run.map_or(u64::MAX, SimDuration::as_nanos),
            job: found.id(),
        };
        let shape = found.shape();
        self.queues.insert(shape, entry);
        self.fresh.push((shape, entry));
        (shape, key)
    }

    /// A job was given up: it waits no more.
    pub(crate) fn forget(&mut self, job: JobRef) {
        if let Some((shape, key)) = self.slot(job).waits.take() {
            self.queues.remove(shape, key);
        }
    }

    /// A job was placed, all that was pending of it or (an array) the first `count` tasks. Returns
    /// whether it waits no more.
    pub(crate) fn placed(
        &mut self,
        view: &View<'_>,
        job: JobView<'_>,
        entry: Entry,
        count: usize,
    ) -> bool {
        let end = end_of(view.now(), entry.run);
        let id = job.id();
        if job.advance() == Advance::Each {
            self.slot(id).array = true;
            let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
            for task in job.tasks().filter(pending).take(count) {
                if let Some(end) = end {
                    self.tasks.insert(task.id(), end);
                    self.due.insert(due_task(end, task.id()));
                }
            }
            if count < job.tasks_in(TaskState::Pending) as usize {
                return false;
            }
            self.forget(id);
            return true;
        }
        self.forget(id);
        let known = self.slot(id);
        known.placed = true;
        if let Some(before) = std::mem::replace(&mut known.runs, end) {
            self.due.remove(&due_job(before, id));
        }
        if let Some(end) = end {
            self.due.insert(due_job(end, id));
        }
        true
    }
}

/// When something ends that starts at `now` and runs for `run` \[ns\]; `None` if never.
pub(crate) fn end_of(now: SimTime, run: u64) -> Option<SimTime> {
    let run = (run != u64::MAX).then_some(SimDuration::from_nanos(run))?;
    now.checked_add(run)
}

fn holds(job: JobView<'_>) -> bool {
    use TaskState::{Ending, Reserved, Running, Starting, Suspended};
    let states = [Running, Starting, Reserved, Ending, Suspended];
    states.into_iter().any(|state| job.tasks_in(state) > 0)
}

fn due_job(end: SimTime, job: JobRef) -> Due {
    Due {
        end,
        id: job.id,
        task: WHOLE,
        attempt: 0,
        slot: job.slot,
    }
}

fn due_task(end: SimTime, task: TaskRef) -> Due {
    Due {
        end,
        id: task.job.id,
        task: task.index,
        attempt: task.attempt,
        slot: task.job.slot,
    }
}
