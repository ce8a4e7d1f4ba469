//! (e) Two jobs suspended and resumed alternately on the same GPUs.

use windtunnel_core::{Bytes, JobSpec, NodeModel, SimTime, Supply, TaskRequest};
use windtunnel_policies::testing::Alternator;

use crate::support::{Case, at, secs};

/// Two GPUs, 5 s of startup, and so much host memory.
fn job(run: u64, memory: u64) -> JobSpec {
    let request = TaskRequest::gpus(2).with_memory(Bytes(memory));
    JobSpec::new(SimTime::ZERO, request, secs(run)).startup(secs(5))
}

fn node() -> Supply {
    Supply::uniform(NodeModel::gpus_only("h100", 2).with_memory(Bytes(100)), 1)
}

/// Turns of 20 s on a node of two GPUs; a has 50 s of work, b 30 s. a starts 0–5, runs 5–20, 40–60
/// and 75–90; b starts 20–25, runs 25–40 and 60–75. A resumed job goes on at once, where it was.
///
/// Startup 2·(5 + 5), useful 2·(50 + 30): nothing is lost, nothing idle.
#[test]
fn suspended_jobs_go_on_where_they_were() {
    let jobs = vec![job(50, 40), job(30, 40)];
    let proof = Case::new(node(), jobs, Alternator::new(secs(20))).prove("alternate");
    assert_eq!(proof.ledger(), "allocated.startup=20 allocated.useful=160");
    assert_eq!(proof.paid(), "180");
    assert_eq!((proof.record(0).end, proof.record(1).end), (at(90), at(75)));
    assert_eq!(proof.waits(0), "suspended=35s");
    assert_eq!(proof.waits(1), "insufficient=20s suspended=20s");
    assert_eq!(
        proof.record(0).attempts,
        1,
        "the same incarnation throughout"
    );
    assert_eq!(proof.report.summary.preemptions, 0, "suspensions apart");
}

/// The host memory of a suspended job is not free: b asks for 70 of 100 and a keeps 40, so b has to
/// wait for a's end although a gives up its GPUs.
///
/// a runs 5–20, is suspended 20–40, runs 40–60, is suspended 60–80, and runs 80–95; b starts at 95.
/// While a is suspended both GPUs are stranded for b, which goes first: 2·40.
#[test]
fn suspended_jobs_keep_their_memory() {
    let jobs = vec![job(50, 40), job(30, 70)];
    let proof = Case::new(node(), jobs, Alternator::new(secs(20))).prove("alternate_memory");
    assert_eq!(
        proof.ledger(),
        "idle.held(suspended)=80 allocated.startup=20 allocated.useful=160"
    );
    assert_eq!(proof.paid(), "260");
    assert_eq!(proof.record(1).start, Some(at(95)));
}
