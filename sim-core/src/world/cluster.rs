//! Nodes and pools as they are, and what each node contributes to its pool's sums.

use std::sync::Arc;

use smallvec::SmallVec;

use super::instances::Instances;
use crate::device::{Cores, DeviceSet, MAX_NUMA, NodeFree, Sharing};
use crate::fabric::Places;
use crate::ids::{HoldId, NodeId, PoolId, PoolSet};
use crate::ledger::Gauge;
use crate::reason::{REASONS, Reason};
use crate::space::PoolInfo;
use crate::supply::{Supply, Tenure};
use crate::time::SimTime;
use crate::topology::Topology;
use crate::units::{Bytes, MILLI_PER_GPU};
use crate::world::health::Health;

/// Where a node is in its life, whether or not anybody knows of its failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Not rented.
    Absent,
    /// Asked for; not paid yet.
    Requested,
    /// Paid, not usable yet.
    Booting,
    /// Usable, unless down or cordoned.
    Up,
    /// Switched off, still paid.
    Off,
}

/// Free capacity and what hinders its use, for one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Booking {
    provisioning: u32,
    down: u32,
    free: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) pool: PoolId,
    pub(crate) ordinal: u32,
    pub(crate) stage: Stage,
    /// It has failed, in truth.
    pub(crate) failed: bool,
    /// Its failure has been noticed.
    pub(crate) noticed: bool,
    pub(crate) cordoned: bool,
    /// It is about to be taken away.
    pub(crate) under_notice: bool,
    /// What else is wrong with it.
    pub(crate) health: Health,
    pub(crate) free: NodeFree,
    /// CPU free on each NUMA node, where the agent pins cores.
    pub(crate) cores: Option<Box<Cores>>,
    /// Tasks that hold something here: (job slot, task index).
    pub(crate) tasks: SmallVec<[(u32, u32); 8]>,
    /// Holds with a part here, oldest first.
    pub(crate) holds: SmallVec<[HoldId; 1]>,
    /// Since when it is paid.
    pub(crate) paid_since: Option<SimTime>,
    pub(crate) dirty: bool,
    booking: Booking,
    booked_held: SmallVec<[(Reason, u32); 1]>,
}

impl Node {
    fn new(pool: PoolId, ordinal: u32, stage: Stage, full: NodeFree) -> Self {
        Self {
            pool,
            ordinal,
            stage,
            failed: false,
            noticed: false,
            cordoned: false,
            under_notice: false,
            health: Health::default(),
            free: NodeFree {
                open: stage == Stage::Up,
                ..full
            },
            cores: None,
            tasks: SmallVec::new(),
            holds: SmallVec::new(),
            paid_since: None,
            dirty: false,
            booking: Booking::default(),
            booked_held: SmallVec::new(),
        }
    }

