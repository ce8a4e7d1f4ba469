//! (a) A binder with latency whose plain gangs deadlock.

use windtunnel_core::{Batch, JobSpec, Platform};
use windtunnel_policies::testing::SlowBinder;

use crate::support::{Case, at, job, nodes, secs};

/// Two gangs of three pods for two nodes of two GPUs: one pod per second, bound a second later.
fn gangs() -> Vec<JobSpec> {
    vec![job(0, 1, 20).tasks(3), job(0, 1, 20).tasks(3)]
}

/// a0 b0 a1 b1 take all four GPUs and wait for a2 and b2 for ever.
///
/// | from–to | held (latency) | waiting |
/// | --- | --- | --- |
/// | 0–1 | a0 reserved; a and b could start their rest on 3 free | |
/// | 1–2 | b0 reserved; 2 free for a's rest | a0 |
/// | 2–3 | a1 reserved; 1 free for a2 | a0 b0 |
/// | 3–4 | b1 reserved | a0 b0 a1 |
/// | 4–60 | | all four |
///
/// Held 4 + 3 + 2 + 1 = 10, waiting 1 + 2 + 3 + 4·56 = 230, together 4·60.
#[test]
fn two_half_gangs_wait_for_ever() {
    let binder = SlowBinder::new(secs(1), secs(1));
    let proof = Case::new(nodes(2, 2), gangs(), binder)
        .horizon(60)
        .prove("half_gangs_deadlock");
    assert_eq!(
        proof.ledger(),
        "idle.held(latency)=10 allocated.waiting=230"
    );
    assert_eq!(proof.paid(), "240");
    assert_eq!(proof.report.summary.unfinished, 2);
    assert_eq!(proof.report.summary.censored, 2, "neither ever started");
    assert_eq!(proof.report.goodput(), Some(0.0));
}

/// The batch controller gives an incomplete gang 30 s from its first bound pod, and recreates its
/// pods 5 s later: a's time is up at 31, b takes the GPU that it lacked and runs 32–52; a starts anew
/// at 36 and is complete at 54.
///
/// | from–to | held (latency) | insufficient | waiting | useful | no demand |
/// | --- | --- | --- | --- | --- | --- |
/// | 0–4 | 10 as above | | 6 | | |
/// | 4–31 | | | 4·27 | | |
/// | 31–32 | b2 reserved | 1 (a needs 3) | b0 b1 | | |
/// | 32–36 | | 1·4 | | 3·4 | |
/// | 36–37 | a0 reserved | | | 3 | |
/// | 37–52 | | | a0 15 | 3·15 | |
/// | 52–53 | a1 reserved, 1 free for a2 | | a0 | | 1 |
/// | 53–54 | a2 reserved | | a0 a1 | | 1 |
/// | 54–74 | | | | 3·20 | 20 |
///
/// Held 10 + 1 + 1 + 2 + 1 = 15, insufficient 5, waiting 6 + 108 + 2 + 15 + 1 + 2 = 134.
#[test]
fn a_gang_timeout_breaks_the_deadlock() {
    let controller = Batch::new()
        .gang_timeout(secs(30))
        .backoff(secs(5), secs(60));
    let platform = Platform::from(SlowBinder::new(secs(1), secs(1))).batch(controller);
    let proof = Case::new(nodes(2, 2), gangs(), platform).prove("half_gangs_timeout");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=22 idle.insufficient=5 idle.held(latency)=15 allocated.waiting=134 \
         allocated.useful=120"
    );
    assert_eq!(proof.paid(), "296");
    assert_eq!((proof.record(1).end, proof.record(0).end), (at(52), at(74)));
    assert_eq!((proof.record(1).attempts, proof.record(0).attempts), (1, 2));
}
