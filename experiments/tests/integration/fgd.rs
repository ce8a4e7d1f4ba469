//! Recorded decisions of the FGD artefact's kube-scheduler: hand-made ones, and the public ones where
//! they are at hand.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windtunnel::core::rng::Seed;
use windtunnel::core::{
    JobList, Names, NodeView, Platform, RunOptions, Sharing, Simulation, Step, Targets,
};
use windtunnel::policies::registry;
use windtunnel::traces::OpenbReader;
use windtunnel::traces::openb::{Fill, NodeList};
use windtunnel::validate::fgd::{Compared, is_recording, replay};

/// A folder under `shared`; a test skips itself, visibly, without it.
pub(crate) fn public(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    let missing = format!("public data {} are missing", path.display());
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{missing}; see docs/TRACES.md for where to get them"
    );
    let _ = writeln!(std::io::stderr(), "skipped: {missing}");
    None
}

/// Every decision, GPU and point of the curve.
fn check_exact(found: &Compared) {
    assert_eq!(found.decisions, 10_866);
    assert!(found.is_exact(), "{:#?}", found.first_differences);
    assert_eq!(found.node_equal, found.decisions);
    assert_eq!((found.curve_points, found.curve_equal), (10_866, 10_866));
    assert_eq!(found.used_difference_max, 0);
    // The recording is rounded to two decimals.
    assert!(found.fragmented_difference_max < 0.005 + 1e-6, "{found:?}");
    assert!(found.ratio_difference_max < 0.005 + 1e-6, "{found:?}");
}

#[test]
fn best_fit_decides_as_recorded() {
    let Some(folder) = public("golden/fgd/BestFit") else {
        return;
    };
    let found = replay(&folder, "best-fit", None).unwrap();
    check_exact(&found);
    assert_eq!(found.placed, [8_190; 2]);
}

#[test]
fn kube_default_decides_as_recorded() {
    let Some(folder) = public("golden/fgd/KubeDefault") else {
        return;
    };
    let found = replay(&folder, "kube-default{version=1.20}", None).unwrap();
    check_exact(&found);
    assert_eq!(found.placed, [8_583; 2]);
}

/// The comparison can fail: another policy, another version.
#[test]
fn other_rules_decide_otherwise() {
    let Some(folder) = public("golden/fgd/KubeDefault") else {
        return;
    };
    for policy in ["kube-default{version=1.36}", "first-fit"] {
        let found = replay(&folder, policy, Some(1_000)).unwrap();
        assert!(found.node_equal < 900, "{policy}: {}", found.node_equal);
        assert_eq!(found.first_differences.len(), 20);
        assert!(found.curve_equal < 1_000);
    }
}

/// The artefact's own target pods come out of the trace.
#[test]
fn typical_pods_are_the_recorded_ones() {
    let (Some(pods), Some(recorded)) = (
        public("traces/openb/openb_pod_list_default.csv.gz"),
        public("golden/fgd/typical_pods_default.csv"),
    ) else {
        return;
    };
    let reader = OpenbReader::open(pods).unwrap();
    let trace = reader.read_all(&mut Names::default()).unwrap();
    let mut ours: Vec<[u64; 4]> = Vec::new();
    for target in Targets::typical(&trace.jobs).list() {
        let gpus = target.request.gpus;
        let devices = gpus.devices();
        let each = gpus.milli().checked_div(devices).unwrap_or(0);
        let cpu = target.request.cpu.0;
        ours.push([cpu.into(), devices.into(), each.into(), target.count]);
    }
    let text = fs::read_to_string(recorded).unwrap();
    let mut theirs: Vec<[u64; 4]> = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |place: usize| cells[place].parse().unwrap();
        theirs.push([number(0), number(1), number(2), number(4)]);
    }
    assert_eq!(ours.len(), 35);
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}

pub(crate) const NODES: &str = "\
node_rank,node,cpu_milli,memory_mib,gpu,model,num_pod_final
1,node-a,8000,1024,2,T4,1
0,node-b,16000,1024,2,T4,2
";
/// The second pod closes the gap on the first node, the third finds no GPU but on the other, and the
/// fourth finds none.
pub(crate) const PLACEMENTS: &str = "\
order,pod,trace_pod,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,outcome,node,node_rank,gpu_index
0,p-0,p-0,1000,0,1,500,,scheduled,node-a,1,0
1,p-1,p-1,1000,0,1,500,T4,scheduled,node-a,1,0
2,p-2,p-2,9000,0,2,1000,,scheduled,node-b,0,0-1
3,p-3,p-3,1000,0,1,700,A10,failed,,,
";
/// F by hand for one target, a whole GPU with one core: what is left on GPUs that are not whole.
pub(crate) const CURVE: &str = "\
order,used_gpu_milli,gpus_on_used_nodes,used_nodes,frag_milli,frag_ratio_pct
0,500,2,1,500.00,14.29
1,1000,2,1,0.00,0.00
2,3000,4,2,0.00,0.00
3,3000,4,2,0.00,0.00
";
pub(crate) const TARGETS: &str =
    "cpu_milli,num_gpu,gpu_milli,gpu_spec,count,weight\n1000,1,1000,,7,1.0\n";

