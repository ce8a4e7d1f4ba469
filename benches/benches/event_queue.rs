//! Is the event queue faster than the standard library's binary heap, at which size, and for what?
//!
//! *hold* is the classic model: pop the next event, schedule another some time later, so that the number
//! of pending events stays what it is. The binary heap stands beside it with entries of the same 24
//! bytes and nothing else: no events, no handles, no cancelling. *hold* varies the number of pending
//! events, *shapes* the distribution of the increments. *reschedule* moves random pending events to other
//! times, which a binary heap can't do at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use windtunnel_core::engine::{EventHandle, EventQueue, Phase};
use windtunnel_core::{SimDuration, SimTime};

const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// The number of operations in one measured batch.
const BATCH: u64 = 10_000;
const SEED: u64 = 0x5EED;

/// A xorshift generator: fast enough not to be what is measured.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        let random = (self.next() >> 32) as u32;
        random % limit
    }
}

/// How long an event is pending.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// An hour in the mean.
    Exponential,
    /// At most an hour.
    Uniform,
    /// Half of them nanoseconds, half of them months.
    Bimodal,
    /// Everything happens at once.
    Instant,
    /// First in, first out.
    Constant,
}

impl Shape {
    fn draw(self, random: &mut Xorshift) -> u64 {
        const HOUR: u64 = 3_600_000_000_000;
        let word = random.next();
        match self {
            Self::Exponential => {
                #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty")]
                let uniform = ((word >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "between 0 and 37 hours"
                )]
                let increment = (-uniform.ln() * HOUR as f64) as u64;
                increment
            }
            Self::Uniform => word % HOUR,
            Self::Bimodal if word.is_multiple_of(2) => word % 1_000,
            Self::Bimodal => word % (2_000 * HOUR),
            Self::Instant => 0,
            Self::Constant => HOUR,
        }
    }
}

/// Increments drawn beforehand: a logarithm costs as much as a heap of a thousand.
struct Increments {
    table: Vec<u64>,
    random: Xorshift,
}

impl Increments {
    fn new(shape: Shape) -> Self {
        let mut random = Xorshift(SEED);
        let table = (0..1 << 12).map(|_| shape.draw(&mut random)).collect();
        Self { table, random }
    }

    fn next(&mut self) -> u64 {
        self.table[(self.random.next() >> 52) as usize]
    }
}

/// A queue that can hold.
trait Hold: Default {
    fn push(&mut self, at: u64, event: u64);
    /// Pops an event and pushes it again, an increment later.
    fn hold(&mut self, increments: &mut Increments);
}

/// Sixteen bytes are what the simulation's own events take.
#[derive(Default)]
struct Ours(EventQueue<[u64; 2]>);

impl Hold for Ours {
    fn push(&mut self, at: u64, event: u64) {
        let at = SimTime::from_nanos(at);
        self.0.schedule(at, Phase::Completions, [event; 2]);
    }

    fn hold(&mut self, increments: &mut Increments) {
        let (key, event) = self.0.pop().expect("it never runs empty");
        let at = key.time + SimDuration::from_nanos(increments.next());
        self.0.schedule(at, Phase::Completions, black_box(event));
    }
}

/// Time, sequence number, event.
#[derive(Default)]
struct Heap(BinaryHeap<Reverse<(u64, u64, u64)>>, u64);

impl Hold for Heap {
    fn push(&mut self, at: u64, event: u64) {
        self.0.push(Reverse((at, self.1, event)));
        self.1 += 1;
    }

    fn hold(&mut self, increments: &mut Increments) {
        let Reverse((time, _, event)) = self.0.pop().expect("it never runs empty");
        self.push(time + increments.next(), black_box(event));
    }
}

fn bench_hold<Q: Hold>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    shape: Shape,
    size: u32,
) {
    let mut state = None;
    group.bench_function(id, |b| {
        let (queue, increments) = state.get_or_insert_with(|| {
            let mut increments = Increments::new(shape);
            let mut queue = Q::default();
            for n in 0..size {
                queue.push(increments.next(), u64::from(n));
            }
            for _ in 0..3 * size {
                queue.hold(&mut increments);
            }
            (queue, increments)
        });
        b.iter(|| {
            for _ in 0..BATCH {
                queue.hold(increments);
            }
        });
    });
}

fn hold(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(BATCH));
    for size in SIZES {
        let id = |name| BenchmarkId::new(name, size);
        bench_hold::<Ours>(&mut group, id("event_queue"), Shape::Exponential, size);
        bench_hold::<Heap>(&mut group, id("binary_heap"), Shape::Exponential, size);
    }
    group.finish();
}

fn shapes(c: &mut Criterion) {
    const SIZE: u32 = 100_000;
    let mut group = c.benchmark_group("shapes");
    group.throughput(Throughput::Elements(BATCH));
    for shape in [
        Shape::Uniform,
        Shape::Bimodal,
        Shape::Instant,
        Shape::Constant,
    ] {
        let id = |name| BenchmarkId::new(name, format!("{shape:?}"));
        bench_hold::<Ours>(&mut group, id("event_queue"), shape, SIZE);
        bench_hold::<Heap>(&mut group, id("binary_heap"), shape, SIZE);
    }
    group.finish();
}

/// One event per number, all of them pending.
struct Rescheduler {
    queue: EventQueue<[u32; 4]>,
    handles: Vec<EventHandle>,
    now: SimTime,
    increments: Increments,
    random: Xorshift,
}

impl Rescheduler {
    fn new(size: u32) -> Self {
        let mut increments = Increments::new(Shape::Exponential);
        let mut queue = EventQueue::new();
        let handles = (0..size)
            .map(|n| {
                let at = SimTime::from_nanos(increments.next());
                queue.schedule(at, Phase::Completions, [n; 4])
            })
            .collect();
        Self {
            queue,
            handles,
            now: SimTime::ZERO,
            increments,
            random: Xorshift(SEED),
        }
    }

    /// Three times of four cancels a random event, else pops the next; schedules it again.
    fn step(&mut self) {
        let event = if self.random.below(4) == 0 {
            let (key, event) = self.queue.pop().expect("it never runs empty");
            self.now = key.time;
            event
        } else {
            let size = u32::try_from(self.queue.len()).expect("as many as there were");
            let chosen = self.handles[self.random.below(size) as usize];
            self.queue.cancel(chosen).expect("all are pending")
        };
        let at = self.now + SimDuration::from_nanos(self.increments.next());
        self.handles[event[0] as usize] = self.queue.schedule(at, Phase::Completions, event);
    }
}

fn reschedule(c: &mut Criterion) {
    let mut group = c.benchmark_group("reschedule");
    group.throughput(Throughput::Elements(BATCH));
    for size in SIZES {
        let mut state = None;
        group.bench_function(BenchmarkId::new("event_queue", size), |b| {
            let state = state.get_or_insert_with(|| {
                let mut state = Rescheduler::new(size);
                for _ in 0..3 * size {
                    state.step();
                }
                state
            });
            b.iter(|| {
                for _ in 0..BATCH {
                    state.step();
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hold, shapes, reschedule);
criterion_main!(benches);
