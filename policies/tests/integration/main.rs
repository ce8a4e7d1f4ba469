//! Integration tests of the policies, one module per theme.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that can't go on should stop; golden files are rewritten on request"
)]

mod adversity;
mod backfill;
mod equivalence;
mod golden;
mod levels;
mod replay;
mod support;
mod textbook;
mod venus;
