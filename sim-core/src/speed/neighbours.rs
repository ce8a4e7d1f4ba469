//! What else runs on the nodes of a unit.

use smallvec::SmallVec;

use super::PlacedTask;
use crate::device::DeviceSet;
use crate::ids::NodeId;
use crate::job::{GpuRequest, JobProfile};
use crate::live::{Job, JobTable};
use crate::world::cluster::Cluster;

/// What else advances on the nodes of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours<'a> {
    pub(crate) jobs: &'a JobTable,
    pub(crate) cluster: &'a Cluster,
    /// The unit that asks: (slot, unit).
    pub(crate) own: (u32, usize),
}

/// A task of another unit that shares a GPU and advances.
#[derive(Clone, Copy, Debug)]
pub struct Sharer<'a> {
    /// What is true of its job.
    pub profile: &'a JobProfile,
    /// Thousandths of the GPU it was granted.
    pub milli: u16,
    /// Thousandths of the GPU it asked for.
    pub requested: u16,
}

impl<'a> Neighbours<'a> {
    /// Thousandths of each of its GPUs that a task of a group of the unit that asks asked for.
    #[must_use]
    pub fn requested(&self, group: u16) -> u16 {
        requested_each(self.jobs.slot(self.own.0), group)
    }

    /// What a task of a group of the unit that asks asked for.
    pub(super) fn asked(&self, group: u16) -> GpuRequest {
        asked(self.jobs.slot(self.own.0), group)
    }

    /// Tasks of other units that advance on a GPU, in the order in which they came.
    pub fn on(
        &self,
        node: NodeId,
        device: usize,
    ) -> impl Iterator<Item = Sharer<'a>> + Clone + use<'a> {
        let own = self.own;
        let others = move |unit: (u32, usize), advancing| unit != own && advancing;
        self.sharers(node, device, others)
    }

    /// All tasks that advance on a GPU, those of the unit that asks among them.
    pub(super) fn all_on(
        &self,
        node: NodeId,
        device: usize,
    ) -> impl Iterator<Item = Sharer<'a>> + Clone + use<'a> {
        let own = self.own;
        let all = move |unit: (u32, usize), advancing| unit == own || advancing;
        self.sharers(node, device, all)
    }

    /// The running tasks on a node of the unit that asks. O(tasks on the node).
    pub fn own_on(&self, node: NodeId) -> impl Iterator<Item = PlacedTask<'a>> + use<'a> {
        let (slot, unit) = self.own;
        let job = self.jobs.slot(slot);
        let tasks = self.cluster.node(node).tasks.iter();
        let own = tasks.filter(move |&&(other, _)| other == slot);
        own.filter_map(move |&(_, place)| {
            let task = &job.tasks[place as usize];
            let own = job.unit_of(place as usize) == unit && task.works();
            own.then(|| PlacedTask::of(task))
        })
    }

    /// Tasks on a GPU whose units, given whether they advance, are wanted.
    fn sharers<F: Fn((u32, usize), bool) -> bool + Clone>(
        &self,
        node: NodeId,
        device: usize,
        is_wanted: F,
    ) -> impl Iterator<Item = Sharer<'a>> + Clone + use<'a, F> {
        let jobs = self.jobs;
        let tasks = self.cluster.node(node).tasks.iter();
        tasks.filter_map(move |&(slot, task)| {
            let job = jobs.slot(slot);
            let entry = &job.tasks[task as usize];
            let unit = job.unit_of(task as usize);
            let wanted = is_wanted((slot, unit), job.units[unit].advancing) && entry.works();
            (wanted && entry.grant.devices.contains(device)).then(|| Sharer {
                profile: &job.spec.profile,
                milli: entry.grant.milli_each,
                requested: requested_each(job, entry.group),
            })
        })
    }

    /// Other units that advance on a node and on others beside it: they share its network cards.
    ///
    /// O(tasks on the node).
    #[must_use]
    pub fn across(&self, node: NodeId) -> u32 {
        u32::try_from(self.spanning(node).len()).unwrap_or(u32::MAX)
    }

    /// The GPUs on a node of each other unit that advances there and on other nodes, too.
    ///
    /// O(tasks on the node).
    #[must_use]
    pub fn spanning(&self, node: NodeId) -> SmallVec<[DeviceSet; 8]> {
        let mut seen: SmallVec<[(u32, usize); 8]> = SmallVec::new();
        let mut sets: SmallVec<[DeviceSet; 8]> = SmallVec::new();
        for &(slot, task) in &self.cluster.node(node).tasks {
            let job = self.jobs.slot(slot);
            let unit = job.unit_of(task as usize);
            let key = (slot, unit);
            let entry = &job.units[unit];
            if key == self.own || !entry.advancing || !entry.spans_nodes {
                continue;
            }
            let devices = job.tasks[task as usize].grant.devices;
            if let Some(place) = seen.iter().position(|&known| known == key) {
                sets[place].0 |= devices.0;
            } else {
                seen.push(key);
                sets.push(devices);
            }
        }
        sets
    }
}

/// Thousandths of each of its GPUs that a task asked for.
pub(crate) fn requested_each(job: &Job, group: u16) -> u16 {
    let gpus = asked(job, group);
    let each = gpus.milli().checked_div(gpus.devices()).unwrap_or(0);
    u16::try_from(each).unwrap_or(u16::MAX)
}

/// What a task of a group asked for of the GPUs of its node.
fn asked(job: &Job, group: u16) -> GpuRequest {
    job.spec.request.groups[usize::from(group)].request.gpus
}
