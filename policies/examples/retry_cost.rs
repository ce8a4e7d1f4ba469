//! What it costs to ask again: thousands of jobs wait that cannot start, and small ones come and go.
//!
//! `cargo run --release -p windtunnel-policies --example retry_cost`
//!
//! Names of policies may be given as arguments. Every end of a small job is an event on which Kubernetes tries every waiting pod again; the greedy
//! policies skip whole shapes. Wall-clock time, so the numbers differ from run to run.
#![allow(
    clippy::disallowed_methods,
    reason = "measures wall-clock time; nothing simulated depends on it"
)]

use std::time::Instant;

use windtunnel_core::{
    JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest,
};
use windtunnel_policies::{known, policy};

/// Ends of small jobs in the shorter run; the longer has twice as many.
const EVENTS: u64 = 1_000;

/// Two nodes of 8 GPUs; a job of 4 holds half of each for good, and single-GPU jobs follow one another
/// on the rest. `waiting` jobs of 5 to 8 GPUs and a few shapes never find a node.
fn jobs(waiting: u64, events: u64) -> Vec<JobSpec> {
    let forever = SimDuration::from_days(300);
    let job =
        |submit, gpus, run| JobSpec::new(SimTime::from_secs(submit), TaskRequest::gpus(gpus), run);
    let mut jobs = vec![job(0, 4, forever).tasks(2)];
    let crowd = (0..waiting).map(|n| {
        let gpus = 5 + u16::try_from(n % 4).unwrap_or(0);
        job(0, gpus, forever).tasks(1 + u32::try_from(n % 2).unwrap_or(0))
    });
    jobs.extend(crowd);
    // Submitted as the one before ends, so that each instant is one event.
    jobs.extend((0..events).map(|n| job(1 + n, 1, SimDuration::from_secs(1))));
    jobs
}

fn run(name: &str, waiting: u64, events: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 2);
    let options = RunOptions::default().horizon(SimDuration::from_secs(2 * EVENTS + 10));
    let simulation = Simulation::new(
        supply,
        JobList::new(jobs(waiting, events)),
        policy(name)?,
        options,
    )?;
    let start = Instant::now();
    simulation.run()?;
    Ok(start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "policy                        waiting jobs   us per event   ns per event and waiting job"
    );
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = known().iter().map(|info| info.name.to_owned()).collect();
        names.push("kube-default{version=1.20}".to_owned());
    }
    for name in &names {
        for waiting in [1_000, 10_000, 100_000] {
            // The difference of two runs leaves out what submitting the crowd costs.
            let more = run(name, waiting, 2 * EVENTS)? - run(name, waiting, EVENTS)?;
            let event = 1e6 * more / EVENTS as f64;
            let each = 1e3 * event / waiting as f64;
            println!("{name:<30}{waiting:>12}{event:>15.1}{each:>31.2}");
        }
    }
    Ok(())
}
