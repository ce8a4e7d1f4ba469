//! Runs a simulation to its end and writes the life of one of its jobs down.

use windtunnel_core::{
    Event, EventKind, JobId, JobRecord, JobRef, NodeId, Observer, Reason, RunError, SimDuration,
    SimTime, Simulation, Step, TaskEnd, View,
};

use super::room::{Room, Tally};
use super::{Chapter, Leave, Life, Stay, Wait};
use crate::sweep::RunKey;

/// Pending jobs among which the head of the job's queue is looked for: other queues may lead the list.
const HEADS_LOOKED_AT: usize = 64;

/// What the observer sees of the job in an instant; why it waits is asked of the simulation after.
struct Watcher {
    id: JobId,
    job: Option<JobRef>,
    tally: Option<Tally>,
    room: Option<Room>,
    head: Option<JobId>,
    nodes: Vec<NodeId>,
    ended: Option<TaskEnd>,
    record: Option<JobRecord>,
    names: Option<(String, String)>,
    pools: Vec<usize>,
    cpu_milli: u64,
}

impl Observer for Watcher {
    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        match event.kind {
            EventKind::Submitted { job } if job.id == self.id => self.job = Some(job),
            EventKind::Task { task, end, .. } if Some(task.job) == self.job => {
                self.ended = end.or(self.ended);
            }
            _ => {}
        }
        if let Some(tally) = &mut self.tally {
            tally.note(event);
        }
        if self.job.is_some() && self.names.is_none() {
            self.introduce(view);
        }
    }

    fn on_job(&mut self, record: &JobRecord) {
        if record.job == self.id {
            self.record = Some(record.clone());
        }
    }

    fn on_instant(&mut self, view: &View<'_>) {
        let Some(job) = self.job.and_then(|job| view.job(job)) else {
            return;
        };
        self.nodes = job.tasks().filter_map(|task| task.node()).collect();
        self.nodes.sort_unstable();
        self.nodes.dedup();
        if !job.is_queued() {
            // Nobody would look at what is noted meanwhile.
            self.tally = None;
            return;
        }
        let tally = self.tally.get_or_insert_with(|| Tally::new(view, job));
        self.room = Some(tally.room(view));
        let mut ahead = view.pending_jobs().take(HEADS_LOOKED_AT);
        let first = ahead.find(|other| other.queue() == job.queue());
        self.head = first
            .map(|first| first.job_id())
            .filter(|head| *head != self.id);
    }
}

impl Watcher {
    fn introduce(&mut self, view: &View<'_>) {
        let Some(job) = self.job.and_then(|job| view.job(job)) else {
            return;
        };
        let names = view.names();
        let groups = job.groups().iter();
        self.cpu_milli = groups
            .map(|group| u64::from(group.count) * u64::from(group.request.cpu.0))
            .sum();
        self.names = Some((
            names.tenant_name(job.tenant()).to_owned(),
            names.queue_name(job.queue()).to_owned(),
        ));
        self.pools = job
            .accepting_pools()
            .iter()
            .map(|pool| pool.index())
            .collect();
    }
}

/// Finds the job that was queued longest, the first of several.
#[derive(Default)]
pub(super) struct Longest {
    pub(super) job: Option<JobId>,
    queued: SimDuration,
}

impl Observer for Longest {
    fn wants_events(&self) -> bool {
        false
    }

    fn on_job(&mut self, record: &JobRecord) {
        let queued = record.queued();
        let is_first = self.job.is_none_or(|job| record.job < job);
        if self.job.is_none() || queued > self.queued || (queued == self.queued && is_first) {
            (self.job, self.queued) = (Some(record.job), queued);
        }
    }
}

/// Runs to the end; `None` if the job was never submitted.
pub(super) fn watch(
    simulation: &mut Simulation,
    id: JobId,
    key: RunKey,
) -> Result<Option<Life>, RunError> {
    let mut watcher = Watcher {
        id,
        job: None,
        tally: None,
        room: None,
        head: None,
        nodes: Vec::new(),
        ended: None,
        record: None,
        names: None,
        pools: Vec::new(),
        cpu_milli: 0,
    };
    let mut diary = Diary::default();
    loop {
        let step = simulation.step_with(&mut watcher)?;
        let is_over = watcher.record.is_some();
        if let Some(job) = watcher.job.filter(|_| !diary.closed) {
            let why = simulation.why_waits(job).filter(|_| !is_over);
            let before = diary.chapters.len();
            diary.note(simulation.now(), why, &watcher);
            if diary.chapters.len() > before
                && let Some(Chapter::Wait(wait)) = diary.chapters.last_mut()
            {
                wait.says = simulation.explanation(job).map(|said| said.text);
            }
        }
        watcher.ended = None;
        if is_over {
            // Nobody asks what is free any more.
            (watcher.tally, watcher.job) = (None, None);
        }
        if let Step::Over(_) = step {
            break;
        }
    }
    let Some(record) = watcher.record else {
        return Ok(None);
    };
    let (tenant, queue) = watcher.names.unwrap_or_default();
    Ok(Some(Life {
        key,
        record,
        tenant,
        queue,
        cpu_milli: watcher.cpu_milli,
        chapters: diary.chapters,
        digest: simulation.report().digest,
        namesake: None,
        pools: watcher.pools,
    }))
}

