//! `jobs.csv`: one row per job and run, written while the run goes on.
//!
//! Each run writes a part of its own, so that memory stays bounded and threads do not wait for each
//! other; the parts are joined in the order (platform, seed).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use windtunnel_core::{JobRecord, Names, Outcome, Reason};
use windtunnel_traces::Kinds;

use super::folder::Folder;
use super::number::{GPU_SECOND, push_micro, push_seconds, push_text, scaled};
use crate::error::ExperimentError;
use crate::scenario::Scenario;
use crate::sweep::{RecordSink, RunKey};

/// The columns of Batsim's `_jobs.csv`, verbatim.
const BATSIM: [&str; 15] = [
    "job_id",
    "workload_name",
    "profile",
    "submission_time",
    "requested_number_of_resources",
    "requested_time",
    "success",
    "final_state",
    "starting_time",
    "execution_time",
    "finish_time",
    "waiting_time",
    "turnaround_time",
    "stretch",
    "allocated_resources",
];

/// Ours before the reasons, and after them.
const OURS: [&str; 9] = [
    "platform",
    "seed",
    "name",
    "kind",
    "tenant",
    "queue",
    "tasks",
    "gpu_milli",
    "queued_s",
];
const OURS_AFTER: [&str; 8] = [
    "run_s",
    "attempts",
    "preemptions",
    "useful_gpu_s",
    "lost_gpu_s",
    "held_gpu_s",
    "cost_usd",
    "never_fits",
];

fn header() -> String {
    let reasons = Reason::ALL.map(|reason| format!("wait_{reason}_s"));
    let ours = OURS.iter().map(|&name| name.to_owned());
    let after = OURS_AFTER.iter().map(|&name| name.to_owned());
    let mut columns: Vec<String> = BATSIM.iter().map(|&name| name.to_owned()).collect();
    columns.extend(ours.chain(reasons).chain(after));
    columns.join(",") + "\n"
}

/// The parts of `jobs.csv` in a folder being written.
#[derive(Clone, Debug)]
pub struct JobFiles {
    folder: PathBuf,
    seeds: usize,
    runs: usize,
    scenario: String,
    /// `,platform,seed,` of each run, ready to print.
    marks: Vec<String>,
}

impl JobFiles {
    /// Parts for every run of a scenario, in a folder.
    #[must_use]
    pub fn new(folder: &Folder, scenario: &Scenario) -> Self {
        let mut workload = String::new();
        push_text(&mut workload, &scenario.run.name);
        let mut marks = Vec::new();
        for platform in &scenario.platforms {
            let mut name = String::new();
            push_text(&mut name, &platform.name);
            marks.extend(
                scenario
                    .run
                    .seeds
                    .iter()
                    .map(|seed| format!(",{name},{seed},")),
            );
        }
        Self {
            folder: folder.file(""),
            seeds: scenario.run.seeds.len(),
            runs: marks.len(),
            scenario: workload,
            marks,
        }
    }

    fn part(&self, place: usize) -> PathBuf {
        self.folder.join(format!("jobs.{place}.part"))
    }

    /// Begins the part of a run.
    ///
    /// # Errors
    /// It can't be created.
    pub fn sink(&self, run: RunKey) -> Result<Box<dyn RecordSink>, ExperimentError> {
        let place = run.platform * self.seeds + run.seed;
        let path = self.part(place);
        let file = File::create(&path).map_err(|error| ExperimentError::output(&path, &error))?;
        Ok(Box::new(Part {
            out: BufWriter::with_capacity(1 << 16, file),
            path,
            workload: self.scenario.clone(),
            mark: self.marks[place].clone(),
            kinds: Kinds::default(),
            line: String::new(),
        }))
    }

    /// Joins the parts into `jobs.csv` and removes them.
    ///
    /// # Errors
    /// They can't be read, or the whole can't be written.
    pub fn join(&self) -> Result<(), ExperimentError> {
        let whole = self.folder.join("jobs.csv");
        let joined = || -> io::Result<()> {
            let mut out = File::create(&whole)?;
            out.write_all(header().as_bytes())?;
            for place in 0..self.runs {
                let part = self.part(place);
                io::copy(&mut File::open(&part)?, &mut out)?;
                fs::remove_file(&part)?;
            }
            Ok(())
        };
        joined().map_err(|error| ExperimentError::output(&whole, &error))
    }
}

/// The rows of one run.
struct Part {
    out: BufWriter<File>,
    path: PathBuf,
    workload: String,
    mark: String,
    kinds: Kinds,
    line: String,
}

