//! The figures that docs quote, as ratios of one run: every measurement stands between two of the
//! yardstick, a hold (pop + push) of the standard library's binary heap at 10³ pending events.
//!
//! `cargo run --release -p windtunnel-benches --example ratios [ROUNDS] [LARGEST STREAM]`

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use windtunnel_benches::fill::{FillCase, NaiveBestFit, cpu_nanos};
use windtunnel_benches::{
    easy, exact_estimates, fifo, native_table, read_rows, stream, swf_log, venus, venus_nodes,
};
use windtunnel_core::rng::Seed;
use windtunnel_core::{JobList, Policy, RunOptions, Simulation};
use windtunnel_policies::registry::policy;
use windtunnel_traces::{NativeReader, SwfReader};

/// How long an event is pending in the hold model. The choice moves the yardstick by a third, so both
/// are printed.
#[derive(Clone, Copy, Debug)]
enum Increment {
    /// Uniform, at most an hour: the cheapest draw, so the shorter hold and the larger ratio.
    Uniform,
    /// Exponential with a mean of an hour, its logarithm included, as in the bench `event_queue`.
    Exponential,
}

/// Nanoseconds per hold of a binary heap of 24-byte entries at 10³ pending: pop, and push later.
fn hold(increment: Increment) -> f64 {
    const HOLDS: u32 = 2_000_000;
    let mut state = 0x5EED_u64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an increment of at most 37 hours"
    )]
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match increment {
            Increment::Uniform => state % 3_600_000_000_000,
            Increment::Exponential => {
                let uniform = ((state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                (-uniform.ln() * 3_600e9) as u64
            }
        }
    };
    let mut heap: BinaryHeap<Reverse<(u64, u64, u64)>> =
        (0..1_000).map(|seq| Reverse((draw(), seq, seq))).collect();
    let begin = Instant::now();
    for seq in 0..u64::from(HOLDS) {
        if let Some(Reverse((time, _, payload))) = heap.pop() {
            heap.push(Reverse((time + draw(), seq, payload)));
        }
    }
    black_box(&heap);
    nanos(begin.elapsed()) / f64::from(HOLDS)
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a benchmark")]
fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// Nanoseconds per job of one replay.
fn replay(jobs: &JobList, policy: Box<dyn Policy>, nodes: u32, options: RunOptions) -> f64 {
    let simulation = Simulation::new(venus_nodes(nodes), jobs.clone(), policy, options);
    let begin = Instant::now();
    let report = simulation.expect("builds").run().expect("runs");
    let spent = nanos(begin.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a count of jobs")]
    let jobs = report.summary.submitted as f64;
    spent / jobs
}

/// Nanoseconds per job of a stream at load 0.7.
fn replay_stream(count: u64) -> f64 {
    let simulation = Simulation::new(
        venus_nodes(128),
        stream(1_024, count, Seed(1)),
        fifo(),
        RunOptions::default(),
    )
    .expect("builds");
    let begin = Instant::now();
    black_box(simulation.run().expect("runs"));
    #[expect(clippy::cast_precision_loss, reason = "a count of jobs")]
    let per_job = nanos(begin.elapsed()) / count as f64;
    per_job
}

/// Medians of several measurements, each divided by the mean of the holds before and after it: in
/// holds with uniform increments and with exponential ones; and the last measurement.
fn ratio(rounds: usize, mut measure: impl FnMut() -> f64) -> [f64; 3] {
    let both = || [hold(Increment::Uniform), hold(Increment::Exponential)];
    let mut ratios = [Vec::new(), Vec::new()];
    let mut before = both();
    let mut last = 0.0;
    for _ in 0..rounds {
        last = measure();
        let after = both();
        for (place, ratios) in ratios.iter_mut().enumerate() {
            ratios.push(last / ((before[place] + after[place]) / 2.0));
        }
        before = after;
    }
    let [uniform, exponential] = ratios.map(|mut ratios| {
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    });
    [uniform, exponential, last]
}

/// Million rows per second of reading tables of a million rows from memory: native with 4 and with
/// 15 columns, and SWF. The best of so many rounds.
fn reading(rounds: usize) -> [f64; 3] {
    const ROWS: u64 = 1_000_000;
    let (small, wide) = (native_table(ROWS, false), native_table(ROWS, true));
    let log = swf_log(ROWS);
    let best = |read: &dyn Fn() -> u64| {
        let one = |_| {
            let begin = Instant::now();
            black_box(read());
            nanos(begin.elapsed())
        };
        1e9 / (0..rounds.max(1)).map(one).fold(f64::INFINITY, f64::min)
    };
    [
        best(&|| read_rows(NativeReader::new(small.as_bytes(), "small"))),
        best(&|| read_rows(NativeReader::new(wide.as_bytes(), "wide"))),
        best(&|| read_rows(SwfReader::new(log.as_bytes(), "log"))),
    ]
}

/// Decisions per CPU second of `best-fit` and of its naive reference on the openb fill, in turns, and
/// medians of both and of their ratio.
fn fill(rounds: usize) {
    let case = FillCase::new();
    let run = |policy: Box<dyn Policy>| {
        let simulation = case.simulation(policy, false);
        let began = cpu_nanos();
        let report = simulation.run().expect("runs");
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        let rate = report.summary.submitted as f64 * 1e9 / (cpu_nanos() - began).max(1) as f64;
        (rate, report.digest)
    };
    let (mut ours, mut naive, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // One more for the caches, which is not counted.
    for round in 0..=rounds {
        let (rate, digest) = run(policy("best-fit").expect("built in"));
        let (plain, same) = run(Box::<NaiveBestFit>::default());
        assert_eq!(digest, same, "both take the same decisions");
        if round > 0 {
            ours.push(rate);
            naive.push(plain);
            ratios.push(rate / plain);
        }
    }
    let median = |mut list: Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list[list.len() / 2]
    };
    println!(
        "openb fill, best-fit: {:.0} decisions per CPU second, naive reference {:.0}, {:.1} times as many",
        median(ours),
        median(naive),
        median(ratios)
    );
}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let rounds = usize::try_from(args.next().unwrap_or(5)).unwrap_or(5);
    let largest = args.next().unwrap_or(1_000_000);
    println!(
        "in holds (pop + push) of a binary heap at 10^3 pending, medians of {rounds}; one hold takes \
         {:.0} ns with uniform increments, {:.0} ns with exponential ones",
        hold(Increment::Uniform),
        hold(Increment::Exponential)
    );
    let print = |what: &str, [uniform, exponential, nanos]: [f64; 3]| {
        println!(
            "{what:<36} {uniform:>6.1} uniform {exponential:>6.1} exponential {nanos:>7.0} ns"
        );
    };
    let [small, wide, log] = reading(rounds);
    println!(
        "reading, million rows per second: native {small:.2} with 4 columns, {wide:.2} with 15; SWF \
         {log:.2}"
    );
    fill(rounds.max(1));
    match venus() {
        None => println!("skipped: the Venus trace is not at hand"),
        Some(jobs) => {
            for nodes in [133, 72] {
                let run = |options: RunOptions| replay(&jobs, fifo(), nodes, options);
                let on = ratio(rounds, || run(RunOptions::default()));
                print(&format!("Venus, fifo, {nodes} nodes, ledger on"), on);
                let off = ratio(rounds, || run(RunOptions::default().without_ledger()));
                print(&format!("Venus, fifo, {nodes} nodes, ledger off"), off);
            }
            let jobs = exact_estimates(&jobs);
            for nodes in [133, 72] {
                let run = || replay(&jobs, easy(), nodes, RunOptions::default());
                print(
                    &format!("Venus, easy, {nodes} nodes, ledger on"),
                    ratio(rounds, run),
                );
            }
        }
    }
    let mut count = 10_000;
    while count <= largest {
        let rounds = if count > 1_000_000 { 1 } else { rounds };
        print(
            &format!("stream of {count} jobs, load 0.7"),
            ratio(rounds, || replay_stream(count)),
        );
        count *= 10;
    }
}