    /// Whether a scheduler may place tasks here, as far as anybody knows.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Up && !self.noticed && !self.is_closed()
    }

    /// Whether it takes no new tasks although it works.
    fn is_closed(&self) -> bool {
        self.cordoned || self.under_notice || self.health.draining
    }

    /// Takes cores for a task, those of the NUMA nodes in `first` before others, if cores are pinned
    /// here.
    pub(crate) fn take_cores(&mut self, cpu: u32, first: u8) -> Option<Box<Cores>> {
        self.cores
            .as_mut()
            .map(|free| Box::new(free.take(cpu, first)))
    }

    /// Gives back what [`take_cores`](Self::take_cores) took.
    pub(crate) fn give_cores(&mut self, cores: Option<Box<Cores>>) {
        if let (Some(free), Some(cores)) = (&mut self.cores, cores) {
            free.give(&cores);
        }
    }

    /// Whether it works, in truth.
    pub(crate) fn is_alive(&self) -> bool {
        self.stage == Stage::Up && !self.failed
    }

    /// Whether what is free on it could serve work, in truth: a node that is switched off could.
    pub(crate) fn is_usable(&self) -> bool {
        let there = matches!(self.stage, Stage::Up | Stage::Off);
        there && !self.failed && !self.is_closed()
    }

    /// What is free on it in truth, if it is usable: without GPUs that have failed unnoticed.
    pub(crate) fn free_in_truth(&self) -> NodeFree {
        NodeFree {
            open: true,
            ..self.free.without(self.health.gpus)
        }
    }

    /// Those of some of its GPUs that have failed, in truth.
    pub(crate) fn failed_of(&self, devices: DeviceSet) -> DeviceSet {
        DeviceSet(devices.0 & self.health.gpus.0)
    }

    /// What its capacity is booked under; `held` is what holds set aside of it, GPUs that have failed
    /// left out, and is emptied where the node's own condition comes first.
    fn booking(&self, capacity: u32, held: &mut SetAside) -> Booking {
        let mut booking = Booking::default();
        // A failed GPU is down as a whole, whoever holds it or thinks it is free.
        let failed = self.health.gpus.len() * MILLI_PER_GPU;
        let free = self.uncharged() + held.beside;
        match self.stage {
            Stage::Absent | Stage::Requested => {}
            Stage::Booting => booking.provisioning = capacity,
            _ if self.failed => booking.down = capacity,
            _ if self.is_closed() => {
                let set_aside: u32 = held.by.iter().map(|(_, milli)| milli).sum();
                booking.down = free + set_aside + failed;
            }
            _ => {
                booking.free = free;
                booking.down = failed;
                return booking;
            }
        }
        held.by.clear();
        booking
    }

    /// What nobody has of its GPUs that work, in the ledger's sense: of GPUs that are slots those on
    /// which there is nobody, as whoever is alone there has the whole.
    fn uncharged(&self) -> u32 {
        let failed = self.health.gpus;
        if self.free.sharing.overcommits() {
            return DeviceSet(self.free.idle & !failed.0).len() * MILLI_PER_GPU;
        }
        let of_failed = failed
            .iter()
            .map(|device| u32::from(self.free.left[device]));
        self.free.milli - of_failed.sum::<u32>()
    }
}

/// What holds set aside on a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetAside {
    /// By reason \[milli\].
    pub(crate) by: SmallVec<[(Reason, u32); 1]>,
    /// Of GPUs that are slots: what is left of those on which holds have slots and no task has.
    pub(crate) beside: u32,
}

/// Sums over a pool [milli-GPU].
#[derive(Clone, Debug)]
pub(crate) struct PoolTotals {
    pub(crate) provisioning: u64,
    pub(crate) down: u64,
    /// Free on working nodes that are not cordoned, beyond what holds set aside.
    pub(crate) free: u64,
    pub(crate) held: [u64; REASONS],
    /// Sum of `held`.
    pub(crate) held_sum: u64,
    /// Nodes that are paid.
    pub(crate) paid_nodes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) name: String,
    /// What plans know of it, too.
    pub(crate) info: PoolInfo,
    pub(crate) max_nodes: u32,
    /// How the parts of its nodes are connected.
    pub(crate) topology: Option<Arc<Topology>>,
    /// NUMA nodes of a node that are told apart.
    pub(crate) numa_nodes: usize,
    /// A node of the pool with nothing on it.
    pub(crate) full: NodeFree,
    /// Memory of each of its GPUs; zero if not known.
    pub(crate) gpu_memory: Bytes,
    pub(crate) totals: PoolTotals,
    /// CPU that tasks hold [core/1000], and its integral.
    pub(crate) cpu: Gauge,
    /// Whether `totals` changed since the ledger looked.
    pub(crate) changed: bool,
    /// The same for what is in them beside `free` and `held`.
    pub(crate) reshaped: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) pools: Vec<Pool>,
    /// Whether a node has ever been a straggler.
    pub(crate) ever_slow: bool,
    /// Whether some pool says how much memory its GPUs have.
    pub(crate) knows_memory: bool,
    /// Where nodes stand in the fabric.
    pub(crate) places: Arc<Places>,
    /// Whether in some pool the sharing of GPUs changes speeds, whatever the speed model.
    pub(crate) sharing_matters: bool,
    /// Whether in some pool tasks on one GPU slow each other, whatever the speed model.
    pub(crate) interferes: bool,
    /// Instances that tasks have or left behind, where pools share by MIG.
    pub(crate) instances: Instances,
    /// Nodes whose free state the plan space has not seen yet.
    pub(crate) dirty: Vec<NodeId>,
    /// Nodes whose truth differs from what is observed: dead and unnoticed, with a GPU that is, or
    /// switched off but paid. Ascending; nearly always empty.
    pub(crate) diverged: Vec<NodeId>,
    /// Whether anything the probe depends on changed since it last ran.
    pub(crate) capacity_changed: bool,
}

