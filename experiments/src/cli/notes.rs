//! Notes under the table: what a reader would otherwise not see.

use windtunnel::compare::PlatformFigures;
use windtunnel::core::{Bucket, Horizon, Knowledge};
use windtunnel::traces::Action;
use windtunnel::{Comparison, JobFacts, TraceRead};

use super::compare::mean;
use super::never;
use super::page;
use super::words::{clock, count, length, rounded, things};

/// Share of the paid GPU time that incomplete gangs may hold before a missing timeout is told.
const GANGS_HELD_MIN: f64 = 0.05;

/// Jobs that count in no column above or for less than they seem, settings that explain a figure,
/// rows left out.
pub(super) fn notes(out: &mut String, comparison: &Comparison) {
    let notes = [
        late(comparison),
        never::note(comparison),
        unknown(comparison),
        gangs(comparison),
        seeds_change_nothing(comparison).then(|| {
            "every seed gave the same run: neither jobs nor faults follow it here, so the \
             intervals say nothing"
                .to_owned()
        }),
    ];
    for text in notes.into_iter().flatten() {
        note(out, &text);
    }
    if let Some(trace) = &comparison.trace {
        rows(out, trace);
    }
}

fn note(out: &mut String, text: &str) {
    page::hanging(out, "  note: ", text, 8);
}

/// A count over the seeds: `2 jobs`, or a mean with "per run" if they differ.
fn per_run(facts: &[&JobFacts], figure: impl Fn(&JobFacts) -> u64) -> String {
    let counts: Vec<u64> = facts.iter().map(|facts| figure(facts)).collect();
    if counts.windows(2).all(|pair| pair[0] == pair[1]) {
        return things(&count(counts[0]), "job");
    }
    let mean = rounded(mean(counts.iter().sum(), counts.len()));
    format!("{} per run", things(&mean, "job"))
}

/// Jobs that are submitted after the end of the run.
fn late(comparison: &Comparison) -> Option<String> {
    let facts: Vec<&JobFacts> = comparison.facts.iter().flatten().collect();
    let (name, submit) = facts.iter().find_map(|facts| facts.first_late.as_ref())?;
    let Horizon::After(end) = comparison.scenario.run.horizon else {
        return None;
    };
    let jobs = per_run(&facts, |facts| facts.late);
    let (end, at) = (length(end), clock(*submit));
    Some(format!(
        "submitted after the end ({end}) and left out: {jobs}; the first: {name} at {at}"
    ))
}

/// Jobs whose run times nobody says, on platforms that go by what users say.
fn unknown(comparison: &Comparison) -> Option<String> {
    let facts: Vec<&JobFacts> = comparison.facts.iter().flatten().collect();
    if facts.iter().all(|facts| facts.unknown == 0) {
        return None;
    }
    let platforms = comparison.scenario.platforms.iter().enumerate();
    let asking: Vec<_> = platforms
        .filter(|(place, _)| {
            let runs = comparison.of_platform(*place);
            runs[0].report.knowledge == Knowledge::Estimate
        })
        .map(|(_, platform)| platform)
        .collect();
    if asking.is_empty() {
        return None;
    }
    let unknown = rounded(mean(facts.iter().map(|f| f.unknown).sum(), facts.len()));
    let mut end = per_run(&facts, |facts| facts.jobs - facts.endless);
    if facts.iter().any(|facts| facts.endless > 0) {
        end += " that end";
    }
    let names: Vec<&str> = asking.iter().map(|platform| &*platform.name).collect();
    let take = if names.len() == 1 { "takes" } else { "take" };
    let delay = if asking.iter().any(|p| p.policy.contains("backfill")) {
        ", and backfilling may delay the first in line"
    } else {
        ""
    };
    Some(format!(
        "{unknown} of {end} have neither estimate_s nor limit_s: {} {take} them for endless{delay}; \
         {{by=oracle}} knows their run times",
        listed(&names)
    ))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Platforms on which half gangs hold much, and nothing ever ends them.
fn gangs(comparison: &Comparison) -> Option<String> {
    let platforms = comparison.scenario.platforms.iter().enumerate();
    let held = platforms.filter_map(|(place, platform)| {
        let figures = PlatformFigures::of(comparison, place);
        let share = figures.shares[Bucket::AllocatedWaiting.index()];
        (platform.gang_timeout.is_none() && share > GANGS_HELD_MIN)
            .then(|| format!("{:.0} % on {}", 100.0 * share, platform.name))
    });
    let held: Vec<String> = held.collect();
    if held.is_empty() {
        return None;
    }
    Some(format!(
        "gangs that were not complete held GPUs that were paid: {}; no gang_timeout is set there \
         (campus uses 30 min)",
        held.join(", ")
    ))
}

/// Rows of a table that are no jobs or other jobs than they say, and remarks on the rest.
fn rows(out: &mut String, trace: &TraceRead) {
    let counts = trace.counts;
    let changed = counts.dropped + counts.repaired > 0;
    if !changed && counts.remarks == 0 {
        return;
    }
    let mut text = format!("{}: of {} rows ", trace.path, count(counts.rows_read));
    if changed {
        let (dropped, repaired) = (count(counts.dropped), count(counts.repaired));
        text += &format!("{dropped} were dropped and {repaired} repaired");
    } else {
        text += "all were kept";
    }
    if counts.remarks > 0 {
        let remarks = things(&count(counts.remarks), "remark");
        text += &format!(", with {remarks} on rows that were kept");
    }
    note(out, &format!("{text}; the first:"));
    let shown = |action: Action| !changed || action != Action::Kept;
    for issue in trace.issues.iter().filter(|issue| shown(issue.action)) {
        let field = issue
            .field
            .map_or(String::new(), |field| format!(", column {field}"));
        let text = format!("line {}{field}: {}", issue.line, issue.what());
        page::paragraph(out, &text, 8);
    }
}

/// Whether there are several seeds, and every platform had the same run with each.
fn seeds_change_nothing(comparison: &Comparison) -> bool {
    let platforms = 0..comparison.scenario.platforms.len();
    let mut runs = platforms.map(|place| comparison.of_platform(place));
    comparison.scenario.run.seeds.len() > 1
        && runs.all(|runs| {
            runs.iter()
                .all(|run| run.report.digest == runs[0].report.digest)
        })
}