/// The chapters so far; the last one is open until it is closed.
#[derive(Default)]
struct Diary {
    chapters: Vec<Chapter>,
    closed: bool,
}

impl Diary {
    fn note(&mut self, now: SimTime, why: Option<Reason>, watcher: &Watcher) {
        match self.chapters.last_mut() {
            Some(Chapter::Wait(wait)) => {
                if why == Some(wait.why()) && watcher.record.is_none() {
                    wait.more(now, watcher);
                    return;
                }
                wait.until = now;
                wait.reasons[0].1 = wait.length();
            }
            Some(Chapter::Stay(stay)) => {
                stay.until = now;
                let lost = matches!(
                    watcher.ended,
                    Some(
                        TaskEnd::Evicted | TaskEnd::NodeLost | TaskEnd::GpuLost | TaskEnd::Drained
                    )
                );
                if why.is_none() && watcher.record.is_none() && !lost {
                    // An elastic job grows and an array moves on while they run.
                    for node in &watcher.nodes {
                        if let Err(place) = stay.nodes.binary_search(node) {
                            stay.nodes.insert(place, *node);
                        }
                    }
                    return;
                }
                stay.leave = leave(watcher);
            }
            None => {}
        }
        if watcher.record.is_some() {
            self.close(now, watcher);
            return;
        }
        self.chapters.push(match why {
            Some(why) => Chapter::Wait(Wait::since(now, why, watcher)),
            None => Chapter::Stay(Stay {
                from: now,
                until: now,
                nodes: watcher.nodes.clone(),
                leave: Leave::EndOfRun,
            }),
        });
    }

    /// A job that came and ended in one instant, or was done within the one it started in, ran.
    fn close(&mut self, now: SimTime, watcher: &Watcher) {
        self.closed = true;
        let Some(record) = &watcher.record else {
            return;
        };
        let is_missing = !matches!(self.chapters.last(), Some(Chapter::Stay(_)));
        if is_missing && record.outcome.is_some() && record.start == Some(now) {
            self.chapters.push(Chapter::Stay(Stay {
                from: now,
                until: now,
                nodes: record.nodes.clone(),
                leave: leave(watcher),
            }));
        }
        self.chapters.retain(|chapter| match chapter {
            Chapter::Wait(wait) => wait.length() > SimDuration::ZERO,
            Chapter::Stay(_) => true,
        });
    }
}

impl Wait {
    fn since(now: SimTime, why: Reason, watcher: &Watcher) -> Self {
        let mut wait = Self {
            from: now,
            until: now,
            reasons: vec![(why, SimDuration::ZERO)],
            changes: 0,
            room: watcher.room.unwrap_or_default(),
            behind: Vec::new(),
            says: None,
        };
        wait.more(now, watcher);
        wait
    }

    fn more(&mut self, now: SimTime, watcher: &Watcher) {
        self.until = now;
        if let Some(room) = watcher.room {
            self.room = self.room.and(room);
        }
        let is_in_line = self.why() == Reason::HeadOfLine;
        let head = watcher.head.filter(|_| is_in_line);
        if let Some(head) = head.filter(|head| self.behind.last() != Some(head)) {
            self.behind.push(head);
        }
    }
}

/// Why a stay is over: the end of the job says more than that of a task.
fn leave(watcher: &Watcher) -> Leave {
    match &watcher.record {
        Some(record) => record.outcome.map_or(Leave::EndOfRun, Leave::Ended),
        None => match watcher.ended {
            Some(TaskEnd::Evicted) => Leave::Evicted,
            Some(TaskEnd::NodeLost) => Leave::NodeLost,
            Some(TaskEnd::GpuLost) => Leave::GpuLost,
            Some(TaskEnd::Drained) => Leave::Drained,
            _ => Leave::Stopped,
        },
    }
}
