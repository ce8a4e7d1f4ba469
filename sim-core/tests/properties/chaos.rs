//! Random clusters, jobs and faults, and components that do anything that is legal.
//!
//! What the policy decides is written to a log that checkers read at the end of each instant.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::unsteady::Unsteady;
use proptest::prelude::*;
use rand::RngExt;
use windtunnel_core::rng::{Purpose, Seed, StreamRng, stream};
use windtunnel_core::units::PPM;
use windtunnel_core::{
    Advance, Autoscaler, Batch, Behaviour, Bytes, Checkpoint, Claim, Commit, ControllerId,
    Decision, Decisions, DemandId, DeviceSet, DriverFailures, Elastic, Ending, Fabric, Fault,
    FaultKind, Fit, GpuRequest, HoldFor, HoldId, HoldPart, JobId, JobList, JobNews, JobRef,
    JobSpec, JobView, Keeps, Layout, Level, ListedFaults, MigInstance, MigTable, MilliCores, Names,
    News, NodeId, NodeModel, Outcome, Plan, Platform, Policy, PoolId, PoolSet, PoolSettings,
    PoolSpec, Ppm, Promise, QueueId, Reason, Route, RunOptions, Save, Scaling, ScalingCommand,
    Scheduler, SchedulerId, Sharing, SimDuration, SimTime, Simulation, Spot, Spots, Supply,
    TaskGroup, TaskRef, TaskRequest, TaskSet, TaskState, TaskView, Then, View, Work, WouldFit,
};

/// A pool; lengths in ticks.
#[derive(Clone, Debug)]
pub(crate) struct PoolCase {
    nodes: u32,
    gpus: u8,
    model: u8,
    cores: u32,
    memory: u64,
    fractions: bool,
    detection: u64,
    /// Fewest nodes, request delay, boot delay.
    elastic: Option<(u32, u64, u64)>,
}

/// Tasks that ask for the same: GPUs, models, cores, memory, count.
type GroupCase = (GpuRequest, u64, u32, u64, u32);

#[derive(Clone, Debug)]
pub(crate) struct JobCase {
    submit: u64,
    groups: Vec<GroupCase>,
    /// 0: all, 1: each, 2: elastic.
    advance: u8,
    min: u32,
    extra: u32,
    /// Ticks; 0 makes a service of it.
    work: u64,
    nanos: u64,
    startup: u64,
    restart: u64,
    duty: u32,
    checkpoint: Option<(u64, u64)>,
    limit: Option<u64>,
    queue: u16,
    ending: u8,
}

impl JobCase {
    /// The level that a group of tasks must not cross; a gang has no other use for `min` and `extra`.
    fn level(&self, group: u32) -> Option<Level> {
        const LEVELS: [Option<Level>; 6] = [
            None,
            None,
            Some(Level::Domain),
            Some(Level::Node),
            Some(Level::Rack),
            Some(Level::Pod),
        ];
        let which = (self.min.saturating_sub(1)) * 3 + self.extra + group;
        (self.advance == 0).then(|| LEVELS[which as usize % LEVELS.len()])?
    }

    /// How it uses a GPU that is shared; half of these jobs take memory that others may lack.
    fn behaviour(&self) -> Behaviour {
        let submit = u32::try_from(self.submit).unwrap();
        let compute = match Ppm(self.duty) {
            // An undiminished duty says nothing: what it uses alone is its behaviour's.
            Ppm::ONE => PPM - submit * 20_000,
            part => part.0.max(1),
        };
        let memory = (self.submit * 11 + self.work * 7 + u64::from(self.duty)) % 120;
        Behaviour {
            compute_use: Ppm(compute),
            bandwidth_use: Ppm((self.duty / 2 + submit * 20_000).min(PPM)),
            gpu_memory: Bytes(memory.saturating_sub(60)),
            ..Behaviour::new("some")
        }
    }
}

/// What a fault does; times in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Breaks {
    Node,
    Gpu(u8),
    Nvlink(u8),
    Nic(u8),
    Slow(u32),
    Drain(u64),
}

/// Everything of a run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Nanoseconds in a tick.
    tick: u64,
    pools: Vec<PoolCase>,
    jobs: Vec<JobCase>,
    /// Pool, ordinal, at, repair, what.
    faults: Vec<(u8, u32, u64, u64, Breaks)>,
    /// How often drivers fail to come up, and for how long at least and at most.
    driver: Option<(u32, u64, u64)>,
    /// Pools of a second scheduler, as bits; 0 for none.
    second: u64,
    autoscaler: bool,
    /// What draws the speeds, if they are unsteady.
    unsteady: Option<u64>,
    gang_timeout: Option<u64>,
    drain: bool,
    horizon: u64,
    seed: u64,
    /// What the policy may do, as bits over [`Power`].
    powers: u32,
    /// How pools share their GPUs, if not as they say themselves.
    modes: Vec<u8>,
}

/// What a chaotic policy can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Power {
    Whole,
    Task,
    Some,
    Try,
    Within,
    Promise,
    Evict,
    Resume,
    Replace,
    Hold,
    EndHold,
    Finish,
    Say,
}

const POWERS: [Power; 13] = [
    Power::Whole,
    Power::Task,
    Power::Some,
    Power::Try,
    Power::Within,
    Power::Promise,
    Power::Evict,
    Power::Resume,
    Power::Replace,
    Power::Hold,
    Power::EndHold,
    Power::Finish,
    Power::Say,
];

/// What becomes of the unsaved progress of units that a decision stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Kept,
    Saved,
    Lost,
}

