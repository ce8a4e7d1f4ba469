//! Jobs that never fit, need no GPU, or come in crowds.

use windtunnel_core::{Advance, NodeModel, Outcome, Sharing, SimTime, Supply, TaskRequest};

use crate::support::{Scenario, at, job, later, nodes, waits};

const KUBES: [&str; 4] = [
    "kube-default",
    "kube-default{version=1.20}",
    "kube-default{version=1.20,requeue=all,tie=upstream,percentage=0}",
    "kube-default{requeue=all,percentage=5}",
];

/// Every policy that starts whole jobs.
const BATCH: [&str; 14] = [
    "fifo",
    "first-fit",
    "best-fit",
    "worst-fit",
    "random",
    "sjf",
    "sjf{by=oracle}",
    "easy-backfill",
    "easy-backfill{by=oracle,placer=best-fit}",
    "easy-backfill{order=sjf,placer=worst-fit}",
    "conservative-backfill",
    "conservative-backfill{by=oracle,placer=random}",
    "priority",
    "replay",
];

#[test]
fn a_job_that_never_fits_is_rejected_by_batch_policies() {
    let scenario = Scenario::new(nodes(2, 4), vec![job(4, 5).tasks(3), job(1, 5)]);
    for policy in BATCH {
        let (report, log) = scenario.run(policy);
        assert_eq!(report.end, at(5), "{policy}");
        let rejected = log.records.iter().find(|r| r.job.0 == 0).unwrap();
        assert_eq!(rejected.outcome, Some(Outcome::Rejected), "{policy}");
    }
}

/// The second comes when nothing was given back since the first, and is another job.
#[test]
fn every_job_that_never_fits_is_rejected() {
    let jobs = vec![
        job(1, 50),
        job(4, 5).tasks(3),
        later(10, job(4, 5).tasks(3)),
    ];
    let scenario = Scenario::new(nodes(2, 4), jobs);
    for policy in BATCH {
        let (report, log) = scenario.run(policy);
        assert_eq!(report.end, at(50), "{policy}");
        let rejected = log.records.iter();
        let rejected = rejected.filter(|r| r.outcome == Some(Outcome::Rejected));
        assert_eq!(rejected.count(), 2, "{policy}");
    }
}

#[test]
fn a_job_that_never_fits_may_wait() {
    let mut scenario = Scenario::new(nodes(2, 4), vec![job(4, 5).tasks(3), job(1, 5)]);
    scenario.horizon = Some(50);
    for (policy, ended) in [
        ("fifo{never=wait}", 0),
        ("first-fit{never=wait}", 1),
        ("best-fit{never=wait}", 1),
        ("sjf{never=wait}", 1),
        ("easy-backfill{never=wait}", 1),
        ("conservative-backfill{never=wait}", 1),
        ("priority{never=wait}", 1),
        ("replay{never=wait}", 1),
    ] {
        let (report, _) = scenario.run(policy);
        assert_eq!(report.summary.completed(), ended, "{policy}");
    }
}

/// Kubernetes keeps it pending, for 28 days if it must, without idle ticks by the thousand.
#[test]
fn a_job_that_never_fits_waits_in_kubernetes() {
    for jobs in [vec![job(5, 5), job(1, 5)], vec![job(5, 5).tasks(2)]] {
        let scenario = Scenario::new(nodes(2, 4), jobs.clone());
        for policy in KUBES {
            let (report, log) = scenario.run(policy);
            assert_eq!(
                report.summary.completed(),
                jobs.len() as u64 - 1,
                "{policy}"
            );
            let stuck = log.records.last().unwrap();
            assert_eq!((stuck.job.0, stuck.start), (0, None), "{policy}");
        }
    }
}

/// A pod that waits behind one that runs for weeks, and is retried when it ends.
#[test]
fn a_long_wait_costs_no_ticks() {
    let weeks = 20 * 86_400;
    let scenario = Scenario::new(nodes(1, 1), vec![job(1, weeks), later(1, job(1, 5))]);
    for policy in KUBES {
        let (report, _) = scenario.run(policy);
        let late = report.end.since(at(weeks));
        assert!(
            late >= crate::support::secs(5) && late <= crate::support::secs(15),
            "{policy}"
        );
    }
}

