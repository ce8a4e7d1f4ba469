//! Two-phase placement of bundles, then work within them.

use windtunnel_core::{
    Claim, Commit, Decision, Decisions, Fit, HoldFor, HoldId, HoldPart, JobNews, News, NodeId,
    Policy, Promise, QueueId, Reason, SimDuration, Spot, TaskRequest, TaskState, View,
};

/// Ray's placement group with `STRICT_SPREAD`: one bundle per node is *prepared* (a hold, reserved),
/// and after one round trip either all are *committed* or all are returned and tried again. Jobs of
/// the group's queue run within the bundles, all others beside them; when no job of the group is
/// left, the group is removed.
#[derive(Clone, Debug, Default)]
pub struct Bundles {
    bundle: TaskRequest,
    queue: QueueId,
    round_trip: SimDuration,
    holds: Vec<(HoldId, NodeId)>,
    committed: bool,
    /// Jobs of the group that have not ended.
    members: u32,
}

impl Bundles {
    /// A bundle on each node for the jobs of `queue`; each phase takes `round_trip`.
    #[must_use]
    pub fn new(bundle: TaskRequest, queue: QueueId, round_trip: SimDuration) -> Self {
        Self {
            bundle,
            queue,
            round_trip,
            ..Self::default()
        }
    }

    /// First phase: asks every node for its bundle, whatever it has free.
    fn prepare(&mut self, view: &View<'_>, out: &mut Decisions) {
        let (now, amount) = (view.now(), self.bundle);
        let (who, why, commit) = (HoldFor::Anyone, Reason::Reservation, Commit::Reserve);
        for node in view.nodes().map(|node| node.id()) {
            let part = [HoldPart { node, amount }];
            let hold = out.hold_as(part, now, None, who, why, commit, Claim::Try);
            self.holds.push((hold, node));
        }
        out.wake_at(now + self.round_trip);
    }

    /// Second phase: commits all bundles if every node set its one aside, returns them if not.
    fn commit(&mut self, view: &View<'_>, out: &mut Decisions) {
        let wanted = self.bundle.gpus.milli();
        let ready = view.holds().filter(|hold| hold.backed_milli == wanted);
        self.committed = ready.count() == self.holds.len();
        for what in self.holds.iter().map(|(id, _)| Promise::Hold(*id)) {
            out.push(match self.committed {
                true => Decision::Commit { what },
                false => Decision::Abandon { what },
            });
        }
        if !self.committed {
            self.holds.clear();
            out.wake_at(view.now() + self.round_trip);
        }
    }

    /// Places the group's pending tasks, each in the bundle with most left.
    fn fill(&self, view: &View<'_>, out: &mut Decisions) {
        let backed = view.holds().map(|hold| hold.backed_milli);
        let mut left: Vec<_> = backed.zip(&self.holds).collect();
        for job in view.pending_jobs().filter(|job| job.queue() == self.queue) {
            for task in job
                .tasks()
                .filter(|task| task.state() == TaskState::Pending)
            {
                let milli = task.request().gpus.milli();
                let most = left.iter_mut().rev().max_by_key(|(left, _)| *left);
                if let Some((left, (hold, node))) = most.filter(|(left, _)| *left >= milli) {
                    *left -= milli;
                    let (spot, within) = ([Spot::from(*node)], Some(*hold));
                    out.place_as(task.id(), spot, Commit::NOW, Claim::Sure, within);
                }
            }
        }
    }
}

impl Policy for Bundles {
    fn name(&self) -> &str {
        "bundles"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let mine = |job| view.job(job).is_some_and(|job| job.queue() == self.queue);
        for change in news.jobs.iter().filter(|change| mine(change.job)) {
            match change.what {
                JobNews::Created => {
                    self.members += 1;
                    out.waiting(change.job, Reason::Reservation);
                }
                JobNews::Ended(_) => self.members -= 1,
                _ => {}
            }
        }
        if self.committed && self.members == 0 {
            self.committed = false;
            self.holds.drain(..).for_each(|(id, _)| out.release(id));
            // What the group gives back is there to see at the second look.
            out.wake_at(view.now());
        } else if news.woken && !self.committed && !self.holds.is_empty() {
            self.commit(view, out);
        } else if self.holds.is_empty() && self.members > 0 {
            self.prepare(view, out);
        }
        if self.committed {
            self.fill(view, out);
        }
        let mut plan = view.plan();
        for job in view.pending_jobs().filter(|job| job.queue() != self.queue) {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}
