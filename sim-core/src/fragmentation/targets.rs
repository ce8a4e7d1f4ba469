//! The task shapes that fragmentation is measured against.

use std::collections::BTreeMap;

use crate::device::{NodeFree, Sharing};
use crate::job::{GpuRequest, JobSpec, TaskRequest};
use crate::units::{Bytes, MilliCores};

/// A task shape and how often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The shape.
    pub request: TaskRequest,
    /// Its weight.
    pub count: u64,
}

/// What typical shapes are told apart by: CPU, thousandths per GPU, GPUs, models.
type Key = (u32, u32, u32, u64);

/// A shape as it is counted: tasks, the sum of their memory, and its GPUs.
#[derive(Clone, Copy, Debug)]
struct Counted {
    tasks: u64,
    memory: u128,
    gpus: GpuRequest,
}

/// Task shapes with weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    list: Vec<Target>,
    weight: u64,
}

/// What one node contributes, times the weight of all targets \[milli-GPU\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) fragmented: u64,
    pub(super) stranded: u64,
}

impl Targets {
    /// These shapes with these weights. Targets of weight zero play no part.
    #[must_use]
    pub fn new(list: Vec<Target>) -> Self {
        let weight = list.iter().map(|target| target.count).sum();
        Self { list, weight }
    }

    /// The typical shapes of a workload: the most frequent ones, up to and including the one with which
    /// 95 % of all tasks are covered.
    ///
    /// Shapes are told apart by CPU, GPUs and models; their memory is the mean, rounded down. Among
    /// equally frequent ones the larger comes first, by CPU, thousandths per GPU, GPUs, models.
    ///
    /// # Reference
    /// "Typical pods" of the artefact of Weng et al., USENIX ATC'23.
    ///
    /// ```
    /// use windtunnel_core::{JobSpec, SimDuration, SimTime, Targets, TaskRequest};
    /// let job = |gpus, tasks| {
    ///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::ZERO).tasks(tasks)
    /// };
    /// let targets = Targets::typical(&[job(1, 80), job(8, 15), job(2, 4), job(4, 1)]);
    /// let counts: Vec<u64> = targets.list().iter().map(|target| target.count).collect();
    /// assert_eq!(counts, [80, 15], "95 of 100");
    /// ```
    #[must_use]
    pub fn typical(jobs: &[JobSpec]) -> Self {
        let mut shapes: BTreeMap<Key, Counted> = BTreeMap::new();
        for group in jobs.iter().flat_map(|job| &job.request.groups) {
            let request = &group.request;
            let devices = request.gpus.devices();
            let each = request.gpus.milli().checked_div(devices).unwrap_or(0);
            let key = (request.cpu.0, each, devices, request.models);
            let shape = shapes.entry(key).or_insert(Counted {
                tasks: 0,
                memory: 0,
                gpus: request.gpus,
            });
            shape.tasks += u64::from(group.count);
            shape.memory += u128::from(group.count) * u128::from(request.memory.0);
        }
        // A stable sort of the descending keys.
        let mut shapes: Vec<(Key, Counted)> = shapes.into_iter().rev().collect();
        shapes.sort_by_key(|(_, shape)| std::cmp::Reverse(shape.tasks));
        let all: u64 = shapes.iter().map(|(_, shape)| shape.tasks).sum();
        let mut covered = 0;
        let mut list = Vec::new();
        for ((cpu, _, _, models), shape) in shapes {
            if u128::from(covered) * 100 >= u128::from(all) * 95 {
                break;
            }
            let count = shape.tasks;
            covered += count;
            let memory = shape.memory / u128::from(count.max(1));
            let request = TaskRequest {
                gpus: shape.gpus,
                models,
                cpu: MilliCores(cpu),
                memory: Bytes(u64::try_from(memory).unwrap_or(u64::MAX)),
            };
            list.push(Target { request, count });
        }
        Self::new(list)
    }

    /// The shapes, in the order given.
    #[must_use]
    pub fn list(&self) -> &[Target] {
        &self.list
    }

    /// Sum of all weights.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// What a node with this much free contributes; `model` is the bit of its GPU model.
    ///
    /// O(targets × GPUs of the node).
    pub(super) fn measure(&self, free: &NodeFree, model: u64, sharing: Sharing) -> Parts {
        let mut parts = Parts::default();
        if !free.open || free.milli == 0 {
            return parts;
        }
        let idle = u64::from(free.milli);
        for target in &self.list {
            let request = &target.request;
            let needed = request.gpus.devices();
            let accepted = request.models == 0 || request.models & model != 0;
            let mut lost = idle;
            if needed > 0 && accepted {
                let (able, small) = split(free, request.gpus, sharing);
                if able >= needed {
                    let has_cpu = free.cpu >= request.cpu.0;
                    if has_cpu {
                        lost = u64::from(small);
                    }
                    if !has_cpu || free.memory < request.memory.0 {
                        parts.stranded += target.count * idle;
                    }
                }
            }
            parts.fragmented += target.count * lost;
        }
        parts
    }
}

/// GPUs that can serve a request, and the sum of what is left on the others.
fn split(free: &NodeFree, gpus: GpuRequest, sharing: Sharing) -> (u32, u32) {
    let (mut able, mut small) = (0, 0);
    for device in 0..usize::from(free.devices) {
        if free.gpu_serves(device, gpus, sharing) {
            able += 1;
        } else {
            small += u32::from(free.left[device]);
        }
    }
    (able, small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceSet, Grant};

    fn target(request: TaskRequest) -> Targets {
        Targets::new(vec![Target { request, count: 1 }])
    }

    /// Four GPUs with 1000, 1000, 300 and 0 left, 8 cores and 100 bytes.
    fn node() -> NodeFree {
        let mut node = NodeFree::empty(4, 8_000, 100);
        let grant = |device, milli_each| Grant::of(DeviceSet::one(device), milli_each);
        node.take(grant(2, 700), 0, 0);
        node.take(grant(3, 1_000), 0, 0);
        node
    }

    fn check(request: TaskRequest, fragmented: u64, stranded: u64) {
        let parts = target(request).measure(&node(), 1, Sharing::Fractions);
        assert_eq!(
            (parts.fragmented, parts.stranded),
            (fragmented, stranded),
            "{request:?}"
        );
    }

    #[test]
    fn every_class_by_hand() {
        check(TaskRequest::gpus(1), 300, 0);
        check(TaskRequest::gpus(2), 300, 0);
        check(TaskRequest::gpus(3), 2_300, 0);
        check(TaskRequest::gpu_milli(300), 0, 0);
        check(TaskRequest::gpu_milli(301), 300, 0);
        check(TaskRequest::gpus(0), 2_300, 0);
        check(TaskRequest::gpus(1).with_cores(9), 2_300, 2_300);
        check(TaskRequest::gpus(3).with_cores(9), 2_300, 0);
        check(TaskRequest::gpus(1).with_memory(Bytes(101)), 300, 2_300);
        let elsewhere = TaskRequest {
            models: 0b10,
            ..TaskRequest::gpus(1)
        };
        check(elsewhere, 2_300, 0);
    }

    #[test]
    fn a_fraction_of_an_exclusive_gpu_is_a_whole_one() {
        let parts = target(TaskRequest::gpu_milli(300)).measure(&node(), 1, Sharing::Exclusive);
        assert_eq!(parts.fragmented, 300);
    }

    #[test]
    fn a_closed_node_has_nothing_to_lose() {
        let mut closed = node();
        closed.open = false;
        let parts = target(TaskRequest::gpus(3)).measure(&closed, 1, Sharing::Fractions);
        assert_eq!(parts, Parts::default());
    }
}
