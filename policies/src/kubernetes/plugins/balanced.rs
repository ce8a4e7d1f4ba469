//! Balance: CPU and memory should run out together.

use crate::kubernetes::framework::{Amounts, MAX_SCORE, NodeInfo, NodeScore, PodInfo};

/// How balance is computed; it changed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalancedFormula {
    /// v1.20, with `f = req/cap` (1 if `cap = 0`), requests with defaults: 0 if either `f ≥ 1`, else
    /// `trunc((1 − |f_cpu − f_mem|)·100)`.
    V1_20,
    /// 1.22 to 1.35, with `f` at most 1, requests as asked for, a resource that the node lacks left
    /// out: `trunc((1 − |f_cpu − f_mem| / 2)·100)`, 100 with one resource. Skipped for pods that ask
    /// for neither.
    V1_22,
    /// 1.36: what the pod changes, `50 + (50 + with − without) div 2`, both by the formula before.
    V1_36,
}

/// The score of [`BalancedFormula`].
///
/// # Reference
/// `pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go` of kubernetes/kubernetes.
/// Fractions are double-precision floats there and here: divisions and differences only, so the result
/// is the same everywhere.
///
/// # Examples
/// ```
/// use windtunnel_core::{AttrId, Bytes, NodeId, TaskRequest};
/// use windtunnel_policies::kubernetes::plugins::{BalancedAllocation, BalancedFormula};
/// use windtunnel_policies::kubernetes::{Amounts, NodeInfo, NodeScore, PodInfo};
///
/// let pod = TaskRequest::gpus(1).with_cores(2).with_memory(Bytes(200));
/// let pod = PodInfo::new(pod, AttrId(0));
/// let used = Amounts { cpu: 0, memory: 300 };
/// let allocatable = Amounts { cpu: 4_000, memory: 1_000 };
/// let node = NodeInfo { id: NodeId(0), allocatable, requested: used, nonzero: used };
/// // With the pod CPU and memory are used to 1/2 and 1/2, without it to 0 and 3/10.
/// assert_eq!(BalancedAllocation(BalancedFormula::V1_20).score(&pod, &node), 100);
/// assert_eq!(BalancedAllocation(BalancedFormula::V1_22).score(&pod, &node), 100);
/// assert_eq!(BalancedAllocation(BalancedFormula::V1_36).score(&pod, &node), 82, "50 + (50 + 100 − 85) div 2");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BalancedAllocation(pub BalancedFormula);

impl NodeScore for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn applies(&self, pod: &PodInfo) -> bool {
        self.0 == BalancedFormula::V1_20 || pod.requested != Amounts::default()
    }

    fn score(&self, pod: &PodInfo, node: &NodeInfo) -> i64 {
        let has = node.allocatable;
        match self.0 {
            BalancedFormula::V1_20 => first(node.nonzero.plus(pod.nonzero), has),
            BalancedFormula::V1_22 => deviation(node.requested.plus(pod.requested), has),
            BalancedFormula::V1_36 => {
                let with = deviation(node.requested.plus(pod.requested), has);
                let without = deviation(node.requested, has);
                50 + (50 + with - without) / 2
            }
        }
    }
}

/// The formula of v1.20.
fn first(used: Amounts, has: Amounts) -> i64 {
    let share = |used, has| if has == 0 { 1.0 } else { ratio(used, has) };
    let (cpu, memory) = (share(used.cpu, has.cpu), share(used.memory, has.memory));
    if cpu >= 1.0 || memory >= 1.0 {
        return 0;
    }
    points(1.0 - (cpu - memory).abs())
}

/// The formula of 1.22: one minus the standard deviation of the fractions.
fn deviation(used: Amounts, has: Amounts) -> i64 {
    if has.cpu == 0 || has.memory == 0 {
        return MAX_SCORE;
    }
    let cpu = ratio(used.cpu, has.cpu).min(1.0);
    let memory = ratio(used.memory, has.memory).min(1.0);
    points(1.0 - ((cpu - memory) / 2.0).abs())
}

fn ratio(used: i64, has: i64) -> f64 {
    used as f64 / has as f64
}

/// A share of 100, truncated.
#[expect(clippy::cast_possible_truncation, reason = "between 0 and 100")]
fn points(share: f64) -> i64 {
    (share * MAX_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS: Amounts = Amounts {
        cpu: 10_000,
        memory: 1_000,
    };

    fn used(cpu: i64, memory: i64) -> Amounts {
        Amounts { cpu, memory }
    }

    #[test]
    fn v1_20_by_hand() {
        assert_eq!(first(used(5_000, 250), HAS), 75, "1 − |1/2 − 1/4|");
        assert_eq!(first(used(10_000, 250), HAS), 0, "a full resource");
        assert_eq!(
            first(used(0, 0), used(10_000, 0)),
            0,
            "no memory counts as full"
        );
    }

    #[test]
    fn v1_22_by_hand() {
        assert_eq!(deviation(used(5_000, 250), HAS), 87, "1 − 1/8, truncated");
        assert_eq!(deviation(used(20_000, 0), HAS), 50, "clipped to 1");
        assert_eq!(
            deviation(used(3_000, 9), used(10_000, 0)),
            100,
            "one resource"
        );
    }

    #[test]
    fn v1_36_rewards_what_improves_balance() {
        use windtunnel_core::{AttrId, Bytes, NodeId, TaskRequest};
        let request = TaskRequest::gpus(1).with_cores(5).with_memory(Bytes(0));
        let pod = PodInfo::new(request, AttrId(0));
        let node = |requested| NodeInfo {
            id: NodeId(0),
            allocatable: HAS,
            requested,
            nonzero: requested,
        };
        let plugin = BalancedAllocation(BalancedFormula::V1_36);
        // From 100 to 75 points: 50 + 25 div 2. From 75 to 100: 50 + 75 div 2.
        assert_eq!(plugin.score(&pod, &node(used(0, 0))), 62);
        assert_eq!(plugin.score(&pod, &node(used(0, 500))), 87);
        assert!(!plugin.applies(&PodInfo::new(TaskRequest::gpus(1), AttrId(0))));
    }
}
