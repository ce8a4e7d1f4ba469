//! Bad input is refused with exit code 2, a place and a hint, and leaves nothing behind.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::support::{Place, TINY};

const TRACE: &str = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\n";

/// The tiny scenario with its jobs from a file.
fn from_file(name: &str, more: &str) -> String {
    let start = TINY.find("[workload]").unwrap();
    let end = TINY.find("[[pools]]").unwrap();
    let workload = format!("[workload]\nkind = \"native\"\npath = \"{name}\"\n{more}\n");
    format!("{}{workload}{}", &TINY[..start], &TINY[end..])
}

/// Comparing a trace fails with all of `expected` in the message, and leaves no folder.
fn refuses(trace: impl AsRef<[u8]>, more: &str, expected: &[&str]) {
    let place = Place::new().file("jobs.csv", trace);
    let place = place.file("s.toml", from_file("jobs.csv", more));
    let done = place.run("compare s.toml");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err.starts_with("error: ") && done.out.is_empty(),
        "{done:?}"
    );
    for part in expected {
        assert!(done.err.contains(part), "no `{part}` in:\n{}", done.err);
    }
    assert_eq!(
        place.entries(),
        ["jobs.csv", "s.toml"],
        "nothing is left behind"
    );
}

#[test]
fn a_truncated_archive() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(TRACE.as_bytes()).unwrap();
    for job in 0..5_000 {
        let (gpus, run) = (1 + job % 4, 1 + job * 7_919 % 5_003);
        writeln!(encoder, "job-{job},{job},{run},{gpus}").unwrap();
    }
    let bytes = encoder.finish().unwrap();
    for more in ["", "stream = true"] {
        refuses(
            &bytes[..bytes.len() / 2],
            more,
            &["jobs.csv:", "break off", "copy it again"],
        );
    }
}

#[test]
fn rows_that_are_no_jobs() {
    for (cell, what) in [
        ("0,-60,1", "`-60` is not a time in seconds"),
        ("0,nan,1", "`nan`"),
        ("1e300,60,1", "`1e300`"),
        ("0,60,1e300", "`1e300`"),
        ("0,60,NaN", "`NaN`"),
    ] {
        let row = format!("{TRACE}j0,{cell}\n");
        // Not a single job is left, so that even lenient reading gives up.
        refuses(
            &row,
            "",
            &["jobs.csv", "none of 1 rows is a job", "line 3", what],
        );
        refuses(&row, "strict = true", &["jobs.csv:3", what]);
    }
}

#[test]
fn no_jobs_at_all() {
    refuses(TRACE, "", &["jobs.csv", "the trace has no rows"]);
    refuses("", "", &["jobs.csv", "the file is empty"]);
    refuses("job_id\n", "", &["version line is missing"]);
}

#[test]
fn a_row_that_is_dropped_is_told() {
    let trace = format!("{TRACE}a,0,60,1\nb,5,-60,1\nc,9,60,1\n");
    let place = Place::new().file("jobs.csv", trace);
    let place = place.file("s.toml", from_file("jobs.csv", ""));
    let done = place.run("compare s.toml --seeds 1");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out.contains("of 3 rows 1 were dropped and 0 repaired"),
        "{}",
        done.out
    );
    assert!(
        done.out
            .contains("line 4, column duration_s: `-60` is not a time"),
        "{}",
        done.out
    );
}

#[test]
fn a_job_larger_than_the_cluster_is_kept_and_counted() {
    let trace = format!("{TRACE}big,0,60,16\nsmall,1,60,1\n");
    let place = Place::new().file("jobs.csv", trace);
    let place = place.file("s.toml", from_file("jobs.csv", ""));
    let done = place.run("compare s.toml --seeds 1");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out.contains(
            "note: 1 job per run can never run (jobs_never_fit); the first is big: a task\n        \
             asks for 16 GPUs of one node, and the largest has 4\n"
        ),
        "{}",
        done.out
    );
}

#[test]
fn remarks_are_counted() {
    let table = |rows: &str| {
        let place = Place::new().file("jobs.csv", format!("{TRACE}a,0,60,1\n{rows}"));
        let place = place.file("s.toml", from_file("jobs.csv", ""));
        let done = place.run("compare s.toml --seeds 1 --no-jobs");
        assert_eq!(done.code, Some(0), "{done:?}");
        done.out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = table("b,5,,1\nc,9,-60,1\n");
    let expected = "of 3 rows 1 were dropped and 0 repaired, with 1 remark on rows that were kept; \
                    the first: line 5, column duration_s: `-60` is not a time in seconds ";
    assert!(text.contains(expected), "{text}");
    let text = table("b,5,,1\n");
    let expected = "of 2 rows all were kept, with 1 remark on rows that were kept; the first: line \
                    4, column duration_s: the job has no duration and never ends ";
    assert!(text.contains(expected), "{text}");
    assert!(!table("b,5,60,1\n").contains("rows"), "nothing to tell");
}

#[test]
fn no_job_before_the_end() {
    // A day is simulated; these are of November 2023.
    let trace = format!("{TRACE}first,1700000000,60,1\nsecond,1700000060,60,1\n");
    let expected = [
        "no job is submitted before the end of the run (1d): of 2 jobs the first is first, at \
         1700000000 s",
        "looks like Unix time: subtract the first one from all",
    ];
    refuses(&trace, "", &expected);
    refuses(
        &trace,
        "stream = true",
        &[
            "no job is submitted before the end",
            "from the start of the run",
        ],
    );
    let trace = format!("{TRACE}tomorrow,90000,60,1\n");
    refuses(&trace, "", &["of 1 job the first is tomorrow, at 90000 s"]);
}

/// Without an end of its own, such a run would pay for decades of an idle cluster.
#[test]
fn a_run_to_the_last_job_in_unix_time() {
    let trace = format!("{TRACE}first,1700000000,60,1\nsecond,1700000060,60,1\n");
    let scenario = from_file("jobs.csv", "").replace("horizon = \"1 d\"", "horizon = \"drain\"");
    let place = Place::new()
        .file("jobs.csv", &trace)
        .file("s.toml", &scenario);
    let done = place.run("compare s.toml");
    assert_eq!(done.code, Some(2), "{done:?}");
    for part in [
        "the first job, first, is submitted 1700000000 s after the start of the run",
        "looks like Unix time: subtract the first one from all",
    ] {
        assert!(done.err.contains(part), "no `{part}` in:\n{}", done.err);
    }
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    let place = Place::with_tiny().file("file", "");
    for (out, what) in [
        ("file", "it is a file"),
        ("file/out", "can't write to `file/out`"),
        ("nowhere/out", "`nowhere` does not exist; create it first"),
    ] {
        let done = place.run(&format!("compare tiny.toml --out {out}"));
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(what), "{}", done.err);
        assert_eq!(place.entries(), ["file", "tiny.toml"]);
    }
}

#[test]
fn bad_use() {
    let place = Place::with_tiny();
    for (arguments, what) in [
        ("compare missing.toml", "can't read `missing.toml`"),
        (
            "compare tiny.toml --platforms greddy",
            "did you mean `greedy`? its platforms: strict, greedy",
        ),
        ("compare tiny.toml --seeds 0", "--seeds"),
        ("compare tiny.toml --seeds nan", "--seeds"),
        ("run tiny.toml", "which platform?"),
        ("scenario camp", "no scenario `camp`"),
        ("comparee", "compare"),
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{arguments}: {done:?}");
        assert!(done.err.contains(what), "{arguments}: {}", done.err);
    }
    assert_eq!(place.entries(), ["tiny.toml"]);
}
