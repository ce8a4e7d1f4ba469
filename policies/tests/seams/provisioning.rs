//! (l) An autoscaler that adds nodes after a delay because a scheduler called tasks unschedulable,
//! within a quota.

use windtunnel_core::{
    CloudQuota, Elastic, NodeModel, Platform, PoolId, PoolSet, PoolSpec, Supply,
};
use windtunnel_policies::testing::{Greedy, NodeProvisioner};

use crate::support::{Case, at, job, secs};

/// A rented pool of up to five nodes of one GPU, a cloud quota of three. Four jobs (1 GPU, 100 s)
/// come at 0 and are called unschedulable; the scan at 10 requests three nodes, they are paid from 30
/// and usable from 70. Three jobs run 70–170, the fourth on node-0 170–270. node-1 and node-2 go back
/// at 230, node-0 at 330.
///
/// Paid: 200 + 200 + 300 = provisioning 3·40, useful 4·100, no demand 60 + 60 + 60.
#[test]
fn nodes_come_for_what_is_unschedulable_and_go_when_unneeded() {
    let elastic = Elastic {
        min: 0,
        max: 5,
        request_delay: secs(20),
        boot_delay: secs(40),
    };
    let pool = PoolSpec::rented("cloud", NodeModel::gpus_only("h100", 1), elastic);
    let mut supply = Supply::new(vec![pool]);
    supply.quotas.push(CloudQuota {
        pools: PoolSet::one(PoolId(0)),
        max_nodes: 3,
    });
    let scaler = NodeProvisioner::new(PoolId(0), secs(10), secs(60));
    let platform = Platform::from(Greedy).autoscaler(scaler);
    let jobs = vec![job(0, 1, 100); 4];
    let proof = Case::new(supply, jobs, platform)
        .horizon(360)
        .prove("provisioning");
    assert_eq!(
        proof.ledger(),
        "provisioning=120 idle.no_demand=180 allocated.useful=400"
    );
    assert_eq!(proof.paid(), "700");
    let starts: Vec<_> = (0..4).map(|id| proof.record(id).start.unwrap()).collect();
    assert_eq!(starts, [at(70), at(70), at(70), at(170)]);
    assert_eq!(proof.waits(3), "insufficient=2m 50s");
}
