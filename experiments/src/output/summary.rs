//! `summary.csv`: one row per platform and seed.

use std::io::{self, Write};

use windtunnel_core::{Bucket, Durations, LedgerReport, SimTime};

use super::number::{GPU_HOUR, micro, micro_gpu_hours, push_text, scaled, seconds};
use crate::sweep::{Comparison, RunResult};

/// The columns, in order; `docs/METRICS.md` defines each.
const COLUMNS: [&str; 30] = [
    "platform",
    "policy",
    "seed",
    "jobs_submitted",
    "jobs_completed",
    "makespan_s",
    "wait_mean_s",
    "wait_p50_s",
    "wait_p95_s",
    "wait_p99_s",
    "jct_mean_s",
    "jct_p50_s",
    "bounded_slowdown_mean",
    "gpu_allocation",
    "gpu_utilization",
    "goodput",
    "fragmentation",
    "preemptions",
    "lost_gpu_hours",
    "paid_gpu_hours",
    "useful_gpu_hours",
    "cost_usd",
    "cost_per_useful_gpu_hour_usd",
    "jobs_unfinished",
    "jobs_never_fit",
    "jobs_censored",
    "run_end_s",
    "digest",
    "jobs_timed_out",
    "cpu_allocation",
];

pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    for run in &comparison.runs {
        let platform = &comparison.scenario.platforms[run.key.platform];
        let seed = comparison.scenario.run.seeds[run.key.seed];
        let mut cells = Vec::with_capacity(COLUMNS.len());
        for text in [&platform.name, &platform.policy] {
            let mut cell = String::new();
            push_text(&mut cell, text);
            cells.push(cell);
        }
        cells.push(seed.to_string());
        jobs(run, &mut cells);
        gpus(run, &mut cells);
        let summary = &run.report.summary;
        cells.push(summary.unfinished.to_string());
        cells.push(summary.never_fit.to_string());
        cells.push(summary.censored.to_string());
        cells.push(seconds(Some(run.report.end.since(SimTime::ZERO))));
        cells.push(run.report.digest.to_string());
        cells.push(
            summary
                .count(windtunnel_core::Outcome::TimedOut)
                .to_string(),
        );
        let cores = run.report.ledger.as_ref();
        let cores = cores.and_then(|l| scaled(l.cpu_allocated, 1_000_000, l.cpu_paid));
        cells.push(micro(cores));
        debug_assert_eq!(cells.len(), COLUMNS.len());
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

fn jobs(run: &RunResult, cells: &mut Vec<String>) {
    let summary = &run.report.summary;
    let quantile = |durations: &Durations, q| seconds(durations.quantile(q));
    cells.push(summary.submitted.to_string());
    cells.push(summary.completed().to_string());
    cells.push(seconds(summary.makespan()));
    cells.push(seconds(summary.wait.mean()));
    cells.push(quantile(&summary.wait, 0.5));
    cells.push(quantile(&summary.wait, 0.95));
    cells.push(quantile(&summary.wait, 0.99));
    cells.push(seconds(summary.jct.mean()));
    cells.push(quantile(&summary.jct, 0.5));
    let jobs = u128::from(summary.jct.count());
    cells.push(micro(scaled(summary.bounded_slowdown_ppm, 1, jobs)));
}

fn gpus(run: &RunResult, cells: &mut Vec<String>) {
    let preemptions = run.report.summary.preemptions.to_string();
    let Some(ledger) = &run.report.ledger else {
        cells.extend((0..4).map(|_| String::new()));
        cells.push(preemptions);
        cells.extend((0..5).map(|_| String::new()));
        return;
    };
    let (paid, allocated) = (ledger.paid(), ledger.allocated());
    let share = |part, whole| micro(scaled(part, 1_000_000, whole));
    cells.push(share(allocated, paid));
    cells.push(share(busy(ledger), allocated));
    cells.push(share(ledger.amount(Bucket::AllocatedUseful), paid));
    cells.push(share(ledger.amount(Bucket::IdleFragmented), paid));
    cells.push(preemptions);
    cells.push(micro(micro_gpu_hours(ledger.amount(Bucket::AllocatedLost))));
    cells.push(micro(micro_gpu_hours(paid)));
    cells.push(micro(micro_gpu_hours(
        ledger.amount(Bucket::AllocatedUseful),
    )));
    cells.push(ledger.total_cost().to_string());
    cells.push(micro(cost_per_useful(ledger)));
}

/// What telemetry of the allocated GPUs would call busy.
fn busy(ledger: &LedgerReport) -> u128 {
    [
        Bucket::AllocatedUseful,
        Bucket::AllocatedLost,
        Bucket::AllocatedInterference,
    ]
    .into_iter()
    .map(|bucket| ledger.amount(bucket))
    .sum()
}

/// Micro-dollars per useful GPU-hour, rounded half up; `None` without useful time.
pub(crate) fn cost_per_useful(ledger: &LedgerReport) -> Option<u128> {
    let useful = ledger.amount(Bucket::AllocatedUseful);
    scaled(u128::from(ledger.total_cost().0), GPU_HOUR, useful)
}

#[cfg(test)]
mod tests {
    use super::COLUMNS;

    /// Other programs read them by name, people by place.
    #[test]
    fn every_column_is_in_the_docs() {
        let docs = include_str!("../../../docs/METRICS.md");
        for column in COLUMNS {
            assert!(
                docs.contains(&format!("| `{column}` |")),
                "{column} is not in METRICS.md"
            );
        }
    }
}
