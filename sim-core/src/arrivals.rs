//! Where jobs come from: a stream, read beside the event queue and never preloaded into it.

use crate::job::JobSpec;
use crate::names::Names;

/// A stream of jobs in order of submission.
///
/// Memory stays bounded by the jobs alive: the engine asks for the next job only when it has
/// submitted the one before.
pub trait Arrivals: Send {
    /// The next job, or `None` at the end. Names met on the way are interned in `names`.
    ///
    /// Submission times must not decrease; the engine refuses a stream that goes back.
    ///
    /// # Errors
    /// What the source says of a row it can't read; the run ends with it.
    fn next(&mut self, names: &mut Names) -> Option<Result<JobSpec, ArrivalError>>;

    /// The same, written over `spec`: what millions of jobs pass through. A list in memory need not
    /// build each job first and move it then. What `spec` is after an error or at the end is no matter.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    fn next_into(
        &mut self,
        names: &mut Names,
        spec: &mut JobSpec,
    ) -> Option<Result<(), ArrivalError>> {
        Some(self.next(names)?.map(|job| *spec = job))
    }

    /// An independent copy that yields the same rest, for [`Simulation::fork`](crate::Simulation::fork).
    ///
    /// # Errors
    /// A one-shot stream (a pipe, a decompressor) can't be copied.
    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable>;
}

/// Why a stream of jobs broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArrivalError {
    /// File, line, field and hint, ready to print.
    pub message: String,
}

/// The stream can be read once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this stream of jobs can be read once only; collect it into a list to fork the run")]
pub struct NotForkable;

/// Jobs from a list in memory, sorted by submission (stable).
///
/// ```
/// use windtunnel_core::{Arrivals, JobList, JobSpec, Names, SimDuration, SimTime, TaskRequest};
/// let late = JobSpec::new(SimTime::from_secs(9), TaskRequest::gpus(1), SimDuration::from_secs(1));
/// let early = JobSpec::new(SimTime::from_secs(3), TaskRequest::gpus(1), SimDuration::from_secs(1));
/// let mut jobs = JobList::new(vec![late, early]);
/// let first = jobs.next(&mut Names::default()).unwrap()?;
/// assert_eq!(first.submit, SimTime::from_secs(3));
/// # Ok::<(), windtunnel_core::ArrivalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JobList {
    jobs: std::sync::Arc<[JobSpec]>,
    next: usize,
}

impl JobList {
    /// A stream over `jobs`. Cloning it (one per platform and seed) shares the list.
    #[must_use]
    pub fn new(mut jobs: Vec<JobSpec>) -> Self {
        jobs.sort_by_key(|job| job.submit);
        Self {
            jobs: jobs.into(),
            next: 0,
        }
    }

    /// Number of jobs in the whole list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// All jobs of the list in order of submission.
    #[must_use]
    pub fn jobs(&self) -> &[JobSpec] {
        &self.jobs
    }
}

impl Arrivals for JobList {
    fn next(&mut self, _names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        let job = self.jobs.get(self.next)?.clone();
        self.next += 1;
        Some(Ok(job))
    }

    fn next_into(
        &mut self,
        _names: &mut Names,
        spec: &mut JobSpec,
    ) -> Option<Result<(), ArrivalError>> {
        let JobSpec {
            submit,
            name,
            request,
            profile,
        } = self.jobs.get(self.next)?;
        self.next += 1;
        spec.submit = *submit;
        spec.name.clone_from(name);
        spec.request.clone_from(request);
        spec.profile.clone_from(profile);
        Some(Ok(()))
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Ok(Box::new(self.clone()))
    }
}

/// Builds a stream from a `Vec`, as [`JobList::new`].
impl From<Vec<JobSpec>> for JobList {
    fn from(jobs: Vec<JobSpec>) -> Self {
        Self::new(jobs)
    }
}
