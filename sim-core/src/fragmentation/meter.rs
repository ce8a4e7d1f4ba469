//! Figures over all nodes, kept up to date by node.

use std::sync::Arc;

use super::targets::{Parts, Targets};
use crate::device::NodeFree;
use crate::view::{NodeView, View};

/// The *k* whose slots are counted.
pub const SLOTS: [u32; 4] = [1, 2, 4, 8];

/// Fragmentation at one instant; what each figure means is said in the module's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragmentation {
    /// Free GPU on nodes that take tasks [milli-GPU].
    pub idle_milli: u64,
    /// Slots of [`SLOTS`] whole GPUs.
    pub slots: [u64; SLOTS.len()],
    /// F × weight [milli-GPU].
    pub fragmented: u128,
    /// Stranded × weight [milli-GPU].
    pub stranded: u128,
    /// Weight of all targets; zero without targets, and then F and stranded are undefined.
    pub weight: u64,
}

impl Fragmentation {
    /// F [milli-GPU].
    #[must_use]
    pub fn fragmented_milli(&self) -> Option<f64> {
        self.mean(self.fragmented)
    }

    /// Idle GPU that targets can't use for want of CPU or memory [milli-GPU].
    #[must_use]
    pub fn stranded_milli(&self) -> Option<f64> {
        self.mean(self.stranded)
    }

    /// F ÷ free GPU, the fragmentation ratio; none if nothing is free.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn ratio(&self) -> Option<f64> {
        let idle = self.idle_milli as f64;
        let share = self.fragmented_milli()? / idle;
        (self.idle_milli > 0).then_some(share)
    }

    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn mean(&self, sum: u128) -> Option<f64> {
        (self.weight > 0).then(|| sum as f64 / self.weight as f64)
    }
}

/// Keeps [`Fragmentation`] up to date.
///
/// A node is measured again only if what is free on it changed: O(targets × GPUs of the node).
///
/// ```
/// use windtunnel_core::{FragmentationMeter, NodeModel, Supply, Target, Targets, TaskRequest, World};
/// let supply = Supply::uniform(NodeModel::gpus_only("t4", 4), 3);
/// let mut world = World::new(&supply)?;
/// let target = |gpus, count| Target { request: TaskRequest::gpus(gpus), count };
/// // Three in four tasks ask for one GPU, one for eight, which no node has.
/// let mut meter = FragmentationMeter::new(Targets::new(vec![target(1, 3), target(8, 1)]));
/// meter.refresh(&world.view());
/// let now = meter.now();
/// assert_eq!(now.slots, [12, 6, 3, 0]);
/// assert_eq!(now.fragmented_milli(), Some(3_000.0), "a quarter of twelve GPUs");
/// # Ok::<(), windtunnel_core::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FragmentationMeter {
    targets: Arc<Targets>,
    /// What each node contributed, and for what that was.
    nodes: Vec<Option<(NodeFree, Parts)>>,
    now: Fragmentation,
}

impl FragmentationMeter {
    /// A meter that has not seen any node.
    #[must_use]
    pub fn new(targets: impl Into<Arc<Targets>>) -> Self {
        let targets = targets.into();
        let now = Fragmentation {
            weight: targets.weight(),
            ..Fragmentation::default()
        };
        Self {
            targets,
            nodes: Vec::new(),
            now,
        }
    }

    /// Takes in one node.
    pub fn update(&mut self, node: NodeView<'_>) {
        let place = node.id().index();
        if place >= self.nodes.len() {
            self.nodes.resize(place + 1, None);
        }
        let free = node.free();
        if let Some((old, parts)) = self.nodes[place] {
            if old == *free {
                return;
            }
            self.count(&old, parts, |sum, part| sum - part);
        }
        let model = 1 << node.gpu_model().0;
        let parts = self.targets.measure(free, model, node.sharing());
        self.nodes[place] = Some((*free, parts));
        self.count(free, parts, |sum, part| sum + part);
    }

    /// Takes in all nodes: O(nodes), though only changed ones are measured.
    pub fn refresh(&mut self, view: &View<'_>) {
        for node in view.nodes() {
            self.update(node);
        }
    }

    /// The figures of all nodes as they were last taken in.
    #[must_use]
    pub const fn now(&self) -> &Fragmentation {
        &self.now
    }

    fn count(&mut self, free: &NodeFree, parts: Parts, join: impl Fn(u128, u128) -> u128) {
        if !free.open {
            return;
        }
        let small = |sum: &mut u64, part: u32| {
            let joined = join(u128::from(*sum), u128::from(part));
            *sum = u64::try_from(joined).unwrap_or(u64::MAX);
        };
        small(&mut self.now.idle_milli, free.milli);
        for (sum, k) in self.now.slots.iter_mut().zip(SLOTS) {
            small(sum, free.whole() / k);
        }
        self.now.fragmented = join(self.now.fragmented, parts.fragmented.into());
        self.now.stranded = join(self.now.stranded, parts.stranded.into());
    }
}
