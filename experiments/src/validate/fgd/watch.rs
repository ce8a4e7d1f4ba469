//! What our policy decided, and the curve it makes, taken down while a run goes on.

use std::sync::Arc;

use windtunnel_core::{
    Event, EventKind, FragmentationMeter, NodeId, Observer, Targets, TaskState, View,
};

use super::files::{Decided, Point};

/// Watches one arrival per instant.
pub(super) struct Watch {
    /// By order of arrival, which is the order of job ids.
    pub(super) decided: Vec<Decided>,
    /// The state after each arrival.
    pub(super) curve: Vec<Point>,
    meter: FragmentationMeter,
    /// GPUs of the whole cluster \[milli-GPU\]; known once the run began.
    all_milli: u64,
    /// Whether a node was ever used.
    used: Vec<bool>,
    used_nodes: u64,
    used_gpus: u64,
}

impl Watch {
    pub(super) fn new(targets: Arc<Targets>, pods: usize) -> Self {
        Self {
            decided: vec![Decided::default(); pods],
            curve: Vec::with_capacity(pods),
            meter: FragmentationMeter::new(targets),
            all_milli: 0,
            used: Vec::new(),
            used_nodes: 0,
            used_gpus: 0,
        }
    }

    fn placed(&mut self, node: NodeId, view: &View<'_>) {
        let node = view.node(node);
        let first = !std::mem::replace(&mut self.used[node.id().index()], true);
        if first {
            self.used_nodes += 1;
            self.used_gpus += u64::from(node.capacity().devices);
        }
        self.meter.update(node);
    }
}

impl Observer for Watch {
    fn wants_jobs(&self) -> bool {
        false
    }

    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        if self.used.is_empty() {
            self.used = vec![false; view.node_count()];
            self.meter.refresh(view);
            self.all_milli = view
                .nodes()
                .map(|node| u64::from(node.capacity().milli))
                .sum();
        }
        let EventKind::Task { task, to, .. } = event.kind else {
            return;
        };
        let Some(found) = view.task(task).filter(|_| to == TaskState::Running) else {
            return;
        };
        if let (Some(node), Some(grant)) = (found.node(), found.grant()) {
            self.decided[task.job.id.index()] = Decided {
                rank: Some(node.0),
                gpus: grant.devices.0,
            };
            self.placed(node, view);
        }
    }

    fn on_instant(&mut self, _view: &View<'_>) {
        let now = self.meter.now();
        self.curve.push(Point {
            used_milli: self.all_milli - now.idle_milli,
            used_nodes: self.used_nodes,
            used_gpus: self.used_gpus,
            fragmented_milli: now.fragmented_milli().unwrap_or(0.0),
            ratio_percent: now.ratio().unwrap_or(0.0) * 100.0,
        });
    }
}
