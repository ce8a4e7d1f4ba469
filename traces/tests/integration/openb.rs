//! openb: hand-made samples with its quirks, and the public lists against their README.

use std::path::PathBuf;

use windtunnel_core::{
    Advance, Ending, GpuRequest, Names, PoolId, SimDuration, SimTime, Supply, Work, World,
};
use windtunnel_traces::openb::{Fill, NodeList};
use windtunnel_traces::{Action, Loaded, OpenbReader, TraceErrorKind};

use crate::support::{public, sample};

fn read(path: PathBuf) -> (Loaded, Names) {
    let mut names = Names::default();
    let reader = OpenbReader::open(path).unwrap();
    let trace = reader.read_all(&mut names).unwrap();
    let counts = trace.counts;
    assert_eq!(counts.jobs + counts.dropped, counts.rows_read);
    (trace, names)
}

#[test]
fn the_quirks_are_understood() {
    let (trace, names) = read(sample("openb_pods.csv"));
    let jobs: Vec<(&str, u64, GpuRequest, u64)> = trace
        .jobs
        .iter()
        .map(|job| {
            let Work::Uniform(run) = job.profile.work else {
                panic!("it has times");
            };
            let name = job.name.as_deref().unwrap();
            let request = job.request.groups[0].request;
            (
                name,
                job.submit.since(SimTime::ZERO).as_secs(),
                request.gpus,
                run.as_secs(),
            )
        })
        .collect();
    use GpuRequest::{Milli, None, Whole};
    assert_eq!(
        jobs,
        [
            ("pod-a", 0, Whole(1), 7_200),
            ("pod-c", 200, None, 45),
            ("pod-b", 300, Milli(460), 598),
            ("pod-d", 400, Milli(810), 600),
            ("pod-e", 500, Whole(8), 12_902_460),
            ("pod-f", 600, None, 0),
            ("pod-g", 610, Whole(2), 80),
            ("pod-m", 710, Whole(4), 3_600),
        ]
    );
    let models = |place: usize| trace.jobs[place].request.groups[0].request.models;
    assert_eq!((models(2), models(4), models(5)), (0b011, 0b100, 0));
    assert_eq!(names.attr(trace.jobs[1].request.attrs, "qos"), Some("BE"));
    let endings: Vec<Ending> = trace.jobs.iter().map(|job| job.profile.ending).collect();
    assert_eq!(endings[1], Ending::Fails);
    assert_eq!(endings[3], Ending::Cancelled, "it never ran");
    let start = |place: usize| trace.jobs[place].profile.recorded.as_ref().map(|r| r.start);
    assert_eq!(
        (start(1), start(3)),
        (Some(SimTime::from_secs(215)), Option::None)
    );
}

