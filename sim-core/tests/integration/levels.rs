//! Gangs that must not cross a level of the fabric, worked out by hand.

use windtunnel_core::{
    DecisionError, Decisions, Fabric, Fit, JobSpec, Layout, Level, News, NodeId, NodeModel, Policy,
    PoolId, PoolSpec, RunError, RunOptions, Simulation, Spot, Supply, SupplyError, TaskGroup,
    TaskRequest, TaskState, View, World,
};

use crate::support::{FirstFit, StrictFifo, at, job, ledger_line, nodes, run, waits};

/// Racks of `rack` nodes, pods of `pod` racks.
fn fabric(rack: u32, pod: u32) -> Fabric {
    Fabric {
        nodes_per_rack: rack,
        racks_per_pod: pod,
        ..Fabric::default()
    }
}

/// Two racks of two nodes of 4 GPUs. a (2 × 3) takes rack 0 and leaves 1 + 1; b (1 × 4) half of rack 1.
/// c (2 × 2) may not cross racks and fits on node 3. d (2 × 4) needs a rack for itself; 2 GPUs are free:
/// insufficient, until a ends at 10 and leaves it rack 0.
#[test]
fn a_rack_of_its_own() {
    let supply = nodes(4, 4).with_fabric(fabric(2, 0));
    let jobs = vec![
        job(3, 10).tasks(2),
        job(4, 30),
        job(2, 20).tasks(2).within(Level::Rack),
        job(4, 10).tasks(2).within(Level::Rack),
    ];
    let (report, log) = run(supply, jobs, StrictFifo, 30);
    let starts: Vec<_> = log.records.iter().map(|r| (r.job.0, r.start)).collect();
    assert_eq!(
        starts,
        [
            (0, Some(at(0))),
            (2, Some(at(0))),
            (3, Some(at(10))),
            (1, Some(at(0)))
        ]
    );
    assert_eq!(waits(&log, 3), "insufficient=10");
    // a 60, b 120, c 80, d 80; [0,10) 2 free and wanted, [10,20) none, [20,30) 12.
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=120 idle.insufficient=20 allocated.useful=340"
    );
}

/// Enough is free in sum, and no rack has it: that is fragmentation. Without the level it runs at once.
#[test]
fn enough_in_sum_but_in_no_rack() {
    for (level, expected, wait) in [
        (
            Some(Level::Rack),
            "idle.no_demand=80 idle.fragmented=80 allocated.useful=160",
            "fragmented=10",
        ),
        (None, "idle.no_demand=160 allocated.useful=160", ""),
    ] {
        let mut wide = job(4, 10).tasks(2);
        wide.request.groups[0].level = level;
        // One node of each rack is taken for 10 s by a pair that is spread on purpose.
        let supply = nodes(4, 4).with_fabric(fabric(2, 0));
        let (report, log) = run(supply, vec![job(4, 10).tasks(2), wide], Spread, 20);
        assert_eq!(ledger_line(&report), expected, "{level:?}");
        assert_eq!(waits(&log, 1), wait, "{level:?}");
    }
}

/// Puts the first job on nodes 0 and 2 and the others where they fit.
#[derive(Clone, Debug)]
struct Spread;

impl Policy for Spread {
    fn name(&self) -> &str {
        "spread"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        for job in view.pending_jobs() {
            let fit = if job.job_id().0 == 0 {
                let mut next = [NodeId(0), NodeId(2)].into_iter();
                plan.place_by(job, |_, _| next.next())
            } else {
                plan.first_fit(job)
            };
            if let Fit::Now(spots) = fit {
                out.place(job.id(), spots);
            }
        }
    }
}

/// Every level in turn, on the smallest cluster that tells them apart: pods of two racks of two nodes.
/// A gang of n full nodes fits a node for n = 1, a rack for n ≤ 2, a pod for n ≤ 4.
#[test]
fn what_never_fits() {
    for (level, most) in [
        (Level::Node, 1),
        (Level::Domain, 1),
        (Level::Rack, 2),
        (Level::Pod, 4),
    ] {
        for tasks in 1..=8 {
            let supply = nodes(8, 4).with_fabric(fabric(2, 2));
            let gang = job(4, 10).tasks(tasks).within(level);
            let (_, log) = run(supply, vec![gang], FirstFit, 20);
            let fits = tasks <= most;
            assert_eq!(
                u64::from(log.records[0].never_fits),
                u64::from(!fits),
                "{tasks} in one {level}"
            );
            assert_eq!(
                log.records[0].start.is_some(),
                fits,
                "{tasks} in one {level}"
            );
        }
    }
}

