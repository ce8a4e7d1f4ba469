//! Preemption with a grace period; the preemptor is nominated meanwhile.

use std::collections::BTreeMap;

use windtunnel_core::{
    Claim, Commit, Decisions, Fit, HoldFor, HoldId, HoldPart, JobRef, JobView, News, NodeId, Plan,
    Policy, Reason, Save, SimDuration, Spot, TaskRef, TaskState, Then, View,
};

/// kube-scheduler's preemption: when a job of one task does not fit, the first node where evicting
/// tasks of lower priority makes room is nominated for it. The victims terminate with a grace
/// period and are requeued; a hold keeps what they leave, and what is free there already, for the
/// preemptor, so that nobody slips in between.
#[derive(Clone, Debug)]
pub struct GracefulPreemptor {
    grace: SimDuration,
    nominated: BTreeMap<JobRef, (HoldId, NodeId)>,
}

impl GracefulPreemptor {
    /// Victims get `grace`.
    #[must_use]
    pub const fn new(grace: SimDuration) -> Self {
        Self {
            grace,
            nominated: BTreeMap::new(),
        }
    }

    /// Starts a nominated job within its hold once that is backed; the hold has then done its work.
    fn claim(&mut self, view: &View<'_>, job: JobView<'_>, out: &mut Decisions) -> bool {
        let Some(&(hold, node)) = self.nominated.get(&job.id()) else {
            return false;
        };
        let backed = view.holds().find(|held| held.id == hold);
        if backed.is_some_and(|held| u64::from(held.backed_milli) >= job.gpu_milli()) {
            let spot = [Spot::from(node)];
            out.place_as(job.id(), spot, Commit::NOW, Claim::Sure, Some(hold));
            out.release(hold);
            self.nominated.remove(&job.id());
        }
        true
    }

    fn nominate(
        &mut self,
        view: &View<'_>,
        job: JobView<'_>,
        plan: &mut Plan<'_>,
        out: &mut Decisions,
    ) {
        let Some(task) = job.tasks().next() else {
            return;
        };
        for node in view.nodes() {
            let mark = plan.mark();
            let mut victims: Vec<TaskRef> = Vec::new();
            for victim in node.tasks().filter(|t| t.priority() < job.priority()) {
                if victim.state() == TaskState::Running && !plan.fits(task, node.id()) {
                    plan.release(victim);
                    victims.push(victim.id());
                }
            }
            if !victims.is_empty() && plan.take(task, node.id()) {
                for victim in victims {
                    let then = Then::Requeue { not_before: None };
                    out.evict(victim, self.grace, Save::No, then);
                }
                let (node, amount) = (node.id(), *task.request());
                let who = HoldFor::Task(task.id());
                let part = [HoldPart { node, amount }];
                let now = view.now();
                let hold = out.hold(part, now, None, who, Reason::Preemption, Claim::Try);
                self.nominated.insert(job.id(), (hold, node));
                out.waiting(job.id(), Reason::Preemption);
                return;
            }
            plan.undo_to(mark);
        }
    }
}

impl Policy for GracefulPreemptor {
    fn name(&self) -> &str {
        "graceful-preemptor"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        let mut queue: Vec<JobView<'_>> = view.pending_jobs().collect();
        queue.sort_by_key(|job| (-job.priority(), job.id()));
        for job in queue {
            if self.claim(view, job, out) {
                continue;
            }
            match plan.first_fit(job) {
                Fit::Now(spots) => out.place(job.id(), spots),
                Fit::NotNow => self.nominate(view, job, &mut plan, out),
                Fit::Never => out.reject(job.id()),
            }
        }
    }
}