/// What a policy decided, as far as checkers need to know.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Own(JobRef, Reason),
    Shape(DemandId, Reason),
    Queue((SchedulerId, QueueId), Reason),
    /// Tasks were taken out: (group, index) of each, and whether it is to keep its progress.
    Stopped(JobRef, Vec<(u16, u32)>, Stop, bool),
    /// The same of tasks that were starting: those among them that were coming back with progress.
    Interrupted(JobRef, Vec<(u16, u32)>, Stop, bool),
    /// Tasks are suspended and keep so much.
    Keeps(JobRef, Vec<(u16, u32)>, Keeps),
    /// So many tasks were to be placed at once, for sure or not.
    Placed(JobRef, usize, Claim),
    /// Tasks of a job were moved.
    Moved(JobRef),
}

pub(crate) type Log = Arc<Mutex<Vec<Said>>>;

fn gpus() -> impl Strategy<Value = GpuRequest> {
    prop_oneof![
        1 => Just(GpuRequest::None),
        5 => (1..=4_u16).prop_map(GpuRequest::Whole),
        3 => prop_oneof![Just(250), Just(300), Just(500), 1..1_000_u16].prop_map(GpuRequest::Milli),
    ]
}

fn group() -> impl Strategy<Value = GroupCase> {
    let cores = prop_oneof![3 => Just(0), 2 => 1..=4_u32];
    let memory = prop_oneof![4 => Just(0), 1 => 1..=8_u64];
    let models = prop_oneof![4 => Just(0_u64), 1 => Just(1), 1 => Just(2), 1 => Just(4)];
    (gpus(), models, cores, memory, 1..=3_u32)
}

fn pool() -> impl Strategy<Value = PoolCase> {
    let gpus = prop_oneof![1 => Just(0), 6 => 1..=4_u8, 1 => Just(8)];
    let cores = prop_oneof![1 => Just(0), 3 => 1..=8_u32];
    let memory = prop_oneof![1 => Just(0), 3 => 1..=16_u64];
    let elastic = prop_oneof![3 => Just(None), 1 => (0..2_u32, 1..5_u64, 1..5_u64).prop_map(Some)];
    let times = (any::<bool>(), prop_oneof![Just(0), 1..12_u64], elastic);
    (1..=3_u32, gpus, 0..2_u8, cores, memory, times).prop_map(
        |(nodes, gpus, model, cores, memory, (fractions, detection, elastic))| PoolCase {
            nodes,
            gpus,
            model,
            cores,
            memory,
            fractions,
            detection,
            elastic,
        },
    )
}

fn job() -> impl Strategy<Value = JobCase> {
    let groups = prop_oneof![4 => prop::collection::vec(group(), 1), 1 => prop::collection::vec(group(), 2..=3)];
    let shape = (
        prop_oneof![0..40_u64, Just(0)],
        groups,
        0..3_u8,
        1..3_u32,
        0..3_u32,
    );
    let work = prop_oneof![1 => Just(0), 8 => 1..60_u64];
    let times = (
        work,
        prop_oneof![Just(0), 0..5_u64],
        prop_oneof![Just(0), 1..6_u64],
        0..4_u64,
    );
    let duty = prop_oneof![Just(1_000_000), 0..=1_000_000_u32];
    let checkpoint = prop_oneof![1 => Just(None), 1 => (1..20_u64, prop_oneof![Just(0), 1..4_u64]).prop_map(Some)];
    let limit = prop_oneof![4 => Just(None), 1 => (1..60_u64).prop_map(Some)];
    let rest = (duty, checkpoint, limit, 0..2_u16, 0..6_u8);
    (shape, times, rest).prop_map(
        |(
            (submit, groups, advance, min, extra),
            (work, nanos, startup, restart),
            (duty, checkpoint, limit, queue, ending),
        )| JobCase {
            submit,
            groups,
            advance,
            min,
            extra,
            work,
            nanos,
            startup,
            restart,
            duty,
            checkpoint,
            limit,
            queue,
            ending,
        },
    )
}

fn breaks() -> impl Strategy<Value = Breaks> {
    prop_oneof![
        3 => Just(Breaks::Node),
        4 => (0..4_u8).prop_map(Breaks::Gpu),
        1 => (0..4_u8).prop_map(Breaks::Nvlink),
        1 => (0..4_u8).prop_map(Breaks::Nic),
        1 => (0..=PPM).prop_map(Breaks::Slow),
        3 => (0..20_u64).prop_map(Breaks::Drain),
    ]
}

/// Any case.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let fault = (0..3_u8, 0..3_u32, 0..100_u64, 0..30_u64, breaks());
    let driver = (0..900_000_u32, 1..4_u64, 0..5_u64);
    let driver = prop_oneof![2 => Just(None), 1 => driver.prop_map(Some)];
    let parts = (
        prop_oneof![Just(1_u64), Just(7), Just(1_000_003)],
        prop::collection::vec(pool(), 1..=3),
        prop::collection::vec(job(), 1..=7),
        prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(fault, 1..9)],
    );
    let platform = (
        prop_oneof![3 => Just(0_u64), 1 => 1..8_u64],
        prop_oneof![2 => Just(false), 1 => Just(true)],
        prop_oneof![3 => Just(None), 1 => (1..20_u64).prop_map(Some)],
        driver,
    );
    let run = (
        prop_oneof![3 => Just(false), 1 => Just(true)],
        1..160_u64,
        any::<u64>(),
        any::<u32>(),
    );
    (parts, platform, run).prop_map(
        |(
            (tick, pools, jobs, faults),
            (second, autoscaler, gang_timeout, driver),
            (drain, horizon, seed, powers),
        )| Case {
            tick,
            pools,
            jobs,
            faults,
            driver,
            second,
            autoscaler,
            unsteady: None,
            gang_timeout,
            drain,
            horizon,
            seed,
            // Placing whole jobs is always allowed: without it hardly anything happens.
            powers: powers | 1,
            modes: Vec::new(),
        },
    )
}

/// A case in which pools share their GPUs in any way, and GPUs may run out of memory.
pub(crate) fn shared_case() -> impl Strategy<Value = Case> {
    (case(), prop::collection::vec(0..8_u8, 4)).prop_map(|(case, modes)| Case { modes, ..case })
}

