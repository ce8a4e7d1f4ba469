//! `arbitrary`: any free devices, as a countable resource without preferred allocation gives.

use crate::device::{
    Choice, DeviceChooser, DeviceRequest, DeviceSet, NodeState, Refusal, count_only,
};
use crate::hash::finalize;
use crate::units::MILLI_PER_GPU;

/// Any free devices: the kubelet takes them from an unordered set when no plugin prefers some.
///
/// # Decision rule
/// Whole GPUs: a subset of the free ones, each equally likely, drawn by the task's key, so it is the
/// same in every run and whatever happened before. Fractions: as [`CountOnly`](crate::CountOnly).
///
/// ```
/// use windtunnel_core::{Arbitrary, DeviceChooser, DeviceRequest, GpuRequest, NodeFree, NodeState};
/// let node = NodeFree::empty(8, 0, 0);
/// let mut want = DeviceRequest::new(GpuRequest::Whole(2), 1_000);
/// let mut seen = std::collections::BTreeSet::new();
/// for key in 0..1_000 {
///     want.key = key;
///     seen.insert(Arbitrary.choose(&NodeState::plain(&node), want)?.devices);
/// }
/// assert_eq!(seen.len(), 28, "every pair of eight");
/// # Ok::<(), windtunnel_core::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Arbitrary;

impl DeviceChooser for Arbitrary {
    fn choose(&mut self, node: &NodeState<'_>, want: DeviceRequest) -> Result<Choice, Refusal> {
        if u32::from(want.milli_each) < MILLI_PER_GPU {
            return count_only(node.free, want)
                .map(Choice::from)
                .ok_or(Refusal::Devices);
        }
        let mut free: smallvec::SmallVec<[usize; 16]> = node.able(want.milli_each).iter().collect();
        let count = want.gpus.devices() as usize;
        if free.len() < count {
            return Err(Refusal::Devices);
        }
        let mut state = want.key;
        let mut chosen = DeviceSet::EMPTY;
        for _ in 0..count {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            // At most 16 devices: the bias of the remainder is below 10⁻¹⁸.
            let draw = finalize(state) % free.len() as u64;
            let device = free.swap_remove(usize::try_from(draw).unwrap_or(0));
            chosen.0 |= 1 << device;
        }
        Ok(chosen.into())
    }
}
