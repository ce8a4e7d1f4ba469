//! (c) A controller that recreates evicted pods as new attempts with backoff.

use windtunnel_core::{Outcome, Platform, SimDuration};
use windtunnel_policies::testing::{Reclaimer, RetryingController};

use crate::support::{Case, at, job, nodes, secs};

fn platform(limit: u32) -> Platform {
    let reclaimer = Reclaimer::new(vec![at(10), at(30), at(60)], SimDuration::ZERO);
    Platform::from(reclaimer).batch(RetryingController::new(secs(10), secs(300), limit))
}

/// One GPU, 100 s of work, killed at 10, 30 and 60: runs 0–10, 20–30, 50–60 for nothing, sits out
/// 10, 20 and 40 s, and runs 100–200.
#[test]
fn each_pod_is_a_new_attempt_after_a_longer_wait() {
    let proof = Case::new(nodes(1, 1), vec![job(0, 1, 100)], platform(6)).prove("retries");
    assert_eq!(
        proof.ledger(),
        "idle.held(backoff)=70 allocated.lost=30 allocated.useful=100"
    );
    assert_eq!(proof.paid(), "200");
    assert_eq!(proof.waits(0), "backoff=1m 10s");
    assert_eq!(
        (proof.record(0).attempts, proof.record(0).preemptions),
        (4, 3)
    );
}

/// With two retries the third kill, at 60, ends the job; nothing it did was of use.
#[test]
fn after_too_many_failures_the_job_is_given_up() {
    let proof = Case::new(nodes(1, 1), vec![job(0, 1, 100)], platform(2)).prove("retries_limit");
    assert_eq!(proof.ledger(), "idle.held(backoff)=30 allocated.lost=30");
    assert_eq!(proof.record(0).outcome, Some(Outcome::Killed));
    assert_eq!(proof.record(0).end, at(60));
}
