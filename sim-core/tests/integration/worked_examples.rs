//! The six worked examples of the ledger, to the unit.

use crate::support::{FirstFit, StrictFifo, at, job, ledger_line, nodes, run, secs, waits};
use windtunnel_core::{
    Autoscaler, Bucket, Claim, Commit, Decisions, Elastic, Fault, ListedFaults, MicroDollars, News,
    NodeId, NodeModel, Platform, Policy, PoolId, PoolSpec, Save, Scaling, SimDuration, Spot,
    Supply, TaskRef, TaskState, Then, View, WouldFit,
};

/// Two nodes of four; a = 4 GPUs, b = 2 × 3 GPUs, c = 2 GPUs, ten seconds each, strict fifo.
#[test]
fn order_of_blame() {
    let jobs = vec![job(4, 10), job(3, 10).tasks(2), job(2, 10)];
    let (report, log) = run(nodes(2, 4), jobs, StrictFifo, 30);
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=60 idle.insufficient=20 idle.fragmented=20 idle.held=20 allocated.useful=120"
    );
    assert_eq!(waits(&log, 1), "insufficient=10");
    assert_eq!(waits(&log, 2), "fragmented=10 head_of_line=10");
}

/// One node, 4 GPUs, 8 cores, exclusive: a = 0.3 GPU + 8 cores, b = 2 GPUs + 4 cores.
#[test]
fn stranded_and_rounding() {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 4).with_cores(8), 1);
    let mut a = job(1, 10);
    a.request.groups[0].request = windtunnel_core::TaskRequest::gpu_milli(300).with_cores(8);
    let mut b = job(2, 10);
    b.request.groups[0].request = b.request.groups[0].request.with_cores(4);
    let (report, _) = run(supply, vec![a, b], FirstFit, 20);
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=30 idle.stranded=20 allocated.rounding=7 allocated.useful=23"
    );
    assert!((report.gpu_allocation().unwrap() - 0.375).abs() < 1e-12);
    // 8 cores for 10 s and 4 for 10 s, of 8 for 20 s.
    let ledger = report.ledger.as_ref().unwrap();
    let core_second = 1_000 * 1_000_000_000;
    assert_eq!(
        (ledger.cpu_allocated, ledger.cpu_paid),
        (120 * core_second, 160 * core_second)
    );
}

/// A machine without GPUs: 10 cores, rigid jobs of 6, 6 and 3 cores, cut off in the middle.
#[test]
fn cores_alone() {
    let supply = Supply::uniform(NodeModel::gpus_only("none", 0).with_cores(10), 1);
    let cores = |cores, run| {
        let mut job = job(1, run);
        job.request.groups[0].request = windtunnel_core::TaskRequest::gpus(0).with_cores(cores);
        job
    };
    let jobs = vec![cores(6, 10), cores(6, 10), cores(3, 10)];
    let (report, log) = run(supply, jobs, StrictFifo, 15);
    // 0 to 10 s: 6 cores; 10 to 15 s: 6 + 3.
    let ledger = report.ledger.as_ref().unwrap();
    let core_second = 1_000 * 1_000_000_000;
    assert_eq!(
        (ledger.cpu_allocated, ledger.cpu_paid),
        (105 * core_second, 150 * core_second)
    );
    assert!((report.cpu_allocation().unwrap() - 0.7).abs() < 1e-12);
    assert_eq!((ledger.paid(), report.gpu_allocation()), (0, None));
    assert_eq!(waits(&log, 1), "stranded=10");
    assert_eq!(waits(&log, 2), "head_of_line=10");
}

/// Starts whatever fits and evicts everything once, at an instant.
#[derive(Clone, Debug)]
struct EvictOnce {
    at: u64,
}

impl Policy for EvictOnce {
    fn name(&self) -> &str {
        "evict-once"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        FirstFit.decide(view, news, out);
        if view.now() < at(self.at) {
            out.wake_at(at(self.at));
        } else if view.now() == at(self.at) && news.woken {
            for task in view.nodes().flat_map(|node| node.tasks()) {
                out.evict(
                    task.id(),
                    secs(10),
                    Save::No,
                    Then::Requeue { not_before: None },
                );
            }
        }
    }
}

/// 100 s of work, startup 5, free checkpoints every 30, evicted at 75 with grace 10.
#[test]
fn checkpoint_and_grace() {
    let a = job(2, 100)
        .startup(secs(5))
        .checkpoint(secs(30), SimDuration::ZERO);
    let (report, log) = run(nodes(1, 2), vec![a], EvictOnce { at: 75 }, 130);
    assert_eq!(
        ledger_line(&report),
        "allocated.startup=40 allocated.lost=20 allocated.useful=200"
    );
    assert_eq!(log.records[0].end, at(130));
    assert_eq!(log.records[0].preemptions, 1);
    assert_eq!(report.summary.preemptions, 1);
}

