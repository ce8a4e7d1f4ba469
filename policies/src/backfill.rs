//! Backfilling: later jobs start early where that delays nobody who was promised a start.

mod book;
mod easy;
mod queue;
mod reservation;

pub use easy::EasyBackfill;
