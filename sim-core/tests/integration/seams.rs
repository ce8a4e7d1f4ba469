//! What the seams promise beyond the worked examples, each found by a scheduler that relied on it.

use std::sync::Arc;

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs, waits};
use windtunnel_core::{
    Admission, AdmissionCommand, Admissions, Advance, Autoscaler, Batch, Bytes, Claim, Commit,
    Controller, ControllerId, Decision, DecisionError, Decisions, Elastic, Fault, Fit, HoldFor,
    HoldId, HoldPart, JobId, JobList, JobLog, JobNews, JobRef, JobSpec, JobView, Keeps, Lifecycle,
    ListedFaults, News, NoObserver, NodeId, NodeModel, Outcome, Platform, Policy, PoolId, PoolSet,
    PoolSpec, QueueId, Reason, Route, RunError, RunOptions, Save, Scaling, ScalingCommand,
    Scheduler, SchedulerId, SimDuration, SimTime, Simulation, Spot, Supply, TaskGroup, TaskRef,
    TaskRequest, TaskState, TaskView, Then, View, Work, World, WouldFit,
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

/// Holds a GPU of node-0 from now on.
fn hold_one(view: &View<'_>, claim: Claim, out: &mut Decisions) -> HoldId {
    let part = HoldPart {
        node: NodeId(0),
        amount: TaskRequest::gpus(1),
    };
    out.hold(
        [part],
        view.now(),
        None,
        HoldFor::Anyone,
        Reason::Reservation,
        claim,
    )
}

/// A hold on a node that is not rented yet, boots, and is cordoned: it sets nothing aside before the
/// node is there, and nothing that is booked elsewhere.
#[test]
fn a_hold_waits_for_its_node() {
    /// Rents node-0 at 10 and cordons it at 50.
    #[derive(Clone, Debug)]
    struct RentsLate;
    impl Autoscaler for RentsLate {
        fn name(&self) -> &str {
            "rents-late"
        }
        fn scale(&mut self, view: &View<'_>, _: &News<'_>, _: &dyn WouldFit, out: &mut Scaling) {
            let node = NodeId(0);
            match view.now() {
                now if now < at(10) => out.wake_at(at(10)),
                now if now == at(10) => out.grow(PoolId(0), 1),
                now if now < at(50) => out.wake_at(at(50)),
                _ => out.push(ScalingCommand::Cordon { node, closed: true }),
            }
        }
    }
    let elastic = Elastic {
        min: 0,
        max: 1,
        request_delay: secs(5),
        boot_delay: secs(15),
    };
    let pool = PoolSpec::rented("cloud", NodeModel::gpus_only("h100", 2), elastic);
    let holds: Step = |view, out| {
        hold_one(view, Claim::Try, out);
        view.pending_jobs()
            .for_each(|job| out.waiting(job.id(), Reason::DoesNotFit));
    };
    let platform = Platform::from(Script::new(&[(0, holds)])).autoscaler(RentsLate);
    // Two GPUs are asked for and one is held: the job never starts.
    let (report, _) = run(Supply::new(vec![pool]), vec![job(2, 10)], platform, 60);
    // Paid from 15: boots to 30, then one GPU held and one too few for the job, from 50 both down.
    assert_eq!(
        ledger_line(&report),
        "provisioning=30 down=20 idle.insufficient=20 idle.held=20"
    );
}

/// On a node that is known to be down nothing is free: a hold that must be backed is invalid.
#[test]
fn a_sure_hold_on_a_dead_node_is_invalid() {
    let fault = Fault::node(at(5), secs(100));
    let supply = nodes(2, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 0, fault)]));
    let policy = Script::new(&[(10, |view, out| {
        hold_one(view, Claim::Sure, out);
    })]);
    let jobs = JobList::new(vec![job(1, 50)]);
    let simulation = Simulation::new(supply, jobs, policy, RunOptions::default()).unwrap();
    assert_eq!(cause(simulation), DecisionError::HoldNotBacked);
}

