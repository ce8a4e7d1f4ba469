//! What a plan answers.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run};
use windtunnel_core::{
    Advance, Decisions, Fit, JobSpec, News, NodeFree, NodeId, NodeModel, Policy, Score, Scorer,
    SimDuration, SimTime, Supply, TaskGroup, TaskRequest, View, World,
};

/// Five tasks of an array on three GPUs: three start at once, two when those end. A gang of five would
/// wait for ever.
#[test]
fn arrays_trickle() {
    let array = job(1, 10).tasks(5).advance(Advance::Each);
    let (report, log) = run(nodes(1, 3), vec![array], FirstFit, 30);
    assert_eq!(log.records[0].start, Some(at(0)));
    assert_eq!(log.records[0].end, at(20));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=40 allocated.useful=50"
    );
}

/// An array that shares the cluster with a job that came before it takes what is left.
#[test]
fn arrays_take_what_is_left() {
    let array = job(2, 10).tasks(3).advance(Advance::Each);
    let (_, log) = run(nodes(2, 4), vec![job(4, 15), array], FirstFit, 30);
    let ends: Vec<_> = log.records.iter().map(|r| (r.job.0, r.end)).collect();
    assert_eq!(ends, [(0, at(15)), (1, at(20))]);
}

/// What fits if other capacity were free, asked without a change; what was taken, given back.
#[test]
fn a_plan_answers_for_shapes_and_remembers_what_was_taken() {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 4).with_cores(8), 2);
    let mut world = World::new(&supply).unwrap();
    let minute = SimDuration::from_mins(1);
    let mut submit = |request: TaskRequest, tasks| {
        let spec = JobSpec::new(SimTime::ZERO, request, minute).tasks(tasks);
        world.submit(spec).unwrap()
    };
    let pair = submit(TaskRequest::gpus(3), 2);
    let whole = submit(TaskRequest::gpus(4).with_cores(8), 1);
    let view = world.view();
    let (pair, whole) = (view.job(pair).unwrap(), view.job(whole).unwrap());
    let mut plan = view.plan();
    let mark = plan.mark();
    for job in [pair, whole] {
        assert_eq!(plan.may_fit_shape(job.shape()), plan.may_fit(job));
    }
    // With one node full, the pair has no room; with the other too, nor has the whole node's job.
    let mut full = *plan.free(NodeId(0));
    (full.idle, full.milli, full.left) = (0, 0, [0; windtunnel_core::MAX_DEVICES]);
    let one = [(NodeId(0), full)];
    let both = [(NodeId(0), full), (NodeId(1), full)];
    assert!(!plan.may_fit_shape_if(pair.shape(), &one));
    assert!(plan.may_fit_shape_if(whole.shape(), &one));
    assert!(!plan.may_fit_shape_if(whole.shape(), &both));
    assert!(plan.may_fit_shape(pair.shape()), "asking changed nothing");

    assert!(matches!(plan.first_fit(pair), Fit::Now(_)));
    let taken = plan.taken_since(mark);
    let gpus: Vec<_> = taken
        .iter()
        .map(|(node, grant)| (node.0, grant.devices.0))
        .collect();
    assert_eq!(gpus, [(0, 0b111), (1, 0b111)]);
    assert!(!plan.may_fit_shape(whole.shape()));
    let request = pair.groups()[0].request;
    for (node, grant) in taken {
        plan.give_back(node, grant, &request);
    }
    assert!(plan.may_fit_shape(whole.shape()));
}

/// Places what comes, and asks a plan about it again once it runs.
/// Counts those answers; remembers whether it has just placed something.
#[derive(Clone, Debug, Default)]
struct AsksAgain(u32, bool);

impl Policy for AsksAgain {
    fn name(&self) -> &str {
        "asks-again"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            let Fit::Now(spots) = plan.first_fit(job) else {
                panic!("it fits")
            };
            out.place(job.id(), spots);
            out.wake_at(view.now());
        }
        let is_second = std::mem::take(&mut self.1);
        self.1 = !out.is_empty();
        let before = self.0;
        for task in view.nodes().flat_map(|node| node.tasks()) {
            let job = view.job(task.id().job).unwrap();
            assert!(!job.is_pending());
            let mark = plan.mark();
            assert_eq!(plan.first_fit(job), Fit::NotNow);
            assert_eq!(plan.best_by(job, |_, _| 0), Fit::NotNow);
            assert_eq!(plan.best_of::<Alike>(job), Fit::NotNow);
            assert_eq!(plan.place_by(job, |_, _| Some(NodeId(0))), Fit::NotNow);
            assert!(plan.taken_since(mark).is_empty());
            self.0 += 1;
        }
        assert_eq!(is_second, self.0 > before, "at the second look it runs");
    }
}

/// All nodes alike.
struct Alike;

impl Scorer for Alike {
    fn score(_: &NodeFree, _: &TaskRequest) -> Score {
        0
    }
}

/// There is room for the job once more, and nothing of it to place: a plan does not say "now, on no
/// node", which would be an invalid placement.
#[test]
fn what_is_not_pending_does_not_fit_now() {
    let (report, _) = run(nodes(1, 4), vec![job(1, 10)], AsksAgain::default(), 30);
    assert_eq!(report.summary.completed(), 1);
}

/// What is left of a job of two groups may be one task of the second: it asks for what that group asks
/// for, and not for what the first does.
#[test]
fn the_last_task_of_two_groups_is_of_its_own_group() {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 2);
    let mut world = World::new(&supply).unwrap();
    let mut spec = JobSpec::new(
        SimTime::ZERO,
        TaskRequest::gpus(8),
        SimDuration::from_mins(1),
    );
    let small = TaskGroup::new(TaskRequest::gpus(1), 1);
    spec.request.groups.push(small);
    let job = world.submit(spec).unwrap();
    let first = world.view().job(job).unwrap().tasks().next().unwrap().id();
    world.start(first, NodeId(0)).unwrap();
    let other = JobSpec::new(
        SimTime::ZERO,
        TaskRequest::gpus(6),
        SimDuration::from_mins(1),
    );
    let other = world.submit(other).unwrap();
    let other = world
        .view()
        .job(other)
        .unwrap()
        .tasks()
        .next()
        .unwrap()
        .id();
    world.start(other, NodeId(1)).unwrap();

    let view = world.view();
    let mut plan = view.plan();
    let Fit::Now(spots) = plan.first_fit(view.job(job).unwrap()) else {
        panic!("node 1 has two GPUs left");
    };
    assert_eq!(spots[0].node, NodeId(1));
    assert_eq!(plan.free(NodeId(1)).milli, 1_000, "it took one of two");
}
