//! `windtunnel validate`: how close the simulator comes to what real systems did.

use std::collections::BTreeSet;

use windtunnel::ExperimentError;
use windtunnel::validate::{FAMILIES, Golden, Row, Validation};

use super::Verdict;
use super::args::Validate;
use super::page::{self, print};
use super::paint::Paint;
use super::words::{count, rounded, things};

/// Folders that are listed one by one.
const LISTED: usize = 12;

/// Columns of a case's name.
const NAME: usize = 29;

pub(super) fn command(options: &Validate) -> Result<Verdict, ExperimentError> {
    let golden = match &options.golden {
        Some(folder) => Golden::search(folder)?,
        None => Golden::embedded()?,
    };
    if let Some(folder) = options.golden.as_ref().filter(|_| golden.cases.is_empty()) {
        return Err(nothing_known(&golden, &folder.display().to_string()));
    }
    let validation = golden.run(options.threads)?;
    if options.json {
        let text =
            serde_json::to_string(&validation).map_err(|error| ExperimentError::Setting {
                what: "--json".to_owned(),
                hint: error.to_string(),
            })?;
        print(&format!("{text}\n"));
    } else {
        print(&text(&golden, &validation, options.golden.is_some()));
    }
    Ok(if validation.passes() {
        Verdict::Fine
    } else {
        Verdict::FellShort
    })
}

/// A validation of nothing must not look like one that passed.
fn nothing_known(golden: &Golden, folder: &str) -> ExperimentError {
    let kinds: Vec<String> = FAMILIES
        .iter()
        .map(|family| format!("{} ({})", family.name(), family.files()))
        .collect();
    let seen = match golden.nothing.first() {
        Some((name, why)) => format!("; {name}: {why}"),
        None => String::new(),
    };
    ExperimentError::Setting {
        what: format!("`{folder}` holds no recording that can be compared{seen}"),
        hint: format!("known kinds: {}", kinds.join("; ")),
    }
}

fn text(golden: &Golden, validation: &Validation, is_given: bool) -> String {
    let mut out = String::new();
    let paint = Paint::of_stdout();
    out += &format!(
        "      {:<NAME$} {:>11} {:>11} {:>9} {:>10}\n",
        "case", "real", "simulated", "distance", "run to run"
    );
    let mut told = BTreeSet::new();
    for row in &validation.cases {
        show(&mut out, row, paint);
        // What several rows have in common is said once, under the first.
        let text = format!("{} [{}]; {}", row.compared, row.unit, row.note);
        if told.insert(text.clone()) {
            page::paragraph(&mut out, &text, 8);
        }
    }
    out.push('\n');
    let short = validation.cases.iter().filter(|row| !row.pass).count();
    let all = things(&count(validation.cases.len() as u64), "case");
    let verdict = match short {
        0 => format!("{all}, all pass"),
        1 => format!("{all}, 1 falls short"),
        _ => format!("{all}, {short} fall short"),
    };
    page::paragraph(&mut out, &verdict, 0);
    for (name, why) in golden.nothing.iter().take(LISTED) {
        page::hanging(&mut out, "not compared    ", &format!("{name}: {why}"), 16);
    }
    for name in golden.unknown.iter().take(LISTED) {
        page::hanging(&mut out, "not recognised  ", name, 16);
    }
    if golden.unknown.len() > LISTED {
        out += &format!(
            "                and {} more\n",
            golden.unknown.len() - LISTED
        );
    }
    if !is_given {
        page::paragraph(
            &mut out,
            "These recordings come with the program; --golden DIR replays others.",
            0,
        );
    }
    out
}

fn show(out: &mut String, row: &Row, paint: Paint) {
    let verdict = if row.pass {
        paint.better("pass")
    } else {
        paint.worse("SHORT")
    };
    let pad = " ".repeat(if row.pass { 2 } else { 1 });
    // A long name has a line for itself.
    let is_long = row.case.chars().count() > NAME;
    let name = if is_long {
        format!("{}\n{:6}{:NAME$}", row.case, "", "")
    } else {
        row.case.clone()
    };
    let between = row.run_to_run.map_or("-".to_owned(), figure);
    let line = format!(
        "{verdict}{pad}{name:<NAME$} {:>11} {:>11} {:>9} {between:>10}",
        figure(row.real),
        figure(row.simulated),
        figure(row.distance),
    );
    *out += line.trim_end();
    out.push('\n');
}

/// A whole number as such, else four digits that count.
fn figure(number: f64) -> String {
    let size = number.abs();
    if number.fract().abs() < f64::EPSILON && size < 1e15 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, below 10^15"
        )]
        let whole = size as u64;
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(whole));
    }
    match size {
        0.0..0.001 => format!("{number:.6}"),
        0.001..1.0 => format!("{number:.4}"),
        1.0..100.0 => format!("{number:.2}"),
        _ if number > 0.0 => rounded(number),
        _ => format!("{number:.0}"),
    }
}
