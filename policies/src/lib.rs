//! Scheduling policies for Windtunnel.

pub mod registry;
pub mod testing;

mod fifo;

pub use fifo::{Fifo, Never};
pub use registry::{ParamInfo, PolicyInfo, RegistryError, known, policy};
