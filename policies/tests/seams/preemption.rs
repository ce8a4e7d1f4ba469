//! (b) Preemption with a grace period, the preemptor nominated meanwhile by a hold.

use windtunnel_policies::testing::GracefulPreemptor;

use crate::support::{Case, at, job, nodes, secs};

/// One node of four GPUs. The victim (3 GPUs, 100 s) runs from 0; the preemptor (2 GPUs, 20 s,
/// priority) comes at 10; the thief (1 GPU, 10 s) comes at 20 and would take the free GPU.
///
/// | from–to | victim | preemptor | thief | free |
/// | --- | --- | --- | --- | --- |
/// | 0–10 | 3·10, lost at 10 | | | no demand 10 |
/// | 10–40 | ending: startup 3·30 | hold takes the free GPU: held 30 | waits from 20 | |
/// | 40–50 | needs 3 | 2·10 | 1·10 | insufficient 10 |
/// | 50–60 | needs 3 | 2·10 | | insufficient 2·10 |
/// | 60–160 | 3·100 | | | no demand 100 |
#[test]
fn the_preemptor_is_nominated_while_the_victim_leaves() {
    let victim = job(0, 3, 100);
    let preemptor = job(10, 2, 20).priority(10);
    let thief = job(20, 1, 10);
    let policy = GracefulPreemptor::new(secs(30));
    let proof = Case::new(nodes(1, 4), vec![victim, preemptor, thief], policy).prove("preemption");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=110 idle.insufficient=30 idle.held(preemption)=30 allocated.startup=90 \
         allocated.lost=30 allocated.useful=350"
    );
    assert_eq!(proof.paid(), "640");
    assert_eq!(proof.waits(1), "preemption=30s");
    assert_eq!(proof.waits(2), "insufficient=20s");
    assert_eq!(proof.record(1).start, Some(at(40)));
    assert_eq!(proof.record(0).attempts, 2);
    assert_eq!(proof.report.summary.preemptions, 1);
}
