//! `windtunnel explain`: what it prints, what it refuses, and that its times are those of `jobs.csv`.

use windtunnel::core::{REASONS, Reason};
use windtunnel::explain::{self, Chapter, Fate};
use windtunnel::{PlatformSpec, Scenario};

use super::golden::check_in;
use super::support::{Place, TINY};

/// The tiny scenario, compared with three seeds into `out`.
fn compared() -> Place {
    let place = Place::with_tiny();
    let done = place.run("compare tiny.toml --seeds 3 --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    place
}

/// Nodes fail often, so that jobs start more than once.
fn faulty() -> String {
    TINY.replace(
        "[[pools]]",
        "[faults]\nmtbf = \"5 h\"\nmttr = \"1 h\"\n\n[[pools]]",
    )
}

#[test]
fn the_life_of_a_job_that_waited_in_line() {
    check_in(&compared(), "explain.txt", "explain out strict job-14");
}

#[test]
fn the_life_of_a_job_that_did_not_fit() {
    check_in(
        &compared(),
        "explain_fragmented.txt",
        "explain out/manifest.json greedy 8 --seed 2",
    );
}

#[test]
fn the_life_of_a_job_that_lost_its_node() {
    let place = Place::new().file("faulty.toml", faulty());
    let done = place.run("compare faulty.toml --seeds 1 --out out");
    assert_eq!(done.code, Some(0), "{done:?}");
    check_in(&place, "explain_lost_node.txt", "explain out greedy job-18");
}

/// Chapters follow one another without a gap, and the waits sum up to what the record says by reason.
fn check_life(scenario: &Scenario, platform: usize, seed: usize, job: &str) {
    let life = explain::life(scenario, platform, seed, job).unwrap();
    let record = &life.record;
    let mut waited = [0; REASONS];
    let mut at = record.submit;
    for chapter in &life.chapters {
        let (from, until) = match chapter {
            Chapter::Wait(wait) => {
                waited[wait.why().index()] += wait.length().as_nanos();
                (wait.from, wait.until)
            }
            Chapter::Stay(stay) => (stay.from, stay.until),
        };
        assert_eq!(from, at, "{job}: {:?}", life.chapters);
        at = until;
    }
    assert_eq!(at, record.end, "{job}: {:?}", life.chapters);
    assert_eq!(waited, record.waited, "{job}: {:?}", life.chapters);
    let stays = life.chapters.iter().filter_map(|chapter| match chapter {
        Chapter::Stay(stay) => Some(stay.until.since(stay.from).as_nanos()),
        Chapter::Wait(_) => None,
    });
    assert_eq!(stays.sum::<u64>(), record.run_time().as_nanos(), "{job}");
    let folded: u64 = life.folded(1).iter().fold(0, |sum, chapter| match chapter {
        Chapter::Wait(wait) => sum + wait.length().as_nanos(),
        Chapter::Stay(_) => sum,
    });
    assert_eq!(folded, record.queued().as_nanos(), "{job}");
}

#[test]
fn the_waits_are_those_of_the_record() {
    let mut scenario = Scenario::from_toml(&faulty(), "faulty.toml").unwrap();
    scenario
        .platforms
        .push(PlatformSpec::new("kube", "kube-default"));
    let scenario = scenario.complete().unwrap();
    for platform in 0..scenario.platforms.len() {
        for job in 0..40 {
            check_life(&scenario, platform, 0, &format!("job-{job}"));
        }
    }
}

#[test]
fn elsewhere_is_what_the_other_platform_did() {
    let scenario = Scenario::from_toml(TINY, "tiny.toml").unwrap();
    let mut waited = 0;
    for job in 0..40 {
        let here = explain::life(&scenario, 0, 1, &job.to_string()).unwrap();
        let there = explain::life(&scenario, 1, 1, &job.to_string()).unwrap();
        let elsewhere = explain::elsewhere(&scenario, &here).unwrap();
        let expected = there.record.start.map_or(Fate::StillWaiting, Fate::Started);
        assert_eq!(elsewhere.len(), 1);
        assert_eq!(elsewhere[0].fate, expected, "job {job}");
        waited += u32::from(here.record.waited[Reason::HeadOfLine.index()] > 0);
    }
    assert!(waited > 0, "strict fifo lets somebody wait in line");
}

#[test]
fn left_out_it_is_the_job_that_waited_longest() {
    let place = compared();
    let table = place.read("out/jobs.csv");
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let places = (at("job_id"), at("platform"), at("seed"), at("queued_s"));
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    let rows = rows.filter(|row| row[places.1] == "strict" && row[places.2] == "2");
    let longest = rows.max_by(|a, b| {
        let queued = |row: &[&str]| row[places.3].parse::<f64>().unwrap();
        queued(a).total_cmp(&queued(b))
    });
    let done = place.run("explain out strict --seed 2");
    assert_eq!(done.code, Some(0), "{done:?}");
    let job = longest.unwrap()[places.0].to_owned();
    assert!(
        done.out.starts_with(&format!("{job}  ")),
        "{job}: {}",
        done.out
    );
}

#[test]
fn what_is_not_there_is_told() {
    let place = compared();
    for (arguments, what) in [
        (
            "explain out",
            "which platform of `out`?: say windtunnel explain out strict; it has strict, greedy",
        ),
        ("explain out strct job-1", "did you mean `strict`?"),
        ("explain out strict job-40", "ids go from job-0 to job-39"),
        ("explain out strict job-1 --seed 9", "its seeds: 1, 2, 3"),
        ("explain nowhere strict job-1", "there is no `nowhere`"),
        (
            "explain tiny.toml strict job-1",
            "`tiny.toml` is no manifest",
        ),
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{arguments}: {done:?}");
        assert!(done.err.contains(what), "{arguments}: {}", done.err);
        assert!(done.out.is_empty(), "{arguments}");
    }
}

#[test]
fn a_run_that_is_not_the_one_of_the_manifest_falls_short() {
    let place = compared();
    let manifest = place.read("out/manifest.json");
    let start = manifest.find("\"digest\": \"").unwrap() + 11;
    let broken = format!(
        "{}{:016x}{}",
        &manifest[..start],
        1,
        &manifest[start + 16..]
    );
    let place = place.file("out/manifest.json", broken);
    let done = place.run("explain out strict job-1");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("check failed: strict, seed 1: digest"),
        "{}",
        done.err
    );
    assert!(done.out.is_empty(), "nothing is told of another run");
    assert_eq!(
        place.run("explain out greedy job-1").code,
        Some(0),
        "that one is the same"
    );
}