/// Why a run ends in an invalid decision.
fn cause(simulation: Simulation) -> DecisionError {
    match simulation.run().unwrap_err() {
        RunError::InvalidDecision { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

/// Neither using nor ending another scheduler's hold is allowed, nor holding another's nodes.
#[test]
fn holds_belong_to_the_scheduler_that_made_them() {
    let two = |step: Step, pools: PoolSet| {
        let maker = Script::idle(&[(0, |view, out| {
            hold_one(view, Claim::Sure, out);
        })]);
        let mut platform = Platform::new("two", maker);
        let policy = Box::new(Script::idle(&[(1, step)]));
        platform.schedulers.push(Scheduler { policy, pools });
        let kind = Some(ControllerId(1));
        let scheduler = SchedulerId(1);
        platform.router = vec![Route {
            kind,
            scheduler,
            ..Route::default()
        }];
        let jobs = vec![job(1, 5), job(1, 5).kind(ControllerId(1))];
        let supply = Supply::new(vec![
            PoolSpec::owned("a", NodeModel::gpus_only("h100", 2), 1),
            PoolSpec::owned("b", NodeModel::gpus_only("h100", 2), 1),
        ]);
        cause(Simulation::new(supply, JobList::new(jobs), platform, RunOptions::default()).unwrap())
    };
    let place: Step = |view, out| {
        let job = view.pending_jobs().next().unwrap().id();
        let spot = [Spot::from(NodeId(0))];
        out.place_as(job, spot, Commit::NOW, Claim::Try, Some(HoldId(0)));
    };
    let hold: Step = |view, out| {
        hold_one(view, Claim::Try, out);
    };
    let not_yours = DecisionError::NotYourHold;
    assert_eq!(
        two(|_, out| out.release(HoldId(0)), PoolSet::ALL),
        not_yours
    );
    assert_eq!(two(place, PoolSet::ALL), not_yours);
    assert_eq!(
        two(hold, PoolSet::one(PoolId(1))),
        DecisionError::UnknownNode
    );
}

/// A policy that holds and releases in one breath hears nothing of it, or it would be asked again for
/// ever.
#[test]
fn releasing_a_hold_is_no_news_to_who_released_it() {
    #[derive(Clone, Debug)]
    struct Fickle;
    impl Policy for Fickle {
        fn name(&self) -> &str {
            "fickle"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            FirstFit.decide(view, news, out);
            let hold = hold_one(view, Claim::Try, out);
            out.release(hold);
        }
    }
    let (report, _) = run(nodes(1, 1), vec![job(1, 5)], Fickle, 10);
    assert_eq!(ledger_line(&report), "idle.no_demand=5 allocated.useful=5");
}

/// A hold that begins later is news to its policy when it begins.
#[test]
fn the_start_of_a_hold_is_news() {
    /// Holds at 10, and counts on being asked then: it places its job within.
    #[derive(Clone, Debug, Default)]
    struct Reserves {
        hold: Option<HoldId>,
    }
    impl Policy for Reserves {
        fn name(&self) -> &str {
            "reserves"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            let Some(job) = view.pending_jobs().next() else {
                return;
            };
            let part = HoldPart {
                node: NodeId(0),
                amount: TaskRequest::gpus(1),
            };
            let spot = [Spot::from(NodeId(0))];
            match self.hold {
                None => {
                    let (who, why) = (HoldFor::Job(job.id()), Reason::Reservation);
                    self.hold = Some(out.hold([part], at(10), None, who, why, Claim::Sure));
                }
                Some(_) if news.nodes != [NodeId(0)] => {}
                within => out.place_as(job.id(), spot, Commit::NOW, Claim::Sure, within),
            }
        }
    }
    let (_, log) = run(nodes(1, 1), vec![job(1, 5)], Reserves::default(), 20);
    assert_eq!(log.records[0].start, Some(at(10)));
}

/// A policy that undoes what it did, again and again at one instant, ends the run instead of hanging it.
#[test]
fn a_livelock_is_an_error() {
    #[derive(Clone, Debug)]
    struct Undoes;
    impl Policy for Undoes {
        fn name(&self) -> &str {
            "undoes"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            FirstFit.decide(view, news, out);
            for job in view.pending_jobs() {
                let then = Then::Requeue { not_before: None };
                out.evict(job.id(), secs(0), Save::No, then);
            }
            out.wake_at(view.now());
        }
    }
    let jobs = JobList::new(vec![job(1, 5)]);
    let simulation = Simulation::new(nodes(1, 1), jobs, Undoes, RunOptions::default()).unwrap();
    let error = simulation.run().unwrap_err();
    assert!(
        matches!(error, RunError::Livelock { time, .. } if time == at(0)),
        "{error}"
    );
}

/// Spots of an earlier call and tasks beyond the last are errors, not panics.
#[test]
fn what_does_not_exist_is_an_error() {
    let no_such_task: Step = |view, out| {
        let job = view.pending_jobs().next().unwrap().id();
        let task = TaskRef {
            job,
            group: 1,
            index: u32::MAX,
            attempt: 0,
        };
        out.evict(task, secs(0), Save::No, Then::Kill);
    };
    let old_spots: Step = |view, out| {
        let job = view.pending_jobs().next().unwrap().id();
        let on = Decisions::default().spot_range([Spot::from(NodeId(0)); 2]);
        let tasks = job.into();
        let (commit, claim, within) = (Commit::NOW, Claim::Try, None);
        out.push(Decision::Place {
            tasks,
            on,
            commit,
            claim,
            within,
        });
    };
    let mut two_groups = job(1, 5);
    two_groups
        .request
        .groups
        .push(TaskGroup::new(TaskRequest::gpus(1), 1));
    let wrong = DecisionError::WrongCount { spots: 0, tasks: 2 };
    for (step, expected) in [
        (no_such_task, DecisionError::UnknownTask),
        (old_spots, wrong),
    ] {
        let jobs = JobList::new(vec![two_groups.clone()]);
        let policy = Script::idle(&[(0, step)]);
        let simulation = Simulation::new(nodes(2, 1), jobs, policy, RunOptions::default());
        assert_eq!(cause(simulation.unwrap()), expected);
    }
}

/// A policy may kill a job's tasks and finish the job in one breath: its controller, told of the loss
/// after the fact, is not asked to mend what is over.
#[test]
fn controllers_are_not_blamed_for_jobs_that_just_ended() {
    let kill_and_finish: Step = |view, out| {
        let job = view.node(NodeId(0)).tasks().next().unwrap().id().job;
        out.evict(job, secs(0), Save::No, Then::Kill);
        out.finish(job, Outcome::Killed);
    };
    let policy = Script::new(&[(3, kill_and_finish)]);
    let (report, _) = run(nodes(1, 1), vec![job(1, 10)], policy, 5);
    assert_eq!(ledger_line(&report), "idle.no_demand=2 allocated.lost=3");
    assert_eq!(report.summary.count(Outcome::Killed), 1);
}

/// A controller hears of the end of its job when another finishes it.
#[test]
fn controllers_hear_of_ends_they_did_not_cause() {
    /// Creates one job at a time: the next one when the last has ended.
    #[derive(Clone, Debug, Default)]
    struct Chain {
        waiting: Vec<JobRef>,
        busy: bool,
    }
    impl Controller for Chain {
        fn name(&self) -> &str {
            "chain"
        }
        fn react(&mut self, _: &View<'_>, news: &News<'_>, out: &mut Lifecycle) {
            for change in news.jobs {
                match change.what {
                    JobNews::Submitted => self.waiting.push(change.job),
                    JobNews::Ended(_) => self.busy = false,
                    _ => {}
                }
            }
            if !self.busy && !self.waiting.is_empty() {
                self.busy = true;
                out.create(self.waiting.remove(0));
            }
        }
    }
    let reject: Step = |view, out| view.pending_jobs().for_each(|job| out.reject(job.id()));
    let platform =
        Platform::from(Script::idle(&[(3, reject), (4, reject)])).batch(Chain::default());
    let (report, log) = run(nodes(1, 1), vec![job(1, 10), job(1, 10)], platform, 10);
    assert_eq!(report.summary.count(Outcome::Rejected), 2);
    assert_eq!((log.records[0].end, log.records[1].end), (at(3), at(4)));
}

/// Revoking an array of which a task is done takes nothing away from what that task did, and a task
/// on its way to being suspended waits for admission again.
#[test]
fn revoking_leaves_done_work_alone() {
    #[derive(Clone, Debug)]
    struct Revokes;
    impl Admission for Revokes {
        fn name(&self) -> &str {
            "revokes"
        }
        fn admit(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Admissions) {
            let job = JobRef {
                slot: 0,
                id: JobId(0),
            };
            if view.now() == at(0) {
                out.admit(job);
                out.push(AdmissionCommand::WakeAt(at(15)));
            } else if view.now() == at(15) && news.woken {
                out.revoke(job, secs(0), Reason::Quota);
            }
        }
    }
    let work: Arc<[SimDuration]> = [secs(10), secs(20), secs(30)].into();
    let mut array = job(1, 10)
        .tasks(3)
        .advance(Advance::Each)
        .kind(ControllerId(1));
    array.profile.work = Work::PerTask(work);
    let suspend: Step = |view, out| {
        let last = view.node(NodeId(2)).tasks().next().unwrap();
        let keeps = Keeps::Nothing;
        out.evict(last.id(), secs(8), Save::Yes, Then::Suspend { keeps });
    };
    let platform = Platform::from(Script::new(&[(12, suspend)])).admission(Revokes);
    let (report, _) = run(nodes(3, 1), vec![array], platform, 25);
    // Task 0 was done at 10, task 1 loses 15, task 2 saved 12 and holds its place to 20. From then
    // three GPUs are free and two tasks wait for quota; before, two are free and one task waits.
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=15 idle.held=15 allocated.startup=8 allocated.lost=15 allocated.useful=22"
    );
}

/// An elastic job of one to three tasks of one GPU, 60 s of work at one task.
fn elastic() -> JobSpec {
    job(1, 60).advance(Advance::Between { min: 1, max: 3 })
}

/// The live job of this id.
fn live<'a>(view: &View<'a>, id: u32) -> JobView<'a> {
    view.job(JobRef {
        slot: id,
        id: JobId(id),
    })
    .unwrap()
}