impl Cluster {
    pub(crate) fn new(supply: &Supply, infos: &[PoolInfo], node_pools: &[PoolId]) -> Self {
        let mut nodes = Vec::with_capacity(node_pools.len());
        let mut pools = Vec::new();
        for (spec, info) in supply.pools.iter().zip(infos) {
            let model = &spec.model;
            let full = NodeFree::empty(model.gpus, model.cpu.0, model.memory.0);
            let full = full.shared(info.sharing);
            pools.push(Pool {
                name: spec.name.clone(),
                info: *info,
                max_nodes: spec.max_nodes(),
                topology: model.topology.clone(),
                numa_nodes: 0,
                full,
                gpu_memory: match (model.gpu_memory, &model.topology) {
                    (Bytes(0), Some(topology)) => topology.gpu_memory(),
                    (known, _) => known,
                },
                totals: PoolTotals {
                    provisioning: 0,
                    down: 0,
                    free: 0,
                    held: [0; REASONS],
                    held_sum: 0,
                    paid_nodes: 0,
                },
                cpu: Gauge::default(),
                changed: true,
                reshaped: true,
            });
        }
        let mut ordinals = vec![0; pools.len()];
        for &pool in node_pools {
            let ordinal = &mut ordinals[pool.index()];
            let present = match supply.pools[pool.index()].tenure {
                Tenure::Owned { nodes } => nodes,
                Tenure::Rented(elastic) => elastic.min,
            };
            let stage = if *ordinal < present {
                Stage::Up
            } else {
                Stage::Absent
            };
            nodes.push(Node::new(pool, *ordinal, stage, pools[pool.index()].full));
            *ordinal += 1;
        }
        let has_mig = infos
            .iter()
            .any(|info| matches!(info.sharing, Sharing::Mig(_)));
        let interferes = infos.iter().any(|info| info.sharing.interferes());
        let mut cluster = Self {
            ever_slow: false,
            knows_memory: pools.iter().any(|pool| pool.gpu_memory.0 > 0),
            nodes,
            pools,
            places: Arc::new(Places::new(supply, node_pools)),
            sharing_matters: has_mig || interferes,
            interferes,
            instances: Instances::new(if has_mig { node_pools.len() } else { 0 }),
            dirty: Vec::new(),
            diverged: Vec::new(),
            capacity_changed: true,
        };
        for place in 0..cluster.nodes.len() {
            let node = NodeId(u32::try_from(place).expect("at most 10^7 nodes"));
            if cluster.nodes[place].stage == Stage::Up {
                cluster.pay(node, SimTime::ZERO);
            }
            cluster.touched(node, SetAside::default());
        }
        cluster
    }

    /// From now on the cores of a pool's nodes are told apart by NUMA node, as far as its model knows
    /// them. Nothing may run yet.
    pub(crate) fn pin_cores(&mut self, pool: PoolId) {
        let entry = &mut self.pools[pool.index()];
        let Some(topology) = &entry.topology else {
            return;
        };
        let full = Cores::of(topology.cores(), entry.full.cpu);
        entry.numa_nodes = topology.cores().len().min(MAX_NUMA);
        for node in self.nodes.iter_mut().filter(|node| node.pool == pool) {
            node.cores = Some(Box::new(full));
        }
    }

    pub(crate) fn all_pools(&self) -> PoolSet {
        (0..self.pools.len())
            .filter_map(|p| u8::try_from(p).ok())
            .map(PoolId)
            .collect()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Nodes of a pool, by id.
    pub(crate) fn nodes_of(&self, pool: PoolId) -> impl Iterator<Item = NodeId> + use<'_> {
        let info = &self.pools[pool.index()].info;
        (info.first..info.end)
            .map(NodeId)
            .filter(move |node| self.node(*node).pool == pool)
    }

