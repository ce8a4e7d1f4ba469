//! Faults of parts of nodes, stragglers, drivers and maintenance, worked out by hand: GPU-seconds and
//! instants to the unit.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs};
use windtunnel_core::{
    Advance, Batch, Decisions, DriverFailures, Elastic, Event, Fault, FaultKind, JobList, JobSpec,
    Keeps, ListedFaults, MaintenanceWindows, News, NoObserver, NodeId, NodeModel, Observer, OnLoss,
    Platform, Policy, PoolId, PoolSpec, Ppm, RunOptions, Save, Sharing, SimDuration, Simulation,
    Spot, Supply, TaskRequest, TaskState, Then, Timeline, View,
};

/// A fault on a node of the first pool.
fn breaks(node: u32, when: u64, repair: u64, what: FaultKind) -> (PoolId, u32, Fault) {
    let (at, repair) = (at(when), secs(repair));
    (PoolId(0), node, Fault { at, repair, what })
}

/// `count` nodes with `gpus` GPUs each, and what befalls them.
fn failing(count: u32, gpus: u8, faults: &[(PoolId, u32, Fault)]) -> Supply {
    nodes(count, gpus).with_faults(ListedFaults::new(faults.to_vec()))
}

/// Failures are noticed after so many seconds.
fn noticed_after(delay: u64) -> Platform {
    Platform::from(FirstFit).detection_delay(secs(delay))
}

fn simulation(
    supply: Supply,
    jobs: Vec<JobSpec>,
    platform: impl Into<Platform>,
    horizon: u64,
) -> Simulation {
    let options = RunOptions::default().horizon(secs(horizon));
    Simulation::new(supply, JobList::new(jobs), platform, options).unwrap()
}

fn timeline(
    supply: Supply,
    jobs: Vec<JobSpec>,
    platform: impl Into<Platform>,
    horizon: u64,
) -> String {
    let mut timeline = Timeline::default();
    let run = simulation(supply, jobs, platform, horizon);
    run.run_with(&mut timeline).unwrap();
    timeline.text()
}

/// One GPU of four dies under a job of two, unnoticed for ten seconds.
///
/// [0, 10) GPUs 0 and 1 run it: 20, later lost; two are free (20). [10, 20) GPU 0 is down (10), GPU 1
/// waits (10), two are free (20). At 20 it is noticed, and the job begins anew on GPUs 1 and 2: [20, 30)
/// 20 useful, GPU 0 down (10), GPU 3 free (10).
#[test]
fn a_gpu_of_four_under_a_job_of_two() {
    let supply = || failing(1, 4, &[breaks(0, 10, 1_000, FaultKind::Gpu(0))]);
    let (report, log) = run(supply(), vec![job(2, 15)], noticed_after(10), 30);
    assert_eq!(
        ledger_line(&report),
        "down=20 idle.no_demand=50 allocated.waiting=10 allocated.lost=20 allocated.useful=20"
    );
    assert_eq!(log.records[0].attempts, 2);
    assert_eq!(
        timeline(supply(), vec![job(2, 15)], noticed_after(10), 30),
        "t=0s       job-0 submitted\n\
         t=0s       job-0/0.0 running on node-0\n\
         t=10s      node-0 gpu 0 began\n\
         t=20s      node-0 gpu 0 noticed\n\
         t=20s      job-0/0.0 over (gpu lost)\n\
         t=20s      job-0/0.0#1 pending\n\
         t=20s      job-0/0.0#1 running on node-0\n"
    );
}

/// A job that ends in the very instant in which its GPU fails has ended.
#[test]
fn work_ends_before_anything_fails() {
    let supply = failing(1, 4, &[breaks(0, 10, 1_000, FaultKind::Gpu(0))]);
    let (report, log) = run(supply, vec![job(2, 10)], noticed_after(10), 30);
    assert_eq!(log.records[0].end, at(10));
    assert_eq!(
        ledger_line(&report),
        "down=20 idle.no_demand=80 allocated.useful=20"
    );
}

/// A gang of two nodes loses one GPU of its four: the three others wait. On repair before anybody
/// noticed, the repair tells.
#[test]
fn a_repair_before_anybody_noticed_tells() {
    let supply = failing(2, 2, &[breaks(1, 10, 5, FaultKind::Gpu(1))]);
    let gang = vec![job(2, 20).tasks(2).checkpoint(secs(4), SimDuration::ZERO)];
    let (report, log) = run(supply, gang, noticed_after(60), 40);
    // Saved at 8; [8, 10) is lost on four GPUs. Anew at 15, twelve seconds left.
    assert_eq!(
        ledger_line(&report),
        "down=5 idle.no_demand=52 allocated.waiting=15 allocated.lost=8 allocated.useful=80"
    );
    assert_eq!(log.records[0].end, at(27));
}

