//! Work in progress.
pub mod testing;
