//! (f) Time-sharing rounds of six minutes with checkpoint cost.

use windtunnel_policies::testing::Rounds;

use crate::support::{Case, at, job, nodes, secs};

/// One GPU, two jobs of 600 s of work; restoring takes 20 s (startup), saving 20 s (grace).
///
/// | from–to | |
/// | --- | --- |
/// | 0–20, 20–360 | a restores, runs 340 |
/// | 360–380 | a saves |
/// | 380–400, 400–720 | b restores, runs 320 |
/// | 720–740 | b saves |
/// | 740–760, 760–1020 | a restores, runs its last 260 |
/// | 1020–1040, 1040–1320 | b restores, runs its last 280; at 1080 nobody waits, so it stays |
///
/// Startup 4·20 + 2·20, useful 2·600, nothing lost.
#[test]
fn rounds_cost_their_checkpoints_and_lose_nothing() {
    let slow = |submit| job(submit, 1, 600).startup(secs(20));
    let policy = Rounds::new(secs(360), secs(20));
    let proof = Case::new(nodes(1, 1), vec![slow(0), slow(0)], policy).prove("rounds");
    assert_eq!(
        proof.ledger(),
        "allocated.startup=120 allocated.useful=1200"
    );
    assert_eq!(proof.paid(), "1320");
    assert_eq!(
        (proof.record(0).end, proof.record(1).end),
        (at(1020), at(1320))
    );
    assert_eq!(proof.waits(0), "priority=6m");
    assert_eq!(proof.waits(1), "priority=11m");
    assert_eq!(proof.report.summary.preemptions, 2);
}