/// A free GPU that failed unnoticed is down, is offered all the same, and whoever takes it stands
/// still; noticed, it is not offered any more; repaired, it is.
#[test]
fn a_free_gpu_fails() {
    let supply = failing(1, 2, &[breaks(0, 5, 35, FaultKind::Gpu(0))]);
    let mut second = job(2, 10);
    second.submit = at(10);
    let (report, log) = run(supply, vec![second], noticed_after(15), 60);
    // [0, 5) 2 free. [5, 10) one down, one free. [10, 20) one down, one waits. At 20 it is noticed:
    // [20, 40) one down, one free for a job of two: insufficient. [40, 50) both. [50, 60) 2 free.
    assert_eq!(
        ledger_line(&report),
        "down=35 idle.no_demand=35 idle.insufficient=20 allocated.waiting=10 allocated.useful=20"
    );
    assert_eq!(log.records[0].end, at(50));
}

/// The probe knows that a GPU has failed before the platform does: what is free is not enough.
#[test]
fn the_probe_looks_at_the_truth() {
    /// Never places anything.
    #[derive(Clone, Debug)]
    struct Idle;
    impl Policy for Idle {
        fn name(&self) -> &str {
            "idle"
        }
        fn decide(&mut self, _: &View<'_>, _: &News<'_>, _: &mut Decisions) {}
    }
    let supply = failing(2, 2, &[breaks(0, 10, 1_000, FaultKind::Gpu(1))]);
    let platform = Platform::from(Idle).detection_delay(secs(500));
    let (report, _) = run(supply, vec![job(2, 5).tasks(2)], platform, 20);
    assert_eq!(
        ledger_line(&report),
        "down=10 idle.insufficient=30 idle.held=40"
    );
}

/// A fraction's GPU fails: all of it is down, and nobody on it books anything.
#[test]
fn fractions_on_a_failed_gpu() {
    let supply = failing(1, 2, &[breaks(0, 10, 1_000, FaultKind::Gpu(0))]);
    let part = |milli| {
        let mut spec = job(1, 100);
        spec.request.groups[0].request = TaskRequest::gpu_milli(milli);
        spec
    };
    let platform = noticed_after(1_000).sharing(Sharing::Fractions);
    let (report, _) = run(supply, vec![part(500), part(250), part(1)], platform, 20);
    // [0, 10) 7.51 useful on GPU 0, lost at 10; 12.49 free. [10, 20) GPU 0 down, GPU 1 free.
    let ledger = report.ledger.as_ref().unwrap();
    let milli_seconds = |bucket| ledger.amount(bucket) / (1_000_000 * 1_000_000_000);
    use windtunnel_core::Bucket::{AllocatedLost, Down, IdleNoDemand};
    assert_eq!(
        [Down, AllocatedLost, IdleNoDemand].map(milli_seconds),
        [10_000, 7_510, 22_490]
    );
}

/// Places every task that it can, each by itself, and says of every job that it does not fit.
#[derive(Clone, Debug)]
struct EveryTask;

impl Policy for EveryTask {
    fn name(&self) -> &str {
        "every-task"
    }
    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            for task in job
                .tasks()
                .filter(|task| task.state() == TaskState::Pending)
            {
                if let Some(node) = plan.next_feasible(task, NodeId(0)) {
                    assert!(plan.take(task, node));
                    out.place(task.id(), [Spot::from(node)]);
                }
            }
            out.waiting(job.id(), windtunnel_core::Reason::DoesNotFit);
        }
    }
}

/// An elastic job goes on with what it has left: its hurt task waits, the other makes progress again
/// at half speed from where it was saved.
#[test]
fn an_elastic_job_goes_on() {
    let supply = failing(1, 2, &[breaks(0, 10, 1_000, FaultKind::Gpu(0))]);
    let elastic = job(1, 100)
        .tasks(2)
        .advance(Advance::Between { min: 1, max: 2 });
    let platform = Platform::from(EveryTask).detection_delay(secs(1_000));
    let (report, _) = run(supply, vec![elastic], platform, 20);
    assert_eq!(
        ledger_line(&report),
        "down=10 allocated.lost=20 allocated.useful=10"
    );
}

