//! What random runs found, each as small as it could be made.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs, waits};
use windtunnel_core::{
    Advance, Autoscaler, Batch, Bytes, Claim, Commit, Decision, Decisions, Fault, Fit, HoldFor,
    HoldPart, JobSpec, JobView, Keeps, ListedFaults, News, NodeId, NodeModel, Outcome, Platform,
    Policy, PoolId, Promise, Reason, Save, Scaling, ScalingCommand, Sharing, Spot, Supply,
    TaskRequest, TaskSet, Then, View, WouldFit,
};

/// One step of a [`Script`].
type Step = fn(&View<'_>, &mut Decisions);

/// Does what it is told, when it is told, and nothing else.
#[derive(Clone, Debug)]
struct Script(Vec<(u64, Step)>);

impl Policy for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        while let Some((_, step)) = self.0.first().filter(|step| at(step.0) <= view.now()) {
            step(view, out);
            self.0.remove(0);
        }
        if let Some((next, _)) = self.0.first() {
            out.wake_at(at(*next));
        }
    }
}

fn script(steps: &[(u64, Step)]) -> Script {
    Script(steps.to_vec())
}

fn first<'a>(view: &View<'a>) -> JobView<'a> {
    let mut all = view.nodes().flat_map(|node| node.tasks());
    let placed = all.next().and_then(|task| view.job(task.id().job));
    placed.or_else(|| view.pending_jobs().next()).unwrap()
}

/// Starts the first pending job where it fits.
fn start(view: &View<'_>, out: &mut Decisions) {
    let job = view.pending_jobs().next().unwrap();
    let Fit::Now(spots) = view.plan().first_fit(job) else {
        panic!("it fits");
    };
    out.place(job.id(), spots);
}

fn requeue(view: &View<'_>, out: &mut Decisions) {
    let then = Then::Requeue { not_before: None };
    out.evict(first(view).id(), secs(0), Save::No, then);
}

/// A reason given in the instant in which a job starts says nothing of its next wait.
#[test]
fn a_reason_ends_with_the_wait_it_was_given_for() {
    let steps: &[(u64, Step)] = &[
        (0, |view, out| {
            out.waiting(first(view).id(), Reason::Priority);
            start(view, out);
        }),
        (10, requeue),
    ];
    let (_, log) = run(nodes(1, 1), vec![job(1, 100)], script(steps), 20);
    assert_eq!(waits(&log, 0), "latency=10");
}

/// A commit that comes before the binding is confirmed binds at once, and only once.
#[test]
fn a_commit_overtakes_the_binding() {
    let steps: &[(u64, Step)] = &[
        (0, |view, out| {
            let spot = Spot::from(NodeId(0));
            let after = Commit::Bind { after: secs(10) };
            out.place_as(first(view).id(), [spot], after, Claim::Sure, None);
        }),
        (4, |view, out| {
            let what = Promise::Tasks(TaskSet::Job(first(view).id()));
            out.push(Decision::Commit { what });
        }),
    ];
    let jobs = vec![job(1, 100).startup(secs(8))];
    let (report, _) = run(nodes(1, 1), jobs, script(steps), 20);
    let expected = "idle.held=4 allocated.startup=8 allocated.useful=8";
    assert_eq!(ledger_line(&report), expected);
}

/// Switches the only node off and cordons it as soon as it is idle.
#[derive(Clone, Debug, Default)]
struct OffAndCordoned;

impl Autoscaler for OffAndCordoned {
    fn name(&self) -> &str {
        "off-and-cordoned"
    }

    fn scale(&mut self, view: &View<'_>, _: &News<'_>, _: &dyn WouldFit, out: &mut Scaling) {
        let node = NodeId(0);
        if view.node(node).is_idle() {
            out.push(ScalingCommand::PowerOff { node });
            out.push(ScalingCommand::Cordon { node, closed: true });
        }
    }
}

/// A node that is switched off is free, but not if it is cordoned too.
#[test]
fn a_cordoned_node_serves_nobody_even_when_off() {
    let platform = Platform::from(FirstFit).autoscaler(OffAndCordoned);
    let later = JobSpec::new(at(2), TaskRequest::gpus(1), secs(10));
    let (report, log) = run(nodes(1, 1), vec![job(1, 1), later], platform, 12);
    assert_eq!(ledger_line(&report), "down=11 allocated.useful=1");
    assert_eq!(waits(&log, 1), "insufficient=10");
}

