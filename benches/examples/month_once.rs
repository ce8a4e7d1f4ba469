//! Runs a month of a large cluster once, for profilers and memory: `month_once [JOBS] [NODES] [FEATURES]`.
//!
//! Faults, topology and shared GPUs are on, unless a third argument says `plain`; `hourly` has jobs asked
//! for their speed twice an hour besides.

use std::time::Instant;

use windtunnel_benches::month::{Features, Month};

fn main() {
    let mut args = std::env::args().skip(1);
    let jobs: u64 = args
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let nodes: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(12_500);
    let features = match args.next().as_deref() {
        Some("plain") => Features::Plain,
        Some("hourly") => Features::Hourly,
        _ => Features::Everything,
    };
    let simulation = windtunnel_benches::month::simulation(jobs, nodes, features);
    let begin = Instant::now();
    let report = simulation.run().expect("runs");
    let taken = begin.elapsed();
    println!(
        "{jobs} jobs of {:.2} nodes in the mean on {nodes} nodes: {:.0} jobs/s, {} done, mean wait {}, digest {}",
        Month::mean_nodes(),
        jobs as f64 / taken.as_secs_f64(),
        report.summary.completed(),
        report.summary.wait.mean().unwrap_or_default(),
        report.digest
    );
}
