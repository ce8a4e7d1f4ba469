//! Holds: capacity set aside without a task on it.
//!
//! From its start a hold sets aside, per part, the least of what it has not lent to tasks and what
//! is free on the node, older holds first; what is released on the node goes to holds before it is
//! free.

use smallvec::SmallVec;

use super::World;
use super::cluster::SetAside;
use crate::decision::HoldFor;
use crate::device::{DeviceSet, Grant, MAX_DEVICES, NodeFree, Sharing};
use crate::engine::EventHandle;
use crate::ids::{HoldId, NodeId, SchedulerId};
use crate::job::{GpuRequest, TaskRequest};
use crate::reason::Reason;
use crate::time::SimTime;
use crate::units::{Bytes, MILLI_PER_GPU, MilliCores};

/// What a hold sets aside on one node.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) node: NodeId,
    pub(crate) amount: TaskRequest,
    /// Thousandths on each device.
    milli_each: u16,
    /// Devices set aside now.
    backed: DeviceSet,
    /// Their slices, where the pool shares by MIG.
    slices: u8,
    backed_cpu: u32,
    backed_memory: u64,
    /// Lent to tasks placed within.
    used_milli: u32,
    used_cpu: u32,
    used_memory: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) parts: Vec<Part>,
    pub(crate) from: SimTime,
    pub(crate) until: Option<SimTime>,
    /// The scheduler that made it, the only one that may use or end it.
    pub(crate) owner: SchedulerId,
    pub(crate) who: HoldFor,
    pub(crate) why: Reason,
    /// Its start has come.
    pub(crate) active: bool,
    pub(crate) committed: bool,
    pub(crate) timer: Option<EventHandle>,
}

/// Live holds by id, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldTable {
    live: std::collections::BTreeMap<HoldId, Hold>,
    pub(crate) next: u32,
}

impl HoldTable {
    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.live.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.live.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.live.iter().map(|(id, hold)| (*id, hold))
    }
}

impl World {
    /// Makes a hold known; it sets nothing aside before [`start_hold`](Self::start_hold).
    pub(crate) fn add_hold(&mut self, id: HoldId, hold: Hold) {
        self.holds.next = self.holds.next.max(id.0 + 1);
        self.holds.live.insert(id, hold);
    }

    /// A part with nothing backed.
    pub(crate) fn new_part(&self, node: NodeId, amount: TaskRequest) -> Part {
        let sharing = self.sharing_of(node);
        Part {
            node,
            amount,
            milli_each: sharing.granted_each(amount.gpus),
            backed: DeviceSet::EMPTY,
            slices: 0,
            backed_cpu: 0,
            backed_memory: 0,
            used_milli: 0,
            used_cpu: 0,
            used_memory: 0,
        }
    }

    pub(crate) fn sharing_of(&self, node: NodeId) -> Sharing {
        let pool = self.cluster.node(node).pool;
        self.cluster.pools[pool.index()].info.sharing
    }

    /// A hold begins to set capacity aside.
    pub(crate) fn start_hold(&mut self, id: HoldId) {
        let Some(hold) = self.holds.get_mut(id) else {
            return;
        };
        hold.active = true;
        let nodes: SmallVec<[NodeId; 8]> = hold.parts.iter().map(|part| part.node).collect();
        for node in nodes {
            let holds = &mut self.cluster.nodes[node.index()].holds;
            if let Err(place) = holds.binary_search(&id) {
                holds.insert(place, id);
            }
            self.touch(node);
        }
    }

    /// Whether everything a hold wants is set aside.
    pub(crate) fn is_fully_backed(&self, id: HoldId) -> bool {
        self.holds.get(id).is_some_and(|hold| {
            hold.parts.iter().all(|part| {
                part.backed.len() == part.amount.gpus.devices()
                    && part.backed_cpu == part.amount.cpu.0
                    && part.backed_memory == part.amount.memory.0
            })
        })
    }

