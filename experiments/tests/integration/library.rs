//! Scenarios as data: read, written, described.

use windtunnel::{EMBEDDED, Scenario, Sweep};

use super::support::{Place, TINY};

#[test]
fn what_is_read_can_be_written_and_read_again() {
    for (text, name) in [(TINY, "tiny"), (EMBEDDED[0].text, "campus")] {
        let scenario = Scenario::from_toml(text, name).unwrap();
        let again = Scenario::from_toml(&scenario.to_toml().unwrap(), "again").unwrap();
        assert_eq!(scenario, again);
        assert_eq!(
            scenario.clone().complete().unwrap(),
            scenario,
            "completing it changes nothing"
        );
    }
}

/// What a file says of the fabric reaches the engine and is echoed; a platform has the last word on RDMA.
#[test]
fn a_fabric_from_a_file() {
    let fabric = "[fabric]\nnodes_per_rack = 4\nracks_per_pod = 2\nrack_oversubscription = 2.5\n\
                  transport = \"roce\"\n[[pools]]\nnodes_per_domain = 2\nnodes_per_rack = 2";
    let text = TINY.replace("[[pools]]", fabric);
    let text = text.replacen("policy = \"fifo\"", "policy = \"fifo\"\nrdma = false", 1);
    let scenario = Scenario::from_toml(&text, "ours").unwrap();
    let supply = scenario.supply();
    let expected = windtunnel_core::Fabric {
        nodes_per_rack: 4,
        racks_per_pod: 2,
        rack_oversubscription: 2_500,
        transport: windtunnel_core::Transport::Roce,
        ..windtunnel_core::Fabric::default()
    };
    assert_eq!(supply.fabric, expected);
    let pool = &supply.pools[0];
    assert_eq!(
        (pool.nodes_per_domain(), pool.nodes_per_rack(&expected)),
        (2, 2)
    );
    let rdma = scenario.platforms.iter().find_map(|platform| platform.rdma);
    assert_eq!(rdma, Some(false));
    let again = Scenario::from_toml(&scenario.to_toml().unwrap(), "again").unwrap();
    assert_eq!(scenario, again);
}

/// The price in the file is the formula in its comment.
#[test]
fn campus_costs_what_its_comment_says() {
    let campus = Scenario::campus();
    let node = 325_000.0 * 1.12 / (4.0 * 8_760.0) + 10.2 * 200.0 * 12.0 / 8_760.0;
    let given = campus.pools[0].usd_per_node_hour.as_dollars();
    assert!((node - given).abs() < 1e-6, "{node} and {given}");
    assert_eq!(campus.gpu_count(), 304);
    assert_eq!(campus.run.seeds.len(), 10);
}

/// What the comment in campus says holds the work, does so, and without it the work grows along.
#[test]
fn campus_keeps_its_work_where_its_comment_says() {
    let work = |lines: &str| {
        let text = EMBEDDED[0].text;
        let text = text.replace("nodes = 38", "nodes = 76");
        let text = text.replace("horizon = \"30 d\"", "horizon = \"60 d\"");
        let text = text.replace("load = 0.9\n", &format!("load = 0.9\n{lines}"));
        let mut scenario = Scenario::from_toml(&text, "mine").unwrap();
        scenario.run.seeds.truncate(1);
        scenario
            .platforms
            .retain(|platform| platform.name == "fifo");
        let comparison = Sweep::new(scenario).threads(1).run().unwrap();
        comparison.sizes[0].unwrap().offered_load
    };
    let comment = EMBEDDED[0].text.lines();
    let held: Vec<&str> = comment
        .filter_map(|line| line.strip_prefix("#     "))
        .filter(|line| line.starts_with("gpus = ") || line.starts_with("window = "))
        .collect();
    assert_eq!(held.len(), 2);
    // Twice the GPUs for twice as long: a quarter of the load.
    let held = work(&format!("{}\n", held.join("\n")));
    assert!((held - 0.9 / 4.0).abs() < 1e-3, "{held}");
    let along = work("");
    assert!((along - 0.9).abs() < 1e-3, "{along}");
}

/// Policies that would make the first page longer and not clearer: the jobs have neither priorities
/// nor a log, two differ in placement alone, and conservative backfilling takes its time.
const NOT_IN_CAMPUS: [&str; 5] = [
    "conservative-backfill",
    "priority",
    "random",
    "replay",
    "worst-fit",
];

#[test]
fn every_other_policy_is_in_campus() {
    let campus = Scenario::campus();
    for info in windtunnel::policies::known() {
        if NOT_IN_CAMPUS.contains(&info.name) {
            continue;
        }
        let found = campus
            .platforms
            .iter()
            .any(|platform| platform.name == info.name);
        assert!(found, "{} is not compared", info.name);
    }
}

#[test]
fn the_schema_is_json_and_names_every_key_that_is_written() {
    let done = Place::new().run("schema");
    assert_eq!(done.code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(schema["title"], "Scenario");
    let scenario = serde_json::to_value(Scenario::campus()).unwrap();
    for key in keys(&scenario) {
        assert!(done.out.contains(&format!("\"{key}\"")), "{key}");
    }
}

fn keys(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(map) => {
            let below = map.values().flat_map(keys);
            map.keys().cloned().chain(below).collect()
        }
        serde_json::Value::Array(list) => list.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn help_and_lists_print() {
    let place = Place::new();
    let done = place.run("policies");
    assert_eq!(done.code, Some(0));
    for info in windtunnel::policies::known() {
        assert!(
            done.out.contains(info.name) && info.params.iter().all(|p| done.out.contains(p.name))
        );
    }
    assert_eq!(place.run("scenario campus").out, EMBEDDED[0].text);
    assert_eq!(place.run("--help").code, Some(0));
}
