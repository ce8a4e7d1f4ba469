//! An autoscaler that adds nodes for what a scheduler called unschedulable.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Autoscaler, JobNews, JobRef, News, NodeId, PoolId, Scaling, SimDuration, SimTime, Stage,
    TaskState, View, WouldFit,
};

/// Cluster Autoscaler over one pool: some time after a scheduler called a job unschedulable, a scan
/// requests as many nodes as the waiting tasks need beyond those on their way, within the pool's
/// maximum and the cloud quota; a node that was not needed for a while is given back.
///
/// It sleeps while nothing changes: the next scan is only ever set by news or by an idle node.
#[derive(Clone, Debug)]
pub struct NodeProvisioner {
    pool: PoolId,
    scan: SimDuration,
    unneeded: SimDuration,
    waiting: BTreeSet<JobRef>,
    idle: BTreeMap<NodeId, SimTime>,
    next: Option<SimTime>,
}

impl NodeProvisioner {
    /// Scans `pool` after `scan`; returns nodes idle for `unneeded`.
    #[must_use]
    pub const fn new(pool: PoolId, scan: SimDuration, unneeded: SimDuration) -> Self {
        Self {
            pool,
            scan,
            unneeded,
            waiting: BTreeSet::new(),
            idle: BTreeMap::new(),
            next: None,
        }
    }

    /// Nodes that the waiting tasks need, if each is asked of its own scheduler.
    fn needed(&mut self, view: &View<'_>, fit: &dyn WouldFit) -> u32 {
        self.waiting
            .retain(|job| view.job(*job).is_some_and(|job| job.is_queued()));
        let template = fit.template(self.pool);
        let mut nodes = 0;
        for job in self.waiting.iter().filter_map(|job| view.job(*job)) {
            let waits = job
                .tasks()
                .filter(|task| task.state() == TaskState::Pending);
            let mut fitting = waits
                .filter(|task| fit.would_fit(task.id(), &template))
                .peekable();
            let Some(first) = fitting.peek() else {
                continue;
            };
            let per_node = template
                .free
                .slots(first.request(), Default::default())
                .max(1);
            nodes += u32::try_from(fitting.count())
                .unwrap_or(u32::MAX)
                .div_ceil(per_node);
        }
        let coming = |stage| matches!(stage, Stage::Requested | Stage::Booting);
        let coming = view
            .nodes_of(self.pool)
            .filter(|node| coming(node.stage()))
            .count();
        nodes.saturating_sub(u32::try_from(coming).unwrap_or(u32::MAX))
    }
}

impl Autoscaler for NodeProvisioner {
    fn name(&self) -> &str {
        "node-provisioner"
    }

    fn scale(&mut self, view: &View<'_>, news: &News<'_>, fit: &dyn WouldFit, out: &mut Scaling) {
        let now = view.now();
        let told = news
            .jobs
            .iter()
            .filter(|change| change.what == JobNews::Unschedulable);
        self.waiting.extend(told.map(|change| change.job));
        for node in news.nodes.iter().map(|node| view.node(*node)) {
            if node.pool() == self.pool && node.is_open() && node.is_idle() {
                self.idle.entry(node.id()).or_insert(now);
            } else {
                self.idle.remove(&node.id());
            }
        }
        if self.next.is_none() && !self.waiting.is_empty() {
            self.next = Some(now + self.scan);
        }
        if self.next.is_some_and(|next| next <= now) {
            self.next = None;
            let nodes = self.needed(view, fit).min(fit.room(self.pool));
            if nodes > 0 {
                out.grow(self.pool, nodes);
            }
        }
        let expired = |since: &SimTime| *since + self.unneeded <= now;
        self.idle
            .iter()
            .filter(|(_, since)| expired(since))
            .for_each(|(node, _)| out.shrink(*node));
        let expiry = self.idle.values().filter(|since| !expired(since)).min();
        let expiry = expiry.map(|since| *since + self.unneeded);
        if let Some(wake) = self.next.into_iter().chain(expiry).min() {
            out.wake_at(wake);
        }
    }
}
