//! What a plan answers.

use crate::support::{FirstFit, at, job, ledger_line, nodes, run};
use windtunnel_core::Advance;

/// Five tasks of an array on three GPUs: three start at once, two when those end. A gang of five would
/// wait for ever.
#[test]
fn arrays_trickle() {
    let array = job(1, 10).tasks(5).advance(Advance::Each);
    let (report, log) = run(nodes(1, 3), vec![array], FirstFit, 30);
    assert_eq!(log.records[0].start, Some(at(0)));
    assert_eq!(log.records[0].end, at(20));
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=40 allocated.useful=50"
    );
}

/// An array that shares the cluster with a job that came before it takes what is left.
#[test]
fn arrays_take_what_is_left() {
    let array = job(2, 10).tasks(3).advance(Advance::Each);
    let (_, log) = run(nodes(2, 4), vec![job(4, 15), array], FirstFit, 30);
    let ends: Vec<_> = log.records.iter().map(|r| (r.job.0, r.end)).collect();
    assert_eq!(ends, [(0, at(15)), (1, at(20))]);
}
