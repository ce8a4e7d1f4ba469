//! `windtunnel explain`: the life of a job, why it waited, and when it would have started elsewhere.

use windtunnel::core::{Outcome, Reason, SimDuration, SimTime};
use windtunnel::explain::{self, Chapter, Elsewhere, Fate, Life, MORE_NODES, Start, Stay, Wait};
use windtunnel::{ExperimentError, Scenario};

use super::Verdict;
use super::args::Explain;
use super::never;
use super::page::{self, print};
use super::past::{Past, seed_of};
use super::reasons::{self, leaving};
use super::session::Progress;
use super::words::{clock, count, lasting, ranges, size, things};

/// Column at which the text of a part begins.
const TEXT: usize = 43;
/// Parts of a life that fit on a screen.
const CHAPTERS: usize = 7;

pub(super) fn command(options: &Explain) -> Result<Verdict, ExperimentError> {
    let past = Past::open(&options.folder)?;
    let scenario = &past.scenario;
    let platform = platform_of(options, scenario)?;
    let seed = seed_of(scenario, options.seed)?;
    // One run for the life, one per other platform, and those with more nodes.
    let other_runs = scenario.platforms.len() - 1;
    let progress = Progress::begin(1 + other_runs + MORE_NODES.len());
    let job = match &options.job {
        Some(job) => job.clone(),
        None => explain::longest_wait(scenario, platform, seed)?.to_string(),
    };
    let life = explain::life(scenario, platform, seed, &job)?;
    progress.add(1);
    if past.check(platform, seed, life.digest) == Verdict::FellShort {
        return Ok(Verdict::FellShort);
    }
    let elsewhere = explain::elsewhere(scenario, &life)?;
    progress.add(other_runs);
    let more = explain::with_more_nodes(scenario, &life)?;
    progress.end();
    let mut out = String::new();
    heading(&mut out, scenario, &life);
    chapters(&mut out, scenario, &life);
    totals(&mut out, &life);
    others(&mut out, scenario, &life, &elsewhere);
    more_nodes(&mut out, scenario, &life, &more);
    next(&mut out, options, scenario, platform, &elsewhere);
    print(&out);
    Ok(Verdict::Fine)
}

/// The platform asked for, or the only one.
fn platform_of(options: &Explain, scenario: &Scenario) -> Result<usize, ExperimentError> {
    let platforms = &scenario.platforms;
    match &options.platform {
        Some(name) => scenario.platform_named(name),
        None if platforms.len() == 1 => Ok(0),
        None => {
            let folder = options.folder.display();
            let names: Vec<&str> = platforms.iter().map(|platform| &*platform.name).collect();
            Err(ExperimentError::Setting {
                what: format!("which platform of `{folder}`?"),
                hint: format!(
                    "say windtunnel explain {folder} {}; it has {}",
                    names[0],
                    names.join(", ")
                ),
            })
        }
    }
}

/// Who it is, and its life in one line.
fn heading(out: &mut String, scenario: &Scenario, life: &Life) {
    let record = &life.record;
    let mut first = vec![need(life)];
    if life.tenant != "default" {
        first.push(format!("tenant {}", life.tenant));
    }
    if life.queue != "default" {
        first.push(format!("queue {}", life.queue));
    }
    first.push(format!(
        "on {}, seed {}",
        scenario.platforms[life.key.platform].name, scenario.run.seeds[life.key.seed]
    ));
    let id = record.job.to_string();
    let name = match record.name.as_deref() {
        Some(name) if name != id => format!("{id} ({name})  "),
        _ => format!("{id}  "),
    };
    page::parts(out, &name, " | ", &first);
    let queued = record.queued();
    let mut line = format!("submitted {}", clock(record.submit));
    line += &match queued {
        SimDuration::ZERO => ", did not wait".to_owned(),
        queued => format!(", waited {}", lasting(queued)),
    };
    let ran = record.run_time();
    if record.start.is_some() {
        line += &format!(", ran {}", lasting(ran));
    }
    line += &match record.outcome {
        Some(outcome) => format!(", {}", reasons::outcome(outcome)),
        None => ", not over at the end of the run".to_owned(),
    };
    page::paragraph(out, &line, 2);
    if let Some(other) = life.namesake {
        let text = format!("note: {other} bears the name `{id}`; say {other} for that one");
        page::paragraph(out, &text, 2);
    }
}

/// `2 x 8 GPUs`, `0.5 GPUs`, `16 cores`.
fn need(life: &Life) -> String {
    let tasks = u64::from(life.record.tasks.max(1));
    let each = size(life.record.gpu_milli / tasks, life.cpu_milli / tasks);
    if tasks == 1 {
        each
    } else {
        format!("{} x {each}", count(tasks))
    }
}

fn chapters(out: &mut String, scenario: &Scenario, life: &Life) {
    let all = life.folded(CHAPTERS);
    if all.is_empty() {
        return;
    }
    out.push('\n');
    let (shown, hidden) = (all.len().min(CHAPTERS + 4), all.len());
    let mut said = None;
    for (place, chapter) in all.iter().enumerate() {
        // The first ones and the last.
        if hidden > shown && place == shown - 1 {
            *out += &format!("  … {} more parts …\n", hidden - shown);
        }
        if hidden > shown && place >= shown - 1 && place + 1 < hidden {
            continue;
        }
        match chapter {
            Chapter::Wait(wait) => {
                waiting(out, scenario, life, wait);
                // The same promise need not be told twice in a row.
                if let Some(says) = wait.says.as_ref().filter(|says| said != Some(*says)) {
                    let first = " ".repeat(TEXT);
                    page::hanging(out, &first, &format!("policy says: {says}"), TEXT);
                }
                said = wait.says.as_ref();
            }
            Chapter::Stay(stay) => staying(out, stay),
        }
    }
}