#[test]
fn jobs_without_gpus_need_cores_only() {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 1).with_cores(4), 1);
    let mut cpu = job(0, 10);
    cpu.request.groups[0].request = TaskRequest::gpus(0).with_cores(2);
    let bare = job(0, 10); // asks for nothing at all
    let scenario = Scenario::new(
        supply,
        vec![cpu.clone().tasks(3), cpu.clone(), cpu, bare, job(1, 10)],
    );
    for policy in BATCH.iter().chain(&KUBES) {
        let (report, _) = scenario.run(policy);
        // Kubernetes binds two of the first three pods at once, before it can see that the third
        // has no room.
        let stuck = policy.starts_with("kube");
        assert_eq!(
            report.summary.completed(),
            if stuck { 2 } else { 4 },
            "{policy}"
        );
    }
}

#[test]
fn fractions_on_exclusive_and_shared_pools() {
    let part = |milli| {
        windtunnel_core::JobSpec::new(
            at(0),
            TaskRequest::gpu_milli(milli),
            crate::support::secs(10),
        )
    };
    let jobs: Vec<_> = (0..6).map(|_| part(400)).collect();
    for policy in BATCH.iter().chain(&KUBES) {
        let mut scenario = Scenario::new(nodes(1, 2), jobs.clone());
        let (exclusive, _) = scenario.run(policy);
        scenario.platform = |platform| platform.sharing(Sharing::Fractions);
        let (shared, _) = scenario.run(policy);
        // v1.20 adds backoff to each later wave.
        assert!(
            exclusive.end >= at(30) && exclusive.end <= at(50),
            "{policy}"
        );
        assert!(shared.end >= at(20) && shared.end <= at(31), "{policy}");
    }
}

/// 200 arrays, gangs and elastic jobs at once on a small cluster: everything ends.
#[test]
fn a_crowd_drains() {
    let jobs: Vec<_> = (0..200)
        .map(|n| {
            let advance = match n % 3 {
                0 => Advance::All,
                1 => Advance::Each,
                _ => Advance::Between { min: 2, max: 4 },
            };
            // Gangs of one pod: plain Kubernetes would deadlock with larger ones.
            let tasks = if n % 3 == 0 { 1 } else { 4 };
            job(1 + n % 2, 3 + u64::from(n % 7))
                .tasks(tasks)
                .advance(advance)
        })
        .collect();
    for policy in BATCH {
        let (report, log) = Scenario::new(nodes(3, 4), jobs.clone()).run(policy);
        assert_eq!(report.summary.completed(), 200, "{policy}");
        assert!(log.records.iter().all(|record| record.start.is_some()));
    }
    let jobs: Vec<_> = jobs
        .into_iter()
        .filter(|job| !matches!(job.request.advance, Advance::Between { .. }))
        .collect();
    for policy in KUBES {
        let (report, _) = Scenario::new(nodes(3, 4), jobs.clone()).run(policy);
        assert_eq!(report.summary.completed(), jobs.len() as u64, "{policy}");
    }
}

/// A head of line in one queue blocks every queue, and whoever was the head waits behind the next.
#[test]
fn fifo_says_who_blocks() {
    let (mut a, mut b) = (job(2, 10), job(1, 10));
    a.request.queue = windtunnel_core::QueueId(1);
    b.request.queue = windtunnel_core::QueueId(2);
    let (_, log) = Scenario::new(nodes(1, 2), vec![job(1, 10), a, b]).run("fifo");
    let lines: Vec<String> = log.records.iter().map(waits).collect();
    assert_eq!(log.records[0].start, Some(SimTime::ZERO));
    assert_eq!(lines[1], "job-1 waited insufficient=10s");
    assert_eq!(lines[2], "job-2 waited insufficient=10s head_of_line=10s");
}

