//! Scheduling policies for Windtunnel.

pub mod registry;

mod fifo;

pub use fifo::{Fifo, Never};
pub use registry::{ParamInfo, PolicyInfo, RegistryError, known, policy};
