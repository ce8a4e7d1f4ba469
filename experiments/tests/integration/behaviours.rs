//! Behaviours and speed models in scenario files.

use windtunnel::core::Bucket;
use windtunnel::{Scenario, Sweep};

const SCENARIO: &str = r#"
[scenario]
name = "phases"
horizon = "10h"

[workload]
kind = "synthetic"
jobs = 4
window = "1s"
run_median = "10h"

[behaviours]
mix = [["notebook", 1]]

[[pools]]
name = "gpus"
nodes = 1
gpus_per_node = 4

[[platforms]]
name = "plain"
policy = "fifo"

[[platforms]]
name = "all that is known"
policy = "fifo"
speed = "topology"
"#;

#[test]
fn the_speed_model_decides_whether_phases_count() {
    let scenario = Scenario::from_toml(SCENARIO, "phases.toml").unwrap();
    let again = Scenario::from_toml(&scenario.to_toml().unwrap(), "again.toml").unwrap();
    assert_eq!(again, scenario);
    let comparison = Sweep::new(scenario).run().unwrap();
    let underused = |platform: usize| {
        let ledger = comparison.of_platform(platform)[0]
            .report
            .ledger
            .as_ref()
            .unwrap();
        let part = ledger.gpu_hours(Bucket::AllocatedUnderused);
        let busy = ledger.gpu_hours(Bucket::AllocatedUseful);
        part / (part + busy)
    };
    assert!(underused(0) < 1e-9);
    // Nine minutes of an hour at 0.6.
    assert!((underused(1) - 0.91).abs() < 0.001, "{}", underused(1));
}

#[test]
fn bad_behaviours_and_speeds_are_refused_with_a_place_and_a_hint() {
    let said = |from: &str, to: &str| {
        let text = SCENARIO.replace(from, to);
        assert_ne!(text, SCENARIO);
        Scenario::from_toml(&text, "phases.toml")
            .unwrap_err()
            .to_string()
    };
    let typo = said("\"notebook\"", "\"notebok\"");
    assert!(typo.contains("phases.toml:13:7"), "{typo}");
    assert!(typo.contains("did you mean `notebook`?"), "{typo}");
    let none = said("[[\"notebook\", 1]]", "[]");
    assert!(none.contains("at least one"), "{none}");
    let word = said("\"topology\"", "\"topologie\"");
    assert!(word.contains("did you mean `topology`?"), "{word}");
    let key = said(
        "mix = [[\"notebook\", 1]]",
        "mix = [[\"notebook\", 1]]\nmixx = 1",
    );
    assert!(key.contains("mixx"), "{key}");
}

#[test]
fn a_file_of_one_s_own_lies_beside_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[behaviours]]\nname = \"mine\"\nsource = \"me\"\nverification = \"general\"\ncompute_use = 0.25\n";
    std::fs::write(folder.path().join("own.toml"), own).unwrap();
    let text = SCENARIO.replace(
        "[[\"notebook\", 1]]",
        "[[\"mine\", 1]]\nfile = \"own.toml\"",
    );
    let path = folder.path().join("scenario.toml");
    std::fs::write(&path, &text).unwrap();
    let scenario = Scenario::load(&path).unwrap();
    assert!(scenario.behaviours.unwrap().file.unwrap().is_absolute());
    std::fs::write(&path, text.replace("\"mine\"", "\"yours\"")).unwrap();
    let error = Scenario::load(&path).unwrap_err().to_string();
    assert!(error.contains("there is no behaviour `yours`"), "{error}");
}
