//! `windtunnel diff`: finds the two runs, and prints where they part.

use std::path::Path;

use windtunnel::diff::{self, Chosen};
use windtunnel::policies::policy;
use windtunnel::{ExperimentError, PlatformSpec};

use super::Verdict;
use super::args::Diff;
use super::page::print;
use super::past::{Past, seed_of};

pub(super) fn command(options: &Diff) -> Result<Verdict, ExperimentError> {
    let pair = pair(&options.runs)?;
    let mut pasts = Vec::new();
    let mut places = Vec::new();
    for (folder, platform) in &pair {
        let mut past = Past::named(folder)?;
        places.push((
            platform_of(&mut past, folder, *platform)?,
            seed_of(&past.scenario, options.seed)?,
        ));
        pasts.push(past);
    }
    let chosen = |side: usize| Chosen {
        scenario: &pasts[side].scenario,
        platform: places[side].0,
        seed: places[side].1,
    };
    let found = diff::runs(chosen(0), chosen(1))?;
    for side in 0..2 {
        let (platform, seed) = places[side];
        if pasts[side].check(platform, seed, found.reports[side].digest) == Verdict::FellShort {
            return Ok(Verdict::FellShort);
        }
    }
    print(&found.to_string());
    Ok(Verdict::Fine)
}

/// Folder and platform of both runs: `DIR A B`, or `FOLDER:A FOLDER:B`.
fn pair(runs: &[String]) -> Result<[(&str, Option<&str>); 2], ExperimentError> {
    match runs {
        [folder, left, right] => Ok([(folder, Some(left)), (folder, Some(right))]),
        [left, right] => Ok([split(left), split(right)]),
        _ => Err(ExperimentError::Setting {
            what: "which runs?".to_owned(),
            hint: "windtunnel diff DIR PLATFORM PLATFORM".to_owned(),
        }),
    }
}

/// What exists as it is named is a folder or file; else the last colon parts it from the platform.
fn split(run: &str) -> (&str, Option<&str>) {
    match run.rsplit_once(':') {
        Some((folder, platform)) if !Path::new(run).exists() => (folder, Some(platform)),
        _ => (run, None),
    }
}

/// A platform by name; else a policy, which becomes a platform of its own.
fn platform_of(
    past: &mut Past,
    folder: &str,
    name: Option<&str>,
) -> Result<usize, ExperimentError> {
    let platforms = &past.scenario.platforms;
    let is_known = |name: &str| platforms.iter().any(|platform| platform.name == name);
    match name {
        Some(name) if !is_known(name) && policy(name).is_ok() => {
            let mut scenario = past.scenario.clone();
            scenario.platforms.push(PlatformSpec::new(name, name));
            past.scenario = scenario.complete()?;
            Ok(past.scenario.platforms.len() - 1)
        }
        Some(name) => past.scenario.platform_named(name),
        None if platforms.len() == 1 => Ok(0),
        None => {
            let names: Vec<&str> = platforms.iter().map(|platform| &*platform.name).collect();
            Err(ExperimentError::Setting {
                what: format!("which platform of `{folder}`?"),
                hint: format!("say {folder}:{}; it has {}", names[0], names.join(", ")),
            })
        }
    }
}
