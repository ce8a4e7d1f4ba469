//! One scheduling cycle: filter, score, pick.

use windtunnel_core::{NodeId, Plan, TaskView, View};

use super::Config;
use super::framework::{NodeInfo, PodInfo, Profile};
use super::nodes::Nodes;
use super::select::{nodes_needed, pick};

/// Where visits start, and buffers that keep their allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Cycle {
    /// Place among the nodes that exist at which the next visit starts.
    start: usize,
    feasible: Vec<NodeInfo>,
    totals: Vec<i64>,
    scores: Vec<i64>,
    heap: Vec<u32>,
}

impl Cycle {
    /// Finds a node for a pod.
    pub(super) fn run(
        &mut self,
        config: &Config,
        profile: &Profile,
        nodes: &Nodes,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        task: TaskView<'_>,
    ) -> Option<NodeId> {
        let pod = PodInfo::new(*task.request(), task.attrs());
        self.filter(config.percentage, profile, nodes, view, plan, task, &pod);
        if self.feasible.len() > 1 {
            profile.totals(&pod, &self.feasible, &mut self.totals, &mut self.scores);
            let number = |place: usize| self.feasible[place].id.0;
            let winner = pick(config.tie, &self.totals, number, &mut self.heap);
            return Some(self.feasible[winner].id);
        }
        self.feasible.first().map(|node| node.id)
    }

    /// Collects feasible nodes in visit order and moves the start on by the nodes examined.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one scheduler, borrowed apart"
    )]
    fn filter(
        &mut self,
        percentage: u8,
        profile: &Profile,
        nodes: &Nodes,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        task: TaskView<'_>,
        pod: &PodInfo,
    ) {
        self.feasible.clear();
        let present = nodes.present();
        if present.is_empty() {
            return;
        }
        let needed = nodes_needed(present.len(), percentage);
        self.start %= present.len();
        let first = present[self.start];
        for (from, end) in [(first, NodeId(u32::MAX)), (NodeId(0), first)] {
            let mut at = from;
            while let Some(node) = profile.next(task, plan, at).filter(|node| *node < end) {
                at = NodeId(node.0 + 1);
                // Without an index, a filter may propose nodes that do not exist.
                if !plan.free(node).open || task.level().is_some() && !plan.fits(task, node) {
                    continue;
                }
                let info = nodes.info(view, plan, node);
                if !profile.passes(pod, &info) {
                    continue;
                }
                if self.feasible.len() == needed {
                    let stop = present.partition_point(|other| *other < node);
                    self.start = stop % present.len();
                    return;
                }
                self.feasible.push(info);
            }
        }
    }
}
