//! `windtunnel diff`: what it prints, what it refuses, and that it parts runs where their timelines part.

use std::collections::BTreeMap;

use windtunnel::Scenario;
use windtunnel::core::{
    JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest,
    Timeline,
};
use windtunnel::diff::{self, Chosen, DiffError, diff};
use windtunnel::policies::policy;

use super::golden::check_in;
use super::support::{Place, TINY};

#[test]
fn two_platforms_of_one_folder() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --seeds 2 --out out").code,
        Some(0)
    );
    check_in(&place, "diff.txt", "diff out strict greedy --seed 2");
    let other = place.run("diff out:strict out/manifest.json:greedy --seed 2");
    let three = place.run("diff out strict greedy --seed 2");
    assert_eq!(other.out, three.out, "both forms name the same runs");
}

#[test]
fn a_policy_that_is_no_platform() {
    let place = Place::with_tiny();
    let done = place.run("diff tiny.toml strict easy-backfill{order=sjf}");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("they part"), "{}", done.out);
    let same = place.run("diff tiny.toml strict fifo");
    assert!(same.out.contains("never part: 40 jobs"), "{}", same.out);
}

#[test]
fn a_run_against_itself() {
    let place = Place::with_tiny();
    let done = place.run("diff tiny.toml strict strict");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("never part: 40 jobs"), "{}", done.out);
    assert!(done.out.contains("digests are equal"), "{}", done.out);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let place = Place::with_tiny();
    let place = place.file("other.toml", TINY.replace("jobs = 40", "jobs = 41"));
    for (arguments, what) in [
        ("diff tiny.toml:strict strict", "can't read `strict`"),
        ("diff tiny.toml tiny.toml", "say tiny.toml:strict"),
        ("diff tiny.toml strict greddy", "did you mean `greedy`?"),
        ("diff tiny.toml strict greedy --seed 77", "has no seed 77"),
        (
            "diff tiny.toml:strict other.toml:strict",
            "the runs have different jobs: job-",
        ),
        ("diff tiny.toml", "RUN"),
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{arguments}: {done:?}");
        assert!(done.err.contains(what), "{arguments}: {}", done.err);
        assert!(done.out.is_empty(), "{arguments}");
    }
}

#[test]
fn a_run_that_is_not_the_one_of_the_manifest_falls_short() {
    let place = Place::with_tiny();
    assert_eq!(
        place.run("compare tiny.toml --seeds 1 --out out").code,
        Some(0)
    );
    let manifest = place.read("out/manifest.json");
    let start = manifest.rfind("\"digest\": \"").unwrap() + 11;
    let broken = format!(
        "{}{:016x}{}",
        &manifest[..start],
        1,
        &manifest[start + 16..]
    );
    let place = place.file("out/manifest.json", broken);
    let done = place.run("diff out strict greedy");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("check failed: greedy, seed 1"),
        "{}",
        done.err
    );
}

fn simulation(policy_text: &str, jobs: &[JobSpec]) -> Simulation {
    let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 3);
    let jobs = JobList::new(jobs.to_vec());
    let policy = policy(policy_text).unwrap();
    Simulation::new(supply, jobs, policy, RunOptions::default()).unwrap()
}

/// Jobs of a small linear congruence: sizes 1 to 4, lengths 1 to 60 s, close together.
fn jobs(seed: u64) -> Vec<JobSpec> {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut at = 0;
    let job = |_| {
        at += next(8);
        let gpus = u16::try_from(1 + next(4)).unwrap();
        let length = SimDuration::from_secs(1 + next(60));
        JobSpec::new(SimTime::from_secs(at), TaskRequest::gpus(gpus), length)
    };
    (0..40).map(job).collect()
}

/// The lines of a timeline by time, sorted within an instant.
fn timeline(policy: &str, jobs: &[JobSpec]) -> BTreeMap<u64, Vec<String>> {
    let mut timeline = Timeline::default();
    simulation(policy, jobs).run_with(&mut timeline).unwrap();
    let mut by_time: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in timeline.text().lines() {
        let (time, what) = line.strip_prefix("t=").unwrap().split_once("job-").unwrap();
        let time: SimDuration = time.trim().parse().unwrap();
        by_time
            .entry(time.as_nanos())
            .or_default()
            .push(what.to_owned());
    }
    by_time.values_mut().for_each(|lines| lines.sort_unstable());
    by_time
}

