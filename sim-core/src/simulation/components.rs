//! The components of a platform and the news on its way to them.

use super::Simulation;
use crate::controller::Interest;
use crate::ids::{ControllerId, JobRef, NodeId, SchedulerId};
use crate::news::{Inbox, JobChange, JobNews, TaskChange};
use crate::platform::{LimitMode, Platform};
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
    /// Number of places: controllers, admission, schedulers, autoscaler.
    pub(super) fn count(platform: &Platform) -> usize {
        platform.controllers.len() + 1 + platform.schedulers.len() + 1
    }

    /// The component at a place.
    pub(super) fn at(place: usize, platform: &Platform) -> Self {
        let small = |id: usize| u8::try_from(id).expect("at most 64 components");
        let controllers = platform.controllers.len();
        let schedulers = platform.schedulers.len();
        match place {
            _ if place < controllers => Self::Controller(ControllerId(small(place))),
            _ if place == controllers => Self::Admission,
            _ if place <= controllers + schedulers => {
                Self::Scheduler(SchedulerId(small(place - controllers - 1)))
            }
            _ => Self::Autoscaler,
        }
    }

    /// The component's place in the order in which components are called.
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

/// One inbox per component, in the order in which they are called, and which of them hold news.
#[derive(Clone, Debug)]
pub(super) struct Inboxes {
    #[expect(
        clippy::vec_box,
        reason = "inboxes are exchanged by pointer, twice per call"
    )]
    list: Vec<Box<Inbox>>,
    /// Bit `i`: inbox `i` may hold news.
    pub(super) ready: u64,
    interest: Vec<Interest>,
    progress: Vec<bool>,
    admission: Option<usize>,
    autoscaler: Option<usize>,
    first_scheduler: usize,
}

impl Inboxes {
    pub(super) fn new(platform: &Platform) -> Self {
        let schedulers = platform.schedulers.iter();
        let place = |component: Component| component.place(platform);
        Self {
            list: vec![Box::default(); Component::count(platform)],
            ready: 0,
            interest: platform.controllers.iter().map(|c| c.interest()).collect(),
            progress: schedulers.map(|s| s.policy.wants_progress()).collect(),
            admission: platform
                .admission
                .as_ref()
                .map(|_| place(Component::Admission)),
            autoscaler: platform
                .autoscaler
                .as_ref()
                .map(|_| place(Component::Autoscaler)),
            first_scheduler: place(Component::Scheduler(SchedulerId(0))),
        }
    }

    /// The inbox at a place, to put news into.
    pub(super) fn post(&mut self, place: usize) -> &mut Inbox {
        self.ready |= 1 << place;
        &mut self.list[place]
    }

    /// A scheduler's inbox, to put news into.
    pub(super) fn post_scheduler(&mut self, id: SchedulerId) -> &mut Inbox {
        self.post(self.first_scheduler + id.index())
    }

    /// Exchanges the news at a place for an empty inbox.
    pub(super) fn exchange(&mut self, place: usize, empty: Box<Inbox>) -> Box<Inbox> {
        self.ready &= !(1 << place);
        std::mem::replace(&mut self.list[place], empty)
    }

    /// Another policy takes the place of a scheduler's: it starts with an empty inbox.
    pub(super) fn replaced(&mut self, component: Component, wants_progress: bool) {
        if let Component::Scheduler(id) = component {
            self.exchange(self.first_scheduler + id.index(), Box::default());
            self.progress[id.index()] = wants_progress;
        }
    }

    /// A node changed: schedulers and the autoscaler hear of it, but not who caused it.
    pub(super) fn node(&mut self, node: NodeId, by: Component) {
        for id in 0..self.progress.len() {
            let place = self.first_scheduler + id;
            if !matches!(by, Component::Scheduler(cause) if cause.index() == id) {
                self.post(place).nodes.push(node);
            }
        }
        if by != Component::Autoscaler {
            self.node_use(node);
        }
    }

    /// A node became idle or busy: the autoscaler hears of it.
    pub(super) fn node_use(&mut self, node: NodeId) {
        if let Some(place) = self.autoscaler {
            self.post(place).nodes.push(node);
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
            let inbox = self.inboxes.post_scheduler(scheduler);
            inbox.jobs.push(change);
            inbox.quota |= matches!(what, JobNews::Admitted | JobNews::Withheld(_));
        }
        if let (Some(place), true) = (self.inboxes.admission, by != Component::Admission) {
            self.inboxes.post(place).jobs.push(change);
        }
        if let JobNews::Ended(_) = what {
            if let Some(place) = self.inboxes.autoscaler {
                self.inboxes.post(place).jobs.push(change);
            }
            let kind = self.world.jobs.slot(job.slot).spec.request.kind;
            if by != Component::Controller(kind) {
                self.inboxes.post(kind.index()).jobs.push(change);
            }
        }
    }

    /// Tells a job's controller.
    pub(super) fn tell_controller(&mut self, job: JobRef, what: JobNews) {
        let kind = self.world.jobs.slot(job.slot).spec.request.kind;
        self.inboxes
            .post(kind.index())
            .jobs
            .push(JobChange { job, what });
    }

    /// Tells everyone whom a task's change concerns, but not who caused it.
    #[inline]
    pub(super) fn tell_task(&mut self, slot: u32, change: TaskChange, by: Component) {
        let job = self.world.jobs.slot(slot);
        let (scheduler, kind) = (job.scheduler, job.spec.request.kind);
        let progress = matches!(change.now, TaskState::Starting | TaskState::Running);
        if by != Component::Scheduler(scheduler)
            && (!progress || self.inboxes.progress[scheduler.index()])
        {
            self.inboxes.post_scheduler(scheduler).tasks.push(change);
        }
        let finished = matches!(change.end, Some(TaskEnd::Done | TaskEnd::JobFinished));
        if !finished && by != Component::Controller(kind) {
            let interest = self.inboxes.interest[kind.index()];
            let lost = matches!(
                change.end,
                Some(
                    TaskEnd::Evicted
                        | TaskEnd::NodeLost
                        | TaskEnd::GpuLost
                        | TaskEnd::Drained
                        | TaskEnd::Refused(_)
                )
            );
            let limited =
                || job.spec.request.limit.is_some() && self.world.limit == LimitMode::Exact;
            let wanted = if lost {
                interest.lost
            } else {
                interest.progress || limited()
            };
            if wanted {
                self.inboxes.post(kind.index()).tasks.push(change);
            }
        }
        if let Some(place) = self.inboxes.admission
            && by != Component::Admission
        {
            // An eviction that requeues ends an attempt too: the next one is what there is to see.
            let requeued = change.task.attempt > 0
                && matches!(change.now, TaskState::Pending | TaskState::Gated);
            if change.end.is_some() || requeued {
                self.inboxes.post(place).tasks.push(change);
            }
        }
    }

    /// Tells the autoscaler that a scheduler called a job unschedulable.
    pub(super) fn tell_unschedulable(&mut self, job: JobRef) {
        if let Some(place) = self.inboxes.autoscaler {
            let what = JobNews::Unschedulable;
            self.inboxes.post(place).jobs.push(JobChange { job, what });
        }
    }
}
