//! From a placement to what it means for traffic.

use smallvec::SmallVec;

use super::links;
use super::sensitivity::Reach;
use super::step::{Pipe, Spread};
use super::{Limits, Neighbours, NodePart, Placement};
use crate::fabric::Level;
use crate::units::{PPM, Ppm};

/// Where a unit runs, as its speed depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) spread: Spread,
    pub(super) reach: Reach,
}

/// What a part of a card's traffic is that the host's own network takes when every card of a set is
/// down: enough to limp on, as NCCL does over the network the host is managed by (general knowledge).
const LIMPING: Ppm = Ppm(20_000);

/// What is wrong with a node, as far as some GPUs of it are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// What is left of the speed of its GPUs.
    pub(super) compute: Ppm,
    /// Whether NVLink is down on one of them, so that they talk over PCIe and between sockets.
    unlinked: bool,
    /// What is left of their network cards.
    outside: Ppm,
}

/// The condition of a node: stragglers and links that are down enter here, and nowhere else.
pub(super) fn condition(on: &Placement<'_>, part: &NodePart) -> Condition {
    let health = &on.cluster.node(part.node).health;
    let mut outside = Ppm::ONE;
    if health.links.nics != 0
        && let Some(topology) = on.topology(part.node)
    {
        let nearest = part
            .devices
            .iter()
            .flat_map(|gpu| topology.nearest_nics(gpu));
        let cards = nearest.fold(0_u64, |cards, &card| cards | 1 << card);
        let up = (cards & !u64::from(health.links.nics)).count_ones();
        let left = (up * PPM).checked_div(cards.count_ones()).unwrap_or(PPM);
        outside = Ppm(left).max(LIMPING);
    }
    Condition {
        compute: health.slow,
        unlinked: part.devices.overlaps(health.links.nvlink),
        outside,
    }
}

impl Condition {
    fn inside(&self, pipe: Pipe) -> Pipe {
        if self.unlinked {
            links::slower(pipe, links::UNLINKED)
        } else {
            pipe
        }
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
            inside: condition(on, &part).inside(inside),
            outside: Pipe::UNKNOWN,
        };
        Self { spread, reach }
    }

    fn on_nodes(on: &Placement<'_>, beside: &Neighbours<'_>, parts: &[NodePart]) -> Self {
        let mut inside = Pipe::UNKNOWN;
        let mut hop = 0;
        let mut islands: SmallVec<[Island; 4]> = SmallVec::new();
        for part in parts {
            let (within, out) = pipes(on, beside, part);
            inside = links::slower(inside, within);
            hop = hop.max(out.latency);
            islands.push(Island {
                domain: on.places().group(part.node, Level::Domain),
                gpus: part.devices.len(),
                outside: u64::from(out.bandwidth),
            });
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
            outside,
        };
        Self::across(on, spread, on.level_of(parts))
    }

    /// The same, from what nodes leave together.
    pub(super) fn within(on: &Placement<'_>, limits: &Limits<'_>) -> Self {
        let Limits { worst, footprint } = limits;
        let spread = Spread {
            gpus: footprint.gpus,
            islands: footprint.islands,
            widest: footprint.widest,
            inside: worst.inside,
            outside: worst.outside,
        };
        Self::across(on, spread, footprint.level)
    }

    /// On several nodes, less what the fabric between them takes of what leads out of them.
    fn across(on: &Placement<'_>, spread: Spread, level: Option<Level>) -> Self {
        let outside = links::through(on.places().fabric(), level, spread.outside);
        Self {
            spread: Spread { outside, ..spread },
            reach: Reach::of(level),
        }
    }
}

/// What connects a unit's GPUs on a node, and what leads out of there, for one that spans nodes.
pub(super) fn pipes(on: &Placement<'_>, beside: &Neighbours<'_>, part: &NodePart) -> (Pipe, Pipe) {
    let Some(topology) = on.topology(part.node) else {
        return (Pipe::UNKNOWN, Pipe::UNKNOWN);
    };
    let state = condition(on, part);
    let within = state.inside(links::inside(topology, part.devices));
    let mut inside = links::slower(Pipe::UNKNOWN, within);
    if topology.nvlink_domain_nodes() > 1 {
        inside = links::slower(inside, state.inside(links::domain(topology)));
    }
    let others = beside.spanning(part.node);
    let out = links::outside(topology, on.places().fabric(), part.devices, &others);
    (inside, weakened(out, state.outside))
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
