//! Timelines of small scenarios, as text that a person can review.
//!
//! `UPDATE_GOLDEN=1 cargo test -p windtunnel-policies` rewrites them; look at the difference.

use std::path::Path;

use windtunnel_core::{
    Advance, Batch, Fault, ListedFaults, NodeModel, PoolId, Sharing, Supply, TaskRequest,
};

use crate::support::{Scenario, at, job, later, nodes, secs};

const ALL: [&str; 4] = ["fifo", "first-fit", "best-fit", "kube-default"];

/// Compares the stories of a scenario under some policies with the file of that name.
pub(crate) fn check(name: &str, scenario: &Scenario, policies: &[&str]) {
    let found: String = policies
        .iter()
        .map(|policy| scenario.story(policy))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} changed; run with UPDATE_GOLDEN=1 and look at the difference:\n{found}"
    );
}

/// The first worked example of the ledger under every policy: 4 GPUs, 2 × 3 GPUs, 2 GPUs on 2 × 4.
#[test]
fn head_of_line() {
    let jobs = vec![job(4, 10), job(3, 10).tasks(2), job(2, 10)];
    check("head_of_line", &Scenario::new(nodes(2, 4), jobs), &ALL);
}

/// A job of 2 leaves a gap on the second node when a job of 2 and one of 4 arrive.
#[test]
fn gaps() {
    let jobs = vec![
        job(4, 2),
        job(2, 10),
        later(3, job(2, 10)),
        later(3, job(4, 10)),
    ];
    check("gaps", &Scenario::new(nodes(2, 4), jobs), &ALL);
}

/// Two gangs of three on four GPUs. Kubernetes binds 3 + 1; the second gang's time is up after 8 s.
#[test]
fn half_gangs() {
    let mut scenario = Scenario::new(nodes(4, 1), vec![job(1, 20).tasks(3), job(1, 20).tasks(3)]);
    scenario.platform = |platform| platform.batch(Batch::new().gang_timeout(secs(8)));
    check("half_gangs", &scenario, &["first-fit", "kube-default"]);
}

/// Two gangs that need all of what both want: without a timeout they wait for ever.
#[test]
fn deadlock() {
    let gang = || job(1, 20).tasks(2);
    let mut scenario = Scenario::new(nodes(3, 1), vec![job(1, 1), gang(), gang()]);
    scenario.horizon = Some(60);
    check("deadlock", &scenario, &["first-fit", "kube-default"]);
}

/// One GPU, pods that run 1.5 s each. v1.20 retries at whole seconds once backoff is over, 1.36 at once.
#[test]
fn backoff() {
    let half = windtunnel_core::SimDuration::from_millis(1_500);
    let jobs: Vec<_> = (0..3)
        .map(|_| windtunnel_core::JobSpec::new(at(0), TaskRequest::gpus(1), half))
        .collect();
    let policies = ["kube-default{version=1.20}", "kube-default{version=1.36}"];
    check("backoff", &Scenario::new(nodes(1, 1), jobs), &policies);
}

/// A node dies under a gang of two, is noticed after 5 s and repaired after 20.
#[test]
fn node_failure() {
    let fault = Fault::node(at(10), secs(20));
    let supply = nodes(2, 1).with_faults(ListedFaults::new(vec![(PoolId(0), 1, fault)]));
    let mut scenario = Scenario::new(supply, vec![job(1, 30).tasks(2), later(1, job(1, 5))]);
    scenario.platform = |platform| platform.detection_delay(secs(5));
    check("node_failure", &scenario, &ALL);
}

/// Higher priority overtakes where there is a queue by priority.
#[test]
fn priority() {
    let jobs = vec![job(1, 10), job(1, 10), job(1, 10).priority(5)];
    check(
        "priority",
        &Scenario::new(nodes(1, 1), jobs),
        &["fifo", "kube-default"],
    );
}

/// An array of five tasks and an elastic job of one to three on three GPUs.
#[test]
fn arrays_and_elastic_jobs() {
    let array = job(1, 10).tasks(5).advance(Advance::Each);
    let elastic = later(1, job(1, 12).advance(Advance::Between { min: 1, max: 3 }));
    check(
        "arrays_and_elastic_jobs",
        &Scenario::new(nodes(1, 3), vec![array, elastic]),
        &ALL,
    );
}

/// Fractions share GPUs: 0.6 + 0.4 fill one, another 0.5 needs a second.
#[test]
fn fractions() {
    let part =
        |milli| windtunnel_core::JobSpec::new(at(0), TaskRequest::gpu_milli(milli), secs(10));
    let jobs = vec![part(600), part(500), part(400), part(500), part(200)];
    let mut scenario = Scenario::new(nodes(1, 2), jobs);
    scenario.platform = |platform| platform.sharing(Sharing::Fractions);
    check("fractions", &scenario, &ALL);
}

