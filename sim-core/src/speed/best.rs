//! The best placement of a size: what a unit's speed is held against.

use std::sync::{Arc, PoisonError, RwLock};

use super::behaviour::{Behaviour, Traffic};
use super::links;
use super::sensitivity::Reach;
use super::situation::Situation;
use super::step::{Pipe, Spread};
use crate::device::DeviceSet;
use crate::fabric::{Fabric, Level};
use crate::hash::LookupMap;
use crate::ids::PoolId;
use crate::supply::Supply;
use crate::topology::Topology;
use crate::units::PPM;

/// Entries beyond which nothing is remembered: behaviours are meant to be shared.
const MOST_KNOWN: usize = 1 << 16;

/// What the nodes of one pool are like.
#[derive(Clone, Debug)]
struct Site {
    gpu_model: String,
    gpus: u32,
    nodes: u32,
    topology: Option<Arc<Topology>>,
}

/// A size of a kind of job on a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Where the behaviour lies; it is kept, so that nothing else ever lies there.
    behaviour: usize,
    pool: PoolId,
    gpus: u32,
    gpus_each: u32,
}

/// What is known of a size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// What the best placement costs, see [`cost`].
    pub(super) cost: f64,
    /// Speed of the pool's GPUs over the reference.
    pub(super) gpu_speed: f64,
}

#[derive(Debug, Default)]
struct Known {
    best: LookupMap<Key, Best>,
    kept: Vec<Arc<Behaviour>>,
}

/// The best placements of a supply, found when first asked for.
///
/// Answers are pure functions of the supply, so that what is remembered, and when, changes nothing.
#[derive(Debug, Default)]
pub(super) struct BestPlacements {
    sites: Vec<Site>,
    /// As the supply's, with RDMA: what a platform leaves switched off, its jobs wait for.
    fabric: Fabric,
    known: RwLock<Known>,
}

/// What a placement costs: seconds of a step, or one over what is left of the speed. Only the ratio of
/// two costs means something.
pub(super) fn cost(behaviour: &Behaviour, on: &Situation, gpu_speed: f64) -> f64 {
    match &behaviour.traffic {
        Traffic::None => 1.0,
        Traffic::Step(step) => step.seconds(&on.spread, gpu_speed),
        Traffic::Loss(loss) => 1.0 / loss.left(on.reach),
    }
}

impl BestPlacements {
    pub(super) fn new(supply: &Supply) -> Self {
        let site = |pool: &crate::supply::PoolSpec| Site {
            gpu_model: pool.model.gpu_model.clone(),
            gpus: u32::from(pool.model.gpus),
            nodes: pool.max_nodes(),
            topology: pool.model.topology.clone(),
        };
        Self {
            sites: supply.pools.iter().map(site).collect(),
            fabric: Fabric {
                rdma: true,
                ..supply.fabric
            },
            known: RwLock::default(),
        }
    }

    /// What is known of a size: one load once it has been asked for, O(pools × GPUs per node) before.
    pub(super) fn of(
        &self,
        behaviour: &Arc<Behaviour>,
        pool: PoolId,
        gpus: u32,
        gpus_each: u32,
    ) -> Best {
        let key = Key {
            behaviour: Arc::as_ptr(behaviour).addr(),
            pool,
            gpus,
            gpus_each,
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(best) = known.best.get(&key) {
            return *best;
        }
        drop(known);
        let best = self.find(behaviour, pool, gpus, gpus_each.max(1));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.best.len() < MOST_KNOWN {
            if !known
                .kept
                .iter()
                .rev()
                .any(|kept| Arc::ptr_eq(kept, behaviour))
            {
                known.kept.push(Arc::clone(behaviour));
            }
            known.best.insert(key, best);
        }
        best
    }

    fn find(&self, behaviour: &Behaviour, pool: PoolId, gpus: u32, gpus_each: u32) -> Best {
        let Some(site) = self.sites.get(pool.index()) else {
            return Best {
                cost: 1.0,
                gpu_speed: 1.0,
            };
        };
        let gpu_speed = f64::from(behaviour.speed_on(&site.gpu_model)) / f64::from(PPM);
        // The best on that GPU model, whatever the box: pools of which links are known are held against
        // each other.
        let known = site.topology.is_some();
        let alike = self
            .sites
            .iter()
            .filter(|other| known && other.topology.is_some() && other.gpu_model == site.gpu_model);
        let sites = alike.chain(Some(site).filter(|_| !known));
        let costs = sites.flat_map(|site| {
            site.layouts(gpus, gpus_each).map(|(wide, nodes)| {
                let there = site.situation(&self.fabric, gpus, wide, nodes);
                cost(behaviour, &there, gpu_speed)
            })
        });
        Best {
            cost: costs.fold(f64::INFINITY, f64::min),
            gpu_speed,
        }
    }
}

impl Site {
    /// Even layouts: GPUs on a node and the nodes that takes, from one task on each node to as many as
    /// it holds, as far as the pool has the nodes; the densest always.
    fn layouts(&self, gpus: u32, gpus_each: u32) -> impl Iterator<Item = (u32, u32)> {
        let dense = (self.gpus / gpus_each)
            .max(1)
            .min(gpus.div_ceil(gpus_each).max(1));
        let nodes = self.nodes;
        (1..=dense).filter_map(move |tasks| {
            let wide = (tasks * gpus_each).min(gpus.max(1));
            let count = gpus.div_ceil(wide).max(1);
            (count <= nodes || tasks == dense).then_some((wide, count))
        })
    }

    /// What an even layout means for traffic, with nobody beside it.
    fn situation(&self, fabric: &Fabric, gpus: u32, wide: u32, nodes: u32) -> Situation {
        let mut spread = Spread {
            gpus,
            islands: nodes,
            widest: wide,
            inside: Pipe::UNKNOWN,
            outside: Pipe::UNKNOWN,
        };
        let mut reach = Reach::Linked;
        if let Some(topology) = &self.topology {
            let set = topology.best_subset(topology.all(), wide.min(u32::from(topology.gpus())));
            let set = set.unwrap_or(DeviceSet::EMPTY);
            spread.inside = links::inside(topology, set);
            reach = links::reach(topology, set);
            let domain = topology.nvlink_domain_nodes().max(1);
            spread.islands = nodes.div_ceil(domain);
            spread.widest = wide * nodes.min(domain);
            if nodes > 1 && domain > 1 {
                spread.inside = links::slower(spread.inside, links::domain(topology));
            }
            let card = links::outside(topology, fabric, set, &[]);
            spread.outside = links::times(card, nodes.min(domain));
        }
        if spread.islands > 1 {
            let level = level_of(fabric, nodes);
            spread.outside = links::through(fabric, level, spread.outside);
            reach = Reach::of(level);
        }
        Situation { spread, reach }
    }
}

/// The lowest level that holds so many nodes of one pool, if they stand next to each other.
fn level_of(fabric: &Fabric, nodes: u32) -> Option<Level> {
    let rack = fabric.nodes_per_rack;
    if rack == 0 || nodes <= rack {
        return Some(Level::Rack);
    }
    let pod = fabric.racks_per_pod;
    (pod == 0 || nodes <= rack.saturating_mul(pod)).then_some(Level::Pod)
}
