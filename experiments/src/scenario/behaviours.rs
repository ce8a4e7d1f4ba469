//! Which behaviours a scenario's jobs have.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::behaviours::{Behaviours, Weighted};
use crate::error::ExperimentError;

/// How the jobs use their GPUs: each has one of a mix, drawn by seed and the job's place in the
/// workload, whatever that is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BehaviourMix {
    /// A file of behaviours beside those of the program, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// [behaviour, weight], …; docs/MODELS.md lists those of the program.
    pub mix: Vec<(String, u32)>,
    /// What was read, once it was.
    #[serde(skip)]
    known: Option<Weighted>,
}

impl BehaviourMix {
    /// A mix that is still to be looked up.
    #[must_use]
    pub const fn new(file: Option<PathBuf>, mix: Vec<(String, u32)>) -> Self {
        let known = None;
        Self { file, mix, known }
    }

    /// Looks the behaviours up, unless that was done.
    pub(super) fn read(&mut self) -> Result<(), ExperimentError> {
        if self.known.is_none() {
            let behaviours = match &self.file {
                Some(path) => Behaviours::with_file(path)?,
                None => Behaviours::embedded(),
            };
            self.known = Some(behaviours.mixed(&self.mix)?.into());
        }
        Ok(())
    }

    /// The behaviours; none before they were looked up.
    pub(crate) fn known(&self) -> Weighted {
        self.known.clone().unwrap_or_default()
    }
}
