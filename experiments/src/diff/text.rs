//! A difference as a page of text.

use std::fmt;

use windtunnel_core::{SimDuration, SimTime};

use super::{Diff, Parting, Spell, State};
use crate::words::{clock, count, hanging, lasting, size, things};

/// Nodes, and acts of one run, that are told one by one.
const TOLD: usize = 6;
/// Columns of a label.
const LABEL: usize = 12;
/// Columns of a figure.
const CELL: usize = 20;

impl fmt::Display for Diff {
    /// One screen: where they part, what both saw, what each did, what followed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        let [left, right] = &self.reports;
        let policy = |report: &windtunnel_core::Report| report.policies.join(" + ");
        let title = format!(
            "{} ({}) and {} ({}), seed {}",
            self.names[0],
            policy(left),
            self.names[1],
            policy(right),
            left.seed.0
        );
        hanging(&mut out, "", &title, 2);
        match &self.parting {
            None => same(&mut out, self),
            Some(parting) => {
                let at = clock(parting.at);
                let mut text = match parting.at.since(SimTime::ZERO) {
                    SimDuration::ZERO => format!("part at once, at {at}"),
                    same => format!("do the same for {}; at {at} they part", lasting(same)),
                };
                if parting.only_nodes {
                    text += ": the same jobs, on other nodes";
                }
                hanging(&mut out, "", &text, 0);
                block(&mut out, self, parting);
                if parting.only_nodes {
                    beyond_nodes(&mut out, self);
                }
                followed(&mut out, self);
            }
        }
        f.write_str(&out)
    }
}

fn same(out: &mut String, diff: &Diff) {
    let jobs = things(&count(diff.followed.compared), "job");
    let digests = if diff.reports[0].digest == diff.reports[1].digest {
        "their digests are equal"
    } else {
        "only holds or reasons of waiting may differ"
    };
    let text = format!("never part: {jobs} with the same life in both; {digests}");
    hanging(out, "", &text, 0);
}

/// What they saw and did.
fn block(out: &mut String, diff: &Diff, parting: &Parting) {
    out.push('\n');
    states(out, parting);
    for side in 0..2 {
        acts(out, diff, parting, side);
    }
}

/// Other nodes alone delay nobody: the first act that one of them does not do at all.
fn beyond_nodes(out: &mut String, diff: &Diff) {
    out.push('\n');
    match &diff.beyond_nodes {
        Some(other) => {
            let at = clock(other.at);
            hanging(
                out,
                "",
                &format!("at {at} they differ in more than nodes"),
                0,
            );
            block(out, diff, other);
        }
        None => hanging(out, "", "they never differ in more than nodes", 0),
    }
}

/// What both saw before; what one saw, if only its view can be told.
fn states(out: &mut String, parting: &Parting) {
    match &parting.before {
        [Some(left), Some(right)] if left != right => {
            state(out, "left saw", left);
            state(out, "right saw", right);
        }
        [Some(seen), _] | [None, Some(seen)] => state(out, "both saw", seen),
        [None, None] => {}
    }
}

fn state(out: &mut String, label: &str, state: &State) {
    hanging(out, &format!("  {label:<LABEL$}"), &free(state), LABEL + 2);
    let shown: Vec<String> = state
        .queue
        .iter()
        .map(|job| format!("{} ({})", job.job, size(job.gpu_milli, job.cpu_milli)))
        .collect();
    let text = match state.pending {
        0 => "nobody waits".to_owned(),
        number => {
            let more = if number as usize > shown.len() {
                ", …"
            } else {
                ""
            };
            format!(
                "{} wait: {}{more}",
                things(&count(number.into()), "job"),
                shown.join(", ")
            )
        }
    };
    let text = text.replacen("1 job wait:", "1 job waits:", 1);
    hanging(out, &" ".repeat(LABEL + 2), &text, LABEL + 2);
}

/// `5 GPUs free: 3 on node 0, 2 on node 4`.
fn free(state: &State) -> String {
    let sum = state.free_milli();
    if sum == 0 {
        return format!("no {} free", state.measure.one());
    }
    let number = |milli: u32| {
        let text = state.measure.text(milli.into());
        text.split(' ').next().unwrap_or_default().to_owned()
    };
    let mut most = state.free.clone();
    most.sort_by_key(|(node, milli)| (std::cmp::Reverse(*milli), *node));
    let parts: Vec<String> = most
        .iter()
        .take(TOLD)
        .map(|(node, milli)| {
            format!(
                "{} on {}",
                number(*milli),
                node.to_string().replace('-', " ")
            )
        })
        .collect();
    let rest = match most.len().saturating_sub(TOLD) {
        0 => String::new(),
        rest => format!(", and some on {} more", count(rest as u64)),
    };
    format!(
        "{} free: {}{rest}",
        state.measure.text(sum),
        parts.join(", ")
    )
}