#[test]
fn every_row_is_a_job_or_an_issue() {
    let (trace, _) = read(sample("openb_pods.csv"));
    let issues: Vec<(u64, Action, String)> = trace
        .issues
        .iter()
        .map(|issue| (issue.line, issue.action, issue.what()))
        .collect();
    let expected = [
        (4, Action::Repaired, "`200` is before the rows above it"),
        (5, Action::Kept, "is missing: the pod was never scheduled"),
        (6, Action::Kept, "`12902960` is the end of the trace"),
        (7, Action::Kept, "`T4` does not bind a pod without GPUs"),
        (
            7,
            Action::Kept,
            "`600` is when the pod started: it runs for no time",
        ),
        (
            8,
            Action::Repaired,
            "`500` of each of 2 GPUs is no request; whole ones are asked for",
        ),
        (9, Action::Dropped, "`0` is no part of a GPU"),
        (10, Action::Dropped, "`1200` is too large"),
        (11, Action::Dropped, "`640` is before the pod's creation"),
        (12, Action::Dropped, "`Asleep` is unknown"),
        (13, Action::Dropped, "the value is missing"),
    ];
    let found: Vec<(u64, Action, &str)> = issues.iter().map(|(l, a, w)| (*l, *a, &**w)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_table_without_times_is_pods_that_never_end() {
    let text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np1,1000,1024,1,460\np2,1000,0,0,0\n";
    let reader = OpenbReader::new(text.as_bytes(), "pods.csv").unwrap();
    let trace = reader.read_all(&mut Names::default()).unwrap();
    assert_eq!(trace.counts.remarks, 2);
    for job in &trace.jobs {
        assert_eq!(
            (job.submit, &job.profile.work),
            (SimTime::ZERO, &Work::Endless)
        );
        assert_eq!(job.request.advance, Advance::All);
    }
}

#[test]
fn times_come_together() {
    let text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time\np1,1000,0,1,460,5\n";
    let error = OpenbReader::new(text.as_bytes(), "pods.csv").unwrap_err();
    assert_eq!(
        error.to_string(),
        "error at pods.csv:1, column deletion_time: the column is missing; \
         hint: times come together, or not at all"
    );
}

#[test]
fn nodes_keep_their_order_and_equal_ones_are_a_pool() {
    let list = NodeList::open(sample("openb_nodes.csv")).unwrap();
    let supply = list.supply();
    let pools: Vec<(&str, u32)> = supply
        .pools
        .iter()
        .map(|pool| (&*pool.name, pool.max_nodes()))
        .collect();
    assert_eq!(
        pools,
        [
            ("cpu-32c-64g", 1),
            ("8x-V100M32-96c-384g", 2),
            ("2x-T4-64c-128g", 2),
            ("2x-A10-64c-128g", 1),
            ("2x-T4-64c-256g", 1),
            ("1x-T4-32c-64g", 1),
        ]
    );
    let order: Vec<u8> = supply.order.iter().map(|pool| pool.0).collect();
    assert_eq!(order, [0, 1, 2, 1, 3, 4, 5, 2]);
    World::new(&supply).unwrap();
}

#[test]
fn a_list_with_a_bad_node_is_refused() {
    let check = |rows: &str, expected: &str| {
        let text = format!("sn,cpu_milli,memory_mib,gpu,model\n{rows}");
        let error = NodeList::new(text.as_bytes(), "nodes.csv").unwrap_err();
        assert_eq!(error.to_string(), expected);
        error.kind()
    };
    check(
        "n0,1000,1024,1,T4\nn1,1000,1024,17,T4\n",
        "error at nodes.csv:3, column gpu: `17` is too large; hint: a node has at most 16 GPUs",
    );
    check(
        "n0,1000,1024,2,\n",
        "error at nodes.csv:2, column model: does not go with 2 GPUs; \
         hint: a node has GPUs and a model of them, or neither",
    );
    check(
        "n0,1000,1024,2\n",
        "error at nodes.csv:2: the row has 4 cells, not 5; \
         hint: was the file cut short, or a comma left unquoted?",
    );
    check(
        "n0,-5,1024,0,\n",
        "error at nodes.csv:2, column cpu_milli: `-5` is not a number of thousandths of a core; \
         hint: it can't be negative",
    );
    let empty = check(
        "",
        "error in nodes.csv: the list has no nodes; hint: a list has a header and its nodes",
    );
    assert_eq!(empty, TraceErrorKind::Empty);
}

/// What the README says of a variant: rows, thousandths of GPUs asked for, pods never scheduled,
/// GPU-hours of those that ran (`None`: it has no times).
const VARIANTS: [(&str, u64, u64, u64, Option<u64>); 12] = [
    ("cpu037", 7_336, 6_086_800, 870, Some(51_471)),
    ("cpu050", 7_439, 6_086_800, 878, Some(51_471)),
    ("cpu100", 7_853, 6_086_800, 883, Some(51_471)),
    ("cpu250", 9_420, 6_086_800, 934, Some(51_471)),
    ("default", 8_152, 6_086_800, 897, Some(51_471)),
    ("gpushare100", 8_152, 3_952_670, 1_209, Some(15_150)),
    ("gpushare20", 8_152, 6_531_500, 840, Some(44_714)),
    ("gpushare60", 8_152, 4_908_340, 1_050, Some(34_408)),
    ("gpuspec10", 8_152, 6_086_800, 897, Some(51_471)),
    ("gpuspec25", 8_152, 6_086_800, 897, Some(51_471)),
    ("multigpu20", 8_324, 7_086_800, 0, None),
    ("multigpu40", 8_746, 9_442_800, 0, None),
];

#[test]
fn every_public_variant_is_what_its_readme_says() {
    for (variant, rows, gpu_milli, never, gpu_hours) in VARIANTS {
        let Some(path) = public(&format!("openb/openb_pod_list_{variant}.csv.gz")) else {
            return;
        };
        let (trace, _) = read(path);
        let counts = trace.counts;
        assert_eq!((counts.rows_read, counts.dropped), (rows, 0), "{variant}");
        let asked: u64 = trace.jobs.iter().map(|job| job.request.gpu_milli()).sum();
        assert_eq!(asked, gpu_milli, "{variant}");
        let sorted = variant == "default" || variant.starts_with("gpuspec") || gpu_hours.is_none();
        assert_eq!(
            counts.repaired == 0,
            sorted,
            "{variant} in order of creation"
        );
        let Some(gpu_hours) = gpu_hours else {
            assert_eq!(counts.remarks, rows, "{variant} has no times");
            continue;
        };
        let ran = |job: &&windtunnel_core::JobSpec| job.profile.recorded.is_some();
        let milli_seconds: u64 = trace.jobs.iter().filter(ran).map(gpu_milli_seconds).sum();
        assert_eq!(
            (milli_seconds + 1_800_000) / 3_600_000,
            gpu_hours,
            "{variant}"
        );
        let never_ran = trace.jobs.iter().filter(|job| !ran(job)).count();
        assert_eq!(never_ran as u64, never, "{variant}");
    }
}

fn gpu_milli_seconds(job: &windtunnel_core::JobSpec) -> u64 {
    match job.profile.work {
        Work::Uniform(run) => job.request.gpu_milli() * run.as_secs(),
        _ => panic!("it has times"),
    }
}

#[test]
fn the_default_trace_is_the_published_one() {
    let Some(path) = public("openb/openb_pod_list_default.csv.gz") else {
        return;
    };
    let (trace, _) = read(path);
    let count = |of: &dyn Fn(GpuRequest) -> bool| {
        let jobs = trace.jobs.iter();
        jobs.filter(|job| of(job.request.groups[0].request.gpus))
            .count()
    };
    assert_eq!(count(&|gpus| gpus == GpuRequest::None), 1_088);
    assert_eq!(count(&|gpus| matches!(gpus, GpuRequest::Milli(_))), 3_078);
    assert_eq!(count(&|gpus| gpus.devices() == 1), 6_989);
    for (gpus, pods) in [(2, 16), (4, 15), (8, 44)] {
        assert_eq!(count(&|found| found == GpuRequest::Whole(gpus)), pods);
    }
    let mut runs = Vec::new();
    let mut waits = Vec::new();
    for job in &trace.jobs {
        let (Work::Uniform(run), Some(recorded)) = (&job.profile.work, &job.profile.recorded)
        else {
            continue;
        };
        runs.push(run.as_secs());
        waits.push(recorded.start.since(job.submit).as_secs());
    }
    let mean = |values: &[u64]| values.iter().sum::<u64>() / values.len() as u64;
    assert_eq!((mean(&runs), mean(&waits)), (28_949, 61));
    runs.sort_unstable();
    waits.sort_unstable();
    assert_eq!((runs[runs.len() / 2], waits[waits.len() / 2]), (616, 2));
    assert_eq!(waits.last(), Some(&14_330));
    let failed = trace
        .jobs
        .iter()
        .filter(|job| job.profile.ending == Ending::Fails);
    assert_eq!(failed.count(), 1_870);
    let end = SimTime::from_secs(12_902_960);
    let ends = trace
        .issues
        .iter()
        .filter(|issue| issue.value == "12902960");
    assert_eq!(ends.count(), 34, "deleted at {end}");
    assert_eq!(
        trace.counts.remarks,
        897 + 34 + 1,
        "the last runs for no time"
    );
}

#[test]
fn the_public_nodes_are_the_published_ones() {
    for (list, nodes, gpu_nodes, pools, cpus) in [
        ("gpu", 1_213, 1_213, 15, 107_018_000_u64),
        ("all", 1_523, 1_213, 27, 125_514_000),
    ] {
        let Some(path) = public(&format!("openb/openb_node_list_{list}_node.csv")) else {
            return;
        };
        let list = NodeList::open(path).unwrap();
        let supply: Supply = list.supply();
        assert_eq!((list.nodes.len(), supply.order.len()), (nodes, nodes));
        assert_eq!((supply.gpu_count(), supply.pools.len()), (6_212, pools));
        let with_gpus = list.nodes.iter().filter(|node| node.model.gpus > 0);
        assert_eq!(with_gpus.count(), gpu_nodes);
        let cpu: u64 = list
            .nodes
            .iter()
            .map(|node| u64::from(node.model.cpu.0))
            .sum();
        assert_eq!(cpu, cpus);
        let last = supply.order.last().copied().unwrap();
        let node = list.nodes.last().unwrap();
        assert_eq!(supply.pools[usize::from(last.0)].model, node.model);
        assert_eq!(supply.order[0], PoolId(0));
        World::new(&supply).unwrap();
    }
}

#[test]
fn the_public_trace_fills_the_cluster_to_130_percent() {
    let Some(path) = public("openb/openb_pod_list_default.csv.gz") else {
        return;
    };
    let (trace, _) = read(path);
    let jobs = Fill::new(6_212_000).generate(windtunnel_core::rng::Seed(42), trace.jobs);
    let asked: u64 = jobs.iter().map(|job| job.request.gpu_milli()).sum();
    assert!(
        (8_067_600..=8_083_600).contains(&asked),
        "{asked} of 8,075,600"
    );
    assert!(
        (10_700..11_100).contains(&jobs.len()),
        "{} pods",
        jobs.len()
    );
    let last = jobs.last().unwrap().submit;
    assert_eq!(
        last,
        SimTime::ZERO + SimDuration::from_secs(jobs.len() as u64 - 1)
    );
}
