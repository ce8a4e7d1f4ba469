//! Finds a job by its id or its name, before anything runs.

use windtunnel_core::{Arrivals, Horizon, JobId, Names, SimTime};

use crate::error::ExperimentError;
use crate::jobs::JobSource;
use crate::scenario::{Scenario, did_you_mean};

/// Jobs that an error lists.
const LISTED: usize = 8;

/// A job that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: JobId,
    /// Another job that has this id for a name.
    pub(super) namesake: Option<JobId>,
}

/// Goes through the jobs of a seed once: O(jobs), nothing kept.
pub(super) fn find(
    scenario: &Scenario,
    source: &JobSource<'_>,
    seed: usize,
    text: &str,
) -> Result<Found, ExperimentError> {
    let number = text
        .strip_prefix("job-")
        .unwrap_or(text)
        .parse()
        .ok()
        .map(JobId);
    let mut named: Vec<JobId> = Vec::new();
    let mut count = 0_u32;
    each(scenario, source, seed, |id, name| {
        count = count.saturating_add(1);
        if name == Some(text) {
            named.push(id);
        }
        true
    })?;
    let by_id = number.filter(|id| id.0 < count);
    match (by_id, &named[..]) {
        // A bare number is an id only where nobody bears it as a name.
        (Some(id), named) if text.starts_with("job-") || named.is_empty() => Ok(Found {
            id,
            namesake: named.iter().copied().find(|other| *other != id),
        }),
        (_, &[id]) => Ok(Found { id, namesake: None }),
        (_, []) => Err(unknown(scenario, source, seed, text, count)?),
        (_, several) => Err(several_named(text, several)),
    }
}

/// Calls with every job in order of id, up to the horizon or until it says stop.
fn each(
    scenario: &Scenario,
    source: &JobSource<'_>,
    seed: usize,
    mut visit: impl FnMut(JobId, Option<&str>) -> bool,
) -> Result<(), ExperimentError> {
    let (mut arrivals, mut names): (Box<dyn Arrivals>, Names) = source.jobs(seed)?;
    let end = match scenario.run.horizon {
        Horizon::After(length) => SimTime::ZERO.checked_add(length),
        Horizon::Drain => None,
    };
    let mut id = 0;
    while let Some(job) = arrivals.next(&mut names) {
        let job = job.map_err(|error| ExperimentError::setting(error.message, "mend the trace"))?;
        if end.is_some_and(|end| job.submit > end) || !visit(JobId(id), job.name.as_deref()) {
            break;
        }
        id += 1;
    }
    Ok(())
}

fn unknown(
    scenario: &Scenario,
    source: &JobSource<'_>,
    seed: usize,
    text: &str,
    count: u32,
) -> Result<ExperimentError, ExperimentError> {
    let mut near: Option<(usize, String)> = None;
    each(scenario, source, seed, |_, name| {
        if let Some(name) = name {
            let distance = strsim::damerau_levenshtein(text, name);
            if near.as_ref().is_none_or(|(least, _)| distance < *least) {
                near = Some((distance, name.to_owned()));
            }
        }
        true
    })?;
    let near = near.map(|(_, name)| did_you_mean(text, [&*name]));
    let range = match count {
        0 => "there are no jobs".to_owned(),
        _ => format!("ids go from job-0 to job-{}, as in jobs.csv", count - 1),
    };
    Ok(ExperimentError::setting(
        format!("no job `{text}`"),
        format!("{}{range}", near.unwrap_or_default()),
    ))
}

fn several_named(text: &str, several: &[JobId]) -> ExperimentError {
    let shown: Vec<String> = several
        .iter()
        .take(LISTED)
        .map(ToString::to_string)
        .collect();
    let more = match several.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ExperimentError::setting(
        format!("{} jobs are named `{text}`", several.len()),
        format!("say which: {}{more}", shown.join(", ")),
    )
}
