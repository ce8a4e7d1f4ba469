//! GPUs that several tasks have at once: time-slicing, MPS, MIG, memory. Worked to the unit.

use std::sync::Arc;

use crate::support::{FirstFit, at, ledger_line, nodes, run, secs, waits};
use windtunnel_core::{
    Batch, Behaviour, Bucket, Bytes, Claim, Decisions, Fault, HoldFor, HoldPart, JobList, JobLog,
    JobSpec, ListedFaults, MigTable, News, NoObserver, NodeId, NodeModel, Outcome, Platform,
    Policy, PoolId, Ppm, Reason, Report, RunOptions, Sharing, SimDuration, Simulation, Supply,
    TaskRequest, View,
};

const TWO: Sharing = Sharing::TimeSliced { slots: 2 };
const FOUR: Sharing = Sharing::TimeSliced { slots: 4 };

fn shared(sharing: Sharing) -> Platform {
    Platform::new("shared", FirstFit).sharing(sharing)
}

fn whole(submit: u64, run: u64, duty: u32) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpus(1), secs(run)).duty(Ppm(duty * 10_000))
}

fn part(submit: u64, milli: u16, run: u64) -> JobSpec {
    JobSpec::new(at(submit), TaskRequest::gpu_milli(milli), secs(run))
}

/// Milliseconds at which jobs ended, by id.
fn ends(log: &JobLog) -> Vec<u64> {
    let mut records: Vec<_> = log.records.iter().collect();
    records.sort_by_key(|record| record.job);
    records
        .iter()
        .map(|record| record.end.as_nanos() / 1_000_000)
        .collect()
}

