//! The output folder: which files, which bytes, and when not.

use std::fs;

use super::support::{Place, names};

const FILES: [&str; 6] = [
    "fragmentation.csv",
    "jobs.csv",
    "ledger.csv",
    "manifest.json",
    "slots.csv",
    "summary.csv",
];

#[test]
fn the_number_of_threads_leaves_no_trace() {
    let place = Place::with_tiny();
    for threads in ["1", "2", "5"] {
        let done = place.run(&format!(
            "compare tiny.toml --threads {threads} --out {threads}"
        ));
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    for file in FILES {
        let one = place.read(&format!("1/{file}"));
        assert_eq!(one, place.read(&format!("2/{file}")), "{file}");
        assert_eq!(one, place.read(&format!("5/{file}")), "{file}");
    }
    assert_eq!(names(&place.path("1")), FILES);
    assert_eq!(
        place.entries(),
        ["1", "2", "5", "tiny.toml"],
        "nothing half-written stays"
    );
}

/// With everything that can break, share, differ or slow down switched on.
#[test]
fn everything_at_once_is_the_same_at_any_number_of_threads() {
    let text = include_str!("../../scenarios/everything.toml");
    let place = Place::new().file("everything.toml", text);
    for threads in ["1", "2", "5"] {
        let line = format!("compare everything.toml --threads {threads} --out {threads}");
        assert_eq!(place.run(&line).code, Some(0));
    }
    for file in FILES {
        let one = place.read(&format!("1/{file}"));
        assert_eq!(one, place.read(&format!("2/{file}")), "{file}");
        assert_eq!(one, place.read(&format!("5/{file}")), "{file}");
    }
    // It is not trivially so: something happened in nearly every bucket.
    let ledger = place.read("1/ledger.csv");
    let hours = |bucket: &str| -> f64 {
        let rows = ledger
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>());
        let of = rows.filter(|row| row[2] == bucket);
        of.map(|row| row[4].parse::<f64>().unwrap()).sum()
    };
    for bucket in [
        "down",
        "idle.fragmented",
        "allocated.startup",
        "allocated.stalled",
        "allocated.interference",
        "allocated.underused",
        "allocated.lost",
        "allocated.useful",
    ] {
        assert!(hours(bucket) > 0.0, "{bucket}");
    }
}

#[test]
fn a_run_is_a_row_of_the_comparison() {
    let place = Place::with_tiny();
    assert_eq!(place.run("compare tiny.toml --out all").code, Some(0));
    let done = place.run("run tiny.toml --platform greedy --seed 2 --out one");
    assert_eq!(done.code, Some(0), "{done:?}");
    let row = place
        .read("one/summary.csv")
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    assert!(
        place
            .read("all/summary.csv")
            .lines()
            .any(|line| line == row),
        "{row}"
    );
    assert!(
        row.starts_with("greedy,first-fit{never=reject},2,"),
        "{row}"
    );
    let jobs = place.read("one/jobs.csv");
    let all = place.read("all/jobs.csv");
    assert!(
        jobs.lines()
            .all(|line| all.lines().any(|other| other == line))
    );
}

#[test]
fn a_manifest_runs_again_to_the_same_bytes() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --out first --seeds 2").code,
        Some(0)
    );
    let done = place.run("compare first/manifest.json --out second");
    assert_eq!(done.code, Some(0), "{done:?}");
    for file in FILES {
        assert_eq!(
            place.read(&format!("first/{file}")),
            place.read(&format!("second/{file}")),
            "{file}"
        );
    }
    // A manifest that does not keep its word is a check that fell short.
    let manifest = place.read("first/manifest.json");
    let start = manifest.rfind("\"digest\": \"").unwrap() + 11;
    let broken = format!(
        "{}{:016x}{}",
        &manifest[..start],
        1,
        &manifest[start + 16..]
    );
    let place = place.file("broken.json", broken);
    let done = place.run("compare broken.json --out third");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("check failed: greedy, seed 2: digest"),
        "{}",
        done.err
    );
}