impl RecordSink for Part {
    fn record(&mut self, record: &JobRecord, names: &Names) -> Result<(), ExperimentError> {
        self.line.clear();
        batsim(&mut self.line, record, &self.workload);
        self.line.push_str(&self.mark);
        ours(&mut self.line, record, names, &self.kinds);
        self.line.push('\n');
        let written = self.out.write_all(self.line.as_bytes());
        written.map_err(|error| failed(&self.path, &error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExperimentError> {
        self.out.flush().map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> ExperimentError {
    ExperimentError::output(path, error)
}

/// Batsim's columns.
fn batsim(line: &mut String, record: &JobRecord, workload: &str) {
    let start = record.start.map(|start| start.as_nanos());
    let finish = record.outcome.map(|_| record.end.as_nanos());
    let submit = record.submit.as_nanos();
    let _ = write!(line, "{},{workload},{},", record.job, record.job);
    push_seconds(line, submit);
    let _ = write!(line, ",{},", record.tasks);
    optional(line, record.limit.map(|limit| limit.as_nanos()));
    let success = u8::from(record.outcome == Some(Outcome::Completed));
    let state = match (record.outcome, start) {
        (Some(outcome), _) => outcome.name(),
        (None, Some(_)) => "RUNNING",
        (None, None) => "SUBMITTED",
    };
    let _ = write!(line, "{success},{state},");
    let execution = start.zip(finish).map(|(start, finish)| finish - start);
    let turnaround = finish.map(|finish| finish - submit);
    optional(line, start);
    optional(line, execution);
    optional(line, finish);
    optional(line, start.map(|start| start - submit));
    optional(line, turnaround);
    let stretch = turnaround
        .zip(execution)
        .and_then(|(turnaround, execution)| scaled(turnaround.into(), 1_000_000, execution.into()));
    if let Some(stretch) = stretch {
        push_micro(line, stretch);
    }
    line.push(',');
    push_nodes(line, record);
}

/// A duration or nothing, and a comma.
fn optional(line: &mut String, nanos: Option<u64>) {
    if let Some(nanos) = nanos {
        push_seconds(line, nanos);
    }
    line.push(',');
}

/// Nodes as Batsim writes sets: `0-3 5`.
fn push_nodes(line: &mut String, record: &JobRecord) {
    let mut nodes: Vec<u32> = record.nodes.iter().map(|node| node.0).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let mut rest = nodes.iter().copied().peekable();
    let mut is_first = true;
    while let Some(first) = rest.next() {
        let mut last = first;
        while rest.peek() == Some(&(last + 1)) {
            last += 1;
            rest.next();
        }
        if !is_first {
            line.push(' ');
        }
        is_first = false;
        let _ = if last > first {
            write!(line, "{first}-{last}")
        } else {
            write!(line, "{first}")
        };
    }
}

/// Our columns after platform and seed.
fn ours(line: &mut String, record: &JobRecord, names: &Names, kinds: &Kinds) {
    push_text(line, record.name.as_deref().unwrap_or(""));
    line.push(',');
    push_text(line, kinds.name(record.kind).unwrap_or(""));
    line.push(',');
    push_text(line, names.tenant_name(record.tenant));
    line.push(',');
    push_text(line, names.queue_name(record.queue));
    let _ = write!(line, ",{},{},", record.tasks, record.gpu_milli);
    push_seconds(line, record.queued().as_nanos());
    for waited in record.waited {
        line.push(',');
        push_seconds(line, waited);
    }
    line.push(',');
    push_seconds(line, record.run_time().as_nanos());
    let _ = write!(line, ",{},{},", record.attempts, record.preemptions);
    // Held GPU time is in milli-GPU·ns, the two others in milli-GPU·ppm·ns.
    for amount in [record.useful, record.lost, record.held * 1_000_000] {
        let micro = GPU_SECOND / 1_000_000;
        push_micro(line, (amount + micro / 2) / micro);
        line.push(',');
    }
    let _ = write!(line, "{},{}", record.cost, u8::from(record.never_fits));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_in_the_docs() {
        let docs = include_str!("../../../docs/METRICS.md");
        for column in BATSIM.iter().chain(&OURS).chain(&OURS_AFTER) {
            assert!(
                docs.contains(&format!("| `{column}` |")),
                "{column} is not in METRICS.md"
            );
        }
        let header = header();
        assert!(header.starts_with(&BATSIM.join(",")));
        assert_eq!(header.trim_end().split(',').count(), 15 + 9 + 17 + 8);
    }
}