/// A small job for a GPU that others have, too.
fn small_job() -> impl Strategy<Value = JobCase> {
    let gpus = prop_oneof![
        3 => (1..400_u16).prop_map(GpuRequest::Milli),
        1 => Just(GpuRequest::Whole(1)),
    ];
    (job(), gpus, 1..=2_u32).prop_map(|(job, gpus, count)| JobCase {
        groups: vec![(gpus, 0, 0, 0, count)],
        work: job.work.max(5),
        checkpoint: job.checkpoint.filter(|_| job.ending > 2),
        ..job
    })
}

/// The same with few GPUs of one kind, and many small jobs that meet on them.
pub(crate) fn crowded_case() -> impl Strategy<Value = Case> {
    let jobs = prop::collection::vec(small_job(), 3..12);
    (shared_case(), jobs, 1..=2_u8).prop_map(|(mut case, jobs, gpus)| {
        for pool in &mut case.pools {
            (pool.gpus, pool.nodes) = (pool.gpus.min(gpus), pool.nodes.min(2));
        }
        case.jobs.truncate(2);
        case.jobs.extend(jobs);
        Case {
            horizon: case.horizon.max(40),
            ..case
        }
    })
}

/// The pool that comes at a place.
pub(crate) fn pool_id(place: usize) -> PoolId {
    PoolId(u8::try_from(place).unwrap())
}

impl Case {
    fn ticks(&self, n: u64) -> SimDuration {
        SimDuration::from_nanos(n * self.tick)
    }

    /// The latest instant at which the policy still wakes itself.
    pub(crate) fn last_wake(&self) -> SimTime {
        SimTime::ZERO + self.ticks(self.horizon)
    }

    pub(crate) fn tick(&self) -> SimDuration {
        self.ticks(1)
    }

    fn hungry(&self) -> BTreeSet<JobId> {
        let takes = |spec: &JobSpec| {
            let behaviour = spec.profile.behaviour.as_ref();
            behaviour.is_some_and(|behaviour| behaviour.gpu_memory.0 > 0)
        };
        let jobs = (0..).map(JobId).zip(self.jobs());
        jobs.filter(|(_, spec)| takes(spec))
            .map(|(id, _)| id)
            .collect()
    }

    /// What it takes to make an instance.
    pub(crate) fn reconfigure(&self) -> SimDuration {
        self.ticks(self.seed >> 6 & 3)
    }

    /// Racks of up to three nodes, or one for all.
    fn fabric(&self) -> Fabric {
        Fabric {
            nodes_per_rack: u32::try_from(self.seed >> 1 & 3).unwrap(),
            racks_per_pod: u32::try_from(self.seed >> 3 & 3).unwrap(),
            ..Fabric::default()
        }
    }

    /// Domains of two nodes, where racks are of two.
    fn layout(&self) -> Layout {
        let pairs = self.fabric().nodes_per_rack == 2 && self.seed >> 5 & 1 == 1;
        Layout {
            nodes_per_domain: pairs.then_some(2),
            nodes_per_rack: None,
        }
    }

    pub(crate) fn supply(&self) -> Supply {
        let pools = self.pools.iter().zip(0..).map(|(pool, id)| {
            let model = NodeModel {
                gpu_memory: Bytes(if self.modes.is_empty() { 0 } else { 100 }),
                name: format!("node-{id}"),
                gpu_model: format!("m{}", pool.model),
                gpus: pool.gpus,
                cpu: MilliCores::cores(pool.cores),
                memory: Bytes(pool.memory),
                topology: None,
            };
            let name = format!("pool-{id}");
            let spec = match pool.elastic {
                None => PoolSpec::owned(&name, model, pool.nodes),
                Some((min, request, boot)) => {
                    let elastic = Elastic {
                        min: min.min(pool.nodes),
                        max: pool.nodes,
                        request_delay: self.ticks(request),
                        boot_delay: self.ticks(boot),
                    };
                    PoolSpec::rented(&name, model, elastic)
                }
            };
            spec.with_layout(self.layout())
        });
        let faults = self
            .faults
            .iter()
            .map(|&(pool, ordinal, when, repair, what)| {
                let at = SimTime::ZERO + self.ticks(when);
                let repair = self.ticks(repair);
                let what = match what {
                    Breaks::Node => FaultKind::Node,
                    Breaks::Gpu(gpu) => FaultKind::Gpu(gpu),
                    Breaks::Nvlink(gpu) => FaultKind::Nvlink(gpu),
                    Breaks::Nic(nic) => FaultKind::Nic(nic),
                    Breaks::Slow(to) => FaultKind::Slow(Ppm(to)),
                    Breaks::Drain(lead) => FaultKind::Drain {
                        lead: self.ticks(lead),
                    },
                };
                (PoolId(pool), ordinal, Fault { at, repair, what })
            });
        let supply = Supply::new(pools.collect())
            .with_faults(ListedFaults::new(faults.collect()))
            .with_fabric(self.fabric());
        if self.seed.is_multiple_of(2) {
            return supply;
        }
        // Pools take turns: the first node of each, then the second of each, ….
        let most = self.pools.iter().map(|pool| pool.nodes).max().unwrap_or(0);
        let turns = (0..most).flat_map(|ordinal| {
            let pools = self.pools.iter().zip(0..);
            let there = pools.filter(move |(pool, _)| ordinal < pool.nodes);
            there.map(|(_, id)| PoolId(id))
        });
        supply.in_order(turns.collect())
    }

    fn names() -> Names {
        let mut names = Names::default();
        for model in ["m0", "m1", "m2"] {
            names.gpu_model(model);
        }
        names.queue("second");
        names
    }

