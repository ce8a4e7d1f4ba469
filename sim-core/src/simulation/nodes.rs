//! Nodes come and go: renting, returning, cordons, power. What befalls them is in `faults.rs`.

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use crate::engine::Phase;
use crate::error::DecisionError;
use crate::fault::Install;
use crate::ids::{NodeId, PoolId};
use crate::ledger::Ledger;
use crate::observe::{EventKind, NodeEvent};
use crate::supply::{Elastic, Tenure};
use crate::time::SimDuration;
use crate::world::cluster::Stage;

impl Simulation {
    pub(super) fn note_node(&mut self, node: NodeId, what: NodeEvent) {
        let pool = self.world.cluster.node(node).pool;
        self.note(EventKind::Node { node, pool, what });
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
        self.world.cluster.instances.forget(node);
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
        if let Some(at) = self.driver_retry(node, Install::Boot) {
            self.schedule(at, Phase::Repairs, Ev::Ready { node });
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
        // A new instance has nothing to do with the old one's failures or cordon.
        (state.failed, state.noticed, state.cordoned) = (false, false, false);
        state.health.replace(&mut state.free);
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
            state.health.restart();
            self.world.cluster.instances.forget(node);
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
