//! Nodes come and go: failures, detection, repair, renting, returning, power.

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use super::progress::Unsaved;
use crate::device::Refusal;
use crate::engine::Phase;
use crate::error::DecisionError;
use crate::ids::{NodeId, PoolId};
use crate::ledger::Ledger;
use crate::observe::{EventKind, NodeEvent};
use crate::supply::{Elastic, Tenure};
use crate::task::{TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::world::cluster::Stage;

impl Simulation {
    /// Asks for every node's first failure.
    pub(super) fn begin_faults(&mut self) {
        let seed = self.options.seed;
        for place in 0..self.world.cluster.nodes.len() {
            let node = &self.world.cluster.nodes[place];
            let stream = self.supply.faults.stream(seed, node.pool, node.ordinal);
            self.faults.push(stream);
            let id = NodeId(u32::try_from(place).expect("at most 10^7 nodes"));
            self.schedule_fault(id);
        }
    }

    fn schedule_fault(&mut self, node: NodeId) {
        let now = self.world.now;
        let Some(stream) = &mut self.faults[node.index()] else {
            return;
        };
        if let Some(fault) = stream.next(now) {
            let repair = fault.repair.max(SimDuration::from_nanos(1));
            let repair = fault.at.saturating_add(repair);
            self.schedule(
                fault.at.max(now),
                Phase::Failures,
                Ev::Fail { node, repair },
            );
        }
    }

    fn note_node(&mut self, node: NodeId, what: NodeEvent) {
        let pool = self.world.cluster.node(node).pool;
        self.note(EventKind::Node { node, pool, what });
    }

    /// A node fails, in truth: what runs there stops; nobody knows yet.
    pub(super) fn node_fails(&mut self, node: NodeId, repair: SimTime) {
        let now = self.world.now;
        // A node that is not there or already down does not fail, but its next failure is due.
        self.schedule(repair, Phase::Repairs, Ev::Repair { node });
        let state = &mut self.world.cluster.nodes[node.index()];
        if state.stage != Stage::Up || state.failed {
            return;
        }
        state.failed = true;
        self.note_node(node, NodeEvent::Failed);
        self.world.touch(node);
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let place = task as usize;
            let job = self.world.jobs.slot_mut(slot);
            let unit = job.unit_of(place);
            let entry = &mut job.tasks[place];
            entry.dead = true;
            let has_progress = entry.has_progress();
            if entry.state == TaskState::Starting
                && let Some(timer) = entry.timer.take()
            {
                self.queue.cancel(timer);
            }
            if has_progress {
                self.stop_unit(slot, unit, Unsaved::Lost);
            }
            // What it holds is the node's to book, whatever it did there.
            self.mark_unit(slot, unit);
        }
        let pool = self.world.cluster.node(node).pool;
        let delay = self.settings[pool.index()].detection_delay;
        let notice = now.saturating_add(delay);
        if notice < repair {
            self.schedule(notice, Phase::Failures, Ev::Notice { node });
        }
    }

    /// A node's failure is noticed: what is bound there is lost.
    pub(super) fn node_noticed(&mut self, node: NodeId) {
        let state = &mut self.world.cluster.nodes[node.index()];
        if !state.failed || state.noticed {
            return;
        }
        state.noticed = true;
        self.note_node(node, NodeEvent::Noticed);
        self.world.touch(node);
        self.drop_tasks(node);
        self.inboxes.node(node, Component::Engine);
    }

    /// Everything that is bound to a node is lost with it.
    fn drop_tasks(&mut self, node: NodeId) {
        for (slot, task) in self.world.cluster.node(node).tasks.clone() {
            let place = task as usize;
            if self.world.jobs.slot(slot).tasks[place].state == TaskState::Reserved {
                self.unreserve(slot, place, Component::Engine);
                self.world.jobs.slot_mut(slot).tasks[place].dead = false;
                self.refuse(slot, place, Some(node), Refusal::BindFailed);
            } else {
                self.end_task(slot, place, TaskEnd::NodeLost, Component::Engine);
            }
            self.relist(slot);
        }
    }

    /// A node is repaired. If nobody had noticed its failure, its return tells.
    pub(super) fn node_repaired(&mut self, node: NodeId) {
        self.schedule_fault(node);
        if !self.world.cluster.node(node).failed {
            return;
        }
        self.node_noticed(node);
        let state = &mut self.world.cluster.nodes[node.index()];
        state.failed = false;
        state.noticed = false;
        self.note_node(node, NodeEvent::Repaired);
        self.world.touch(node);
        self.inboxes.node(node, Component::Engine);
    }

    fn elastic(&self, pool: PoolId) -> Option<Elastic> {
        match self.supply.pools.get(pool.index())?.tenure {
            Tenure::Rented(elastic) => Some(elastic),
            Tenure::Owned { .. } => None,
        }
    }

    /// Nodes of a pool that are requested or there.
    fn present(&self, pool: PoolId) -> u32 {
        let cluster = &self.world.cluster;
        let there = cluster
            .nodes_of(pool)
            .filter(|node| cluster.node(*node).stage != Stage::Absent)
            .count();
        u32::try_from(there).unwrap_or(u32::MAX)
    }

    /// Nodes of a pool that may still be requested.
    pub(super) fn room(&self, pool: PoolId) -> u32 {
        let Some(elastic) = self.elastic(pool) else {
            return 0;
        };
        let mut room = elastic.max.saturating_sub(self.present(pool));
        for quota in self
            .supply
            .quotas
            .iter()
            .filter(|quota| quota.pools.contains(pool))
        {
            let pools = quota.pools.intersect(self.world.cluster.all_pools());
            let used: u32 = pools.iter().map(|pool| self.present(pool)).sum();
            room = room.min(quota.max_nodes.saturating_sub(used));
        }
        room
    }

    pub(super) fn grow_pool(&mut self, pool: PoolId, nodes: u32) -> Result<(), DecisionError> {
        let wanted = nodes.min(self.room(pool));
        let Some(elastic) = self.elastic(pool) else {
            return Ok(());
        };
        let cluster = &self.world.cluster;
        let absent: Vec<NodeId> = cluster
            .nodes_of(pool)
            .filter(|node| cluster.node(*node).stage == Stage::Absent)
            .take(wanted as usize)
            .collect();
        for node in absent {
            self.world.cluster.nodes[node.index()].stage = Stage::Requested;
            self.note_node(node, NodeEvent::Requested);
            self.world.touch(node);
            let at = self.world.now.saturating_add(elastic.request_delay);
            self.schedule(at, Phase::Repairs, Ev::Boot { node });
        }
        Ok(())
    }

    /// The instance of a requested node starts, and with it its payment.
    pub(super) fn node_boots(&mut self, node: NodeId) {
        let now = self.world.now;
        let pool = self.world.cluster.node(node).pool;
        self.world.cluster.nodes[node.index()].stage = Stage::Booting;
        self.world.cluster.pay(node, now);
        self.note_node(node, NodeEvent::Booting);
        self.world.touch(node);
        let boot = self
            .elastic(pool)
            .map_or(SimDuration::ZERO, |elastic| elastic.boot_delay);
        self.schedule(now.saturating_add(boot), Phase::Repairs, Ev::Ready { node });
    }

    pub(super) fn node_ready(&mut self, node: NodeId) {
        if self.world.cluster.node(node).stage != Stage::Booting {
            return;
        }
        self.world.cluster.nodes[node.index()].stage = Stage::Up;
        self.note_node(node, NodeEvent::Ready);
        self.world.touch(node);
        self.inboxes.node(node, Component::Engine);
    }

    /// An idle rented node is given back, unless the pool is at its minimum.
    pub(super) fn shrink_node(&mut self, node: NodeId) -> Result<(), DecisionError> {
        let Some(state) = self.world.cluster.nodes.get(node.index()) else {
            return Ok(());
        };
        let pool = state.pool;
        let Some(elastic) = self.elastic(pool) else {
            return Ok(());
        };
        let idle = state.stage == Stage::Up && state.tasks.is_empty() && state.holds.is_empty();
        if !idle || self.present(pool) <= elastic.min {
            return Ok(());
        }
        let now = self.world.now;
        if let Some(since) = self.world.cluster.stop_paying(node) {
            let price = self.supply.pools[pool.index()].price;
            self.ledger.bill_extra(pool, now.since(since), &price);
        }
        let state = &mut self.world.cluster.nodes[node.index()];
        state.stage = Stage::Absent;
        // A new instance has nothing to do with the old one's failure or cordon.
        (state.failed, state.noticed, state.cordoned) = (false, false, false);
        self.note_node(node, NodeEvent::Released);
        self.world.touch(node);
        self.inboxes.node(node, Component::Autoscaler);
        Ok(())
    }

    pub(super) fn cordon(&mut self, node: NodeId, closed: bool) -> Result<(), DecisionError> {
        let Some(state) = self.world.cluster.nodes.get_mut(node.index()) else {
            return Ok(());
        };
        if state.cordoned != closed {
            state.cordoned = closed;
            let what = if closed {
                NodeEvent::Cordoned
            } else {
                NodeEvent::Uncordoned
            };
            self.note_node(node, what);
            self.world.touch(node);
            self.inboxes.node(node, Component::Autoscaler);
        }
        Ok(())
    }

    /// An idle owned node is switched off: still paid, free in truth, closed to schedulers.
    pub(super) fn power_off(&mut self, node: NodeId) -> Result<(), DecisionError> {
        let Some(state) = self.world.cluster.nodes.get_mut(node.index()) else {
            return Ok(());
        };
        if state.stage == Stage::Up && state.tasks.is_empty() && state.holds.is_empty() {
            state.stage = Stage::Off;
            self.note_node(node, NodeEvent::PoweredOff);
            self.world.touch(node);
            self.inboxes.node(node, Component::Autoscaler);
        }
        Ok(())
    }

    /// A node that is off is switched on and boots for so long.
    pub(super) fn power_on(
        &mut self,
        node: NodeId,
        boot: SimDuration,
    ) -> Result<(), DecisionError> {
        let Some(state) = self.world.cluster.nodes.get_mut(node.index()) else {
            return Ok(());
        };
        if state.stage == Stage::Off {
            state.stage = Stage::Booting;
            (state.failed, state.noticed) = (false, false);
            self.note_node(node, NodeEvent::Booting);
            self.world.touch(node);
            let at = self.world.now.saturating_add(boot);
            self.schedule(at, Phase::Repairs, Ev::Ready { node });
        }
        Ok(())
    }

    /// Bills rented nodes that are still there at the end of the run.
    pub(super) fn bill_rented(&self, ledger: &mut Ledger) {
        for node in &self.world.cluster.nodes {
            if let (Some(since), Some(_)) = (node.paid_since, self.elastic(node.pool)) {
                let price = self.supply.pools[node.pool.index()].price;
                ledger.bill_extra(node.pool, self.world.now.since(since), &price);
            }
        }
    }
}