    /// A hold ends: what it set aside is free, tasks within it stay.
    pub(crate) fn end_hold(&mut self, id: HoldId) -> Option<Hold> {
        let hold = self.holds.live.remove(&id)?;
        for part in &hold.parts {
            let state = &mut self.cluster.nodes[part.node.index()];
            state.holds.retain(|other| *other != id);
            state
                .free
                .give(part.backing(), part.backed_cpu, part.backed_memory);
            for &(slot, task) in state.tasks.clone().iter() {
                let entry = &mut self.jobs.slot_mut(slot).tasks[task as usize];
                if entry.hold == Some(id) {
                    entry.hold = None;
                }
            }
            self.touch(part.node);
        }
        Some(hold)
    }

    /// What a committed, active hold sets aside on a node, as free capacity.
    pub(crate) fn backed(&self, id: HoldId, node: NodeId) -> Option<NodeFree> {
        let hold = self
            .holds
            .get(id)
            .filter(|hold| hold.active && hold.committed)?;
        let devices = self.cluster.node(node).free.devices;
        let sharing = self.sharing_of(node);
        let mut free = NodeFree::empty(devices, 0, 0)
            .shared(sharing)
            .without_gpus();
        let mut found = false;
        for part in hold.parts.iter().filter(|part| part.node == node) {
            found = true;
            free.give(part.backing(), part.backed_cpu, part.backed_memory);
        }
        found.then_some(free)
    }

    /// Lends parts of a hold to a task: frees them on the node so that the task can take them. Where
    /// it takes what was not set aside, as much is freed in exchange: no part has and lends more than
    /// it wants.
    pub(crate) fn draw(
        &mut self,
        id: HoldId,
        node: NodeId,
        grant: Grant,
        cpu: MilliCores,
        memory: Bytes,
    ) {
        let Some(hold) = self.holds.get_mut(id) else {
            return;
        };
        let free = &mut self.cluster.nodes[node.index()].free;
        let mut need = Need {
            milli: [0; MAX_DEVICES],
            slices: grant.slices,
            cpu: cpu.0,
            memory: memory.0,
        };
        for device in grant.devices.iter() {
            need.milli[device] = u32::from(grant.milli_each);
        }
        for part in hold.parts.iter_mut().filter(|part| part.node == node) {
            part.lend(&mut need, free);
        }
        let mut rest: u32 = need.milli.iter().sum();
        for part in hold.parts.iter_mut().filter(|part| part.node == node) {
            part.exchange(&mut rest, &mut need, free);
        }
    }

    /// A task within a hold gave something back: it is the hold's again.
    pub(crate) fn undraw(
        &mut self,
        id: HoldId,
        node: NodeId,
        freed: Grant,
        cpu: MilliCores,
        memory: Bytes,
    ) {
        let Some(hold) = self.holds.get_mut(id) else {
            return;
        };
        let (mut milli, mut cpu, mut memory) = (freed.milli(), cpu.0, memory.0);
        for part in hold.parts.iter_mut().filter(|part| part.node == node) {
            let back = milli.min(part.used_milli);
            let (part_cpu, part_memory) = (cpu.min(part.used_cpu), memory.min(part.used_memory));
            part.used_milli -= back;
            part.used_cpu -= part_cpu;
            part.used_memory -= part_memory;
            milli -= back;
            cpu -= part_cpu;
            memory -= part_memory;
        }
    }

    /// Takes a GPU that is known to have failed from every hold that set it aside.
    pub(crate) fn unback(&mut self, node: NodeId, devices: DeviceSet) {
        let state = &mut self.cluster.nodes[node.index()];
        for id in &state.holds {
            let Some(hold) = self.holds.live.get_mut(id) else {
                continue;
            };
            for part in hold.parts.iter_mut().filter(|part| part.node == node) {
                let failed = DeviceSet(part.backed.0 & devices.0);
                part.give_back(failed, 0, 0, &mut state.free);
            }
        }
    }