fn task_in<'a>(job: JobView<'a>, state: TaskState) -> TaskView<'a> {
    job.tasks().find(|task| task.state() == state).unwrap()
}

/// A task of an elastic job that has not begun to run takes nothing with it: its eviction, and the
/// death of its node, leave the progress of the others alone.
#[test]
fn tasks_that_do_not_run_lose_nothing() {
    let grow: Step = |view, out| {
        let task = task_in(live(view, 0), TaskState::Pending).id();
        let spot = [Spot::from(NodeId(1))];
        out.place_as(task, spot, Commit::Reserve, Claim::Sure, None);
    };
    let evict: Step = |view, out| {
        let task = task_in(live(view, 0), TaskState::Reserved).id();
        out.evict(task, secs(0), Save::No, Then::Requeue { not_before: None });
    };
    let fault = Fault::node(at(40), secs(100));
    let supply = nodes(2, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 1, fault)]));
    let policy = Script::new(&[(10, grow), (20, evict), (30, grow)]);
    let (report, log) = run(supply, vec![elastic()], policy, 60);
    // Held on node 1: 10-20 and 30-40; then it is down.
    assert_eq!(
        ledger_line(&report),
        "down=20 idle.no_demand=20 idle.held=20 allocated.useful=60"
    );
    assert_eq!(log.records[0].preemptions, 0);
}

