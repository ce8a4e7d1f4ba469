//! Laws that must hold whatever the input.

mod bitset;
mod chaos;
mod conservation;
mod ledger;
mod plans;
mod queue;
