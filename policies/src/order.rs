//! In what order jobs are looked at.

use windtunnel_core::{JobId, JobView, SimDuration};

/// An order of pending jobs; ties go to the job submitted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By submission.
    #[default]
    Fcfs,
    /// Shortest run time first; jobs of unknown run time last.
    Sjf,
    /// Highest priority first.
    Priority,
}

/// A job's place in an order: least is first.
pub type Key = (u64, JobId);

impl Order {
    /// The place of a job that is said to run for `run`.
    #[must_use]
    pub fn key(self, job: JobView<'_>, run: Option<SimDuration>) -> Key {
        let rank = match self {
            Self::Fcfs => 0,
            Self::Sjf => run.map_or(u64::MAX, SimDuration::as_nanos),
            Self::Priority => descending(job.priority()),
        };
        (rank, job.job_id())
    }
}

/// Maps higher to less, without a loss.
pub(crate) fn descending(priority: i64) -> u64 {
    !(priority.cast_unsigned() ^ (1 << 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descending_turns_the_order_around() {
        let priorities = [i64::MIN, -1, 0, 1, i64::MAX];
        let ranks = priorities.map(descending);
        assert!(ranks.is_sorted_by(|a, b| a > b));
    }
}