/// A resize uses the tasks it can: those that have a place first, then pending ones. Tasks that sit
/// out a backoff stay where they are.
#[test]
fn a_resize_leaves_gated_tasks_alone() {
    let start: Step =
        |view, out| out.place(live(view, 0).id(), [NodeId(0), NodeId(1)].map(Spot::from));
    let requeue: Step = |view, out| {
        let task = task_in(live(view, 0), TaskState::Running).id();
        let not_before = Some(at(500));
        out.evict(task, secs(0), Save::Yes, Then::Requeue { not_before });
    };
    let grow: Step =
        |view, out| out.replace(live(view, 0).id(), [NodeId(0), NodeId(1)].map(Spot::from));
    let policy = Script::idle(&[(0, start), (10, requeue), (20, grow)]);
    let (report, log) = run(nodes(2, 1), vec![elastic()], policy, 60);
    // 2·10 + 1·10 + 2·15 of 60 s of work.
    assert_eq!(log.records[0].end, at(35));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=60 allocated.useful=60"
    );
}

/// A gang can't be moved while one of its tasks is suspended or leaves: that is an error, no panic.
#[test]
fn a_gang_in_pieces_can_not_be_moved() {
    let suspend: Step = |view, out| {
        let task = task_in(live(view, 0), TaskState::Running).id();
        out.evict(
            task,
            secs(0),
            Save::No,
            Then::Suspend {
                keeps: Keeps::Memory,
            },
        );
    };
    let both: Step =
        |view, out| out.replace(live(view, 0).id(), [NodeId(0), NodeId(1)].map(Spot::from));
    let jobs = JobList::new(vec![job(1, 60).tasks(2)]);
    let policy = Script::new(&[(10, suspend), (20, both)]);
    let simulation = Simulation::new(nodes(2, 1), jobs, policy, RunOptions::default()).unwrap();
    assert_eq!(
        cause(simulation),
        DecisionError::WrongState(TaskState::Suspended)
    );
}

