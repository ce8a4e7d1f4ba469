//! Backfilling: later jobs start early where that delays nobody who was promised a start.

mod book;
mod conservative;
mod easy;
mod profile;
mod queue;
mod reservation;

pub use conservative::ConservativeBackfill;
pub use easy::EasyBackfill;
