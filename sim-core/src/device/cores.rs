//! Cores of one node by NUMA node, where tasks have cores of their own.

use crate::units::MilliCores;

/// Most NUMA nodes of a node that are told apart, as many as the kubelet's Topology Manager takes.
pub const MAX_NUMA: usize = 8;

/// CPU on each NUMA node of a node \[thousandths of a core\].
///
/// ```
/// use windtunnel_core::Cores;
/// let mut free = Cores([4_000, 4_000, 0, 0, 0, 0, 0, 0]);
/// let pinned = free.take(5_000, 0b10);
/// assert_eq!(pinned.0[..2], [1_000, 4_000], "the second NUMA node first, the rest from the other");
/// assert_eq!(pinned.share_on(0b10).0, 800_000);
/// free.give(&pinned);
/// assert_eq!(free.0[..2], [4_000, 4_000]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cores(pub [u32; MAX_NUMA]);

impl Cores {
    /// The cores of a node with `cpu` in all, split in proportion to what its NUMA nodes have.
    #[must_use]
    pub(crate) fn of(numa: &[MilliCores], cpu: u32) -> Self {
        let numa = &numa[..numa.len().min(MAX_NUMA)];
        let whole: u64 = numa.iter().map(|cores| u64::from(cores.0)).sum();
        let mut split = Self::default();
        let (mut before, mut given) = (0, 0);
        for (part, cores) in split.0.iter_mut().zip(numa) {
            before += u64::from(cores.0);
            // Cut at the same fractions of the whole, so that the parts sum to `cpu`.
            let upto = (u64::from(cpu) * before).checked_div(whole).unwrap_or(0);
            let upto = u32::try_from(upto).unwrap_or(u32::MAX);
            *part = upto - given;
            given = upto;
        }
        split
    }

    /// Takes `cpu`, from the NUMA nodes in the mask `first` in order, then from the others in order;
    /// less if there is less.
    pub fn take(&mut self, cpu: u32, first: u8) -> Self {
        let mut taken = Self::default();
        let mut left = cpu;
        for preferred in [true, false] {
            for numa in 0..MAX_NUMA {
                if (first >> numa & 1 == 1) == preferred {
                    let part = left.min(self.0[numa]);
                    self.0[numa] -= part;
                    taken.0[numa] += part;
                    left -= part;
                }
            }
        }
        taken
    }

    /// Gives back what was taken.
    pub fn give(&mut self, taken: &Self) {
        for (free, back) in self.0.iter_mut().zip(taken.0) {
            *free += back;
        }
    }

    /// The share of these cores that is on the NUMA nodes of a mask; all of it if there are none.
    #[must_use]
    pub fn share_on(&self, numa: u8) -> crate::Ppm {
        let sum = |mask: u8| -> u64 {
            let on = (0..MAX_NUMA).filter(|numa| mask >> numa & 1 == 1);
            on.map(|numa| u64::from(self.0[numa])).sum()
        };
        let share = (sum(numa) * u64::from(crate::units::PPM)).checked_div(sum(u8::MAX));
        crate::Ppm(share.map_or(crate::units::PPM, |ppm| {
            u32::try_from(ppm).unwrap_or(u32::MAX)
        }))
    }
}
