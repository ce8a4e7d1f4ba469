//! Results that are known without the simulator: queueing theory, and optimal schedules by search.

use proptest::prelude::*;
use rand_distr::{Distribution, Exp};
use windtunnel_core::rng::{Purpose, Seed, stream};
use windtunnel_core::{
    Decisions, JobList, JobLog, JobSpec, News, NodeId, Policy, RunOptions, SimDuration, SimTime,
    Simulation, Spot, TaskRequest, View,
};

use crate::support::{FirstFit, StrictFifo, at, job, nodes, run, secs};

/// Independent replications of a queue.
const RUNS: u64 = 40;
/// Jobs at the start of each that are not counted.
const WARM_UP: u32 = 1_000;
/// Two-sided quantile of Student's t at 99.9 % with `RUNS` − 1 degrees of freedom.
const T: f64 = 3.558;

fn seconds(length: f64) -> SimDuration {
    SimDuration::try_from_secs_f64(length).unwrap()
}

/// Single-GPU jobs with exponential gaps of mean 1/`rate` and run times of mean 1 s.
fn poisson(rate: f64, count: u32, seed: u64) -> JobList {
    let mut gaps = stream(Seed(seed), Purpose::Arrivals, 0, 0);
    let mut lengths = stream(Seed(seed), Purpose::Jobs, 0, 0);
    let (gap, length) = (Exp::new(rate).unwrap(), Exp::new(1.0).unwrap());
    let mut now = SimTime::ZERO;
    let mut jobs = Vec::new();
    for _ in 0..count {
        now += seconds(gap.sample(&mut gaps));
        let run = seconds(length.sample(&mut lengths));
        jobs.push(JobSpec::new(now, TaskRequest::gpus(1), run));
    }
    JobList::new(jobs)
}

/// Mean wait of the jobs after the warm-up, in seconds.
fn mean_wait(servers: u8, rate: f64, count: u32, seed: u64) -> f64 {
    let options = RunOptions::default().without_ledger();
    let jobs = poisson(rate, count, seed);
    let run = Simulation::new(nodes(1, servers), jobs, StrictFifo, options).unwrap();
    let mut log = JobLog::default();
    run.run_with(&mut log).unwrap();
    let counted = log.records.iter().filter(|record| record.job.0 >= WARM_UP);
    let total: f64 = counted.map(|record| record.wait().as_secs_f64()).sum();
    total / f64::from(count - WARM_UP)
}

/// Mean wait of M/M/c with service rate one: Erlang's C divided by c − λ.
fn erlang_wait(servers: u8, rate: f64) -> f64 {
    let c = f64::from(servers);
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..servers {
        sum += term;
        term *= rate / f64::from(k + 1);
    }
    let queued = term * c / (c - rate);
    queued / (sum + queued) / (c - rate)
}

/// The simulated mean is inside its confidence interval around the analytic one, and that is tight.
fn check_queue(servers: u8, rate: f64, count: u32) {
    let analytic = erlang_wait(servers, rate);
    let means: Vec<f64> = (0..RUNS)
        .map(|seed| mean_wait(servers, rate, count, seed))
        .collect();
    let runs = f64::from(u32::try_from(RUNS).unwrap());
    let mean = means.iter().sum::<f64>() / runs;
    let variance = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>() / (runs - 1.0);
    let half = T * (variance / runs).sqrt();
    let found = format!(
        "M/M/{servers} at rate {rate}: analytic mean wait {analytic:.4} s, simulated {mean:.4} ± {half:.4} s"
    );
    println!("{found}");
    assert!((mean - analytic).abs() <= half, "{found}");
    assert!(
        half <= 0.08 * analytic,
        "too wide to mean anything: {found}"
    );
}

#[test]
fn erlang_c_reduces_to_the_single_server() {
    assert!((erlang_wait(1, 0.7) - 0.7 / 0.3).abs() < 1e-12);
    // Tabulated: two servers at load 0.75 wait 9/7 of a service time.
    assert!((erlang_wait(2, 1.5) - 9.0 / 7.0).abs() < 1e-12);
}

#[test]
fn one_server_waits_as_theory_says() {
    check_queue(1, 0.6, 9_000);
}

#[test]
fn several_servers_wait_as_theory_says() {
    check_queue(4, 2.8, 9_000);
}

/// A gang of the search: tasks, GPUs of each, run time in seconds.
#[derive(Clone, Copy, Debug)]
struct Gang {
    tasks: u32,
    gpus: u16,
    run: u64,
}

/// A start: when, which gang, on which nodes.
type Start = (u64, usize, Vec<u32>);

/// Searches every schedule in which each start is at 0 or at the end of another gang; moving starts
/// to the left makes any schedule one of these without making it longer.
struct Search<'a> {
    gangs: &'a [Gang],
    best: u64,
    best_starts: Vec<Start>,
}

