//! What can go wrong in an experiment.

use std::io;
use std::path::PathBuf;

use windtunnel_core::{BuildError, RunError};
use windtunnel_policies::RegistryError;
use windtunnel_traces::TraceError;
use windtunnel_traces::synthetic::SyntheticError;

use crate::hardware::UnknownModel;
use crate::scenario::SourceError;

/// An experiment can't be run, or its results can't be kept. Nothing half-written is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// Something is wrong in a scenario file; the place is in it.
    #[error("{0}")]
    Scenario(Box<SourceError>),
    /// A scenario made in code breaks a rule.
    #[error("{what}: {hint}")]
    Setting {
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A file can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// No hardware of that name comes with the program.
    #[error("{0}")]
    Hardware(#[from] UnknownModel),
    /// No platform of that name.
    #[error("`{scenario}` has no platform `{name}`\n  hint: {hint}its platforms: {known}")]
    UnknownPlatform {
        /// The name.
        name: String,
        /// The scenario.
        scenario: String,
        /// The nearest name, as a question; may be empty.
        hint: String,
        /// Every name.
        known: String,
    },
    /// A platform's policy does not exist.
    #[error("platform `{platform}`: {cause}")]
    Policy {
        /// The platform.
        platform: String,
        /// What is wrong with it.
        cause: RegistryError,
    },
    /// A platform's policy was made in code, and only the program that made it can run it.
    #[error(
        "the policy of platform `{platform}` was made in code\n  hint: run the program again that \
         made it, or leave this platform out"
    )]
    InCode {
        /// The platform.
        platform: String,
    },
    /// A trace can't be read.
    #[error("{}", trace(.0))]
    Trace(#[from] TraceError),
    /// A workload can't be drawn.
    #[error("{0}")]
    Workload(#[from] SyntheticError),
    /// A run can't be built from its parts.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// A run broke off. The input or a policy is to blame; nothing of it is kept.
    #[error("platform `{platform}`, seed {seed}: {cause}")]
    Run {
        /// The platform.
        platform: String,
        /// The seed.
        seed: u64,
        /// Why.
        cause: RunError,
    },
    /// Results can't be written.
    #[error("can't write to `{}`: {cause}\n  hint: {hint}", path.display())]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        cause: String,
        /// What to do about it.
        hint: String,
    },
    /// It was told to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl ExperimentError {
    pub(crate) fn setting(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Setting {
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn output(path: impl Into<PathBuf>, cause: &io::Error) -> Self {
        Self::Output {
            path: path.into(),
            cause: cause.to_string(),
            hint: "choose another folder with --out".to_owned(),
        }
    }
}

/// A trace's error with place and hint on lines of their own.
fn trace(error: &TraceError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error ").unwrap_or(&text);
    text.replacen("; hint: ", "\n  hint: ", 1)
}
