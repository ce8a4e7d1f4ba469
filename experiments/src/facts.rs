//! What a reader should know of the jobs before believing the figures.

use windtunnel_core::{Horizon, JobId, JobSpec, SimTime, Work};

use crate::error::ExperimentError;
use crate::scenario::Scenario;
use crate::words::{count, things};

/// Counts over the jobs of one seed that no figure of a run tells.
///
/// Taken once per list, in one pass; a stream has none, since it is never seen whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// Jobs that are submitted by the end of the run.
    pub jobs: u64,
    /// Those of them that never end.
    pub endless: u64,
    /// Those that do end, and have neither an estimate nor a walltime limit: a policy that goes by
    /// estimates takes them for endless.
    pub unknown: u64,
    /// Jobs that are submitted after the end of the run, which leaves them out.
    pub late: u64,
    /// The first of these, by name or else id, and its submission.
    pub first_late: Option<(String, SimTime)>,
}

impl JobFacts {
    /// Of jobs in order of submission.
    pub(crate) fn of(jobs: &[JobSpec], horizon: Horizon) -> Self {
        let all = jobs;
        let jobs = in_time(all, horizon);
        let in_time = jobs.len();
        let mut facts = Self {
            jobs: in_time as u64,
            late: (all.len() - in_time) as u64,
            first_late: all.get(in_time).map(|job| {
                let id = JobId(u32::try_from(in_time).unwrap_or(u32::MAX));
                let name = job.name.as_deref();
                (
                    name.map_or_else(|| id.to_string(), str::to_owned),
                    job.submit,
                )
            }),
            ..Self::default()
        };
        for job in jobs {
            let request = &job.request;
            let is_endless = job.profile.work == Work::Endless;
            let is_unknown = request.estimate.or(request.limit).is_none();
            facts.endless += u64::from(is_endless);
            facts.unknown += u64::from(is_unknown && !is_endless);
        }
        facts
    }
}

/// Those of jobs in order of submission that are submitted by the end of the run.
pub(crate) fn in_time(jobs: &[JobSpec], horizon: Horizon) -> &[JobSpec] {
    let end = match horizon {
        Horizon::After(length) => SimTime::ZERO.saturating_add(length),
        Horizon::Drain => SimTime::MAX,
    };
    // The instant at the end is still taken.
    &jobs[..jobs.partition_point(|job| job.submit <= end)]
}

/// Submissions from here on look like Unix time [s]: it passed this in 2001.
const UNIX_TIME_MIN: u64 = 1_000_000_000;

const UNIX_TIME_HINT: &str = "submissions count from the start of the run, and this looks like Unix \
                              time: subtract the first one from all";

/// Refuses a table whose first job is submitted by Unix time.
pub(crate) fn refuse_unix_time(first: &JobSpec) -> Result<(), ExperimentError> {
    let seconds = first.submit.as_nanos() / 1_000_000_000;
    if seconds < UNIX_TIME_MIN {
        return Ok(());
    }
    let name = first.name.as_deref().unwrap_or("job-0");
    Err(ExperimentError::Setting {
        what: format!("the first job, {name}, is submitted {seconds} s after the start of the run"),
        hint: UNIX_TIME_HINT.to_owned(),
    })
}

/// No job is submitted by the end of the run; of a table that was read whole: its jobs, the first of
/// them, and when that is submitted.
pub(crate) fn none_in_time(
    scenario: &Scenario,
    first: Option<(u64, &str, SimTime)>,
) -> ExperimentError {
    let end = match scenario.run.horizon {
        Horizon::After(length) => format!(" ({length})"),
        Horizon::Drain => String::new(),
    };
    let mut what = format!("no job is submitted before the end of the run{end}");
    let mut hint = "submissions count from the start of the run";
    if let Some((jobs, name, submit)) = first {
        let seconds = submit.as_nanos() / 1_000_000_000;
        let jobs = things(&count(jobs), "job");
        what += &format!(": of {jobs} the first is {name}, at {seconds} s");
        if seconds >= UNIX_TIME_MIN {
            hint = UNIX_TIME_HINT;
        }
    }
    ExperimentError::Setting {
        what,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use windtunnel_core::{SimDuration, TaskRequest};

    use super::*;

    #[test]
    fn jobs_after_the_end_are_counted_apart() {
        let job = |at| {
            let run = SimDuration::from_secs(60);
            JobSpec::new(SimTime::from_secs(at), TaskRequest::gpus(1), run)
        };
        let mut service = job(5);
        service.profile.work = Work::Endless;
        let hour = SimDuration::from_hours(1);
        let jobs = [
            job(0),
            job(1).limit(hour),
            job(2).estimate(hour),
            service,
            job(10),
            job(11).named("late"),
            job(12),
        ];
        let facts = JobFacts::of(&jobs, Horizon::After(SimDuration::from_secs(10)));
        assert_eq!((facts.jobs, facts.endless, facts.unknown), (5, 1, 2));
        assert_eq!(facts.late, 2);
        assert_eq!(
            facts.first_late,
            Some(("late".to_owned(), SimTime::from_secs(11)))
        );
        let facts = JobFacts::of(&jobs, Horizon::Drain);
        assert_eq!((facts.jobs, facts.late, facts.first_late), (7, 0, None));
    }
}
