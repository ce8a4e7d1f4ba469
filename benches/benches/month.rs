//! What does a job cost on 100,000 GPUs, with everything on?
//!
//! First fit on 12,500 HGX H100 nodes: faults as in a large fleet, GPUs shared by MPS, devices chosen
//! by their links, speeds by links and neighbours; and the same plainly. 1.28 nodes per job in the
//! mean. The example `month_once` runs the whole month of a million jobs.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use windtunnel_benches::month::{Features, simulation};

/// A tenth of a million jobs of tenfold length: the same load, and as many GPUs to look through.
const JOBS: u64 = 100_000;

fn month(c: &mut Criterion) {
    let mut group = c.benchmark_group("month");
    group.sample_size(10).throughput(Throughput::Elements(JOBS));
    for (label, features) in [
        ("plain", Features::Plain),
        ("everything", Features::Everything),
        ("hourly", Features::Hourly),
    ] {
        group.bench_function(label, |b| {
            b.iter_batched(
                || simulation(JOBS, 12_500, features),
                |simulation| black_box(simulation.run().expect("runs")),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, month);
criterion_main!(benches);