/// Two GPUs of one task fail one after the other; each is repaired by itself.
#[test]
fn two_gpus_fail_at_once() {
    let faults = [
        breaks(0, 10, 20, FaultKind::Gpu(0)),
        breaks(0, 12, 8, FaultKind::Gpu(1)),
        // It has failed already: passes without effect, and does not repair it at 15 either.
        breaks(0, 13, 2, FaultKind::Gpu(0)),
    ];
    let platform = noticed_after(5).batch(Batch::new().on_loss(OnLoss::Restart));
    let (report, log) = run(failing(1, 4, &faults), vec![job(4, 20)], platform, 60);
    // [10, 12) 1 down, 3 wait. [12, 15) 2 down, 2 wait. At 15 the job is lost; [15, 20) 2 down, 2 free,
    // [20, 30) 1 down, 3 free; [30, 50) it runs. GPU 1 was never granted while it was down.
    assert_eq!(
        ledger_line(&report),
        "down=28 idle.no_demand=40 idle.insufficient=40 allocated.waiting=12 \
         allocated.lost=40 allocated.useful=80"
    );
    assert_eq!(log.records[0].end, at(50));
}

/// A node fails while a GPU of it is down, and comes back without it.
#[test]
fn a_node_comes_back_without_its_failed_gpu() {
    let faults = [
        breaks(0, 5, 40, FaultKind::Gpu(1)),
        breaks(0, 10, 10, FaultKind::Node),
    ];
    let (report, log) = run(
        failing(1, 2, &faults),
        vec![job(1, 20), job(1, 20)],
        noticed_after(0),
        50,
    );
    // [5, 10) 1 down; [10, 20) 2 down; [20, 45) 1 down, then free. The first job runs from 20 to 40, the
    // second from then on.
    assert_eq!(
        ledger_line(&report),
        "down=50 idle.no_demand=5 allocated.lost=15 allocated.useful=30"
    );
    assert_eq!((log.records[0].end, report.end), (at(40), at(50)));
}

/// A maintenance window from 20 to 30 with a lead of 15: from 5 on nothing is placed on its node, what
/// ends before 20 may, what does not is ended.
#[test]
fn a_node_drains_for_maintenance() {
    let windows = MaintenanceWindows {
        lead: secs(15),
        nodes: 0..1,
        ..MaintenanceWindows::once(at(20), secs(10))
    };
    let supply = nodes(2, 1).with_faults(windows.every(secs(100)));
    let mut late = job(1, 5);
    late.submit = at(6);
    let jobs = vec![job(1, 40), job(1, 10), late];
    assert_eq!(
        timeline(supply.clone(), jobs.clone(), FirstFit, 60),
        "t=0s       job-0 submitted\n\
         t=0s       job-1 submitted\n\
         t=0s       job-0/0.0 running on node-0\n\
         t=0s       job-1/0.0 running on node-1\n\
         t=5s       node-0 maintenance began\n\
         t=6s       job-2 submitted\n\
         t=10s      job-1/0.0 over\n\
         t=10s      job-1 ended: COMPLETED_SUCCESSFULLY\n\
         t=10s      job-2/0.0 running on node-1\n\
         t=15s      job-2/0.0 over\n\
         t=15s      job-2 ended: COMPLETED_SUCCESSFULLY\n\
         t=20s      node-0 maintenance opened\n\
         t=20s      job-0/0.0 over (drained)\n\
         t=20s      job-0/0.0#1 pending\n\
         t=20s      job-0/0.0#1 running on node-1\n\
         t=30s      node-0 maintenance ended\n\
         t=1m       job-0/0.0#1 over\n\
         t=1m       job-0 ended: COMPLETED_SUCCESSFULLY\n"
    );
    let (report, _) = run(supply, jobs, FirstFit, 60);
    // Node 0: 20 lost, [20, 30) down, [30, 60) free. Node 1: 15 useful, [15, 20) free, 40 useful.
    assert_eq!(
        ledger_line(&report),
        "down=10 idle.no_demand=35 allocated.lost=20 allocated.useful=55"
    );
}

