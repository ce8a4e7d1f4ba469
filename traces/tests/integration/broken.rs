//! Files that are broken: each gets an error, or an issue, that says where and what to do.

use windtunnel_core::{Arrivals, Level, Names};
use windtunnel_traces::{Action, Kinds, NativeReader, TraceErrorKind, decode, write_native};

use crate::support::{gzip, lenient, strict};

const HEADER: &str = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\n";

/// The error that `text` gives, strictly read.
fn check_error(text: &str, kind: TraceErrorKind, expected: &str) {
    let error = strict(text).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), kind, "{expected}");
}

/// `row` is dropped with `expected`, and the good rows around it are read.
fn check_dropped(row: &str, expected: &str) {
    let text = format!("{HEADER}good,0,1,1\n{row}\nalso good,9,1,1\n");
    let trace = lenient(&text).unwrap();
    assert_eq!(trace.counts.rows_read, 3, "{row}");
    assert_eq!((trace.counts.jobs, trace.counts.dropped), (2, 1), "{row}");
    let [issue] = trace.issues.as_slice() else {
        panic!("one issue for {row}, not {:?}", trace.issues);
    };
    assert_eq!(issue.action, Action::Dropped);
    assert_eq!(issue.line, 4);
    let field = issue.field.unwrap_or("-");
    let found = format!("{field}: {}; {}", issue.what(), issue.hint);
    assert_eq!(found, expected);

    let error = strict(&text).unwrap_err();
    assert_eq!((error.kind(), error.line()), (TraceErrorKind::Row, Some(4)));
}

#[test]
fn numbers_that_are_none() {
    check_dropped(
        "x,5,-60,1",
        "duration_s: `-60` is not a time in seconds; it can't be negative",
    );
    check_dropped(
        "x,NaN,60,1",
        "submit_s: `NaN` is not a time in seconds; write digits and a decimal point",
    );
    for clock in ["01:30:00", "1:30"] {
        check_dropped(
            &format!("x,5,{clock},1"),
            &format!(
                "duration_s: `{clock}` is not a time in seconds; write seconds, e.g. 5400 for 1:30:00"
            ),
        );
    }
    for date in ["2024-03-01 08:00:00", "3/1/2024"] {
        check_dropped(
            &format!("x,{date},60,1"),
            &format!(
                "submit_s: `{date}` is not a time in seconds; write seconds from the start of the run, e.g. 5400"
            ),
        );
    }
    check_dropped(
        "x,inf,60,1",
        "submit_s: `inf` is not a time in seconds; it must be finite",
    );
    check_dropped(
        "x,5,1e300,1",
        "duration_s: `1e300` is too large; times are in seconds and end at 146 years; is this in milliseconds?",
    );
    check_dropped(
        "x,5,60,-1",
        "gpus: `-1` is not a number of GPUs; it can't be negative",
    );
    check_dropped(
        "x,5,60,1.5",
        "gpus: `1.5` is neither whole nor a part of one GPU; a part never spans devices: use a whole number, or less than 1",
    );
    check_dropped(
        "x,5,60,0.0001",
        "gpus: `0.0001` is not a number of GPUs; the smallest is a thousandth, 0.001",
    );
    check_dropped("x,,60,1", "submit_s: the value is missing; ");
    check_dropped(
        "x,5,60,1.000000000000000000000000000000000001",
        "gpus: `1.000000000000000000000000000000000001` has too many digits; write at most 32",
    );
}

#[test]
fn a_version_line_that_a_spreadsheet_padded() {
    for padding in [",,,", ";;;", ",,,\r", ",,, "] {
        let text =
            format!("# windtunnel-jobs v1{padding}\njob_id,submit_s,duration_s,gpus\nx,5,60,1\n");
        assert_eq!(strict(&text).unwrap().jobs.len(), 1, "{padding:?}");
    }
    check_error(
        "# windtunnel-jobs v2,,,\njob_id\n",
        TraceErrorKind::Format,
        "error at jobs.csv:1: version `2` is unknown; hint: this release reads `# windtunnel-jobs v1`",
    );
}

#[test]
fn rows_of_the_wrong_width() {
    check_dropped(
        "x,5,60",
        "-: the row has 3 cells, not 4; was the file cut short, or a comma left unquoted?",
    );
}

