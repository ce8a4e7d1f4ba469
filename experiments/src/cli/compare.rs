//! `windtunnel compare`: the answer first, then why, then where the files are, then what to ask next.

use std::path::Path;

use windtunnel::compare::{PlatformFigures, Price, ranked};
use windtunnel::core::Horizon;
use windtunnel::output::{FILES, manifest};
use windtunnel::stats::Estimate;
use windtunnel::{Comparison, ExperimentError, Faults, Repair, Scenario};

use super::Verdict;
use super::args::Compare;
use super::bars::bars;
use super::differences;
use super::notes::notes;
use super::page::{self, print};
use super::paint::Paint;
use super::session::{self, Wishes};
use super::words::{count, dollars, interval, length, percent, rounded, things, time};

/// Widest name of a platform that the table shows whole.
const NAME_MAX: usize = 20;

pub(super) fn command(options: &Compare) -> Result<Verdict, ExperimentError> {
    let mut scenario = Scenario::named(&options.scenario)?;
    if let Some(seeds) = options.seeds {
        choose_seeds(&mut scenario, seeds)?;
    }
    choose_platforms(&mut scenario, &options.platforms)?;
    let wishes = Wishes {
        out: Some(&options.out),
        jobs: !options.no_jobs,
        threads: options.threads,
    };
    let comparison = session::run(scenario, wishes)
        .map_err(|error| error.located(Path::new(&options.scenario)))?;
    let mut out = text(&comparison, Paint::of_stdout());
    files(&mut out, &options.out, !options.no_jobs, &comparison);
    next(&mut out, options, &comparison, &ranked(&comparison));
    print(&out);
    Ok(check_digests(Path::new(&options.scenario), &comparison))
}

fn choose_seeds(scenario: &mut Scenario, seeds: u64) -> Result<(), ExperimentError> {
    let have = scenario.run.seeds.len() as u64;
    if scenario.run.seeds.iter().copied().eq(1..=have) {
        scenario.run.seeds = (1..=seeds).collect();
    } else if seeds <= have {
        scenario
            .run
            .seeds
            .truncate(usize::try_from(seeds).unwrap_or(usize::MAX));
    } else {
        return Err(ExperimentError::Setting {
            what: format!("--seeds {seeds}"),
            hint: format!("the scenario lists {have} seeds"),
        });
    }
    Ok(())
}

fn choose_platforms(scenario: &mut Scenario, names: &[String]) -> Result<(), ExperimentError> {
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        scenario.platform_named(name)?;
    }
    scenario
        .platforms
        .retain(|platform| names.contains(&platform.name));
    Ok(())
}

/// A manifest that is run again by the release that made it must give the same digests.
fn check_digests(path: &Path, comparison: &Comparison) -> Verdict {
    let Some(recorded) = manifest::recorded(path) else {
        return Verdict::Fine;
    };
    if recorded.version != env!("CARGO_PKG_VERSION") {
        let (then, now) = (recorded.version, env!("CARGO_PKG_VERSION"));
        eprintln!("note: made by release {then}, run by {now}: results may differ");
        return Verdict::Fine;
    }
    let scenario = &comparison.scenario;
    let mut verdict = Verdict::Fine;
    for run in &comparison.runs {
        let platform = &scenario.platforms[run.key.platform].name;
        let seed = scenario.run.seeds[run.key.seed];
        let before = recorded
            .runs
            .iter()
            .find(|(p, s, _)| p == platform && *s == seed);
        let now = run.report.digest.to_string();
        if let Some((_, _, then)) = before.filter(|(_, _, then)| *then != now) {
            eprintln!(
                "check failed: {platform}, seed {seed}: digest {now}, the manifest has {then}"
            );
            verdict = Verdict::FellShort;
        }
    }
    verdict
}

