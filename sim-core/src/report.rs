//! The figures of a run.

use hdrhistogram::Histogram;

use crate::hash::Digest;
use crate::ledger::{Bucket, LedgerReport};
use crate::policy::Knowledge;
use crate::record::bounded_slowdown_ppm;
use crate::rng::Seed;
use crate::task::Outcome;
use crate::time::{SimDuration, SimTime};

/// A distribution of durations: exact mean, quantiles from an integer log-linear histogram in
/// milliseconds with three digits (error at most 0.1 %, or one millisecond).
#[derive(Clone, Debug)]
pub struct Durations {
    histogram: Histogram<u64>,
    sum: u128,
    count: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            histogram: Histogram::new(3).expect("three digits are within 0 to 5"),
            sum: 0,
            count: 0,
        }
    }
}

impl Durations {
    pub(crate) fn record(&mut self, length: SimDuration) {
        self.sum += u128::from(length.as_nanos());
        self.count += 1;
        // Not `saturating_record`: that clamps to the range of the moment instead of growing it.
        let recorded = self.histogram.record(length.as_millis());
        recorded.expect("a histogram that grows by itself takes any number of milliseconds");
    }

    /// Number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean, rounded down to the nanosecond; `None` if there is none.
    #[must_use]
    pub fn mean(&self) -> Option<SimDuration> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok().map(SimDuration::from_nanos)
    }

    /// The least duration that at least a fraction `q` (0 to 1) does not exceed, to 0.1 %.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<SimDuration> {
        (self.count > 0).then(|| {
            let millis = self.histogram.value_at_quantile(q);
            SimDuration::from_nanos(millis.saturating_mul(1_000_000))
        })
    }
}

/// Counts and distributions over the jobs of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Jobs submitted.
    pub submitted: u64,
    /// Jobs that ended, by [`Outcome`]; index `outcome as usize`.
    pub ended: [u64; 7],
    /// Jobs alive at the end of the run.
    pub unfinished: u64,
    /// Jobs larger than the supply.
    pub never_fit: u64,
    /// Jobs that could fit and had not started by the end of the run.
    pub censored: u64,
    /// Waits of all jobs that could fit; those that had not started count to the end of the run.
    pub wait: Durations,
    /// Completion times of jobs that ended as in the truth.
    pub jct: Durations,
    /// Sum of bounded slowdowns of the same jobs \[ppm\].
    pub bounded_slowdown_ppm: u128,
    /// Units that a policy's eviction took out of Running, suspensions apart.
    pub preemptions: u64,
    /// First submission.
    pub first_submit: Option<SimTime>,
    /// Last end of a job.
    pub last_end: Option<SimTime>,
}

impl Summary {
    /// Jobs that ended with an outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize]
    }

    /// Jobs that ended as in the truth.
    #[must_use]
    pub fn completed(&self) -> u64 {
        [Outcome::Completed, Outcome::Failed, Outcome::Cancelled]
            .into_iter()
            .map(|outcome| self.count(outcome))
            .sum()
    }

    /// Last end − first submission, over jobs that ended; `None` if none did.
    #[must_use]
    pub fn makespan(&self) -> Option<SimDuration> {
        Some(self.last_end?.since(self.first_submit?))
    }

    /// Mean bounded slowdown (τ = 10 s); `None` if no job ended as in the truth.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for output")]
    pub fn bounded_slowdown_mean(&self) -> Option<f64> {
        let mean = self
            .bounded_slowdown_ppm
            .checked_div(u128::from(self.jct.count()))?;
        Some(mean as f64 / 1e6)
    }

    pub(crate) fn add(&mut self, job: &Figures) {
        match job.outcome {
            Some(outcome) => {
                self.ended[outcome as usize] += 1;
                self.last_end = self.last_end.max(Some(job.end));
                if outcome.as_in_truth() && job.start.is_some() {
                    let jct = job.end.since(job.submit);
                    self.jct.record(jct);
                    let run = jct.saturating_sub(job.queued);
                    self.bounded_slowdown_ppm += bounded_slowdown_ppm(jct, run);
                }
            }
            None => self.unfinished += 1,
        }
        if job.never_fits {
            self.never_fit += 1;
            return;
        }
        self.wait
            .record(job.start.unwrap_or(job.end).since(job.submit));
        if job.start.is_none() && job.outcome.is_none() {
            self.censored += 1;
        }
    }
}

/// What a summary takes of a job; the full [`JobRecord`](crate::JobRecord) is made only if asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) never_fits: bool,
    pub(crate) submit: SimTime,
    pub(crate) start: Option<SimTime>,
    pub(crate) end: SimTime,
    pub(crate) queued: SimDuration,
}

/// The result of a run: plain data, enough to repeat it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The platform's name.
    pub platform: String,
    /// Names of its policies, by scheduler.
    pub policies: Vec<String>,
    /// What they were allowed to know, at most.
    pub knowledge: Knowledge,
    /// The seed.
    pub seed: Seed,
    /// When the run ended; capacity is paid to then.
    pub end: SimTime,
    /// Jobs.
    pub summary: Summary,
    /// GPU time and dollars; `None` if the ledger was off.
    pub ledger: Option<LedgerReport>,
    /// Fingerprint of every event and decision.
    pub digest: Digest,
}

impl Report {
    fn share(&self, part: u128, whole: u128) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio, for output")]
        (whole > 0).then(|| part as f64 / whole as f64)
    }

    /// GPU time assigned to tasks ÷ paid GPU time.
    #[must_use]
    pub fn gpu_allocation(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        self.share(ledger.allocated(), ledger.paid())
    }

    /// CPU time held by tasks ÷ CPU time of the nodes that were paid; `None` without cores.
    #[must_use]
    pub fn cpu_allocation(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        self.share(ledger.cpu_allocated, ledger.cpu_paid)
    }

    /// (useful + lost + interference) ÷ allocated: what telemetry of the allocated GPUs would show.
    #[must_use]
    pub fn gpu_utilization(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        let busy = [
            Bucket::AllocatedUseful,
            Bucket::AllocatedLost,
            Bucket::AllocatedInterference,
        ];
        let busy = busy.into_iter().map(|bucket| ledger.amount(bucket)).sum();
        self.share(busy, ledger.allocated())
    }

    /// useful ÷ paid.
    #[must_use]
    pub fn goodput(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        self.share(ledger.amount(Bucket::AllocatedUseful), ledger.paid())
    }

    /// `idle.fragmented` ÷ paid.
    #[must_use]
    pub fn fragmentation(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        self.share(ledger.amount(Bucket::IdleFragmented), ledger.paid())
    }

    /// All dollars ÷ useful GPU-hours; `None` without useful time.
    #[must_use]
    pub fn cost_per_useful_gpu_hour(&self) -> Option<f64> {
        let ledger = self.ledger.as_ref()?;
        let hours = ledger.gpu_hours(Bucket::AllocatedUseful);
        (hours > 0.0).then(|| ledger.total_cost().as_dollars() / hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_long_durations_are_not_clamped() {
        let mut durations = Durations::default();
        for hours in 1..=100 {
            durations.record(SimDuration::from_hours(hours));
        }
        let median = durations.quantile(0.5).unwrap().as_secs_f64() / 3_600.0;
        assert!((median - 50.0).abs() < 0.06, "{median} h");
        let weeks = SimDuration::from_days(10_000);
        durations.record(weeks);
        assert!(durations.quantile(1.0).unwrap() >= weeks);
    }
}
