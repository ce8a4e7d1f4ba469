//! Enough of everything.

use windtunnel_core::{NodeId, Plan, TaskView};

use crate::kubernetes::framework::NodeFilter;

/// For every resource asked for: `request ≤ allocatable − Σ requested`.
///
/// GPUs, CPU, memory, GPU model and pool, from an index of the nodes where the request fits.
///
/// # Differences
/// The number of pods per node (110 by default) is not limited. Fractions of a GPU are no resource of
/// plain Kubernetes; where the pool shares GPUs, a fraction must fit on one device.
///
/// # Reference
/// `pkg/scheduler/framework/plugins/noderesources/fit.go` of kubernetes/kubernetes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeResourcesFit;

impl NodeFilter for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn next(&self, task: TaskView<'_>, plan: &mut Plan<'_>, from: NodeId) -> Option<NodeId> {
        plan.next_feasible(task, from)
    }
}
