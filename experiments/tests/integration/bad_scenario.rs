//! Errors in scenario files point at their place.

use windtunnel::{ExperimentError, SLOTS_PER_GPU, Scenario};
use windtunnel_core::Sharing;

use super::support::{Place, TINY};

/// The tiny scenario with one text replaced by another.
fn with(from: &str, to: &str) -> String {
    assert!(TINY.contains(from), "{from}");
    TINY.replacen(from, to, 1)
}

/// Reading fails with this message and this label, under the text `at` in its line.
fn check(text: &str, message: &str, at: &str, label: &str) {
    let error = match Scenario::from_toml(text, "s.toml") {
        Err(ExperimentError::Scenario(error)) => error,
        other => panic!("{message}: {other:?}"),
    };
    assert_eq!(error.message, message);
    let shown: String = error
        .excerpt
        .chars()
        .skip(error.column - 1)
        .take(error.width)
        .collect();
    assert_eq!(shown, at, "{error}");
    assert!(error.label.contains(label), "{error}");
    assert_eq!(
        text.lines().nth(error.line - 1),
        Some(&*error.excerpt),
        "{error}"
    );
}

#[test]
fn the_whole_message() {
    let place = Place::new().file("ours.toml", with("policy = \"fifo\"", "polcy = \"fifo\""));
    let done = place.run("compare ours.toml");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "\
error: unknown key `polcy`
   --> ours.toml:25:1
   |
25 | polcy = \"fifo\"
   | ^^^^^ did you mean `policy`? [[platforms]] takes: name, policy, gang_timeout, on_loss, sharing, \
         slots_per_gpu, mig_reconfigure, retries, devices, speed, detection_delay, driver_failure, driver_retry_min, driver_retry_max, limit, rdma, staff_usd_per_hour, staff_usd_per_gpu_hour, control_plane_usd_per_hour
"
    );
    assert_eq!(place.entries(), ["ours.toml"]);
}

#[test]
fn instances_that_can_not_be() {
    let asks = |model: &str, instances: &str| {
        let drawn = with(
            "gpu_mix =",
            &format!("gpu_instances = {instances}\ngpu_mix ="),
        );
        drawn.replacen(
            "gpus_per_node",
            &format!("gpu_model = \"{model}\"\ngpus_per_node"),
            1,
        )
    };
    let bad = |model: &str, instance: &str, label: &str| {
        let message = "bad value for `gpu_instances`";
        check(
            &asks(model, &format!("[{instance}]")),
            message,
            instance,
            label,
        );
    };
    let all = "h200 has 1g.18gb, 1g.35gb, 2g.35gb, 3g.71gb, 4g.71gb, 7g.141gb; 1g, 1g.double, 2g, ";
    bad("h200", "[\"4g.40gb\", 1]", all);
    bad("h200", "[\"5g\", 1]", all);
    bad("h200", "[\"1g.18gb+me\", 1]", "leave out `+me`");
    bad("h200", "[\"7g\", 1]", "gpu_mix = [[1, …]]");
    bad("h200", "[4, 1]", "expected [MIG profile, weight]");
    bad("h200", "[\"4g\"]", "expected [MIG profile, weight]");
    bad("h200", "[\"4g\", -1]", "it is from 0 to 1000000");
    bad("a30", "[\"2g\", 1]", "gpu_parts = [[500, …]]");
    bad("v100", "[\"4g\", 1]", "no pool has GPUs with MIG");
}

#[test]
fn sharing_that_can_not_be() {
    let shared = |keys: &str| with("policy = \"fifo\"", &format!("policy = \"fifo\"\n{keys}"));
    check(
        &shared("sharing = \"mig\""),
        "bad value for `name`",
        "\"lab\"",
        "the pool is to be shared by MIG, which these models have: a100-sxm4-40, ",
    );
    check(
        &shared("slots_per_gpu = 4"),
        "bad value for `slots_per_gpu`",
        "4",
        "give `sharing = \"time-sliced\"`, too",
    );
    check(
        &shared("sharing = \"time-sliced\"\nslots_per_gpu = 49"),
        "bad value for `slots_per_gpu`",
        "49",
        "48",
    );
    let own = with("gpus_per_node", "sharing = \"time-sliced\"\ngpus_per_node");
    let scenario = Scenario::from_toml(&own, "s.toml").unwrap();
    let platform = scenario.platform(&scenario.platforms[0]).unwrap();
    let slots = SLOTS_PER_GPU;
    assert_eq!(platform.pools[0].1.sharing, Sharing::TimeSliced { slots });
    assert_eq!(platform.pool_default.sharing, Sharing::Exclusive);
}

#[test]
fn unknown_and_missing_keys() {
    let run = "[scenario] takes: name, seeds, horizon, sample_every";
    check(
        &with("seeds = 10", "sedes = 3"),
        "unknown key `sedes`",
        "sedes",
        run,
    );
    check(
        &with("nodes = 2", "node = 2"),
        "unknown key `node`",
        "node",
        "did you mean `nodes`?",
    );
    check(
        &with("usd_per_node_hour", "usd_per_gpu_hour"),
        "unknown key `usd_per_gpu_hour`",
        "usd_per_gpu_hour",
        "a pool's price is per node: multiply by gpus_per_node and write `usd_per_node_hour`; \
         [[pools]] takes: name, ",
    );
    check(
        &with("[[pools]]", "[[pool]]"),
        "unknown key `pool`",
        "pool",
        "did you mean `pools`?",
    );
    check(
        &with("gpu_mix", "gpumix"),
        "unknown key `gpumix`",
        "gpumix",
        "did you mean `gpu_mix`?",
    );
    check(
        &with("policy = \"fifo\"\n", ""),
        "`policy` is missing",
        "[[platforms]]",
        "needs name, policy",
    );
    check(
        &with("kind = \"synthetic\"\n", ""),
        "`kind` is missing",
        "[workload]",
        "campus",
    );
    check(
        &with("nodes = 2\n", ""),
        "bad value for `name`",
        "\"lab\"",
        "either `nodes`",
    );
}

