//! Recorded decisions of real systems, replayed, and how close we come.
//!
//! A *case* is one comparison: something a real system did, what the simulator does given the same
//! input, and how far the two are apart. Cases come from folders of recordings; a [`Family`] knows
//! folders of one kind by their files. [`Golden::search`] goes through a folder and everything below
//! it and asks every family; [`Golden::run`] runs what was found, in parallel, rows in a fixed order.
//!
//! A new family is one file here and one entry in [`FAMILIES`].

mod embedded;
pub mod fgd;
mod fgd_cases;
mod files;
mod golden;
mod kubernetes;
mod swf;
mod table;

use std::path::Path;

use serde::Serialize;

use crate::error::ExperimentError;

pub use golden::{Golden, Validation};

/// Every family, in the order in which a folder is shown to them; the first that knows it has it.
pub const FAMILIES: &[&dyn Family] = &[
    &fgd_cases::FgdFamily,
    &kubernetes::KubernetesFamily,
    &swf::SwfFamily,
];

/// One comparison, as it came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name: folder and what of it.
    pub case: String,
    /// What is compared.
    pub compared: String,
    /// What the real system did.
    pub real: f64,
    /// What the simulator does.
    pub simulated: f64,
    /// How far apart they are, in a measure that `compared` or `note` names; 0 is the same.
    pub distance: f64,
    /// Whether they are close enough.
    pub pass: bool,
    /// The same distance between two recordings of the real system, where there are two.
    pub run_to_run: Option<f64>,
    /// The unit of all figures.
    pub unit: &'static str,
    /// How close is close enough, and what there is to know.
    pub note: String,
}

/// Something that yields rows when it is run.
pub struct Case {
    /// Its name, by which cases are in order.
    pub name: String,
    run: Box<dyn Fn() -> Result<Vec<Row>, ExperimentError> + Send + Sync>,
}

impl Case {
    /// A case that runs so.
    pub fn new(
        name: impl Into<String>,
        run: impl Fn() -> Result<Vec<Row>, ExperimentError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

/// What a family says of a folder.
#[derive(Debug)]
pub enum Seen {
    /// It is not of this kind.
    Unknown,
    /// It is, and these are its cases.
    Cases(Vec<Case>),
    /// It is, but nothing here can be compared with it; why.
    Nothing(String),
}

/// Folders of one kind of recording.
pub trait Family: Sync {
    /// Its name, in kebab-case.
    fn name(&self) -> &'static str;

    /// The files by which a folder is known, for people.
    fn files(&self) -> &'static str;

    /// Looks at a folder, called `name` in results. Files are opened when a case runs, not before.
    ///
    /// # Errors
    /// The folder is of this kind and can't be read.
    fn look(&self, folder: &Path, name: &str) -> Result<Seen, ExperimentError>;
}
