//! Taking and giving back capacity: the only code that changes a node's free state for a task.

use super::World;
use crate::decision::{Keeps, Spot};
use crate::device::{
    Choice, DeviceRequest, Grant, NodeFree, NodeState, Refusal, Sharing, count_only,
};
use crate::ids::{HoldId, NodeId};
use crate::job::TaskRequest;
use crate::task::TaskState;
use crate::time::SimTime;
use crate::units::{Bytes, MilliCores};

/// The grant that the count-only rule would give on a node, if the GPUs fit.
pub(crate) fn assume(free: &NodeFree, request: &TaskRequest, sharing: Sharing) -> Option<Grant> {
    let milli_each = sharing.granted_each(request.gpus);
    let devices = count_only(free, DeviceRequest::new(request.gpus, milli_each))?;
    if matches!(sharing, Sharing::Mig(_)) {
        return free.grant(devices, request.gpus);
    }
    Some(Grant::of(devices, milli_each))
}

impl World {
    /// What a task asks for.
    pub(crate) fn request_of(&self, slot: u32, task: usize) -> TaskRequest {
        let job = self.jobs.slot(slot);
        job.spec.request.groups[usize::from(job.tasks[task].group)].request
    }

    /// Checks that a task fits on a spot as observed and chooses its devices.
    pub(crate) fn check_spot(
        &self,
        slot: u32,
        task: usize,
        spot: Spot,
        within: Option<HoldId>,
        choose: impl FnOnce(&NodeState<'_>, DeviceRequest) -> Result<Choice, Refusal>,
    ) -> Result<(Grant, u8), Refusal> {
        let request = self.request_of(slot, task);
        let node = self
            .cluster
            .nodes
            .get(spot.node.index())
            .ok_or(Refusal::NodeClosed)?;
        let info = self.cluster.pools[node.pool.index()].info;
        if !node.is_open() || !self.jobs.slot(slot).pools.contains(node.pool) {
            return Err(Refusal::NodeClosed);
        }
        if !info.accepts(&request) {
            return Err(Refusal::NotFree);
        }
        // Within a hold only what it sets aside on this node is there to take.
        let backed;
        let free = match within {
            None => &node.free,
            Some(hold) => {
                backed = self.backed(hold, spot.node).ok_or(Refusal::NotFree)?;
                &backed
            }
        };
        if !free.fits(&request, info.sharing) {
            return Err(Refusal::NotFree);
        }
        let milli_each = info.sharing.granted_each(request.gpus);
        let Choice { devices, numa } = match spot.devices {
            Some(devices) => devices.into(),
            None => {
                let pool = &self.cluster.pools[node.pool.index()];
                let state = NodeState {
                    free,
                    topology: pool.topology.as_deref(),
                    cores: node
                        .cores
                        .as_deref()
                        .map_or(&[], |cores| &cores.0[..pool.numa_nodes]),
                };
                let entry = &self.jobs.slot(slot).tasks[task];
                let who = u64::from(self.jobs.slot(slot).id.0) << 32 | u64::from(entry.index);
                let want = DeviceRequest {
                    gpus: request.gpus,
                    milli_each,
                    cpu: request.cpu,
                    key: who ^ u64::from(entry.attempt) << 24 ^ u64::from(entry.group) << 60,
                };
                choose(&state, want)?
            }
        };
        let grant = free.grant(devices, request.gpus).ok_or(Refusal::NotFree)?;
        Ok((grant, numa))
    }

    /// Gives a task its place. The spot must have been checked.
    pub(crate) fn occupy(
        &mut self,
        slot: u32,
        task: usize,
        node: NodeId,
        grant: Grant,
        within: Option<HoldId>,
    ) {
        let request = self.request_of(slot, task);
        let now = self.now;
        if let Some(hold) = within {
            self.draw(hold, node, grant, request.cpu, request.memory);
        }
        let job = self.jobs.slot_mut(slot);
        if !job.nodes_used.contains(&node) && job.nodes_used.len() < 64 {
            job.nodes_used.push(node);
        }
        let entry = &mut job.tasks[task];
        entry.node = node;
        entry.grant = grant;
        entry.hold = within;
        entry.granted_at = now;
        let state = &mut self.cluster.nodes[node.index()];
        state.free.take(grant, request.cpu.0, request.memory.0);
        entry.cores = state.take_cores(request.cpu.0, entry.numa);
        state.tasks.push((slot, index(task)));
        entry.dead = !state.is_alive();
        entry.broken = state.failed_of(grant.devices);
        let pool = &mut self.cluster.pools[state.pool.index()];
        pool.cpu.raise(request.cpu.0.into(), now);
        self.touch_free(node);
    }

    /// A task that has its place has its instances (MIG), too, or they are to be made.
    #[inline]
    pub(crate) fn claim_instances(&mut self, slot: u32, task: usize) {
        let entry = &mut self.jobs.slot_mut(slot).tasks[task];
        (entry.remakes, entry.resumes) = (false, false);
        if entry.grant.slices != 0 {
            let (node, grant) = (entry.node, entry.grant);
            let gpus = self.request_of(slot, task).gpus;
            let remakes = self.cluster.give_instances(node, grant, gpus);
            self.jobs.slot_mut(slot).tasks[task].remakes = remakes;
        }
    }

    /// Frees everything a task holds.
    pub(crate) fn vacate(&mut self, slot: u32, task: usize) {
        let keeps = match self.jobs.slot(slot).tasks[task].state {
            TaskState::Suspended => self.jobs.slot(slot).tasks[task].keeps,
            _ => Keeps::Everything,
        };
        self.free_up(slot, task, keeps, Keeps::Nothing);
        let node = self.jobs.slot(slot).tasks[task].node;
        let key = (slot, index(task));
        let tasks = &mut self.cluster.nodes[node.index()].tasks;
        if let Some(place) = tasks.iter().position(|entry| *entry == key) {
            tasks.remove(place);
        }
        self.jobs.slot_mut(slot).tasks[task].hold = None;
    }

    /// Frees the difference between what a task has and what it keeps.
    pub(crate) fn free_up(&mut self, slot: u32, task: usize, has: Keeps, keeps: Keeps) {
        let request = self.request_of(slot, task);
        let entry = &self.jobs.slot(slot).tasks[task];
        let (node, grant, within, since) = (entry.node, entry.grant, entry.hold, entry.granted_at);
        let gpus = has == Keeps::Everything && keeps != Keeps::Everything;
        let memory = has != Keeps::Nothing && keeps == Keeps::Nothing;
        let freed = if gpus { grant } else { Grant::default() };
        let cpu = if gpus { request.cpu.0 } else { 0 };
        let bytes = if memory { request.memory.0 } else { 0 };
        let state = &mut self.cluster.nodes[node.index()];
        state.free.give(freed, cpu, bytes);
        if gpus {
            let cores = self.jobs.slot_mut(slot).tasks[task].cores.take();
            state.give_cores(cores);
        }
        let pool = state.pool;
        let book = &mut self.cluster.pools[pool.index()];
        book.cpu.lower(cpu.into(), self.now);
        if gpus {
            self.note_held(slot, pool, grant, since);
            self.jobs.slot_mut(slot).tasks[task].grant.milli_each = 0;
        }
        if let Some(hold) = within {
            self.undraw(hold, node, freed, MilliCores(cpu), Bytes(bytes));
        }
        self.touch_free(node);
    }

    /// Takes back, on its old spot, what a suspended task gave up.
    pub(crate) fn retake(&mut self, slot: u32, task: usize) -> Result<(), Refusal> {
        let request = self.request_of(slot, task);
        let entry = &self.jobs.slot(slot).tasks[task];
        let (node, keeps, devices) = (entry.node, entry.keeps, entry.grant.devices);
        let within = entry.hold;
        if !self.cluster.node(node).is_open() {
            return Err(Refusal::NodeClosed);
        }
        if keeps == Keeps::Everything {
            return Ok(());
        }
        let memory = if keeps == Keeps::Nothing {
            request.memory.0
        } else {
            0
        };
        let mut free = self.cluster.node(node).free;
        // What it gave up within a hold is the hold's, and is lent again.
        if let Some(backed) = within.and_then(|hold| self.backed(hold, node)) {
            free.add(&backed);
        }
        if free.cpu < request.cpu.0 || free.memory < memory {
            return Err(Refusal::NotFree);
        }
        // An instance (MIG) may lie elsewhere on its GPU than before.
        let grant = free.grant(devices, request.gpus).ok_or(Refusal::NotFree)?;
        if let Some(hold) = within {
            self.draw(hold, node, grant, request.cpu, Bytes(memory));
        }
        let state = &mut self.cluster.nodes[node.index()];
        state.free.take(grant, request.cpu.0, memory);
        let entry = &mut self.jobs.slot_mut(slot).tasks[task];
        entry.cores = state.take_cores(request.cpu.0, entry.numa);
        let pool = &mut self.cluster.pools[state.pool.index()];
        pool.cpu.raise(request.cpu.0.into(), self.now);
        let broken = state.failed_of(devices);
        let entry = &mut self.jobs.slot_mut(slot).tasks[task];
        entry.grant = grant;
        entry.broken = broken;
        entry.granted_at = self.now;
        self.claim_instances(slot, task);
        self.touch_free(node);
        Ok(())
    }

    /// Books GPU time held on a job's account.
    fn note_held(&mut self, slot: u32, pool: crate::PoolId, grant: Grant, since: SimTime) {
        let length = u128::from(self.now.since(since).as_nanos());
        let amount = u128::from(grant.milli()) * length;
        self.jobs.slot_mut(slot).held.add(pool, amount);
    }

    /// Tops the holds of a node up and brings its pool's sums up to date.
    pub(crate) fn touch(&mut self, node: NodeId) {
        let held = if self.cluster.nodes[node.index()].holds.is_empty() {
            super::cluster::SetAside::default()
        } else {
            self.top_up(node)
        };
        self.cluster.touched(node, held);
    }

    /// The same where only the free state of a node changed.
    fn touch_free(&mut self, node: NodeId) {
        if self.cluster.nodes[node.index()].holds.is_empty() {
            self.cluster.freed_or_taken(node);
        } else {
            self.touch(node);
        }
    }
}

fn index(task: usize) -> u32 {
    u32::try_from(task).expect("at most 10^6 tasks per job")
}
