//! The files of a comparison: `summary.csv`, `jobs.csv`, `ledger.csv`, `fragmentation.csv`,
//! `manifest.json`.
//!
//! They appear together or not at all: everything is written to a sibling folder that is renamed at
//! the end. What the columns mean is in `docs/METRICS.md`.

mod folder;
mod fragmentation;
mod jobs;
mod ledger;
pub mod manifest;
pub(crate) mod number;
pub(crate) mod summary;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub use folder::Folder;
pub use jobs::JobFiles;

use crate::error::ExperimentError;
use crate::sweep::Comparison;

/// Names of the files, in the order in which they are mentioned. Jobs and fragmentation are written
/// unless they are not wanted.
pub const FILES: [&str; 6] = [
    "summary.csv",
    "jobs.csv",
    "ledger.csv",
    fragmentation::FILE,
    fragmentation::SLOTS_FILE,
    manifest::FILE,
];

/// Writes everything but the jobs, which [`JobFiles`] wrote during the runs.
///
/// # Errors
/// The folder can't be written to.
pub fn write(folder: &Folder, comparison: &Comparison) -> Result<(), ExperimentError> {
    let summary = folder.file("summary.csv");
    put(&summary, |out| summary::write(out, comparison))?;
    let ledger = folder.file("ledger.csv");
    put(&ledger, |out| ledger::write(out, comparison))?;
    if comparison.scenario.run.sample_every.is_some() {
        let path = folder.file(fragmentation::FILE);
        put(&path, |out| fragmentation::write(out, comparison))?;
        let path = folder.file(fragmentation::SLOTS_FILE);
        put(&path, |out| fragmentation::write_slots(out, comparison))?;
    }
    let text = manifest::text(comparison)?;
    put(&folder.file(manifest::FILE), |out| {
        out.write_all(text.as_bytes())
    })
}

/// Creates a file, lets `write` fill it, and makes sure that it arrived.
fn put(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), ExperimentError> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        write(&mut out)?;
        out.flush()
    });
    written.map_err(|error| ExperimentError::output(path, &error))
}
