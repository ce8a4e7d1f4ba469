//! (m) Admission that withholds with reason quota, then admits, then revokes.

use windtunnel_core::Platform;
use windtunnel_policies::testing::{Greedy, QuotaGate};

use crate::support::{Case, at, job, nodes, secs};

/// One node of four GPUs, a quota of two. a (2 GPUs, 100 s) is admitted at 0; b (2 GPUs, 20 s) comes
/// at 5 and is withheld; c (2 GPUs, 30 s, priority) comes at 20: a is revoked with 10 s of grace.
///
/// | from–to | a | b | c | two GPUs beside |
/// | --- | --- | --- | --- | --- |
/// | 0–5 | 2·5 | | | no demand 10 |
/// | 5–20 | 2·15, all lost at 20 | withheld | | held (quota) 30 |
/// | 20–30 | ending: startup 20 | withheld | withheld | held 20 |
/// | 30–60 | withheld | withheld | 2·30 | held 60 |
/// | 60–160 | 2·100 | withheld | | held 200 |
/// | 160–180 | | 2·20 | | no demand 40 |
#[test]
fn quota_withholds_admits_and_revokes() {
    let jobs = vec![job(0, 2, 100), job(5, 2, 20), job(20, 2, 30).priority(10)];
    let platform = Platform::from(Greedy).admission(QuotaGate::new(2, secs(10)));
    let proof = Case::new(nodes(1, 4), jobs, platform).prove("quota");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=50 idle.held(quota)=310 allocated.startup=20 allocated.lost=40 \
         allocated.useful=300"
    );
    assert_eq!(proof.paid(), "720");
    let starts: Vec<_> = (0..3).map(|id| proof.record(id).start.unwrap()).collect();
    assert_eq!(starts, [at(0), at(160), at(30)]);
    assert_eq!(proof.waits(0), "quota=30s");
    assert_eq!(proof.waits(1), "quota=2m 35s");
    assert_eq!(proof.waits(2), "quota=10s");
    assert_eq!(
        proof.report.summary.preemptions, 0,
        "no policy evicted anything"
    );
}
