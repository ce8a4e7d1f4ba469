//! How fast are tables read? Rows per second from memory, uncompressed, through the streaming
//! interface, as a simulation pulls them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use windtunnel_benches::{native_table, read_rows, swf_log};
use windtunnel_traces::{NativeReader, SwfReader};

const ROWS: u64 = 100_000;

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("reading");
    group.sample_size(20).throughput(Throughput::Elements(ROWS));
    for wide in [false, true] {
        let text = native_table(ROWS, wide);
        let name = if wide {
            "native, 15 columns"
        } else {
            "native, 4 columns"
        };
        group.bench_function(name, |b| {
            b.iter(|| black_box(read_rows(NativeReader::new(text.as_bytes(), "bench"))));
        });
    }
    let text = swf_log(ROWS);
    group.bench_function("swf", |b| {
        b.iter(|| black_box(read_rows(SwfReader::new(text.as_bytes(), "bench"))));
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