    /// Sets aside what holds on a node still want, older holds first; returns what is held.
    pub(crate) fn top_up(&mut self, node: NodeId) -> SetAside {
        let sharing = self.sharing_of(node);
        let state = &mut self.cluster.nodes[node.index()];
        let open = state.is_open();
        for id in &state.holds {
            let Some(hold) = self.holds.live.get_mut(id) else {
                continue;
            };
            for part in hold.parts.iter_mut().filter(|part| part.node == node) {
                // Nothing is free on a node that takes no tasks; what was set aside before stays so.
                if open {
                    part.top_up(&mut state.free, sharing);
                }
            }
        }
        self.set_aside(node)
    }

    /// What holds on a node set aside, in the ledger's sense: slots of a GPU on which there is a task
    /// are the task's, and what has failed is down, not held.
    fn set_aside(&self, node: NodeId) -> SetAside {
        let state = &self.cluster.nodes[node.index()];
        let failed = state.health.gpus;
        let slotted = state.free.sharing.overcommits();
        let full = state.free.sharing.full_each();
        let holds = || state.holds.iter().filter_map(|id| self.holds.live.get(id));
        let parts = || holds().flat_map(|hold| hold.parts.iter().map(move |part| (hold, part)));
        let here = || parts().filter(|(_, part)| part.node == node);
        let mut held = SetAside::default();
        let mut untouched = DeviceSet::EMPTY;
        let works = |device: &usize| slotted && !failed.contains(*device);
        for device in (0..usize::from(state.free.devices)).filter(works) {
            let on = here().filter(|(_, part)| part.backed.contains(device));
            let backed: u16 = on.map(|(_, part)| part.milli_each).sum();
            if backed > 0 && state.free.left[device] + backed == full {
                untouched.0 |= 1 << device;
                held.beside += MILLI_PER_GPU - u32::from(backed);
            }
        }
        for (hold, part) in here() {
            let mut backing = part.backing().without(failed);
            if slotted {
                backing.devices.0 &= untouched.0;
            }
            let milli = backing.milli();
            match held.by.iter_mut().find(|(why, _)| *why == hold.why) {
                Some((_, sum)) => *sum += milli,
                None => held.by.push((hold.why, milli)),
            }
        }
        held
    }
}

/// What a task that draws from a hold still needs.
struct Need {
    milli: [u32; MAX_DEVICES],
    /// Where the pool shares by MIG: these slices and no others.
    slices: u8,
    cpu: u32,
    memory: u64,
}

impl Part {
    /// Lends what is set aside of what is needed: whole devices of it, even for a fraction.
    fn lend(&mut self, need: &mut Need, free: &mut NodeFree) {
        let mut devices = DeviceSet::EMPTY;
        let is_apart = self.slices != 0 && self.slices & need.slices == 0;
        for device in self.backed.iter().filter(|_| !is_apart) {
            let milli = need.milli[device].min(u32::from(self.milli_each));
            if milli > 0 {
                devices.0 |= 1 << device;
                need.milli[device] -= milli;
                self.used_milli += milli;
            }
        }
        let (cpu, memory) = (
            need.cpu.min(self.backed_cpu),
            need.memory.min(self.backed_memory),
        );
        self.used_cpu += cpu;
        self.used_memory += memory;
        need.cpu -= cpu;
        need.memory -= memory;
        self.give_back(devices, cpu, memory, free);
    }