/// While a draining node has room, that is down; windows come again, and a cordon is another matter.
#[test]
fn a_draining_node_is_down_where_it_is_free() {
    let windows = MaintenanceWindows {
        lead: secs(10),
        ..MaintenanceWindows::once(at(10), secs(5))
    };
    let supply = nodes(1, 2).with_faults(windows.every(secs(20)));
    let (report, _) = run(supply, vec![job(1, 100)], FirstFit, 40);
    // Draining [0, 10) before the first policy places anything, open [15, 20), draining [20, 30) with
    // the job on one of two GPUs, window [30, 35), open [35, 40).
    assert_eq!(
        ledger_line(&report),
        "down=50 idle.no_demand=10 allocated.lost=15 allocated.useful=5"
    );
}

/// Sees links and speeds as a policy does.
#[derive(Default)]
struct Watcher(Vec<String>);

impl Observer for Watcher {
    fn on_event(&mut self, _: &Event, view: &View<'_>) {
        let node = view.node(NodeId(0));
        let links = node.links();
        let seen = format!(
            "{} nvlink {:#b} nics {:#b} open {}",
            view.now(),
            links.nvlink.0,
            links.nics,
            node.is_open()
        );
        if self.0.last() != Some(&seen) {
            self.0.push(seen);
        }
    }
}

/// Links fail and nodes slow down without stopping anything; policies see links. Where a job takes
/// no notice of links, it takes notice of a slow node.
#[test]
fn links_fail_and_work_goes_on() {
    let faults = [
        breaks(0, 10, 20, FaultKind::Nvlink(1)),
        breaks(0, 15, 5, FaultKind::Nic(3)),
        breaks(0, 16, 5, FaultKind::Slow(Ppm(700_000))),
        // No such GPU, no such card, no slowdown.
        breaks(0, 17, 5, FaultKind::Nvlink(2)),
        breaks(0, 17, 5, FaultKind::Gpu(2)),
        breaks(0, 17, 5, FaultKind::Nic(16)),
        breaks(0, 17, 5, FaultKind::Slow(Ppm::ONE)),
    ];
    let mut watcher = Watcher::default();
    let run = simulation(failing(1, 2, &faults), vec![job(2, 30)], FirstFit, 40);
    let report = run.run_with(&mut watcher).unwrap();
    assert_eq!(
        watcher.0,
        [
            "0s nvlink 0b0 nics 0b0 open true",
            "10s nvlink 0b10 nics 0b0 open true",
            "15s nvlink 0b10 nics 0b1000 open true",
            "16s nvlink 0b10 nics 0b1000 open true",
            "20s nvlink 0b10 nics 0b0 open true",
            "21s nvlink 0b10 nics 0b0 open true",
            "30s nvlink 0b0 nics 0b0 open true",
            "31s 500ms nvlink 0b0 nics 0b0 open true",
        ]
    );
    // Three tenths of five seconds are lost to the slow node.
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=17 allocated.stalled=3 allocated.useful=60"
    );
}

/// Always fails, for exactly so long.
fn bad_driver(wait: u64, probability: Ppm) -> DriverFailures {
    DriverFailures {
        probability,
        retry_min: secs(wait),
        retry_max: secs(wait),
    }
}

/// After a repair a node whose driver does not come up stays down; each try takes its chance anew.
#[test]
fn a_driver_fails_after_a_repair() {
    let supply = || failing(1, 1, &[breaks(0, 10, 10, FaultKind::Node)]);
    let always = noticed_after(0).driver_failures(bad_driver(7, Ppm::ONE));
    let (report, log) = run(supply(), vec![job(1, 30)], always, 50);
    assert_eq!(ledger_line(&report), "down=40 allocated.lost=10");
    assert_eq!(log.records[0].outcome, None);

    let sometimes = noticed_after(0).driver_failures(bad_driver(7, Ppm(500_000)));
    let text = timeline(supply(), vec![job(1, 5)], sometimes, 500);
    let failed = u64::try_from(text.matches("driver failed").count()).unwrap();
    let repaired = format!("t={:<8} node-0 repaired", at(20 + 7 * failed).to_string());
    assert!(text.contains(&repaired), "{text}");
}

