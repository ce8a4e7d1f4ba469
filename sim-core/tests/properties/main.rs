//! Laws that must hold whatever the input.

mod bitset;
mod chaos;
mod ledger;
mod queue;