    /// Counts what is needed beyond that as lent, as far as the part wants that much, and gives back
    /// what it then has too much.
    fn exchange(&mut self, rest: &mut u32, need: &mut Need, free: &mut NodeFree) {
        let wanted = self.amount.gpus.devices() * u32::from(self.milli_each);
        let milli = (*rest).min(wanted - self.used_milli);
        let cpu = need.cpu.min(self.amount.cpu.0 - self.used_cpu);
        let memory = need.memory.min(self.amount.memory.0 - self.used_memory);
        *rest -= milli;
        need.cpu -= cpu;
        need.memory -= memory;
        self.used_milli += milli;
        self.used_cpu += cpu;
        self.used_memory += memory;
        let mut devices = DeviceSet::EMPTY;
        let mut kept = self.backed_milli();
        for device in self.backed.iter() {
            if kept + self.used_milli > wanted {
                devices.0 |= 1 << device;
                kept -= u32::from(self.milli_each);
            }
        }
        let cpu = (self.backed_cpu + self.used_cpu).saturating_sub(self.amount.cpu.0);
        let memory = (self.backed_memory + self.used_memory).saturating_sub(self.amount.memory.0);
        self.give_back(devices, cpu, memory, free);
    }

    fn give_back(&mut self, devices: DeviceSet, cpu: u32, memory: u64, free: &mut NodeFree) {
        self.backed.0 &= !devices.0;
        self.backed_cpu -= cpu;
        self.backed_memory -= memory;
        let freed = Grant {
            devices,
            ..self.backing()
        };
        free.give(freed, cpu, memory);
    }

    fn backing(&self) -> Grant {
        Grant {
            devices: self.backed,
            milli_each: self.milli_each,
            slices: self.slices,
        }
    }

    fn top_up(&mut self, free: &mut NodeFree, sharing: Sharing) {
        let cpu = (self.amount.cpu.0 - self.used_cpu - self.backed_cpu).min(free.cpu);
        let memory =
            (self.amount.memory.0 - self.used_memory - self.backed_memory).min(free.memory);
        let mut devices = DeviceSet::EMPTY;
        match self.amount.gpus {
            gpus if gpus.is_part() && sharing != Sharing::Exclusive => {
                // A lent fraction's device is its own again only once the whole of it is back.
                if self.used_milli == 0 && self.backed.is_empty() {
                    let want = crate::device::DeviceRequest::new(self.amount.gpus, self.milli_each);
                    devices = crate::device::count_only(free, want).unwrap_or_default();
                }
            }
            gpus => {
                // Whole GPUs, or slots on as many.
                let each = u32::from(sharing.granted_each(gpus)).max(1);
                let used = self.used_milli.div_ceil(each);
                let mut wanted = gpus.devices().saturating_sub(used);
                wanted = wanted.saturating_sub(self.backed.len());
                for device in 0..usize::from(free.devices) {
                    let is_free = match sharing.overcommits() {
                        true => free.left[device] >= self.milli_each,
                        false => free.idle >> device & 1 == 1,
                    };
                    if wanted > 0 && is_free && !self.backed.contains(device) {
                        devices.0 |= 1 << device;
                        wanted -= 1;
                    }
                }
            }
        }
        if devices.is_empty() && cpu == 0 && memory == 0 {
            return;
        }
        let more = match free.sharing {
            Sharing::Mig(_) if !devices.is_empty() => {
                let one = if self.amount.gpus.is_part() {
                    self.amount.gpus
                } else {
                    GpuRequest::Whole(u16::try_from(devices.len()).unwrap_or(0))
                };
                free.grant(devices, one).expect("chosen among what is free")
            }
            _ => Grant::of(devices, self.milli_each),
        };
        free.take(more, cpu, memory);
        self.slices = if devices.is_empty() {
            self.slices
        } else {
            more.slices
        };
        self.backed.0 |= devices.0;
        self.backed_cpu += cpu;
        self.backed_memory += memory;
    }

    /// Everything set aside now.
    pub(crate) fn backing_all(&self) -> (Grant, MilliCores, Bytes) {
        let (cpu, memory) = (MilliCores(self.backed_cpu), Bytes(self.backed_memory));
        (self.backing(), cpu, memory)
    }

    /// Thousandths of a GPU set aside now.
    pub(crate) fn backed_milli(&self) -> u32 {
        self.backing().milli()
    }
}