/// One pod at a time, bound after a second, in the order a0, b0, a1, b1: no gang semantics.
#[derive(Clone, Debug, Default)]
struct SlowBinder;

impl Policy for SlowBinder {
    fn name(&self) -> &str {
        "slow-binder"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        let mut pods: Vec<TaskRef> = view
            .pending_jobs()
            .flat_map(|job| job.tasks())
            .filter(|task| task.state() == TaskState::Pending)
            .map(|task| task.id())
            .collect();
        pods.sort_by_key(|pod| (pod.index, pod.job));
        let mut plan = view.plan();
        let commit = Commit::Bind { after: secs(1) };
        for pod in pods {
            let task = view.task(pod).unwrap();
            if let Some(node) = plan.next_feasible(task, NodeId(0)) {
                assert!(plan.take(task, node));
                out.place_as(pod, [Spot::from(node)], commit, Claim::Sure, None);
            }
        }
    }
}

/// Two nodes of one GPU, gangs a and b of two.
#[test]
fn half_gangs() {
    let jobs = vec![job(1, 10).tasks(2), job(1, 10).tasks(2)];
    let (report, log) = run(nodes(2, 1), jobs, SlowBinder, 11);
    assert_eq!(ledger_line(&report), "idle.held=2 allocated.waiting=20");
    assert!(log.records.iter().all(|record| record.start.is_none()));
}

/// Two nodes of one GPU, a gang of two without checkpoint; one node dies at 20, noticed at 60.
#[test]
fn dead_unnoticed() {
    let fault = Fault::node(at(20), secs(1_000));
    let supply = nodes(2, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 1, fault)]));
    let platform = Platform::from(FirstFit).detection_delay(secs(40));
    let (report, _) = run(supply, vec![job(1, 100).tasks(2)], platform, 50);
    assert_eq!(
        ledger_line(&report),
        "down=30 allocated.waiting=30 allocated.lost=40"
    );
}

/// Rents a node for whatever waits and returns it after ten idle minutes.
#[derive(Clone, Debug, Default)]
struct OnDemand;

impl Autoscaler for OnDemand {
    fn name(&self) -> &str {
        "on-demand"
    }

    fn scale(&mut self, view: &View<'_>, news: &News<'_>, _: &dyn WouldFit, out: &mut Scaling) {
        if view.pending_count() > 0 {
            out.grow(PoolId(0), 1);
        }
        for node in view.nodes().filter(|node| node.is_idle() && node.is_open()) {
            if news.woken {
                out.shrink(node.id());
            } else {
                out.wake_at(view.now() + SimDuration::from_mins(10));
            }
        }
    }
}

/// Says that what does not fit is unschedulable.
#[derive(Clone, Debug, Default)]
struct CallsUnschedulable;

impl Policy for CallsUnschedulable {
    fn name(&self) -> &str {
        "calls-unschedulable"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        FirstFit.decide(view, news, out);
        for job in view.pending_jobs() {
            out.waiting(job.id(), windtunnel_core::Reason::DoesNotFit);
        }
    }
}

/// One GPU at 1 $/h with a one-hour minimum: provisioning 10 min, useful 20, idle 10.
#[test]
fn dollars() {
    let minutes = SimDuration::from_mins;
    let elastic = Elastic {
        min: 0,
        max: 1,
        request_delay: SimDuration::ZERO,
        boot_delay: minutes(10),
    };
    let mut pool = PoolSpec::rented("cloud", NodeModel::gpus_only("h100", 1), elastic)
        .priced(MicroDollars(1_000_000));
    pool.price.minimum = minutes(60);
    let platform = Platform::from(CallsUnschedulable).autoscaler(OnDemand);
    let (report, _) = run(
        Supply::new(vec![pool]),
        vec![job(1, 20 * 60)],
        platform,
        90 * 60,
    );
    let ledger = report.ledger.unwrap();
    assert_eq!(ledger.cost(Bucket::Provisioning).0, 166_667);
    assert_eq!(ledger.cost(Bucket::AllocatedUseful).0, 333_333);
    assert_eq!(ledger.cost(Bucket::IdleNoDemand).0, 166_667);
    assert_eq!(ledger.billing_rounding.0, 333_333);
}
