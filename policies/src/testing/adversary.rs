//! Schedulers that break the rules, each in one way.
//!
//! Every one of them ends in a precise [`RunError`](windtunnel_core::RunError) or in an outcome that
//! its documentation states; none may make the engine panic or hang.

use windtunnel_core::{
    Claim, Commit, Decision, Decisions, Fit, HoldFor, HoldId, HoldPart, JobNews, JobRef, JobView,
    News, NodeId, Policy, Promise, Reason, Save, SimDuration, SimTime, Spot, TaskRef, TaskRequest,
    TaskState, Then, View,
};

/// Declares a stateless adversary: what it does in one call.
macro_rules! adversary {
    ($(#[$doc:meta])* $name:ident, $text:literal, |$view:ident, $out:ident| $body:block) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Policy for $name {
            fn name(&self) -> &str {
                $text
            }

            fn decide(&mut self, $view: &View<'_>, _news: &News<'_>, $out: &mut Decisions) $body
        }
    };
}

fn node_zero(job: JobView<'_>) -> Vec<Spot> {
    let pending = job.tasks_in(TaskState::Pending) as usize;
    vec![Spot::from(NodeId(0)); pending]
}

fn kill(task: TaskRef, out: &mut Decisions) {
    out.evict(task, SimDuration::ZERO, Save::No, Then::Kill);
}

adversary! {
    /// Starts every job on node 0, full or not: invalid (`DoesNotFit`).
    StartsOnFullNode, "starts-on-full-node", |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), node_zero(job));
        }
    }
}

adversary! {
    /// Starts every job twice in one breath: invalid (`NothingToDo`).
    StartsTwice, "starts-twice", |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), node_zero(job));
            out.place(job.id(), node_zero(job));
        }
    }
}

adversary! {
    /// Asks to be woken a nanosecond later, always: the run is given up (`NoProgress`).
    WakesEveryNanosecond, "wakes-every-nanosecond", |view, out| {
        out.wake_at(view.now() + SimDuration::from_nanos(1));
    }
}

adversary! {
    /// Asks to be woken at once, always: the run is given up (`NoProgress`).
    WakesAtOnce, "wakes-at-once", |view, out| {
        out.wake_at(view.now());
    }
}

adversary! {
    /// Asks to be woken at 0, whatever time it is: invalid (`WakeInThePast`).
    WakesInThePast, "wakes-in-the-past", |view, out| {
        if view.now() > SimTime::ZERO {
            out.wake_at(SimTime::ZERO);
        }
    }
}

adversary! {
    /// Decides nothing, ever. Legal: its jobs are unfinished and censored at the end of the run, which
    /// a drain run reaches 28 days after the last submission.
    DecidesNothing, "decides-nothing", |_view, _out| {}
}

adversary! {
    /// Rejects everything. Legal: every job ends as rejected and nothing is ever allocated.
    RejectsEverything, "rejects-everything", |view, out| {
        view.pending_jobs().for_each(|job| out.reject(job.id()));
    }
}

adversary! {
    /// Kills whatever runs, every time it is called, and starts whatever is pending. Legal as long as
    /// controllers take their time: each kill is a preemption and its progress is lost. With two jobs
    /// whose controller recreates them at once, every kill brings the news that kills the other, and
    /// the run is given up (`Livelock`).
    KillsEverything, "kills-everything", |view, out| {
        for task in view.nodes().flat_map(|node| node.tasks()) {
            if matches!(task.state(), TaskState::Starting | TaskState::Running) {
                kill(task.id(), out);
            }
        }
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            if let Fit::Now(spots) = plan.first_fit(job) {
                out.place(job.id(), spots);
            }
        }
    }
}

adversary! {
    /// Kills in one breath what it just started; the controller recreates it at once, and so on. Time
    /// never goes on: the run is given up (`Livelock`).
    KillsWhatItStarts, "kills-what-it-starts", |view, out| {
        for task in view.pending_jobs().flat_map(|job| job.tasks()) {
            out.place(task.id(), [Spot::from(NodeId(0))]);
            kill(task.id(), out);
        }
    }
}

adversary! {
    /// Kills what it just started and finishes the job in the same breath. Legal: the job is over, and
    /// its controller is not asked to mend what is over.
    KillsAndFinishes, "kills-and-finishes", |view, out| {
        for job in view.pending_jobs() {
            out.place(job.id(), node_zero(job));
            out.evict(job.id(), SimDuration::ZERO, Save::No, Then::Kill);
            out.reject(job.id());
        }
    }
}

adversary! {
    /// Commits tasks that were never reserved: invalid (`WrongState`).
    CommitsUnreserved, "commits-unreserved", |view, out| {
        for task in view.pending_jobs().flat_map(|job| job.tasks()) {
            let what = Promise::Tasks(task.id().into());
            out.push(Decision::Commit { what });
        }
    }
}