/// Everything but the files: header, table, bars, differences.
fn text(comparison: &Comparison, paint: Paint) -> String {
    let figures = ranked(comparison);
    let mut out = String::new();
    header(&mut out, comparison);
    out.push('\n');
    table(&mut out, comparison, &figures, paint);
    notes(&mut out, comparison);
    // Both are about GPU time, of which a machine without GPUs has none.
    if comparison.scenario.gpu_count() > 0 {
        out.push('\n');
        bars(&mut out, comparison, &figures);
        differences::section(&mut out, comparison, &figures);
    }
    out
}

/// What was run, and what was assumed.
pub(super) fn header(out: &mut String, comparison: &Comparison) {
    let scenario = &comparison.scenario;
    let per_run = |sum: u64| rounded(mean(sum, comparison.runs.len()));
    let jobs = comparison
        .runs
        .iter()
        .map(|run| run.report.summary.submitted)
        .sum();
    let load = comparison
        .sizes
        .iter()
        .map(|size| size.map(|size| size.offered_load));
    let load: Option<Vec<f64>> = load.collect();
    let load = load
        .and_then(|loads| Estimate::of(&loads))
        .map(|estimate| estimate.mean);
    let mut first = things(&per_run(jobs), "job");
    if let Horizon::After(end) = scenario.run.horizon {
        first += &format!(" in {}", length(end));
    }
    if let Some(load) = load {
        first += &format!(", offered load {load:.2}");
    }
    let seeds = scenario.run.seeds.len();
    let parts = [
        first,
        format!(
            "{}, {}",
            things(&count(scenario.node_count()), "node"),
            match scenario.gpu_count() {
                0 => things(&count(scenario.core_count()), "core"),
                gpus => things(&count(gpus), "GPU"),
            }
        ),
        things(&seeds.to_string(), "seed"),
    ];
    page::parts(out, &format!("{}  ", scenario.run.name), " | ", &parts);
    let indent = " ".repeat(scenario.run.name.chars().count() + 2);
    page::parts(out, &indent, " | ", &assumptions(scenario));
}

fn assumptions(scenario: &Scenario) -> Vec<String> {
    let mut parts = Vec::new();
    for pool in &scenario.pools {
        if pool.usd_per_node_hour.0 > 0 {
            let price = dollars(pool.usd_per_node_hour);
            parts.push(format!("{} {price} per node-hour", pool.name));
        }
    }
    let cluster = scenario.cluster.as_ref();
    if let Some(price) = cluster.map(|cluster| cluster.usd_per_gpu_hour)
        && price.0 > 0
    {
        parts.push(format!("{} per GPU-hour", dollars(price)));
    }
    if scenario.staff.usd_per_gpu_hour.0 > 0 {
        parts.push(format!(
            "staff {} per GPU-hour",
            dollars(scenario.staff.usd_per_gpu_hour)
        ));
    }
    if scenario.staff.usd_per_hour.0 > 0 {
        parts.push(format!(
            "staff {} per hour",
            dollars(scenario.staff.usd_per_hour)
        ));
    }
    parts.extend(failures(&scenario.faults));
    parts.push(match scenario.run.horizon {
        Horizon::After(end) => format!("ends at {}", length(end)),
        Horizon::Drain => "ends with the last job".to_owned(),
    });
    parts
}

