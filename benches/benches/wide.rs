//! What does a neighbour cost that comes and goes beside a gang on many nodes?
//!
//! Asked as a whole the gang costs in proportion to its nodes, asked by node next to nothing; without
//! it, the neighbour alone. The rest of a gang's cost (its start, once) is in all figures alike.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use windtunnel_benches::wide::{Asked, simulation};

const NEIGHBOURS: u64 = 200;

fn wide(c: &mut Criterion) {
    let mut group = c.benchmark_group("wide");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(NEIGHBOURS));
    for nodes in [16, 128, 1_024] {
        for (label, asked) in [
            ("whole", Asked::Whole),
            ("by_node", Asked::ByNode),
            ("alone", Asked::Not),
        ] {
            group.bench_function(BenchmarkId::new(label, nodes), |b| {
                b.iter_batched(
                    || simulation(nodes, NEIGHBOURS, asked),
                    |simulation| black_box(simulation.run().expect("runs")),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, wide);
criterion_main!(benches);
