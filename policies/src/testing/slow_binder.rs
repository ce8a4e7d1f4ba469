//! One pod per cycle, bound later, no gang semantics.

use windtunnel_core::{
    Claim, Commit, Decisions, News, NodeId, Policy, SimDuration, SimTime, Spot, TaskState, View,
};

/// A kube-scheduler without a gang layer: every cycle takes one pod from the queue, assumes a node
/// for it and binds it some time later. Pods of different jobs reach the queue interleaved, so two
/// gangs may each get half of what they need and wait for ever.
#[derive(Clone, Copy, Debug)]
pub struct SlowBinder {
    cycle: SimDuration,
    bind: SimDuration,
    next: SimTime,
}

impl SlowBinder {
    /// One pod every `cycle`, bound after `bind`.
    #[must_use]
    pub const fn new(cycle: SimDuration, bind: SimDuration) -> Self {
        let next = SimTime::ZERO;
        Self { cycle, bind, next }
    }
}

impl Policy for SlowBinder {
    fn name(&self) -> &str {
        "slow-binder"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        if view.now() < self.next {
            out.wake_at(self.next);
            return;
        }
        // The queue: first pods of every job, then second ones, …
        let mut pods: Vec<_> = view
            .pending_jobs()
            .flat_map(|job| job.tasks())
            .filter(|task| task.state() == TaskState::Pending)
            .collect();
        pods.sort_by_key(|pod| (pod.id().index, pod.id()));
        let mut plan = view.plan();
        for pod in pods {
            if let Some(node) = plan.next_feasible(pod, NodeId(0)) {
                let commit = Commit::Bind { after: self.bind };
                out.place_as(pod.id(), [Spot::from(node)], commit, Claim::Sure, None);
                self.next = view.now() + self.cycle;
                out.wake_at(self.next);
                return;
            }
        }
    }
}
