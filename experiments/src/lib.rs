//! Windtunnel: a wind tunnel for GPU cluster schedulers.
//!
//! This crate is the outermost one: scenarios, sweeps, statistics, output files, and the
//! `windtunnel` program. It re-exports the libraries below it, so that one dependency is enough:
//! [`core`] (the engine), [`policies`] (schedulers), [`traces`] (workloads).
//!
//! ```
//! use windtunnel::{Scenario, Sweep};
//! let mut scenario = Scenario::campus();
//! scenario.run.seeds.truncate(1);
//! scenario.platforms.truncate(1);
//! let comparison = Sweep::new(scenario).run()?;
//! let report = &comparison.of_platform(0)[0].report;
//! assert!(report.gpu_allocation().is_some_and(|share| share > 0.2));
//! # Ok::<(), windtunnel::ExperimentError>(())
//! ```
//!
//! # Reproducibility
//! The same scenario, seed and release give the same bytes, at any number of threads, in debug and
//! in release builds. Only this crate starts threads, one per run, never inside one.
//!
//! # Crate features
//! - `cli` (default): the program. Without it the command-line crates are not built; nothing else
//!   changes.

mod behaviours;
pub mod compare;
pub mod diff;
mod error;
pub mod explain;
mod facts;
pub mod hardware;
mod jobs;
pub mod output;
mod samples;
mod scenario;
pub mod stats;
mod sweep;
pub mod validate;
pub mod words;

pub use windtunnel_core as core;
pub use windtunnel_policies as policies;
pub use windtunnel_traces as traces;

pub use behaviours::{Behaviours, Profile};
pub use error::ExperimentError;
pub use facts::JobFacts;
pub use jobs::{TraceRead, WorkloadSize};
pub use samples::Sample;
pub use scenario::{
    BehaviourMix, Cluster, Devices, Drawn, EMBEDDED, Embedded, FabricSpec, Faults, FillPods, Fleet,
    IN_CODE, Log, Maintenance, Oversubscription, PlatformSpec, Pool, Published, Rate, Rented,
    Repair, Run, SLOTS_PER_GPU, Saves, Scenario, SharingMode, SourceError, SpeedWord, Staff,
    Stream, Table, Week, Workload,
};
pub use sweep::{
    Comparison, Hooks, NeverFit, NoHooks, RecordSink, RunKey, RunResult, Sweep, WaitTotals,
};
