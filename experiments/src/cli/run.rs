//! `windtunnel run`: one platform, one seed, its figures.

use std::path::Path;

use windtunnel::compare::ranked;
use windtunnel::core::{Bucket, Outcome, Reason, Report};
use windtunnel::{Comparison, ExperimentError, RunResult, Scenario};

use super::Verdict;
use super::args::Run;
use super::bars::bars;
use super::compare::{files, header};
use super::notes::notes;
use super::page::{self, print};
use super::session::{self, Wishes};
use super::words::{count, dollars, rounded, things, time};

/// Reasons of waiting that are shown.
const REASONS_SHOWN: usize = 3;

pub(super) fn command(options: &Run) -> Result<Verdict, ExperimentError> {
    let mut scenario = Scenario::named(&options.scenario)?;
    let platform = match &options.platform {
        Some(name) => scenario.platform_named(name)?,
        None if scenario.platforms.len() == 1 => 0,
        None => {
            let names: Vec<&str> = scenario.platforms.iter().map(|p| &*p.name).collect();
            return Err(ExperimentError::Setting {
                what: "which platform? --platform NAME".to_owned(),
                hint: format!("the scenario has {}", names.join(", ")),
            });
        }
    };
    scenario.platforms = vec![scenario.platforms.swap_remove(platform)];
    scenario.run.seeds = vec![options.seed.unwrap_or(scenario.run.seeds[0])];
    let wishes = Wishes {
        out: options.out.as_deref(),
        jobs: !options.no_jobs,
        threads: 1,
    };
    let comparison = session::run(scenario, wishes)
        .map_err(|error| error.located(Path::new(&options.scenario)))?;
    let mut out = text(&comparison);
    if let Some(folder) = &options.out {
        files(&mut out, folder, !options.no_jobs, &comparison);
    }
    print(&out);
    Ok(Verdict::Fine)
}

fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    header(&mut out, comparison);
    let run = &comparison.runs[0];
    let platform = &comparison.scenario.platforms[0];
    let seed = comparison.scenario.run.seeds[0];
    let report = &run.report;
    out += &format!("\n  platform   {}: {}\n", platform.name, platform.policy);
    out += &format!("  seed       {seed}, digest {}\n", report.digest);
    page::hanging(&mut out, "  jobs       ", &jobs(report), 13);
    let wait = |q| {
        report
            .summary
            .wait
            .quantile(q)
            .map_or("-".to_owned(), |w| time(w.as_secs_f64()))
    };
    out += &format!(
        "  wait       p50 {}, p95 {}, p99 {}\n",
        wait(0.5),
        wait(0.95),
        wait(0.99)
    );
    page::hanging(&mut out, "  because    ", &reasons(run), 13);
    let share =
        |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
    let (allocated, utilized) = (
        share(report.gpu_allocation()),
        share(report.gpu_utilization()),
    );
    let without_gpus = comparison.scenario.gpu_count() == 0;
    if without_gpus {
        let allocated = share(report.cpu_allocation());
        out += &format!("  cores      allocated {allocated}\n");
    } else {
        out += &format!("  GPUs       allocated {allocated}, utilized {utilized}\n");
    }
    if let Some(ledger) = &report.ledger {
        let total = ledger.total_cost();
        let per_hour = report.cost_per_useful_gpu_hour();
        out += &match per_hour.filter(|_| total.0 > 0) {
            Some(cost) => {
                let total = dollars(total);
                format!("  cost       $ {cost:.2} per useful GPU-hour, {total} in all\n")
            }
            None if total.0 > 0 && without_gpus => format!("  cost       {}\n", dollars(total)),
            None if total.0 > 0 => format!("  cost       {} for nothing useful\n", dollars(total)),
            None if without_gpus => String::new(),
            None => format!("  goodput    {}\n", share(report.goodput())),
        };
    }
    notes(&mut out, comparison);
    if without_gpus {
        return out;
    }
    out.push('\n');
    bars(&mut out, comparison, &ranked(comparison));
    if let Some(ledger) = &report.ledger {
        for bucket in Bucket::ALL
            .into_iter()
            .rev()
            .filter(|bucket| ledger.amount(*bucket) > 0)
        {
            let hours = ledger.gpu_hours(bucket);
            let hours = if hours < 9.95 {
                format!("{hours:.1}")
            } else {
                rounded(hours)
            };
            let cost = dollars(ledger.cost(bucket));
            out += &format!("  {bucket:24} {hours:>14} GPU-hours {cost:>18}\n");
        }
    }
    out
}

fn jobs(report: &Report) -> String {
    let summary = &report.summary;
    let mut parts = vec![format!("{} submitted", count(summary.submitted))];
    for (outcome, word) in [
        (Outcome::Completed, "completed"),
        (Outcome::Failed, "failed by themselves"),
        (Outcome::Cancelled, "cancelled by their users"),
        (Outcome::TimedOut, "killed at their limit"),
        (Outcome::Rejected, "rejected"),
        (Outcome::Killed, "given up"),
    ] {
        let number = summary.count(outcome);
        if number > 0 {
            parts.push(format!("{} {word}", count(number)));
        }
    }
    if summary.unfinished > 0 {
        parts.push(format!("{} unfinished", count(summary.unfinished)));
    }
    parts.join(", ")
}

/// What jobs waited for longest in sum.
fn reasons(run: &RunResult) -> String {
    let waits = &run.waits;
    let mut reasons: Vec<Reason> = Reason::ALL.into_iter().collect();
    reasons.retain(|reason| waits.nanos[reason.index()] > 0);
    reasons.sort_by_key(|reason| (std::cmp::Reverse(waits.nanos[reason.index()]), *reason));
    let describe = |reason: &Reason| {
        let (jobs, nanos) = (waits.jobs[reason.index()], waits.nanos[reason.index()]);
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        let each = nanos as f64 / 1e9 / jobs as f64;
        let jobs = things(&count(jobs), "job");
        format!("{reason} ({jobs}, {} each)", time(each))
    };
    let shown: Vec<String> = reasons.iter().take(REASONS_SHOWN).map(describe).collect();
    if shown.is_empty() {
        "nobody waited".to_owned()
    } else {
        shown.join(", ")
    }
}
