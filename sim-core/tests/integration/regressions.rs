//! What random runs found, each as small as it could be made.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs, waits};
#[allow(unused_imports, reason = "being written")]
use windtunnel_core::{
    Advance, Autoscaler, Bucket, Claim, Commit, Decision, Decisions, Fault, Fit, HoldFor, HoldPart,
    JobSpec, JobView, ListedFaults, MilliCores, News, NodeId, Outcome, Platform, Policy, PoolId,
    Promise, Reason, Save, Scaling, ScalingCommand, Sharing, Spot, TaskRequest, TaskSet, TaskState,
    Then, View, WouldFit,
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
