//! Philly: a hand-made sample with its quirks, and the public table against its published figures.

use windtunnel_core::{Arrivals, Names, SimDuration, SimTime};
use windtunnel_traces::{Action, PhillyReader, WorkloadStats};

use crate::support::{public, sample};

#[test]
fn the_quirks_are_understood() {
    let mut names = Names::default();
    let trace = PhillyReader::open(sample("philly.csv"))
        .unwrap()
        .read_all(&mut names)
        .unwrap();
    let jobs: Vec<(u64, u32, u32, &str, &str)> = trace
        .jobs
        .iter()
        .map(|job| {
            let group = job.request.groups[0];
            (
                job.submit.as_nanos() / 1_000_000_000,
                group.count,
                group.request.gpus.devices(),
                names.tenant_name(job.request.tenant),
                names.queue_name(job.request.queue),
            )
        })
        .collect();
    assert_eq!(
        jobs,
        [
            (0, 2, 8, "bbb222", "bbb222"),
            (2_932, 1, 1, "aaa111", "aaa111"),
            (2_932, 1, 1, "aaa111", "aaa111"),
            (64_017, 2, 6, "aaa111", "aaa111"),
            (150_417, 2, 5, "bbb222", "bbb222"),
        ]
    );
    let issues: Vec<(u64, Action, String)> = trace
        .issues
        .iter()
        .map(|issue| (issue.line, issue.action, issue.what()))
        .collect();
    let what = [
        (
            4,
            Action::Kept,
            "`2017-10-09 07:01:55` begins a row that is there already",
        ),
        (
            5,
            Action::Dropped,
            "`2017-10-09 06:59:60` is no point in time",
        ),
        (7, Action::Dropped, "`0` asks for no GPU"),
        (
            8,
            Action::Repaired,
            "`9` GPUs are not 2 equal tasks; each asks for 5, which adds 1",
        ),
    ];
    assert_eq!(
        issues,
        what.map(|(line, action, what)| (line, action, what.to_owned()))
    );
    assert_eq!((trace.counts.rows_read, trace.counts.jobs), (7, 5));
}

#[test]
fn it_is_no_stream() {
    let mut reader = PhillyReader::open(sample("philly.csv")).unwrap();
    let mut names = Names::default();
    assert!(Arrivals::next(&mut reader, &mut names).unwrap().is_ok());
    let error = Arrivals::next(&mut reader, &mut names)
        .unwrap()
        .unwrap_err();
    assert!(
        error.message.contains("read it whole, which sorts"),
        "{}",
        error.message
    );
}

#[test]
fn philly_is_the_published_trace() {
    let Some(path) = public("philly/philly.csv.gz") else {
        return;
    };
    let trace = PhillyReader::open(path)
        .unwrap()
        .read_all(&mut Names::default())
        .unwrap();
    let counts = trace.counts;
    assert_eq!((counts.rows_read, counts.jobs), (64_483, 64_483));
    assert_eq!(
        (counts.dropped, counts.repaired),
        (0, 0),
        "every size divides"
    );
    assert_eq!(counts.remarks, 44, "rows that are there twice");
    let stats = WorkloadStats::of(&trace.jobs);
    let hour = 3_600_000_000_000_000;
    assert_eq!(
        (stats.gpu_milli_nanos + hour / 2) / hour,
        774_589,
        "GPU-hours"
    );
    assert_eq!(stats.run_median, SimDuration::from_secs(1_278));
    assert_eq!(stats.gpu_milli_max, 32_000);
    assert!(trace.jobs.is_sorted_by_key(|job| job.submit));
    // 2017-09-04 10:30:41 to 2017-11-14 23:56:00.
    assert_eq!(trace.origin, SimTime::from_secs(1_504_521_041));
    assert_eq!(trace.jobs[64_482].submit, SimTime::from_secs(6_182_719));
}