/// An elastic job that reaches its minimum by a resize starts then.
#[test]
fn a_resize_to_the_minimum_is_a_start() {
    let first: Step = |view, out| {
        let task = task_in(live(view, 0), TaskState::Pending).id();
        out.place(task, [Spot::from(NodeId(0))]);
    };
    let second: Step =
        |view, out| out.replace(live(view, 0).id(), [NodeId(0), NodeId(1)].map(Spot::from));
    let spec = job(1, 10)
        .tasks(2)
        .advance(Advance::Between { min: 2, max: 3 });
    let policy = Script::idle(&[(0, first), (5, second)]);
    let (report, log) = run(nodes(2, 1), vec![spec], policy, 20);
    assert_eq!(log.records[0].start, Some(at(5)));
    assert_eq!(log.records[0].end, at(15));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=10 idle.held=5 allocated.waiting=5 allocated.useful=20"
    );
}

/// A task that was suspended within a hold comes back to it: what it gave up went to the hold, not to
/// others, and is lent again.
#[test]
fn resuming_within_a_hold() {
    let place: Step = |view, out| {
        let hold = hold_one(view, Claim::Sure, out);
        let spot = [Spot::from(NodeId(0))];
        out.place_as(
            live(view, 0).id(),
            spot,
            Commit::NOW,
            Claim::Sure,
            Some(hold),
        );
    };
    let suspend: Step = |view, out| {
        let keeps = Keeps::Memory;
        out.evict(
            live(view, 0).id(),
            secs(0),
            Save::No,
            Then::Suspend { keeps },
        );
    };
    let resume: Step = |view, out| out.resume(live(view, 0).id());
    let policy = Script::idle(&[(0, place), (10, suspend), (20, resume)]);
    let (report, _) = run(nodes(1, 2), vec![job(1, 30)], policy, 50);
    // Useful 0-10 and 20-40; the hold has its GPU back 10-20 and 40-50; the other GPU could serve
    // the suspended task 10-20.
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=40 idle.held=30 allocated.useful=30"
    );
}

/// Several tasks placed at once within a hold all draw from it, even when GPUs of a lower index
/// became free since the hold was backed.
#[test]
fn a_gang_within_a_hold_draws_from_it() {
    let take: Step = |view, out| {
        out.place(live(view, 0).id(), [Spot::from(NodeId(0))]);
    };
    let hold: Step = |view, out| {
        let amount = TaskRequest::gpus(2);
        let part = HoldPart {
            node: NodeId(0),
            amount,
        };
        out.hold(
            [part],
            view.now(),
            None,
            HoldFor::Anyone,
            Reason::Reservation,
            Claim::Sure,
        );
    };
    let within: Step = |view, out| {
        let spots = [Spot::from(NodeId(0)); 2];
        out.place_as(
            live(view, 1).id(),
            spots,
            Commit::NOW,
            Claim::Sure,
            Some(HoldId(0)),
        );
    };
    let policy = Script::idle(&[(0, take), (1, hold), (20, within)]);
    let jobs = vec![job(2, 10), job(1, 20).tasks(2)];
    let (report, _) = run(nodes(1, 4), jobs, policy, 30);
    // The first job has GPUs 0 and 1 to 10, the hold 2 and 3 from 1, lent to the gang from 20. The
    // gang could start on what is free beside: latency 0-1 on 2 GPUs, 10-20 on 2.
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=20 idle.held=60 allocated.useful=40"
    );
}

