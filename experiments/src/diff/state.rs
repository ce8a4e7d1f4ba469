//! The cluster and the queue around the moment at which two runs part.

use std::collections::BTreeMap;

use windtunnel_core::{JobId, JobView, NodeId, NodeView, SimTime, View};

use super::acts::{Deed, Raw, Watch, cpu_milli};
use crate::words::Measure;

/// Jobs at the head of the queue that are kept.
pub(super) const HEADS: usize = 5;

/// A job that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub job: JobId,
    /// GPUs it asks for over all tasks \[milli\].
    pub gpu_milli: u64,
    /// CPU it asks for over all tasks [thousandths of a core].
    pub cpu_milli: u64,
    /// When it was submitted.
    pub submit: SimTime,
}

/// What is free and who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What the cluster is measured by: cores if it has no GPUs.
    pub measure: Measure,
    /// Nodes with some of it free, by id \[milli\]; capacity set aside by a hold is not free.
    pub free: Vec<(NodeId, u32)>,
    /// The first few jobs with tasks to place, in order of submission.
    pub queue: Vec<Queued>,
    /// Jobs with tasks to place.
    pub pending: u32,
}

impl State {
    /// What is free in sum \[milli\].
    #[must_use]
    pub fn free_milli(&self) -> u64 {
        self.free.iter().map(|(_, milli)| u64::from(*milli)).sum()
    }

    pub(super) fn of(view: &View<'_>) -> Self {
        let has_gpus = view.nodes().any(|node| node.capacity().devices > 0);
        let measure = if has_gpus {
            Measure::Gpus
        } else {
            Measure::Cores
        };
        let milli = |node: NodeView<'_>| match measure {
            Measure::Gpus => node.free().milli,
            Measure::Cores => node.free().cpu,
        };
        let free = view
            .nodes()
            .filter(|node| node.is_open() && milli(*node) > 0);
        Self {
            measure,
            free: free.map(|node| (node.id(), milli(node))).collect(),
            queue: view.pending_jobs().take(HEADS).map(queued).collect(),
            pending: view.pending_count(),
        }
    }
}

fn queued(job: JobView<'_>) -> Queued {
    Queued {
        job: job.job_id(),
        gpu_milli: job.gpu_milli(),
        cpu_milli: cpu_milli(job),
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
        *free.entry(node).or_default() += match state.measure {
            Measure::Gpus => grant.milli(),
            Measure::Cores => task.request().cpu.0,
        };
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
