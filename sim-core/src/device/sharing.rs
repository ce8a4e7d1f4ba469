//! How the GPUs of a pool may be shared.

use super::mig::MigTable;
use crate::job::GpuRequest;
use crate::units::MILLI_PER_GPU;

/// How the GPUs of a pool may be shared. A property of the pool, on a platform.
///
/// | mode | granted on each GPU | memory | what neighbours do to each other |
/// | --- | --- | --- | --- |
/// | `Exclusive` | all of it | its own | nothing |
/// | `Fractions` | what was asked for | not looked at | what the speed model says |
/// | `Mps` | what was asked for | checked at the start | they run at once and slow each other |
/// | `TimeSliced` | one slot | checked at the start | they take turns |
/// | `Mig` | an instance | the instance's | nothing |
/// | `Unchecked` | one of 1,000 slots | checked at the start | they take turns |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// A GPU belongs to one task at a time; a fraction is granted a whole one.
    #[default]
    Exclusive,
    /// Fractions share a GPU; the grants on one never exceed a whole.
    Fractions,
    /// The same through NVIDIA's Multi-Process Service: tasks run at once and get in each other's way.
    Mps,
    /// A GPU is so many slots; a task takes one on each of its GPUs, whatever it asked for, and the
    /// tasks on one GPU take turns. Whoever is alone has the whole of it.
    TimeSliced {
        /// Slots per GPU, 1 to [`MAX_SLOTS`](Self::MAX_SLOTS).
        slots: u8,
    },
    /// A GPU is split into isolated instances, each of one of its model's profiles.
    Mig(MigTable),
    /// Nobody counts: any number of tasks may land on a GPU (1,000 slots), and they take turns.
    Unchecked,
}

impl Sharing {
    /// Most slots per GPU, as many as GKE and MPS offer.
    pub const MAX_SLOTS: u8 = 48;

    /// Thousandths granted on each device of a request: at least what was asked for, unless the pool
    /// is [over-committed](Self::overcommits).
    ///
    /// ```
    /// use windtunnel_core::{GpuRequest, MigInstance, MigTable, Sharing};
    /// let third = GpuRequest::Milli(333);
    /// assert_eq!(Sharing::Exclusive.granted_each(third), 1_000);
    /// assert_eq!(Sharing::Mps.granted_each(third), 333);
    /// assert_eq!(Sharing::Mig(MigTable::A100x80).granted_each(third), 500, "3g.40gb");
    /// let four = GpuRequest::Instance(MigInstance::FourG);
    /// assert_eq!(Sharing::Mig(MigTable::A100x80).granted_each(four), 500, "4g.40gb");
    /// assert_eq!(Sharing::TimeSliced { slots: 4 }.granted_each(GpuRequest::Whole(2)), 250, "a slot");
    /// ```
    #[must_use]
    #[inline]
    pub const fn granted_each(self, gpus: GpuRequest) -> u16 {
        match (self, gpus) {
            (_, GpuRequest::None) => 0,
            (Self::Exclusive, _) => WHOLE,
            (Self::TimeSliced { .. } | Self::Unchecked, _) => self.slot(),
            (Self::Fractions | Self::Mps, GpuRequest::Milli(milli)) => milli,
            (Self::Fractions | Self::Mps, GpuRequest::Instance(instance)) => instance.milli(),
            (Self::Mig(table), gpus) => table.granted(gpus),
            (Self::Fractions | Self::Mps, GpuRequest::Whole(_)) => WHOLE,
        }
    }

    /// Thousandths granted to a request over all its devices.
    #[must_use]
    pub const fn granted(self, gpus: GpuRequest) -> u32 {
        gpus.devices() * self.granted_each(gpus) as u32
    }

    /// Thousandths of one slot; a whole where there are none.
    const fn slot(self) -> u16 {
        match self {
            Self::TimeSliced { slots: 0 } => WHOLE,
            Self::TimeSliced { slots } => WHOLE / slots as u16,
            Self::Unchecked => 1,
            _ => WHOLE,
        }
    }

    /// Thousandths that an idle GPU has to grant: all of its slots, or a whole.
    #[must_use]
    pub const fn full_each(self) -> u16 {
        match self {
            Self::TimeSliced { slots } if slots > 0 => self.slot() * slots as u16,
            _ => WHOLE,
        }
    }

    /// Whether one task may have the whole of a GPU of which others have the whole, too: the ledger
    /// then splits what the GPU yields, and a GPU with one task on it has nothing left to charge.
    #[must_use]
    pub const fn overcommits(self) -> bool {
        matches!(self, Self::TimeSliced { .. } | Self::Unchecked)
    }

    /// Whether tasks on one GPU slow each other, whatever the speed model.
    #[must_use]
    pub const fn interferes(self) -> bool {
        matches!(self, Self::Mps) || self.overcommits()
    }

    /// Whether tasks on one GPU may take each other's memory, so that one that comes too late fails.
    #[must_use]
    pub const fn shares_memory(self) -> bool {
        self.interferes()
    }
}

/// All of a GPU.
#[expect(clippy::cast_possible_truncation, reason = "1000")]
const WHOLE: u16 = MILLI_PER_GPU as u16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_slots_fit_as_there_are() {
        for slots in 1..=Sharing::MAX_SLOTS {
            let sharing = Sharing::TimeSliced { slots };
            let each = sharing.granted_each(GpuRequest::Whole(1));
            assert_eq!(sharing.full_each() / each, u16::from(slots));
            assert_eq!(sharing.full_each() % each, 0);
        }
    }
}
