//! The nodes as the scheduler knows them: which exist, and what plugins see of each.

use windtunnel_core::{NodeId, NodeView, Plan, Stage, TaskRef, TaskRequest, View};

use super::framework::{Amounts, NONZERO_CPU, NONZERO_MEMORY, NodeInfo, signed};
use crate::table::LookupMap;

/// Nodes that exist, and on each what pods without a request are counted for in scores.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// Nodes that exist, whether or not pods may go there, ascending.
    present: Vec<NodeId>,
    /// Beyond what was asked for, per node of the supply.
    extra: Vec<Amounts>,
    /// Bound pods that ask for no CPU or no memory, where they are and what they count for.
    uncounted: LookupMap<TaskRef, (NodeId, Amounts)>,
}

impl Nodes {
    /// Learns everything from a view.
    pub(super) fn begin(&mut self, view: &View<'_>) {
        self.extra = vec![Amounts::default(); view.node_count()];
        self.uncounted.clear();
        self.present = view.nodes().filter(exists).map(|node| node.id()).collect();
        for node in view.nodes() {
            for task in node.tasks() {
                self.bound(task.id(), task.request(), node);
            }
        }
    }

    /// A node joined or left.
    pub(super) fn changed(&mut self, node: NodeView<'_>) {
        match (self.present.binary_search(&node.id()), exists(&node)) {
            (Err(place), true) => self.present.insert(place, node.id()),
            (Ok(place), false) => {
                self.present.remove(place);
            }
            _ => {}
        }
    }

    /// A pod was bound.
    pub(super) fn bound(&mut self, task: TaskRef, request: &TaskRequest, node: NodeView<'_>) {
        let extra = extra_of(request);
        let has = node.capacity();
        if extra == Amounts::default() || (has.cpu == 0 && has.memory == 0) {
            return;
        }
        let sum = &mut self.extra[node.id().index()];
        *sum = sum.plus(extra);
        self.uncounted.insert(task, (node.id(), extra));
    }

    /// A pod is over.
    pub(super) fn over(&mut self, task: TaskRef) {
        if self.uncounted.is_empty() {
            return;
        }
        if let Some((node, extra)) = self.uncounted.remove(&task) {
            let sum = &mut self.extra[node.index()];
            sum.cpu -= extra.cpu;
            sum.memory -= extra.memory;
        }
    }

    /// The nodes that exist, ascending.
    pub(super) fn present(&self) -> &[NodeId] {
        &self.present
    }

    /// What plugins see of a node, in a plan.
    pub(super) fn info(&self, view: &View<'_>, plan: &Plan<'_>, id: NodeId) -> NodeInfo {
        let (has, free) = (view.node(id).capacity(), plan.free(id));
        let requested = Amounts {
            cpu: i64::from(has.cpu) - i64::from(free.cpu),
            memory: signed(has.memory) - signed(free.memory),
        };
        NodeInfo {
            id,
            allocatable: Amounts {
                cpu: i64::from(has.cpu),
                memory: signed(has.memory),
            },
            requested,
            nonzero: requested.plus(self.extra[id.index()]),
        }
    }
}

/// Whether it is in the list of nodes of the API server: up, cordoned or down alike.
fn exists(node: &NodeView<'_>) -> bool {
    node.stage() == Stage::Up
}

/// What a pod counts for in scores beyond what it asks for.
fn extra_of(request: &TaskRequest) -> Amounts {
    Amounts {
        cpu: if request.cpu.0 == 0 { NONZERO_CPU } else { 0 },
        memory: if request.memory.0 == 0 {
            NONZERO_MEMORY
        } else {
            0
        },
    }
}
