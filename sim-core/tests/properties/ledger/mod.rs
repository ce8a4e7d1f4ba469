//! The ledger against a naive one, written from the rules and recomputed from scratch at every
//! instant: which GPU-nanosecond goes where, whose progress is lost, and why each job waits.
//!
//! | subject | file |
//! | --- | --- |
//! | what happens to nodes, tasks and jobs | `happened.rs` |
//! | a job's units, their work and what of it is saved | `job.rs` |
//! | what is free on a node, in every sharing mode | `room.rs`, `mig.rs` |
//! | nodes that are down or held, and where tasks may go | `cluster.rs` |
//! | what tasks hold: slices, and GPUs of which many have the whole | `tasks.rs`, `crowd.rs` |
//! | how fast units go, alone and beside others | `speed.rs` |
//! | whether a unit fits, and what it demands | `fit.rs` |
//! | why jobs wait, and what idle capacity is charged to them | `waits.rs` |
//! | instances (MIG) that tasks wait for | `instances.rs` |

mod check;
mod cluster;
mod crowd;
mod fit;
mod happened;
mod instances;
mod job;
mod mig;
pub(crate) mod room;
mod speed;
mod tasks;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windtunnel_core::units::{MILLI_PER_GPU, PPM};
use windtunnel_core::{
    Bucket, DemandId, DeviceSet, Event, JobId, JobRecord, JobRef, JobSpec, NodeId, Observer,
    Places, PoolId, QueueId, Reason, SchedulerId, SimTime, Tenure, View, World,
};

use crate::chaos::{Case, Log, case, crowded_case, shared_case};
use fit::Need;
use instances::Instances;
use job::Job;

/// A row of the books.
type Line = (PoolId, Bucket, Option<Reason>);

/// The naive ledger.
pub(crate) struct Naive {
    case: Case,
    /// The supply with nothing on it.
    world: World,
    fabric: Places,
    specs: Vec<JobSpec>,
    log: Log,
    now: SimTime,
    tape: Vec<Event>,
    failed: BTreeSet<NodeId>,
    cordoned: BTreeSet<NodeId>,
    draining: BTreeSet<NodeId>,
    /// GPUs that have failed, in truth.
    broken: BTreeMap<NodeId, DeviceSet>,
    /// Stragglers, and at how many millionths of their speed they work.
    slow: BTreeMap<NodeId, u32>,
    own: BTreeMap<JobRef, Reason>,
    shape: BTreeMap<DemandId, Reason>,
    queue: BTreeMap<(SchedulerId, QueueId), Reason>,
    shapes: BTreeMap<DemandId, Need>,
    live: BTreeMap<JobRef, Job>,
    ended: BTreeMap<JobId, Job>,
    instances: Instances,
    /// Milli-GPU·ppm of each line since the last instant.
    levels: BTreeMap<Line, u128>,
    sums: BTreeMap<Line, u128>,
    /// Cores that tasks hold since the last instant [milli], and their sum over time.
    cores: u128,
    core_sum: u128,
    records: Vec<JobRecord>,
    /// When anything happened.
    instants: Vec<SimTime>,
}

impl Naive {
    pub(crate) fn new(case: &Case, log: &Log) -> Self {
        let mut world = World::new(&case.supply()).unwrap();
        let mut levels = BTreeMap::new();
        for (pool, id) in case.supply().pools.iter().zip(0..) {
            let nodes = match pool.tenure {
                Tenure::Owned { nodes } => nodes,
                Tenure::Rented(elastic) => elastic.min,
            };
            let milli = u128::from(nodes * u32::from(pool.model.gpus) * MILLI_PER_GPU);
            levels.insert(
                (PoolId(id), Bucket::IdleNoDemand, None),
                milli * u128::from(PPM),
            );
        }
        Self {
            case: case.clone(),
            fabric: world.view().places().clone(),
            world,
            specs: case.jobs(),
            log: Log::clone(log),
            now: SimTime::ZERO,
            tape: Vec::new(),
            failed: BTreeSet::new(),
            cordoned: BTreeSet::new(),
            draining: BTreeSet::new(),
            broken: BTreeMap::new(),
            slow: BTreeMap::new(),
            own: BTreeMap::new(),
            shape: BTreeMap::new(),
            queue: BTreeMap::new(),
            shapes: BTreeMap::new(),
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            instances: Instances::default(),
            levels,
            sums: BTreeMap::new(),
            cores: 0,
            core_sum: 0,
            records: Vec::new(),
            instants: Vec::new(),
        }
    }

