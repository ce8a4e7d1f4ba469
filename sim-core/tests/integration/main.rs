//! Integration tests of the core, one module per theme.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod agents;
mod boxes;
mod digests;
mod fault_models;
mod faults;
mod instances;
mod levels;
mod mig;
mod neighbours;
mod oracles;
mod plans;
mod regressions;
mod seams;
mod shared_gpus;
mod speed;
mod support;
mod topology;
mod worked_examples;
