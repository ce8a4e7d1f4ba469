//! `manifest.json`: what was run, in full, and the fingerprint of every run. The manifest alone can
//! be run again: `windtunnel compare DIR/manifest.json`.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::ExperimentError;
use crate::scenario::Scenario;
use crate::sweep::Comparison;

/// Name of the file.
pub const FILE: &str = "manifest.json";
/// What `schema` says in every manifest of ours.
pub const SCHEMA: &str = "windtunnel-manifest";
/// The version of its form that this release writes and reads.
pub const SCHEMA_VERSION: u64 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    schema: &'a str,
    schema_version: u64,
    /// Version of the program: results are the same for the same release.
    version: &'a str,
    scenario: &'a Scenario,
    platforms: Vec<PlatformEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceEntry<'a>>,
    runs: Vec<RunEntry<'a>>,
}

#[derive(Serialize)]
struct PlatformEntry<'a> {
    name: &'a str,
    policy: &'a str,
    /// What the policy was allowed to know about jobs.
    knowledge: &'a str,
}

#[derive(Serialize)]
struct TraceEntry<'a> {
    path: &'a str,
    digest: String,
    rows_read: u64,
    jobs: u64,
    repaired: u64,
    dropped: u64,
    remarks: u64,
}

#[derive(Serialize)]
struct RunEntry<'a> {
    platform: &'a str,
    seed: u64,
    digest: String,
}

/// The manifest of a comparison, as text.
///
/// # Errors
/// The scenario has something that JSON has no words for, such as a path that is not Unicode.
pub fn text(comparison: &Comparison) -> Result<String, ExperimentError> {
    let scenario = &comparison.scenario;
    let platforms = scenario
        .platforms
        .iter()
        .enumerate()
        .map(|(place, platform)| {
            let knowledge = comparison
                .of_platform(place)
                .first()
                .map(|run| run.report.knowledge);
            PlatformEntry {
                name: &platform.name,
                policy: &platform.policy,
                knowledge: knowledge.unwrap_or_default().name(),
            }
        });
    let trace = comparison.trace.as_ref().map(|trace| TraceEntry {
        path: &trace.path,
        digest: trace.digest.to_string(),
        rows_read: trace.counts.rows_read,
        jobs: trace.counts.jobs,
        repaired: trace.counts.repaired,
        dropped: trace.counts.dropped,
        remarks: trace.counts.remarks,
    });
    let runs = comparison.runs.iter().map(|run| RunEntry {
        platform: &scenario.platforms[run.key.platform].name,
        seed: scenario.run.seeds[run.key.seed],
        digest: run.report.digest.to_string(),
    });
    let manifest = Manifest {
        schema: SCHEMA,
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION"),
        scenario,
        platforms: platforms.collect(),
        trace,
        runs: runs.collect(),
    };
    let mut text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| ExperimentError::setting("manifest", error.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// The runs that a manifest recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The release that made them; only the same one promises the same results.
    pub version: String,
    /// Platform, seed, digest.
    pub runs: Vec<(String, u64, String)>,
}

/// What a manifest recorded; `None` if the file is not one.
#[must_use]
pub fn recorded(path: &Path) -> Option<Recorded> {
    let value: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    if value["schema"] != SCHEMA {
        return None;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let run = |run: &Value| {
        Some((
            text(&run["platform"])?,
            run["seed"].as_u64()?,
            text(&run["digest"])?,
        ))
    };
    Some(Recorded {
        version: text(&value["version"])?,
        runs: value["runs"]
            .as_array()?
            .iter()
            .map(run)
            .collect::<Option<_>>()?,
    })
}

/// Whether a file is a manifest of ours, of any version.
pub(crate) fn is_ours(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    serde_json::from_str::<Value>(&text).is_ok_and(|value| value["schema"] == SCHEMA)
}

/// The scenario of a manifest, as TOML.
pub(crate) fn scenario_text(text: &str, file: &str) -> Result<String, ExperimentError> {
    let bad = |hint: String| ExperimentError::setting(format!("`{file}` is no manifest"), hint);
    let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if value["schema"] != SCHEMA {
        return Err(bad(format!("its `schema` is not \"{SCHEMA}\"")));
    }
    if value["schema_version"] != SCHEMA_VERSION {
        let found = &value["schema_version"];
        return Err(bad(format!(
            "this release reads version {SCHEMA_VERSION}, not {found}"
        )));
    }
    toml::to_string(&value["scenario"]).map_err(|error| bad(error.to_string()))
}
