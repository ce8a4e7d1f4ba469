//! The openb cluster filled to 130 % of its GPUs: decisions per second of `best-fit`, of the others,
//! and of a naive reference that scans all nodes.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use windtunnel_benches::fill::{FillCase, NaiveBestFit};
use windtunnel_core::Policy;
use windtunnel_policies::registry::policy;

fn fill(c: &mut Criterion) {
    let case = FillCase::new();
    let mut group = c.benchmark_group("openb-fill");
    group.throughput(Throughput::Elements(case.pods.len() as u64));
    group.sample_size(10);
    for name in ["best-fit", "first-fit", "kube-default", "naive-best-fit"] {
        let chosen = || -> Box<dyn Policy> {
            match name {
                "naive-best-fit" => Box::<NaiveBestFit>::default(),
                name => policy(name).expect("built in"),
            }
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                || case.simulation(chosen(), false),
                |simulation| black_box(simulation.run().expect("runs").summary.submitted),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, fill);
criterion_main!(benches);
