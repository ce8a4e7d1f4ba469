//! What the seams promise beyond the worked examples, each found by a scheduler that relied on it.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs};
use windtunnel_core::{
    Admission, AdmissionCommand, Admissions, Bytes, Decisions, Fit, JobId, JobList, JobLog, JobRef,
    JobSpec, Keeps, News, NoObserver, NodeId, NodeModel, Platform, Policy, Reason, RunOptions,
    SchedulerId, SimTime, Simulation, Supply, TaskRequest, TaskState, View, World,
};

/// One step of a [`Script`].
type Step = fn(&View<'_>, &mut Decisions);

/// Starts whatever fits and takes scripted steps at given seconds, after that.
#[derive(Clone, Debug)]
struct Script {
    steps: Vec<(u64, Step)>,
    fills: bool,
}

impl Script {
    fn new(steps: &[(u64, Step)]) -> Self {
        let steps = steps.to_vec();
        Self { steps, fills: true }
    }

    /// The same without starting anything.
    fn idle(steps: &[(u64, Step)]) -> Self {
        Self {
            fills: false,
            ..Self::new(steps)
        }
    }
}

impl Policy for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        if self.fills {
            FirstFit.decide(view, news, out);
        }
        while self
            .steps
            .first()
            .is_some_and(|step| at(step.0) <= view.now())
        {
            self.steps.remove(0).1(view, out);
        }
        if let Some(next) = self.steps.first() {
            out.wake_at(at(next.0));
        }
    }
}

/// Owned nodes are paid from 0 even if nothing happens before the first submission.
#[test]
fn owned_nodes_are_paid_before_the_first_event() {
    let mut late = job(1, 5);
    late.submit = at(10);
    let (report, _) = run(nodes(2, 1), vec![late], FirstFit, 20);
    assert_eq!(ledger_line(&report), "idle.no_demand=35 allocated.useful=5");
}

/// Hears of progress and counts what it is told.
#[derive(Clone, Debug, Default)]
struct Listener {
    running: u32,
    woken: u32,
}

impl Policy for Listener {
    fn name(&self) -> &str {
        "listener"
    }

    fn wants_progress(&self) -> bool {
        true
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let runs = |change: &&windtunnel_core::TaskChange| change.now == TaskState::Running;
        self.running += u32::try_from(news.tasks.iter().filter(runs).count()).unwrap();
        self.woken += u32::from(news.woken);
        // Both the progress it asked for and no wake-up but the first, or the job is rejected.
        if view.now() == at(35) && (self.running, self.woken) != (1, 1) {
            view.pending_jobs().for_each(|job| out.reject(job.id()));
        }
        FirstFit.decide(view, news, out);
    }
}

/// A policy that takes another's place acts at once, is told of progress if it asks for that, and
/// does not inherit the other's wake-up.
#[test]
fn a_policy_that_replaces_another_starts_afresh() {
    let nothing = Script::idle(&[(30, |_, _| {})]);
    let mut second = job(1, 5);
    second.submit = at(35);
    let jobs = JobList::new(vec![job(1, 5).startup(secs(3)), second]);
    let mut simulation =
        Simulation::new(nodes(2, 1), jobs, nothing, RunOptions::default()).unwrap();
    simulation.run_until(at(20), &mut NoObserver).unwrap();
    assert_eq!(simulation.now(), at(20));
    simulation.replace_policy(SchedulerId(0), Listener::default());
    let mut log = JobLog::default();
    let report = simulation.run_with(&mut log).unwrap();
    assert_eq!(log.records[0].start, Some(at(20)));
    assert_eq!(report.summary.completed(), 2);
}

/// Admits one job at a time, in order, and revokes the first at 5 with ten seconds of grace.
#[derive(Clone, Debug, Default)]
struct OneByOne {
    revoked: bool,
}

impl Admission for OneByOne {
    fn name(&self) -> &str {
        "one-by-one"
    }

    fn admit(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Admissions) {
        let job = |id| {
            view.job(JobRef {
                slot: id,
                id: JobId(id),
            })
        };
        let Some(first) = job(0) else {
            job(1).into_iter().for_each(|second| out.admit(second.id()));
            return;
        };
        if view.now() < at(5) {
            out.admit(first.id());
            out.push(AdmissionCommand::WakeAt(at(5)));
        } else if !self.revoked {
            self.revoked = true;
            out.revoke(first.id(), secs(10), Reason::Quota);
        } else if first.tasks().all(|task| task.grant().is_none()) {
            job(1).into_iter().for_each(|second| out.admit(second.id()));
        }
    }
}

/// Admission hears that the tasks of a job it revoked have left, however they leave.
#[test]
fn admission_hears_when_revoked_tasks_have_left() {
    let platform = Platform::from(FirstFit).admission(OneByOne::default());
    let (_, log) = run(nodes(1, 1), vec![job(1, 100), job(1, 20)], platform, 60);
    let second = log.records.iter().find(|record| record.job.0 == 1).unwrap();
    assert_eq!(second.start, Some(at(15)));
}

/// A plan mirrors a suspension: what is kept is not free.
#[test]
fn a_plan_mirrors_suspension() {
    let request = TaskRequest::gpus(2).with_memory(Bytes(60));
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 2).with_memory(Bytes(100)), 1);
    let mut world = World::new(&supply).unwrap();
    let spec = JobSpec::new(SimTime::ZERO, request, secs(1));
    let running = world.submit(spec.clone()).unwrap();
    let task = world
        .view()
        .job(running)
        .unwrap()
        .tasks()
        .next()
        .unwrap()
        .id();
    world.start(task, NodeId(0)).unwrap();
    let waiting = world.submit(spec).unwrap();
    let view = world.view();
    let (task, waiting) = (view.task(task).unwrap(), view.job(waiting).unwrap());
    let fits = |keeps| {
        let mut plan = view.plan();
        plan.suspend(task, keeps);
        matches!(plan.first_fit(waiting), Fit::Now(_))
    };
    assert!(!fits(Keeps::Everything));
    assert!(!fits(Keeps::Memory), "60 of 100 are kept");
    assert!(fits(Keeps::Nothing));
}
