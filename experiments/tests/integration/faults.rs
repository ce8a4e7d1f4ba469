//! `[faults]`, `[[faults.maintenance]]` and drivers in scenario files: read, written, refused, run.

use windtunnel::core::{Bucket, Checkpoint, Ppm, SimDuration};
use windtunnel::{ExperimentError, Faults, Fleet, Repair, Scenario, Sweep};

use super::support::TINY;

/// The tiny scenario with more lines before its pools.
fn with(lines: &str) -> String {
    TINY.replacen("[[pools]]", &format!("{lines}\n\n[[pools]]"), 1)
}

fn read(lines: &str) -> Scenario {
    Scenario::from_toml(&with(lines), "faults.toml").unwrap()
}

/// Reading fails with this message, and a label that says this.
fn refused(text: &str, message: &str, label: &str) {
    match Scenario::from_toml(text, "faults.toml") {
        Err(ExperimentError::Scenario(error)) => {
            assert_eq!(error.message, message);
            assert!(error.label.contains(label), "{error}");
            assert!(error.line > 1, "{error}");
        }
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn a_fleet_fills_in_what_is_not_given() {
    let faults =
        read("[faults]\nfleet = \"llama3\"\nnic_mtbf = \"never\"\nmtbf = \"100 d\"").faults;
    assert_eq!(
        faults,
        Faults {
            nic_mtbf: None,
            mtbf: Some(SimDuration::from_days(100)),
            ..Faults::of(Fleet::Llama3)
        }
    );
    assert_eq!(faults.gpu_mtbf, Some(SimDuration::from_hours(83_928)));
    assert_eq!(faults.repair, Repair::Mixture);
}

#[test]
fn everything_is_echoed_and_read_again() {
    let lines = "[faults]\nfleet = \"llama3\"\nslow_mtbf = \"7976 h\"\nslow_by_max = 1.25\n\
                 [[faults.maintenance]]\nstart = \"10 h\"\nlength = \"2 h\"\nevery = \"7 d\"\n\
                 lead = \"1 h\"\npools = [\"lab\"]\nnode_count = 1";
    let mut scenario = read(lines);
    scenario.platforms[0].driver_failure = Ppm(20_000);
    let text = scenario.to_toml().unwrap();
    assert_eq!(Scenario::from_toml(&text, "again").unwrap(), scenario);
    for line in [
        "gpu_mtbf = \"3497d\"",
        "slow_by_max = 1.25",
        "node_count = 1",
        "first_node = 0",
        "driver_failure = 0.02",
        "driver_retry_max = \"15m\"",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn bad_faults_point_at_their_place() {
    let check = |lines: &str, message: &str, label: &str| refused(&with(lines), message, label);
    check(
        "[faults]\ngpu_mtb = \"1 d\"",
        "unknown key `gpu_mtb`",
        "did you mean `gpu_mtbf`?",
    );
    check(
        "[faults]\nfleet = \"llama4\"",
        "bad value for `fleet`",
        "did you mean `llama3`?",
    );
    check(
        "[faults]\ngpu_mtbf = \"0s\"",
        "bad value for `gpu_mtbf`",
        "longer than 0s",
    );
    check(
        "[faults]\nrepair = \"mixture\"\nmttr = \"1 h\"",
        "bad value for `mttr`",
        "leave mttr out",
    );
    check(
        "[faults]\nslow_by_min = 1.7",
        "bad value for `slow_by_min`",
        "above slow_by_max",
    );
    check(
        "[faults]\nslow_by_min = 0.5",
        "bad value for `slow_by_min`",
        "from 1 to 1000",
    );
    let window = |lines: &str| format!("[[faults.maintenance]]\nstart = \"1 h\"\n{lines}");
    check(&window(""), "`length` is missing", "start, length");
    check(
        &window("length = \"0s\""),
        "bad value for `length`",
        "longer than 0s",
    );
    check(
        &window("length = \"2 h\"\nevery = \"1 h\""),
        "bad value for `every`",
        "must not overlap",
    );
    check(
        &window("length = \"2 h\"\npools = [1]"),
        "bad value for `pools`",
        "names of pools",
    );
    let driver = TINY.replacen(
        "policy = \"fifo\"",
        "policy = \"fifo\"\ndriver_failure = 2",
        1,
    );
    refused(&driver, "bad value for `driver_failure`", "from 0 to 1");
    let retry = TINY.replacen(
        "policy = \"fifo\"",
        "policy = \"fifo\"\ndriver_retry_min = \"1 h\"",
        1,
    );
    refused(
        &retry,
        "bad value for `driver_retry_min`",
        "above driver_retry_max",
    );
    let young = with("").replacen(
        "startup",
        "checkpoint_interval = \"young-daly\"\nstartup",
        1,
    );
    refused(
        &young,
        "bad value for `checkpoint_interval`",
        "give checkpoint_cost",
    );
    check(
        &window("length = \"2 h\"\npools = [\"labs\"]"),
        "bad value for `pools`",
        "did you mean `lab`? the pools are: lab",
    );
}

/// Down time of the first platform and seed, in GPU-seconds.
fn down(lines: &str) -> u128 {
    let mut scenario = read(lines);
    scenario.run.seeds.truncate(1);
    scenario.platforms.truncate(1);
    let comparison = Sweep::new(scenario).threads(1).run().unwrap();
    let ledger = comparison.runs[0].report.ledger.as_ref().unwrap();
    ledger.gpu_seconds(Bucket::Down)
}

#[test]
fn what_is_switched_on_takes_effect() {
    assert_eq!(down(""), 0);
    let gpus = down("[faults]\ngpu_mtbf = \"40 h\"\nmttr = \"1 h\"");
    assert!(gpus > 0);
    let links = "[faults]\nnvlink_mtbf = \"20 h\"\nnic_mtbf = \"20 h\"\nslow_mtbf = \"20 h\"";
    assert_eq!(down(links), 0, "links and stragglers stop nothing");
    // A whole pool of eight GPUs for two hours of its day, without a lead.
    let window = "[[faults.maintenance]]\nstart = \"10 h\"\nlength = \"2 h\"";
    assert_eq!(down(window), 8 * 7_200);
    let one = format!("{window}\nfirst_node = 1\nnode_count = 1");
    assert_eq!(down(&one), 4 * 7_200);
}

/// Each job saves at the interval for its own nodes and GPUs; where nothing fails, not at all.
#[test]
fn jobs_save_as_young_and_daly_say() {
    let lost = |faults: &str| {
        let text = with(faults).replacen(
            "startup",
            "checkpoint_interval = \"young-daly\"\ncheckpoint_cost = \"1 min\"\nstartup",
            1,
        );
        let mut scenario = Scenario::from_toml(&text, "young.toml").unwrap();
        scenario.run.seeds.truncate(1);
        scenario.platforms.truncate(1);
        let comparison = Sweep::new(scenario).threads(1).run().unwrap();
        let ledger = comparison.runs[0].report.ledger.clone().unwrap();
        ledger.gpu_seconds(Bucket::AllocatedLost)
    };
    assert_eq!(lost(""), 0);
    // So rare that hardly anything fails within a day, but saves cost what they cost.
    assert!(lost("[faults]\ngpu_mtbf = \"1000 d\"\nmttr = \"1 h\"") > 0);
    // 8 GPUs on 2 nodes: a stop in 8 ÷ 800 + 2 ÷ 200 = 1 ÷ 50 days.
    let (cost, mtbf) = (SimDuration::from_mins(1), SimDuration::from_days(50));
    let best = Checkpoint::young_daly(cost, mtbf);
    assert_eq!(best.interval.as_secs(), 22_768, "6 h 19 min");
}
