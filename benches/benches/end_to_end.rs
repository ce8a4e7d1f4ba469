//! What does a job cost, from its submission to its record?
//!
//! *venus* replays a real trace from memory under `fifo`, with the ledger on and off, where there is
//! hardly any queue (133 nodes) and where there is a long one (72). *stream* shows that the cost per
//! job does not grow with the number of jobs. The example `ratios` prints the same in holds of a
//! binary heap, in one run, and goes on to ten million jobs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use windtunnel_benches::{
    easy, exact_estimates, fifo, first, stream, synthetic_venus, venus, venus_nodes,
};
use windtunnel_core::rng::Seed;
use windtunnel_core::{RunOptions, Simulation};

fn venus_replay(c: &mut Criterion) {
    // The public trace is not in the repository: without it a stream of its size and load stands in.
    let real = venus();
    let name = if real.is_some() {
        "venus"
    } else {
        "venus-like"
    };
    let jobs = first(&real.unwrap_or_else(synthetic_venus), 20_000);
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .throughput(Throughput::Elements(jobs.len() as u64));
    for nodes in [133, 72] {
        for (label, options) in [
            ("ledger", RunOptions::default()),
            ("no-ledger", RunOptions::default().without_ledger()),
        ] {
            group.bench_function(BenchmarkId::new(label, nodes), |b| {
                b.iter_batched(
                    || {
                        let supply = venus_nodes(nodes);
                        Simulation::new(supply, jobs.clone(), fifo(), options.clone())
                            .expect("builds")
                    },
                    |simulation| black_box(simulation.run().expect("runs")),
                    criterion::BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

/// The same under EASY, with the true run times as estimates.
fn venus_easy(c: &mut Criterion) {
    let real = venus();
    let name = if real.is_some() {
        "venus-easy"
    } else {
        "venus-like-easy"
    };
    let jobs = exact_estimates(&first(&real.unwrap_or_else(synthetic_venus), 20_000));
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .throughput(Throughput::Elements(jobs.len() as u64));
    for nodes in [133, 72] {
        group.bench_function(BenchmarkId::new("ledger", nodes), |b| {
            b.iter_batched(
                || {
                    let (supply, options) = (venus_nodes(nodes), RunOptions::default());
                    Simulation::new(supply, jobs.clone(), easy(), options).expect("builds")
                },
                |simulation| black_box(simulation.run().expect("runs")),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn job_stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream");
    group.sample_size(10);
    for count in [10_000, 100_000, 1_000_000_u64] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_batched(
                || {
                    let jobs = stream(1_024, count, Seed(1));
                    Simulation::new(venus_nodes(128), jobs, fifo(), RunOptions::default())
                        .expect("builds")
                },
                |simulation| black_box(simulation.run().expect("runs")),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, venus_replay, venus_easy, job_stream);
criterion_main!(benches);
