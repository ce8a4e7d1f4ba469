//! What a set of GPUs can send out of its node.

use super::Topology;
use crate::device::DeviceSet;

/// The ways from the GPUs to their nearest network cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exits {
    devices: usize,
    /// Per network card: its device, and what its port carries \[MB/s\].
    cards: Vec<(usize, u32)>,
    /// Per GPU its device, its nearest cards, and the lanes to them: from, to, \[MB/s\].
    gpus: Vec<Exit>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Exit {
    device: usize,
    nearest: Vec<u8>,
    lanes: Vec<(usize, usize, u32)>,
}

impl Exits {
    pub(super) fn new(devices: usize, gpus: usize) -> Self {
        Self {
            devices,
            cards: Vec::new(),
            gpus: vec![Exit::default(); gpus],
        }
    }

    pub(super) fn card(&mut self, device: usize, bandwidth: u32) {
        self.cards.push((device, bandwidth));
    }

    pub(super) fn exit(
        &mut self,
        gpu: usize,
        device: usize,
        card: usize,
        lanes: impl Iterator<Item = (usize, usize, u32)>,
    ) {
        let exit = &mut self.gpus[gpu];
        exit.device = device;
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 cards")]
        exit.nearest.push(card as u8);
        exit.lanes.extend(lanes);
    }

    /// The greatest flow from the GPUs of a set to the network (shortest augmenting paths).
    fn flow(&self, set: DeviceSet) -> u32 {
        let (source, sink) = (self.devices, self.devices + 1);
        let mut net = Net::new(self.devices + 2);
        let mut lanes: Vec<(usize, usize, u32)> = Vec::new();
        let mut cards = 0_u64;
        for gpu in set.iter() {
            let exit = &self.gpus[gpu];
            net.arc(source, exit.device, u32::MAX);
            lanes.extend_from_slice(&exit.lanes);
            exit.nearest.iter().for_each(|&card| cards |= 1 << card);
        }
        lanes.sort_unstable();
        lanes.dedup();
        for (from, to, width) in lanes {
            net.arc(from, to, width);
        }
        for (place, &(device, width)) in self.cards.iter().enumerate() {
            if cards >> place & 1 == 1 {
                net.arc(device, sink, width);
            }
        }
        net.most(source, sink)
    }
}

/// A flow network; an arc's reverse is next to it.
struct Net {
    /// Per vertex the numbers of its arcs.
    from: Vec<Vec<usize>>,
    /// Where an arc goes, and what it can still carry.
    arcs: Vec<(usize, u32)>,
}

impl Net {
    fn new(vertices: usize) -> Self {
        Self {
            from: vec![Vec::new(); vertices],
            arcs: Vec::new(),
        }
    }

    fn arc(&mut self, from: usize, to: usize, width: u32) {
        self.from[from].push(self.arcs.len());
        self.arcs.push((to, width));
        self.from[to].push(self.arcs.len());
        self.arcs.push((from, 0));
    }

    fn most(&mut self, source: usize, sink: usize) -> u32 {
        let mut sum = 0_u32;
        while let Some(path) = self.path(source, sink) {
            let widths = path.iter().map(|&arc| self.arcs[arc].1);
            let width = widths.min().unwrap_or(0);
            for arc in path {
                self.arcs[arc].1 -= width;
                self.arcs[arc ^ 1].1 = self.arcs[arc ^ 1].1.saturating_add(width);
            }
            sum = sum.saturating_add(width);
        }
        sum
    }

    /// A shortest path along arcs that can carry more.
    fn path(&self, source: usize, sink: usize) -> Option<Vec<usize>> {
        let mut came: Vec<Option<usize>> = vec![None; self.from.len()];
        let mut queue = vec![source];
        let mut next = 0;
        while next < queue.len() && came[sink].is_none() {
            for &arc in &self.from[queue[next]] {
                let (to, left) = self.arcs[arc];
                if left > 0 && to != source && came[to].is_none() {
                    came[to] = Some(arc);
                    queue.push(to);
                }
            }
            next += 1;
        }
        let mut path = vec![came[sink]?];
        while let Some(arc) = came[self.arcs[path[path.len() - 1] ^ 1].0] {
            path.push(arc);
        }
        Some(path)
    }
}

impl Topology {
    /// What a set of GPUs can send out of the node if nobody else does, per direction \[MB/s\]; 0
    /// without network cards.
    ///
    /// Each GPU uses the cards that are nearest to it by path class, all of them; what is found is the
    /// greatest flow from the GPUs over PCIe, and over the links between sockets if the nearest card
    /// is across, to the ports. So two GPUs that share a card send as much as one, and GPUs whose card
    /// is across a socket link share that link.
    ///
    /// Cost: a load of the answer, once it is known; before, some microseconds per card.
    ///
    /// # Panics
    /// If the node does not have a GPU of the set.
    #[must_use]
    pub fn network(&self, set: DeviceSet) -> u32 {
        assert!(
            set.0 & !self.all().0 == 0,
            "the node has no such GPU: {set:?}"
        );
        if set.is_empty() || self.nics.is_empty() {
            return 0;
        }
        self.memo.network(set, self.gpus, || self.exits.flow(set))
    }

    /// The network cards nearest to a GPU by path class: places in [`nics`](Self::nics), ascending.
    ///
    /// # Panics
    /// If there is no such GPU.
    #[must_use]
    pub fn nearest_nics(&self, gpu: usize) -> &[u8] {
        &self.exits.gpus[gpu].nearest
    }
}
