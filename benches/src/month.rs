//! A month of a large cluster: a million jobs of every size on 12,500 nodes of eight GPUs.

use std::sync::Arc;

use windtunnel::Behaviours;
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::{
    ArrivalError, Arrivals, Behaviour, Clock, Cycle, DutyPhase, FleetFaults, JobSpec, Names,
    NotForkable, Platform, Ppm, RunOptions, Sharing, SimDuration, SimTime, Simulation, Supply,
    TaskRequest, TopologyAware, TopologySpeed,
};
use windtunnel_policies::registry::policy;

/// Share of jobs in thousandths, GPUs of a task in thousandths, tasks.
const SIZES: [(u64, u16, u32); 9] = [
    (100, 250, 1),
    (100, 500, 1),
    (350, 1_000, 1),
    (100, 2_000, 1),
    (100, 4_000, 1),
    (150, 8_000, 1),
    (50, 8_000, 2),
    (30, 8_000, 4),
    (20, 8_000, 8),
];

/// A stream of jobs over a month at load 0.7, drawn as it is read.
///
/// 1.28 nodes and 5.25 GPUs per job in the mean; run times are exponential. Draws are in whole
/// numbers, so the stream is the same on every machine.
#[derive(Clone, Debug)]
pub struct Month {
    jobs: u64,
    left: u64,
    rng: StreamRng,
    now: u64,
    /// Mean time between submissions \[ns\].
    gap: u64,
    /// Mean run time \[ns\].
    run: u64,
    behaviours: [Vec<Arc<Behaviour>>; 2],
}

/// The length of the month.
pub const MONTH: SimDuration = SimDuration::from_days(30);

impl Month {
    /// `jobs` jobs for so many GPUs; each behaves like one of `behaviours`, in turn, or plainly: of the
    /// first those that ask for a part of a GPU, of the second those that ask for whole ones.
    #[must_use]
    pub fn new(jobs: u64, gpus: u64, seed: Seed, behaviours: [Vec<Arc<Behaviour>>; 2]) -> Self {
        let jobs = jobs.max(1);
        let milli: u64 = SIZES
            .iter()
            .map(|&(share, milli, tasks)| share * u64::from(milli) * u64::from(tasks))
            .sum();
        // Mean GPUs per job is milli ÷ 10⁶; load 0.7 of all GPUs over the month.
        let gpu_nanos = u128::from(gpus) * u128::from(MONTH.as_nanos()) * 7 / 10;
        let run = gpu_nanos * 1_000_000 / u128::from(milli) / u128::from(jobs);
        Self {
            jobs,
            left: jobs,
            rng: stream(seed, Purpose::Jobs, 0, 0),
            now: 0,
            gap: MONTH.as_nanos() / jobs,
            run: u64::try_from(run).unwrap_or(u64::MAX),
            behaviours,
        }
    }

    /// Mean number of nodes of eight GPUs per job.
    #[must_use]
    pub fn mean_nodes() -> f64 {
        let nodes: u64 = SIZES
            .iter()
            .map(|&(share, _, tasks)| share * u64::from(tasks))
            .sum();
        nodes as f64 / 1_000.0
    }

    /// An exponential draw in whole numbers: the sum of geometric halvings and an even rest.
    fn exponential(&mut self, mean: u64) -> u64 {
        // −ln(u) = k·ln 2 + e, where 2^−k ≤ u and the rest is uniform enough for a benchmark.
        let word = self.rng.next_word();
        let halvings = u128::from(word.leading_zeros());
        let rest = u128::from(self.rng.next_word() >> 44);
        let scaled = halvings * 726_817 + rest * 726_817 / (1 << 20);
        let draw = u128::from(mean) * scaled / (1 << 20);
        u64::try_from(draw).unwrap_or(u64::MAX).max(1)
    }
}

