//! (k) Two schedulers over two pools with a router.

use windtunnel_core::{Advance, ControllerId, NodeModel, PoolSpec, Supply, Work};
use windtunnel_policies::testing::hybrid;

use crate::support::{Case, at, job, nodes, secs};

/// Pool 0 serves: one node of two GPUs, a service with one replica. Pool 1 trains: one node of four;
/// a (4 GPUs, 10 s) and b (2 GPUs, 10 s) come at 0, c (4 GPUs, 5 s) at 5, strictly in order.
///
/// Pool 0: the replica 30, the other GPU 30 without demand: training may not use it. Pool 1: a 40
/// (0–10), b 20 beside two GPUs that are too few for c (10–20), c 20 (20–25), no demand 20.
#[test]
fn each_scheduler_keeps_to_its_pool() {
    let model = |gpus| NodeModel::gpus_only("h100", gpus);
    let pools = vec![
        PoolSpec::owned("serving", model(2), 1),
        PoolSpec::owned("training", model(4), 1),
    ];
    let mut service = job(0, 1, 1).advance(Advance::Each).kind(ControllerId(2));
    service.profile.work = Work::Endless;
    let jobs = vec![service, job(0, 4, 10), job(0, 2, 10), job(5, 4, 5)];
    let proof = Case::new(Supply::new(pools), jobs, hybrid())
        .horizon(30)
        .prove("two_pools");
    assert_eq!(
        proof.ledger_of_pool(0),
        "idle.no_demand=30 allocated.useful=30"
    );
    assert_eq!(
        proof.ledger_of_pool(1),
        "idle.no_demand=20 idle.insufficient=20 allocated.useful=80"
    );
    assert_eq!(proof.paid(), "180");
    assert_eq!(proof.waits(2), "insufficient=10s");
    assert_eq!(proof.record(3).start, Some(at(20)));
    assert_eq!(proof.report.policies, ["greedy", "in-order"]);
}

/// A policy that is routed nothing is never asked: a platform of two with everything routed to one
/// runs like that one alone.
#[test]
fn a_scheduler_without_jobs_changes_nothing() {
    let jobs = vec![job(0, 4, 10), job(0, 2, 10).startup(secs(3))];
    let alone = Case::new(
        nodes(1, 4),
        jobs.clone(),
        windtunnel_policies::testing::InOrder,
    );
    let mut platform = hybrid();
    platform.schedulers[1].pools = windtunnel_core::PoolSet::ALL;
    let beside = Case::new(nodes(1, 4), jobs, platform);
    let run = |case: &Case| case.simulation().run().unwrap().digest;
    assert_eq!(run(&alone), run(&beside));
}
