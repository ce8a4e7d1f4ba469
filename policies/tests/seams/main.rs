//! Seam proofs: each behaviour of a real scheduler that the core must be able to carry, as a small
//! scheduler of `policies::testing`, a timeline to review (`<name>.txt` beside the test;
//! `UPDATE_GOLDEN=1 cargo test` rewrites it) and the ledger worked out by hand.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod support;

mod adversaries;
mod alternate;
mod blame;
mod bundles;
mod chaos;
mod dead_unnoticed;
mod elastic;
mod fork;
mod half_gangs;
mod preemption;
mod provisioning;
mod quota;
mod retries;
mod rounds;
mod stale_view;
mod two_loops;
mod two_pools;