impl Arrivals for Month {
    fn next(&mut self, _names: &mut Names) -> Option<Result<JobSpec, ArrivalError>> {
        self.left = self.left.checked_sub(1)?;
        let gap = self.exponential(self.gap);
        self.now += gap;
        let mut pick = self.rng.next_word() % 1_000;
        let found = SIZES.iter().find(|(share, _, _)| {
            let here = pick < *share;
            if !here {
                pick -= share;
            }
            here
        });
        let &(_, milli, tasks) = found?;
        let request = match milli {
            0..1_000 => TaskRequest::gpu_milli(milli),
            _ => TaskRequest::gpus(milli / 1_000),
        };
        let run = SimDuration::from_nanos(self.exponential(self.run));
        let mut job = JobSpec::new(SimTime::from_nanos(self.now), request, run).tasks(tasks);
        if tasks > 1 {
            job = job.checkpoint(SimDuration::from_mins(30), SimDuration::from_secs(20));
        }
        let kinds = &self.behaviours[usize::from(milli >= 1_000)];
        if !kinds.is_empty() {
            let turn = usize::try_from(self.jobs - self.left).unwrap_or(0);
            job = job.behaviour(kinds[turn % kinds.len()].clone());
        }
        Some(Ok(job))
    }

    fn fork(&self) -> Result<Box<dyn Arrivals>, NotForkable> {
        Ok(Box::new(self.clone()))
    }
}

/// What the month has beside its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// Nothing.
    Plain,
    /// Everything.
    Everything,
    /// Everything, and whole-GPU jobs are asked for their speed twice an hour: each hour of their progress has
    /// two phases.
    Hourly,
}

/// The month on `nodes` HGX H100 nodes under first fit; with everything, jobs behave like five of our
/// kinds (of which one has phases, four a day), nodes, GPUs, links and cards
/// fail as in a large fleet, GPUs are shared by MPS, devices are chosen by their links, and where a job
/// runs and beside whom decides how fast it is.
///
/// # Panics
/// Never: the names are known.
#[must_use]
pub fn simulation(jobs: u64, nodes: u32, features: Features) -> Simulation {
    let model = windtunnel::hardware::model("hgx-h100").expect("in the catalogue");
    let supply = Supply::uniform(model.node_model(), nodes);
    let arrivals = |behaviours| Month::new(jobs, u64::from(nodes) * 8, Seed(1), behaviours);
    let policy = policy("first-fit").expect("first-fit is built in");
    let mut platform = Platform::new("first-fit", policy).sharing(Sharing::Fractions);
    let options = RunOptions::default();
    if features == Features::Plain {
        return Simulation::new(
            supply,
            arrivals([Vec::new(), Vec::new()]),
            platform,
            options,
        )
        .expect("builds");
    }
    let known = Behaviours::embedded();
    let parts = ["inference-host-staged", "lucid-ppo"];
    let wholes = ["llm-7b", "gavel-transformer", "recommender-training"];
    let behaviour = |name| {
        let profile = known.named(name).expect("one of ours");
        let mut behaviour = profile.behaviour().expect("ours are legal");
        if features == Features::Hourly && wholes.contains(&name) {
            behaviour.cycle = Some(two_an_hour());
        }
        Arc::new(behaviour)
    };
    let behaviours = [
        parts.map(behaviour).to_vec(),
        wholes.map(behaviour).to_vec(),
    ];
    platform = platform.sharing(Sharing::Mps);
    platform.pool_default.devices = Box::new(TopologyAware);
    platform.speed = Arc::new(TopologySpeed::default());
    let supply = supply.with_faults(FleetFaults::llama3());
    Simulation::new(supply, arrivals(behaviours), platform, options).expect("builds")
}

/// 50 minutes of training, 10 of validation.
fn two_an_hour() -> Cycle {
    let phase = |minutes, duty| DutyPhase {
        length: SimDuration::from_mins(minutes),
        duty: Ppm(duty),
    };
    Cycle {
        clock: Clock::Progress,
        phases: vec![phase(50, 950_000), phase(10, 400_000)],
    }
}
