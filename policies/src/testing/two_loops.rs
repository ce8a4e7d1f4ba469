//! Two loops of one scheduler.

use windtunnel_core::{Decisions, Fit, JobId, News, Policy, Reason, SimDuration, SimTime, View};

/// slurmctld in miniature. The main loop runs whenever something happens and starts jobs strictly
/// in order. The backfill loop runs every `interval`; it looks at `slice` jobs, gives the locks up
/// for `pause`, and goes on where it stopped: its cursor outlives the call, so what it decides about
/// the end of a long queue is decided later, in simulated time.
///
/// Left out: the reservations that keep backfilled jobs from delaying the first one.
#[derive(Clone, Copy, Debug)]
pub struct TwoLoops {
    interval: SimDuration,
    pause: SimDuration,
    slice: usize,
    next: SimTime,
    cursor: Option<JobId>,
}

impl TwoLoops {
    /// Backfill every `interval`, `slice` jobs at a time with `pause` in between.
    #[must_use]
    pub const fn new(interval: SimDuration, pause: SimDuration, slice: usize) -> Self {
        Self {
            interval,
            pause,
            slice,
            next: SimTime::from_nanos(interval.as_nanos()),
            cursor: None,
        }
    }

    /// One slice of the backfill loop.
    fn backfill(&mut self, view: &View<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        let cursor = self.cursor;
        let mut rest = view
            .pending_jobs()
            .skip_while(|job| cursor.is_some_and(|seen| job.job_id() <= seen));
        for job in rest.by_ref().take(self.slice) {
            self.cursor = Some(job.job_id());
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
        let more = rest.next().is_some();
        if !more {
            self.cursor = None;
        }
        self.next = view.now() + if more { self.pause } else { self.interval };
    }
}

impl Policy for TwoLoops {
    fn name(&self) -> &str {
        "two-loops"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        if view.now() >= self.next {
            self.backfill(view, out);
        } else {
            let mut plan = view.plan();
            for job in view.pending_jobs() {
                match plan.first_fit(job) {
                    Fit::Now(spots) => out.place(job.id(), spots),
                    Fit::NotNow | Fit::Never => {
                        out.waiting(job.id(), Reason::DoesNotFit);
                        out.rest(job.queue(), Reason::HeadOfLine);
                        break;
                    }
                }
            }
        }
        if view.pending_count() > 0 {
            out.wake_at(self.next);
        }
    }
}
