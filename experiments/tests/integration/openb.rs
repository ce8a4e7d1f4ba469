//! Scenarios of openb's pods and nodes.

use windtunnel::{ExperimentError, Scenario};

use super::support::{Place, column};

const FILL: &str = include_str!("../data/openb_fill.toml");
const PODS: &str = include_str!("../../../traces/data/openb_pods.csv");
const NODES: &str = include_str!("../../../traces/data/openb_nodes.csv");

fn place(scenario: &str) -> Place {
    Place::new()
        .file("fill.toml", scenario)
        .file("openb_pods.csv", PODS)
        .file("openb_nodes.csv", NODES)
}

#[test]
fn a_cluster_is_filled_and_the_manifest_fills_it_again() {
    let place = place(FILL);
    let done = place.run("compare fill.toml --out first");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("8 nodes, 25 GPUs"), "{}", done.out);
    assert!(!done.out.contains("offered load"), "pods without an end");
    assert!(done.out.contains("$ 2.00 per GPU-hour"), "{}", done.out);

    let jobs = place.read("first/jobs.csv");
    let platforms = column(&jobs, "platform");
    let seeds = column(&jobs, "seed");
    let gpus = column(&jobs, "gpu_milli");
    let mut asked = [0_u64; 2];
    for ((platform, seed), gpus) in platforms.iter().zip(&seeds).zip(&gpus) {
        if platform == "best-fit" {
            asked[usize::from(seed == "2")] += gpus.parse::<u64>().unwrap();
        }
    }
    for asked in asked {
        // 130 % of 25 GPUs; the last pod may be one of 8.
        assert!((31_500..=39_500).contains(&asked), "{asked}");
    }
    let ends = column(&jobs, "final_state");
    assert!(
        ends.iter()
            .all(|end| end == "RUNNING" || end == "SUBMITTED")
    );
    let names = column(&jobs, "name");
    assert!(names.iter().any(|name| name.ends_with("-tuned-0")));

    let done = place.run("compare first/manifest.json --out second");
    assert_eq!(done.code, Some(0), "{done:?}");
    for file in ["summary.csv", "jobs.csv", "ledger.csv", "manifest.json"] {
        let (first, second) = (format!("first/{file}"), format!("second/{file}"));
        assert_eq!(place.read(&first), place.read(&second), "{file}");
    }
}

#[test]
fn pods_come_and_go_by_their_own_clock() {
    let scenario = FILL
        .replace("openb-fill", "openb")
        .replace("seeds = 2", "seeds = 1\nhorizon = \"150d\"");
    let place = place(&scenario);
    let done = place.run("compare fill.toml --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    let summary = place.read("out/summary.csv");
    assert_eq!(column(&summary, "jobs_submitted"), ["8", "8"]);
    assert_eq!(column(&summary, "jobs_completed"), ["8", "8"]);
    // Kubernetes spreads pods over the nodes of 8 GPUs, so the one that needs 8 waits.
    let makespan = column(&summary, "makespan_s");
    assert_eq!(makespan, ["12902960", "12906770"]);
}

/// What is wrong with the scenario after a replacement.
fn label(from: &str, to: &str) -> (String, String) {
    assert!(FILL.contains(from), "{from}");
    match Scenario::from_toml(&FILL.replacen(from, to, 1), "s.toml") {
        Err(ExperimentError::Scenario(error)) => (error.message, error.label),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_keys_are_pointed_at() {
    let (message, label_text) = label("usd_per_gpu_hour", "usd_per_gpuhour");
    assert_eq!(message, "unknown key `usd_per_gpuhour`");
    assert!(
        label_text.contains("did you mean `usd_per_gpu_hour`?"),
        "{label_text}"
    );
    let (message, label_text) = label("kind = \"openb\"", "kind = \"opnb\"");
    assert_eq!(message, "bad value for `kind`");
    assert!(label_text.contains("did you mean `openb`?"), "{label_text}");
    let both = "[[pools]]\nname = \"p\"\ngpus_per_node = 1\nnodes = 1\n[cluster]";
    let (message, label_text) = label("[cluster]", both);
    assert_eq!(message, "bad value for `cluster`");
    assert!(label_text.contains("either"), "{label_text}");
    let (message, label_text) = label("[cluster]", "[faults]");
    assert_eq!(message, "`pools` is missing");
    assert!(label_text.contains("or a [cluster]"), "{label_text}");
    let percent = "kind = \"openb-fill\"\npercent = 0";
    let (message, label_text) = label("kind = \"openb-fill\"", percent);
    assert_eq!(
        (&*message, &*label_text),
        ("bad value for `percent`", "it is from 1 to 1000")
    );
    let interval = "kind = \"openb-fill\"\ninterval = \"0s\"";
    let (_, label_text) = label("kind = \"openb-fill\"", interval);
    assert_eq!(label_text, "it is longer than 0s");
}

#[test]
fn a_list_of_nodes_that_is_missing_or_broken_leaves_nothing_behind() {
    let place = Place::new()
        .file("fill.toml", FILL)
        .file("openb_pods.csv", PODS);
    let done = place.run("compare fill.toml --out out");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("openb_nodes.csv"), "{}", done.err);
    let place = place.file(
        "openb_nodes.csv",
        NODES.replace("node-6,32000", "node-6,many"),
    );
    let done = place.run("compare fill.toml --out out");
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err
            .contains("openb_nodes.csv:8, column cpu_milli: `many` is not a number"),
        "{}",
        done.err
    );
    assert_eq!(
        place.entries(),
        ["fill.toml", "openb_nodes.csv", "openb_pods.csv"]
    );
}
