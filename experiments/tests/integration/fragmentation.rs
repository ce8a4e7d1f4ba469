//! `fragmentation.csv`, worked by hand.

use super::support::Place;

const JOBS: &str = "\
# windtunnel-jobs v1
job_id,submit_s,duration_s,gpus,cpus
a,0,5400,3,8
b,0,3600,1,1
";
const SCENARIO: &str = "\
[scenario]
name = \"frag\"
horizon = \"3h\"

[workload]
kind = \"native\"
path = \"jobs.csv\"

[[pools]]
name = \"lab\"
nodes = 1
gpus_per_node = 4
cores = 8

[[platforms]]
name = \"ff\"
policy = \"first-fit\"
";

fn place(scenario: &str) -> Place {
    Place::new().file("s.toml", scenario).file("jobs.csv", JOBS)
}

/// Until 5,400 s `a` holds 3 GPUs and all cores: one GPU is free, on which `a` would not fit and `b`
/// lacks a core. Then `b` runs: 3 GPUs and 7 cores are free, and `a` lacks a core. Then all is free.
#[test]
fn a_timeline_by_hand() {
    let place = place(SCENARIO);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out.contains("ledger.csv fragmentation.csv"),
        "{}",
        done.out
    );
    assert_eq!(
        place.read("out/fragmentation.csv"),
        "\
platform,seed,time_s,idle_gpu_milli,slots_1,slots_2,slots_4,slots_8,frag_gpu_milli,frag_ratio,stranded_gpu_milli,gar,gfr,mig_compute_blocked,mig_memory_blocked
ff,1,0,1000,1,0,0,0,1000.000000,1.000000,500.000000,0.750000,1.000000,,
ff,1,3600,1000,1,0,0,0,1000.000000,1.000000,500.000000,0.750000,1.000000,,
ff,1,7200,3000,3,1,0,0,1500.000000,0.500000,1500.000000,0.250000,1.000000,,
ff,1,10800,4000,4,2,1,0,0.000000,0.000000,0.000000,0.000000,0.000000,,
"
    );
}

/// Three racks of two nodes of 4 GPUs. `a` of 3 GPUs is on node 0 and `c` of 8 on nodes 2 and 3, one
/// rack: nodes 1, 4 and 5 are left, and one GPU. Nodes 4 and 5 are a slot of 8 in their rack; node 1
/// alone is none.
#[test]
fn slots_by_hand() {
    let jobs = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,tasks,level\n\
                a,0,9000,3,1,\nc,0,9000,4,2,rack\n";
    let racks = "[fabric]\nnodes_per_rack = 2\nracks_per_pod = 2\n\n[[pools]]";
    let scenario = SCENARIO
        .replace("[[pools]]", racks)
        .replace("nodes = 1\n", "nodes = 6\n")
        .replace("3h\"", "1h\"");
    let place = Place::new()
        .file("s.toml", &scenario)
        .file("jobs.csv", jobs);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let row =
        |time: &str, level: &str, left: &str| format!("ff,1,{time},{level},{left},0,0,0,0,0,0\n");
    let sizes = "slots_1,slots_2,slots_4,slots_8,slots_16,slots_32,slots_64,slots_128,slots_256,slots_512,slots_1024";
    let mut expected = format!("platform,seed,time_s,level,{sizes}\n");
    for time in ["0", "3600"] {
        for (level, left) in [
            ("domain", "13,6,3,0,0"),
            ("rack", "13,6,3,1,0"),
            ("pod", "13,6,3,1,0"),
            ("all", "13,6,3,1,0"),
        ] {
            expected += &row(time, level, left);
        }
    }
    assert_eq!(place.read("out/slots.csv"), expected);
}

#[test]
fn samples_do_not_depend_on_what_happens_between_them() {
    let often = SCENARIO.replace("3h\"", "3h\"\nsample_every = \"90m\"");
    let place = place(&often);
    assert_eq!(place.run("run s.toml --out out").code, Some(0));
    let text = place.read("out/fragmentation.csv");
    let times: Vec<&str> = text
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(times, ["0", "5400", "10800"]);
    // At 5,400 s the job that ends then has ended, and the one that starts then has started.
    assert!(text.contains("ff,1,5400,3000,"), "{text}");
}

#[test]
fn without_samples_there_is_no_file() {
    let never = SCENARIO.replace("3h\"", "3h\"\nsample_every = \"never\"");
    let place = place(&never);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.out.contains("fragmentation.csv"), "{}", done.out);
    assert!(!place.path("out/fragmentation.csv").exists());
    assert!(!place.path("out/slots.csv").exists());
}

/// Of a stream nobody knows the typical shapes beforehand.
#[test]
fn a_stream_has_no_targets() {
    let stream = SCENARIO.replace("\"jobs.csv\"", "\"jobs.csv\"\nstream = true");
    let place = place(&stream);
    assert_eq!(place.run("compare s.toml --out out").code, Some(0));
    let text = place.read("out/fragmentation.csv");
    assert!(
        text.contains("\nff,1,0,1000,1,0,0,0,,,,0.750000,1.000000,,\n"),
        "{text}"
    );
}

#[test]
fn zero_is_no_interval() {
    let zero = SCENARIO.replace("3h\"", "3h\"\nsample_every = \"0s\"");
    let done = place(&zero).run("compare s.toml --out out");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("longer than 0s, or \"never\""),
        "{}",
        done.err
    );
}