/// The batch controller enforces the walltime limit exactly, counted from when the job is bound, with
/// or without a gang timeout, and anew for a job that was requeued.
#[test]
fn walltime_limits_are_exact() {
    let limited = job(1, 100).startup(secs(5)).limit(secs(20));
    let requeue: Step = |view, out| {
        let not_before = Some(at(20));
        out.evict(
            live(view, 0).id(),
            secs(0),
            Save::No,
            Then::Requeue { not_before },
        );
    };
    let ends = |controller: Batch, steps: &[(u64, Step)]| {
        let platform = Platform::from(Script::new(steps)).batch(controller);
        let (report, log) = run(nodes(1, 1), vec![limited.clone()], platform, 60);
        assert_eq!(report.summary.count(Outcome::TimedOut), 1);
        log.records[0].end
    };
    assert_eq!(ends(Batch::new(), &[]), at(20));
    assert_eq!(ends(Batch::new().gang_timeout(secs(600)), &[]), at(20));
    assert_eq!(ends(Batch::new(), &[(10, requeue)]), at(40));
    let suspend: Step = |view, out| {
        let keeps = Keeps::Memory;
        out.evict(
            live(view, 0).id(),
            secs(0),
            Save::No,
            Then::Suspend { keeps },
        );
    };
    let resume: Step = |view, out| out.resume(live(view, 0).id());
    let pause: [(u64, Step); 2] = [(10, suspend), (25, resume)];
    assert_eq!(ends(Batch::new(), &pause), at(35), "suspended time apart");
    assert_eq!(
        ends(Batch::new().gang_timeout(secs(600)), &[(10, requeue)]),
        at(40)
    );
}

/// A gang of which several tasks were bound at once, but not all, is incomplete from then on; one that
/// was complete in between is given its time anew.
#[test]
fn gang_timeouts_count_from_the_first_bound_task() {
    /// Places the pending tasks with these indices, one per node.
    fn place(view: &View<'_>, indices: std::ops::Range<u32>, out: &mut Decisions) {
        for task in live(view, 0).tasks() {
            if indices.contains(&task.id().index) {
                out.place(task.id(), [Spot::from(NodeId(task.id().index))]);
            }
        }
    }
    let platform = |steps: &[(u64, Step)]| {
        Platform::from(Script::idle(steps)).batch(Batch::new().gang_timeout(secs(30)))
    };
    let attempts = |steps: &[(u64, Step)], horizon: u64| {
        let jobs = vec![job(1, 1_000).tasks(3)];
        run(nodes(3, 1), jobs, platform(steps), horizon).1.records[0].attempts
    };
    let two: Step = |view, out| place(view, 0..2, out);
    let third: Step = |view, out| place(view, 2..3, out);
    let lose_third: Step = |view, out| {
        let task = live(view, 0).tasks().last().unwrap().id();
        out.evict(task, secs(0), Save::No, Then::Requeue { not_before: None });
    };
    assert_eq!(attempts(&[(1, two)], 30), 1, "not before its time");
    assert_eq!(
        attempts(&[(1, two)], 31),
        2,
        "two bound at once are no whole gang"
    );
    let regained: [(u64, Step); 3] = [(1, two), (10, third), (20, lose_third)];
    assert_eq!(
        attempts(&regained, 49),
        2,
        "one eviction; incomplete since 20, not since 1"
    );
    assert_eq!(attempts(&regained, 50), 3);
}

/// A task that was suspended before it ran has its startup still before it.
#[test]
fn resuming_a_task_that_never_ran() {
    let suspend: Step = |view, out| {
        let keeps = Keeps::Memory;
        out.evict(
            live(view, 0).id(),
            secs(0),
            Save::No,
            Then::Suspend { keeps },
        );
    };
    let resume: Step = |view, out| out.resume(live(view, 0).id());
    let policy = Script::new(&[(4, suspend), (10, resume), (17, suspend), (20, resume)]);
    let (report, log) = run(nodes(1, 1), vec![job(1, 10).startup(secs(5))], policy, 40);
    // Starts 0-4, again 10-15, runs 15-17 and, since it keeps its memory, 20-28.
    assert_eq!(log.records[0].end, at(28));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=12 idle.held=9 allocated.startup=9 allocated.useful=10"
    );
}