#[derive(Clone)]
struct Partial {
    now: u64,
    free: Vec<u16>,
    /// (end, gang, nodes) of what runs.
    running: Vec<(u64, usize, Vec<u32>)>,
    waiting: Vec<usize>,
    starts: Vec<Start>,
    end: u64,
}

impl Search<'_> {
    /// All ways to put `tasks` tasks of `gpus` on nodes at or after `from`.
    fn seats(free: &[u16], tasks: u32, gpus: u16, from: usize) -> Vec<Vec<u32>> {
        if tasks == 0 {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for node in from..free.len() {
            if free[node] >= gpus {
                let mut rest = free.to_vec();
                rest[node] -= gpus;
                for mut seats in Self::seats(&rest, tasks - 1, gpus, node) {
                    seats.insert(0, u32::try_from(node).unwrap());
                    all.push(seats);
                }
            }
        }
        all
    }

    /// `from`: gangs before it are not started at this instant any more, as order does not matter.
    fn explore(&mut self, state: &Partial, from: usize) {
        let longest = state.waiting.iter().map(|g| self.gangs[*g].run).max();
        let bound = state.end.max(state.now + longest.unwrap_or(0));
        if bound >= self.best {
            return;
        }
        if state.waiting.is_empty() {
            self.best = state.end;
            self.best_starts = state.starts.clone();
            return;
        }
        for &gang in state.waiting.iter().filter(|gang| **gang >= from) {
            let Gang { tasks, gpus, run } = self.gangs[gang];
            for seats in Self::seats(&state.free, tasks, gpus, 0) {
                let mut next = state.clone();
                next.waiting.retain(|other| *other != gang);
                for node in &seats {
                    next.free[*node as usize] -= gpus;
                }
                next.running.push((state.now + run, gang, seats.clone()));
                next.starts.push((state.now, gang, seats));
                next.end = next.end.max(state.now + run);
                self.explore(&next, gang + 1);
            }
        }
        let Some(soon) = state.running.iter().map(|r| r.0).min() else {
            return;
        };
        let mut next = state.clone();
        next.now = soon;
        next.running.retain(|(end, gang, seats)| {
            if *end == soon {
                for node in seats {
                    next.free[*node as usize] += self.gangs[*gang].gpus;
                }
            }
            *end != soon
        });
        self.explore(&next, 0);
    }
}

/// Starts gangs when and where a script says.
#[derive(Clone, Debug)]
struct Scripted(Vec<Start>);

impl Policy for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn decide(&mut self, view: &View<'_>, _: &News<'_>, out: &mut Decisions) {
        for job in view.pending_jobs() {
            let mine = self.0.iter().find(|start| start.1 == job.job_id().index());
            let (when, _, seats) = mine.unwrap();
            if at(*when) == view.now() {
                let spots = seats.iter().map(|node| Spot::from(NodeId(*node)));
                out.place(job.id(), spots);
            }
        }
        let next = self.0.iter().map(|start| at(start.0));
        if let Some(next) = next.filter(|when| *when > view.now()).min() {
            out.wake_at(next);
        }
    }
}

fn makespan(gpus: u8, count: u32, gangs: &[Gang], policy: impl Policy + 'static) -> SimDuration {
    let jobs = gangs
        .iter()
        .map(|gang| job(gang.gpus, gang.run).tasks(gang.tasks))
        .collect();
    let (report, _) = run(nodes(count, gpus), jobs, policy, 10_000);
    assert_eq!(report.summary.completed(), gangs.len() as u64);
    report.summary.makespan().unwrap()
}

fn gangs() -> impl Strategy<Value = (u8, u32, Vec<Gang>)> {
    (2..=4_u8, 2..=3_u32).prop_flat_map(|(gpus, count)| {
        let gang = (1..=2_u32, 1..=u16::from(gpus), 1..=9_u64);
        let gang = gang.prop_map(|(tasks, gpus, run)| Gang { tasks, gpus, run });
        (Just(gpus), Just(count), prop::collection::vec(gang, 1..=6))
    })
}

proptest! {
    /// No policy beats the best schedule there is, and the engine can run that schedule.
    #[test]
    fn the_optimum_is_never_beaten_and_is_reached((gpus, count, gangs) in gangs()) {
        let mut search = Search { gangs: &gangs, best: u64::MAX, best_starts: Vec::new() };
        let start = Partial {
            now: 0,
            free: vec![u16::from(gpus); count as usize],
            running: Vec::new(),
            waiting: (0..gangs.len()).collect(),
            starts: Vec::new(),
            end: 0,
        };
        search.explore(&start, 0);
        let best = secs(search.best);
        let reached = makespan(gpus, count, &gangs, Scripted(search.best_starts.clone()));
        prop_assert_eq!(reached, best, "{:?}", search.best_starts);
        prop_assert!(makespan(gpus, count, &gangs, StrictFifo) >= best);
        prop_assert!(makespan(gpus, count, &gangs, FirstFit) >= best);
    }
}
