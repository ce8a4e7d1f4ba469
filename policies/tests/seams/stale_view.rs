//! (h) A policy on a stale view whose tries are refused.

use windtunnel_core::{Platform, PoolSet, QueueId, Route, Scheduler, SchedulerId};
use windtunnel_policies::testing::{Greedy, StaleView};

use crate::support::{Case, at, job, nodes, secs};

/// Two schedulers share two nodes of two GPUs. One is up to date and puts a (2 GPUs, 20 s) on node-0
/// at 1; the other has a snapshot of 0, tries node-0 for b (2 GPUs, 10 s) at 2, is refused, and finds
/// node-1 with its next snapshot, at 10.
///
/// No demand 4 (0–1) + 2 (1–2) + 2 (20–21), held while b could start 2·8, useful 40 + 20.
#[test]
fn a_try_on_taken_capacity_is_refused() {
    let mut platform = Platform::new("shared-state", Greedy);
    platform.schedulers.push(Scheduler {
        policy: Box::new(StaleView::new(secs(10))),
        pools: PoolSet::ALL,
    });
    platform.router = vec![Route {
        queue: Some(QueueId(1)),
        scheduler: SchedulerId(1),
        ..Route::default()
    }];
    let mut late = job(2, 2, 10);
    late.request.queue = QueueId(1);
    let proof = Case::new(nodes(2, 2), vec![job(1, 2, 20), late], platform).prove("stale_view");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=8 idle.held(latency)=16 allocated.useful=60"
    );
    assert_eq!(proof.paid(), "84");
    assert_eq!(proof.waits(1), "latency=8s");
    assert_eq!(proof.record(1).start, Some(at(10)));
    assert_eq!(
        proof.record(1).attempts,
        1,
        "refused before bind: the same attempt"
    );
}