#[test]
fn bad_values() {
    let bad = |from: &str, to: &str, key: &str, at: &str, label: &str| {
        check(
            &with(from, to),
            &format!("bad value for `{key}`"),
            at,
            label,
        );
    };
    for (fabric, key, at, label) in [
        (
            "transport = \"infinband\"",
            "transport",
            "\"infinband\"",
            "did you mean `infiniband`? it is one of",
        ),
        (
            "rack_oversubscription = 0.5",
            "rack_oversubscription",
            "0.5",
            "1",
        ),
        ("rdma = 1", "rdma", "1", "true"),
    ] {
        let fabric = format!("[fabric]\n{fabric}\n[[pools]]");
        bad("[[pools]]", &fabric, key, at, label);
    }
    bad(
        "nodes = 2",
        "nodes = 2\nnodes_per_domain = 3\nnodes_per_rack = 4",
        "nodes_per_rack",
        "4",
        "NVLink domains of 3 nodes do not fill racks of 4: let nodes_per_rack be a multiple of 3",
    );
    bad(
        "horizon = \"1 d\"",
        "horizon = \"1 x\"",
        "horizon",
        "\"1 x\"",
        "needs a unit",
    );
    bad(
        "horizon = \"1 d\"",
        "horizon = \"-1 d\"",
        "horizon",
        "\"-1 d\"",
        "is not a duration",
    );
    bad(
        "horizon = \"1 d\"",
        "horizon = 30",
        "horizon",
        "30",
        "or \"drain\"",
    );
    bad(
        "startup = \"1 min\"",
        "startup = \"-1 min\"",
        "startup",
        "\"-1 min\"",
        "is not a duration",
    );
    bad("seeds = 10", "seeds = -3", "seeds", "-3", "from 1 to");
    bad(
        "seeds = 10",
        "seeds = [1, 2, 1]",
        "seeds",
        "1",
        "in the list already",
    );
    bad(
        "load = 1.1",
        "load = nan",
        "load",
        "nan",
        "from 0.000001 to 1000",
    );
    bad(
        "load = 1.1",
        "load = 1e300",
        "load",
        "1e300",
        "from 0.000001 to 1000",
    );
    bad(
        "usd_per_node_hour = 4.0",
        "usd_per_node_hour = -4.0",
        "usd_per_node_hour",
        "-4.0",
        "from 0",
    );
    bad(
        "nodes = 2",
        "nodes = 99999999999999999999",
        "nodes",
        "99999999999999999999",
        "from 1",
    );
    bad(
        "nodes = 2",
        "nodes = \"two\"",
        "nodes",
        "\"two\"",
        "found a text",
    );
    bad(
        "gpu_mix = [[1, 6]",
        "gpu_mix = [[1, 6, 5]",
        "gpu_mix",
        "[1, 6, 5]",
        "[GPUs, weight]",
    );
    bad(
        "gpu_mix = [[1, 6]",
        "gpu_parts = [[1000, 1]]\ngpu_mix = [[1, 6]",
        "gpu_parts",
        "[1000, 1]",
        "it is from 1 to 999",
    );
    bad(
        "kind = \"synthetic\"",
        "kind = \"synthtic\"",
        "kind",
        "\"synthtic\"",
        "did you mean `synthetic`?",
    );
    bad(
        "\"fifo\"",
        "\"fif\"",
        "policy",
        "\"fif\"",
        "did you mean `fifo`?",
    );
    bad(
        "\"fifo\"",
        "\"fifo{never=no}\"",
        "policy",
        "\"fifo{never=no}\"",
        "expected `reject` or `wait`",
    );
    bad(
        "name = \"greedy\"",
        "name = \"strict\"",
        "name",
        "\"strict\"",
        "another one",
    );
    check(
        &with("seeds = 10", "seeds = = 3"),
        "this is not TOML",
        "=",
        "",
    );
}

#[test]
fn a_load_that_jobs_can_not_give() {
    let text = with("load = 1.1", "load = 90\nrun_max = \"2 h\"");
    let place = Place::new().file("ours.toml", text);
    for arguments in ["compare ours.toml", "run ours.toml --platform strict"] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{done:?}");
        let lines: Vec<&str> = done.err.lines().collect();
        let [message, file, _, excerpt, hint] = lines[..] else {
            panic!("{}", done.err);
        };
        let start = "error: synthetic workload: load 90 is out of reach, run times within their bounds \
                     give 0.0";
        assert!(message.starts_with(start), "{message}");
        assert_eq!(file, "   --> ours.toml:10:8");
        assert_eq!(excerpt, "10 | load = 90");
        assert_eq!(
            hint,
            "   |        ^^ 90 % is 0.9; else change `jobs`, `run_min` or `run_max`"
        );
        assert_eq!(place.entries(), ["ours.toml"]);
    }
}