    /// Jobs in the order of their ids.
    pub(crate) fn jobs(&self) -> Vec<JobSpec> {
        let specs = self.jobs.iter().map(|job| self.spec(job)).collect();
        JobList::new(specs).jobs().to_vec()
    }

    fn spec(&self, job: &JobCase) -> JobSpec {
        let mut groups: Vec<TaskGroup> = job
            .groups
            .iter()
            .zip(0..)
            .map(|(&(gpus, models, cores, memory, count), place)| {
                let request = TaskRequest {
                    gpus,
                    models,
                    cpu: MilliCores::cores(cores),
                    memory: Bytes(memory),
                };
                let level = job.level(place);
                TaskGroup {
                    level,
                    ..TaskGroup::new(request, count)
                }
            })
            .collect();
        let submit = SimTime::ZERO + self.ticks(job.submit);
        let work = self.ticks(job.work) + SimDuration::from_nanos(job.nanos);
        let mut spec = JobSpec::new(submit, groups[0].request, work);
        let (advance, kind) = match job.advance {
            0 => (Advance::All, 0),
            1 => (Advance::Each, 1),
            _ => {
                let max = job.min + job.extra;
                (Advance::Between { min: job.min, max }, 0)
            }
        };
        if advance != Advance::All {
            groups.truncate(1);
        }
        if job.work == 0 {
            spec.profile.work = Work::Endless;
        } else if advance == Advance::Each && job.nanos % 2 == 1 {
            let count = u64::from(groups[0].count);
            let each = (0..count).map(|n| work + self.ticks(n));
            spec.profile.work = Work::PerTask(each.collect());
        }
        spec.request.groups = groups.into();
        spec.request.advance = advance;
        spec.request.kind = ControllerId(kind);
        spec.request.queue = QueueId(job.queue);
        spec.request.limit = job.limit.map(|limit| self.ticks(limit));
        spec.profile.startup = self.ticks(job.startup);
        spec.profile.restart = self.ticks(job.restart);
        spec.profile.duty = Ppm(job.duty);
        spec.profile.checkpoint = job.checkpoint.map(|(interval, cost)| Checkpoint {
            interval: self.ticks(interval),
            cost: self.ticks(cost),
        });
        if !self.modes.is_empty() && job.nanos.is_multiple_of(3) {
            spec.profile.behaviour = Some(Arc::new(job.behaviour()));
        }
        spec.profile.ending = match job.ending {
            0 => Ending::Fails,
            1 => Ending::Cancelled,
            _ => Ending::Completes,
        };
        spec
    }

    pub(crate) fn sharing(&self, pool: PoolId) -> Sharing {
        match self.modes.get(pool.index() % 4) {
            Some(0) => return Sharing::Mps,
            Some(1) => return Sharing::TimeSliced { slots: 2 },
            Some(2) => return Sharing::TimeSliced { slots: 3 },
            Some(3) => return Sharing::TimeSliced { slots: 48 },
            Some(4) => return Sharing::Unchecked,
            Some(5) => return Sharing::Mig(MigTable::A100x80),
            Some(6) => return Sharing::Mig(MigTable::A30x24),
            _ => {}
        }
        if self.pools[pool.index()].fractions {
            Sharing::Fractions
        } else {
            Sharing::Exclusive
        }
    }

    /// The pools of the scheduler that a queue's jobs go to.
    pub(crate) fn pools_of(&self, queue: QueueId) -> PoolSet {
        let all: PoolSet = (0..self.pools.len())
            .map(|p| PoolId(u8::try_from(p).unwrap()))
            .collect();
        let second = all.intersect(PoolSet(self.second));
        if queue.0 == 1 && !second.is_empty() {
            second
        } else {
            all
        }
    }

    pub(crate) fn platform(&self, log: &Log) -> Platform {
        let chaos = |domain| Chaos {
            rng: stream(Seed(self.seed), Purpose::Policy, domain, 0),
            powers: self.powers,
            tick: self.tick,
            last_wake: self.last_wake(),
            jobs: Vec::new(),
            hungry: self.hungry(),
            holds: BTreeSet::new(),
            fresh: (SimTime::ZERO, BTreeSet::new()),
            log: Arc::clone(log),
        };
        let mut platform = Platform::new("chaos", chaos(0));
        for (pool, id) in self.pools.iter().zip(0..) {
            let settings = PoolSettings {
                sharing: self.sharing(PoolId(id)),
                detection_delay: self.ticks(pool.detection),
                reconfigure: self.reconfigure(),
                driver: self
                    .driver
                    .map(|(probability, least, more)| DriverFailures {
                        probability: Ppm(probability),
                        retry_min: self.ticks(least),
                        retry_max: self.ticks(least + more),
                    }),
                ..PoolSettings::default()
            };
            platform.pools.push((PoolId(id), settings));
        }
        let second = self.pools_of(QueueId(1));
        if second != self.pools_of(QueueId(0)) {
            platform.schedulers.push(Scheduler {
                policy: Box::new(chaos(1)),
                pools: second,
            });
            platform.router.push(Route {
                queue: Some(QueueId(1)),
                scheduler: SchedulerId(1),
                ..Route::default()
            });
        }
        if let Some(timeout) = self.gang_timeout {
            let backoff = (self.ticks(2), self.ticks(9));
            let batch = Batch::new().gang_timeout(self.ticks(timeout));
            platform = platform.batch(batch.backoff(backoff.0, backoff.1));
        }
        if self.autoscaler {
            let rng = stream(Seed(self.seed), Purpose::Custom(1), 0, 0);
            platform = platform.autoscaler(ChaosScaler {
                rng,
                tick: self.tick,
                last_wake: self.last_wake(),
            });
        }
        if let Some(seed) = self.unsteady {
            let tick = self.tick;
            platform.speed = Arc::new(Unsteady { seed, tick });
        }
        platform
    }

    /// The same with speeds that change all the time.
    pub(crate) fn unsteady(mut self) -> Self {
        self.unsteady = Some(self.seed);
        self
    }

