//! Fills the openb cluster once under a policy (default `best-fit`), for a profiler to watch:
//! `cargo run --release -p windtunnel-benches --example fill_once [POLICY] [TIMES]`

use windtunnel_benches::fill::{FillCase, NaiveBestFit, cpu_nanos};
use windtunnel_policies::registry::policy;

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "best-fit".to_owned());
    let times: u32 = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(5);
    let case = FillCase::new();
    for ledger in [false, true] {
        for _ in 0..times {
            let chosen = match &*name {
                "naive" => Box::<NaiveBestFit>::default(),
                name => policy(name).expect("a policy of the registry"),
            };
            let simulation = case.simulation(chosen, ledger);
            let began = cpu_nanos();
            let report = simulation.run().expect("runs");
            let spent = cpu_nanos() - began;
            let decisions = u128::from(report.summary.submitted);
            println!(
                "{name}, ledger {ledger}: {decisions} decisions, {} per CPU second, digest {}",
                decisions * 1_000_000_000 / spent.max(1),
                report.digest
            );
        }
    }
}