adversary! {
    /// Commits a hold that was never made: invalid (`UnknownHold`).
    CommitsUnknownHold, "commits-unknown-hold", |_view, out| {
        out.push(Decision::Commit { what: Promise::Hold(HoldId(7)) });
    }
}

adversary! {
    /// Releases a hold that was never made: invalid (`UnknownHold`).
    ReleasesUnknownHold, "releases-unknown-hold", |_view, out| {
        out.release(HoldId(u32::MAX));
    }
}

adversary! {
    /// Holds capacity of a node that does not exist: invalid (`UnknownNode`).
    HoldsUnknownNode, "holds-unknown-node", |view, out| {
        let part = HoldPart { node: NodeId(u32::MAX), amount: TaskRequest::gpus(1) };
        out.hold([part], view.now(), None, HoldFor::Anyone, Reason::Other, Claim::Try);
    }
}

adversary! {
    /// Makes a hold and releases it in one breath, every time it is called. Legal: nothing changes.
    HoldsAndReleases, "holds-and-releases", |view, out| {
        let part = HoldPart { node: NodeId(0), amount: TaskRequest::gpus(1) };
        let now = view.now();
        let hold = out.hold([part], now, None, HoldFor::Anyone, Reason::Other, Claim::Try);
        out.release(hold);
    }
}

adversary! {
    /// Tries the same full node again as soon as it is refused: time never goes on, and the run is
    /// given up (`Livelock`).
    TriesForEver, "tries-for-ever", |view, out| {
        for job in view.pending_jobs() {
            out.place_as(job.id(), node_zero(job), Commit::NOW, Claim::Try, None);
        }
    }
}

adversary! {
    /// Names a task that no job has: invalid (`UnknownTask`).
    NamesUnknownTask, "names-unknown-task", |view, out| {
        for job in view.pending_jobs() {
            let (group, index) = (job.groups().len() as u16 - 1, u32::MAX);
            kill(TaskRef { job: job.id(), group, index, attempt: 0 }, out);
        }
    }
}

/// Starts every job it is told of at submission, and evicts it again once it has ended: invalid
/// (`UnknownJob`).
#[derive(Clone, Copy, Debug, Default)]
pub struct PreemptsFinished;

impl Policy for PreemptsFinished {
    fn name(&self) -> &str {
        "preempts-finished"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        for change in news.jobs {
            if let JobNews::Ended(_) = change.what {
                out.evict(change.job, SimDuration::ZERO, Save::No, Then::Kill);
            }
        }
        StartsOnFullNode.decide(view, news, out);
    }
}

/// Remembers the first attempt of a task, requeues it, and names it once more: invalid
/// (`UnknownTask`).
#[derive(Clone, Copy, Debug, Default)]
pub struct NamesStaleAttempt;

impl Policy for NamesStaleAttempt {
    fn name(&self) -> &str {
        "names-stale-attempt"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        for task in view.pending_jobs().flat_map(|job| job.tasks()) {
            let spot = [Spot::from(NodeId(0))];
            out.place(task.id(), spot);
            let then = Then::Requeue { not_before: None };
            out.evict(task.id(), SimDuration::ZERO, Save::No, then);
            out.place(task.id(), spot);
        }
    }
}

/// Starts jobs that were routed to another scheduler: invalid (`NotYours`).
///
/// It learns of them by guessing references, since no view lists them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlacesAnothersJob;

impl Policy for PlacesAnothersJob {
    fn name(&self) -> &str {
        "places-anothers-job"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        for (slot, id) in (0..8).flat_map(|slot| (0..8).map(move |id| (slot, id))) {
            let job = JobRef {
                slot,
                id: windtunnel_core::JobId(id),
            };
            let other = view
                .job(job)
                .filter(|job| job.scheduler() != windtunnel_core::SchedulerId(1));
            if let Some(job) = other {
                out.place(job.id(), node_zero(job));
            }
        }
    }
}

/// Keeps a decision of its first call and repeats it, though its spots belonged to that call:
/// invalid (`WrongCount`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RepeatsOldDecision {
    old: Option<Decision>,
}

impl Policy for RepeatsOldDecision {
    fn name(&self) -> &str {
        "repeats-old-decision"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        if let (
            Some(Decision::Place {
                on,
                commit,
                claim,
                within,
                ..
            }),
            Some(job),
        ) = (self.old, view.pending_jobs().next())
        {
            let tasks = job.id().into();
            out.push(Decision::Place {
                tasks,
                on,
                commit,
                claim,
                within,
            });
            return;
        }
        StartsOnFullNode.decide(view, news, out);
        self.old = out.list().first().copied();
    }
}
