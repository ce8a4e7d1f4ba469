//! How kinds of jobs use their GPUs: those that come with the program, and a user's own.

mod mix;
mod profile;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use toml::Spanned;
use windtunnel_core::Behaviour;
use windtunnel_traces::KnownBehaviours;

pub(crate) use mix::{Behaving, Weighted};
pub use profile::Profile;

use crate::error::ExperimentError;
use crate::scenario::did_you_mean;
use crate::scenario::source::Source;

/// The profiles that come with the program.
const EMBEDDED: &str = include_str!("../../data/behaviours.toml");

/// Profiles of kinds of jobs, by name.
///
/// ```
/// use windtunnel::Behaviours;
/// let known = Behaviours::embedded();
/// let bert = known.named("pollux-bert")?;
/// assert_eq!(bert.verification, "derived");
/// assert!(known.named("pollux-bart").unwrap_err().to_string().contains("did you mean `pollux-bert`"));
/// # Ok::<(), windtunnel::ExperimentError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviours {
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    behaviours: Vec<Spanned<Profile>>,
}

impl Behaviours {
    /// Those that come with the program.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn embedded() -> Self {
        static PROFILES: LazyLock<Behaviours> = LazyLock::new(|| {
            let read = read(EMBEDDED, "behaviours.toml", Vec::new());
            let profiles = read.expect("a test reads the embedded behaviours");
            Behaviours { profiles }
        });
        PROFILES.clone()
    }

    /// Those and the ones of a file.
    ///
    /// # Errors
    /// It can't be read, or something is wrong in it: with line, column and a hint.
    pub fn with_file(path: &Path) -> Result<Self, ExperimentError> {
        Self::with_text(&text_of(path)?, &path.display().to_string())
    }

    /// Those and the ones of a text; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`with_file`](Self::with_file).
    pub fn with_text(text: &str, file: &str) -> Result<Self, ExperimentError> {
        let profiles = read(text, file, Self::embedded().profiles)?;
        Ok(Self { profiles })
    }

    /// All of them, in the order of the files.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// One of them.
    ///
    /// # Errors
    /// None has the name.
    pub fn named(&self, name: &str) -> Result<&Profile, ExperimentError> {
        let names = || self.profiles.iter().map(|profile| &*profile.name);
        let found = self.profiles.iter().find(|profile| profile.name == name);
        found.ok_or_else(|| {
            let hint = did_you_mean(name, names());
            let known = names().collect::<Vec<_>>().join(", ");
            ExperimentError::setting(
                format!("there is no behaviour `{name}`"),
                format!("{hint}it is one of: {known}"),
            )
        })
    }

    /// All of them, ready to be given to jobs.
    ///
    /// # Errors
    /// A profile that [`Profile::behaviour`] refuses; those that were read were all taken.
    pub fn ready(&self) -> Result<KnownBehaviours, ExperimentError> {
        let one = |profile: &Profile| {
            let behaviour = profile.behaviour().map_err(|error| {
                ExperimentError::setting(format!("behaviour `{}`", profile.name), error)
            })?;
            Ok(Arc::new(behaviour))
        };
        let ready: Result<Vec<_>, ExperimentError> = self.profiles.iter().map(one).collect();
        Ok(KnownBehaviours::new(ready?))
    }

    /// The behaviours of a mix, as `ready` has them.
    pub(crate) fn mixed(
        &self,
        ready: &KnownBehaviours,
        mix: &[(String, u32)],
    ) -> Result<Vec<(Arc<Behaviour>, u32)>, ExperimentError> {
        let mut mixed = Vec::with_capacity(mix.len());
        for (name, weight) in mix {
            let name = &self.named(name)?.name;
            mixed.extend(ready.named(name).map(|known| (Arc::clone(known), *weight)));
        }
        Ok(mixed)
    }
}

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, ExperimentError> {
    std::fs::read_to_string(path).map_err(|cause| ExperimentError::Read {
        path: path.to_owned(),
        cause,
    })
}

/// Adds the profiles of a text to others.
fn read(text: &str, file: &str, mut known: Vec<Profile>) -> Result<Vec<Profile>, ExperimentError> {
    let source = Source { file, text };
    let refuse = |at, message: &str, label: String| {
        ExperimentError::Scenario(source.error(at, message, label))
    };
    let read: File = toml::from_str(text).map_err(|error| {
        let label = error.message().replace('\n', ", ");
        refuse(
            error.span().unwrap_or(0..0),
            "this is no list of behaviours",
            label,
        )
    })?;
    for profile in read.behaviours {
        let at = profile.span();
        let profile = profile.into_inner();
        if let Err(label) = profile.behaviour() {
            return Err(refuse(at, "bad behaviour", label));
        }
        if known.iter().any(|other| other.name == profile.name) {
            let label = format!("there is a behaviour `{}` already", profile.name);
            return Err(refuse(at, "bad behaviour", label));
        }
        known.push(profile);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_ones_are_read_and_say_where_they_are_from() {
        let known = Behaviours::embedded();
        assert!(known.profiles().len() >= 30);
        for profile in known.profiles() {
            let tags = ["source", "secondary", "general", "derived"];
            assert!(tags.contains(&&*profile.verification), "{}", profile.name);
            assert!(!profile.source.is_empty());
            profile.behaviour().unwrap();
        }
    }

    #[test]
    fn a_bad_file_is_refused_with_a_place_and_a_hint() {
        let said = |text: &str| {
            Behaviours::with_text(text, "own.toml")
                .unwrap_err()
                .to_string()
        };
        let head = "[[behaviours]]\nname = \"mine\"\nsource = \"me\"\nverification = \"general\"\n";
        let with = |line: &str| said(&format!("{head}{line}\n"));
        assert!(with("compute_us = 1.0").contains("own.toml:5:1"));
        assert!(
            with("compute_us = 1.0").contains("compute_use"),
            "names the keys it takes"
        );
        assert!(with("compute_use = 1.5").contains("`compute_use` is from 0 to 1"));
        assert!(with("compute_use = 0.0").contains("compute use must be above zero"));
        assert!(
            with("step = { pass_ms = 1, overlap = 0.5 }").contains("`overlap` is from 1 to 10")
        );
        assert!(with("cycle = { phases = [[\"1 fortnight\", 0.5]] }").contains("fortnight"));
        let twice = head.replace("mine", "notebook");
        assert!(said(&twice).contains("there is a behaviour `notebook` already"));
    }
}
