//! SWF: hand-made samples with the quirks of the public logs, and those logs against their
//! published figures.

use windtunnel_core::{Ending, JobSpec, MilliCores, Names, SimDuration, SimTime, Work};
use windtunnel_traces::swf::{Limit, Processors, Size, TenantOf, read_machines};
use windtunnel_traces::{Action, Loaded, SwfOptions, SwfReader, WorkloadStats, Zero};

use crate::support::{public, sample};

fn read(name: &str, options: SwfOptions) -> (Loaded, Names) {
    let mut names = Names::default();
    let reader = SwfReader::open(sample(name)).unwrap();
    let loaded = reader.with_options(options).read_all(&mut names).unwrap();
    (loaded, names)
}

/// name, submit, cores, run, estimate, limit, recorded start, ending, tenant, queue; times in s.
fn line(job: &JobSpec, names: &Names) -> String {
    let Work::Uniform(run) = job.profile.work else {
        panic!("a job of a log ends");
    };
    let seconds =
        |length: Option<SimDuration>| length.map_or("-".into(), |l| l.as_secs().to_string());
    let start = job.profile.recorded.as_ref().map(|recorded| recorded.start);
    format!(
        "{} {} {} {} {} {} {} {:?} {} {}",
        job.name.as_deref().unwrap_or("-"),
        job.submit.as_secs_f64(),
        job.request.groups[0].request.cpu.0 / 1_000,
        run.as_secs(),
        seconds(job.request.estimate),
        seconds(job.request.limit),
        seconds(start.map(|start| start.since(SimTime::ZERO))),
        job.profile.ending,
        names.tenant_name(job.request.tenant),
        names.queue_name(job.request.queue),
    )
}

