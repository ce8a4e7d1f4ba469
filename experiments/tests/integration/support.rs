//! Runs the program in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Two nodes of four GPUs, a day, forty jobs, two platforms, ten seeds.
pub(crate) const TINY: &str = include_str!("../data/tiny.toml");

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder to run the program in.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One with the tiny scenario as `tiny.toml`.
    pub(crate) fn with_tiny() -> Self {
        Self::new().file("tiny.toml", TINY)
    }

    /// The same with a file.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Everything in the folder, hidden files too, sorted.
    pub(crate) fn entries(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// Runs the program with arguments separated by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_windtunnel"))
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("NO_COLOR")
            .output()
            .unwrap();
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Names of the entries of a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// The cells of a column of a table, by its name. Commas within quotes, which policies with parameters
/// have, are not between cells.
///
/// # Panics
/// If there is no such column, or a row is short.
pub(crate) fn column(text: &str, name: &str) -> Vec<String> {
    let mut rows = text.lines();
    let mut header = rows.next().unwrap_or_default().split(',');
    let at = header.position(|column| column == name);
    let at = at.unwrap_or_else(|| panic!("no column {name}"));
    let cell = |row: &str| {
        let mut quoted = false;
        let mut cells = row.split(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        cells.nth(at).expect("a whole row").to_owned()
    };
    rows.map(cell).collect()
}