/// The autoscaler hears of every job that waits for a shape its scheduler called unschedulable, also
/// of those that come after the scheduler first said so.
#[test]
fn the_autoscaler_hears_of_later_jobs_of_a_shape() {
    #[derive(Clone, Debug)]
    struct ByShape;
    impl Policy for ByShape {
        fn name(&self) -> &str {
            "by-shape"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            FirstFit.decide(view, news, out);
            for shape in view.pending_shapes() {
                out.waiting_shape(shape.id(), Reason::DoesNotFit);
            }
        }
    }
    /// Rents one node per job it hears of, and returns what is idle.
    #[derive(Clone, Debug)]
    struct OnePerJob;
    impl Autoscaler for OnePerJob {
        fn name(&self) -> &str {
            "one-per-job"
        }
        fn scale(&mut self, view: &View<'_>, news: &News<'_>, _: &dyn WouldFit, out: &mut Scaling) {
            let told = |change: &&windtunnel_core::JobChange| change.what == JobNews::Unschedulable;
            let jobs = news.jobs.iter().filter(told).count();
            out.grow(PoolId(0), u32::try_from(jobs).unwrap());
            view.nodes()
                .filter(|node| node.is_idle())
                .for_each(|node| out.shrink(node.id()));
        }
    }
    let elastic = Elastic {
        min: 0,
        max: 9,
        request_delay: secs(0),
        boot_delay: secs(5),
    };
    let pool = PoolSpec::rented("cloud", NodeModel::gpus_only("h100", 1), elastic);
    let mut late = job(1, 10);
    late.submit = at(2);
    let mut later = job(1, 10);
    later.submit = at(100);
    let platform = Platform::from(ByShape).autoscaler(OnePerJob);
    let (_, log) = run(
        Supply::new(vec![pool]),
        vec![job(1, 10), late, later],
        platform,
        200,
    );
    let starts: Vec<_> = log
        .records
        .iter()
        .map(|record| record.start.unwrap())
        .collect();
    assert_eq!(starts, [at(5), at(7), at(105)]);
}

/// How the GPUs of a node may be shared can be asked while a plan is alive.
#[test]
fn sharing_can_be_asked_during_a_plan() {
    let mut world = World::new(&nodes(1, 1)).unwrap();
    let view = world.view();
    let plan = view.plan();
    assert_eq!(view.node(NodeId(0)).sharing(), plan.sharing(NodeId(0)));
}

/// A gang that loses several tasks at once is restarted once: one new attempt, one backoff.
#[test]
fn a_gang_that_loses_two_tasks_restarts_once() {
    let kill: Step = |view, out| out.evict(live(view, 0).id(), secs(0), Save::No, Then::Kill);
    let controller = Batch::new().backoff(secs(10), secs(1_000));
    let platform = Platform::from(Script::new(&[(5, kill)])).batch(controller);
    let (report, log) = run(nodes(2, 1), vec![job(1, 10).tasks(2)], platform, 25);
    assert_eq!((log.records[0].attempts, log.records[0].end), (2, at(25)));
    assert_eq!(
        ledger_line(&report),
        "idle.held=20 allocated.lost=10 allocated.useful=20"
    );
}

/// What is bound to a node that dies before it runs is booked under `down` with it.
#[test]
fn a_start_on_a_dying_node_is_down() {
    let fault = Fault::node(at(5), secs(100));
    let supply = nodes(1, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 0, fault)]));
    let platform = Platform::from(FirstFit).detection_delay(secs(50));
    let (report, _) = run(supply, vec![job(1, 30).startup(secs(10))], platform, 20);
    assert_eq!(ledger_line(&report), "down=15 allocated.startup=5");
}

/// Whether a suspended task can come back can be asked first: its place may have been given away.
#[test]
fn a_plan_knows_whether_a_task_can_resume() {
    #[derive(Clone, Debug, Default)]
    struct Careful {
        resumed: bool,
    }
    impl Policy for Careful {
        fn name(&self) -> &str {
            "careful"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            let Some(first) = view.job(JobRef {
                slot: 0,
                id: JobId(0),
            }) else {
                return;
            };
            let task = first.tasks().next().unwrap();
            if view.now() == at(3) {
                let keeps = Keeps::Memory;
                out.evict(task.id(), secs(0), Save::No, Then::Suspend { keeps });
            } else if view.now() > at(4) && view.plan().resume(task) {
                self.resumed = true;
                out.resume(task.id());
            }
            FirstFit.decide(view, news, out);
            if view.now() < at(3) {
                out.wake_at(at(3));
            }
        }
    }
    let mut second = job(1, 10);
    second.submit = at(4);
    let (_, log) = run(
        nodes(1, 1),
        vec![job(1, 10), second],
        Careful::default(),
        30,
    );
    // The second job has the GPU 4-14; the first one, with 7 s to go, comes back then.
    assert_eq!((log.records[0].end, log.records[1].end), (at(14), at(21)));
}

