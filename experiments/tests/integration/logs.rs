//! Logs of supercomputers: a machine without GPUs, and the public KTH-SP2 against a fifo written
//! down here.

use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use windtunnel::core::{JobSpec, Names, Work};
use windtunnel::traces::SwfReader;

use super::support::{Place, column};

/// A scenario of one machine of `cores` cores.
fn scenario(path: &str, cores: u32, policies: &[&str]) -> String {
    let mut text = format!(
        "[scenario]\nname = \"log\"\n[workload]\nkind = \"swf\"\npath = \"{path}\"\n\
         [[pools]]\nname = \"machine\"\nnodes = 1\ngpus_per_node = 0\ncores = {cores}\n"
    );
    for policy in policies {
        let _ = write!(
            text,
            "[[platforms]]\nname = \"{policy}\"\npolicy = \"{policy}\"\n"
        );
    }
    text
}

#[test]
fn a_machine_without_gpus_is_compared_by_its_cores() {
    let log = "\
; MaxProcs: 10
1 100 0 10 6 -1 -1 6 20 -1 1 1 1 -1 -1 -1 -1 -1
2 100 9 10 6 -1 -1 6 20 -1 1 1 1 -1 -1 -1 -1 -1
3 100 0 20 4 -1 -1 4 20 -1 0 2 1 -1 -1 -1 -1 -1
4 105 0 -1 4 -1 -1 4 20 -1 1 2 1 -1 -1 -1 -1 -1
";
    let toml = scenario("log.swf", 10, &["fifo", "first-fit"]);
    let place = Place::new().file("log.swf", log).file("log.toml", toml);
    let done = place.run("compare log.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    // fifo: 6 for 0-10 s, 6 + 4 from 10 s, to 30 s; first-fit: 6 + 4, then 6 + 4, to 20 s.
    let expected = "\
log  3 jobs, offered load 20.00 | 1 node, 10 cores | 1 seed
     ends with the last job

             paid per useful  cores      GPUs      wait     wait     jobs
  platform       GPU-hour, h  allocated  utilized  p50      p95      done
  fifo                     -  66.7 %     -         10 s     10 s     100.0 %
  first-fit                -  100.0 %    -         0 s      10 s     100.0 %
";
    assert!(done.out.starts_with(expected), "{}", done.out);
    let words: Vec<&str> = done.out.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("of 4 rows 1 were dropped and 0 repaired"),
        "{}",
        done.out
    );
    let summary = place.read("out/summary.csv");
    assert_eq!(column(&summary, "cpu_allocation"), ["0.666667", "1.000000"]);
    for empty in [
        "gpu_allocation",
        "gpu_utilization",
        "goodput",
        "cost_per_useful_gpu_hour_usd",
    ] {
        assert_eq!(column(&summary, empty), ["", ""], "{empty}");
    }
    assert_eq!(column(&summary, "paid_gpu_hours"), ["0.000000", "0.000000"]);
    let done = place.run("run log.toml --platform first-fit");
    assert!(
        done.out.contains("cores      allocated 100.0 %"),
        "{}",
        done.out
    );
    // The path is relative to the scenario, and now to the manifest.
    let place = place.file("out/log.swf", log);
    let done = place.run("compare out/manifest.json --out again");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        place.read("again/summary.csv"),
        summary,
        "the manifest has every option"
    );
}

#[test]
fn options_of_a_log_are_checked() {
    let place = Place::new().file("log.swf", "; no job\n");
    for (line, expected) in [
        ("processors = \"nodes\"", "it is one of: cores, gpus"),
        ("size = \"asked\"", "it is one of: used, requested"),
        ("limits = \"none\"", "did you mean `limit`?"),
    ] {
        let toml =
            scenario("log.swf", 10, &["fifo"]).replace("[[pools]]", &format!("{line}\n[[pools]]"));
        let place = Place::new().file("log.toml", toml);
        let done = place.run("compare log.toml");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(expected), "{}", done.err);
    }
    let place = place.file("log.toml", scenario("log.swf", 10, &["fifo"]));
    let done = place.run("compare log.toml");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("the trace has no rows"), "{}", done.err);
    let text = "\
timestamp,duration,num_gpus,cluster
2017-10-09 07:01:55,66.0,1,a
";
    let toml = "\
[scenario]
name = \"philly\"
[workload]
kind = \"philly\"
path = \"philly.csv\"
[[pools]]
name = \"gpus\"
nodes = 1
gpus_per_node = 8
[[platforms]]
name = \"fifo\"
policy = \"fifo\"
";
    let place = Place::new()
        .file("philly.csv", text)
        .file("philly.toml", toml);
    assert_eq!(place.run("compare philly.toml").code, Some(0));
    let streamed = toml.replace("[[pools]]", "stream = true\n[[pools]]");
    let done = place
        .file("philly.toml", streamed)
        .run("compare philly.toml");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("must be read whole"), "{}", done.err);
}

