//! Laws that must hold whatever the input.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod bitset;
mod by_node;
mod chaos;
mod conservation;
mod fragmentation;
mod ledger;
mod plans;
mod queue;
mod speed;
mod topology;
mod unsteady;