    pub(crate) fn options(&self) -> RunOptions {
        let options = RunOptions::default().names(Self::names());
        if self.drain {
            options
        } else {
            options.horizon(self.ticks(self.horizon))
        }
    }

    pub(crate) fn simulation(&self, log: &Log) -> Simulation {
        self.simulation_with(log, self.options())
    }

    pub(crate) fn simulation_with(&self, log: &Log, options: RunOptions) -> Simulation {
        let jobs = JobList::new(self.jobs());
        Simulation::new(self.supply(), jobs, self.platform(log), options).unwrap()
    }
}

/// Grows, shrinks, cordons and switches nodes as the dice fall.
#[derive(Clone, Debug)]
struct ChaosScaler {
    rng: StreamRng,
    tick: u64,
    last_wake: SimTime,
}

impl Autoscaler for ChaosScaler {
    fn name(&self) -> &str {
        "chaos"
    }

    fn scale(&mut self, view: &View<'_>, _: &News<'_>, fit: &dyn WouldFit, out: &mut Scaling) {
        let rng = &mut self.rng;
        let count = u32::try_from(view.node_count()).unwrap();
        let node = NodeId(rng.random_range(0..count));
        let pool = view.node(node).pool();
        match rng.random_range(0..8) {
            0 | 1 => out.grow(pool, 1 + fit.room(pool) / 2),
            2 => out.shrink(node),
            3 => out.push(ScalingCommand::Cordon { node, closed: true }),
            4 => out.push(ScalingCommand::Cordon {
                node,
                closed: false,
            }),
            5 => out.push(ScalingCommand::PowerOff { node }),
            6 => {
                let boot = SimDuration::from_nanos(self.tick * rng.random_range(1..6));
                out.push(ScalingCommand::PowerOn { node, boot });
            }
            _ => {}
        }
        let next = view.now() + SimDuration::from_nanos(self.tick * rng.random_range(1..9));
        if next <= self.last_wake {
            out.wake_at(next);
        }
    }
}

/// Does whatever it may, as the dice fall, but nothing illegal.
#[derive(Clone, Debug)]
struct Chaos {
    rng: StreamRng,
    powers: u32,
    tick: u64,
    last_wake: SimTime,
    jobs: Vec<JobRef>,
    /// Jobs that take memory of their GPUs: no policy knows, but one that may do nothing wrong must.
    hungry: BTreeSet<JobId>,
    /// Holds it made.
    holds: BTreeSet<HoldId>,
    /// Jobs placed in this instant: they are not taken out again before it is over.
    fresh: (SimTime, BTreeSet<JobRef>),
    log: Log,
}

/// One call: what is left to promise, and which jobs were decided about.
struct Call<'a, 'p, 'v> {
    view: &'a View<'v>,
    plan: &'p mut Plan<'v>,
    out: &'a mut Decisions,
    busy: BTreeSet<JobRef>,
    /// Holds that were ended in this call.
    ended: BTreeSet<HoldId>,
    /// The plan does not know all that changed: nothing is sure any more.
    blind: bool,
    /// The memory of GPUs may not have sufficed for what was placed: then agents choose other devices
    /// than the plan has, and what can't be refused is not sure any more.
    unsure: bool,
    log: Vec<Said>,
}

const REASONS: [Reason; 8] = [
    Reason::DoesNotFit,
    Reason::DoesNotFit,
    Reason::HeadOfLine,
    Reason::Priority,
    Reason::Quota,
    Reason::Latency,
    Reason::Fragmented,
    Reason::Other,
];

impl Policy for Chaos {
    fn name(&self) -> &str {
        "chaos"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        for change in news.jobs {
            if change.what == JobNews::Created {
                self.jobs.push(change.job);
            }
        }
        let alive = |job: &JobRef| {
            view.job(*job)
                .is_some_and(|found| found.outcome().is_none())
        };
        self.jobs.retain(alive);
        if self.fresh.0 != view.now() {
            self.fresh = (view.now(), BTreeSet::new());
        }
        let mut plan = view.plan();
        let mut call = Call {
            view,
            plan: &mut plan,
            out,
            busy: BTreeSet::new(),
            ended: BTreeSet::new(),
            blind: false,
            unsure: false,
            log: Vec::new(),
        };
        for _ in 0..self.rng.random_range(0..6) {
            let power = POWERS[self.rng.random_range(0..POWERS.len())];
            if self.powers >> (power as u8) & 1 == 1 {
                self.act(power, &mut call);
            } else {
                self.act(Power::Whole, &mut call);
            }
        }
        self.log.lock().unwrap().append(&mut call.log);
        drop(plan);
        let next = view.now() + self.ticks(1, 5);
        if next <= self.last_wake {
            out.wake_at(next);
        }
    }
}

impl Chaos {
    /// A random length of `least..most` ticks.
    fn ticks(&mut self, least: u64, most: u64) -> SimDuration {
        SimDuration::from_nanos(self.tick * self.rng.random_range(least..most))
    }

