//! Jobs take turns on the same GPUs.

use windtunnel_core::{
    Decisions, Fit, JobNews, JobRef, Keeps, News, Policy, Save, SimDuration, SimTime, TaskState,
    Then, View,
};

/// Slurm's gang scheduling with one slot: at the end of every time slice the running job is
/// suspended, keeping its host memory but not its GPUs, and the next one in the ring is started or
/// resumed where it was.
#[derive(Clone, Debug)]
pub struct Alternator {
    slice: SimDuration,
    /// Jobs in order of their turns; the first has it.
    ring: Vec<JobRef>,
    end: SimTime,
}

impl Alternator {
    /// Turns of `slice`.
    #[must_use]
    pub const fn new(slice: SimDuration) -> Self {
        Self {
            slice,
            ring: Vec::new(),
            end: SimTime::ZERO,
        }
    }

    /// Suspends whoever has the turn.
    fn suspend_first(&mut self, view: &View<'_>, out: &mut Decisions) {
        let Some(&first) = self.ring.first() else {
            return;
        };
        if view.job(first).is_some_and(|job| job.tasks_bound() > 0) {
            let keeps = Keeps::Memory;
            out.evict(first, SimDuration::ZERO, Save::No, Then::Suspend { keeps });
        }
        self.ring.rotate_left(1);
    }

    /// Starts or resumes whoever has the turn, on what the one before left.
    fn start_first(&mut self, view: &View<'_>, before: Option<JobRef>, out: &mut Decisions) {
        let Some(job) = self.ring.first().and_then(|first| view.job(*first)) else {
            return;
        };
        if job.tasks_in(TaskState::Suspended) > 0 {
            out.resume(job.id());
        } else if job.tasks_in(TaskState::Pending) > 0 {
            let mut plan = view.plan();
            for task in before
                .and_then(|b| view.job(b))
                .iter()
                .flat_map(|b| b.tasks())
            {
                plan.suspend(task, Keeps::Memory);
            }
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
        self.end = view.now() + self.slice;
    }
}

impl Policy for Alternator {
    fn name(&self) -> &str {
        "alternator"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let first = self.ring.first().copied();
        for change in news.jobs {
            match change.what {
                JobNews::Created => self.ring.push(change.job),
                JobNews::Ended(_) => self.ring.retain(|job| *job != change.job),
                _ => {}
            }
        }
        if self.ring.first().copied() != first {
            self.start_first(view, None, out);
        } else if view.now() >= self.end && self.ring.len() > 1 {
            self.suspend_first(view, out);
            self.start_first(view, first, out);
        }
        if self.ring.len() > 1 {
            out.wake_at(self.end.max(view.now()));
        }
    }
}
