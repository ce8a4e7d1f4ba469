//! Finds the recordings in a folder and runs their cases.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::{Case, FAMILIES, Family, Row, Seen, embedded};
use crate::error::ExperimentError;

/// Folders below the one searched that are gone into.
const DEPTH: usize = 8;

/// What was found in a folder of recordings.
#[derive(Debug, Default)]
pub struct Golden {
    /// Its cases, by name of their folder, then in the order of the family.
    pub cases: Vec<Case>,
    /// Folders with files that no family knows, by name.
    pub unknown: Vec<String>,
    /// Recordings with which nothing can be compared yet, and why.
    pub nothing: Vec<(String, String)>,
}

/// What came of all cases.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Validation {
    /// One row per comparison, in the order of the cases.
    pub cases: Vec<Row>,
}

impl Validation {
    /// Whether every row passes.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.cases.iter().all(|row| row.pass)
    }
}

impl Golden {
    /// The recordings that come with the program.
    ///
    /// # Errors
    /// Never, unless one is broken; a test runs them.
    pub fn embedded() -> Result<Self, ExperimentError> {
        Ok(Self {
            cases: embedded::cases()?,
            ..Self::default()
        })
    }

    /// Searches a folder, and all below it that is not itself a recording, for recordings that a family
    /// knows.
    ///
    /// # Errors
    /// The folder does not exist or can't be read.
    pub fn search(folder: &Path) -> Result<Self, ExperimentError> {
        Self::search_for(folder, FAMILIES)
    }

    /// The same for some families only.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_for(folder: &Path, families: &[&dyn Family]) -> Result<Self, ExperimentError> {
        let mut found = Self::default();
        // `.` and `..` have no name of their own.
        let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = path.file_name().map(|name| name.to_string_lossy());
        found.visit(folder, name.as_deref().unwrap_or("."), families, DEPTH)?;
        Ok(found)
    }

    fn visit(
        &mut self,
        folder: &Path,
        name: &str,
        families: &[&dyn Family],
        depth: usize,
    ) -> Result<(), ExperimentError> {
        let (folders, has_files) = entries(folder)?;
        for family in families {
            match family.look(folder, name)? {
                Seen::Unknown => {}
                Seen::Cases(cases) => {
                    self.cases.extend(cases);
                    return Ok(());
                }
                Seen::Nothing(why) => {
                    self.nothing.push((name.to_owned(), why));
                    return Ok(());
                }
            }
        }
        // A folder of folders may have a file that tells about them.
        if has_files && folders.is_empty() {
            self.unknown.push(name.to_owned());
        }
        if depth == 0 {
            return Ok(());
        }
        for below in folders {
            let last = below.file_name().unwrap_or_default().to_string_lossy();
            self.visit(&below, &format!("{name}/{last}"), families, depth - 1)?;
        }
        Ok(())
    }

    /// Runs every case on so many threads (0: as many as there are cores); it changes no result.
    ///
    /// # Errors
    /// The first case, in order, that can't be run: a broken file, mostly.
    pub fn run(&self, threads: usize) -> Result<Validation, ExperimentError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| ExperimentError::setting("threads", error.to_string()))?;
        let rows: Vec<Result<Vec<Row>, ExperimentError>> = pool.install(|| {
            let run = |case: &Case| (case.run)();
            self.cases.par_iter().with_max_len(1).map(run).collect()
        });
        let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Validation {
            cases: rows.into_iter().flatten().collect(),
        })
    }
}

/// The folders in a folder, sorted, and whether it has files.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, bool), ExperimentError> {
    let failed = |cause| ExperimentError::Read {
        path: folder.to_owned(),
        cause,
    };
    let (mut folders, mut has_files) = (Vec::new(), false);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            folders.push(path);
        } else {
            has_files = true;
        }
    }
    folders.sort_unstable();
    Ok((folders, has_files))
}
