//! Laws that must hold whatever the input.

mod bitset;
mod queue;