fn acts(out: &mut String, diff: &Diff, parting: &Parting, side: usize) {
    let mut parts: Vec<String> = parting.acts[side]
        .iter()
        .take(TOLD)
        .map(ToString::to_string)
        .collect();
    if let Some(rest) = parting.acts[side]
        .len()
        .checked_sub(TOLD)
        .filter(|rest| *rest > 0)
    {
        parts.push(format!("and {rest} more"));
    }
    if parts.is_empty() {
        parts.push("does nothing".to_owned());
    }
    for (job, why) in parting.waits[side].iter().take(TOLD) {
        let said = parting.says[side].iter().find(|(said, _)| said == job);
        parts.push(match said {
            Some((_, says)) => format!("{job} waits: {why} (policy says: {says})"),
            None => format!("{job} waits: {why}"),
        });
    }
    let width = diff
        .names
        .iter()
        .map(|name| shortened(name).chars().count() + 2)
        .max();
    let width = width.unwrap_or(0).max(LABEL);
    let first = format!("  {:<width$}", shortened(&diff.names[side]));
    hanging(out, &first, &parts.join("; "), first.chars().count());
}

/// A name that fits above a column of figures.
fn shortened(name: &str) -> String {
    if name.chars().count() <= CELL {
        return name.to_owned();
    }
    name.chars().take(CELL - 1).chain(['…']).collect()
}

fn followed(out: &mut String, diff: &Diff) {
    let row = |out: &mut String, label: &str, cells: [String; 2]| {
        let line = format!("  {label:<32}{:>CELL$}  {:>CELL$}", cells[0], cells[1]);
        *out += line.trim_end();
        out.push('\n');
    };
    out.push('\n');
    let heads = diff.names.each_ref().map(|name| shortened(name));
    row(out, "what followed", heads);
    for (job, spells) in &diff.followed.jobs {
        row(out, &format!("{job} starts"), spells.map(started));
        row(out, &format!("{job} ends"), spells.map(ended));
    }
    let reports = &diff.reports;
    let cell = |length: Option<SimDuration>| length.map_or("-".to_owned(), lasting);
    let share = |share: Option<f64>| {
        share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
    };
    row(
        out,
        "mean wait",
        reports
            .each_ref()
            .map(|report| cell(report.summary.wait.mean())),
    );
    row(
        out,
        "95th percentile of the wait",
        reports
            .each_ref()
            .map(|report| cell(report.summary.wait.quantile(0.95))),
    );
    row(
        out,
        "jobs done",
        reports
            .each_ref()
            .map(|report| count(report.summary.completed())),
    );
    if reports
        .iter()
        .any(|report| report.gpu_allocation().is_some())
    {
        let cells = reports
            .each_ref()
            .map(|report| share(report.gpu_allocation()));
        row(out, "GPUs allocated", cells);
    } else {
        let cells = reports
            .each_ref()
            .map(|report| share(report.cpu_allocation()));
        row(out, "cores allocated", cells);
    }
    let followed = &diff.followed;
    let other = followed.compared - followed.same_start;
    let text = format!(
        "{} of {} start at another time: {} sooner under {}, {} under {}",
        count(other),
        things(&count(followed.compared), "job"),
        count(followed.sooner[0]),
        diff.names[0],
        count(followed.sooner[1]),
        diff.names[1]
    );
    hanging(out, "  ", &text, 2);
    if let Some((job, starts)) = followed.first_other {
        let at = |start: Option<SimTime>| start.map_or("never".to_owned(), clock);
        let text = format!(
            "the first of them: {job}, {} and {}",
            at(starts[0]),
            at(starts[1])
        );
        hanging(out, "  ", &text, 2);
    }
}

fn started(spell: Option<Spell>) -> String {
    match spell.map(|spell| spell.start) {
        Some(Some(at)) => clock(at),
        _ => "never".to_owned(),
    }
}

fn ended(spell: Option<Spell>) -> String {
    match spell {
        Some(Spell {
            end,
            outcome: Some(_),
            ..
        }) => clock(end),
        _ => "not before the end".to_owned(),
    }
}