fn check(name: &str, options: SwfOptions, expected: &[&str]) {
    let (loaded, names) = read(name, options);
    let lines: Vec<String> = loaded.jobs.iter().map(|job| line(job, &names)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn jobs_are_as_the_table_says() {
    check(
        "sample.swf",
        SwfOptions::default(),
        &[
            "1 0 8 3600 7200 - 0 Completes user1 partition2",
            "2 60 64 90 3600 - 100 Fails user2 queue3",
            "5 100 16 7300 7200 - 300 Completes user1 queue3",
            "7 200 1 0 60 - 203 Fails user5 default",
            "9 400 12 120 600 - 410 Completes user5 partition2",
            "10 400 4 120 - - - Completes default default",
        ],
    );
    check(
        "alea.swf",
        SwfOptions::default(),
        &[
            "0 0 4 600 86400 - 0 Completes user62 q_1d",
            "1 60 2 90 7200 - 90 Completes user63 backfill",
        ],
    );
}

#[test]
fn options_change_what_they_say() {
    let options = SwfOptions {
        size: Size::Requested,
        limit: Limit::Requested,
        tenant: TenantOf::Group,
        keep_unstarted: true,
        zero: Zero::Log,
        ..SwfOptions::default()
    };
    check(
        "sample.swf",
        options,
        &[
            "1 5000 8 3600 7200 7200 5000 Completes group1 partition2",
            "2 5060 4 90 3600 3600 5100 Fails group1 queue3",
            "5 5100 16 7300 7200 7200 5300 Completes group1 queue3",
            "7 5200 1 0 60 60 5203 Fails group2 default",
            "8 5300 512 0 86400 86400 14300 Cancelled group2 partition2",
            "9 5400 12 120 600 600 5410 Completes group2 partition2",
            "10 5400 4 120 - - - Completes default default",
        ],
    );
    let gpus = SwfOptions {
        processors: Processors::Gpus,
        ..SwfOptions::default()
    };
    let (loaded, _) = read("sample.swf", gpus);
    let group = loaded.jobs[1].request.groups[0];
    assert_eq!((group.count, group.request.gpus.devices()), (64, 1));
    assert_eq!(group.request.cpu, MilliCores(0));
}

#[test]
fn every_row_is_a_job_or_an_issue() {
    let (loaded, _) = read("sample.swf", SwfOptions::default());
    let counts = loaded.counts;
    assert_eq!((counts.rows_read, counts.jobs, counts.dropped), (12, 6, 6));
    assert_eq!(counts.repaired, 1, "processors that stand in");
    let issues: Vec<String> = loaded
        .issues
        .iter()
        .map(|i| {
            format!(
                "{} {} {:?}: {}",
                i.line,
                i.field.unwrap_or("-"),
                i.action,
                i.what()
            )
        })
        .collect();
    assert_eq!(
        issues,
        [
            "9 procs_used Kept: `64` processors count, though procs_requested is 4",
            "10 time_requested Kept: `7200` was asked for, and it ran for 7300 s",
            "11 run Dropped: `-1` says that nobody knows how long it ran",
            "14 procs_used Dropped: `-1` processors and no run time: it was withdrawn before it started",
            "15 procs_used Repaired: `-1` processors: procs_requested, 12, stands in",
            "16 wait Kept: `-1` says that nobody knows when it started",
            "17 run Dropped: `-5501` is not a time in seconds",
            "18 status Dropped: `3` says that this is a part of a job, which has a row of its own",
            "19 - Dropped: the row has 8 fields, not 18",
            "21 procs_used Dropped: `0` processors, and the log has no other number",
        ]
    );
    let (alea, names) = read("alea.swf", SwfOptions::default());
    assert_eq!(alea.counts.dropped, 1);
    assert_eq!(alea.origin, SimTime::from_secs(1_356_996_000));
    assert_eq!(
        names.attr(alea.jobs[0].request.attrs, "request"),
        Some("1:ppn=4:x86_64:cl_made#excl")
    );
}

/// What a log must add up to.
#[derive(Debug, PartialEq)]
struct Figures {
    rows: u64,
    jobs: u64,
    dropped: u64,
    repaired: u64,
    /// Of used processors × run time, rounded.
    processor_hours: u128,
    /// Over all rows that are jobs, rounded.
    wait_mean_s: u64,
    over_request: usize,
    run_zero: usize,
}

fn figures(trace: &Loaded) -> Figures {
    let stats = WorkloadStats::of(&trace.jobs);
    let hour = 3_600_000_000_000_000;
    let wait = |job: &JobSpec| {
        let recorded = job.profile.recorded.as_ref();
        recorded.map(|recorded| recorded.start.since(job.submit).as_secs())
    };
    let waits: Vec<u64> = trace.jobs.iter().filter_map(wait).collect();
    let (sum, count) = (waits.iter().sum::<u64>(), waits.len() as u64);
    let counts = trace.counts;
    let longer = trace
        .issues
        .iter()
        .filter(|i| i.field == Some("time_requested"));
    let zero = |job: &&JobSpec| matches!(job.profile.work, Work::Uniform(run) if run.is_zero());
    assert_eq!(counts.rows_read, counts.jobs + counts.dropped);
    assert_eq!(counts.jobs, trace.jobs.len() as u64);
    let dropped = trace.issues.iter().filter(|i| i.action == Action::Dropped);
    assert_eq!(dropped.count() as u64, counts.dropped);
    assert_eq!(trace.jobs[0].submit, SimTime::ZERO);
    Figures {
        rows: counts.rows_read,
        jobs: counts.jobs,
        dropped: counts.dropped,
        repaired: counts.repaired,
        processor_hours: (stats.cpu_milli_nanos + hour / 2) / hour,
        wait_mean_s: (sum + count / 2) / count,
        over_request: longer.count(),
        run_zero: trace.jobs.iter().filter(zero).count(),
    }
}

/// Reads a public log, as a list and as a stream, which must agree.
fn log(name: &str, options: SwfOptions) -> Option<(Loaded, Option<u32>)> {
    let path = public(&format!("swf/{name}.swf.gz"))?;
    let open = || SwfReader::open(&path).unwrap().with_options(options);
    let processors = open().header().processors();
    let trace = open().read_all(&mut Names::default()).unwrap();
    let (mut stream, mut names) = (open(), Names::default());
    for job in &trace.jobs {
        assert_eq!(stream.next_job(&mut names).unwrap().unwrap(), *job);
    }
    assert!(stream.next_job(&mut names).is_none());
    Some((trace, processors))
}

#[test]
fn kth_is_the_published_log() {
    let Some((trace, processors)) = log("KTH-SP2-1996-2", SwfOptions::default()) else {
        return;
    };
    assert_eq!(processors, Some(100));
    let expected = Figures {
        rows: 28_489,
        jobs: 28_489,
        dropped: 0,
        repaired: 0,
        processor_hours: 562_394,
        wait_mean_s: 15_390,
        over_request: 475,
        run_zero: 8,
    };
    assert_eq!(figures(&trace), expected);
    let mut waits: Vec<u64> = trace
        .jobs
        .iter()
        .map(|job| {
            job.profile
                .recorded
                .as_ref()
                .unwrap()
                .start
                .since(job.submit)
                .as_secs()
        })
        .collect();
    waits.sort_unstable();
    assert_eq!(waits[waits.len() / 2], 300, "median wait");
    let last = trace.jobs[trace.jobs.len() - 1].submit;
    assert_eq!(last, SimTime::from_secs(29_363_618), "339.9 days");
    assert!(
        trace
            .jobs
            .iter()
            .all(|job| job.request.limit.is_none() && job.request.estimate.is_some())
    );
    let failed = trace
        .jobs
        .iter()
        .filter(|job| job.profile.ending == Ending::Fails);
    assert_eq!(failed.count(), 7_948);
}

#[test]
fn curie_is_the_published_log() {
    let keep = SwfOptions {
        keep_unstarted: true,
        ..SwfOptions::default()
    };
    let name = "CEA-Curie-2012-excerpt-36k";
    let Some((trace, processors)) = log(name, SwfOptions::default()) else {
        return;
    };
    assert_eq!(processors, Some(93_312));
    assert_eq!(trace.origin, SimTime::from_secs(43_603_464));
    let expected = Figures {
        rows: 36_352,
        jobs: 33_742,
        dropped: 2_610,
        repaired: 0,
        processor_hours: 40_845_452,
        wait_mean_s: 5_864,
        over_request: 891,
        run_zero: 273,
    };
    assert_eq!(figures(&trace), expected);
    let (kept, _) = log(name, keep).unwrap();
    let expected = Figures {
        jobs: 36_351,
        dropped: 1,
        repaired: 2_609,
        wait_mean_s: 6_197,
        run_zero: 2_882,
        ..expected
    };
    assert_eq!(
        figures(&kept),
        expected,
        "but for a row without any number of processors"
    );
}

#[test]
fn hpc2n_is_the_published_log() {
    let Some((trace, processors)) = log("HPC2N-2002-excerpt", SwfOptions::default()) else {
        return;
    };
    assert_eq!(processors, Some(240), "120 nodes of 2");
    let expected = Figures {
        rows: 3_170,
        jobs: 3_145,
        dropped: 25,
        repaired: 0,
        processor_hours: 139_904,
        wait_mean_s: 17_285,
        over_request: 320,
        run_zero: 0,
    };
    assert_eq!(figures(&trace), expected);
}

#[test]
fn metacentrum_is_the_published_log() {
    let Some((trace, processors)) = log("MetaCentrum-zewura-2013", SwfOptions::default()) else {
        return;
    };
    assert_eq!(processors, None, "it has no header");
    assert_eq!(trace.origin, SimTime::from_secs(1_356_996_147));
    let expected = Figures {
        rows: 17_900,
        jobs: 17_898,
        dropped: 2,
        repaired: 0,
        processor_hours: 2_679_793,
        wait_mean_s: 51_032,
        over_request: 702,
        run_zero: 0,
    };
    assert_eq!(figures(&trace), expected);
}

#[test]
fn the_machines_beside_the_logs_are_read() {
    for (name, expected) in [
        ("HPC2N-2002-excerpt", &[("seth", 240)][..]),
        (
            "MetaCentrum-zewura-2013",
            &[("zewura", 1_600), ("zegox", 576)][..],
        ),
    ] {
        let Some(path) = public(&format!("swf/{name}.swf.machines")) else {
            return;
        };
        let file = std::fs::File::open(path).unwrap();
        let machines = read_machines(file, name).unwrap();
        let found: Vec<(&str, u64)> = machines
            .iter()
            .map(|m| (&*m.name, m.processors()))
            .collect();
        assert_eq!(found, expected);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-0-9a-z .;{},\n\r\t\"]{0,300}", whole in "\\PC{0,60}") {
        for text in [text, whole] {
            let read = SwfReader::new(text.as_bytes(), "fuzz")
                .and_then(|reader| reader.read_all(&mut Names::default()));
            if let Ok(trace) = read {
                let counts = trace.counts;
                proptest::prop_assert_eq!(counts.rows_read, counts.jobs + counts.dropped);
            }
        }
    }

    /// Any width of blanks and any kind of line end gives the same jobs.
    #[test]
    fn blanks_do_not_matter(
        rows in proptest::collection::vec((0..9_000_u32, 0..900_u32, 1..64_u32), 1..20),
        blank in "[ \t]{1,5}", end in "\r?\n",
    ) {
        let text = |blank: &str, end: &str| -> String {
            rows.iter()
                .map(|(submit, run, n)| {
                    let fields = format!("1 {submit} 5 {run} {n} -1 -1 {n} 900 -1 1 1 1 1 1 1 -1 -1");
                    format!("{blank}{}{blank}{end}", fields.replace(' ', blank))
                })
                .collect()
        };
        let read = |text: String| {
            SwfReader::new(text.as_bytes(), "log").unwrap().read_all(&mut Names::default()).unwrap()
        };
        proptest::prop_assert_eq!(read(text(" ", "\n")), read(text(&blank, &end)));
    }
}
