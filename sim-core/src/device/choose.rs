//! Who chooses devices inside a node: the seam, and its plainest implementation.

use smallvec::SmallVec;

use super::{DeviceSet, NodeFree, Sharing};
use crate::job::GpuRequest;
use crate::topology::Topology;
use crate::units::{MILLI_PER_GPU, MilliCores};

/// What a chooser is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// GPUs or a part of one.
    pub gpus: GpuRequest,
    /// Thousandths needed on each device.
    pub milli_each: u16,
    /// CPU asked for \[thousandths of a core\].
    pub cpu: MilliCores,
    /// Different for every attempt of every task, the same in every run: what an arbitrary choice is
    /// drawn by.
    pub key: u64,
}

impl DeviceRequest {
    /// So many thousandths on each device, and no CPU.
    #[must_use]
    pub const fn new(gpus: GpuRequest, milli_each: u16) -> Self {
        Self {
            gpus,
            milli_each,
            cpu: MilliCores(0),
            key: 0,
        }
    }
}

/// One node as its agent sees it.
#[derive(Clone, Copy, Debug)]
pub struct NodeState<'a> {
    /// What is free.
    pub free: &'a NodeFree,
    /// How its parts are connected, if its model says.
    pub topology: Option<&'a Topology>,
    /// CPU free on each NUMA node \[thousandths of a core\]; empty unless the agent
    /// [pins cores](DeviceChooser::pins_cores).
    pub cores: &'a [u32],
}

impl<'a> NodeState<'a> {
    /// A node of which nothing is known but what is free.
    #[must_use]
    pub const fn plain(free: &'a NodeFree) -> Self {
        Self {
            free,
            topology: None,
            cores: &[],
        }
    }

    /// GPUs on which a request for whole ones may have a place.
    #[must_use]
    pub fn able(&self, milli_each: u16) -> DeviceSet {
        if u32::from(milli_each) == MILLI_PER_GPU {
            return DeviceSet(self.free.idle);
        }
        let able = (0..usize::from(self.free.devices)).filter(|&i| self.free.left[i] >= milli_each);
        able.fold(DeviceSet::EMPTY, |set, i| DeviceSet(set.0 | 1 << i))
    }
}

/// What a chooser answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The GPUs.
    pub devices: DeviceSet,
    /// NUMA nodes whose cores it takes first, as a bit mask; what they lack comes from the others,
    /// in order.
    pub numa: u8,
}

impl From<DeviceSet> for Choice {
    /// Cores from wherever there are some.
    fn from(devices: DeviceSet) -> Self {
        Self { devices, numa: 0 }
    }
}

/// The agent on a node said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// What was chosen is not free (any more).
    NotFree,
    /// The node takes no tasks: down, cordoned, gone.
    NodeClosed,
    /// The agent found no acceptable set of devices.
    Devices,
    /// The memory of its GPUs does not suffice beside what is there.
    OutOfMemory,
    /// The agent found devices, but not near enough to each other or to cores.
    Alignment,
    /// The binding was not confirmed in time, because the node failed meanwhile.
    BindFailed,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotFree => "what was chosen is not free",
            Self::NodeClosed => "the node takes no tasks: it is down, cordoned or gone",
            Self::Devices => "the agent found no acceptable set of devices",
            Self::OutOfMemory => "the memory of its GPUs does not suffice beside what is there",
            Self::Alignment => {
                "the agent found no devices and cores that are near enough to each other"
            }
            Self::BindFailed => "the node failed before the binding was confirmed",
        })
    }
}

/// Chooses devices inside one node, after the policy chose the node: the kubelet's or slurmd's part.
pub trait DeviceChooser: Send + ChooserClone {
    /// Which devices serve the request.
    ///
    /// The result must hold exactly the devices asked for, each with enough left; the engine checks.
    ///
    /// # Errors
    /// A refusal ends the task's attempt: Over(Refused).
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal>;

    /// Whether it gives tasks cores of their own, so that the engine must remember which.
    fn pins_cores(&self) -> bool {
        false
    }
}

/// Clones a boxed chooser; implemented for every `Clone` one.
pub trait ChooserClone {
    /// A boxed copy.
    fn clone_chooser(&self) -> Box<dyn DeviceChooser>;
}

impl<T: DeviceChooser + Clone + 'static> ChooserClone for T {
    fn clone_chooser(&self) -> Box<dyn DeviceChooser> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn DeviceChooser> {
    fn clone(&self) -> Self {
        (**self).clone_chooser()
    }
}