fn line(out: &mut String, from: SimTime, length: SimDuration, word: &str, text: &str) {
    let first = format!("  {:<14}{:>11}  {word:<13} ", clock(from), lasting(length));
    page::hanging(out, &first, text, TEXT);
}

fn waiting(out: &mut String, scenario: &Scenario, life: &Life, wait: &Wait) {
    let mut text = match wait.why() {
        Reason::NeverFits => never::of_life(scenario, life),
        _ => reasons::because(wait, life),
    };
    let others: Vec<String> = wait
        .reasons
        .iter()
        .skip(1)
        .map(|(r, length)| format!("{r} {}", lasting(*length)))
        .collect();
    if !others.is_empty() {
        let times = things(&count(u64::from(wait.changes)), "change");
        text += &format!("; in turns with {} ({times})", others.join(", "));
    }
    line(out, wait.from, wait.length(), wait.why().name(), &text);
}

fn staying(out: &mut String, stay: &Stay) {
    let nodes: Vec<u32> = stay.nodes.iter().map(|node| node.0).collect();
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    let text = format!("on {word} {}; {}", ranges(&nodes), leaving(stay.leave));
    line(out, stay.from, stay.until.since(stay.from), "ran", &text);
}

/// What it cost the job.
fn totals(out: &mut String, life: &Life) {
    let record = &life.record;
    let mut parts = Vec::new();
    if record.preemptions > 0 {
        parts.push(format!("evicted {}", times(record.preemptions)));
    }
    if record.attempts > 1 {
        parts.push(format!("{} attempts", record.attempts));
    }
    if record.lost > 0 {
        parts.push(format!(
            "lost {} GPU-hours of progress",
            gpu_hours(record.lost)
        ));
    }
    if !parts.is_empty() {
        out.push('\n');
        page::hanging(out, "  in all     ", &parts.join(", "), 13);
    }
}

fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}

/// An amount of the ledger [milli-GPU·ppm·ns] in GPU-hours with two decimals.
fn gpu_hours(amount: u128) -> String {
    let hundredth = 36_u128 * 1_000_000_000 * 1_000 * 1_000_000;
    let hundredths = (amount + hundredth / 2) / hundredth;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// What another run would have done with it, after "would".
fn fate(life: &Life, fate: Fate) -> String {
    let submit = life.record.submit;
    match fate {
        Fate::Started(at) if at == submit => "have started it at once".to_owned(),
        Fate::Started(at) => format!("have started it after {}", lasting(at.since(submit))),
        Fate::Ended(_, Outcome::Rejected) => "have rejected it".to_owned(),
        Fate::Ended(at, outcome) => format!(
            "never have started it: {} after {}",
            reasons::outcome(outcome),
            lasting(at.since(submit))
        ),
        Fate::StillWaiting => "not have started it before the end of the run".to_owned(),
    }
}

fn others(out: &mut String, scenario: &Scenario, life: &Life, elsewhere: &[Elsewhere]) {
    if elsewhere.is_empty() {
        return;
    }
    out.push('\n');
    let name = |other: &Elsewhere| &*scenario.platforms[other.platform].name;
    let width = elsewhere
        .iter()
        .map(|other| name(other).chars().count())
        .max()
        .unwrap_or(0);
    for (place, other) in elsewhere.iter().enumerate() {
        let label = if place == 0 { "elsewhere" } else { "" };
        let text = format!("would {}", fate(life, other.fate));
        let first = format!("  {label:<11}{:width$}  ", name(other));
        page::hanging(out, &first, &text, first.chars().count());
    }
}

/// What it takes to start it at once, as far as that was tried.
fn more_nodes(out: &mut String, scenario: &Scenario, life: &Life, tried: &[Start]) {
    let submit = life.record.submit;
    let at_once = tried
        .iter()
        .find(|start| start.fate == Fate::Started(submit));
    let Some(first) = tried.first() else { return };
    let pool = &scenario.pools[first.pool].name;
    let said = |start: &Start| format!("{} more would {}", start.more, fate(life, start.fate));
    let mut parts = vec![said(first)];
    let soonest = tried.iter().min_by_key(|start| match start.fate {
        Fate::Started(at) => at,
        _ => SimTime::MAX,
    });
    if let Some(last) = at_once.or(soonest).filter(|last| last.more > 1) {
        parts.push(said(last));
    }
    let text = format!("nodes in {pool} from the start: {}", parts.join("; "));
    page::hanging(out, "  with       ", &text, 13);
}

fn next(
    out: &mut String,
    options: &Explain,
    scenario: &Scenario,
    platform: usize,
    elsewhere: &[Elsewhere],
) {
    let started = |other: &&Elsewhere| matches!(other.fate, Fate::Started(_));
    let Some(other) = elsewhere
        .iter()
        .filter(started)
        .min_by_key(|other| match other.fate {
            Fate::Started(at) => at,
            _ => SimTime::MAX,
        })
    else {
        return;
    };
    let (folder, here) = (options.folder.display(), &scenario.platforms[platform].name);
    let there = &scenario.platforms[other.platform].name;
    *out += &format!("\nNext  windtunnel diff {folder} {here} {there}  where the two part\n");
}
