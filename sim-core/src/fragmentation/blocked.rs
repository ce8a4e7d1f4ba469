//! Slices of GPUs shared by MIG that nobody has and no further instance can have.

use crate::device::{Grant, NodeFree, Sharing};
use crate::job::GpuRequest;
use crate::view::{NodeView, View};

/// Slices that nobody has and no instance can have beside those that are in use, over all GPUs that
/// are shared by MIG, work, and are on nodes that take tasks.
///
/// The ledger counts memory slices, so compute slices whose memory is taken are no idle GPU time: `3g`
/// beside `3g` has all of the memory and leaves one of seven compute slices to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigBlocked {
    /// GPUs that were looked at.
    pub gpus: u64,
    /// Compute slices: of seven per GPU, or four on an A30.
    pub compute: u64,
    /// Memory slices: of eight per GPU, or four on an A30.
    pub memory: u64,
}

impl MigBlocked {
    /// Counts them: O(nodes + tasks on nodes whose GPUs are shared by MIG).
    ///
    /// ```
    /// use windtunnel_core::{MigBlocked, NodeModel, Supply, World};
    /// let supply = Supply::uniform(NodeModel::gpus_only("a100", 4), 3);
    /// let mut world = World::new(&supply)?;
    /// assert_eq!(MigBlocked::of(&world.view()), MigBlocked::default(), "no pool is shared by MIG");
    /// # Ok::<(), windtunnel_core::BuildError>(())
    /// ```
    #[must_use]
    pub fn of(view: &View<'_>) -> Self {
        let mut sum = Self::default();
        for node in view.nodes().filter(NodeView::is_open) {
            sum.add(&node);
        }
        sum
    }

    fn add(&mut self, node: &NodeView<'_>) {
        let Sharing::Mig(table) = node.sharing() else {
            return;
        };
        let mut compute = [0_u8; NodeFree::MIG_DEVICES];
        let mut count = |grant: Grant, gpus: GpuRequest| {
            if grant.milli_each > 0 {
                for device in grant.devices.iter() {
                    compute[device] += table.profile(gpus).compute;
                }
            }
        };
        for task in node.tasks() {
            count(task.grant().unwrap_or_default(), task.request().gpus);
        }
        for part in node.set_aside() {
            count(part.grant, part.amount.gpus);
        }
        let (free, failed) = (node.free(), node.failed_gpus());
        let works = |device: &usize| !failed.contains(*device);
        for device in (0..usize::from(free.devices)).filter(works) {
            let blocked = table.blocked(free.taken[device], compute[device]);
            self.gpus += 1;
            self.compute += u64::from(blocked.0);
            self.memory += u64::from(blocked.1);
        }
    }
}
