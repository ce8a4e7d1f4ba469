//! Replays Venus under a policy, for profilers and instruction counts:
//! `venus_once [NODES] [REPEATS] [POLICY]`.

use std::time::Instant;

use windtunnel_core::{RunOptions, Simulation};
use windtunnel_policies::registry::policy;

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(133);
    let repeats: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let name = args.next().unwrap_or_else(|| "fifo".to_owned());
    let Some(jobs) = windtunnel_benches::venus() else {
        println!("skipped: the Venus trace is not at hand");
        return;
    };
    for _ in 0..repeats {
        let supply = windtunnel_benches::venus_nodes(nodes);
        let policy = policy(&name).expect("a policy of the registry");
        let begin = Instant::now();
        let simulation = Simulation::new(supply, jobs.clone(), policy, RunOptions::default());
        let report = simulation.expect("builds").run().expect("runs");
        println!(
            "{name} on {nodes} nodes: {} ns per job, {} jobs done, mean wait {}, digest {}",
            begin.elapsed().as_nanos() / jobs.len() as u128,
            report.summary.completed(),
            report.summary.wait.mean().unwrap_or_default(),
            report.digest
        );
    }
}
