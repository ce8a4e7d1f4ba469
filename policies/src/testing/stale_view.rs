//! A scheduler that works on an old snapshot.

use windtunnel_core::{
    Claim, Commit, Decisions, JobNews, JobRef, News, NodeId, Policy, Reason, SimDuration, SimTime,
    Spot, View,
};

/// Optimistic concurrency, as in Omega or between Ray's raylets: free GPUs are known from a snapshot
/// that is taken every `period`, and every placement is a try. One that is refused waits for the
/// next snapshot. Handles jobs of one task.
#[derive(Clone, Debug)]
pub struct StaleView {
    period: SimDuration,
    taken: SimTime,
    /// Whole GPUs free per node, as of the snapshot, less what was tried since.
    free: Vec<(NodeId, u32)>,
    queue: Vec<JobRef>,
    /// Refused since the snapshot.
    refused: Vec<JobRef>,
}

impl StaleView {
    /// A snapshot every `period`, the first at 0.
    #[must_use]
    pub const fn new(period: SimDuration) -> Self {
        Self {
            period,
            taken: SimTime::ZERO,
            free: Vec::new(),
            queue: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn take_snapshot(&mut self, view: &View<'_>) {
        self.taken = view.now();
        self.free.clear();
        let open = view.nodes().filter(|node| node.is_open());
        self.free
            .extend(open.map(|node| (node.id(), node.free().whole())));
        self.queue.append(&mut self.refused);
        self.queue.sort_unstable();
    }
}

impl Policy for StaleView {
    fn name(&self) -> &str {
        "stale-view"
    }

    fn begin(&mut self, view: &View<'_>, _grants: windtunnel_core::Grants) {
        self.take_snapshot(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let created = |change: &&windtunnel_core::JobChange| change.what == JobNews::Created;
        self.queue
            .extend(news.jobs.iter().filter(created).map(|change| change.job));
        self.refused
            .extend(news.refused.iter().map(|(task, _)| task.job));
        let next = self.taken + self.period;
        if view.now() >= next {
            self.take_snapshot(view);
        } else if !self.refused.is_empty() {
            out.wake_at(next);
        }
        for job in std::mem::take(&mut self.queue) {
            let Some(milli) = view.job(job).map(|job| job.gpu_milli()) else {
                continue;
            };
            let gpus = u32::try_from(milli / 1_000).unwrap_or(u32::MAX);
            match self.free.iter_mut().find(|(_, free)| *free >= gpus) {
                Some((node, free)) => {
                    *free -= gpus;
                    out.place_as(job, [Spot::from(*node)], Commit::NOW, Claim::Try, None);
                }
                None => {
                    self.refused.push(job);
                    out.waiting(job, Reason::Latency);
                    out.wake_at(self.taken + self.period);
                }
            }
        }
    }
}
