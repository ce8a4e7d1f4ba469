//! The program and the library, from outside.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of #[test] functions"
)]

mod bad_input;
mod bad_scenario;
mod behaviours;
mod buckets;
mod claims;
mod diff;
mod explain;
mod faults;
mod fgd;
mod files;
mod fragmentation;
mod golden;
mod hardware;
mod library;
mod logs;
mod mig;
mod notes;
mod openb;
mod own;
mod pollux;
mod says;
mod support;
mod validate;
