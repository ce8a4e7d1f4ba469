//! The cluster and the queue around the moment at which two runs part.

use std::collections::BTreeMap;

use windtunnel_core::{JobId, JobView, NodeId, SimTime, View};

use super::acts::{Deed, Raw, Watch};

/// Jobs at the head of the queue that are kept.
pub(super) const HEADS: usize = 5;

/// A job that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub job: JobId,
    /// GPUs it asks for over all tasks \[milli\].
    pub gpu_milli: u64,
    /// When it was submitted.
    pub submit: SimTime,
}

/// What is free and who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Nodes with GPUs free on them, by id \[milli\]; capacity set aside by a hold is not free.
    pub free: Vec<(NodeId, u32)>,
    /// The first few jobs with tasks to place, in order of submission.
    pub queue: Vec<Queued>,
    /// Jobs with tasks to place.
    pub pending: u32,
}

impl State {
    /// GPUs free in sum \[milli\].
    #[must_use]
    pub fn free_milli(&self) -> u64 {
        self.free.iter().map(|(_, milli)| u64::from(*milli)).sum()
    }

    pub(super) fn of(view: &View<'_>) -> Self {
        let free = view
            .nodes()
            .filter(|node| node.is_open() && node.free().milli > 0);
        Self {
            free: free.map(|node| (node.id(), node.free().milli)).collect(),
            queue: view.pending_jobs().take(HEADS).map(queued).collect(),
            pending: view.pending_count(),
        }
    }
}

fn queued(job: JobView<'_>) -> Queued {
    Queued {
        job: job.job_id(),
        gpu_milli: job.gpu_milli(),
        submit: job.submit(),
    }
}

/// The state without some placements; `None` if something else was done, or what was placed is gone.
pub(super) fn before(view: &View<'_>, only: &[Raw], watch: &Watch) -> Option<State> {
    let mut state = State::of(view);
    let mut free: BTreeMap<NodeId, u32> = state.free.iter().copied().collect();
    let mut placed: BTreeMap<JobId, JobView<'_>> = BTreeMap::new();
    for raw in only {
        if !matches!(raw.deed, Deed::Placed(_) | Deed::Reserved(_)) {
            return None;
        }
        let job = view.job(watch.job(raw.job)?)?;
        let task = job.tasks().find(|task| raw.is(task.id()))?;
        let (node, grant) = (task.node()?, task.grant()?);
        *free.entry(node).or_default() += grant.milli();
        placed.insert(raw.job, job);
    }
    let waiting: Vec<JobId> = view.pending_jobs().map(|job| job.job_id()).collect();
    for (id, job) in placed {
        if waiting.binary_search(&id).is_err() {
            state.pending += 1;
            state.queue.push(queued(job));
        }
    }
    state.queue.sort_by_key(|queued| queued.job);
    state.queue.truncate(HEADS);
    state.free = free.into_iter().filter(|(_, milli)| *milli > 0).collect();
    Some(state)
}