impl std::fmt::Debug for dyn DeviceChooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceChooser")
    }
}

/// `count-only`: what a countable resource gives. Whole GPUs: the lowest-index free ones; a fraction:
/// the device with least left that still fits, then the lowest index.
///
/// Slots of time-sliced GPUs: the GPUs with the most slots left, then the lowest index, as NVIDIA's
/// device plugin spreads its replicas. Instances (MIG): where the most placements are left over all
/// profiles and starts, then the GPU with the least left, then the lowest.
///
/// ```
/// use windtunnel_core::{
///     Choice, CountOnly, DeviceChooser, DeviceRequest, DeviceSet, GpuRequest, Grant, NodeFree, NodeState,
/// };
/// let mut node = NodeFree::empty(4, 0, 0);
/// node.take(Grant::of(DeviceSet::one(2), 400), 0, 0);
/// let node = NodeState::plain(&node);
/// let whole = DeviceRequest::new(GpuRequest::Whole(3), 1000);
/// assert_eq!(CountOnly.choose(&node, whole), Ok(DeviceSet(0b1011).into()));
/// let half = DeviceRequest::new(GpuRequest::Milli(500), 500);
/// assert_eq!(CountOnly.choose(&node, half), Ok(DeviceSet::one(2).into()), "tightest fit");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountOnly;

impl DeviceChooser for CountOnly {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        let devices = count_only(node.free, want).ok_or(Refusal::Devices)?;
        Ok(devices.into())
    }
}

/// The rule of [`CountOnly`].
#[inline]
pub(crate) fn count_only(node: &NodeFree, want: DeviceRequest) -> Option<DeviceSet> {
    match (node.sharing, want.gpus) {
        // The common case: nothing but whole GPUs.
        (Sharing::Exclusive, GpuRequest::Whole(count)) => lowest(node.idle, u32::from(count)),
        _ => of_any(node, want),
    }
}

/// So many of the lowest GPUs of a set.
#[inline]
fn lowest(idle: u16, count: u32) -> Option<DeviceSet> {
    // Drop the lowest bit so many times, and take what was dropped.
    let mut rest = idle;
    for _ in 0..count {
        rest &= rest.checked_sub(1)?;
    }
    Some(DeviceSet(idle & !rest))
}

/// [`count_only`] for any request in any mode.
fn of_any(node: &NodeFree, want: DeviceRequest) -> Option<DeviceSet> {
    let devices = usize::from(node.devices);
    if want.gpus == GpuRequest::None {
        return Some(DeviceSet::EMPTY);
    }
    if node.sharing != Sharing::Exclusive
        && let Some(chosen) = in_shared(node, want)
    {
        return chosen;
    }
    if u32::from(want.milli_each) < MILLI_PER_GPU {
        let tightest = (0..devices)
            .filter(|&i| node.left[i] >= want.milli_each)
            .min_by_key(|&i| (node.left[i], i))?;
        return Some(DeviceSet(1 << tightest));
    }
    lowest(node.idle, want.gpus.devices())
}

/// The same where GPUs are slots or instances; the outer `None` where they are neither.
#[expect(
    clippy::option_option,
    reason = "whether it applies, and whether it fits"
)]
fn in_shared(node: &NodeFree, want: DeviceRequest) -> Option<Option<DeviceSet>> {
    let devices = 0..usize::from(node.devices);
    match (node.sharing, want.gpus) {
        (Sharing::Mig(table), gpus) if gpus.is_part() => {
            let found = node.best_slices(table.profile(gpus));
            Some(found.map(|(device, _)| DeviceSet(1 << device)))
        }
        (sharing, gpus) if sharing.overcommits() => {
            let mut with_slot: SmallVec<[usize; 16]> = devices
                .filter(|&at| node.left[at] >= want.milli_each)
                .collect();
            // The device plugin spreads replicas over the GPUs; where nobody counts, everybody takes
            // the first ones.
            if sharing != Sharing::Unchecked {
                with_slot.sort_by_key(|&at| std::cmp::Reverse(node.left[at]));
            }
            let count = gpus.devices() as usize;
            let chosen = with_slot.get(..count);
            Some(chosen.map(|chosen| DeviceSet(chosen.iter().fold(0, |set, at| set | 1 << at))))
        }
        _ => None,
    }
}
