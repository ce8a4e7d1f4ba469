//! The plugin seam: filters say where a pod may go, scores say where it had better go.

use std::fmt;
use std::sync::Arc;

use windtunnel_core::{AttrId, NodeId, Plan, TaskRequest, TaskView};

/// Highest score a plugin gives; the lowest is 0.
pub const MAX_SCORE: i64 = 100;

/// CPU that a pod without a CPU request counts for in scores [thousandths of a core].
pub const NONZERO_CPU: i64 = 100;
/// Memory that a pod without a memory request counts for in scores: 200 MiB, in bytes.
pub const NONZERO_MEMORY: i64 = 200 << 20;

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU [thousandths of a core].
    pub cpu: i64,
    /// Memory, in bytes.
    pub memory: i64,
}

impl Amounts {
    /// Sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
        }
    }
}

/// What plugins see of the pod that is being scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodInfo {
    /// What it asks for.
    pub request: TaskRequest,
    /// CPU and memory as asked for.
    pub requested: Amounts,
    /// The same with defaults in place of what is not asked for.
    pub nonzero: Amounts,
    /// Its attributes.
    pub attrs: AttrId,
}

impl PodInfo {
    /// What plugins see of a task.
    #[must_use]
    pub fn new(request: TaskRequest, attrs: AttrId) -> Self {
        let requested = Amounts {
            cpu: i64::from(request.cpu.0),
            memory: signed(request.memory.0),
        };
        Self {
            request,
            requested,
            nonzero: Amounts {
                cpu: or(requested.cpu, NONZERO_CPU),
                memory: or(requested.memory, NONZERO_MEMORY),
            },
            attrs,
        }
    }
}

const fn or(value: i64, default: i64) -> i64 {
    if value == 0 { default } else { value }
}

/// Bytes as a signed number; no node has 2⁶³ of them.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What plugins see of a node, without the pod that is being scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Which node.
    pub id: NodeId,
    /// What it has for pods.
    pub allocatable: Amounts,
    /// What its pods ask for.
    pub requested: Amounts,
    /// The same with defaults in place of what is not asked for.
    pub nonzero: Amounts,
}

/// Says on which nodes a pod may run.
///
/// # Contract
/// A pure function of the plugin, the pod and the node. The scheduler remembers that pods of one
/// request and attributes found no node, and asks again only once capacity was freed.
pub trait NodeFilter: Send + Sync + fmt::Debug {
    /// Its name in Kubernetes.
    fn name(&self) -> &'static str;

    /// The first node at or after `from` that may pass: lets a filter with an index skip nodes.
    fn next(&self, _task: TaskView<'_>, _plan: &mut Plan<'_>, from: NodeId) -> Option<NodeId> {
        Some(from)
    }

    /// Whether the pod may run on the node. Called for nodes that `next` returned.
    fn passes(&self, _pod: &PodInfo, _node: &NodeInfo) -> bool {
        true
    }

    /// Whether binding a pod can let another one pass (affinity), so that failures may not be
    /// remembered beyond the next binding.
    fn binding_may_help(&self) -> bool {
        false
    }
}

/// Says how good nodes are, from 0 to [`MAX_SCORE`].
///
/// # Contract
/// A pure function of the plugin, the pod and the node.
pub trait NodeScore: Send + Sync + fmt::Debug {
    /// Its name in Kubernetes.
    fn name(&self) -> &'static str;

    /// Whether it has anything to say about the pod; if not, it is left out of the sum.
    fn applies(&self, _pod: &PodInfo) -> bool {
        true
    }

    /// The score of one node.
    fn score(&self, pod: &PodInfo, node: &NodeInfo) -> i64;

    /// Scores of all feasible nodes, in their order. There is rarely a reason to replace it.
    fn score_all(&self, pod: &PodInfo, nodes: &[NodeInfo], scores: &mut Vec<i64>) {
        scores.extend(nodes.iter().map(|node| self.score(pod, node)));
    }

    /// Brings the scores of all feasible nodes into 0..=100, where `score` does not.
    fn normalize(&self, _scores: &mut [i64]) {}
}

/// Which plugins run, and what their scores weigh: a scheduler profile.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub(super) filters: Vec<Arc<dyn NodeFilter>>,
    pub(super) scores: Vec<(Arc<dyn NodeScore>, i64)>,
}

impl Profile {
    /// No plugin: every pod goes to the first node, fit or not. Add
    /// [`NodeResourcesFit`](super::plugins::NodeResourcesFit) at least.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more filter, asked after those before.
    #[must_use]
    pub fn filter(mut self, plugin: impl NodeFilter + 'static) -> Self {
        self.filters.push(Arc::new(plugin));
        self
    }

    /// The same with one more score of a weight.
    #[must_use]
    pub fn score(mut self, plugin: impl NodeScore + 'static, weight: i64) -> Self {
        self.scores.push((Arc::new(plugin), weight));
        self
    }

    /// The first node at or after `from` that every filter's index lets through.
    pub(super) fn next(
        &self,
        task: TaskView<'_>,
        plan: &mut Plan<'_>,
        from: NodeId,
    ) -> Option<NodeId> {
        let mut at = from;
        loop {
            let before = at;
            for filter in &self.filters {
                at = filter.next(task, plan, at)?;
            }
            if at == before || self.filters.len() == 1 {
                return Some(at);
            }
        }
    }

    pub(super) fn passes(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        self.filters.iter().all(|filter| filter.passes(pod, node))
    }

    pub(super) fn binding_may_help(&self) -> bool {
        self.filters.iter().any(|filter| filter.binding_may_help())
    }

    /// Weighted sums over all plugins that apply; `scratch` keeps its allocation.
    pub(super) fn totals(
        &self,
        pod: &PodInfo,
        nodes: &[NodeInfo],
        totals: &mut Vec<i64>,
        scratch: &mut Vec<i64>,
    ) {
        totals.clear();
        totals.resize(nodes.len(), 0);
        for (plugin, weight) in &self.scores {
            if !plugin.applies(pod) {
                continue;
            }
            scratch.clear();
            plugin.score_all(pod, nodes, scratch);
            plugin.normalize(scratch);
            for (total, score) in totals.iter_mut().zip(scratch.iter()) {
                debug_assert!(
                    (0..=MAX_SCORE).contains(score),
                    "{} scored {score}",
                    plugin.name()
                );
                *total += weight * score;
            }
        }
    }
}
