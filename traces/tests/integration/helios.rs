//! Helios Venus: a hand-made sample with its quirks, and the public table against its published
//! figures.

use windtunnel_core::{Names, SimDuration, Work};
use windtunnel_traces::{Action, HeliosReader, TraceErrorKind};

use crate::support::{public, sample};

#[test]
fn the_quirks_are_understood() {
    let trace = HeliosReader::open(sample("helios.csv"))
        .unwrap()
        .read_all(&mut Names::default())
        .unwrap();
    let shapes: Vec<(u32, u32)> = trace
        .jobs
        .iter()
        .map(|job| job.request.groups[0])
        .map(|group| (group.count, group.request.gpus.devices()))
        .collect();
    assert_eq!(shapes, [(4, 8), (1, 1), (2, 6), (2, 5), (19, 8)]);
    let issues: Vec<(u64, Action, &str)> = trace
        .issues
        .iter()
        .map(|issue| (issue.line, issue.action, issue.value.as_str()))
        .collect();
    assert_eq!(
        issues,
        [
            (2, Action::Kept, "172800.0"),
            (5, Action::Repaired, "9"),
            (7, Action::Dropped, "0"),
        ]
    );
    assert_eq!(
        trace.issues[1].what(),
        "`9` GPUs are not 2 equal tasks; each asks for 5, which adds 1"
    );
}

#[test]
fn another_table_is_refused() {
    let error = HeliosReader::open(sample("native.csv")).unwrap_err();
    assert_eq!(error.kind(), TraceErrorKind::Header);
}

#[test]
fn venus_is_the_published_trace() {
    let Some(path) = public("helios-venus/venus_gpu_jobs.csv.gz") else {
        return;
    };
    let trace = HeliosReader::open(path)
        .unwrap()
        .read_all(&mut Names::default())
        .unwrap();
    let counts = trace.counts;
    assert_eq!(counts.rows_read, 77_574);
    assert_eq!(counts.jobs + counts.dropped, counts.rows_read);
    assert_eq!(
        (counts.dropped, counts.repaired),
        (0, 0),
        "every size divides"
    );
    assert_eq!(counts.remarks, 1_392, "clamped rows");

    let mut runs: Vec<SimDuration> = Vec::new();
    let (mut gpus, mut gpus_max, mut gpu_seconds) = (0, 0, 0);
    for job in &trace.jobs {
        let Work::Uniform(run) = job.profile.work else {
            panic!("Venus has no endless jobs");
        };
        let milli = job.request.gpu_milli();
        runs.push(run);
        gpus += milli / 1_000;
        gpus_max = gpus_max.max(milli / 1_000);
        gpu_seconds += milli / 1_000 * run.as_secs();
    }
    assert_eq!((gpu_seconds + 1_800) / 3_600, 1_557_175, "GPU-hours");
    assert_eq!(gpus_max, 160);
    assert_eq!((gpus * 1_000 / counts.jobs + 5) / 10, 658, "mean GPUs 6.58");
    runs.sort_unstable();
    assert_eq!(
        runs[runs.len() / 2],
        SimDuration::from_secs(207),
        "median run"
    );
}
