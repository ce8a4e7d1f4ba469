//! (n) A fork at time t whose two halves go different ways.

use windtunnel_core::{JobLog, SchedulerId};
use windtunnel_policies::testing::{InOrder, SmallestFirst};

use crate::support::{Case, Proof, at, job, nodes, same};

/// One node of four GPUs. a (4 GPUs, 30 s) runs from 0; b (4 GPUs, 100 s), c (1 GPU, 10 s) and d
/// (2 GPUs, 10 s) wait in order. At 20 the run is forked: one half goes on as it was and starts b at
/// 30, then c and d at 130; the other is handed to another policy and starts c and d at 30, b at 40.
#[test]
fn the_halves_of_a_fork_go_different_ways() {
    let jobs = vec![job(0, 4, 30), job(1, 4, 100), job(2, 1, 10), job(3, 2, 10)];
    let case = Case::new(nodes(1, 4), jobs, InOrder);
    let unforked = case.prove("fork_unforked");

    let mut simulation = case.simulation();
    simulation
        .run_until(at(20), &mut windtunnel_core::NoObserver)
        .unwrap();
    let same_way = simulation.fork().unwrap();
    let mut other_way = simulation.fork().unwrap();
    other_way.replace_policy(SchedulerId(0), SmallestFirst);

    same(&same_way.run().unwrap(), &unforked.report);
    let other = Proof::of(other_way, "fork_other");
    assert_ne!(other.report.digest, unforked.report.digest);
    let starts = |proof: &Proof| [1, 2, 3].map(|id| proof.record(id).start.unwrap());
    assert_eq!(starts(&unforked), [at(30), at(130), at(130)]);
    assert_eq!(starts(&other), [at(40), at(30), at(30)]);
    assert_eq!((unforked.report.end, other.report.end), (at(140), at(140)));
    // 4·30 + 4·100 + 10 + 20 useful either way; idle beside c and d, 1 GPU for 10 s, without demand
    // at the end of the one and too few for b in the middle of the other.
    assert_eq!(unforked.ledger(), "idle.no_demand=10 allocated.useful=550");
    assert_eq!(other.ledger(), "idle.insufficient=10 allocated.useful=550");
    assert!(other.report.summary.wait.mean() < unforked.report.summary.wait.mean());
    // The run that was forked is not disturbed by its halves.
    same(&simulation.run().unwrap(), &unforked.report);
}

/// A policy that replaces another acts at once: it does not wait for the next event.
#[test]
fn a_replacement_acts_at_the_fork() {
    use windtunnel_policies::testing::adversary::DecidesNothing;
    let case = Case::new(
        nodes(1, 4),
        vec![job(0, 1, 10), job(50, 1, 10)],
        DecidesNothing,
    );
    let mut simulation = case.simulation();
    simulation
        .run_until(at(20), &mut windtunnel_core::NoObserver)
        .unwrap();
    simulation.replace_policy(SchedulerId(0), SmallestFirst);
    let mut log = JobLog::default();
    simulation.run_with(&mut log).unwrap();
    assert_eq!(log.records[0].start, Some(at(20)));
}
