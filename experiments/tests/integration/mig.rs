//! Instances (MIG) asked for by profile, from a file to the tables.

use super::support::{Place, column};
use windtunnel::hardware;
use windtunnel_core::{GpuRequest, MigInstance, MigTable};

const SCENARIO: &str = "\
[scenario]
name = \"mig\"
horizon = \"2h\"
sample_every = \"30m\"

[workload]
kind = \"native\"
path = \"jobs.csv\"

[[pools]]
name = \"lab\"
nodes = 1
gpus_per_node = 1
gpu_model = \"a100-sxm4-40\"

[[platforms]]
name = \"mig\"
policy = \"first-fit\"
sharing = \"mig\"
mig_reconfigure = \"0s\"

[[platforms]]
name = \"whole\"
policy = \"first-fit\"
";

/// Two 3g side by side leave a compute slice; a 4g has to wait for both, since the one that ends first
/// is not at the start that a 4g needs. On whole GPUs everybody waits for everybody.
const JOBS: &str = "\
# windtunnel-jobs v1
job_id,submit_s,duration_s,gpus,gpu_model
a,0,1800,3g,
b,0,3600,3g.20gb,a100-sxm4-40
c,0,1800,4g.20gb,
";

#[test]
fn from_file_to_tables() {
    let place = Place::new().file("s.toml", SCENARIO).file("jobs.csv", JOBS);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let jobs = place.read("out/jobs.csv");
    assert_eq!(column(&jobs, "gpu_milli"), ["500"; 6]);
    let ends = |job: &str| -> Vec<String> {
        let all = column(&jobs, "name")
            .into_iter()
            .zip(column(&jobs, "finish_time"));
        all.filter(|(name, _)| name == job)
            .map(|(_, end)| end)
            .collect()
    };
    assert_eq!(ends("a"), ["1800", "1800"]);
    assert_eq!(ends("b"), ["3600", "5400"]);
    assert_eq!(ends("c"), ["5400", "7200"]);
    // `c` waits for 500 of 0 thousandths, then for 500 of 500.
    assert_eq!(column(&jobs, "wait_fragmented_s")[2], "1800");
    let blocked = column(&place.read("out/fragmentation.csv"), "mig_compute_blocked");
    // Beside `b` at 0 three compute slices can be had of four; beside `c` all three that are left.
    assert_eq!(blocked, ["1", "1", "0", "0", "0", "", "", "", "", ""]);
}

/// A row that asks for what its GPUs do not have is dropped with its place, and stops a strict run.
#[test]
fn a_profile_that_is_not_there() {
    let jobs = JOBS.replace("4g.20gb,", "4g.40gb,a100-sxm4-40");
    let place = Place::new()
        .file("s.toml", SCENARIO)
        .file("jobs.csv", &jobs);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let strict = SCENARIO.replace("path = \"jobs.csv\"", "path = \"jobs.csv\"\nstrict = true");
    let place = Place::new().file("s.toml", &strict).file("jobs.csv", &jobs);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(2), "{done:?}");
    let told = done.err.replace('\n', " ");
    for part in [
        "jobs.csv:5",
        "column gpus",
        "`4g.40gb` is no MIG profile of a100-sxm4-40",
        "it has 1g.5gb, 1g.10gb, 2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(place.entries(), ["jobs.csv", "s.toml"]);
}

/// Drawn jobs ask for instances as well, the same on both platforms and from the manifest.
#[test]
fn drawn_instances() {
    let drawn = "kind = \"synthetic\"\njobs = 60\nload = 0.7\ncores_per_gpu = 0\nmemory_gib_per_gpu = 0\n\
                 gpu_mix = [[1, 10]]\n\
                 gpu_instances = [[\"1g.10gb\", 30], [\"4g\", 30], [\"3g.20gb\", 30]]";
    let scenario = SCENARIO
        .replace("kind = \"native\"\npath = \"jobs.csv\"", drawn)
        .replace("nodes = 1", "nodes = 4");
    let place = Place::new().file("s.toml", &scenario);
    let done = place.run("compare s.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let sizes = column(&place.read("out/jobs.csv"), "gpu_milli");
    let count = |milli: &str| sizes.iter().filter(|size| *size == milli).count();
    // 1g.10gb is two of the eight slices of a card with 40 GB.
    assert_eq!(
        count("125") + count("250") + count("500") + count("1000"),
        120
    );
    assert!(count("250") > 20 && count("500") > 50 && count("125") == 0);
    let manifest = place.read("out/manifest.json");
    assert!(manifest.contains("\"1g.double\""), "{manifest}");
    let again = place.run("compare out/manifest.json --out again");
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(place.read("again/jobs.csv"), place.read("out/jobs.csv"));
}

/// The profiles of the hardware catalogue and of the engine are the same, name by name.
#[test]
fn the_catalogue_agrees_with_the_engine() {
    let mut seen = 0;
    for gpu in hardware::gpus().iter().filter(|gpu| !gpu.mig.is_empty()) {
        let table = MigTable::of(&gpu.model).unwrap_or_else(|| panic!("{}", gpu.model));
        assert_eq!(gpu.mig_slices, table.compute_slices());
        assert_eq!(gpu.mig.len(), table.profiles().len(), "{}", gpu.model);
        for profile in &gpu.mig {
            let asked = table.request(&profile.profile).unwrap();
            let own = table.profile(asked);
            let (slices, memory) = (profile.slices, profile.memory_slices);
            assert_eq!((own.compute, own.memory), (slices, memory), "{profile:?}");
            assert_eq!(own.starts, profile.starts, "{} {profile:?}", gpu.model);
            seen += 1;
        }
    }
    assert_eq!(seen, 8 * 6, "eight models of six profiles");
    let four = GpuRequest::Instance(MigInstance::FourG);
    assert_eq!(MigTable::B200x180.request("4g.90gb"), Ok(four));
}
