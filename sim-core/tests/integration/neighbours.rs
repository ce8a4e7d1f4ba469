//! Speeds that depend on neighbours change when these come, go or stand still, and only then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{FirstFit, at, job, ledger_line, nodes, run, secs};
use windtunnel_core::{
    Advance, Decisions, Fault, FaultKind, JobId, JobProfile, JobSpec, ListedFaults, Neighbours,
    News, NodeId, Placement, Platform, Policy, PoolId, Ppm, Sharing, SimDuration, Slices, Speed,
    SpeedModel, Spot, TaskRequest, View,
};

/// Shares GPUs and network cards evenly with whoever is there, and counts how often it was asked.
#[derive(Debug, Default)]
struct FairShare {
    asked: AtomicU32,
}

impl SpeedModel for FairShare {
    fn speed(
        &self,
        _profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        _done: SimDuration,
    ) -> Speed {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let parts = on.parts();
        let sharers = parts.iter().map(|part| {
            let on = |gpu: usize| beside.on(part.node, gpu).count();
            part.devices.iter().map(on).max().unwrap_or(0)
        });
        let across = parts.iter().map(|part| beside.across(part.node) as usize);
        let flows = if parts.len() > 1 { across.max() } else { None };
        let others = sharers.max().unwrap_or(0).max(flows.unwrap_or(0));
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let share = 1_000_000 / (1 + others);
        Speed {
            rate: u64::from(share) * 1_000,
            slices: Slices::from_factors(Ppm::ONE, Ppm(share), Ppm::ONE, None),
            until: None,
        }
    }

    fn minds_neighbours(&self) -> bool {
        true
    }
}

fn platform() -> (Platform, Arc<FairShare>) {
    let speed = Arc::new(FairShare::default());
    let mut platform = Platform::new("shared", FirstFit).sharing(Sharing::Fractions);
    platform.speed = speed.clone();
    (platform, speed)
}

fn half(submit: u64, run: u64) -> JobSpec {
    let mut job = JobSpec::new(at(submit), TaskRequest::gpu_milli(500), secs(run));
    job.submit = at(submit);
    job
}

/// a has 100 s to do and its GPU for itself until b comes at 20 with 30 s; both at half speed until
/// b is done at 80; a's last 50 s end at 130. Asked 4 times: a, b with a, a again.
#[test]
fn two_halves_of_a_gpu() {
    let (platform, speed) = platform();
    let jobs = vec![half(0, 100), half(20, 30)];
    let (report, log) = run(nodes(1, 1), jobs, platform, 140);
    let ends: Vec<_> = log.records.iter().map(|record| record.end).collect();
    assert_eq!(ends, [at(80), at(130)]);
    assert_eq!(
        ledger_line(&report),
        "idle.no_demand=45 allocated.interference=30 allocated.useful=65"
    );
    assert_eq!(speed.asked.load(Ordering::Relaxed), 4);
}

/// Gangs that fit a node each use no network, and mind nobody.
#[test]
fn gangs_within_nodes_mind_nobody() {
    let (platform, speed) = platform();
    let mut jobs = vec![job(2, 100).tasks(2), job(2, 30).tasks(2), job(1, 10)];
    jobs[1].submit = at(20);
    jobs[2].submit = at(30);
    let (_, log) = run(nodes(2, 5), jobs, platform, 140);
    let ends: Vec<_> = log.records.iter().map(|record| record.end).collect();
    assert_eq!(
        ends,
        [at(40), at(50), at(100)],
        "both gangs fit a node each"
    );
    assert_eq!(speed.asked.load(Ordering::Relaxed), 3);
}

/// Gangs that span both nodes share the network cards of each, and take turns.
#[test]
fn gangs_that_span_nodes_slow_each_other() {
    let (platform, speed) = platform();
    let mut jobs = vec![job(3, 100).tasks(2), job(2, 30).tasks(2), job(1, 10)];
    jobs[1].submit = at(20);
    jobs[2].submit = at(30);
    let (report, log) = run(nodes(2, 5), jobs, platform, 140);
    let ends: Vec<_> = log.records.iter().map(|record| record.end).collect();
    // Both at half speed from 20 to 80; c finds no GPU until then.
    assert_eq!(ends, [at(80), at(90), at(130)]);
    assert_eq!(speed.asked.load(Ordering::Relaxed), 5);
    assert!(ledger_line(&report).contains("allocated.interference=300"));
}

/// Puts a task of each job on node 0 and one on the n-th node, once.
#[derive(Clone, Debug, Default)]
struct AroundNode0(Vec<JobId>);

impl Policy for AroundNode0 {
    fn name(&self) -> &str {
        "around-node-0"
    }

    fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
        for job in view.pending_jobs() {
            if !self.0.contains(&job.id().id) {
                self.0.push(job.id().id);
                let devices = None;
                let turn = u32::try_from(self.0.len()).unwrap();
                let spots = [0, turn].map(NodeId).map(|node| Spot { node, devices });
                out.place(job.id(), spots);
            }
        }
    }
}

/// a runs on nodes 0 and 1, b, elastic, on 0 and 2, until its GPU on node 2 fails at 20: it goes on
/// within node 0, and a has the cards for itself. Until then both were at half speed: a has 100 s of 110
/// left, and ends at 120.
#[test]
fn a_gang_that_shrinks_to_one_node_leaves_the_cards_to_others() {
    let speed = Arc::new(FairShare::default());
    let platform = Platform::new("shared", AroundNode0::default());
    let mut platform = platform.detection_delay(secs(1_000));
    platform.speed = speed;
    let elastic = Advance::Between { min: 1, max: 2 };
    let jobs = vec![
        job(3, 110).tasks(2),
        job(2, 1_000).tasks(2).advance(elastic),
    ];
    let fault = Fault::node(at(20), secs(1_000));
    let fault = Fault {
        what: FaultKind::Gpu(0),
        ..fault
    };
    let supply = nodes(3, 5).with_faults(ListedFaults::new(vec![(PoolId(0), 2, fault)]));
    let (_, log) = run(supply, jobs, platform, 140);
    let ends: Vec<_> = log.records.iter().map(|record| record.end).collect();
    assert_eq!(ends[0], at(120));
}