/// What fails how often, for the line that says what is compared.
fn failures(faults: &Faults) -> Option<String> {
    let kinds = [
        ("a node", faults.mtbf),
        ("a GPU", faults.gpu_mtbf),
        ("an NVLink", faults.nvlink_mtbf),
        ("a network card", faults.nic_mtbf),
    ];
    let told = kinds
        .iter()
        .filter_map(|(what, mean)| Some((what, (*mean)?)));
    let told: Vec<String> = told
        .map(|(what, mean)| format!("{what} fails every {}", length(mean)))
        .collect();
    let repair = match faults.repair {
        Repair::Exponential => format!("for {}", length(faults.mttr)),
        Repair::Mixture => "mostly for minutes, at times for days".to_owned(),
    };
    (!told.is_empty()).then(|| format!("{}, {repair}", told.join(", ")))
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn mean(sum: u64, runs: usize) -> f64 {
    sum as f64 / runs.max(1) as f64
}

fn table(out: &mut String, comparison: &Comparison, figures: &[PlatformFigures], paint: Paint) {
    let names = &comparison.scenario.platforms;
    let width = name_width(comparison);
    let unit = match Price::of(comparison) {
        Price::Dollars => ["cost per useful", "GPU-hour, $"],
        Price::GpuHours => ["paid per useful", "GPU-hour, h"],
    };
    // On a machine without GPUs the cores are what there is to allocate.
    let without_gpus = comparison.scenario.gpu_count() == 0;
    let above = if without_gpus {
        "cores      GPUs      wait     wait     jobs"
    } else {
        "GPUs       GPUs      wait     wait     jobs"
    };
    for (label, unit, rest) in [
        ("", unit[0], above),
        (
            "platform",
            unit[1],
            "allocated  utilized  p50      p95      done",
        ),
    ] {
        *out += &format!("  {label:width$}  {unit:>15}  {rest}\n");
    }
    let best = figures.first().map(|first| first.platform);
    for row in figures {
        let cost = format!("{:>15}", interval(row.per_useful_hour, 2));
        let cost = if Some(row.platform) == best && figures.len() > 1 {
            paint.better(&cost)
        } else if best.is_some_and(|best| differences::is_worse(comparison, row.platform, best)) {
            paint.worse(&cost)
        } else {
            cost
        };
        let wait = |wait: Option<Estimate>| wait.map_or("-".to_owned(), |wait| time(wait.mean));
        let line = format!(
            "  {:width$}  {cost}  {:<9}  {:<8}  {:<7}  {:<7}  {}",
            shortened(&names[row.platform].name),
            percent(if without_gpus {
                row.cpu_allocation
            } else {
                row.gpu_allocation
            }),
            percent(row.gpu_utilization),
            wait(row.wait_p50),
            wait(row.wait_p95),
            percent(row.jobs_done),
        );
        *out += line.trim_end();
        out.push('\n');
    }
}

pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    name.chars().take(NAME_MAX - 1).chain(['…']).collect()
}

pub(super) fn name_width(comparison: &Comparison) -> usize {
    let names = comparison.scenario.platforms.iter();
    let widest = names
        .map(|platform| shortened(&platform.name).chars().count())
        .max();
    widest.unwrap_or(0).max("platform".len())
}

/// Which files were written.
pub(super) fn files(out: &mut String, folder: &Path, jobs: bool, comparison: &Comparison) {
    let samples = comparison.scenario.run.sample_every.is_some();
    let names: Vec<String> = FILES
        .into_iter()
        .filter(|name| jobs || *name != "jobs.csv")
        .filter(|name| samples || !["fragmentation.csv", "slots.csv"].contains(name))
        .map(str::to_owned)
        .collect();
    out.push('\n');
    page::parts(out, &format!("Wrote {}/  ", folder.display()), " ", &names);
}

/// What one might ask next: commands that exist, ready to be typed.
fn next(out: &mut String, options: &Compare, comparison: &Comparison, figures: &[PlatformFigures]) {
    let name = |figures: Option<&PlatformFigures>| {
        let platform = figures.map_or(0, |figures| figures.platform);
        &*comparison.scenario.platforms[platform].name
    };
    let (best, last) = (name(figures.first()), name(figures.last()));
    let (folder, scenario) = (options.out.display(), &*options.scenario);
    let mut lines = vec![(
        format!("windtunnel explain {folder} {last}"),
        "why one waited longest",
    )];
    if best != last {
        let diff = format!("windtunnel diff {folder} {last} {best}");
        lines.push((diff, "where the two part"));
    }
    if scenario == "campus" {
        let copy = "windtunnel scenario campus > mine.toml".to_owned();
        lines.push((copy, "a copy to change"));
    }
    lines.push(("windtunnel policies".to_owned(), "other policies"));
    let width = lines
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    for (place, (command, what)) in lines.iter().enumerate() {
        let label = if place == 0 { "Next" } else { "" };
        *out += &format!("{label:4}  {command:width$}  {what}\n");
    }
}
