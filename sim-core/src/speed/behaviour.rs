//! What a job does with the hardware it is given, as a speed model needs to know it.

use crate::units::{Bytes, Ppm};

/// How a kind of job uses its GPUs: the same for all jobs of that kind, so jobs share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Its name, for output.
    pub name: String,
    /// How busy one of its GPUs is if it has it for itself.
    pub compute_use: Ppm,
    /// How busy that GPU's memory bandwidth is.
    pub bandwidth_use: Ppm,
    /// Memory it takes of each GPU at its peak.
    pub gpu_memory: Bytes,
}

impl Behaviour {
    /// Busy all the time, and without memory to speak of.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            compute_use: Ppm::ONE,
            bandwidth_use: Ppm(0),
            gpu_memory: Bytes(0),
        }
    }
}
