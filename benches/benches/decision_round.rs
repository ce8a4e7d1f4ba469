//! What does one decision round cost, against the number of nodes and of pending jobs?
//!
//! A world built by hand: all nodes full but the last, `pending` jobs of eight shapes waiting, none of
//! which fits. A round is what a policy does when one job ends: look, find nothing, say so.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use windtunnel_core::{
    Decisions, JobSpec, News, NodeId, NodeModel, Policy, SimDuration, SimTime, Supply, TaskRequest,
    TaskState, World,
};
use windtunnel_policies::registry::policy;

const POLICIES: [&str; 3] = ["fifo", "first-fit", "best-fit"];

/// A cluster that is full but for one GPU on its last node, with jobs that wait for two to eight.
fn crowded(nodes: u32, pending: u32) -> World {
    let mut world =
        World::new(&Supply::uniform(NodeModel::gpus_only("h100", 8), nodes)).expect("legal");
    let hour = SimDuration::from_hours(1);
    for node in 0..nodes {
        let gpus = if node + 1 == nodes { 7 } else { 8 };
        let spec = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), hour);
        let job = world.submit(spec).expect("legal");
        let task = world
            .view()
            .job(job)
            .and_then(|j| j.tasks().next())
            .map(|t| t.id());
        world
            .start(task.expect("it has a task"), NodeId(node))
            .expect("it fits");
    }
    for place in 0..pending {
        let gpus = u16::try_from(place % 7).expect("small") + 2;
        world
            .submit(JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), hour))
            .expect("legal");
    }
    world
}

fn round(c: &mut Criterion) {
    for name in POLICIES {
        let mut group = c.benchmark_group(name);
        for (nodes, pending) in [
            (100, 100),
            (100, 10_000),
            (1_000, 100),
            (1_000, 10_000),
            (12_500, 100),
            (12_500, 10_000),
        ] {
            let mut world = crowded(nodes, pending);
            let mut policy = policy(name).expect("built in");
            let mut out = Decisions::default();
            let id = BenchmarkId::new(format!("{nodes}-nodes"), format!("{pending}-pending"));
            group.bench_function(id, |b| {
                b.iter(|| {
                    out.clear();
                    let view = world.view();
                    policy.decide(&view, &News::default(), &mut out);
                    black_box(out.list().len())
                });
            });
            let waiting = world
                .view()
                .pending_jobs()
                .map(|j| j.tasks_in(TaskState::Pending))
                .sum::<u32>();
            assert_eq!(waiting, pending);
        }
        group.finish();
    }
}

criterion_group!(benches, round);
criterion_main!(benches);