    /// CPU time that tasks have held so far, over all pools [core/1000 × ns].
    pub(crate) fn cpu_held(&self, now: SimTime) -> u128 {
        let held = |pool: &Pool| {
            let mut gauge = pool.cpu;
            gauge.flush(now);
            gauge.sum()
        };
        self.pools.iter().map(held).sum()
    }

    /// Payment for a node begins.
    pub(crate) fn pay(&mut self, id: NodeId, now: SimTime) {
        let node = &mut self.nodes[id.index()];
        node.paid_since = Some(now);
        let pool = &mut self.pools[node.pool.index()];
        pool.totals.paid_nodes += 1;
        (pool.changed, pool.reshaped) = (true, true);
    }

    /// Payment for a node ends; returns since when it was paid.
    pub(crate) fn stop_paying(&mut self, id: NodeId) -> Option<SimTime> {
        let node = &mut self.nodes[id.index()];
        let since = node.paid_since.take()?;
        let pool = &mut self.pools[node.pool.index()];
        pool.totals.paid_nodes -= 1;
        (pool.changed, pool.reshaped) = (true, true);
        Some(since)
    }

    /// The free state of a node changed, and nothing else about it: the common case.
    pub(crate) fn freed_or_taken(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        let plain = node.stage == Stage::Up && !node.failed && !node.is_closed();
        if !plain
            || !node.health.gpus.is_empty()
            || !node.holds.is_empty()
            || !node.booked_held.is_empty()
        {
            self.touched(id, SetAside::default());
            return;
        }
        let pool = &mut self.pools[node.pool.index()];
        pool.totals.free -= u64::from(node.booking.free);
        let free = if pool.info.sharing.overcommits() {
            node.uncharged()
        } else {
            // None of its GPUs has failed.
            node.free.milli
        };
        pool.totals.free += u64::from(free);
        node.booking.free = free;
        pool.changed = true;
        self.mark_dirty(id);
    }

    #[inline]
    fn mark_dirty(&mut self, id: NodeId) {
        self.capacity_changed = true;
        let node = &mut self.nodes[id.index()];
        if !node.dirty {
            node.dirty = true;
            self.dirty.push(id);
        }
    }

    /// A node's free state, stage or holds changed: brings its contribution to its pool's sums up to
    /// date. `held` is what holds set aside on it, by reason \[milli\].
    pub(crate) fn touched(&mut self, id: NodeId, mut held: SetAside) {
        let node = &mut self.nodes[id.index()];
        let pool = &mut self.pools[node.pool.index()];
        node.free.open = node.is_open();
        let capacity = u32::from(pool.full.devices) * MILLI_PER_GPU;
        let booking = node.booking(capacity, &mut held);
        let held = held.by;
        let totals = &mut pool.totals;
        if booking != node.booking {
            totals.provisioning += u64::from(booking.provisioning);
            totals.provisioning -= u64::from(node.booking.provisioning);
            totals.down += u64::from(booking.down);
            totals.down -= u64::from(node.booking.down);
            totals.free += u64::from(booking.free);
            totals.free -= u64::from(node.booking.free);
            node.booking = booking;
            (pool.changed, pool.reshaped) = (true, true);
        }
        if held != node.booked_held {
            for (why, milli) in &held {
                totals.held[why.index()] += u64::from(*milli);
                totals.held_sum += u64::from(*milli);
            }
            for (why, milli) in &node.booked_held {
                totals.held[why.index()] -= u64::from(*milli);
                totals.held_sum -= u64::from(*milli);
            }
            node.booked_held = held;
            pool.changed = true;
        }
        let unseen = (node.failed && !node.noticed) || node.health.gpus != node.health.seen;
        let diverges = (unseen && node.stage == Stage::Up) || node.stage == Stage::Off;
        if diverges || !self.diverged.is_empty() {
            match (self.diverged.binary_search(&id), diverges) {
                (Err(place), true) => self.diverged.insert(place, id),
                (Ok(place), false) => {
                    self.diverged.remove(place);
                }
                _ => {}
            }
        }
        self.mark_dirty(id);
    }
}
