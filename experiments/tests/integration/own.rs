//! A policy made in code among the platforms of a scenario.

use windtunnel::core::SimDuration;
use windtunnel::output::{self, Folder, JobFiles};
use windtunnel::policies::Fifo;
use windtunnel::{
    ExperimentError, Hooks, IN_CODE, PlatformSpec, RecordSink, RunKey, Scenario, Sweep, explain,
};

use super::support::{Place, TINY};

fn tiny() -> Scenario {
    let mut scenario = Scenario::from_toml(TINY, "tiny").unwrap();
    scenario.run.seeds = vec![1, 2];
    scenario
}

/// Keeps the jobs.
struct Files(JobFiles);

impl Hooks for Files {
    fn records(&self, run: RunKey) -> Result<Option<Box<dyn RecordSink>>, ExperimentError> {
        self.0.sink(run).map(Some)
    }
}

#[test]
fn it_has_the_settings_of_the_first_platform_or_its_own() {
    let mut scenario = tiny();
    scenario.platforms[0].detection_delay = SimDuration::from_secs(40);
    let sweep = Sweep::new(scenario)
        .with_policy("like-strict", || Box::new(Fifo::default()))
        .with_platform(PlatformSpec::new("plain", "whatever"), || {
            Box::new(Fifo::default())
        });
    let comparison = sweep.threads(1).run().unwrap();
    let [strict, _, like, plain] = &comparison.scenario.platforms[..] else {
        panic!("four platforms");
    };
    assert_eq!(like.detection_delay, strict.detection_delay);
    assert_eq!(plain.detection_delay, SimDuration::ZERO);
    for own in [like, plain] {
        assert_eq!(own.policy, IN_CODE);
    }
    let digests = |place| -> Vec<String> {
        let runs = comparison.of_platform(place).iter();
        runs.map(|run| run.report.digest.to_string()).collect()
    };
    assert_eq!(digests(2), digests(0), "the same policy, the same runs");
    assert_ne!(digests(2), digests(1));
}

#[test]
fn it_may_be_the_only_one_and_its_name_is_its_own() {
    let mut scenario = tiny();
    scenario.platforms.clear();
    let sweep = Sweep::new(scenario).with_policy("mine", || Box::new(Fifo::default()));
    assert_eq!(sweep.run().unwrap().runs.len(), 2);
    let twice = Sweep::new(tiny()).with_policy("greedy", || Box::new(Fifo::default()));
    let error = twice.run().unwrap_err().to_string();
    assert!(error.contains("another one has this name"), "{error}");
}

/// It is in every file, and nobody pretends that the manifest is enough to run it again.
#[test]
fn it_is_in_the_files_but_not_run_from_the_manifest() {
    let place = Place::new();
    let folder = Folder::begin(&place.path("out")).unwrap();
    let sweep = Sweep::new(tiny()).with_policy("mine", || Box::new(Fifo::default()));
    let files = Files(JobFiles::new(&folder, sweep.scenario()));
    let comparison = sweep.run_with(&files).unwrap();
    files.0.join().unwrap();
    output::write(&folder, &comparison).unwrap();
    folder.commit().unwrap();
    for file in ["summary.csv", "jobs.csv", "ledger.csv"] {
        assert!(
            place.read(&format!("out/{file}")).contains("mine,"),
            "{file}"
        );
    }
    let done = place.run("compare out/manifest.json --out again");
    assert_eq!(done.code, Some(2));
    let hint = "it was made in code: run the program again that made it, or take this platform out";
    assert!(done.err.contains(hint), "{}", done.err);
    assert!(!place.path("again").exists());
    let error = explain::life(&comparison.scenario, 2, 0, "job-0").unwrap_err();
    let expected = "the policy of platform `mine` was made in code\n  hint: run the program again \
                    that made it, or leave this platform out";
    assert_eq!(error.to_string(), expected);
    let again = Sweep::new(comparison.scenario).run().unwrap_err();
    assert_eq!(again.to_string(), expected);
}