/// Nodes with CPU and memory: Kubernetes spreads, best fit packs, first fit takes the first.
#[test]
fn spread_and_pack() {
    let model = NodeModel::gpus_only("h100", 4)
        .with_cores(32)
        .with_memory(windtunnel_core::Bytes::gib(64));
    let small = |submit| {
        let mut small = later(submit, job(1, 20));
        let request = &mut small.request.groups[0].request;
        *request = request
            .with_cores(4)
            .with_memory(windtunnel_core::Bytes::gib(8));
        small
    };
    let jobs = vec![small(0), small(1), small(2), later(3, job(4, 5))];
    let policies = [
        "first-fit",
        "best-fit",
        "kube-default",
        "kube-default{version=1.20}",
        "kube-default{tie=upstream}",
    ];
    let supply = Supply::uniform(model, 3);
    check("spread_and_pack", &Scenario::new(supply, jobs), &policies);
}

/// Two of four GPUs are busy until 10 by estimate, and until 6 in truth; b needs all four. c would be
/// in its way and d would not, e fits into what d leaves.
#[test]
fn backfill() {
    let estimated = |gpus, run, estimate| job(gpus, run).estimate(secs(estimate));
    let jobs = vec![
        estimated(2, 6, 10),
        later(1, estimated(4, 5, 5)),
        later(2, estimated(1, 12, 12)),
        later(2, estimated(1, 8, 8)),
        later(3, estimated(1, 3, 4)),
        later(4, estimated(3, 4, 4)),
    ];
    let policies = [
        "fifo",
        "easy-backfill",
        "easy-backfill{by=oracle}",
        "easy-backfill{order=sjf}",
        "conservative-backfill",
        "sjf",
        "sjf{by=oracle}",
    ];
    check("backfill", &Scenario::new(nodes(1, 4), jobs), &policies);
}

/// On three nodes: the head's nodes are kept free of what outlasts its reservation, others are not.
#[test]
fn backfill_on_nodes() {
    let estimated = |gpus, run| job(gpus, run).estimate(secs(run));
    let jobs = vec![
        estimated(4, 10),
        estimated(2, 20),
        estimated(3, 30),
        later(1, estimated(4, 5).tasks(2)),
        later(2, estimated(1, 50)),
        later(2, estimated(1, 50)),
        later(2, estimated(2, 9)),
    ];
    let policies = [
        "easy-backfill",
        "easy-backfill{placer=worst-fit}",
        "conservative-backfill",
    ];
    check(
        "backfill_on_nodes",
        &Scenario::new(nodes(3, 4), jobs),
        &policies,
    );
}

/// A job overruns its estimate and the head waits on; a job without one is taken for endless.
#[test]
fn estimates_that_fail() {
    let jobs = vec![
        job(3, 12).estimate(secs(5)),
        later(1, job(4, 5).estimate(secs(5))),
        later(2, job(1, 3).estimate(secs(3))),
        later(3, job(1, 4)),
        later(6, job(1, 2).estimate(secs(2))),
    ];
    let policies = ["easy-backfill", "conservative-backfill"];
    check(
        "estimates_that_fail",
        &Scenario::new(nodes(1, 4), jobs),
        &policies,
    );
}

/// The latest of the lowest goes first, no more than needed; what it did since its save is lost.
#[test]
fn preemption() {
    let saves = |spec: windtunnel_core::JobSpec| spec.checkpoint(secs(4), secs(0));
    let jobs = vec![
        saves(job(2, 20)),
        saves(later(1, job(2, 20))),
        later(1, job(1, 20)).priority(1),
        later(7, job(2, 10)).priority(5),
        later(9, job(2, 3)),
    ];
    let policies = [
        "priority",
        "priority{grace=3s}",
        "easy-backfill{order=priority}",
    ];
    check("preemption", &Scenario::new(nodes(1, 5), jobs), &policies);
}

/// The log has a gap, a start at the instant of an end, one where nothing is free by then, one on a
/// node that does not exist, and a job of which it says nothing.
#[test]
fn replay() {
    let recorded = |spec: windtunnel_core::JobSpec, start, on: &[u32]| {
        let on: Vec<_> = on
            .iter()
            .map(|node| windtunnel_core::NodeId(*node))
            .collect();
        spec.recorded(at(start), &on)
    };
    let jobs = vec![
        recorded(job(2, 10), 5, &[1]),
        recorded(job(2, 5), 15, &[1]),
        recorded(job(1, 3), 16, &[1]),
        recorded(job(1, 4).tasks(2), 7, &[0, 0]),
        recorded(later(3, job(1, 4)), 8, &[9]),
        later(4, job(2, 3)),
    ];
    let policies = ["replay", "replay{unrecorded=wait}"];
    let mut scenario = Scenario::new(nodes(2, 2), jobs);
    scenario.horizon = Some(40);
    check("replay", &scenario, &policies);
}

/// Where the placers go: the lowest, the fullest, the emptiest, any.
#[test]
fn placers() {
    let jobs = vec![
        job(2, 9),
        job(1, 9),
        job(1, 9),
        later(1, job(2, 5)),
        later(2, job(4, 5)),
    ];
    let policies = ["first-fit", "best-fit", "worst-fit", "random"];
    check("placers", &Scenario::new(nodes(3, 4), jobs), &policies);
}
