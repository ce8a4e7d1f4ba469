//! `windtunnel validate`: which folders it knows, what it prints, how it exits.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use windtunnel::ExperimentError;
use windtunnel::core::{JobSpec, Names, Work};
use windtunnel::traces::SwfReader;
use windtunnel::validate::{Case, Family, Golden, Row, Seen};

use super::fgd::{CURVE, NODES, PLACEMENTS, TARGETS, public};
use super::golden::{check_ending, check_in};
use super::support::Place;

/// A folder `mine` with recordings below it, and one file that is none.
fn recordings(policies: &[&str], placements: &str) -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path("mine/notes")).unwrap();
    fs::write(place.path("mine/notes/read.me"), "nothing").unwrap();
    fs::write(place.path("mine/typical_pods_default.csv"), TARGETS).unwrap();
    for policy in policies {
        let folder = place.path("mine").join(policy);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("nodes_final.csv.gz"), NODES).unwrap();
        fs::write(folder.join("placements.csv.gz"), placements).unwrap();
        fs::write(folder.join("curve.csv.gz"), CURVE).unwrap();
    }
    place
}

#[test]
fn a_recording_that_is_matched_passes() {
    let place = recordings(&["BestFit", "FGD"], PLACEMENTS);
    check_in(&place, "validate.txt", "validate --golden mine");
    let direct = place.run("validate --golden mine/BestFit");
    assert_eq!(direct.code, Some(0), "{direct:?}");
    assert!(
        direct.out.contains("pass  BestFit/decisions"),
        "{}",
        direct.out
    );
}

#[test]
fn a_recording_that_is_not_matched_falls_short() {
    let placements = PLACEMENTS.replace("node-a,1,0\n2", "node-b,0,1\n2");
    let place = recordings(&["BestFit"], &placements);
    let done = place.run("validate --golden mine");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("SHORT mine/BestFit/decisions"),
        "{}",
        done.out
    );
    assert!(done.out.contains("pod p-1 at 1"), "{}", done.out);
    assert!(done.out.contains("4 cases, 1 falls short"), "{}", done.out);
    assert!(
        done.out.contains("not recognised  mine/notes"),
        "{}",
        done.out
    );
}

#[test]
fn json_has_its_keys_in_order() {
    let place = recordings(&["BestFit"], PLACEMENTS);
    let done = place.run("validate --golden mine --json");
    assert_eq!(done.code, Some(0), "{done:?}");
    let first = "{\"cases\":[{\"case\":\"mine/BestFit/decisions\",\"compared\":\"node and GPUs of every \
                 pod under best-fit\",\"real\":4.0,\"simulated\":4.0,\"distance\":0.0,\"pass\":true";
    assert!(done.out.starts_with(first), "{}", done.out);
    let value: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["cases"].as_array().unwrap().len(), 4);
    let one = place.run("validate --golden mine --json --threads 1");
    assert_eq!(one.out, done.out, "threads leave no trace");
}

#[test]
fn bad_input_is_refused() {
    let place = recordings(&["BestFit"], &PLACEMENTS.replace("9000", "many"));
    for (arguments, what) in [
        (
            "validate --golden mine",
            "placements.csv.gz:4, column 4, `many`",
        ),
        ("validate --golden nowhere", "can't read `nowhere`"),
        (
            "validate --golden mine/notes",
            "holds no recording that can be compared",
        ),
        ("validate --golden mine/notes", "known kinds: fgd"),
    ] {
        for json in ["", " --json"] {
            let done = place.run(&format!("{arguments}{json}"));
            assert_eq!(done.code, Some(2), "{arguments}: {done:?}");
            assert!(done.err.contains(what), "{arguments}: {}", done.err);
            assert!(done.out.is_empty(), "{arguments}");
        }
    }
    let place = recordings(&["GpuPacking"], PLACEMENTS);
    let done = place.run("validate --golden mine");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err
            .contains("no policy of ours decides like GpuPacking"),
        "{}",
        done.err
    );
}

/// Folders with a file `number`, which is compared with 7.
struct Numbers;

impl Family for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn files(&self) -> &'static str {
        "number"
    }

    fn look(&self, folder: &std::path::Path, name: &str) -> Result<Seen, ExperimentError> {
        let Ok(text) = fs::read_to_string(folder.join("number")) else {
            return Ok(Seen::Unknown);
        };
        let real: f64 = text.trim().parse().unwrap();
        let case = name.to_owned();
        let row = move || {
            Ok(vec![Row {
                case: case.clone(),
                compared: "a number".to_owned(),
                real,
                simulated: 7.0,
                distance: (real - 7.0).abs(),
                pass: (real - 7.0).abs() < 1e-9,
                run_to_run: None,
                unit: "1",
                note: String::new(),
            }])
        };
        Ok(Seen::Cases(vec![Case::new(name, row)]))
    }
}

