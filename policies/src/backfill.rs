//! Backfilling: later jobs start early where that delays nobody who was promised a start.

pub(crate) mod book;
mod calendar;
mod conservative;
mod easy;
mod profile;
pub(crate) mod queue;
mod reservation;
mod words;

pub use conservative::ConservativeBackfill;
pub use easy::EasyBackfill;
