//! The reservation of the first job that does not fit: when and where it will start by estimate, and
//! what it leaves to others.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Fit, Grant, JobId, JobRef, JobView, Mark, NodeFree, NodeId, Plan, Sharing, SimDuration,
    SimTime, Spot, TaskRequest, TaskState, TaskView, View,
};

use super::book::Due;
use crate::place::Placer;

/// The clock's smallest step: what overran its estimate is expected to end that much from now.
const STEP: SimDuration = SimDuration::from_nanos(1);

/// What the reservation leaves free on one of its nodes at its start.
#[derive(Clone, Copy, Debug)]
struct Spare {
    node: NodeId,
    gpus: u32,
    cpu: u32,
    memory: u64,
    /// Whether its GPUs may be shared.
    shared: bool,
}

/// A promise to one job.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) job: JobRef,
    /// When it can start by estimate, its *shadow time*; `None` if nobody can say.
    pub(super) at: Option<SimTime>,
    /// What is left on its nodes then. On all others as much is free then as now, or more.
    spare: Vec<Spare>,
}

/// Tasks placed in this very call, which the view does not show yet.
#[derive(Debug, Default)]
pub(super) struct Mine {
    parts: BTreeMap<(JobId, Option<u32>), Vec<Part>>,
}

/// What one task took, where.
type Part = (NodeId, Grant, TaskRequest);

impl Mine {
    /// Pairs tasks placed since `mark`, in order, with what they took.
    pub(super) fn new(
        view: &View<'_>,
        plan: &Plan<'_>,
        mark: Mark,
        started: &[(JobRef, usize)],
    ) -> Self {
        let mut mine = Self::default();
        let mut taken = plan.taken_since(mark).into_iter();
        for &(job, count) in started {
            let Some(found) = view.job(job) else { continue };
            let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
            for (task, (node, grant)) in found
                .tasks()
                .filter(pending)
                .zip(taken.by_ref().take(count))
            {
                let trickles = found.advance() == windtunnel_core::Advance::Each;
                let key = (job.id, trickles.then_some(task.id().index));
                let part = (node, grant, *task.request());
                mine.parts.entry(key).or_default().push(part);
            }
        }
        mine
    }

    fn give_back(&self, plan: &mut Plan<'_>, due: &Due) {
        let key = (due.job().id, due.task().map(|task| task.index));
        for (node, grant, request) in self.parts.get(&key).into_iter().flatten() {
            plan.give_back(*node, *grant, request);
        }
    }
}

impl Reservation {
    /// Finds the earliest time at which `head` fits if everything ends when it is due, and leaves the
    /// plan as it was. O(what is due until then).
    pub(super) fn find<P: Placer>(
        view: &View<'_>,
        plan: &mut Plan<'_>,
        head: JobView<'_>,
        due: &BTreeSet<Due>,
        mine: &Mine,
        placer: &P,
    ) -> Self {
        let mark = plan.mark();
        let soon = view.now().saturating_add(STEP);
        let (mut at, mut spare) = (None, Vec::new());
        let mut coming = due.iter().peekable();
        while let Some(next) = coming.next() {
            release(view, plan, next);
            mine.give_back(plan, next);
            let time = next.end.max(soon);
            if coming.peek().is_some_and(|later| later.end <= time)
                || !plan.may_fit_shape(head.shape())
            {
                continue;
            }
            if let Fit::Now(spots) = placer.place(head, plan) {
                (at, spare) = (Some(time), left_on(plan, &spots));
                break;
            }
        }
        plan.undo_to(mark);
        let job = head.id();
        Self { job, at, spare }
    }

    /// Whether a job that starts at `now` and runs for `run` \[ns\] is gone before the reservation
    /// begins.
    pub(super) fn is_over_before(&self, now: SimTime, run: u64) -> bool {
        run <= self.room(now)
    }

    /// The nodes it is on, by id, each once.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.spare.iter().map(|spare| spare.node).collect()
    }

    /// How long a job may run that starts at `now` and must be gone before the reservation begins
    /// \[ns\].
    pub(super) fn room(&self, now: SimTime) -> u64 {
        self.at
            .map_or(u64::MAX, |at| at.as_nanos().saturating_sub(now.as_nanos()))
    }

    /// What of its nodes a job may use that is still there when the reservation begins; nodes where
    /// that is all that is free are left out.
    pub(super) fn limits(&self, plan: &Plan<'_>, limits: &mut Vec<(NodeId, NodeFree)>) {
        limits.clear();
        for spare in &self.spare {
            let free = plan.free(spare.node);
            let short = free.whole() > spare.gpus || spare.shared;
            if short || free.cpu > spare.cpu || free.memory > spare.memory {
                let mut free = *free;
                keep_idle(&mut free, spare);
                free.cpu = free.cpu.min(spare.cpu);
                free.memory = free.memory.min(spare.memory);
                limits.push((spare.node, free));
            }
        }
    }

    /// Tasks that will still be there when the reservation begins use some of what it leaves.
    pub(super) fn use_up(&mut self, job: JobView<'_>, spots: &[Spot]) {
        if self.spare.is_empty() {
            return;
        }
        let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
        for (task, spot) in job.tasks().filter(pending).zip(spots) {
            let found = self
                .spare
                .binary_search_by_key(&spot.node, |spare| spare.node);
            if let Ok(place) = found {
                let (spare, request) = (&mut self.spare[place], task.request());
                spare.gpus = spare.gpus.saturating_sub(request.gpus.devices());
                spare.cpu = spare.cpu.saturating_sub(request.cpu.0);
                spare.memory = spare.memory.saturating_sub(request.memory.0);
            }
        }
    }
}

/// Pretends that what is due has ended.
fn release(view: &View<'_>, plan: &mut Plan<'_>, due: &Due) {
    match due.task() {
        Some(task) => {
            if let Some(task) = view.task(task) {
                plan.release(task);
            }
        }
        None => {
            if let Some(job) = view.job(due.job()) {
                job.tasks().for_each(|task| plan.release(task));
            }
        }
    }
}

/// What a plan leaves on the nodes of some spots.
fn left_on(plan: &Plan<'_>, spots: &[Spot]) -> Vec<Spare> {
    let mut nodes: Vec<NodeId> = spots.iter().map(|spot| spot.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let left = |node: NodeId| {
        let free = plan.free(node);
        // Which fraction of which GPU will be left depends on the agent's choice: all is kept.
        let shared = plan.sharing(node) != Sharing::Exclusive;
        Spare {
            node,
            gpus: if shared { 0 } else { free.whole() },
            cpu: if shared { 0 } else { free.cpu },
            memory: if shared { 0 } else { free.memory },
            shared,
        }
    };
    nodes.into_iter().map(left).collect()
}

/// Leaves only the spare GPUs, the lowest of those that are wholly free, and no parts of shared ones.
fn keep_idle(free: &mut NodeFree, spare: &Spare) {
    let devices = usize::from(free.devices);
    let mut kept = 0;
    for device in 0..devices {
        let idle = free.idle >> device & 1 == 1;
        if idle && kept < spare.gpus {
            kept += 1;
        } else if idle || spare.shared {
            free.close_gpu(device);
        }
    }
}
