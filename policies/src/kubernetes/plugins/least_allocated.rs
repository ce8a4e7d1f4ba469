//! Spread: the emptier the node, the better.

use crate::kubernetes::Version;
use crate::kubernetes::framework::{MAX_SCORE, NodeInfo, NodeScore, PodInfo};

/// `(Σ w·least(req, cap)) div (Σ w)` over CPU and memory, `w = 1` each, with
/// `least(req, cap) = (cap − req)·100 div cap`, 0 if `req > cap`.
///
/// `req` is what all pods of the node ask for, this one included, where a pod without a request counts
/// 100 millicores and 200 MiB. A resource that the node does not have is left out (1.36) or scores 0
/// (v1.20). GPUs take no part.
///
/// # Reference
/// `pkg/scheduler/framework/plugins/noderesources/least_allocated.go` of kubernetes/kubernetes.
///
/// # Examples
/// ```
/// use windtunnel_core::{AttrId, Bytes, NodeId, TaskRequest};
/// use windtunnel_policies::kubernetes::plugins::LeastAllocated;
/// use windtunnel_policies::kubernetes::{Amounts, NodeInfo, NodeScore, PodInfo, Version};
///
/// let pod = TaskRequest::gpus(1).with_cores(1).with_memory(Bytes(1_000));
/// let pod = PodInfo::new(pod, AttrId(0));
/// let used = Amounts { cpu: 1_000, memory: 500 };
/// let allocatable = Amounts { cpu: 4_000, memory: 2_000 };
/// let node = NodeInfo { id: NodeId(0), allocatable, requested: used, nonzero: used };
/// // CPU: (4000 − 2000)·100 div 4000 = 50. Memory: (2000 − 1500)·100 div 2000 = 25.
/// assert_eq!(LeastAllocated(Version::V1_36).score(&pod, &node), 37);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LeastAllocated(pub Version);

impl NodeScore for LeastAllocated {
    fn name(&self) -> &'static str {
        "NodeResourcesLeastAllocated"
    }

    fn score(&self, pod: &PodInfo, node: &NodeInfo) -> i64 {
        let used = node.nonzero.plus(pod.nonzero);
        let (mut sum, mut weights) = (0, 0);
        let has = node.allocatable;
        for (used, has) in [(used.cpu, has.cpu), (used.memory, has.memory)] {
            if has == 0 && self.0 == Version::V1_36 {
                continue;
            }
            weights += 1;
            if has > 0 && used <= has {
                sum += (has - used) * MAX_SCORE / has;
            }
        }
        if weights == 0 { 0 } else { sum / weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::framework::Amounts;
    use windtunnel_core::{AttrId, NodeId, TaskRequest};

    fn score(version: Version, request: TaskRequest, used: Amounts, has: Amounts) -> i64 {
        let node = NodeInfo {
            id: NodeId(0),
            allocatable: has,
            requested: used,
            nonzero: used,
        };
        LeastAllocated(version).score(&PodInfo::new(request, AttrId(0)), &node)
    }

    #[test]
    fn a_pod_without_requests_counts_as_a_small_one() {
        let has = Amounts {
            cpu: 1_000,
            memory: 1_000 << 20,
        };
        // CPU: 900·100 div 1000 = 90; memory: 800·100 div 1000 = 80.
        let used = Amounts::default();
        assert_eq!(score(Version::V1_36, TaskRequest::gpus(1), used, has), 85);
        assert_eq!(score(Version::V1_20, TaskRequest::gpus(1), used, has), 85);
    }

    #[test]
    fn a_resource_that_the_node_lacks() {
        let has = Amounts {
            cpu: 4_000,
            memory: 0,
        };
        let request = TaskRequest::gpus(1).with_cores(1);
        let used = Amounts::default();
        assert_eq!(score(Version::V1_36, request, used, has), 75, "left out");
        assert_eq!(score(Version::V1_20, request, used, has), 37, "75 and 0");
        let nothing = Amounts::default();
        assert_eq!(score(Version::V1_36, request, used, nothing), 0);
    }

    #[test]
    fn beyond_capacity_scores_zero() {
        let has = Amounts {
            cpu: 1_000,
            memory: 100 << 20,
        };
        // 200 MiB of default memory exceed 100 MiB: 0; CPU 90.
        let used = Amounts::default();
        assert_eq!(score(Version::V1_36, TaskRequest::gpus(1), used, has), 45);
    }
}
