//! Behaviours and speed models in scenario files.

use windtunnel::core::Bucket;
use windtunnel::{Scenario, Sweep};

use super::support::Place;

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
    let missing = said("mix = [[\"notebook\", 1]]", "");
    assert!(missing.contains("`mix` is missing"), "{missing}");
    let text = said("mix = [[\"notebook\", 1]]", "toml = \"behaviours = 1\"");
    assert!(text.contains("toml of [behaviours]:1:14"), "{text}");
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
    let behaviours = scenario.behaviours.as_ref().unwrap();
    assert_eq!(
        (&behaviours.file, behaviours.toml.as_deref()),
        (&None, Some(own))
    );
    // Its echo needs no other file.
    std::fs::remove_file(folder.path().join("own.toml")).unwrap();
    let again = Scenario::from_toml(&scenario.to_toml().unwrap(), "again.toml").unwrap();
    assert_eq!(again, scenario);
    std::fs::write(folder.path().join("own.toml"), own).unwrap();
    std::fs::write(&path, text.replace("\"mine\"", "\"yours\"")).unwrap();
    let error = Scenario::load(&path).unwrap_err().to_string();
    assert!(error.contains("there is no behaviour `yours`"), "{error}");
}

#[test]
fn rows_of_a_table_name_their_behaviour() {
    let own = "[[behaviours]]\nname = \"mine\"\nsource = \"me\"\nverification = \"general\"\n\
               cycle = { phases = [[\"1 h\", 0.25]] }\n";
    let jobs = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,behaviour\n\
                a,0,36000,1,mine\nb,0,36000,1,\nc,0,36000,1,notebook\nd,0,36000,1,notebok\n";
    let place = Place::new().file("own.toml", own).file("jobs.csv", jobs);
    let workload = "kind = \"native\"\npath = \"jobs.csv\"";
    let text = SCENARIO.replace(
        "kind = \"synthetic\"\njobs = 4\nwindow = \"1s\"\nrun_median = \"10h\"",
        workload,
    );
    let text = text.replace("mix = [[\"notebook\", 1]]", "file = \"own.toml\"");
    let place = place.file("s.toml", text);
    let comparison = Sweep::new(Scenario::load(&place.path("s.toml")).unwrap())
        .run()
        .unwrap();
    let counts = comparison.trace.as_ref().unwrap().counts;
    assert_eq!((counts.jobs, counts.dropped), (3, 1));
    let issue = &comparison.trace.as_ref().unwrap().issues[0];
    assert!(issue.hint.contains("did you mean `notebook`?"), "{issue:?}");
    // 0.75 of the first and 0.91 of the third, over ten hours; the second has none.
    let ledger = comparison.of_platform(1)[0].report.ledger.as_ref().unwrap();
    let underused = ledger.gpu_hours(Bucket::AllocatedUnderused);
    assert!((underused - 16.6).abs() < 0.01, "{underused}");

    // What was run can be run again without the file.
    let done = place.run("compare s.toml --out out --no-jobs");
    assert_eq!(done.code, Some(0), "{}", done.err);
    std::fs::remove_file(place.path("own.toml")).unwrap();
    let again = place.run("compare out/manifest.json --out again --no-jobs");
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(place.read("again/ledger.csv"), place.read("out/ledger.csv"));
}

#[test]
fn the_program_lists_them() {
    let own = "[[behaviours]]\nname = \"mine\"\nsource = \"me\"\nverification = \"general\"\n";
    let place = Place::new().file("own.toml", own);
    let all = place.run("behaviours own.toml");
    assert_eq!(all.code, Some(0), "{}", all.err);
    let notebook =
        "notebook\n    compute 0.6; memory 4 GiB; far cores -0.1; phases of 9m at 0.6, 51m at 0\n";
    assert!(all.out.contains(notebook), "{}", all.out);
    let mine = "mine\n    busy all the time, as fast anywhere\n        me (general)\n";
    assert!(all.out.contains(mine), "{}", all.out);
    let names = all.out.lines().take_while(|line| !line.is_empty());
    let names = names.filter(|line| !line.starts_with(' '));
    let embedded = windtunnel::Behaviours::embedded().profiles().len();
    assert_eq!(names.count(), embedded + 1);
    assert!(all.out.lines().all(|line| line.chars().count() <= 80));
    let none = place.run("behaviours none.toml");
    assert_eq!(none.code, Some(2), "{}", none.out);
}