#[test]
fn names_of_the_trace() {
    let table = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\n\
                 train,0,60,4\neval,1,60,8\neval,2,60,1\njob-0,3,60,1\n17,4,60,1\n";
    let start = TINY.find("[workload]").unwrap();
    let end = TINY.find("[[pools]]").unwrap();
    let workload = "[workload]\nkind = \"native\"\npath = \"jobs.csv\"\n\n";
    let scenario = format!("{}{workload}{}", &TINY[..start], &TINY[end..]);
    let place = Place::new()
        .file("jobs.csv", table)
        .file("s.toml", scenario);
    assert_eq!(
        place.run("compare s.toml --seeds 1 --out out").code,
        Some(0)
    );
    for (job, what) in [
        ("train", "job-0 (train)"),
        ("job-1", "job-1 (eval)"),
        ("2", "job-2 (eval)"),
        ("17", "job-4 (17)"),
        ("job-0", "note: job-3 bears the name `job-0`"),
    ] {
        let done = place.run(&format!("explain out strict {job}"));
        assert_eq!(done.code, Some(0), "{job}: {done:?}");
        assert!(done.out.contains(what), "{job}: {}", done.out);
    }
    for (job, what) in [
        ("eval", "2 jobs are named `eval`: say which: job-1, job-2"),
        ("trian", "did you mean `train`?"),
    ] {
        let done = place.run(&format!("explain out strict {job}"));
        assert_eq!(done.code, Some(2), "{job}: {done:?}");
        assert!(done.err.contains(what), "{job}: {}", done.err);
    }
}