/// The manifest lies in another folder than the scenario: its paths must still lead to the jobs.
#[test]
fn the_manifest_of_a_file_of_jobs_runs_again() {
    let jobs = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\na,0,60,1\n";
    let start = super::support::TINY.find("[workload]").unwrap();
    let end = super::support::TINY.find("[[pools]]").unwrap();
    let workload = "[workload]\nkind = \"native\"\npath = \"jobs.csv\"\n\n";
    let tiny = super::support::TINY;
    let scenario = format!("{}{workload}{}", &tiny[..start], &tiny[end..]);
    let place = Place::new().file("jobs.csv", jobs).file("s.toml", scenario);
    assert_eq!(
        place.run("compare s.toml --seeds 1 --out out").code,
        Some(0)
    );
    let done = place.run("compare out/manifest.json --out again");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(place.read("out/jobs.csv"), place.read("again/jobs.csv"));
}

#[test]
fn our_own_folder_is_replaced_and_a_foreign_one_is_not_touched() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --seeds 1 --no-jobs").code,
        Some(0)
    );
    let without: Vec<&str> = FILES
        .into_iter()
        .filter(|file| *file != "jobs.csv")
        .collect();
    assert_eq!(names(&place.path("windtunnel-out")), without);
    let done = place.run("compare tiny.toml --seeds 1");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(names(&place.path("windtunnel-out")), FILES);

    fs::create_dir(place.path("thesis")).unwrap();
    let place = place.file("thesis/manifest.json", "{\"schema\": \"somebody's\"}");
    let place = place.file("thesis/chapter.txt", "years of work");
    let done = place.run("compare tiny.toml --out thesis");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err.contains("holds no manifest of windtunnel"),
        "{}",
        done.err
    );
    assert_eq!(place.read("thesis/chapter.txt"), "years of work");
    assert_eq!(
        names(&place.path("thesis")),
        ["chapter.txt", "manifest.json"]
    );
    assert_eq!(place.entries(), ["thesis", "tiny.toml", "windtunnel-out"]);
}

/// Σ wait_<reason>_s = queued_s, and the cells are as many as the columns.
#[test]
fn jobs_add_up() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --seeds 2 --out out").code,
        Some(0)
    );
    let text = place.read("out/jobs.csv");
    let columns: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let nanos = |cell: &str| {
        let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
        whole.parse::<u64>().unwrap() * 1_000_000_000
            + format!("{part:0<9}").parse::<u64>().unwrap()
    };
    let first = at("wait_insufficient_s");
    let mut waited = 0;
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        let reasons: u64 = cells[first..first + 17]
            .iter()
            .map(|cell| nanos(cell))
            .sum();
        assert_eq!(reasons, nanos(cells[at("queued_s")]), "{line}");
        waited += reasons;
    }
    assert!(waited > 0, "the tiny scenario has a queue");
    assert_eq!(text.lines().count(), 1 + 2 * 2 * 40);
}

/// The buckets of a run sum to what was paid: 8 GPUs for a day.
#[test]
fn the_ledger_adds_up() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --seeds 1 --out out").code,
        Some(0)
    );
    let micro = |cell: &str| -> u64 { cell.replace('.', "").parse().unwrap() };
    let text = place.read("out/ledger.csv");
    for platform in ["strict", "greedy"] {
        let rows = text.lines().filter(|line| line.starts_with(platform));
        let cells: Vec<Vec<&str>> = rows.map(|line| line.split(',').collect()).collect();
        let hours = cells
            .iter()
            .map(|row| row[4])
            .filter(|cell| !cell.is_empty());
        let hours: u64 = hours.map(micro).sum();
        assert!(hours.abs_diff(8 * 24 * 1_000_000) <= 17, "{hours}");
        let usd: u64 = cells.iter().map(|row| micro(row[5])).sum();
        assert_eq!(usd, 2 * 24 * 4 * 1_000_000);
    }
}

/// Ctrl-C in the middle of a long run: exit code 130, and not a trace of it.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let scenario = "\
[scenario]
name = \"long\"
[workload]
kind = \"poisson\"
jobs = 100_000_000
load = 0.7
[[pools]]
name = \"lab\"
nodes = 125
gpus_per_node = 8
[[platforms]]
name = \"fifo\"
policy = \"fifo\"
";
    let place = Place::new().file("long.toml", scenario);
    let mut child = Command::new(env!("CARGO_BIN_EXE_windtunnel"))
        .args(["run", "long.toml", "--out", "out"])
        .current_dir(place.path(""))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = place.path(&format!(".out.{}.tmp/jobs.0.part", child.id()));
    let began = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "it never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    let told = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(place.entries(), ["long.toml"]);
}
