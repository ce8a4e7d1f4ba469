//! Which behaviours a scenario's jobs have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use windtunnel_traces::KnownBehaviours;

use crate::behaviours::{self, Behaviours, Weighted};
use crate::error::ExperimentError;

/// How the jobs use their GPUs: each has the one that its row names, in a native table, or one of a
/// mix, drawn by seed and the job's place in the workload, whatever that is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BehaviourMix {
    /// A file of behaviours beside those of the program, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The same as text; what a file becomes once it was read, so that a manifest needs no other file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toml: Option<String>,
    /// [behaviour, weight], …; `windtunnel behaviours` lists those of the program. Empty: jobs have those
    /// that their rows name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<(String, u32)>,
    /// What was read, once it was.
    #[serde(skip)]
    known: Option<Known>,
}

/// The behaviours by name, and those of the mix.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    all: KnownBehaviours,
    mixed: Weighted,
}

impl BehaviourMix {
    /// A mix that is still to be looked up.
    #[must_use]
    pub fn new(file: Option<PathBuf>, mix: Vec<(String, u32)>) -> Self {
        Self {
            file,
            mix,
            ..Self::default()
        }
    }

    /// Reads the file, and looks the behaviours up, unless that was done.
    pub(super) fn read(&mut self) -> Result<(), ExperimentError> {
        if self.known.is_some() {
            return Ok(());
        }
        let behaviours = match (self.file.take(), &self.toml) {
            (Some(_), Some(_)) => {
                let hint = "give a `file` of behaviours, or its text as `toml`";
                return Err(ExperimentError::setting("behaviours", hint));
            }
            (Some(path), None) => {
                let text = behaviours::text_of(&path)?;
                let read = Behaviours::with_text(&text, &path.display().to_string())?;
                self.toml = Some(text);
                read
            }
            (None, Some(text)) => Behaviours::with_text(text, "toml of [behaviours]")?,
            (None, None) => Behaviours::embedded(),
        };
        let all = behaviours.ready()?;
        let mixed = behaviours.mixed(&all, &self.mix)?.into();
        self.known = Some(Known { all, mixed });
        Ok(())
    }

    /// The mix; none before it was looked up.
    pub(crate) fn mixed(&self) -> Weighted {
        self.known
            .as_ref()
            .map_or_else(Weighted::default, |known| Arc::clone(&known.mixed))
    }

    /// Those that rows may name; none before they were looked up.
    pub(crate) fn all(&self) -> KnownBehaviours {
        self.known
            .as_ref()
            .map_or_else(KnownBehaviours::default, |known| known.all.clone())
    }

    /// Makes the path of its file relative to `folder` absolute.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(file) = &mut self.file {
            *file = folder.join(&*file);
        }
    }
}