/// First fit takes the first rack with room, best fit the tightest.
#[test]
fn first_and_tightest() {
    let supply = nodes(6, 4).with_fabric(fabric(2, 0));
    let mut world = World::new(&supply).unwrap();
    // Rack 0 has 2 + 4 left, rack 1 has 4 + 4, rack 2 has 2 + 2.
    for (gpus, node) in [(2, 0), (2, 4), (2, 5)] {
        let job = world.submit(job(gpus, 10)).unwrap();
        let task = world.view().job(job).unwrap().tasks().next().unwrap().id();
        world.start(task, Spot::from(NodeId(node))).unwrap();
    }
    let pair = world
        .submit(job(2, 10).tasks(2).within(Level::Rack))
        .unwrap();
    let full = world
        .submit(job(4, 10).tasks(2).within(Level::Rack))
        .unwrap();
    let view = world.view();
    let mut plan = view.plan();
    let mark = plan.mark();
    let on = |fit| match fit {
        Fit::Now(spots) => spots.iter().map(|s: &Spot| s.node.0).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let pair = view.job(pair).unwrap();
    assert_eq!(on(plan.first_fit(pair)), [0, 1], "rack 0");
    plan.undo_to(mark);
    assert_eq!(
        on(plan.best_by(pair, |free, _| free.milli.into())),
        [4, 5],
        "rack 2"
    );
    plan.undo_to(mark);
    // A chooser that wants no node of rack 0 is asked again for the next one.
    let fit = plan.place_by(pair, |plan, task| {
        plan.next_feasible(task, NodeId(0))
            .filter(|node| node.0 > 1)
    });
    assert_eq!(on(fit), [2, 2], "rack 1");
    plan.undo_to(mark);
    assert_eq!(on(plan.first_fit(view.job(full).unwrap())), [2, 3]);
    assert!(
        !plan.may_fit(view.job(full).unwrap()),
        "no other rack is empty"
    );
    assert!(plan.may_fit(pair));
}

/// Places tasks of the first pending job on given nodes, all at once or one by one.
#[derive(Clone, Debug)]
struct Stubborn(Vec<u32>, bool);

impl Policy for Stubborn {
    fn name(&self) -> &str {
        "stubborn"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        for job in view.pending_jobs() {
            let spots: Vec<Spot> = self.0.iter().map(|node| NodeId(*node).into()).collect();
            if self.1 {
                out.place(job.id(), spots);
                continue;
            }
            for (task, spot) in job.tasks().zip(spots) {
                assert_eq!(task.state(), TaskState::Pending);
                out.place(task.id(), [spot]);
            }
        }
    }
}

/// The engine says which node is on the wrong side of what.
#[test]
fn a_group_on_both_sides_is_an_error() {
    for whole in [true, false] {
        let supply = nodes(4, 4).with_fabric(fabric(2, 0));
        let gang = job(4, 10).tasks(2).within(Level::Rack);
        let jobs = windtunnel_core::JobList::new(vec![gang]);
        let policy = Stubborn(vec![1, 2], whole);
        let simulation = Simulation::new(supply, jobs, policy, RunOptions::default()).unwrap();
        let error = simulation.run().unwrap_err();
        let RunError::InvalidDecision { cause, .. } = &error else {
            panic!("{error}");
        };
        let expected = DecisionError::CrossesLevel {
            level: Level::Rack,
            node: NodeId(2),
            home: NodeId(1),
        };
        assert_eq!(*cause, expected);
        let what = if whole {
            "job-0 (2 x 4 GPUs) on nodes 1, 2"
        } else {
            "job-0[1] on node 2"
        };
        assert!(
            error
                .to_string()
                .contains("its tasks must share one rack, and node-2 is in another than node-1"),
            "{error}"
        );
        assert!(
            error.to_string().contains(&format!("placed {what}")) || !whole,
            "{error}"
        );
    }
}

/// Two pools that take turns have racks of their own; a pool may have another number of nodes per rack,
/// or share the rack of those that have none.
#[test]
fn racks_of_pools_that_take_turns() {
    let pool = |name, nodes| PoolSpec::owned(name, NodeModel::gpus_only(name, 4), nodes);
    let (a, b, c) = (PoolId(0), PoolId(1), PoolId(2));
    let own = Layout {
        nodes_per_rack: Some(3),
        nodes_per_domain: Some(3),
    };
    let none = Layout {
        nodes_per_rack: Some(0),
        ..Layout::default()
    };
    let pools = vec![
        pool("a", 4),
        pool("b", 4).with_layout(own),
        pool("c", 2).with_layout(none),
    ];
    let order = vec![b, a, c, a, b, b, a, c, b, a];
    let supply = Supply::new(pools).with_fabric(fabric(2, 2)).in_order(order);
    let mut world = World::new(&supply).unwrap();
    let places = world.view().places();
    let groups = |level| -> Vec<u32> { (0..10).map(|n| places.group(NodeId(n), level)).collect() };
    // Numbered by first node: b's first rack, a's first, the common one, a's second, b's second.
    assert_eq!(groups(Level::Rack), [0, 1, 2, 1, 0, 0, 3, 2, 4, 3]);
    assert_eq!(groups(Level::Domain), [0, 1, 2, 3, 0, 0, 4, 5, 6, 7]);
    assert_eq!(groups(Level::Pod), [0, 1, 2, 1, 0, 0, 1, 2, 0, 1]);
    assert_eq!(places.nodes(Level::Rack, 1), [NodeId(1), NodeId(3)]);
    assert_eq!(places.common_level(NodeId(0), NodeId(8)), Some(Level::Pod));
    assert_eq!(places.common_level(NodeId(0), NodeId(1)), None);

    let cut = Layout {
        nodes_per_domain: Some(3),
        nodes_per_rack: None,
    };
    let supply = Supply::new(vec![pool("a", 4).with_layout(cut)]).with_fabric(fabric(2, 0));
    let error = supply.check().unwrap_err();
    assert!(matches!(error, SupplyError::CutDomain { .. }));
    assert!(
        error
            .to_string()
            .ends_with("let nodes_per_rack be a multiple of 3")
    );
}

/// A gang whose node fails comes back to the rack where the rest of it still is, or waits.
#[test]
fn what_is_left_stays() {
    use windtunnel_core::{Batch, Fault, ListedFaults, OnLoss, Platform, SimDuration};
    let faults = vec![(PoolId(0), 0, Fault::node(at(5), SimDuration::from_secs(10)))];
    let supply = nodes(4, 4)
        .with_fabric(fabric(2, 0))
        .with_faults(ListedFaults::new(faults));
    let gang: JobSpec = job(4, 100).tasks(2).within(Level::Rack);
    let platform = Platform::from(FirstFit).batch(Batch::new().on_loss(OnLoss::Replace));
    let (_, log) = run(supply, vec![gang], platform, 20);
    // Nodes 2 and 3 are free all the time; the lost task waits for node 0 to be repaired at 15.
    assert_eq!(waits(&log, 0), "fragmented=10");
    assert_eq!(log.records[0].nodes, [NodeId(0), NodeId(1)]);
}

/// Places the first task of a job on node 2, and what is left of it ten seconds later.
#[derive(Clone, Debug)]
struct InParts;

impl Policy for InParts {
    fn name(&self) -> &str {
        "in-parts"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        for job in view.pending_jobs() {
            let first = job.tasks().next().unwrap();
            if first.state() == TaskState::Pending {
                out.place(first.id(), [Spot::from(NodeId(2))]);
                out.wake_at(at(10));
            } else if view.now() == at(10) {
                let Fit::Now(spots) = view.plan().first_fit(job) else {
                    panic!("what is left fits on nodes 3 and 0")
                };
                out.place(job.id(), spots);
            }
        }
    }
}

/// Rack 0 is a node of 3 GPUs and one without, rack 1 two nodes of 2. A gang of 2 × 2 in one rack, and 3
/// beside it, fits: rack 1 and node 0. With half of the pair in its place the rest fits as well; asked
/// for by itself, without the rack, the other half would go to node 0 and leave too little of it. That
/// makes it no larger than the supply: it waits for 10 s though it could start, and holds five GPUs.
#[test]
fn what_is_left_of_a_gang_that_fits_is_not_too_large() {
    let pool = |name: &str, gpus| {
        let nodes = if gpus == 2 { 2 } else { 1 };
        PoolSpec::owned(name, NodeModel::gpus_only("h100", gpus), nodes)
    };
    let pools = vec![pool("large", 3), pool("none", 0), pool("small", 2)];
    let order = [0, 1, 2, 2].map(PoolId).to_vec();
    let supply = Supply::new(pools).with_fabric(fabric(2, 0)).in_order(order);
    let mut gang = job(2, 10).tasks(2).within(Level::Rack);
    let beside = TaskGroup::new(TaskRequest::gpus(3), 1);
    gang.request.groups = vec![gang.request.groups[0], beside].into();
    let (report, log) = run(supply, vec![gang], InParts, 20);
    assert_eq!(waits(&log, 0), "latency=10");
    assert!(!log.records[0].never_fits);
    assert_eq!(
        ledger_line(&report),
        "idle.held=50 allocated.waiting=20 allocated.useful=70"
    );
}