/// A plan made on a run from outside sees what is free now, with or without a ledger.
#[test]
fn a_view_from_outside_is_up_to_date() {
    for options in [
        RunOptions::default(),
        RunOptions::default().without_ledger(),
    ] {
        let jobs = JobList::new(vec![job(1, 10), job(1, 10).kind(ControllerId(1))]);
        let mut simulation = Simulation::new(nodes(1, 2), jobs, FirstFit, options).unwrap();
        simulation.step().unwrap();
        let view = simulation.view();
        assert_eq!(view.plan().free(NodeId(0)).whole(), 0);
        assert_eq!(view.node(NodeId(0)).free().whole(), 0);
    }
}

/// Admission's moods are news to the scheduler, and a job that is held back can't be resumed.
#[test]
fn what_is_withheld_can_not_be_resumed() {
    /// Admits at 0 and holds back, without revoking, at 5.
    #[derive(Clone, Debug)]
    struct Hesitates;
    impl Admission for Hesitates {
        fn name(&self) -> &str {
            "hesitates"
        }
        fn admit(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Admissions) {
            let job = JobRef {
                slot: 0,
                id: JobId(0),
            };
            if view.now() == at(0) {
                out.admit(job);
                out.push(AdmissionCommand::WakeAt(at(5)));
            } else if view.now() == at(5) {
                out.withhold(job, Reason::Quota);
            }
        }
    }
    /// Suspends at 3 and resumes as soon as it hears of quota again.
    #[derive(Clone, Debug)]
    struct Eager;
    impl Policy for Eager {
        fn name(&self) -> &str {
            "eager"
        }
        fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
            FirstFit.decide(view, news, out);
            if view.now() == at(0) {
                out.wake_at(at(3));
            } else if news.quota {
                out.resume(live(view, 0).id());
            } else {
                let keeps = Keeps::Memory;
                out.evict(
                    live(view, 0).id(),
                    secs(0),
                    Save::No,
                    Then::Suspend { keeps },
                );
            }
        }
    }
    let platform = Platform::from(Eager).admission(Hesitates);
    let jobs = JobList::new(vec![job(1, 10)]);
    let simulation = Simulation::new(nodes(1, 1), jobs, platform, RunOptions::default()).unwrap();
    assert_eq!(cause(simulation), DecisionError::NotAdmitted);
}

/// What a scheduler says of a queue is about its own jobs, and is forgotten when another policy takes
/// its place.
#[test]
fn reasons_belong_to_the_scheduler_that_gave_them() {
    let platform = || {
        let says: Step = |_, out| out.rest(QueueId(0), Reason::HeadOfLine);
        let mut platform = Platform::new("two", Script::idle(&[(0, says)]));
        let policy = Box::new(Script::idle(&[]));
        platform.schedulers.push(Scheduler {
            policy,
            pools: PoolSet::ALL,
        });
        let (kind, scheduler) = (Some(ControllerId(1)), SchedulerId(1));
        platform.router = vec![Route {
            kind,
            scheduler,
            ..Route::default()
        }];
        platform
    };
    let jobs = || JobList::new(vec![job(1, 5), job(1, 5).kind(ControllerId(1))]);
    let options = || RunOptions::default().horizon(secs(10));
    let new = || Simulation::new(nodes(2, 1), jobs(), platform(), options()).unwrap();
    let mut log = JobLog::default();
    new().run_with(&mut log).unwrap();
    assert_eq!(
        (waits(&log, 0), waits(&log, 1)),
        ("head_of_line=10".into(), "latency=10".into())
    );

    let mut half = new();
    half.run_until(at(4), &mut NoObserver).unwrap();
    half.replace_policy(SchedulerId(0), Script::idle(&[]));
    let mut log = JobLog::default();
    half.run_with(&mut log).unwrap();
    assert_eq!(waits(&log, 0), "latency=6 head_of_line=4");
}
