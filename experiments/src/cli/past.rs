//! Runs of the past, found by the folder they were written to.

use std::path::{Path, PathBuf};

use windtunnel::core::hash::Digest;
use windtunnel::output::manifest;
use windtunnel::{ExperimentError, Scenario};

use super::Verdict;

/// A folder that was written earlier.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) scenario: Scenario,
    manifest: PathBuf,
}

impl Past {
    /// A folder, or the manifest in it.
    pub(super) fn open(folder: &Path) -> Result<Self, ExperimentError> {
        let manifest = if folder.is_dir() {
            folder.join(manifest::FILE)
        } else {
            folder.to_owned()
        };
        let shown = manifest.display();
        if !manifest.exists() {
            return Err(ExperimentError::Setting {
                what: format!("there is no `{shown}`"),
                hint: "name the folder that `windtunnel compare --out DIR` wrote".to_owned(),
            });
        }
        if manifest::recorded(&manifest).is_none() {
            return Err(ExperimentError::Setting {
                what: format!("`{shown}` is no manifest"),
                hint: "`windtunnel compare` writes one to its folder".to_owned(),
            });
        }
        let scenario = Scenario::load(&manifest)?;
        Ok(Self { scenario, manifest })
    }

    /// A folder of ours, else whatever holds a scenario: a file, or the name of an embedded one.
    pub(super) fn named(text: &str) -> Result<Self, ExperimentError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Self::open(path);
        }
        Ok(Self {
            scenario: Scenario::named(text)?,
            manifest: path.to_owned(),
        })
    }

    /// Whether a run gave the digest again that the manifest has; says so if not.
    pub(super) fn check(&self, platform: usize, seed: usize, now: Digest) -> Verdict {
        let Some(recorded) = manifest::recorded(&self.manifest) else {
            return Verdict::Fine;
        };
        if recorded.version != env!("CARGO_PKG_VERSION") {
            let (then, now) = (recorded.version, env!("CARGO_PKG_VERSION"));
            eprintln!("note: made by release {then}, run by {now}: it may be another run");
            return Verdict::Fine;
        }
        let name = &self.scenario.platforms[platform].name;
        let seed = self.scenario.run.seeds[seed];
        let mut runs = recorded.runs.into_iter();
        let then = runs.find(|(platform, s, _)| platform == name && *s == seed);
        match then {
            Some((_, _, then)) if then != now.to_string() => {
                eprintln!(
                    "check failed: {name}, seed {seed}: digest {now}, the manifest has {then}\n  \
                     hint: this is not the run that was written; its trace or this program changed"
                );
                Verdict::FellShort
            }
            _ => Verdict::Fine,
        }
    }
}

/// The place of a seed in a scenario; the first if none is asked for.
pub(super) fn seed_of(scenario: &Scenario, seed: Option<u64>) -> Result<usize, ExperimentError> {
    let Some(seed) = seed else { return Ok(0) };
    let seeds = &scenario.run.seeds;
    seeds.iter().position(|s| *s == seed).ok_or_else(|| {
        let known: Vec<String> = seeds.iter().take(12).map(ToString::to_string).collect();
        let more = if seeds.len() > 12 { ", …" } else { "" };
        ExperimentError::Setting {
            what: format!("`{}` has no seed {seed}", scenario.run.name),
            hint: format!("its seeds: {}{more}", known.join(", ")),
        }
    })
}
