//! How many jobs of *k* GPUs could still be placed within one NVLink domain, rack or pod.

use crate::fabric::Level;
use crate::view::{NodeView, View};

/// The *k* whose slots are counted.
pub const SIZES: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/// What a slot must not cross; nothing, for slots over the whole cluster.
pub const SPANS: [Option<Level>; 4] = [
    Some(Level::Domain),
    Some(Level::Rack),
    Some(Level::Pod),
    None,
];

/// Slots left at one instant, and how full nodes are.
///
/// With *g* the GPUs of a node, *w* those of it that are wholly free, a slot of *k* GPUs is
/// - for *k* ≤ *g*: *k* wholly free GPUs of one node, so there are Σ ⌊*w* ÷ *k*⌋, whatever it spans;
/// - for *k* > *g*: ⌈*k* ÷ *g*⌉ nodes of one pool, wholly free and in one group of the level, so there
///   are Σ over groups and pools of ⌊wholly free nodes ÷ ⌈*k* ÷ *g*⌉⌋.
///
/// Nodes that take no tasks have nothing free. CPU and memory play no part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotsLeft {
    /// By [`SPANS`], then by [`SIZES`].
    pub slots: [[u64; SIZES.len()]; SPANS.len()],
    /// GPUs of nodes that take tasks [milli-GPU]; where they are slots, what these add up to.
    pub gpu_milli: u64,
    /// What of them is not free [milli-GPU].
    pub allocated_milli: u64,
    /// Nodes with GPUs that take tasks.
    pub nodes: u64,
    /// Those of them with some GPU free, but not all.
    pub partly: u64,
}

impl SlotsLeft {
    /// Slots of `k` GPUs that do not cross a level; nothing if `k` is none of [`SIZES`], or the level
    /// none of [`SPANS`].
    #[must_use]
    pub fn of(&self, span: Option<Level>, k: u32) -> Option<u64> {
        let row = SPANS.iter().position(|known| *known == span)?;
        let column = SIZES.iter().position(|known| *known == k)?;
        Some(self.slots[row][column])
    }
}

/// What one node contributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    open: bool,
    whole: u32,
    milli: u32,
}

/// Keeps [`SlotsLeft`] up to date.
///
/// A refresh compares every node with what it was, O(nodes), and counts anew those that changed,
/// O(spans × sizes) each.
///
/// ```
/// use windtunnel_core::{Fabric, Level, NodeModel, SlotMeter, Supply, World};
/// let fabric = Fabric { nodes_per_rack: 3, ..Fabric::default() };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 6).with_fabric(fabric);
/// let mut world = World::new(&supply)?;
/// let mut meter = SlotMeter::default();
/// meter.refresh(&world.view());
/// // Two racks of three nodes: one pair of nodes in each, three pairs in all.
/// assert_eq!(meter.now().of(Some(Level::Rack), 16), Some(2));
/// assert_eq!(meter.now().of(None, 16), Some(3));
/// assert_eq!(meter.now().of(Some(Level::Rack), 4), Some(12));
/// # Ok::<(), windtunnel_core::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SlotMeter {
    nodes: Vec<Seen>,
    /// By span: wholly free nodes of each (group, pool).
    free: [Vec<u32>; SPANS.len()],
    pools: usize,
    now: SlotsLeft,
}

impl SlotMeter {
    /// Takes in all nodes.
    pub fn refresh(&mut self, view: &View<'_>) {
        if self.nodes.len() != view.node_count() {
            self.begin(view);
        }
        for place in 0..self.nodes.len() {
            let node = view.node(crate::NodeId(u32::try_from(place).unwrap_or(u32::MAX)));
            let free = node.free();
            let now = match free.open {
                true => Seen {
                    open: true,
                    whole: free.whole(),
                    milli: free.milli,
                },
                false => Seen::default(),
            };
            let was = std::mem::replace(&mut self.nodes[place], now);
            if was != now {
                self.count(view, &node, was, now);
            }
        }
    }

    /// Slots left as they were last taken in.
    #[must_use]
    pub const fn now(&self) -> &SlotsLeft {
        &self.now
    }

    fn begin(&mut self, view: &View<'_>) {
        *self = Self::default();
        self.nodes = vec![Seen::default(); view.node_count()];
        self.pools = view.pool_count();
        for (free, span) in self.free.iter_mut().zip(SPANS) {
            let groups = span.map_or(1, |level| view.places().group_count(level));
            *free = vec![0; groups as usize * self.pools];
        }
    }

    fn count(&mut self, view: &View<'_>, node: &NodeView<'_>, was: Seen, now: Seen) {
        let gpus = u32::from(node.capacity().devices);
        if gpus == 0 {
            return;
        }
        self.count_use(node.capacity().milli, was, now);
        let is_free = |seen: Seen| u32::from(seen.open && seen.whole == gpus);
        for (row, span) in SPANS.into_iter().enumerate() {
            let group = span.map_or(0, |level| view.places().group(node.id(), level));
            let cell = &mut self.free[row][group as usize * self.pools + node.pool().index()];
            let before = *cell;
            *cell = before + is_free(now) - is_free(was);
            for (slots, k) in self.now.slots[row].iter_mut().zip(SIZES) {
                let (less, more) = if k <= gpus {
                    (was.whole / k, now.whole / k)
                } else {
                    let nodes = k.div_ceil(gpus);
                    (before / nodes, *cell / nodes)
                };
                *slots = *slots + u64::from(more) - u64::from(less);
            }
        }
    }

    /// How full nodes are that have so much to grant when empty.
    fn count_use(&mut self, all: u32, was: Seen, now: Seen) {
        let parts = |seen: Seen| {
            let open = u64::from(seen.open);
            let partly = seen.open && seen.milli > 0 && seen.milli < all;
            let taken = u64::from(all - seen.milli) * open;
            [u64::from(all) * open, taken, open, u64::from(partly)]
        };
        let sums = [
            &mut self.now.gpu_milli,
            &mut self.now.allocated_milli,
            &mut self.now.nodes,
            &mut self.now.partly,
        ];
        for ((sum, less), more) in sums.into_iter().zip(parts(was)).zip(parts(now)) {
            *sum = *sum + more - less;
        }
    }
}
