//! What policies say of a job that waits, in `explain` and `diff`.

use windtunnel::explain::{self, Chapter};
use windtunnel::{PlatformSpec, Scenario};

use super::golden::check_in;
use super::support::{Place, TINY};

/// The tiny scenario under two policies that promise starts.
fn promising() -> Place {
    let text = TINY
        .replace("policy = \"fifo\"", "policy = \"easy-backfill\"")
        .replace(
            "policy = \"first-fit\"",
            "policy = \"conservative-backfill\"",
        );
    let place = Place::new().file("tiny.toml", text);
    let done = place.run("compare tiny.toml --seeds 2 --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    place
}

#[test]
fn explain_asks_at_the_begin_of_each_wait() {
    let place = promising();
    check_in(&place, "explain_promised.txt", "explain out strict job-14");
    let head = place.run("explain out strict job-19");
    let says = "policy says: it is promised d2";
    assert!(head.out.contains(says), "{}", head.out);
}

#[test]
fn diff_asks_where_they_part() {
    check_in(
        &promising(),
        "diff_promised.txt",
        "diff out strict greedy --seed 2",
    );
}

/// Conservative backfilling with exact estimates keeps its promises: what it says first is the start.
#[test]
fn what_is_promised_is_kept() {
    let mut scenario = Scenario::from_toml(TINY, "tiny.toml").unwrap();
    let policy = "conservative-backfill{by=oracle}";
    scenario.platforms = vec![PlatformSpec::new("promises", policy)];
    let scenario = scenario.complete().unwrap();
    let mut kept = 0;
    for job in 0..40 {
        let life = explain::life(&scenario, 0, 0, &job.to_string()).unwrap();
        let (Some(Chapter::Wait(wait)), Some(start)) = (life.chapters.first(), life.record.start)
        else {
            continue;
        };
        let says = wait.says.as_ref().unwrap();
        let nodes: Vec<String> = life
            .record
            .nodes
            .iter()
            .map(|node| node.0.to_string())
            .collect();
        let word = if nodes.len() == 1 { "node" } else { "nodes" };
        let (at, nodes) = (start.clock(), nodes.join(", "));
        assert_eq!(
            *says,
            format!("it is promised {at} on {word} {nodes}"),
            "job {job}"
        );
        kept += 1;
    }
    assert!(kept > 5, "{kept}");
}
