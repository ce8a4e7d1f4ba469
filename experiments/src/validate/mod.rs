//! Recorded decisions of real systems, replayed.

pub mod fgd;