    /// Time passes: levels become sums, units work and save.
    fn pass(&mut self, now: SimTime) {
        let length = now.since(self.now).as_nanos();
        self.now = now;
        self.core_sum += self.cores * u128::from(length);
        for (line, level) in &self.levels {
            *self.sums.entry(*line).or_default() += level * u128::from(length);
        }
        for job in self.live.values_mut() {
            if let Some(why) = job.why {
                *job.waited.entry(why).or_default() += length;
            }
            for unit in &mut job.units {
                job.useful += unit.work(length);
            }
        }
    }

    /// What the present instant leaves until the next.
    fn settle(&mut self, view: &View<'_>) {
        self.levels.clear();
        self.own
            .retain(|job, _| view.job(*job).is_some_and(|job| job.is_queued()));
        let places = self.cluster(view);
        self.tasks(view);
        let mut free: BTreeMap<PoolId, u64> = BTreeMap::new();
        for place in &places {
            *free.entry(place.pool).or_default() += place.free;
        }
        self.waits(view, &places, &mut free);
        for (pool, milli) in free {
            self.book(pool, Bucket::IdleNoDemand, None, milli, PPM);
        }
    }

    /// So many thousandths of GPUs, and how many millionths of them, go there from now on.
    fn book(&mut self, pool: PoolId, bucket: Bucket, why: Option<Reason>, milli: u64, ppm: u32) {
        self.book_level(pool, bucket, why, u128::from(milli) * u128::from(ppm));
    }

    fn book_level(&mut self, pool: PoolId, bucket: Bucket, why: Option<Reason>, level: u128) {
        *self.levels.entry((pool, bucket, why)).or_default() += level;
    }

    /// GPUs of a node that have failed, in truth.
    fn broken(&self, node: NodeId) -> DeviceSet {
        self.broken.get(&node).copied().unwrap_or_default()
    }

    /// Whether a task has a place where nothing that it holds has failed.
    fn is_sound(&self, task: &windtunnel_core::TaskView<'_>) -> bool {
        let devices = task.grant().unwrap_or_default().devices.0;
        let sound = |node| !self.failed.contains(&node) && devices & self.broken(node).0 == 0;
        task.node().is_some_and(sound)
    }
}

impl Observer for Naive {
    fn on_event(&mut self, event: &Event, _: &View<'_>) {
        self.tape.push(*event);
    }

    fn on_job(&mut self, record: &JobRecord) {
        self.records.push(record.clone());
    }

    fn on_instant(&mut self, view: &View<'_>) {
        self.pass(view.now());
        self.instants.push(view.now());
        self.truths();
        self.decisions();
        self.check_starts(view);
        self.endings();
        self.settle(view);
        for (id, job) in &self.live {
            for unit in &job.units {
                let over = unit.left.is_some_and(|left| left < 0) && !unit.done;
                assert!(!over, "{id} should be done by {}", view.now());
            }
        }
    }
}

fn agrees(case: &Case) -> Result<(), TestCaseError> {
    let log = Log::default();
    let mut naive = Naive::new(case, &log);
    let run = case.simulation(&log).run_with(&mut naive);
    let report = run.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let found = naive.check(&report.ledger.unwrap());
    found.or_else(|_| first_difference(case, &naive.instants))
}

/// Runs again, up to the instant before which the books first differ.
fn first_difference(case: &Case, instants: &[SimTime]) -> Result<(), TestCaseError> {
    let log = Log::default();
    let mut naive = Naive::new(case, &log);
    let mut run = case.simulation(&log);
    for instant in instants {
        let levels = naive.levels.clone();
        let until = run.run_until(*instant, &mut naive);
        until.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let before = naive.check(&run.report().ledger.unwrap());
        before.map_err(|error| {
            TestCaseError::fail(format!("up to {instant}, with {levels:?}: {error}"))
        })?;
    }
    naive.check(&run.report().ledger.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// Bucket by bucket, reason by reason, to the unit.
    #[test]
    fn agrees_with_a_naive_recomputation(case in case()) {
        agrees(&case)?;
    }

    /// The same with slots, MPS, MIG and GPUs that nobody counts.
    #[test]
    fn agrees_however_gpus_are_shared(case in shared_case()) {
        agrees(&case)?;
    }

    /// The same with few GPUs for many small jobs, whose memory may not suffice.
    #[test]
    fn agrees_where_gpus_are_crowded(case in crowded_case()) {
        agrees(&case)?;
    }
}