fn recording(placements: &str, curve: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("mine");
    fs::create_dir(&folder).unwrap();
    // Files are known by their first bytes, so they need not be compressed.
    fs::write(folder.join("nodes_final.csv.gz"), NODES).unwrap();
    fs::write(folder.join("placements.csv.gz"), placements).unwrap();
    fs::write(folder.join("curve.csv.gz"), curve).unwrap();
    fs::write(place.path().join("typical_pods_default.csv"), TARGETS).unwrap();
    place
}

#[test]
fn a_recording_worked_by_hand() {
    let place = recording(PLACEMENTS, CURVE);
    assert!(is_recording(&place.path().join("mine")));
    assert!(!is_recording(place.path()));
    let found = replay(&place.path().join("mine"), "best-fit", None).unwrap();
    assert!(found.is_exact(), "{found:#?}");
    assert_eq!((found.decisions, found.placed), (4, [3, 3]));
    assert_eq!((found.curve_points, found.curve_equal), (4, 4));
    assert_eq!(found.used_in_the_end, [3_000, 3_000]);
    assert!(found.fragmented_difference_max < 1e-9);
    assert!(found.ratio_difference_max < 0.005, "{found:?}");
}

#[test]
fn a_difference_is_told() {
    let placements = PLACEMENTS.replace("node-a,1,0\n2", "node-b,0,1\n2");
    let curve = CURVE.replace("1,1000,2,1,0.00", "1,1000,4,2,250.00");
    let place = recording(&placements, &curve);
    let found = replay(&place.path().join("mine"), "best-fit", None).unwrap();
    assert_eq!(
        (found.node_equal, found.gpu_equal, found.curve_equal),
        (3, 3, 3)
    );
    let first = &found.first_differences[0];
    assert_eq!(
        (first.order, &*first.pod, first.asked),
        (1, "p-1", [1_000, 0, 1, 500])
    );
    assert_eq!((first.recorded, first.ours), (Some(0), Some(1)));
    assert_eq!((first.recorded_gpus, first.our_gpus), (0b10, 0b01));
    assert!((found.fragmented_difference_max - 250.0).abs() < 1e-9);
}

#[test]
fn broken_recordings_say_where() {
    let check = |placements: String, expected: &str| {
        let place = recording(&placements, CURVE);
        let folder = place.path().join("mine");
        let error = replay(&folder, "best-fit", None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        PLACEMENTS.replace("memory_mib", "memory"),
        "placements.csv.gz:1, column memory_mib",
    );
    check(
        PLACEMENTS.replace("1,p-1,", "2,p-1,"),
        "placements.csv.gz:3, column 1, `2`",
    );
    check(
        PLACEMENTS.replace("9000", "many"),
        "placements.csv.gz:4, column 4, `many`: expected a number",
    );
    check(
        PLACEMENTS.replace("0-1", "0-77"),
        "column 12, `0-77`: expected GPUs such as `2-3`",
    );
    check(
        PLACEMENTS.replace(",700,", ",0,"),
        "`0`: expected 1 to 999 of one GPU, or 1000",
    );
    let place = recording(PLACEMENTS, CURVE);
    let error = replay(place.path(), "best-fit", None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("placements.csv.gz"), "{error}");
    let error = replay(&place.path().join("mine"), "best-fot", None).unwrap_err();
    assert!(
        error.to_string().contains("did you mean `best-fit`?"),
        "{error}"
    );
}

/// Our own fills, in other orders than the recorded one, end where the published ones do: BestFit at
/// 93.08 % of the GPUs, mean of ten seeds.
#[test]
fn fills_of_our_own_end_where_the_published_ones_do() {
    let (Some(pods), Some(nodes)) = (
        public("traces/openb/openb_pod_list_default.csv.gz"),
        public("traces/openb/openb_node_list_gpu_node.csv"),
    ) else {
        return;
    };
    let mut names = Names::default();
    let pods = OpenbReader::open(pods)
        .unwrap()
        .read_all(&mut names)
        .unwrap();
    let supply = NodeList::open(nodes).unwrap().supply();
    let all = supply.gpu_count() * 1_000;
    for seed in 1..=3 {
        let jobs = Fill::new(all).generate(Seed(seed), pods.jobs.clone());
        let policy = registry::policy("best-fit").unwrap();
        let platform = Platform::new("fill", policy).sharing(Sharing::Fractions);
        let options = RunOptions::default().without_ledger().names(names.clone());
        let jobs = JobList::new(jobs);
        let mut run = Simulation::new(supply.clone(), jobs, platform, options).unwrap();
        while let Step::Instant(_) = run.step().unwrap() {}
        let free = |node: NodeView<'_>| u64::from(node.free().milli);
        let free: u64 = run.view().nodes().map(free).sum();
        let per_mille = (all - free) * 1_000 / all;
        assert!(
            (927..=935).contains(&per_mille),
            "seed {seed}: {per_mille} ‰"
        );
    }
}