#[test]
fn a_family_of_ones_own() {
    let place = Place::new();
    for (folder, number) in [("a", "7"), ("b/deep/er", "8"), ("b/other", "7")] {
        let folder = place.path("all").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("number"), number).unwrap();
    }
    let golden = Golden::search_for(&place.path("all"), &[&Numbers]).unwrap();
    for threads in [1, 2, 5] {
        let validation = golden.run(threads).unwrap();
        let rows = validation.cases.iter();
        let found: Vec<_> = rows.map(|row| (&*row.case, row.pass)).collect();
        let expected = [
            ("all/a", true),
            ("all/b/deep/er", false),
            ("all/b/other", true),
        ];
        assert_eq!(found, expected);
        assert!(!validation.passes());
    }
}

/// A recorded control plane, made by hand: two nodes, three pods, two runs that differ by a node and a
/// second.
fn control_plane(workload_more: &str) -> Place {
    let place = Place::new();
    let folder = place.path("mine/plane");
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write(
        "nodes.csv",
        "node,cpu_m,mem_mi,gpus,pods,labels,taints\n\
         small,8000,1024,1,110,\"{\"\"a\"\":\"\"b\"\",\"\"c\"\":1}\",\n\
         large,8000,1024,2,110,,\n",
    );
    let head = "name,kind,submit_s,duration_s,cpu_m,mem_mi,gpu,priority,scheduler,gang,deadline_s,claim,\
                node_selector,affinity,tolerations,spread";
    write(
        "workload.csv",
        &format!(
            "{head}\np0,pod,0.9,10,1000,10,2,0,,0,,,,,,\np1,pod,1.9,10.5,1000,10,2,0,,0,,,,,,\n\
             p2,pod,2.9,1,,,,0,,0,,,,,,\n{workload_more}"
        ),
    );
    write(
        "scheduler-config.yaml",
        "kind: Config\nparallelism: 1\npercentageOfNodesToScore: 100\n",
    );
    write("feature-gates.json", "{\"feature_gates\": {}}");
    for (run, late, third) in [(1, "11.000", "small"), (2, "12.000", "large")] {
        let order = "position,node,zone\n0,small,\n1,large,\n";
        write(&format!("node_order_run{run}.csv"), order);
        // p1 waits until p0 is gone.
        let outcomes = format!(
            "pod,queued_s,scheduled_s,node,freed_s\np0,1.0,1.000,large,11.0\n\
             p1,2.0,{late},large,21.5\np2,3.0,3.000,{third},4.0\n"
        );
        write(&format!("outcomes_run{run}.csv"), &outcomes);
    }
    place
}

#[test]
fn a_recorded_control_plane() {
    let place = control_plane("");
    check_in(&place, "validate_kubernetes.txt", "validate --golden mine");
}

#[test]
fn a_control_plane_that_does_more_than_we_can_is_not_compared() {
    for (row, what) in [
        ("j,job,3,1,,,,0,,0,,,,,,\n", "Jobs of several pods"),
        ("p3,pod,3,1,,,,100,,0,,,,,,\n", "priorities and preemption"),
        ("p3,pod,3,1,,,,0,,0,,,,\"{\"\"x\"\":1}\",,\n", "affinity"),
    ] {
        let done = control_plane(row).run("validate --golden mine");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(
            done.err.contains(&format!("asks for {what}")),
            "{}",
            done.err
        );
    }
}

#[test]
fn a_broken_control_plane_says_where() {
    for (file, from, to, what) in [
        (
            "outcomes_run2.csv",
            "p1,2.0",
            "p9,2.0",
            "outcomes_run2.csv:3, column 1, `p9`",
        ),
        (
            "outcomes_run1.csv",
            "p1,2.0",
            "p1,soon",
            "outcomes_run1.csv:3, column 2, `soon`",
        ),
        ("node_order_run1.csv", "large", "larger", "node `larger`"),
        (
            "workload.csv",
            "10.5",
            "-1",
            "workload.csv:3, column 4, `-1`",
        ),
        ("scheduler-config.yaml", "100", "700", "is no percentage"),
        ("feature-gates.json", "{}", "{", "feature-gates.json"),
    ] {
        let place = control_plane("");
        let name = format!("mine/plane/{file}");
        let text = place.read(&name).replacen(from, to, 1);
        fs::write(place.path(&name), text).unwrap();
        let done = place.run("validate --golden mine");
        assert_eq!(done.code, Some(2), "{file}: {done:?}");
        assert!(done.err.contains(what), "{file}: {}", done.err);
    }
}

/// Rows of public recordings that fall short.
const SHORT: [&str; 2] = ["adaptive_nodes/run1/starts", "adaptive_nodes/run2/starts"];

