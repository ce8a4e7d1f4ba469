//! Faults as they befall nodes: they begin, are noticed, and end.
//!
//! A node fails as a whole; a GPU of it fails, and the rest goes on; a link fails or the node slows
//! down, and everything goes on, slower; maintenance empties it. Each fault that takes effect gets an
//! ailment of its node ([`Health`](crate::world::health::Health)), whose number its later events carry.
//!
//! Cost: O(tasks on the node) per event; per node one event pending and one stream per model.

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use super::progress::Unsaved;
use crate::device::{DeviceSet, Refusal};
use crate::engine::Phase;
use crate::fault::{Fault, FaultKind, FaultStep, FaultStream, Install, Site};
use crate::ids::NodeId;
use crate::observe::{EventKind, NodeEvent};
use crate::task::{TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::world::cluster::Stage;
use crate::world::health::out_of_service;

/// Where faults of a node come from, and the next of them.
#[derive(Clone, Debug)]
pub(super) struct FaultSource {
    node: NodeId,
    stream: Box<dyn FaultStream>,
    next: Option<Fault>,
}

/// A task on a node: job slot, index.
type OnNode = (u32, u32);

impl Simulation {
    /// Asks for the first fault of every stream of every node.
    pub(super) fn begin_faults(&mut self) {
        let seed = self.options.seed;
        for place in 0..self.world.cluster.nodes.len() {
            let node = NodeId(u32::try_from(place).expect("at most 10^7 nodes"));
            let site = self.site(node);
            for stream in self.supply.faults.streams(seed, site) {
                let next = None;
                self.faults.push(FaultSource { node, stream, next });
                let source = u32::try_from(self.faults.len() - 1).expect("few per node");
                self.schedule_fault(source);
            }
        }
    }

    fn site(&self, node: NodeId) -> Site {
        let cluster = &self.world.cluster;
        let state = cluster.node(node);
        Site {
            pool: state.pool,
            ordinal: state.ordinal,
            gpus: cluster.pools[state.pool.index()].full.devices,
        }
    }

    /// Asks a stream for its next fault.
    pub(super) fn schedule_fault(&mut self, source: u32) {
        let now = self.world.now;
        let entry = &mut self.faults[source as usize];
        entry.next = entry.stream.next(now);
        if let Some(fault) = entry.next {
            self.schedule(fault.at.max(now), Phase::Failures, Ev::Fault { source });
        }
    }

    /// A fault begins.
    pub(super) fn fault_begins(&mut self, source: u32) {
        let now = self.world.now;
        let entry = &mut self.faults[source as usize];
        let (node, overlaps) = (entry.node, entry.stream.overlaps());
        let Some(fault) = entry.next.take() else {
            return;
        };
        let length = fault.repair.max(SimDuration::from_nanos(1));
        let end = fault.at.saturating_add(length);
        if self.is_struck_by(node, fault.what) {
            let state = &mut self.world.cluster.nodes[node.index()];
            let ailment = state.health.begin(fault.what, now);
            self.world.cluster.ever_slow |= matches!(fault.what, FaultKind::Slow(_));
            self.schedule(end, Phase::Repairs, Ev::Repair { node, ailment });
            self.strike(node, fault.what);
            let due = match fault.what {
                FaultKind::Node | FaultKind::Gpu(_) => {
                    let pool = self.world.cluster.node(node).pool;
                    let notice = now.saturating_add(self.settings[pool.index()].detection_delay);
                    (notice < end).then_some(notice)
                }
                FaultKind::Drain { lead } => Some(now.saturating_add(lead)),
                FaultKind::Nvlink(_) | FaultKind::Nic(_) | FaultKind::Slow(_) => None,
            };
            if let Some(due) = due {
                self.schedule(due, Phase::Failures, Ev::Notice { node, ailment });
            }
        }
        if overlaps {
            self.schedule_fault(source);
        } else {
            // Whether or not it took effect, its stream goes on at its end.
            self.schedule(end, Phase::Repairs, Ev::NextFault { source });
        }
    }

    /// Whether a fault takes effect: only what is there and whole can break.
    fn is_struck_by(&self, node: NodeId, what: FaultKind) -> bool {
        let state = self.world.cluster.node(node);
        let is_there = match what {
            FaultKind::Drain { .. } => !matches!(state.stage, Stage::Absent | Stage::Requested),
            _ => state.is_alive(),
        };
        is_there && state.health.is_open_to(what, self.site(node).gpus)
    }

    /// What a fault does at once, in truth.
    fn strike(&mut self, node: NodeId, what: FaultKind) {
        if what == FaultKind::Node {
            self.node_fails(node);
            return;
        }
        self.note_fault(node, what, FaultStep::Began);
        match what {
            FaultKind::Gpu(gpu) => self.gpu_fails(node, gpu),
            FaultKind::Drain { .. } => {
                self.world.touch(node);
                self.inboxes.node(node, Component::Engine);
            }
            _ => self.speed_changes(node),
        }
    }

    /// A node fails: what runs there stops; nobody knows yet.
    fn node_fails(&mut self, node: NodeId) {
        self.world.cluster.nodes[node.index()].failed = true;
        self.note_node(node, NodeEvent::Failed);
        self.world.touch(node);
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            self.world.jobs.slot_mut(slot).tasks[task as usize].dead = true;
            self.cripple((slot, task));
        }
    }

    /// A GPU fails: what holds it stops; nobody knows yet.
    fn gpu_fails(&mut self, node: NodeId, gpu: u8) {
        self.world.touch(node);
        let failed = DeviceSet::one(gpu.into());
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let entry = &self.world.jobs.slot(slot).tasks[task as usize];
            if !entry.holds_gpus() || entry.grant.without(failed) == entry.grant {
                continue;
            }
            // From now on the node books this GPU, and the task only the others.
            self.unbook(slot, task as usize);
            let entry = &mut self.world.jobs.slot_mut(slot).tasks[task as usize];
            entry.broken.0 |= failed.0;
            self.cripple((slot, task));
        }
    }

    /// A task can't work any more where it is: its start does not come to an end, and its unit loses
    /// what it had not saved.
    fn cripple(&mut self, (slot, task): OnNode) {
        let job = self.world.jobs.slot_mut(slot);
        let unit = job.unit_of(task as usize);
        let entry = &mut job.tasks[task as usize];
        let has_progress = entry.has_progress();
        if entry.state == TaskState::Starting
            && let Some(timer) = entry.timer.take()
        {
            self.queue.cancel(timer);
        }
        if has_progress {
            self.stop_unit(slot, unit, Unsaved::Lost);
        }
        self.mark_unit(slot, unit);
    }

    /// Links or speed of a node changed: everything on it is asked again how fast it is.
    fn speed_changes(&mut self, node: NodeId) {
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let unit = self.world.jobs.slot(slot).unit_of(task as usize);
            self.mark_unit(slot, unit);
        }
    }

    /// What was to happen in the course of a fault: a failure is noticed, a window opens.
    pub(super) fn fault_is_due(&mut self, node: NodeId, ailment: u32) {
        match self.world.cluster.node(node).health.find(ailment) {
            Some((FaultKind::Node, _)) => self.node_noticed(node),
            Some((FaultKind::Gpu(gpu), _)) => self.gpu_noticed(node, gpu),
            Some((what @ FaultKind::Drain { .. }, _)) => self.window_opens(node, what),
            _ => {}
        }
    }

    /// A node's failure is noticed: what is bound there is lost.
    fn node_noticed(&mut self, node: NodeId) {
        let state = &mut self.world.cluster.nodes[node.index()];
        if !state.failed || state.noticed {
            return;
        }
        state.noticed = true;
        self.note_node(node, NodeEvent::Noticed);
        self.world.touch(node);
        for task in self.world.cluster.node(node).tasks.clone() {
            self.drop_task(task, node, TaskEnd::NodeLost);
        }
        self.inboxes.node(node, Component::Engine);
    }

    /// A GPU's failure is noticed: what holds it is lost, and nobody is granted it any more.
    fn gpu_noticed(&mut self, node: NodeId, gpu: u8) {
        let failed = DeviceSet::one(gpu.into());
        if self.world.cluster.node(node).health.seen.0 & failed.0 != 0 {
            return;
        }
        self.note_fault(node, FaultKind::Gpu(gpu), FaultStep::Noticed);
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let broken = self.world.jobs.slot(slot).tasks[task as usize].broken;
            if broken.0 & failed.0 != 0 {
                self.drop_task((slot, task), node, TaskEnd::GpuLost);
            }
        }
        self.world.unback(node, failed);
        let state = &mut self.world.cluster.nodes[node.index()];
        state.health.seen.0 |= failed.0;
        let all = out_of_service(failed, state.free.sharing);
        state.free.take(all, 0, 0);
        self.world.touch(node);
        self.inboxes.node(node, Component::Engine);
    }

    /// A maintenance window opens: what still runs is ended, and what it had not saved is lost.
    fn window_opens(&mut self, node: NodeId, what: FaultKind) {
        self.note_fault(node, what, FaultStep::Opened);
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let job = self.world.jobs.slot(slot);
            let unit = job.unit_of(task as usize);
            if job.tasks[task as usize].has_progress() {
                self.stop_unit(slot, unit, Unsaved::Lost);
            }
            self.drop_task((slot, task), node, TaskEnd::Drained);
        }
    }

    /// A task is lost with its place: over, or pending again if it was only promised it.
    fn drop_task(&mut self, (slot, task): OnNode, node: NodeId, end: TaskEnd) {
        let place = task as usize;
        if self.world.jobs.slot(slot).tasks[place].state == TaskState::Reserved {
            self.unreserve(slot, place, Component::Engine);
            self.world.jobs.slot_mut(slot).tasks[place].leave_wreck();
            self.refuse(slot, place, Some(node), Refusal::BindFailed);
        } else {
            self.end_task(slot, place, end, Component::Engine);
        }
        self.relist(slot);
    }

    /// A fault is over. If nobody had noticed it, its end tells.
    pub(super) fn fault_ends(&mut self, node: NodeId, ailment: u32) {
        let Some((what, _)) = self.world.cluster.node(node).health.find(ailment) else {
            // The node was replaced or switched off meanwhile.
            return;
        };
        if what == FaultKind::Node
            && let Some(at) = self.driver_retry(node, Install::Repair)
        {
            self.schedule(at, Phase::Repairs, Ev::Repair { node, ailment });
            return;
        }
        match what {
            FaultKind::Node => self.node_noticed(node),
            FaultKind::Gpu(gpu) => self.gpu_noticed(node, gpu),
            _ => {}
        }
        let state = &mut self.world.cluster.nodes[node.index()];
        state.health.end(ailment);
        match what {
            FaultKind::Node => {
                state.failed = false;
                state.noticed = false;
                self.world.cluster.instances.forget(node);
                self.note_node(node, NodeEvent::Repaired);
            }
            _ => self.note_fault(node, what, FaultStep::Ended),
        }
        let state = &mut self.world.cluster.nodes[node.index()];
        if let FaultKind::Gpu(gpu) = what {
            let back = DeviceSet::one(gpu.into());
            state.health.seen.0 &= !back.0;
            let all = out_of_service(back, state.free.sharing);
            state.free.give(all, 0, 0);
        }
        match what {
            FaultKind::Nvlink(_) | FaultKind::Nic(_) | FaultKind::Slow(_) => {
                self.speed_changes(node);
            }
            _ => {
                self.world.touch(node);
                self.inboxes.node(node, Component::Engine);
            }
        }
    }

    /// When a starting node's driver is tried again, if it does not come up now.
    pub(super) fn driver_retry(&mut self, node: NodeId, why: Install) -> Option<SimTime> {
        let site = self.site(node);
        let driver = self.settings[site.pool.index()].driver?;
        let tries = &mut self.world.cluster.nodes[node.index()].health.installs[why as usize];
        let n = *tries;
        *tries += 1;
        let wait = driver.fails(self.options.seed, site, why, n)?;
        self.note_node(node, NodeEvent::DriverFailed);
        Some(self.world.now.saturating_add(wait))
    }

    fn note_fault(&mut self, node: NodeId, what: FaultKind, step: FaultStep) {
        let pool = self.world.cluster.node(node).pool;
        self.note(EventKind::Fault {
            node,
            pool,
            what,
            step,
        });
    }
}