/// Places one task of a gang of three on a node for two.
#[test]
fn what_is_left_of_a_job_that_never_fits_is_no_demand() {
    let steps: &[(u64, Step)] = &[(0, |view, out| {
        let task = first(view).tasks().next().unwrap();
        out.place(task.id(), [Spot::from(NodeId(0))]);
    })];
    let jobs = vec![job(1, 10).tasks(3)];
    let (report, log) = run(nodes(1, 2), jobs, script(steps), 10);
    let expected = "idle.no_demand=10 allocated.waiting=10";
    assert_eq!(ledger_line(&report), expected);
    assert_eq!(waits(&log, 0), "never_fits=10");
}

/// A policy says that a shape does not fit, and that the rest of the queue waits behind it.
#[test]
fn a_shape_that_does_not_fit_waits_for_the_probes_reason() {
    let steps: &[(u64, Step)] = &[(0, |view, out| {
        start(view, out);
        let rest: Vec<JobView<'_>> = view.pending_jobs().skip(1).collect();
        out.waiting_shape(rest[0].shape(), Reason::DoesNotFit);
        out.rest(rest[0].queue(), Reason::HeadOfLine);
    })];
    let jobs = vec![job(2, 20), job(2, 1), job(1, 1)];
    let (_, log) = run(nodes(1, 3), jobs, script(steps), 10);
    assert_eq!(waits(&log, 1), "insufficient=10");
    assert_eq!(waits(&log, 2), "head_of_line=10");
}

fn dies_at(when: u64) -> ListedFaults {
    let (at, repair) = (at(when), secs(1_000));
    ListedFaults::new(vec![(PoolId(0), 0, Fault::node(at, repair))])
}

/// A node dies under a task that terminates: its GPU is down from then on, and nothing else.
#[test]
fn a_dead_node_books_tasks_that_are_ending() {
    let steps: &[(u64, Step)] = &[
        (0, start),
        (10, |view, out| {
            let then = Then::Requeue { not_before: None };
            out.evict(first(view).id(), secs(10), Save::Yes, then);
        }),
    ];
    let platform = Platform::from(script(steps)).detection_delay(secs(100));
    let supply = nodes(1, 1).with_faults(dies_at(15));
    let (report, _) = run(supply, vec![job(1, 100)], platform, 20);
    let expected = "down=5 allocated.startup=5 allocated.useful=10";
    assert_eq!(ledger_line(&report), expected);
}

/// The same while it is about to be suspended in memory: the memory is gone with the node.
#[test]
fn what_a_task_was_to_keep_dies_with_its_node() {
    let steps: &[(u64, Step)] = &[
        (0, start),
        (10, |view, out| {
            let keeps = Keeps::Memory;
            out.evict(
                first(view).id(),
                secs(10),
                Save::No,
                Then::Suspend { keeps },
            );
        }),
    ];
    let platform = Platform::from(script(steps)).detection_delay(secs(100));
    let supply = nodes(1, 1).with_faults(dies_at(15));
    let (report, _) = run(supply, vec![job(1, 100)], platform, 20);
    let expected = "down=5 allocated.startup=5 allocated.lost=10";
    assert_eq!(ledger_line(&report), expected);
}

/// One of two nodes under an elastic job dies unnoticed: the other goes on at half the speed.
#[test]
fn a_task_on_a_dead_node_is_no_help_to_an_elastic_job() {
    let steps: &[(u64, Step)] = &[(0, |view, out| {
        let spots = [NodeId(0), NodeId(1)].map(Spot::from);
        out.place(first(view).id(), spots);
    })];
    let elastic = Advance::Between { min: 1, max: 2 };
    let jobs = vec![job(1, 30).tasks(2).advance(elastic)];
    let platform = Platform::from(script(steps)).detection_delay(secs(100));
    let supply = nodes(2, 1).with_faults(dies_at(10));
    let (report, log) = run(supply, jobs, platform, 70);
    // Nothing is saved, so all 30 s of work at both GPUs are to be done by one: until 70.
    assert_eq!(log.records[0].end, at(70));
    let expected = "down=60 allocated.lost=20 allocated.useful=60";
    assert_eq!(ledger_line(&report), expected);
}

