//! Scheduling policies for Windtunnel.

pub mod kubernetes;
pub mod place;
pub mod registry;
pub mod testing;

mod fifo;
mod greedy;
mod table;

pub use fifo::{Fifo, Never};
pub use greedy::Greedy;
pub use kubernetes::KubeDefault;
pub use place::{BestFit, FirstFit, Placer};
pub use registry::{ParamInfo, PolicyInfo, RegistryError, known, policy};
