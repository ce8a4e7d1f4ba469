//! The components of a platform and the news on its way to them.

use super::Simulation;
use crate::controller::Interest;
use crate::ids::{ControllerId, JobRef, NodeId, SchedulerId};
use crate::news::{Inbox, JobChange, JobNews, TaskChange};
use crate::platform::Platform;
use crate::task::{TaskEnd, TaskState};

/// Whoever can act. `Engine` is nobody: what happens by itself is news to everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Engine,
    Controller(ControllerId),
    Admission,
    Scheduler(SchedulerId),
    Autoscaler,
}

impl Component {
    /// Slots for wake-ups: controllers, admission, schedulers, autoscaler.
    pub(super) fn count(platform: &Platform) -> usize {
        platform.controllers.len() + 1 + platform.schedulers.len() + 1
    }

    /// The component's place among the wake-ups.
    pub(super) fn place(self, platform: &Platform) -> usize {
        let controllers = platform.controllers.len();
        match self {
            Self::Controller(id) => id.index(),
            Self::Admission => controllers,
            Self::Scheduler(id) => controllers + 1 + id.index(),
            Self::Autoscaler | Self::Engine => controllers + 1 + platform.schedulers.len(),
        }
    }

    pub(super) fn name(self, platform: &Platform) -> String {
        match self {
            Self::Controller(id) => {
                format!("controller `{}`", platform.controllers[id.index()].name())
            }
            Self::Admission => "admission".to_owned(),
            Self::Scheduler(id) => {
                format!("policy `{}`", platform.schedulers[id.index()].policy.name())
            }
            Self::Autoscaler => "autoscaler".to_owned(),
            Self::Engine => "engine".to_owned(),
        }
    }
}

/// One inbox per component.
#[derive(Clone, Debug)]
pub(super) struct Inboxes {
    pub(super) controllers: Vec<Inbox>,
    interest: Vec<Interest>,
    pub(super) admission: Inbox,
    pub(super) schedulers: Vec<Inbox>,
    progress: Vec<bool>,
    pub(super) autoscaler: Inbox,
    has_admission: bool,
    has_autoscaler: bool,
}

impl Inboxes {
    pub(super) fn new(platform: &Platform) -> Self {
        Self {
            controllers: vec![Inbox::default(); platform.controllers.len()],
            interest: platform.controllers.iter().map(|c| c.interest()).collect(),
            admission: Inbox::default(),
            schedulers: vec![Inbox::default(); platform.schedulers.len()],
            progress: platform
                .schedulers
                .iter()
                .map(|s| s.policy.wants_progress())
                .collect(),
            autoscaler: Inbox::default(),
            has_admission: platform.admission.is_some(),
            has_autoscaler: platform.autoscaler.is_some(),
        }
    }

    pub(super) fn of(&mut self, component: Component) -> &mut Inbox {
        match component {
            Component::Controller(id) => &mut self.controllers[id.index()],
            Component::Admission => &mut self.admission,
            Component::Scheduler(id) => &mut self.schedulers[id.index()],
            Component::Autoscaler | Component::Engine => &mut self.autoscaler,
        }
    }

    /// Another policy takes the place of a scheduler's: it starts with an empty inbox.
    pub(super) fn replaced(&mut self, component: Component, wants_progress: bool) {
        if let Component::Scheduler(id) = component {
            self.schedulers[id.index()] = Inbox::default();
            self.progress[id.index()] = wants_progress;
        }
    }

    /// A node changed: schedulers and the autoscaler hear of it, but not who caused it.
    pub(super) fn node(&mut self, node: NodeId, by: Component) {
        for (inbox, id) in self.schedulers.iter_mut().zip(0..) {
            if by != Component::Scheduler(SchedulerId(id)) {
                inbox.nodes.push(node);
            }
        }
        if self.has_autoscaler && by != Component::Autoscaler {
            self.autoscaler.nodes.push(node);
        }
    }

    /// A node became idle or busy: the autoscaler hears of it.
    pub(super) fn node_use(&mut self, node: NodeId) {
        if self.has_autoscaler {
            self.autoscaler.nodes.push(node);
        }
    }
}

impl Simulation {
    /// Tells a job's scheduler, admission and the autoscaler of a change, and its controller of its
    /// end, but not who caused it.
    pub(super) fn tell_job(&mut self, job: JobRef, what: JobNews, by: Component) {
        let scheduler = self.world.jobs.slot(job.slot).scheduler;
        let change = JobChange { job, what };
        if by != Component::Scheduler(scheduler) {
            self.inboxes.schedulers[scheduler.index()].jobs.push(change);
        }
        if self.inboxes.has_admission && by != Component::Admission {
            self.inboxes.admission.jobs.push(change);
        }
        if let JobNews::Ended(_) = what {
            if self.inboxes.has_autoscaler {
                self.inboxes.autoscaler.jobs.push(change);
            }
            let kind = self.world.jobs.slot(job.slot).spec.request.kind;
            if by != Component::Controller(kind) {
                self.inboxes.controllers[kind.index()].jobs.push(change);
            }
        }
    }

    /// Tells a job's controller.
    pub(super) fn tell_controller(&mut self, job: JobRef, what: JobNews) {
        let kind = self.world.jobs.slot(job.slot).spec.request.kind;
        self.inboxes.controllers[kind.index()]
            .jobs
            .push(JobChange { job, what });
    }

    /// Tells everyone whom a task's change concerns, but not who caused it.
    pub(super) fn tell_task(&mut self, change: TaskChange, by: Component) {
        let job = self.world.jobs.slot(change.task.job.slot);
        let (scheduler, kind) = (job.scheduler, job.spec.request.kind);
        let progress = matches!(change.now, TaskState::Starting | TaskState::Running);
        if by != Component::Scheduler(scheduler)
            && (!progress || self.inboxes.progress[scheduler.index()])
        {
            self.inboxes.schedulers[scheduler.index()]
                .tasks
                .push(change);
        }
        let interest = self.inboxes.interest[kind.index()];
        let lost = matches!(
            change.end,
            Some(TaskEnd::Evicted | TaskEnd::NodeLost | TaskEnd::Refused(_))
        );
        let wanted = (lost && interest.lost) || (!lost && interest.progress);
        let finished = matches!(change.end, Some(TaskEnd::Done | TaskEnd::JobFinished));
        if wanted && !finished && by != Component::Controller(kind) {
            self.inboxes.controllers[kind.index()].tasks.push(change);
        }
        // An eviction that requeues ends an attempt too: the next one is what there is to see of it.
        let requeued =
            change.task.attempt > 0 && matches!(change.now, TaskState::Pending | TaskState::Gated);
        if self.inboxes.has_admission
            && by != Component::Admission
            && (change.end.is_some() || requeued)
        {
            self.inboxes.admission.tasks.push(change);
        }
    }

    /// Tells the autoscaler that a scheduler called a job unschedulable.
    pub(super) fn tell_unschedulable(&mut self, job: JobRef) {
        if self.inboxes.has_autoscaler {
            let what = JobNews::Unschedulable;
            self.inboxes.autoscaler.jobs.push(JobChange { job, what });
        }
    }
}
