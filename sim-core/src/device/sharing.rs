//! How the GPUs of a pool may be shared.

use crate::job::GpuRequest;
use crate::units::MILLI_PER_GPU;

/// How the GPUs of a pool may be shared. A property of the pool, on a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// A GPU belongs to one task at a time; a fraction is granted a whole one.
    #[default]
    Exclusive,
    /// Fractions share a GPU; the grants on one never exceed a whole.
    Fractions,
}

impl Sharing {
    /// Thousandths granted on each device of a request: at least what was asked for.
    #[must_use]
    pub const fn granted_each(self, gpus: GpuRequest) -> u16 {
        match (self, gpus) {
            (_, GpuRequest::None) => 0,
            (Self::Fractions, GpuRequest::Milli(milli)) => milli,
            #[expect(clippy::cast_possible_truncation, reason = "1000")]
            _ => MILLI_PER_GPU as u16,
        }
    }

    /// Thousandths granted to a request over all its devices.
    #[must_use]
    pub const fn granted(self, gpus: GpuRequest) -> u32 {
        gpus.devices() * self.granted_each(gpus) as u32
    }
}