#[test]
fn odd_columns() {
    let check = |column: &str, value: &str, expected: &str| {
        let text = format!(
            "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,{column}\nx,0,1,1,{value}\n"
        );
        let error = strict(&text).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("error at jobs.csv:3, column {column}: {expected}")
        );
    };
    check(
        "kind",
        "batsh",
        "`batsh` is unknown; hint: did you mean `batch`?",
    );
    check(
        "ending",
        "done",
        "`done` is unknown; hint: known: completed, failed, cancelled",
    );
    check(
        "advance",
        "8..2",
        "`8..2` is an empty range; hint: write min..max with 1 <= min <= max",
    );
    check(
        "duty",
        "1.1",
        "`1.1` is too large; hint: write 0.7 for 70 %",
    );
    check(
        "tasks",
        "0",
        "`0` is no number of tasks; hint: a job has at least one task",
    );
    check(
        "tasks",
        "2.5",
        "`2.5` is not a count; hint: it must be whole",
    );
    check(
        "checkpoint_cost_s",
        "5",
        "`5` is the cost of checkpoints that never happen; hint: fill in checkpoint_interval_s as well",
    );
    check(
        "level",
        "rak",
        "`rak` is unknown; hint: did you mean `rack`?",
    );
    check(
        "attrs",
        "zone",
        "`zone` is no list of attributes; hint: write key=value;key=value",
    );
}

