//! Where scenarios come from: the binary itself, files, manifests.

use std::fs;
use std::path::Path;

use super::source::Source;
use super::{Scenario, decode};
use crate::error::ExperimentError;
use crate::output::manifest;

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

/// The scenarios that come with the program: `campus`, and one per published claim that the tests check
/// (docs/VALIDATION.md).
pub const EMBEDDED: &[Embedded] = &[
    Embedded {
        name: "campus",
        text: include_str!("../../data/campus.toml"),
    },
    Embedded {
        name: "claim-fragmentation",
        text: include_str!("../../scenarios/claims/fragmentation.toml"),
    },
    Embedded {
        name: "claim-numa-llm",
        text: include_str!("../../scenarios/claims/numa-llm.toml"),
    },
    Embedded {
        name: "claim-numa-input",
        text: include_str!("../../scenarios/claims/numa-input.toml"),
    },
    Embedded {
        name: "claim-links-nvswitch",
        text: include_str!("../../scenarios/claims/links-nvswitch.toml"),
    },
    Embedded {
        name: "claim-links-cube-mesh",
        text: include_str!("../../scenarios/claims/links-cube-mesh.toml"),
    },
    Embedded {
        name: "claim-links-bridges",
        text: include_str!("../../scenarios/claims/links-bridges.toml"),
    },
    Embedded {
        name: "claim-links-mixed",
        text: include_str!("../../scenarios/claims/links-mixed.toml"),
    },
    Embedded {
        name: "claim-dynamic-needs",
        text: include_str!("../../scenarios/claims/dynamic-needs.toml"),
    },
    Embedded {
        name: "claim-dynamic-needs-mps",
        text: include_str!("../../scenarios/claims/dynamic-needs-mps.toml"),
    },
];

impl Scenario {
    /// The embedded scenario `campus`: 38 owned nodes of 8 GPUs, 30 days, 5,000 jobs.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn campus() -> Self {
        let campus = EMBEDDED[0];
        Self::from_toml(campus.text, campus.name).expect("a test reads the embedded scenario")
    }

    /// Reads TOML; `file` is its name in messages. Paths are relative to the working directory.
    ///
    /// # Errors
    /// With file, line, column and a hint.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ExperimentError> {
        Self::read(text, file)?.complete()
    }

    fn read(text: &str, file: &str) -> Result<Self, ExperimentError> {
        decode::decode(Source { file, text }).map_err(ExperimentError::Scenario)
    }

    /// The scenario as TOML, all defaults spelled out; reading it back gives the same.
    ///
    /// # Errors
    /// A value that TOML has no words for, such as a path that is not Unicode.
    pub fn to_toml(&self) -> Result<String, ExperimentError> {
        toml::to_string(self)
            .map_err(|error| ExperimentError::setting(error.to_string(), "TOML can't hold it"))
    }

    /// Reads a scenario file, or the scenario in the manifest of an earlier run. Its paths are
    /// relative to the file.
    ///
    /// # Errors
    /// It can't be read, or something is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|cause| ExperimentError::Read {
            path: path.to_owned(),
            cause,
        })?;
        let text = String::from_utf8(bytes).map_err(|_| {
            ExperimentError::setting(name.clone(), "a scenario is text in UTF-8, and this is not")
        })?;
        let mut scenario = if text.trim_start().starts_with('{') {
            let text = manifest::scenario_text(&text, &name)?;
            Self::read(&text, &format!("{name} (its scenario as TOML)"))?
        } else {
            Self::read(&text, &name)?
        };
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        scenario.resolve_paths(&folder);
        scenario.complete()
    }

    /// An embedded scenario by name, else a file.
    ///
    /// # Errors
    /// As [`load`](Self::load); a word that is neither lists the embedded ones.
    pub fn named(text: &str) -> Result<Self, ExperimentError> {
        let path = Path::new(text);
        let embedded = EMBEDDED.iter().find(|embedded| embedded.name == text);
        match embedded {
            Some(embedded) if !path.exists() => Self::from_toml(embedded.text, embedded.name),
            _ => Self::load(path),
        }
    }
}
