//! The PCIe trees below the sockets, and the ways through them.

use std::cmp::Reverse;

use super::PathClass;
use super::graph::{Device, DeviceGraph, DeviceId, GraphError, LinkKind};
use super::links::Cpu;

/// A link in one direction: twice its number, and one more against the order of its ends.
pub(super) type Lane = u16;

/// A way from one device to another over PCIe and CPUs.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) lanes: Vec<Lane>,
    pub(super) class: PathClass,
    /// Whether it goes through a host bridge of an Intel CPU.
    pub(super) is_intel: bool,
}

/// For each device the link up to the socket it hangs on.
#[derive(Debug)]
pub(super) struct Tree<'g> {
    graph: &'g DeviceGraph,
    /// The device above, and the lane up to it; none for sockets and switches of NVLinks.
    up: Vec<Option<(usize, Lane)>>,
    /// For two sockets the lanes of a widest way between them.
    between: Vec<Vec<Option<Vec<Lane>>>>,
    /// The sockets; the place of one is its number in `between`.
    sockets: Vec<usize>,
    cpu: Cpu,
}

impl<'g> Tree<'g> {
    /// # Errors
    /// A device has no way to a CPU or two, or sockets have none between them.
    pub(super) fn grow(graph: &'g DeviceGraph) -> Result<Self, GraphError> {
        let count = graph.graph().node_count();
        let mut sockets = Vec::new();
        let mut cpu = Cpu::Amd;
        for (index, device) in graph.devices().enumerate() {
            if let Device::Socket { cpu: its } = device {
                sockets.push(index);
                cpu = *its;
            }
        }
        let mut tree = Self {
            graph,
            up: vec![None; count],
            between: Vec::new(),
            sockets,
            cpu,
        };
        tree.climb(count)?;
        tree.bridge()?;
        Ok(tree)
    }

    /// Walks down from the sockets; who is met has its way up.
    fn climb(&mut self, count: usize) -> Result<(), GraphError> {
        let mut below: Vec<Vec<(usize, Lane)>> = vec![Vec::new(); count];
        for (number, (a, b, link)) in self.graph.links().enumerate() {
            if matches!(link.kind, LinkKind::NvLink { .. } | LinkKind::Socket) {
                continue;
            }
            let (there, back) = lanes_of(number);
            below[a].push((b, back));
            below[b].push((a, there));
        }
        let mut met = vec![false; count];
        let mut todo = self.sockets.clone();
        for &socket in &todo {
            met[socket] = true;
        }
        while let Some(device) = todo.pop() {
            for &(next, lane) in &below[device] {
                if self.up[device].is_some_and(|(_, up)| up == lane ^ 1) {
                    continue;
                }
                let upwards = rank(self.graph.device(next)) > rank(self.graph.device(device));
                if upwards || met[next] {
                    let twice = if upwards { device } else { next };
                    return Err(GraphError::TwoWays(self.graph.name_of(twice)));
                }
                met[next] = true;
                self.up[next] = Some((device, lane));
                todo.push(next);
            }
        }
        let lost = |&index: &usize| {
            !met[index] && !matches!(self.graph.device(index), Device::NvSwitch { .. })
        };
        match (0..count).find(lost) {
            Some(index) => Err(GraphError::Unconnected(self.graph.name_of(index))),
            None => Ok(()),
        }
    }

    /// The widest ways between sockets.
    fn bridge(&mut self) -> Result<(), GraphError> {
        let place = |device| self.sockets.iter().position(|&socket| socket == device);
        let mut roads = Vec::new();
        for (number, (a, b, link)) in self.graph.links().enumerate() {
            if let (LinkKind::Socket, Some(a), Some(b)) = (link.kind, place(a), place(b)) {
                let (there, back) = lanes_of(number);
                roads.push((a, b, there, link.bandwidth));
                roads.push((b, a, back, link.bandwidth));
            }
        }
        let count = self.sockets.len();
        self.between = (0..count).map(|from| widest(count, from, &roads)).collect();
        if self.between.iter().flatten().any(Option::is_none) {
            return Err(GraphError::SocketsApart);
        }
        Ok(())
    }

    /// The devices above one, itself first, and the lanes between them.
    fn ancestors(&self, device: usize) -> (Vec<usize>, Vec<Lane>) {
        let (mut devices, mut lanes) = (vec![device], Vec::new());
        let mut here = device;
        while let Some((above, lane)) = self.up[here] {
            devices.push(above);
            lanes.push(lane);
            here = above;
        }
        (devices, lanes)
    }

    /// The NUMA node that a device hangs on.
    pub(super) fn numa(&self, device: usize) -> u8 {
        let (above, _) = self.ancestors(device);
        let numa = above
            .iter()
            .find_map(|&index| match self.graph.device(index) {
                Device::Numa { id, .. } => Some(*id),
                _ => None,
            });
        numa.unwrap_or(0)
    }

    /// Where a device stands in the trees: devices of one branch are next to each other.
    pub(super) fn place(&self, device: usize) -> Vec<usize> {
        let (mut above, _) = self.ancestors(device);
        above.reverse();
        above
    }