/// Nodes that fail under gangs, arrays and elastic jobs with and without estimates, good and bad:
/// everything ends, whatever is promised meanwhile.
#[test]
fn nodes_fail_under_promises() {
    use windtunnel_core::{Fault, FaultKind, ListedFaults, PoolId};
    let mut dice = crate::support::Dice(9 << 32);
    for seed in 0..12 {
        let mut jobs = crate::support::mixed_jobs(seed, 80);
        for spec in &mut jobs {
            spec.request.groups[0].request.cpu = windtunnel_core::MilliCores(0);
            spec.request.priority = i64::try_from(dice.roll(3)).unwrap();
            spec.request.estimate = match dice.roll(3) {
                0 => None,
                _ => Some(crate::support::secs(dice.roll(60))),
            };
        }
        let faults = (0..6).map(|n| {
            let mut fault = Fault::node(
                at(5 + 20 * n + dice.roll(10)),
                crate::support::secs(1 + dice.roll(30)),
            );
            let lead = crate::support::secs(n);
            fault.what = match (seed % 3, n % 3) {
                (1, 0) => FaultKind::Gpu(u8::try_from(n).unwrap()),
                (2, 0) => FaultKind::Drain { lead },
                _ => fault.what,
            };
            (PoolId(0), u32::try_from(n % 3).unwrap(), fault)
        });
        let supply = nodes(3, 8).with_faults(ListedFaults::new(faults.collect()));
        let mut scenario = Scenario::new(supply, jobs);
        scenario.platform = |platform| platform.detection_delay(crate::support::secs(3));
        for policy in BATCH.iter().chain(&["priority{grace=4s}"]) {
            let (report, log) = scenario.run(policy);
            let rejected = log
                .records
                .iter()
                .filter(|record| record.never_fits)
                .count();
            assert_eq!(
                report.summary.completed() + rejected as u64,
                80,
                "{policy}, {seed}"
            );
        }
    }
}

/// Crowds of priorities: whatever is evicted comes back and ends, with and without grace.
#[test]
fn preemption_ends() {
    for seed in 0..12 {
        let mut dice = crate::support::Dice(seed << 32);
        let mut jobs = crate::support::mixed_jobs(seed, 120);
        for spec in &mut jobs {
            spec.request.groups[0].request.cpu = windtunnel_core::MilliCores(0);
            spec.request.priority = i64::try_from(dice.roll(5)).unwrap() - 2;
        }
        for policy in [
            "priority",
            "priority{grace=7s}",
            "priority{placer=worst-fit}",
        ] {
            let scenario = Scenario::new(nodes(4, 8), jobs.clone());
            let (report, _) = scenario.run(policy);
            assert_eq!(report.summary.completed(), 120, "{policy}, {seed}");
            assert!(report.summary.preemptions > 0, "{policy}, {seed}");
        }
    }
}

/// Another policy takes over in the middle of a run: it knows what waits and what runs.
#[test]
fn any_policy_may_take_over() {
    use windtunnel_core::{JobList, Platform, RunOptions, SchedulerId, Simulation, Step};
    for seed in 0..4 {
        let mut dice = crate::support::Dice(seed << 32);
        let mut jobs = crate::support::mixed_jobs(seed, 100);
        for spec in &mut jobs {
            spec.request.groups[0].request.cpu = windtunnel_core::MilliCores(0);
            spec.request.priority = i64::try_from(dice.roll(3)).unwrap();
            spec.request.estimate = Some(crate::support::secs(dice.roll(60)));
        }
        let first = Platform::from(windtunnel_policies::policy("first-fit").unwrap());
        let list = JobList::new(jobs);
        let mut run = Simulation::new(nodes(4, 8), list, first, RunOptions::default()).unwrap();
        while matches!(run.step().unwrap(), Step::Instant(now) if now < at(40)) {}
        for policy in BATCH.iter().chain(&["priority{grace=4s}"]) {
            let mut fork = run.fork().unwrap();
            let other = windtunnel_policies::policy(policy).unwrap();
            fork.replace_policy(SchedulerId(0), other);
            let completed = fork.run().unwrap().summary.completed();
            assert_eq!(completed, 100, "{policy}, {seed}");
        }
    }
}
