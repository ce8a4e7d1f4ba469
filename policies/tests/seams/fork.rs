//! (n) A fork at time t whose two halves go different ways.

use windtunnel_core::{JobLog, SchedulerId};
use windtunnel_policies::testing::{InOrder, SmallestFirst};

use crate::support::{Case, at, job, nodes, same};

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
    let mut log = JobLog::default();
    let other = other_way.run_with(&mut log).unwrap();
    assert_ne!(other.digest, unforked.report.digest);
    let start = |id: u32| log.records.iter().find(|r| r.job.0 == id).unwrap().start;
    assert_eq!(
        [start(2), start(3), start(1)],
        [Some(at(30)), Some(at(30)), Some(at(40))]
    );
    assert_eq!((unforked.report.end, other.end), (at(140), at(140)));
    assert!(other.summary.wait.mean() < unforked.report.summary.wait.mean());
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