#[test]
fn runs_part_where_their_timelines_do() {
    let (mut parted, mut beyond) = (0, 0);
    for seed in 0..20 {
        let jobs = jobs(seed);
        for (a, b) in [
            ("fifo", "first-fit"),
            ("first-fit", "best-fit"),
            ("fifo", "kube-default"),
        ] {
            let (left, right) = (timeline(a, &jobs), timeline(b, &jobs));
            let times: Vec<u64> = left.keys().chain(right.keys()).copied().collect();
            let expected = times
                .into_iter()
                .filter(|at| left.get(at) != right.get(at))
                .min();
            let found = diff(simulation(a, &jobs), simulation(b, &jobs)).unwrap();
            let at = found.parting.as_ref().map(|parting| parting.at.as_nanos());
            assert_eq!(at, expected, "seed {seed}, {a} and {b}:\n{found}");
            parted += u32::from(at.is_some());
            if let Some(parting) = &found.parting {
                if let [Some(left), Some(right)] = &parting.before {
                    assert_eq!(left, right, "seed {seed}, {a} and {b}");
                }
                assert!(parting.before.iter().any(Option::is_some));
            }
            check_beyond_nodes(&found);
            beyond += u32::from(found.beyond_nodes.is_some());
            check_mirror(a, b, &jobs, &found);
        }
    }
    assert!(parted > 20 && beyond > 3, "{parted} and {beyond}");
}

/// Nothing fails here and nobody is evicted: what differs in more than nodes is a start, and the first
/// such difference is the first of all starts that differ.
fn check_beyond_nodes(found: &diff::Diff) {
    let starts = found.followed.first_other.map(|(_, starts)| starts);
    let first = starts.and_then(|starts| starts.into_iter().flatten().min());
    let other = found.first_other_act();
    assert_eq!(other.map(|other| other.at), first, "{found}");
    if let (Some(parting), Some(beyond)) = (&found.parting, &found.beyond_nodes) {
        assert!(parting.only_nodes && !beyond.only_nodes && parting.at < beyond.at);
        let told = beyond.acts.iter().flatten().any(|act| {
            let (job, _) = found.followed.first_other.unwrap();
            act.job == job
        });
        assert!(told, "{found}");
    }
}

/// Best fit packs where first fit does not: first another node, much later another start.
#[test]
fn other_nodes_first_and_other_starts_later() {
    let place = Place::with_tiny();
    check_in(&place, "diff_nodes.txt", "diff tiny.toml greedy best-fit");
}

/// Which node a single job gets makes no difference to anybody.
#[test]
fn other_nodes_and_nothing_else() {
    let job = |at| {
        let second = SimDuration::from_secs(1);
        JobSpec::new(SimTime::from_secs(at), TaskRequest::gpus(1), second)
    };
    let jobs = [job(0), job(5)];
    let found = diff(simulation("first-fit", &jobs), simulation("random", &jobs)).unwrap();
    let parting = found.parting.as_ref().unwrap();
    assert!(parting.only_nodes && found.beyond_nodes.is_none());
    let text = found.to_string();
    assert!(text.contains(": the same jobs, on other nodes\n"), "{text}");
    assert!(
        text.contains("\nthey never differ in more than nodes\n"),
        "{text}"
    );
    assert_eq!(found.followed.same_start, 2);
}

/// The other way round everything is the other way round.
fn check_mirror(a: &str, b: &str, jobs: &[JobSpec], found: &diff::Diff) {
    let mirror = diff(simulation(b, jobs), simulation(a, jobs)).unwrap();
    let swapped = |followed: &diff::Followed| {
        let mut sooner = followed.sooner;
        sooner.reverse();
        (followed.compared, followed.same_start, sooner)
    };
    let (here, there) = (&found.followed, &mirror.followed);
    assert_eq!(
        (here.compared, here.same_start, here.sooner),
        swapped(there)
    );
    assert_eq!(here.compared, 40, "every job is in both");
    if let (Some(here), Some(there)) = (&found.parting, &mirror.parting) {
        assert_eq!(here.acts[0], there.acts[1]);
        assert_eq!(here.acts[1], there.acts[0]);
        assert_eq!(here.waits[0], there.waits[1]);
        assert_eq!(here.before[0], there.before[1]);
    }
}

#[test]
fn different_jobs_are_refused() {
    let some = jobs(1);
    let found = diff(simulation("fifo", &some), simulation("fifo", &some[..39]));
    assert!(
        matches!(found, Err(DiffError::DifferentJobs(job)) if job.0 == 39),
        "{found:?}"
    );
}

/// What followed is what the summaries of the two runs say, and what `compare` prints.
#[test]
fn the_figures_are_those_of_the_runs() {
    let scenario = Scenario::from_toml(TINY, "tiny.toml").unwrap();
    let chosen = |platform| Chosen {
        scenario: &scenario,
        platform,
        seed: 0,
    };
    let found = diff::runs(chosen(0), chosen(1)).unwrap();
    let comparison = windtunnel::Sweep::new(scenario.clone()).run().unwrap();
    for side in 0..2 {
        let run = &comparison.of_platform(side)[0];
        assert_eq!(found.reports[side].digest, run.report.digest);
        assert_eq!(
            found.reports[side].summary.wait.mean(),
            run.report.summary.wait.mean()
        );
    }
}