/// Holds all cores of the node from an instant on, under the id that is next.
fn hold_cores(view: &View<'_>, out: &mut Decisions, from: u64) {
    let amount = TaskRequest::gpus(0).with_cores(4);
    let parts = [NodeId(0)].map(|node| HoldPart { node, amount });
    let why = Reason::Reservation;
    out.hold(parts, at(from), None, HoldFor::Anyone, why, Claim::Try);
    assert!(at(from) >= view.now());
}

/// An older hold that still wants something gets nothing of what is placed within another.
#[test]
fn tasks_placed_at_once_within_a_hold_keep_what_it_had() {
    let steps: &[(u64, Step)] = &[
        (0, |view, out| {
            hold_cores(view, out, 5);
            hold_cores(view, out, 0);
        }),
        (6, |view, out| {
            let spots = [NodeId(0), NodeId(0)].map(Spot::from);
            let within = view.holds().map(|hold| hold.id).last();
            out.place_as(first(view).id(), spots, Commit::NOW, Claim::Sure, within);
        }),
    ];
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 1).with_cores(4), 1);
    let mut gang = job(1, 10).tasks(2);
    gang.request.groups[0].request = TaskRequest::gpus(0).with_cores(2);
    let (_, log) = run(supply, vec![gang], script(steps), 20);
    assert_eq!(log.records[0].end, at(16));
}

/// A hold of half a GPU and a whole one lends the whole one: half a GPU stays set aside, no more.
#[test]
fn a_hold_lends_the_part_that_a_task_takes() {
    let steps: &[(u64, Step)] = &[(0, |view, out| {
        let node = NodeId(0);
        let amounts = [TaskRequest::gpu_milli(500), TaskRequest::gpus(1)];
        let parts = amounts.map(|amount| HoldPart { node, amount });
        let why = Reason::Reservation;
        let hold = out.hold(parts, at(0), None, HoldFor::Anyone, why, Claim::Sure);
        let spot = [Spot::from(node)];
        let job = first(view).id();
        out.place_as(job, spot, Commit::NOW, Claim::Sure, Some(hold));
    })];
    let platform = Platform::from(script(steps)).sharing(Sharing::Fractions);
    let (report, _) = run(nodes(1, 4), vec![job(1, 20)], platform, 20);
    let expected = "idle.no_demand=50 idle.held=10 allocated.useful=20";
    assert_eq!(ledger_line(&report), expected);
}

/// A task that is suspended within a hold keeps its memory, and the hold does not replace it.
#[test]
fn memory_that_a_suspended_task_keeps_stays_lent() {
    let steps: &[(u64, Step)] = &[
        (0, |view, out| {
            let node = NodeId(0);
            let amount = TaskRequest::gpus(1).with_memory(Bytes(4));
            let parts = [HoldPart { node, amount }];
            let why = Reason::Reservation;
            let hold = out.hold(parts, at(0), None, HoldFor::Anyone, why, Claim::Sure);
            let spot = [Spot::from(node)];
            let job = first(view).id();
            out.place_as(job, spot, Commit::NOW, Claim::Sure, Some(hold));
        }),
        (5, |view, out| {
            let keeps = Keeps::Memory;
            let then = Then::Suspend { keeps };
            out.evict(first(view).id(), secs(0), Save::No, then);
        }),
        (6, |view, _| {
            assert_eq!(view.node(NodeId(0)).free().memory, 4)
        }),
    ];
    let model = NodeModel::gpus_only("h100", 1).with_memory(Bytes(8));
    let mut one = job(1, 10);
    one.request.groups[0].request.memory = Bytes(4);
    run(Supply::uniform(model, 1), vec![one], script(steps), 10);
}

/// A gang of two loses a task in the instant in which its time is up: it is over, and not restarted
/// when the gang's patience would have ended.
#[test]
fn a_job_that_timed_out_is_no_incomplete_gang() {
    let steps: &[(u64, Step)] = &[
        (0, start),
        (8, |view, out| {
            let then = Then::Requeue { not_before: None };
            let one = first(view).tasks().next().unwrap();
            out.evict(one.id(), secs(2), Save::No, then);
        }),
    ];
    let batch = Batch::new().gang_timeout(secs(5));
    let platform = Platform::from(script(steps)).batch(batch);
    let jobs = vec![job(1, 100).tasks(2).limit(secs(10))];
    let (_, log) = run(nodes(2, 1), jobs, platform, 30);
    assert_eq!(log.records[0].outcome, Some(Outcome::TimedOut));
    assert_eq!(log.records[0].end, at(10));
}
