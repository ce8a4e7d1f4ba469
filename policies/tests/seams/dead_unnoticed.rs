//! (i) A node dead but unnoticed for 40 s while it is given work.

use windtunnel_core::{Fault, ListedFaults, Platform, PoolId};
use windtunnel_policies::testing::Greedy;

use crate::support::{Case, at, job, nodes, secs};

/// Two nodes of one GPU. node-0 dies at 10, noticed at 50; a (30 s) comes at 20 and is put there,
/// never starts, and begins anew on node-1 at 50; b (10 s) comes at 25 and runs on node-1.
///
/// node-0: no demand 10, down 90 (what is bound there is booked under `down`). node-1: no demand 25,
/// b 10, no demand 15 (a counts as placed), a 30, no demand 20.
#[test]
fn work_placed_on_a_dead_node_goes_badly() {
    let fault = Fault::node(at(10), secs(200));
    let supply = nodes(2, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 0, fault)]));
    let platform = Platform::from(Greedy).detection_delay(secs(40));
    let jobs = vec![job(20, 1, 30), job(25, 1, 10)];
    let proof = Case::new(supply, jobs, platform)
        .horizon(100)
        .prove("dead_unnoticed");
    assert_eq!(
        proof.ledger(),
        "down=90 idle.no_demand=70 allocated.useful=40"
    );
    assert_eq!(proof.paid(), "200");
    assert_eq!((proof.record(0).end, proof.record(0).attempts), (at(80), 2));
    assert_eq!(
        proof.record(0).start,
        Some(at(20)),
        "it was bound, as far as anybody knew"
    );
}