/// milli-GPU·s per bucket, those that are not zero.
fn exact(report: &Report) -> String {
    let ledger = report.ledger.as_ref().unwrap();
    let lines = Bucket::ALL.into_iter().filter_map(|bucket| {
        let unit = 1_000_000 * 1_000_000_000;
        let amount = ledger.amount(bucket);
        (amount > 0).then(|| {
            let rest = amount % unit;
            let rest = if rest == 0 {
                String::new()
            } else {
                format!("+{rest}")
            };
            format!("{bucket}={}{rest}", amount / unit)
        })
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Two jobs that are always busy on one GPU go at 0.485 each: 97 % of it, the rest is lost to switching.
/// a does 20 s alone, b comes; b's 48.5 s take 100 s; a has 48.5 + 20 s by then and does its last 31.5
/// alone.
#[test]
fn two_busy_jobs_take_turns() {
    let mut jobs = vec![whole(0, 100, 100), whole(20, 485, 100)];
    jobs[1].profile.work = windtunnel_core::Work::Uniform(SimDuration::from_millis(48_500));
    let (report, log) = run(nodes(1, 1), jobs, shared(TWO), 200);
    assert_eq!(ends(&log), [151_500, 120_000]);
    assert_eq!(
        exact(&report),
        "idle.no_demand=48500 allocated.interference=3000 allocated.useful=148500"
    );
}

/// Duties of 1, 0.5 and 0.2 have 0.97 to share: the light one its 0.2, the others 0.385 each. So they go
/// at 0.385, 0.77 and 1, and the 0.03 that are lost to switching are everybody's.
#[test]
fn three_jobs_of_unequal_duty() {
    let milli = SimDuration::from_millis;
    let mut jobs = vec![whole(0, 1, 100), whole(0, 77, 50), whole(0, 100, 20)];
    jobs[0].profile.work = windtunnel_core::Work::Uniform(milli(38_500));
    let (report, log) = run(nodes(1, 1), jobs, shared(FOUR), 100);
    assert_eq!(ends(&log), [100_000, 100_000, 100_000]);
    assert_eq!(
        exact(&report),
        "allocated.interference=3000 allocated.useful=97000"
    );
}

/// a keeps 0.6 of the GPU busy, from 0 to 100, and what it leaves is underused; b comes at 20, starts
/// for 10 s and has half of what is left meanwhile; then it keeps 0.3 busy for 30 s.
#[test]
fn who_starts_has_a_part_of_the_rest() {
    let jobs = vec![whole(0, 100, 60), whole(20, 30, 30).startup(secs(10))];
    let (report, log) = run(nodes(1, 1), jobs, shared(TWO), 100);
    assert_eq!(ends(&log), [100_000, 60_000]);
    assert_eq!(
        exact(&report),
        "allocated.startup=2000 allocated.underused=29000 allocated.useful=69000"
    );
}

/// A fraction that is always busy keeps its fraction busy; alone it has the whole GPU and leaves the
/// rest of it underused: what others could have used is no longer free.
#[test]
fn fractions_are_as_busy_as_they_are_large() {
    let jobs = vec![part(0, 300, 100), part(0, 500, 100)];
    let (report, log) = run(nodes(1, 2), jobs, shared(TWO), 100);
    assert_eq!(ends(&log), [100_000, 100_000], "spread over both GPUs");
    assert_eq!(
        exact(&report),
        "allocated.underused=120000 allocated.useful=80000"
    );
}

/// Two always busy jobs on a GPU that dies at 80: a saved at 60 and loses 20 s, b all of its 80 s.
#[test]
fn what_is_lost_is_what_was_useful() {
    let saves = whole(0, 1_000, 100).checkpoint(secs(30), SimDuration::ZERO);
    let jobs = vec![saves, whole(0, 1_000, 100)];
    let faults = ListedFaults::new(vec![(PoolId(0), 0, Fault::node(at(80), secs(20)))]);
    let supply = nodes(1, 1).with_faults(faults);
    let (report, log) = run(supply, jobs, shared(TWO), 100);
    assert_eq!(
        exact(&report),
        "down=20000 allocated.interference=2400 allocated.lost=48500 allocated.useful=29100"
    );
    let lost: Vec<u128> = log
        .records
        .iter()
        .map(|record| record.lost / 1_000_000_000_000_000)
        .collect();
    assert_eq!(lost, [9_700, 38_800]);
}

/// Two GPUs of two slots each: gangs of two take a slot on both, and the third gang waits.
#[test]
fn whole_requests_take_slots_on_different_gpus() {
    let gang = |submit| JobSpec::new(at(submit), TaskRequest::gpus(2), secs(10)).duty(Ppm(400_000));
    let jobs = vec![gang(0), gang(0), gang(0)];
    let (report, log) = run(nodes(1, 2), jobs, shared(TWO), 20);
    assert_eq!(ends(&log), [10_000, 10_000, 20_000]);
    assert_eq!(waits(&log, 2), "insufficient=10", "nothing is free");
    assert_eq!(
        ledger_line(&report),
        "allocated.underused=16 allocated.useful=24"
    );
}

/// The two tasks of a gang on one GPU are in each other's way as any two.
#[test]
fn tasks_of_one_gang_take_turns() {
    let mut gang = whole(0, 1, 100).tasks(2);
    gang.profile.work = windtunnel_core::Work::Uniform(SimDuration::from_millis(48_500));
    let (report, log) = run(nodes(1, 1), vec![gang], shared(TWO), 100);
    assert_eq!(ends(&log), [100_000]);
    assert_eq!(
        exact(&report),
        "allocated.interference=3000 allocated.useful=97000"
    );
}

fn using(gigabytes: u64) -> Arc<Behaviour> {
    Arc::new(Behaviour {
        gpu_memory: Bytes(gigabytes * 1_000_000_000),
        compute_use: Ppm(300_000),
        ..Behaviour::new("some")
    })
}

fn gpus_of_80(gpus: u8) -> Supply {
    let model = NodeModel::gpus_only("h100", gpus).with_gpu_memory(Bytes(80_000_000_000));
    Supply::uniform(model, 1)
}

/// a has 50 of 80 GB until 60. b needs 40 and fails at 20, 30 and 50, and again would be early at 60:
/// it is tried after 10, 20 and 40 s.
#[test]
fn the_newcomer_runs_out_of_memory() {
    let jobs = vec![
        whole(0, 60, 100).behaviour(using(50)),
        whole(20, 10, 100).behaviour(using(40)),
        whole(30, 10, 100).behaviour(using(20)),
    ];
    let (_, log) = run(gpus_of_80(1), jobs, shared(FOUR), 200);
    assert_eq!(ends(&log), [60_000, 100_000, 40_000]);
    let attempts: Vec<u32> = {
        let mut records = log.records.clone();
        records.sort_by_key(|record| record.job);
        records.iter().map(|record| record.attempts).collect()
    };
    assert_eq!(attempts, [1, 4, 1]);
    assert!(
        log.records
            .iter()
            .all(|record| record.outcome == Some(Outcome::Completed))
    );
}

/// What is larger than the GPU fails however it is shared, seven times by default.
#[test]
fn who_never_fits_in_memory_is_given_up() {
    let large = || vec![whole(0, 60, 100).behaviour(using(90))];
    for sharing in [
        Sharing::Exclusive,
        Sharing::Fractions,
        Sharing::Mps,
        FOUR,
        Sharing::Unchecked,
    ] {
        let (report, log) = run(gpus_of_80(2), large(), shared(sharing), 1_000);
        assert_eq!(
            log.records[0].outcome,
            Some(Outcome::OutOfMemory),
            "{sharing:?}"
        );
        assert_eq!((log.records[0].attempts, log.records[0].end), (7, at(630)));
        assert_eq!(report.summary.count(Outcome::OutOfMemory), 1);
    }
    let strict = Batch::new().retries(0, secs(1), secs(1));
    let (_, log) = run(gpus_of_80(2), large(), shared(FOUR).batch(strict), 1_000);
    assert_eq!((log.records[0].attempts, log.records[0].end), (1, at(0)));
}

/// MPS: two that are always busy go at 0.674 each, what they have of the GPU stays what they asked for.
#[test]
fn mps_neighbours_slow_each_other_while_they_are_there() {
    let busy = || Arc::new(Behaviour::new("busy"));
    let jobs = vec![
        part(0, 500, 100).behaviour(busy()),
        part(20, 500, 10).behaviour(busy()),
    ];
    let (report, log) = run(nodes(1, 1), jobs, shared(Sharing::Mps), 200);
    // 10 s of work at 0.673617 take 14.845 s; a then has 20 + 10 s behind it, and 70 before it.
    assert_eq!(ends(&log), [104_845, 34_845]);
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=140 allocated.interference=4 allocated.useful=55"
    );
}

fn mig() -> Sharing {
    Sharing::Mig(MigTable::A100x80)
}

/// Seven small instances fill a GPU but for one slice, which is free and too little: the eighth waits
/// for it in vain. Each instance is made in 5 s first.
#[test]
fn seven_small_instances_leave_a_slice() {
    let jobs: Vec<_> = (0..8).map(|_| part(0, 125, 20)).collect();
    let (report, log) = run(nodes(1, 1), jobs, shared(mig()), 45);
    assert_eq!(
        ends(&log),
        [25, 25, 25, 25, 25, 25, 25, 45].map(|end| end * 1_000)
    );
    assert_eq!(waits(&log, 7), "fragmented=25");
    // The eighth finds an instance that is there: no 5 s for it. 125 x 25 fragmented, 875 x 20 idle.
    assert_eq!(
        exact(&report),
        "idle.no_demand=17500 idle.fragmented=3125 allocated.startup=4375 allocated.useful=20000"
    );
}

/// A small instance goes to slice 6, where it spoils least: a 3g fits beside it at 0 and not at 4, so
/// the second one waits for the first, and a whole GPU for everybody, though 375 are free.
#[test]
fn small_instances_block_large_ones() {
    let mut platform = shared(mig());
    platform.pool_default.reconfigure = SimDuration::ZERO;
    let jobs = vec![
        part(0, 125, 30),
        part(0, 428, 10),
        whole(0, 10, 100),
        part(0, 428, 30),
    ];
    let (report, log) = run(nodes(1, 1), jobs, platform, 50);
    assert_eq!(ends(&log), [30_000, 10_000, 50_000, 40_000]);
    // 3g has half of the memory: 72 beyond what was asked for.
    assert_eq!(
        exact(&report),
        "idle.insufficient=16250 allocated.rounding=2880 allocated.useful=30870"
    );
}

/// An instance that is less than a job could use slows it, and nothing else: three sevenths of the
/// compute slices for a job that would keep the GPU busy are 0.466.
#[test]
fn small_instances_are_slow() {
    let mut platform = shared(mig());
    platform.pool_default.reconfigure = SimDuration::ZERO;
    let busy = || part(0, 500, 10).behaviour(Arc::new(Behaviour::new("busy")));
    let (report, log) = run(nodes(1, 1), vec![busy(), busy()], platform, 30);
    assert_eq!(ends(&log), [21_437, 21_437]);
    assert_eq!(
        report.ledger.unwrap().amount(Bucket::AllocatedInterference),
        0
    );
}

/// A GPU on which a hold has a slot and no task is the hold's and free as to the rest; with a task on it
/// all of it is the task's.
#[test]
fn slots_set_aside() {
    #[derive(Clone, Debug)]
    struct Holds;
    impl Policy for Holds {
        fn name(&self) -> &str {
            "holds"
        }
        fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
            if view.now() == at(0) && view.pending_jobs().count() == 1 {
                let amount = TaskRequest::gpus(1);
                let part = HoldPart {
                    node: NodeId(0),
                    amount,
                };
                let until = Some(at(40));
                out.hold(
                    [part],
                    at(0),
                    until,
                    HoldFor::Anyone,
                    Reason::Reservation,
                    Claim::Sure,
                );
            }
            FirstFit.decide(view, &News::default(), out);
        }
    }
    let jobs = vec![whole(0, 10, 100), whole(20, 10, 100)];
    let (report, _) = run(
        nodes(1, 1),
        jobs,
        Platform::new("holds", Holds).sharing(FOUR),
        60,
    );
    // Held from 0 to 40; tasks from 0 to 10 and 20 to 30: 250 held for 20 s, 750 beside it.
    assert_eq!(
        exact(&report),
        "idle.no_demand=35000 idle.held=5000 allocated.useful=20000"
    );
}

/// A run and its fork at every tenth second end alike.
#[test]
fn forks_go_on_as_they_were() {
    let jobs = || {
        let job = |n: u32| {
            let n_long = u64::from(n);
            whole(n_long * 3, 20, 40 + n * 5).startup(secs(n_long % 3))
        };
        JobList::new((0..8).map(job).collect())
    };
    let options = RunOptions::default().horizon(secs(300));
    for sharing in [FOUR, mig(), Sharing::Mps, Sharing::Unchecked] {
        let mut run =
            Simulation::new(nodes(1, 2), jobs(), shared(sharing), options.clone()).unwrap();
        for second in (10..100).step_by(10) {
            run.run_until(at(second), &mut NoObserver).unwrap();
            let fork = run.fork().unwrap().run().unwrap();
            let whole = Simulation::new(nodes(1, 2), jobs(), shared(sharing), options.clone());
            let whole = whole.unwrap().run().unwrap();
            assert_eq!(exact(&fork), exact(&whole), "{sharing:?} at {second}");
            assert_eq!(fork.digest, whole.digest);
        }
    }
}