/// What comes with the program runs, and the next release can't change unseen what passes. Where pods
/// wait for nothing but the decisions themselves, whose time is not modelled, starts fall short.
#[test]
fn the_embedded_recordings() {
    let place = Place::new();
    check_ending(&place, "validate_embedded.txt", "validate", 1);
    let done = place.run("validate --json");
    assert_eq!(done.code, Some(1), "{done:?}");
    let out: Value = serde_json::from_str(&done.out).unwrap();
    let cases = out["cases"].as_array().unwrap();
    let short = cases.iter().filter(|row| row["pass"] == false);
    let names: Vec<&str> = short.map(|row| row["case"].as_str().unwrap()).collect();
    assert_eq!(names, SHORT.map(|row| format!("kubernetes/{row}")));
    assert_eq!(cases.len(), 8);
}

/// A log of the name of KTH's, made by hand: its waits are not those published.
#[test]
fn a_log_with_other_waits_falls_short() {
    let place = Place::new();
    fs::create_dir_all(place.path("mine/logs")).unwrap();
    let log = "; MaxProcs: 100\n\
               1 0 0 100 60 -1 -1 60 200 -1 1 1 1 -1 1 -1 -1 -1\n\
               2 10 90 100 60 -1 -1 60 200 -1 1 1 1 -1 1 -1 -1 -1\n";
    fs::write(place.path("mine/logs/KTH-SP2-1996-2.swf.gz"), log).unwrap();
    let done = place.run("validate --golden mine");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("SHORT mine/logs/kth-sp2/replay"),
        "{}",
        done.out
    );
    assert!(done.out.contains("2 cases, 1 falls short"), "{}", done.out);
    fs::write(place.path("mine/logs/KTH-SP2-1996-2.swf.gz"), "1 2 3\n").unwrap();
    let done = place.run("validate --golden mine");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("KTH-SP2-1996-2.swf.gz"), "{}", done.err);
}

#[test]
fn the_public_recordings() {
    let (Some(golden), Some(logs)) = (public("golden"), public("traces/swf")) else {
        return;
    };
    for (folder, rows) in [(golden, 16), (logs, 2)] {
        let validation = Golden::search(&folder).unwrap().run(0).unwrap();
        assert_eq!(validation.cases.len(), rows);
        for row in &validation.cases {
            let is_short = SHORT.iter().any(|short| row.case.ends_with(short));
            assert_eq!(row.pass, !is_short, "{row:#?}");
        }
    }
}

/// The facts that the note on KTH-SP2 states, from the log's own times.
#[test]
fn why_kth_waited_longer() {
    let Some(log) = public("traces/swf/KTH-SP2-1996-2.swf.gz") else {
        return;
    };
    let jobs = SwfReader::open(log)
        .unwrap()
        .read_all(&mut Names::default())
        .unwrap()
        .jobs;
    let job = |job: &JobSpec| {
        let start = job.profile.recorded.as_ref().unwrap().start.as_nanos();
        let Work::Uniform(run) = job.profile.work else {
            panic!("{job:?}")
        };
        let cores = i64::from(job.request.groups[0].request.cpu.0 / 1_000);
        (job.submit.as_nanos(), start, start + run.as_nanos(), cores)
    };
    let jobs: Vec<_> = jobs.iter().map(job).collect();
    let mut steps: BTreeMap<u64, i64> = BTreeMap::new();
    for &(_, start, end, cores) in &jobs {
        *steps.entry(start).or_default() += cores;
        *steps.entry(end).or_default() -= cores;
    }
    let mut used = 0;
    let levels: Vec<(u64, i64)> = steps
        .into_iter()
        .map(|(at, step)| {
            used += step;
            (at, used)
        })
        .collect();
    let (mut waited, mut with_room) = (0, 0);
    for &(submit, start, _, cores) in &jobs {
        waited += start - submit;
        let first = levels.partition_point(|(at, _)| *at <= submit);
        let mut at = submit;
        let mut level = if first == 0 { 0 } else { levels[first - 1].1 };
        for &(next, after) in levels[first..].iter().chain([&(start, 0)]) {
            let until = next.min(start);
            if 100 - level >= cores {
                with_room += until.saturating_sub(at);
            }
            if next >= start {
                break;
            }
            (at, level) = (next, after);
        }
    }
    assert_eq!(u128::from(with_room) * 1_000 / u128::from(waited), 533);
    let minutes = jobs
        .iter()
        .filter(|job| (job.1 - job.0) % 60_000_000_000 == 0)
        .count();
    assert!(minutes * 1_000 > jobs.len() * 998, "{minutes}");
    let idle = levels
        .windows(2)
        .filter(|pair| pair[0].1 == 0)
        .max_by_key(|pair| pair[1].0 - pair[0].0);
    let idle = idle.unwrap();
    assert_eq!((idle[1].0 - idle[0].0) / 1_000_000_000, 27_208);
    let middle = idle[0].0.midpoint(idle[1].0);
    assert_eq!(
        jobs.iter()
            .filter(|job| job.0 <= middle && middle < job.1)
            .count(),
        33
    );
}
