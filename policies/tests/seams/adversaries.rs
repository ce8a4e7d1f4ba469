//! Schedulers that break the rules: each ends in a precise error or a documented outcome.

use windtunnel_core::{
    Bucket, DecisionError, Outcome, Platform, Policy, PoolSet, QueueId, Refusal, Route, RunError,
    Scheduler, SchedulerId, SimTime, TaskState,
};
use windtunnel_policies::testing::adversary::*;
use windtunnel_policies::testing::{Greedy, RetryingController};

use crate::support::{Case, at, job, nodes, secs};

/// One node of two GPUs; jobs of 2, 1 and 1 GPUs, 10 s each, at 0, 1 and 12.
fn case(policy: impl Policy + 'static) -> Case {
    let jobs = vec![job(0, 2, 10), job(1, 1, 10), job(12, 1, 10)];
    Case::new(nodes(1, 2), jobs, policy)
}

/// The run ends at `time` because `policy` decided something invalid, for this reason.
fn check_invalid(policy: impl Policy + 'static, time: u64, expected: DecisionError) {
    let name = format!("policy `{}`", policy.name());
    match case(policy).fails() {
        RunError::InvalidDecision {
            time: when,
            policy,
            cause,
            ..
        } => {
            assert_eq!((when, policy, cause), (at(time), name, expected));
        }
        other => panic!("{name}: {other}"),
    }
}

/// The run is given up because time does not go on.
fn check_no_progress(policy: impl Policy + 'static, until: SimTime) {
    let name = format!("policy `{}`", policy.name());
    match case(policy).fails() {
        RunError::NoProgress { time, .. } => assert!(time <= until, "{name}: {time}"),
        other => panic!("{name}: {other}"),
    }
}

#[test]
fn starts_on_a_full_node() {
    check_invalid(
        StartsOnFullNode,
        1,
        DecisionError::DoesNotFit(Refusal::NotFree),
    );
}

#[test]
fn starts_a_job_twice() {
    check_invalid(StartsTwice, 0, DecisionError::NothingToDo);
}

#[test]
fn preempts_a_finished_job() {
    // Two GPUs are enough for the jobs at 0 and 12 only: leave the second one out.
    let jobs = vec![job(0, 2, 10)];
    let error = Case::new(nodes(1, 2), jobs, PreemptsFinished).fails();
    let RunError::InvalidDecision { time, cause, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((time, cause), (at(10), DecisionError::UnknownJob));
}

#[test]
fn wakes_every_nanosecond() {
    check_no_progress(WakesEveryNanosecond, SimTime::from_nanos(10_000));
}

#[test]
fn wakes_at_once_for_ever() {
    check_no_progress(WakesAtOnce, at(0));
}

/// The run is given up because calls follow each other at one instant.
fn check_livelock(policy: impl Policy + 'static, expected: SimTime) {
    let name = format!("policy `{}`", policy.name());
    match case(policy).fails() {
        RunError::Livelock { time, .. } => assert_eq!(time, expected, "{name}"),
        other => panic!("{name}: {other}"),
    }
}

#[test]
fn kills_what_it_starts_for_ever() {
    check_livelock(KillsWhatItStarts, at(0));
}

#[test]
fn tries_a_full_node_for_ever() {
    check_livelock(TriesForEver, at(1));
}

#[test]
fn wakes_in_the_past() {
    check_invalid(WakesInThePast, 1, DecisionError::WakeInThePast(at(0)));
}

#[test]
fn names_a_stale_attempt() {
    check_invalid(NamesStaleAttempt, 0, DecisionError::UnknownTask);
}

#[test]
fn names_an_unknown_task() {
    check_invalid(NamesUnknownTask, 0, DecisionError::UnknownTask);
}

#[test]
fn commits_what_was_never_reserved() {
    check_invalid(
        CommitsUnreserved,
        0,
        DecisionError::WrongState(TaskState::Pending),
    );
    check_invalid(CommitsUnknownHold, 0, DecisionError::UnknownHold);
}

#[test]
fn releases_an_unknown_hold() {
    check_invalid(ReleasesUnknownHold, 0, DecisionError::UnknownHold);
}

#[test]
fn holds_an_unknown_node() {
    check_invalid(HoldsUnknownNode, 0, DecisionError::UnknownNode);
}

#[test]
fn repeats_a_decision_of_an_earlier_call() {
    check_invalid(
        RepeatsOldDecision::default(),
        1,
        DecisionError::WrongCount { spots: 0, tasks: 1 },
    );
}

#[test]
fn places_another_schedulers_job() {
    let mut platform = Platform::new("two", Greedy);
    platform.schedulers.push(Scheduler {
        policy: Box::new(PlacesAnothersJob),
        pools: PoolSet::ALL,
    });
    platform.router = vec![Route {
        queue: Some(QueueId(1)),
        scheduler: SchedulerId(1),
        ..Route::default()
    }];
    let mut mine = job(5, 1, 1);
    mine.request.queue = QueueId(1);
    let error = Case::new(nodes(1, 2), vec![job(0, 2, 10), mine], platform).fails();
    let RunError::InvalidDecision {
        time,
        policy,
        cause,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((time, cause), (at(5), DecisionError::NotYours));
    assert_eq!(policy, "policy `places-anothers-job`");
}

#[test]
fn decides_nothing_for_ever() {
    let report = case(DecidesNothing).simulation().run().unwrap();
    let limit = windtunnel_core::SimDuration::from_days(28);
    assert_eq!(report.end, at(12) + limit);
    assert_eq!((report.summary.unfinished, report.summary.censored), (3, 3));
    assert_eq!(report.gpu_allocation(), Some(0.0));
}

#[test]
fn rejects_everything() {
    let report = case(RejectsEverything).simulation().run().unwrap();
    assert_eq!(report.summary.count(Outcome::Rejected), 3);
    assert_eq!(report.gpu_allocation(), Some(0.0));
    assert_eq!(report.end, at(12));
}

#[test]
fn kills_and_finishes() {
    let report = case(KillsAndFinishes).simulation().run().unwrap();
    assert_eq!(report.summary.count(Outcome::Rejected), 3);
    assert_eq!(report.summary.preemptions, 3);
}

#[test]
fn holds_and_releases_for_ever() {
    let report = case(HoldsAndReleases)
        .horizon(60)
        .simulation()
        .run()
        .unwrap();
    assert_eq!(report.summary.unfinished, 3);
}

#[test]
fn kills_everything_it_can() {
    check_livelock(KillsEverything, at(12));
}

/// With a backoff of a minute, doubling.
///
/// 0–1: job 0 runs and is killed by the coming of job 1, which runs 1–11; at 12 job 2 runs and at 22
/// is done. At 61 job 0 is back and runs to 71: it loses one second on two GPUs.
#[test]
fn kills_everything_but_controllers_take_their_time() {
    let retrying = RetryingController::new(secs(60), secs(3_600), 10);
    let jobs = vec![job(0, 2, 10), job(1, 1, 10), job(12, 1, 10)];
    let platform = Platform::from(KillsEverything).batch(retrying);
    let proof = Case::new(nodes(1, 2), jobs, platform).prove("kills_everything");
    assert_eq!(proof.report.summary.completed(), 3);
    assert_eq!(proof.report.summary.preemptions, 1);
    assert_eq!(proof.report.end, at(71));
    let lost = proof
        .report
        .ledger
        .as_ref()
        .unwrap()
        .gpu_seconds(Bucket::AllocatedLost);
    assert_eq!(lost, 2);
}