/// A rented node whose driver does not come up is paid as provisioning until it does.
#[test]
fn a_driver_fails_at_boot() {
    /// Rents what there is.
    #[derive(Clone, Debug)]
    struct All;
    impl windtunnel_core::Autoscaler for All {
        fn name(&self) -> &str {
            "all"
        }
        fn scale(
            &mut self,
            _: &View<'_>,
            _: &News<'_>,
            _: &dyn windtunnel_core::WouldFit,
            out: &mut windtunnel_core::Scaling,
        ) {
            out.grow(PoolId(0), 64);
        }
    }
    let elastic = Elastic {
        min: 0,
        max: 64,
        request_delay: SimDuration::ZERO,
        boot_delay: secs(10),
    };
    let pool = PoolSpec::rented("cloud", NodeModel::gpus_only("h100", 1), elastic);
    let platform = Platform::from(EveryTask)
        .autoscaler(All)
        .driver_failures(bad_driver(3, Ppm(250_000)));
    let jobs = vec![job(1, 1).tasks(64)];
    let supply = Supply::new(vec![pool]);
    let text = timeline(supply.clone(), jobs.clone(), platform.clone(), 100);
    let failed = u64::try_from(text.matches("driver failed").count()).unwrap();
    assert!(failed > 0, "one in four, of 64");
    let (report, _) = run(supply, jobs, platform, 100);
    let ledger = report.ledger.as_ref().unwrap();
    let provisioning = ledger.gpu_seconds(windtunnel_core::Bucket::Provisioning);
    assert_eq!(provisioning, u128::from(64 * 10 + 3 * failed));
    assert_eq!(report.summary.completed(), 1);
}

/// Suspends everything to memory at 12 and resumes it at 14.
#[derive(Clone, Debug)]
struct Pause;

impl Policy for Pause {
    fn name(&self) -> &str {
        "pause"
    }
    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        FirstFit.decide(view, news, out);
        for when in [12, 14] {
            if view.now() < at(when) {
                return out.wake_at(at(when));
            }
            if view.now() == at(when) {
                for task in view.nodes().flat_map(|node| node.tasks()) {
                    match task.state() {
                        TaskState::Running => {
                            let keeps = Keeps::Memory;
                            out.evict(
                                task.id(),
                                SimDuration::ZERO,
                                Save::No,
                                Then::Suspend { keeps },
                            );
                        }
                        TaskState::Suspended => {
                            out.resume(windtunnel_core::TaskSet::Task(task.id()));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// What gave its GPU up has no part in its failure, unless it comes back to it unknowing.
#[test]
fn what_is_suspended_without_its_gpu_is_not_lost_with_it() {
    // Fails at 10 under the job, noticed at 13: the job, suspended at 12, stays; it comes back to a
    // repaired GPU at 14.
    let supply = failing(1, 1, &[breaks(0, 10, 4, FaultKind::Gpu(0))]);
    let platform = Platform::from(Pause).detection_delay(secs(3));
    let text = timeline(supply, vec![job(1, 20)], platform, 60);
    assert!(!text.contains("lost"), "{text}");
    assert!(text.contains("t=34s      job-0 ended: COMPLETED"), "{text}");
}

/// A fork in the middle of every kind of fault goes on as the whole.
#[test]
fn a_fork_goes_on_in_the_middle_of_faults() {
    let faults = [
        breaks(0, 10, 20, FaultKind::Gpu(0)),
        breaks(0, 12, 30, FaultKind::Drain { lead: secs(15) }),
        breaks(1, 14, 10, FaultKind::Nic(0)),
        breaks(1, 15, 40, FaultKind::Slow(Ppm(500_000))),
        breaks(1, 30, 10, FaultKind::Node),
    ];
    let make = || {
        let platform = noticed_after(4).driver_failures(bad_driver(2, Ppm(500_000)));
        simulation(
            failing(2, 4, &faults),
            vec![job(3, 40), job(2, 30)],
            platform,
            200,
        )
    };
    let whole = make().run().unwrap();
    for cut in [9, 11, 13, 16, 20, 27, 31, 35, 50] {
        let mut half = make();
        half.run_until(at(cut), &mut NoObserver).unwrap();
        let fork = half.fork().unwrap().run().unwrap();
        assert_eq!(fork.digest, whole.digest, "cut at {cut}");
        assert_eq!(fork.ledger, whole.ledger, "cut at {cut}");
    }
}

/// A straggler slows the whole gang: half speed from 10 to 30, so 20 s of work take 30.
#[test]
fn a_straggler_slows_its_gang() {
    let supply = failing(2, 1, &[breaks(1, 10, 20, FaultKind::Slow(Ppm(500_000)))]);
    let (report, log) = run(supply, vec![job(1, 30).tasks(2)], FirstFit, 50);
    assert_eq!(log.records[0].end, at(40));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=20 allocated.stalled=20 allocated.useful=60"
    );
}
