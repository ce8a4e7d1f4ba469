//! From a placement to what it means for traffic.

use smallvec::SmallVec;

use super::links;
use super::sensitivity::Reach;
use super::step::{Pipe, Spread};
use super::{Neighbours, NodePart, Placement};
use crate::fabric::Level;
use crate::ids::NodeId;
use crate::units::Ppm;

/// Where a unit runs, as its speed depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) spread: Spread,
    pub(super) reach: Reach,
}

/// What is wrong with a node: what is left of its speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Of its GPUs.
    pub(super) compute: Ppm,
    /// Of the links between them.
    pub(super) inside: Ppm,
    /// Of the links out of it.
    pub(super) outside: Ppm,
}

/// The condition of a node: stragglers and degraded links enter here, and nowhere else.
pub(super) const fn condition(_on: &Placement<'_>, _node: NodeId) -> Condition {
    Condition {
        compute: Ppm::ONE,
        inside: Ppm::ONE,
        outside: Ppm::ONE,
    }
}

/// GPUs of one NVLink domain and what leads out of it.
#[derive(Clone, Copy, Debug)]
struct Island {
    domain: u32,
    gpus: u32,
    outside: u64,
}

impl Situation {
    /// O(parts × log parts), plus O(tasks) on the nodes of a unit that spans nodes.
    pub(super) fn new(on: &Placement<'_>, beside: &Neighbours<'_>, parts: &[NodePart]) -> Self {
        match parts {
            [part] => Self::on_node(on, *part),
            _ => Self::on_nodes(on, beside, parts),
        }
    }

    fn on_node(on: &Placement<'_>, part: NodePart) -> Self {
        let gpus = part.devices.len();
        let (inside, reach) = match on.topology(part.node) {
            Some(topology) if gpus > 1 => (
                links::inside(topology, part.devices),
                links::reach(topology, part.devices),
            ),
            _ => (Pipe::UNKNOWN, Reach::Linked),
        };
        let spread = Spread {
            gpus,
            islands: 1,
            widest: gpus,
            inside: weakened(inside, condition(on, part.node).inside),
            outside: Pipe::UNKNOWN,
        };
        Self { spread, reach }
    }

    fn on_nodes(on: &Placement<'_>, beside: &Neighbours<'_>, parts: &[NodePart]) -> Self {
        let fabric = on.places().fabric();
        let mut inside = Pipe::UNKNOWN;
        let mut hop = 0;
        let mut islands: SmallVec<[Island; 4]> = SmallVec::new();
        let mut level = Some(Level::Node);
        for part in parts {
            let state = condition(on, part.node);
            let mut outside = Pipe::UNKNOWN;
            if let Some(topology) = on.topology(part.node) {
                let within = weakened(links::inside(topology, part.devices), state.inside);
                inside = links::slower(inside, within);
                if topology.nvlink_domain_nodes() > 1 {
                    let domain = weakened(links::domain(topology), state.inside);
                    inside = links::slower(inside, domain);
                }
                let others = beside.spanning(part.node);
                let out = links::outside(topology, fabric, part.devices, &others);
                outside = weakened(out, state.outside);
                hop = hop.max(out.latency);
            }
            islands.push(Island {
                domain: on.places().group(part.node, Level::Domain),
                gpus: part.devices.len(),
                outside: u64::from(outside.bandwidth),
            });
            level = wider(level, on.common_level(parts[0].node, part.node));
        }
        let islands = merged(islands);
        let narrowest = islands.iter().map(|island| island.outside).min();
        let outside = Pipe {
            bandwidth: u32::try_from(narrowest.unwrap_or(0)).unwrap_or(u32::MAX),
            latency: hop,
        };
        let spread = Spread {
            gpus: islands.iter().map(|island| island.gpus).sum(),
            islands: u32::try_from(islands.len()).unwrap_or(u32::MAX),
            widest: islands.iter().map(|island| island.gpus).max().unwrap_or(0),
            inside,
            outside: links::through(fabric, level, outside),
        };
        let reach = Reach::of(level);
        Self { spread, reach }
    }
}

/// Nodes of one domain are one island: its cards add up. Unknown cards stay so.
fn merged(mut islands: SmallVec<[Island; 4]>) -> SmallVec<[Island; 4]> {
    if islands
        .windows(2)
        .any(|pair| pair[0].domain > pair[1].domain)
    {
        islands.sort_unstable_by_key(|island| island.domain);
    }
    islands.dedup_by(|next, island| {
        let same = next.domain == island.domain;
        if same {
            island.gpus += next.gpus;
            island.outside += next.outside;
        }
        same
    });
    islands
}

/// The wider of two levels; `None` is the spine.
fn wider(a: Option<Level>, b: Option<Level>) -> Option<Level> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// What is left of a pipe.
fn weakened(pipe: Pipe, left: Ppm) -> Pipe {
    if pipe.bandwidth == u32::MAX || left == Ppm::ONE {
        return pipe;
    }
    let bandwidth = u64::from(pipe.bandwidth) * u64::from(left.0) / 1_000_000;
    Pipe {
        bandwidth: links::whole(bandwidth),
        ..pipe
    }
}