/// A preset is drawn per seed and hits its load; the cluster's size and the window follow the
/// scenario unless they are given.
#[test]
fn presets_are_drawn() {
    let toml = |workload: &str| {
        format!(
            "[scenario]\nname = \"preset\"\nseeds = 2\nhorizon = \"7d\"\n\
             [workload]\nkind = \"preset\"\n{workload}\n\
             [[pools]]\nname = \"gpus\"\nnodes = 32\ngpus_per_node = 8\ncores = 128\nmemory_gib = 1_024\n\
             [[platforms]]\nname = \"best-fit\"\npolicy = \"best-fit\"\nsharing = \"fractions\"\n"
        )
    };
    for preset in ["philly", "helios", "openb"] {
        let text = toml(&format!("preset = \"{preset}\"\nload = 0.75"));
        let place = Place::new().file("preset.toml", text);
        let done = place.run("compare preset.toml --out out --no-jobs");
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.out.contains("offered load 0.75"), "{}", done.out);
        let digests = column(&place.read("out/summary.csv"), "digest");
        assert_ne!(digests[0], digests[1], "each seed draws its own jobs");
        let manifest = place.read("out/manifest.json");
        assert!(manifest.contains("\"window\": \"7d\""), "{manifest}");
        assert!(manifest.contains("\"gpus\": 256"), "{manifest}");
    }
    for (workload, expected) in [
        ("preset = \"phily\"\nload = 0.75", "did you mean `philly`?"),
        ("preset = \"philly\"", "`load` is missing"),
        (
            "preset = \"philly\"\nload = 0.75\njobs = 5",
            "unknown key `jobs`",
        ),
    ] {
        let done = Place::new()
            .file("preset.toml", toml(workload))
            .run("compare preset.toml");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(expected), "{}", done.err);
    }
}

/// Public data beside the repository, or a visible skip; a failure on continuous integration.
fn public(name: &str) -> Option<PathBuf> {
    use std::io::Write as _;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/traces")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    let missing = format!("public trace {} is missing", path.display());
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{missing}; see docs/TRACES.md for where to get it"
    );
    let _ = writeln!(std::io::stderr(), "skipped: {missing}");
    None
}

/// Starts under strict fifo on rigid processors, in whole seconds: no job before the one ahead of it.
fn fifo(jobs: &[(u64, u64, u64)], processors: u64) -> Vec<u64> {
    let mut ends: BinaryHeap<std::cmp::Reverse<(u64, u64)>> = BinaryHeap::new();
    let (mut free, mut now) = (processors, 0);
    let start = |&(submit, size, run): &(u64, u64, u64)| {
        now = submit.max(now);
        while let Some(&std::cmp::Reverse((end, freed))) = ends.peek()
            && (end <= now || free < size)
        {
            ends.pop();
            free += freed;
            now = end.max(now);
        }
        free -= size;
        ends.push(std::cmp::Reverse((now + run, size)));
        now
    };
    jobs.iter().map(start).collect()
}

/// Start of each job in whole seconds, by its place in the log, of a run of one policy on one machine.
fn starts(path: &Path, cores: u32, policy: &str) -> (Vec<u64>, Place) {
    let toml = scenario(&path.display().to_string(), cores, &[policy]);
    let place = Place::new().file("log.toml", toml);
    let done = place.run("run log.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let table = place.read("out/jobs.csv");
    let numbers = column(&table, "job_id");
    let mut found = vec![0; numbers.len()];
    for (number, start) in numbers.iter().zip(&column(&table, "starting_time")) {
        let place: usize = number.trim_start_matches("job-").parse().unwrap();
        found[place] = start.parse::<u64>().unwrap();
    }
    (found, place)
}

fn jobs_of(path: &Path) -> Vec<JobSpec> {
    let reader = SwfReader::open(path).unwrap();
    reader.read_all(&mut Names::default()).unwrap().jobs
}

/// By their own times KTH-SP2 has up to 104 processors of 100 in use at once, and Curie 99,701 of
/// 93,312, if jobs count that were cancelled in the second in which they started.
#[test]
fn a_replay_repeats_every_start_of_every_log() {
    for (log, processors) in [
        ("KTH-SP2-1996-2", 104),
        ("CEA-Curie-2012-excerpt-36k", 99_701),
        ("HPC2N-2002-excerpt", 240),
        ("MetaCentrum-zewura-2013", 2_176),
    ] {
        let Some(path) = public(&format!("swf/{log}.swf.gz")) else {
            return;
        };
        let recorded: Vec<u64> = jobs_of(&path)
            .iter()
            .map(|job| job.profile.recorded.as_ref().unwrap().start.as_nanos() / 1_000_000_000)
            .collect();
        let (found, _) = starts(&path, processors, "replay");
        assert_eq!(found, recorded, "{log}");
    }
}

#[test]
fn kth_under_fifo_is_what_an_independent_fifo_says() {
    let Some(path) = public("swf/KTH-SP2-1996-2.swf.gz") else {
        return;
    };
    let jobs: Vec<(u64, u64, u64)> = jobs_of(&path)
        .iter()
        .map(|job| {
            let Work::Uniform(run) = job.profile.work else {
                panic!("a job of a log ends");
            };
            let size = u64::from(job.request.groups[0].request.cpu.0 / 1_000);
            (job.submit.as_nanos() / 1_000_000_000, size, run.as_secs())
        })
        .collect();
    let (found, place) = starts(&path, 100, "fifo");
    assert_eq!(found, fifo(&jobs, 100));
    // All of the work, and nothing else, was held: 562,394 processor-hours.
    let work: u64 = jobs.iter().map(|(_, size, run)| size * run).sum();
    let end = found
        .iter()
        .zip(&jobs)
        .map(|(start, job)| start + job.2)
        .max()
        .unwrap();
    let expected = (work * 1_000_000 + 50 * end) / (100 * end);
    let summary = place.read("out/summary.csv");
    assert_eq!(
        column(&summary, "cpu_allocation"),
        [format!("0.{expected:06}")]
    );
}