    fn maybe(&mut self) -> bool {
        self.rng.random_range(0..2) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.rng.random_range(0..from.len())].clone())
    }

    fn pick_job<'v>(
        &mut self,
        call: &Call<'_, '_, 'v>,
        wanted: impl Fn(&JobView<'v>) -> bool,
    ) -> Option<JobView<'v>> {
        let all: Vec<JobView<'v>> = self
            .jobs
            .iter()
            .filter(|job| !call.busy.contains(job))
            .filter_map(|job| call.view.job(*job))
            .filter(|job| wanted(job))
            .collect();
        self.pick(&all)
    }

    fn commit(&mut self) -> Commit {
        match self.rng.random_range(0..5) {
            0 => Commit::Reserve,
            1 => Commit::Bind {
                after: self.ticks(1, 4),
            },
            _ => Commit::NOW,
        }
    }

    fn act(&mut self, power: Power, call: &mut Call<'_, '_, '_>) {
        let done = match power {
            Power::Whole => self.place_whole(call),
            Power::Task => self.place_task(call),
            Power::Some => self.place_some(call),
            Power::Try => self.try_anything(call),
            Power::Within => self.try_within(call),
            Power::Promise => self.keep_or_break(call),
            Power::Evict => self.evict(call),
            Power::Resume => self.resume(call),
            Power::Replace => self.replace(call),
            Power::Hold => self.hold(call),
            Power::EndHold => self.end_hold(call),
            Power::Finish => self.finish(call),
            Power::Say => self.say(call),
        };
        if let Some(job) = done {
            call.busy.insert(job);
        }
    }

    fn placed(&mut self, call: &mut Call<'_, '_, '_>, job: JobRef, count: usize, claim: Claim) {
        call.unsure |= self.hungry.contains(&job.id);
        call.log.push(Said::Placed(job, count, claim));
        self.fresh.1.insert(job);
    }

    fn place_whole(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        if call.blind {
            return None;
        }
        let listed: Vec<JobRef> = call.view.pending_jobs().map(|job| job.id()).collect();
        let job = self.pick_job(call, |job| listed.contains(&job.id()))?;
        let fit = if self.maybe() {
            call.plan.first_fit(job)
        } else {
            call.plan.best_by(job, |free, _| i64::from(free.milli))
        };
        let Fit::Now(spots) = fit else { return None };
        let commit = self.commit();
        self.placed(call, job.id(), spots.len(), Claim::Sure);
        let id = job.id();
        call.out.place_as(id, spots, commit, Claim::Sure, None);
        Some(id)
    }

    /// A spot for a task somewhere in the plan, taken from it; devices chosen sometimes.
    fn take_spot(&mut self, call: &mut Call<'_, '_, '_>, task: TaskView<'_>) -> Option<Spot> {
        let count = u32::try_from(call.view.node_count()).unwrap();
        let from = NodeId(self.rng.random_range(0..count));
        let node = call.plan.next_feasible(task, from);
        let node = node.or_else(|| call.plan.next_feasible(task, NodeId(0)))?;
        assert!(call.plan.fits(task, node), "{node} is feasible");
        let milli = call.plan.sharing(node).granted_each(task.request().gpus);
        let wanted = task.request().gpus.devices();
        if milli > 0 && self.maybe() {
            let free = *call.plan.free(node);
            let one = match task.request().gpus {
                GpuRequest::Whole(_) => GpuRequest::Whole(1),
                part => part,
            };
            let mut able: Vec<u32> = (0..u32::from(free.devices))
                .filter(|device| free.grant(DeviceSet::one(*device), one).is_some())
                .collect();
            let mut devices = DeviceSet::EMPTY;
            for _ in 0..wanted {
                let place = self.rng.random_range(0..able.len());
                devices.0 |= DeviceSet::one(able.swap_remove(place)).0;
            }
            let spot = Spot {
                node,
                devices: Some(devices),
            };
            assert!(call.plan.take_devices(task, spot));
            return Some(spot);
        }
        assert!(call.plan.take(task, node), "what is feasible can be taken");
        Some(node.into())
    }

    fn place_task(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        if call.blind {
            return None;
        }
        let job = self.pick_job(call, |job| job.tasks_in(TaskState::Pending) > 0)?;
        let task = self.pick(&tasks_in(&job, &[TaskState::Pending]))?;
        let spot = self.take_spot(call, task)?;
        let commit = self.commit();
        self.placed(call, job.id(), 1, Claim::Sure);
        call.out
            .place_as(task.id(), [spot], commit, Claim::Sure, None);
        Some(job.id())
    }

    /// Some tasks of an array or an elastic job.
    fn place_some(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        if call.blind {
            return None;
        }
        let loose = |job: &JobView<'_>| {
            job.advance() != Advance::All && job.tasks_in(TaskState::Pending) > 0
        };
        let job = self.pick_job(call, loose)?;
        let pending = tasks_in(&job, &[TaskState::Pending]);
        let mut count = self.rng.random_range(1..=pending.len());
        if let Advance::Between { min, .. } = job.advance() {
            let placed: u32 = [
                TaskState::Reserved,
                TaskState::Starting,
                TaskState::Running,
                TaskState::Ending,
            ]
            .into_iter()
            .map(|state| job.tasks_in(state))
            .sum();
            if placed as usize + count < min as usize {
                count = pending.len();
            }
        }
        let mark = call.plan.mark();
        let mut spots = Spots::new();
        for task in &pending[..count] {
            match self.take_spot(call, *task) {
                Some(spot) => spots.push(spot),
                None => {
                    call.plan.undo_to(mark);
                    return None;
                }
            }
        }
        let commit = self.commit();
        self.placed(call, job.id(), count, Claim::Sure);
        let id = job.id();
        call.out.place_as(id, spots, commit, Claim::Sure, None);
        Some(id)
    }

    fn any_spot(&mut self, view: &View<'_>) -> Spot {
        let count = u32::try_from(view.node_count()).unwrap();
        let node = NodeId(self.rng.random_range(0..=count));
        let devices =
            (self.rng.random_range(0..4) == 0).then(|| DeviceSet(self.rng.random_range(0..16)));
        Spot { node, devices }
    }

    fn try_anything(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        // A group on both sides of a border is not refused but wrong.
        let job = self.pick_job(call, |job| {
            job.tasks_in(TaskState::Pending) > 0 && !has_level(job)
        })?;
        let pending = tasks_in(&job, &[TaskState::Pending]);
        let commit = self.commit();
        if self.maybe() {
            let spots: Vec<Spot> = pending.iter().map(|_| self.any_spot(call.view)).collect();
            self.placed(call, job.id(), spots.len(), Claim::Try);
            let id = job.id();
            call.out.place_as(id, spots, commit, Claim::Try, None);
        } else {
            let task = self.pick(&pending)?;
            let spot = self.any_spot(call.view);
            self.placed(call, job.id(), 1, Claim::Try);
            call.out
                .place_as(task.id(), [spot], commit, Claim::Try, None);
        }
        call.blind = true;
        Some(job.id())
    }

    fn try_within(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        let job = self.pick_job(call, |job| {
            job.tasks_in(TaskState::Pending) > 0 && !has_level(job)
        })?;
        let holds: Vec<_> = call
            .view
            .holds()
            .filter(|hold| self.holds.contains(&hold.id) && !call.ended.contains(&hold.id))
            .collect();
        let hold = self.pick(&holds)?;
        let pending = tasks_in(&job, &[TaskState::Pending]);
        let mut spot = |_: &TaskView<'_>| {
            let (node, _) = hold.parts[self.rng.random_range(0..hold.parts.len())];
            Spot::from(node)
        };
        let spots: Vec<Spot> = pending.iter().map(&mut spot).collect();
        let within = Some(hold.id);
        let commit = self.commit();
        let (set, spots) = if self.maybe() {
            (TaskSet::Job(job.id()), spots)
        } else {
            let place = self.rng.random_range(0..pending.len());
            (TaskSet::Task(pending[place].id()), vec![spots[place]])
        };
        self.placed(call, job.id(), spots.len(), Claim::Try);
        call.out.place_as(set, spots, commit, Claim::Try, within);
        call.blind = true;
        Some(job.id())
    }

    fn keep_or_break(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        let job = self.pick_job(call, |job| job.tasks_in(TaskState::Reserved) > 0)?;
        let reserved = tasks_in(&job, &[TaskState::Reserved]);
        let tasks = if self.maybe() {
            TaskSet::Job(job.id())
        } else {
            TaskSet::Task(self.pick(&reserved)?.id())
        };
        let what = Promise::Tasks(tasks);
        if self.rng.random_range(0..3) == 0 {
            call.blind = true;
            call.out.push(Decision::Abandon { what });
        } else {
            self.fresh.1.insert(job.id());
            call.out.push(Decision::Commit { what });
        }
        Some(job.id())
    }

    fn evict(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        use TaskState::{Reserved, Running, Starting, Suspended};
        let keeps = [Keeps::Nothing, Keeps::Memory, Keeps::Everything];
        let later = call.view.now() + self.ticks(0, 9);
        let then = match self.rng.random_range(0..6) {
            0 => Then::Kill,
            1 => Then::Requeue { not_before: None },
            2 => Then::Requeue {
                not_before: Some(later),
            },
            _ => Then::Suspend {
                keeps: self.pick(&keeps)?,
            },
        };
        let states: &[TaskState] = match then {
            Then::Suspend { .. } => &[Starting, Running],
            _ => &[Reserved, Starting, Running, Suspended],
        };
        let fresh = self.fresh.1.clone();
        let job = self.pick_job(call, |job| {
            !fresh.contains(&job.id()) && !tasks_in(job, states).is_empty()
        })?;
        let mut tasks = tasks_in(&job, states);
        let set = if self.maybe() {
            TaskSet::Job(job.id())
        } else {
            tasks = vec![self.pick(&tasks)?];
            TaskSet::Task(tasks[0].id())
        };
        let save = if self.maybe() { Save::Yes } else { Save::No };
        // Nobody sees from outside that a task that is ending will be back.
        let returns = matches!(then, Then::Suspend { .. }) && has_level(&job);
        let grace = if self.maybe() || returns {
            SimDuration::ZERO
        } else {
            self.ticks(1, 7)
        };
        let stop = match (save, then) {
            (Save::Yes, _) => Stop::Saved,
            (_, Then::Suspend { keeps }) if keeps != Keeps::Nothing => Stop::Kept,
            _ => Stop::Lost,
        };
        let holds = call.view.holds().next().is_some();
        let ends = grace.is_zero() && !matches!(then, Then::Suspend { .. });
        if ends && !holds && !call.blind {
            for task in &tasks {
                call.plan.release(*task);
            }
        } else {
            call.blind = true;
        }
        let works = |task: &&TaskView<'_>| matches!(task.state(), Running | Suspended);
        let working = tasks.iter().filter(works);
        let places = working.map(|task| place_of(task.id())).collect();
        let keeps = matches!(then, Then::Suspend { keeps } if keeps != Keeps::Nothing);
        call.log.push(Said::Stopped(job.id(), places, stop, keeps));
        let starting = tasks.iter().filter(|task| task.state() == Starting);
        let places = starting.map(|task| place_of(task.id())).collect();
        call.log
            .push(Said::Interrupted(job.id(), places, stop, keeps));
        if let Then::Suspend { keeps } = then {
            let all = tasks.iter().map(|task| place_of(task.id())).collect();
            call.log.push(Said::Keeps(job.id(), all, keeps));
        }
        call.out.evict(set, grace, save, then);
        Some(job.id())
    }

    fn resume(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        if call.blind || call.unsure {
            return None;
        }
        let job = self.pick_job(call, |job| job.tasks_in(TaskState::Suspended) > 0)?;
        let mut tasks = tasks_in(&job, &[TaskState::Suspended]);
        let set = if self.maybe() {
            TaskSet::Job(job.id())
        } else {
            tasks = vec![self.pick(&tasks)?];
            TaskSet::Task(tasks[0].id())
        };
        let mark = call.plan.mark();
        for task in tasks {
            let (keeps, spot) = task.suspended()?;
            let free = call.plan.free(spot.node).open;
            let taken = match keeps {
                Keeps::Everything => true,
                // Asks for memory that is there already: more than is needed.
                _ if task.request().gpus == GpuRequest::None => call.plan.take(task, spot.node),
                _ => call.plan.take_devices(task, spot),
            };
            if !free || !taken {
                call.plan.undo_to(mark);
                return None;
            }
        }
        self.fresh.1.insert(job.id());
        call.unsure |= self.hungry.contains(&job.job_id());
        call.out.resume(set);
        Some(job.id())
    }

    fn replace(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        use TaskState::{Pending, Reserved, Running, Starting};
        if call.blind || call.unsure || call.view.holds().next().is_some() {
            return None;
        }
        let fresh = self.fresh.1.clone();
        let job = self.pick_job(call, |job| {
            job.advance() != Advance::Each && job.tasks_bound() > 0 && !fresh.contains(&job.id())
        })?;
        let all: Vec<TaskView<'_>> = job.tasks().collect();
        let count = match job.advance() {
            Advance::Between { min, max } => self.rng.random_range(min..=max) as usize,
            _ => all.len(),
        };
        let movable =
            |task: &TaskView<'_>| matches!(task.state(), Pending | Reserved | Starting | Running);
        let all: Vec<TaskView<'_>> = all.into_iter().filter(movable).collect();
        if all.len() < count {
            return None;
        }
        let mark = call.plan.mark();
        let holding = tasks_in(&job, &[Reserved, Starting, Running]);
        for task in &holding {
            call.plan.release(*task);
        }
        let mut spots = Vec::new();
        for task in &all[..count] {
            match self.take_spot(call, *task) {
                Some(spot) => spots.push(spot),
                None => {
                    call.plan.undo_to(mark);
                    return None;
                }
            }
        }
        let places = holding.iter().map(|task| place_of(task.id())).collect();
        call.log
            .push(Said::Stopped(job.id(), places, Stop::Saved, false));
        call.log.push(Said::Moved(job.id()));
        self.fresh.1.insert(job.id());
        call.unsure |= self.hungry.contains(&job.job_id());
        call.out.replace(job.id(), spots);
        Some(job.id())
    }

    fn hold(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        let nodes: Vec<NodeId> = call.view.nodes().map(|node| node.id()).collect();
        let mut parts = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let gpus = match self.rng.random_range(0..4) {
                0 => GpuRequest::None,
                1 => match self.rng.random_range(1..1_000) {
                    of @ 1..200 => GpuRequest::Instance(MigInstance::ALL[usize::from(of % 5)]),
                    milli => GpuRequest::Milli(milli),
                },
                _ => GpuRequest::Whole(self.rng.random_range(1..4)),
            };
            let amount = TaskRequest {
                gpus,
                models: 0,
                cpu: MilliCores::cores(self.rng.random_range(0..3)),
                memory: Bytes(self.rng.random_range(0..4)),
            };
            let node = self.pick(&nodes)?;
            parts.push(HoldPart { node, amount });
        }
        let from = call.view.now() + self.ticks(0, 4);
        // Not at once: an instant that is re-opened settles twice, and checkers see it once.
        let until = self.maybe().then(|| from + self.ticks(1, 20));
        let commit = if self.maybe() {
            Commit::NOW
        } else {
            Commit::Reserve
        };
        let why = match self.pick(&REASONS)? {
            Reason::DoesNotFit => Reason::Preemption,
            why => why,
        };
        let id = call
            .out
            .hold_as(parts, from, until, HoldFor::Anyone, why, commit, Claim::Try);
        self.holds.insert(id);
        call.blind = true;
        None
    }

    fn end_hold(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        let holds: Vec<HoldId> = call
            .view
            .holds()
            .map(|hold| hold.id)
            .filter(|hold| self.holds.contains(hold) && !call.ended.contains(hold))
            .collect();
        let hold = self.pick(&holds)?;
        let what = Promise::Hold(hold);
        match self.rng.random_range(0..3) {
            0 => call.out.push(Decision::Commit { what }),
            choice => {
                call.ended.insert(hold);
                call.blind = true;
                if choice == 1 {
                    call.out.release(hold);
                } else {
                    call.out.push(Decision::Abandon { what });
                }
            }
        }
        None
    }

    fn finish(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        // Seldom: a job that is over is no fun any more.
        if self.rng.random_range(0..8) > 0 {
            return None;
        }
        let outcomes = [
            Outcome::Completed,
            Outcome::Failed,
            Outcome::Cancelled,
            Outcome::TimedOut,
            Outcome::Rejected,
            Outcome::Killed,
        ];
        let job = self.pick_job(call, |_| true)?;
        let outcome = self.pick(&outcomes)?;
        call.blind = true;
        call.out.finish(job.id(), outcome);
        Some(job.id())
    }

    fn say(&mut self, call: &mut Call<'_, '_, '_>) -> Option<JobRef> {
        let why = self.pick(&REASONS)?;
        match self.rng.random_range(0..3) {
            0 => {
                let job = self.pick_job(call, |_| true)?.id();
                call.log.push(Said::Own(job, why));
                call.out.waiting(job, why);
            }
            1 => {
                let listed: Vec<DemandId> = call.view.pending_jobs().map(|j| j.shape()).collect();
                let shape = self.pick(&listed)?;
                call.log.push(Said::Shape(shape, why));
                call.out.waiting_shape(shape, why);
            }
            _ => {
                let queue = QueueId(self.rng.random_range(0..2));
                let whose = (call.view.scheduler(), queue);
                call.log.push(Said::Queue(whose, why));
                call.out.rest(queue, why);
            }
        }
        None
    }
}

fn tasks_in<'v>(job: &JobView<'v>, states: &[TaskState]) -> Vec<TaskView<'v>> {
    job.tasks()
        .filter(|task| states.contains(&task.state()))
        .collect()
}

fn has_level(job: &JobView<'_>) -> bool {
    job.groups().iter().any(|group| group.level.is_some())
}

fn place_of(task: TaskRef) -> (u16, u32) {
    (task.group, task.index)
}
