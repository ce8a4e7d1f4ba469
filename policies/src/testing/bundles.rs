//! Two-phase placement of bundles, then work within them.

use windtunnel_core::{
    Claim, Commit, Decision, Decisions, Fit, HoldFor, HoldId, HoldPart, JobNews, News, NodeId,
    Policy, Promise, QueueId, Reason, SimDuration, Spot, TaskRequest, TaskState, View,
};

/// How far the placement group is.
#[derive(Clone, Debug)]
enum Phase {
    Absent,
    Prepared(Vec<(HoldId, NodeId)>),
    Committed(Vec<(HoldId, NodeId)>),
}

/// Ray's placement group with `STRICT_SPREAD`: one bundle per node is *prepared* (a hold, reserved),
/// and after one round trip either all are *committed* or all are returned and tried again. Jobs of
/// the group's queue run within the bundles, all others beside them; when no job of the group is
/// left, the group is removed.
#[derive(Clone, Debug)]
pub struct Bundles {
    bundle: TaskRequest,
    count: usize,
    queue: QueueId,
    round_trip: SimDuration,
    phase: Phase,
    /// Jobs of the group that have not ended.
    members: u32,
}

impl Bundles {
    /// `count` bundles for the jobs of `queue`; each phase takes `round_trip`.
    #[must_use]
    pub const fn new(
        bundle: TaskRequest,
        count: usize,
        queue: QueueId,
        round_trip: SimDuration,
    ) -> Self {
        Self {
            bundle,
            count,
            queue,
            round_trip,
            phase: Phase::Absent,
            members: 0,
        }
    }

    /// First phase: asks every node for its bundle, whatever it has free.
    fn prepare(&mut self, view: &View<'_>, out: &mut Decisions) {
        let mut holds = Vec::new();
        for node in view.nodes().map(|node| node.id()).take(self.count) {
            let part = [HoldPart {
                node,
                amount: self.bundle,
            }];
            let (now, why) = (view.now(), Reason::Reservation);
            let (who, commit) = (HoldFor::Anyone, Commit::Reserve);
            let hold = out.hold_as(part, now, None, who, why, commit, Claim::Try);
            holds.push((hold, node));
        }
        self.phase = Phase::Prepared(holds);
        out.wake_at(view.now() + self.round_trip);
    }

    /// Second phase: commits all bundles if every node set its one aside, returns them if not.
    fn commit(&mut self, view: &View<'_>, holds: Vec<(HoldId, NodeId)>, out: &mut Decisions) {
        let wanted = self.bundle.gpus.milli();
        let ready = |id: HoldId| view.holds().any(|h| h.id == id && h.backed_milli == wanted);
        let all = holds.iter().all(|(id, _)| ready(*id));
        for &(id, _) in &holds {
            let what = Promise::Hold(id);
            out.push(if all {
                Decision::Commit { what }
            } else {
                Decision::Abandon { what }
            });
        }
        if all {
            self.phase = Phase::Committed(holds);
            self.fill(view, out);
        } else {
            self.phase = Phase::Absent;
            out.wake_at(view.now() + self.round_trip);
        }
    }

    /// Places the group's pending tasks, each in the bundle with most left.
    fn fill(&mut self, view: &View<'_>, out: &mut Decisions) {
        let Phase::Committed(holds) = &self.phase else {
            return;
        };
        let mut left: Vec<_> = view
            .holds()
            .filter_map(|h| Some((h.backed_milli, *holds.iter().find(|(id, _)| *id == h.id)?)))
            .collect();
        for job in view.pending_jobs().filter(|job| job.queue() == self.queue) {
            for task in job
                .tasks()
                .filter(|task| task.state() == TaskState::Pending)
            {
                let milli = task.request().gpus.milli();
                let best = left.iter_mut().rev().max_by_key(|(left, _)| *left);
                let Some((left, (hold, node))) = best.filter(|(left, _)| *left >= milli) else {
                    break;
                };
                *left -= milli;
                let spot = [Spot::from(*node)];
                out.place_as(task.id(), spot, Commit::NOW, Claim::Sure, Some(*hold));
            }
        }
    }
}

impl Policy for Bundles {
    fn name(&self) -> &str {
        "bundles"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        for change in news.jobs {
            let member = view
                .job(change.job)
                .is_some_and(|job| job.queue() == self.queue);
            match change.what {
                JobNews::Created if member => {
                    self.members += 1;
                    out.waiting(change.job, Reason::Reservation);
                }
                JobNews::Ended(_) if member => self.members -= 1,
                _ => {}
            }
        }
        match (
            std::mem::replace(&mut self.phase, Phase::Absent),
            self.members,
        ) {
            (Phase::Prepared(holds), _) if news.woken => self.commit(view, holds, out),
            (Phase::Committed(holds), 0) => {
                holds.iter().for_each(|(id, _)| out.release(*id));
                // What the group gives back is there to see at the second look.
                out.wake_at(view.now());
            }
            (Phase::Absent, 1..) if news.woken || !news.jobs.is_empty() => self.prepare(view, out),
            (phase, _) => {
                self.phase = phase;
                self.fill(view, out);
            }
        }
        let mut plan = view.plan();
        for job in view.pending_jobs().filter(|job| job.queue() != self.queue) {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}
