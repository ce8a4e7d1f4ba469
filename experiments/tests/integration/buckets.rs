//! Every bucket of the ledger is the largest one somewhere, by a mechanism that can be switched off.
//!
//! `scenarios/buckets` has a file per bucket. On its first platform that bucket is the largest; without
//! the mechanism, on a second platform or after a change below, it is not, and has less than half of
//! the share it had. `cargo test -p windtunnel --test integration buckets -- --nocapture` prints the
//! shares.

use std::io::Write;
use std::path::{Path, PathBuf};

use windtunnel::core::{
    Bucket, DriverFailures, Elastic, JobList, JobSpec, LedgerReport, NodeModel, Platform, PoolId,
    PoolSpec, Ppm, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest,
};
use windtunnel::policies::testing::{Greedy, NodeProvisioner};
use windtunnel::{Comparison, Saves, Scenario, Sweep, Workload};

/// How the mechanism is switched off.
enum Off {
    /// By the platform of this name.
    Platform(&'static str),
    /// By a change of the scenario.
    Change(fn(&mut Scenario)),
}

/// A bucket, and how what drives it is switched off. All buckets but `provisioning`: no platform of a
/// scenario starts nodes yet, so that one is made in code, at the end.
const CASES: [(Bucket, Off); 14] = [
    (Bucket::Down, Off::Platform("drivers in the image")),
    (Bucket::IdleNoDemand, Off::Change(five_times_the_work)),
    (Bucket::IdleInsufficient, Off::Change(one_node_more)),
    (Bucket::IdleFragmented, Off::Platform("packed")),
    (
        Bucket::IdleStranded,
        Off::Change(as_many_cores_as_there_are),
    ),
    (Bucket::IdleHeld, Off::Platform("backfilled")),
    (Bucket::AllocatedStartup, Off::Change(images_on_the_node)),
    (Bucket::AllocatedWaiting, Off::Platform("all or nothing")),
    (Bucket::AllocatedRounding, Off::Platform("fractions")),
    (Bucket::AllocatedStalled, Off::Platform("RDMA")),
    (Bucket::AllocatedInterference, Off::Platform("in turns")),
    (Bucket::AllocatedUnderused, Off::Platform("in turns")),
    (Bucket::AllocatedLost, Off::Change(checkpoints)),
    (Bucket::AllocatedUseful, Off::Change(a_quarter_of_the_work)),
];

fn drawn(scenario: &mut Scenario) -> &mut windtunnel::Drawn {
    match &mut scenario.workload {
        Workload::Synthetic(drawn) => drawn,
        other => panic!("not drawn: {other:?}"),
    }
}

fn five_times_the_work(scenario: &mut Scenario) {
    drawn(scenario).load = Some(1.0);
}

fn a_quarter_of_the_work(scenario: &mut Scenario) {
    drawn(scenario).load = Some(0.275);
}

fn one_node_more(scenario: &mut Scenario) {
    scenario.pools[0].nodes = Some(5);
}

fn as_many_cores_as_there_are(scenario: &mut Scenario) {
    drawn(scenario).cores_per_gpu = 8;
}

fn images_on_the_node(scenario: &mut Scenario) {
    drawn(scenario).startup = SimDuration::from_secs(10);
}

fn checkpoints(scenario: &mut Scenario) {
    let drawn = drawn(scenario);
    drawn.checkpoint_interval = Saves::Every(SimDuration::from_mins(30));
    drawn.checkpoint_cost = SimDuration::from_secs(30);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/buckets")
}

/// `idle.no_demand` is in `idle_no_demand.toml`.
fn file_of(bucket: Bucket) -> PathBuf {
    folder().join(format!("{}.toml", bucket.name().replace('.', "_")))
}

fn run(scenario: Scenario) -> Comparison {
    Sweep::new(scenario).threads(1).run().unwrap()
}

/// The ledger of a platform's only run; what was paid for is in it once, and all jobs of a table too.
fn ledger(comparison: &Comparison, platform: usize) -> LedgerReport {
    let runs = comparison.of_platform(platform);
    assert_eq!(runs.len(), 1, "one seed");
    let ledger = runs[0].report.ledger.clone().unwrap();
    let gpus = u128::from(comparison.scenario.gpu_count());
    let end = u128::from(runs[0].report.end.as_nanos());
    // Owned nodes only: paid from the start to the end.
    assert_eq!(ledger.paid(), gpus * end * 1_000 * 1_000_000);
    let by_bucket: u128 = Bucket::ALL.into_iter().map(|b| ledger.amount(b)).sum();
    assert_eq!(by_bucket, ledger.paid());
    if let Some(trace) = &comparison.trace {
        assert_eq!(trace.counts.jobs, trace.counts.rows_read, "{}", trace.path);
    }
    ledger
}

/// The share of a bucket \[‰\].
fn share(ledger: &LedgerReport, bucket: Bucket) -> u128 {
    ledger.amount(bucket) * 1_000 / ledger.paid()
}

/// The largest bucket, and the second largest.
fn largest(ledger: &LedgerReport) -> (Bucket, Bucket) {
    let mut buckets = Bucket::ALL;
    buckets.sort_by_key(|&bucket| std::cmp::Reverse(ledger.amount(bucket)));
    (buckets[0], buckets[1])
}

#[test]
fn each_is_the_largest_until_its_mechanism_is_switched_off() {
    for (bucket, off) in CASES {
        let scenario = Scenario::load(&file_of(bucket)).unwrap();
        assert_eq!(scenario.run.name, bucket.name());
        let on = run(scenario.clone());
        let before = ledger(&on, 0);
        let (first, second) = largest(&before);
        let shown = |ledger: &LedgerReport| {
            let (first, second) = largest(ledger);
            let told = |bucket| format!("{bucket} {} ‰", share(ledger, bucket));
            format!("{}, {}", told(first), told(second))
        };
        assert_eq!(first, bucket, "{}", shown(&before));
        assert!(before.amount(bucket) > before.amount(second), "no tie");

        let after = match off {
            Off::Platform(name) => ledger(&on, scenario.platform_named(name).unwrap()),
            Off::Change(change) => {
                let mut changed = scenario;
                change(&mut changed);
                ledger(&run(changed.complete().unwrap()), 0)
            }
        };
        writeln!(
            std::io::stderr(),
            "{bucket}: {}; switched off {} ‰ ({})",
            shown(&before),
            share(&after, bucket),
            shown(&after)
        )
        .unwrap();
        assert_ne!(largest(&after).0, bucket, "{}", shown(&after));
        assert!(
            share(&after, bucket) * 2 < share(&before, bucket),
            "{bucket}"
        );
    }
}

#[test]
fn there_is_a_file_for_every_bucket_but_one_and_it_says_why() {
    let expected = Bucket::ALL
        .into_iter()
        .filter(|b| *b != Bucket::Provisioning);
    let cases: Vec<Bucket> = CASES.into_iter().map(|(bucket, _)| bucket).collect();
    assert_eq!(cases, expected.collect::<Vec<_>>());
    for bucket in cases {
        let text = std::fs::read_to_string(file_of(bucket)).unwrap();
        assert!(text.starts_with("# Stands for "), "{bucket}");
    }
    let files = super::support::names(&folder());
    let scenarios = files
        .iter()
        .filter(|name| name.ends_with(".toml") && *name != "behaviours.toml");
    assert_eq!(scenarios.count(), CASES.len(), "{files:?}");
}

/// RDMA alone is what stalls the job: computing, links and cards are the same.
#[test]
fn without_rdma_the_same_jobs_do_a_third_of_the_work() {
    let comparison = run(Scenario::load(&file_of(Bucket::AllocatedStalled)).unwrap());
    let useful = |platform| ledger(&comparison, platform).gpu_hours(Bucket::AllocatedUseful);
    let slower = useful(1) / useful(0);
    assert!((2.0..4.0).contains(&slower), "{slower}");
}

/// Three trainings under MPS do less together than one of them does alone.
#[test]
fn crowded_gpus_do_less_than_lone_ones() {
    let comparison = run(Scenario::load(&file_of(Bucket::AllocatedInterference)).unwrap());
    let useful = |platform| ledger(&comparison, platform).gpu_hours(Bucket::AllocatedUseful);
    // Each is granted a third of a GPU in both: 24 jobs at their speed, 8 jobs at full speed.
    let (together, alone) = (useful(0), useful(2));
    assert!(together < alone, "{together} {alone}");
}

/// Jobs of five minutes, an hour apart, on a node that is rented for each and takes ten minutes to boot.
/// A driver that does not come up half of the time makes it worse; a node that stays is idle instead.
#[test]
fn nodes_that_boot_longer_than_they_are_used_are_provisioning() {
    let minutes = SimDuration::from_mins;
    let paid_for = |min: u32, driver: Ppm| {
        let elastic = Elastic {
            min,
            max: 2,
            request_delay: minutes(1),
            boot_delay: minutes(10),
        };
        let model = NodeModel::gpus_only("h100", 8);
        let supply = Supply::new(vec![PoolSpec::rented("cloud", model, elastic)]);
        let job = |n: u64| {
            let submit = SimTime::ZERO + SimDuration::from_hours(n);
            JobSpec::new(submit, TaskRequest::gpus(8), minutes(5))
        };
        let scaler = NodeProvisioner::new(PoolId(0), minutes(1), minutes(1));
        let platform = Platform::from(Greedy).autoscaler(scaler);
        let platform = platform.driver_failures(DriverFailures {
            probability: driver,
            ..DriverFailures::default()
        });
        let jobs = JobList::new((0..10).map(job).collect());
        let simulation = Simulation::new(supply, jobs, platform, RunOptions::default()).unwrap();
        simulation.run().unwrap().ledger.unwrap()
    };
    let booted = paid_for(0, Ppm::ZERO);
    assert_eq!(booted.gpu_seconds(Bucket::Provisioning), 10 * 8 * 600);
    assert_eq!(booted.gpu_seconds(Bucket::AllocatedUseful), 10 * 8 * 300);
    assert_eq!(largest(&booted).0, Bucket::Provisioning);
    let tried = paid_for(0, Ppm(500_000));
    assert!(tried.amount(Bucket::Provisioning) > booted.amount(Bucket::Provisioning));
    assert_eq!(largest(&tried).0, Bucket::Provisioning);
    let kept = paid_for(1, Ppm::ZERO);
    assert_eq!(kept.amount(Bucket::Provisioning), 0);
    assert_eq!(largest(&kept).0, Bucket::IdleNoDemand);
}