    /// The way from one device to another, and what `nvidia-smi` would call it.
    pub(super) fn way(&self, from: usize, to: usize) -> Way {
        let (rising, up) = self.ancestors(from);
        let (falling, down) = self.ancestors(to);
        let meet = rising
            .iter()
            .enumerate()
            .find_map(|(i, device)| Some((i, falling.iter().position(|other| other == device)?)));
        let is_across = meet.is_none();
        let (i, j) = meet.unwrap_or((rising.len() - 1, falling.len() - 1));
        let mut lanes = up[..i].to_vec();
        let mut seen: Vec<usize> = rising[..=i].to_vec();
        if is_across {
            let place = |device| self.sockets.iter().position(|&socket| socket == device);
            let sockets = place(rising[i]).zip(place(falling[j]));
            let over = sockets.and_then(|(a, b)| self.between[a][b].as_deref());
            lanes.extend_from_slice(over.unwrap_or_default());
            seen.push(falling[j]);
        }
        lanes.extend(down[..j].iter().rev().map(|lane| lane ^ 1));
        seen.extend(falling[..j].iter().rev());
        Way {
            lanes,
            class: self.class(&seen, is_across),
            is_intel: self.cpu.is_intel() && self.count(&seen, |d| *d == Device::HostBridge) > 0,
        }
    }

    fn count(&self, seen: &[usize], is_one: fn(&Device) -> bool) -> usize {
        let devices = seen.iter().map(|&index| self.graph.device(index));
        devices.filter(|device| is_one(device)).count()
    }

    /// The class of a way by the devices on it.
    fn class(&self, seen: &[usize], is_across: bool) -> PathClass {
        let numas = self.count(seen, |d| matches!(d, Device::Numa { .. }));
        let bridges = self.count(seen, |d| *d == Device::HostBridge);
        let switches = self.count(seen, |d| *d == Device::PcieSwitch);
        match (is_across, numas, bridges, switches) {
            (false, 0, 0, 0) => PathClass::Same,
            (true, ..) => PathClass::Sys,
            // NUMA nodes of one socket: nvidia-smi says SYS on AMD.
            (_, 2.., ..) if self.cpu == Cpu::Amd => PathClass::Sys,
            (_, 1.., ..) => PathClass::Node,
            (_, _, 1.., _) => PathClass::Phb,
            (.., 2..) => PathClass::Pxb,
            _ => PathClass::Pix,
        }
    }

    /// The devices at the ends of a lane: from, to.
    pub(super) fn ends(&self, lane: Lane) -> (usize, usize) {
        let ends = self.graph.links().nth(usize::from(lane / 2));
        let (a, b, _) = ends.unwrap_or_else(|| unreachable!("lanes are made from links"));
        if lane & 1 == 0 { (a, b) } else { (b, a) }
    }
}

/// A widest way from one socket to each over roads (from, to, lane, width); fewer lanes break ties.
fn widest(
    count: usize,
    from: usize,
    roads: &[(usize, usize, Lane, u32)],
) -> Vec<Option<Vec<Lane>>> {
    let mut best: Vec<Option<(u32, Vec<Lane>)>> = vec![None; count];
    best[from] = Some((u32::MAX, Vec::new()));
    let worth = |width: u32, way: &[Lane]| (width, Reverse(way.len()));
    // Every way has fewer lanes than there are sockets.
    for _ in 1..count {
        for &(start, end, lane, width) in roads {
            let Some((reached, way)) = &best[start] else {
                continue;
            };
            let (width, way) = (width.min(*reached), [&way[..], &[lane]].concat());
            let known = best[end].as_ref();
            if known.is_none_or(|(its, other)| worth(width, &way) > worth(*its, other)) {
                best[end] = Some((width, way));
            }
        }
    }
    let ways = best.into_iter();
    ways.map(|best| best.map(|(_, way)| way)).collect()
}

/// How high a device stands in a tree.
const fn rank(device: &Device) -> u8 {
    match device {
        Device::Socket { .. } => 4,
        Device::Numa { .. } => 3,
        Device::HostBridge => 2,
        Device::PcieSwitch => 1,
        Device::Gpu { .. } | Device::Nic(_) | Device::NvSwitch { .. } => 0,
    }
}

/// The lanes of a link: along its ends, and against.
fn lanes_of(number: usize) -> (Lane, Lane) {
    let first = Lane::try_from(2 * number).unwrap_or_else(|_| unreachable!("at most 4,096 links"));
    (first, first + 1)
}

/// The devices of a kind, by their numbers or in the order in which they were added.
pub(super) fn gpus(graph: &DeviceGraph) -> Vec<DeviceId> {
    let mut found: Vec<(u8, u32)> = Vec::new();
    for (place, device) in (0..).zip(graph.devices()) {
        if let Device::Gpu { index } = device {
            found.push((*index, place));
        }
    }
    found.sort_unstable();
    found
        .into_iter()
        .map(|(_, place)| DeviceId(place))
        .collect()
}
