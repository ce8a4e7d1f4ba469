//! Replays Venus once, for profilers and instruction counts: `venus_once NODES [REPEATS]`.

use std::time::Instant;

use windtunnel_core::{Decisions, Fit, News, Policy, Reason, RunOptions, Simulation, View};

#[derive(Clone, Debug, Default)]
struct StrictFifo;
impl Policy for StrictFifo {
    fn name(&self) -> &str {
        "strict-fifo"
    }
    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::Never | Fit::NotNow => {
                    out.waiting(job.id(), Reason::DoesNotFit);
                    out.rest(job.queue(), Reason::HeadOfLine);
                    break;
                }
            }
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(133);
    let repeats: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let ledger = args.next().is_none();
    let Some(jobs) = windtunnel_benches::venus() else {
        println!("skipped: the Venus trace is not at hand");
        return;
    };
    for _ in 0..repeats {
        let mut options = RunOptions::default();
        options.ledger = ledger;
        let begin = Instant::now();
        let simulation = Simulation::new(
            windtunnel_benches::venus_nodes(nodes),
            jobs.clone(),
            StrictFifo,
            options,
        )
        .expect("builds");
        let report = simulation.run().expect("runs");
        let spent = begin.elapsed();
        println!(
            "{nodes} nodes: {:.0} ns per job, {} jobs, mean wait {}, allocation {:.3}, digest {}",
            spent.as_nanos() as f64 / jobs.len() as f64,
            report.summary.completed(),
            report.summary.wait.mean().unwrap_or_default(),
            report.gpu_allocation().unwrap_or(0.0),
            report.digest
        );
    }
}
