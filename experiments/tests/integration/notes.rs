//! Notes under the table: what a reader would otherwise not see.

use super::golden::check_in;
use super::support::Place;

/// No job says how long it runs; `wide` needs nine of eight GPUs; `late` comes after the end.
const JOBS: &str = "# windtunnel-jobs v1
job_id,submit_s,duration_s,gpus,tasks
wide,0,3600,3,3
a,60,7200,1,1
b,120,36000,1,1
late,2000000,360000,8,2
";

const SCENARIO: &str = r#"
[scenario]
name = "notes"
seeds = 1
horizon = "1 d"

[workload]
kind = "native"
path = "jobs.csv"

[[pools]]
name = "lab"
nodes = 2
gpus_per_node = 4
usd_per_node_hour = 4.0

[[platforms]]
name = "backfill"
policy = "easy-backfill"

[[platforms]]
name = "short"
policy = "sjf"

[[platforms]]
name = "told"
policy = "easy-backfill{by=oracle}"

[[platforms]]
name = "kube"
policy = "kube-default"
"#;

fn place(jobs: &str) -> Place {
    Place::new().file("jobs.csv", jobs).file("s.toml", SCENARIO)
}

#[test]
fn everything_there_is_to_note() {
    let place = place(JOBS);
    check_in(&place, "notes.txt", "compare s.toml");
    check_in(
        &place,
        "explain_never.txt",
        "explain windtunnel-out kube wide",
    );
}

#[test]
fn nothing_to_note() {
    let jobs = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,limit_s,estimate_s\n\
                a,0,3600,1,7200,\nb,86400,60,1,,60\n";
    let done = place(jobs).run("compare s.toml --no-jobs");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.out.contains("note:"), "{}", done.out);
}

#[test]
fn only_those_are_told_who_go_by_estimates() {
    let done = place(JOBS).run("compare s.toml --no-jobs --platforms told,kube");
    assert!(!done.out.contains("estimate_s"), "{}", done.out);
    let done = place(JOBS).run("run s.toml --platform short");
    assert!(done.out.contains("short takes them for"), "{}", done.out);
    assert!(!done.out.contains("first in line"), "{}", done.out);
}

#[test]
fn a_gang_that_gives_up_needs_no_note() {
    let with_timeout = SCENARIO.replace(
        "policy = \"kube-default\"",
        "policy = \"kube-default\"\ngang_timeout = \"30 min\"",
    );
    let place = place(JOBS).file("s.toml", with_timeout);
    let done = place.run("compare s.toml --no-jobs --platforms kube");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.out.contains("no gang_timeout"), "{}", done.out);
}