/// Gangs alone have a level, and it is written and read back.
#[test]
fn levels_of_gangs() {
    let text = |rest: &str| {
        format!(
            "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,tasks,advance,level\n{rest}\n"
        )
    };
    let error = strict(&text("x,0,1,1,2,each,rack"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "error at jobs.csv:3, column level: `rack` is a level for tasks that come and go one by one; \
         hint: levels are for gangs: leave it empty, or let advance be all"
    );
    let trace = strict(&text(
        "a,0,1,1,2,all,rack\nb,1,1,1,2,all,\nc,2,1,1,2,,domain",
    ))
    .unwrap();
    let levels = |jobs: &[windtunnel_core::JobSpec]| -> Vec<Option<Level>> {
        jobs.iter().map(|job| job.request.groups[0].level).collect()
    };
    let expected = [Some(Level::Rack), None, Some(Level::Domain)];
    assert_eq!(levels(&trace.jobs), expected);
    let mut file = Vec::new();
    write_native(&mut file, &trace.jobs, &Names::default(), &Kinds::default()).unwrap();
    let back = strict(std::str::from_utf8(&file).unwrap()).unwrap();
    assert_eq!(back.jobs, trace.jobs);
}

#[test]
fn headers() {
    check_error(
        "job_id,submit_s,duration_s,gpus\nx,0,1,1\n",
        TraceErrorKind::Format,
        "error at jobs.csv:1: the version line is missing; hint: the first line must be `# windtunnel-jobs v1`",
    );
    check_error(
        "# windtunnel-jobs v2\njob_id\n",
        TraceErrorKind::Format,
        "error at jobs.csv:1: version `2` is unknown; hint: this release reads `# windtunnel-jobs v1`",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id,submit_s,duration,gpus\nx,0,1,1\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2: unknown column `duration`, missing column `duration_s`; hint: did you mean `duration_s`?",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id,start,gpus,colour\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2: unknown columns `start`, `colour`, missing columns `submit_s`, `duration_s`; hint: known: job_id, submit_s, duration_s, gpus, tasks, gpu_model, cpus, memory_gib, advance, kind, limit_s, estimate_s, priority, tenant, queue, startup_s, restart_s, duty, checkpoint_interval_s, checkpoint_cost_s, ending, attrs, level, behaviour",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id,gpus\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2: missing columns `submit_s`, `duration_s`; hint: required: job_id, submit_s, duration_s, gpus",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id;submit_s;duration_s;gpus\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2: unknown column `job_id;submit_s;duration_s;gpus`; hint: separate the columns by commas",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id,submit_s,gpus\nx,0,1\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2, column duration_s: the column is missing; hint: required: job_id, submit_s, duration_s, gpus",
    );
    check_error(
        "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,gpus\n",
        TraceErrorKind::Header,
        "error at jobs.csv:2, column gpus: the column occurs twice",
    );
}

#[test]
fn traces_without_a_job() {
    check_error(
        "",
        TraceErrorKind::Empty,
        "error in jobs.csv: the file is empty; hint: a trace starts with the line `# windtunnel-jobs v1`",
    );
    check_error(
        "# windtunnel-jobs v1\n",
        TraceErrorKind::Empty,
        "error in jobs.csv: the file is empty; hint: a trace has a header and one row per job",
    );
    check_error(
        HEADER,
        TraceErrorKind::Empty,
        "error in jobs.csv: the trace has no rows; hint: a trace has a header and one row per job",
    );
    let error = lenient(&format!("{HEADER}x,0,1,-1\ny,0,1,-1\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error in jobs.csv: none of 2 rows is a job; hint: the first trouble is in line 3, column gpus: `-1` is not a number of GPUs"
    );
}

#[test]
fn an_open_quote_does_not_swallow_the_file() {
    let error = lenient(&format!("{HEADER}a,0,1,1\n\"b,0,1,1\nc,0,1,1\nd,0,1,1\n")).unwrap_err();
    assert_eq!((error.kind(), error.line()), (TraceErrorKind::Row, Some(4)));
}

#[test]
fn a_truncated_file_names_the_last_line() {
    let rows: String = (0..20_000)
        .map(|i| format!("job-{i},{i},{},1\n", i * 7919 % 3600))
        .collect();
    let whole = gzip(&format!("{HEADER}{rows}"));
    let mut seen = 0;
    for part in [2, 17, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let cut = &whole[..part];
        let error = decode(cut, "jobs.csv.gz")
            .and_then(|reader| NativeReader::new(reader, "jobs.csv.gz"))
            .and_then(|reader| reader.read_all(&mut Names::default()))
            .unwrap_err();
        assert_eq!(error.kind(), TraceErrorKind::Truncated, "{error}");
        assert_eq!(error.file(), "jobs.csv.gz");
        let line = error.line().unwrap();
        assert!(line >= seen && line <= 20_002, "{error}");
        seen = line;
    }
    assert!(seen > 10_000, "line {seen}");
    let zstd = zstd::encode_all(format!("{HEADER}{rows}").as_bytes(), 0).unwrap();
    let error = NativeReader::new(decode(&zstd[..zstd.len() / 2], "z").unwrap(), "z")
        .and_then(|reader| reader.read_all(&mut Names::default()))
        .unwrap_err();
    assert_eq!(error.kind(), TraceErrorKind::Truncated, "{error}");
}

#[test]
fn a_stream_must_be_sorted_and_a_list_gets_sorted() {
    let text = format!("{HEADER}a,10,1,1\nb,5,1,1\nc,10,1,1\nd,7,1,1\n");
    let mut names = Names::default();
    let mut stream = NativeReader::new(text.as_bytes(), "jobs.csv").unwrap();
    assert!(Arrivals::next(&mut stream, &mut names).unwrap().is_ok());
    let error = Arrivals::next(&mut stream, &mut names)
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.message,
        "error at jobs.csv:4, column submit_s: `5` is before the rows above it; hint: sort the file, or read it whole, which sorts"
    );
    assert!(Arrivals::next(&mut stream, &mut names).is_none());

    let trace = lenient(&text).unwrap();
    let order: Vec<&str> = trace
        .jobs
        .iter()
        .filter_map(|j| j.name.as_deref())
        .collect();
    assert_eq!(order, ["b", "d", "a", "c"]);
    assert_eq!(trace.counts.repaired, 2);
    let lines: Vec<u64> = trace.issues.iter().map(|issue| issue.line).collect();
    assert_eq!(lines, [4, 6]);
    assert_eq!(strict(&text).unwrap_err().kind(), TraceErrorKind::Order);
}

#[test]
fn lines_are_counted_with_blank_ones_and_carriage_returns() {
    for end in ["\n", "\r\n"] {
        let text = format!("{HEADER}a,0,1,1\n\n\nb,1,1,-1\nc,2,1,1,1\nd,3,1,2").replace('\n', end);
        let trace = lenient(&text).unwrap();
        let lines: Vec<u64> = trace.issues.iter().map(|issue| issue.line).collect();
        assert_eq!(lines, [6, 7], "line end {end:?}");
        assert_eq!((trace.counts.rows_read, trace.counts.jobs), (4, 2));
        assert_eq!(trace.jobs[1].request.gpu_milli(), 2_000);
    }
}

#[test]
fn a_batch_job_without_duration_is_remarked_upon() {
    let trace = lenient(&format!("{HEADER}a,0,,1\nb,0,inf,1\n")).unwrap();
    assert_eq!((trace.counts.jobs, trace.counts.remarks), (2, 1));
    assert_eq!(trace.issues[0].action, Action::Kept);
    assert!(
        strict(&format!("{HEADER}a,0,,1\n")).is_ok(),
        "a remark stops nobody"
    );
}

#[test]
fn too_many_queues_are_no_panic() {
    let rows: String = (0..65_540)
        .map(|i| format!("x,0,1,1,queue-{i}\n"))
        .collect();
    let text = format!("# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,queue\n{rows}");
    let trace = lenient(&text).unwrap();
    assert_eq!(trace.counts.jobs, 65_535, "one id is the default queue's");
    assert_eq!(trace.counts.dropped, 5);
}
