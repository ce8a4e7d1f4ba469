//! (g) Two-phase placement of bundles into holds, then work within them.

use windtunnel_core::{JobSpec, QueueId, TaskRequest};
use windtunnel_policies::testing::Bundles;

use crate::support::{Case, at, job, nodes, secs};

fn in_group(mut job: JobSpec) -> JobSpec {
    job.request.queue = QueueId(1);
    job
}

/// Two nodes of two GPUs; the group wants a bundle of two GPUs on each. a (2 GPUs, 5 s) sits on
/// node-0 until 5, so bundles prepared at 1 and at 3 are returned a second later; those of 5 are
/// committed at 6. Within them b (2 × 1 GPU, 10 s) runs 6–16 and d (1 GPU, 5 s) 10–15; c (1 GPU, 5 s,
/// from 8) is not of the group and waits until it is removed at 16.
///
/// | from–to | useful | held (reservation) | no demand |
/// | --- | --- | --- | --- |
/// | 0–1 | a 2 | | 2 |
/// | 1–5 | a 8 | node-1, by its bundle or because b could start there: 8 | |
/// | 5–6 | | both bundles 4 | |
/// | 6–16 | b 20, d 5 | rest of the bundles 15 | |
/// | 16–21 | c 5 | | 15 |
#[test]
fn bundles_are_prepared_then_committed_then_used() {
    let jobs = vec![
        job(0, 2, 5),
        in_group(job(1, 1, 10).tasks(2)),
        job(8, 1, 5),
        in_group(job(10, 1, 5)),
    ];
    let policy = Bundles::new(TaskRequest::gpus(2), QueueId(1), secs(1));
    let proof = Case::new(nodes(2, 2), jobs, policy).prove("bundles");
    assert_eq!(
        proof.ledger(),
        "idle.no_demand=17 idle.held(reservation)=27 allocated.useful=40"
    );
    assert_eq!(proof.paid(), "84");
    let starts: Vec<_> = (0..4).map(|id| proof.record(id).start.unwrap()).collect();
    assert_eq!(starts, [at(0), at(6), at(16), at(10)]);
    assert_eq!(proof.waits(1), "reservation=5s");
}
