//! The ledger against a naive one, written from the rules and recomputed from scratch at every
//! instant: which GPU-nanosecond goes where, whose progress is lost, and why each job waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use proptest::prelude::*;
use windtunnel_core::units::{MILLI_PER_GPU, PPM, RATE_ONE};
use windtunnel_core::{
    Advance, Bucket, DemandId, DeviceSet, Event, EventKind, FaultKind, FaultStep, GpuRequest,
    JobId, JobRecord, JobRef, JobSpec, JobView, Keeps, LedgerReport, Level, NodeEvent, NodeId,
    Observer, Places, PoolId, PoolSet, QueueId, Reason, SchedulerId, Sharing, SimTime, Stage,
    TaskEnd, TaskRequest, TaskState, Tenure, View, Work, World,
};

use crate::chaos::{Case, Log, Said, Stop, case};

/// What is free on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Room {
    left: Vec<u32>,
    cpu: u64,
    memory: u64,
}

impl Room {
    /// The GPUs a task would get by the count-only rule, if it fits; `bare` ignores the rest.
    fn seat(&self, want: &TaskRequest, sharing: Sharing, bare: bool) -> Option<Vec<(usize, u32)>> {
        let rest = self.cpu >= u64::from(want.cpu.0) && self.memory >= want.memory.0;
        if !rest && !bare {
            return None;
        }
        let whole = |count: usize| {
            let idle = (0..self.left.len()).filter(|i| self.left[*i] == MILLI_PER_GPU);
            let devices: Vec<_> = idle.take(count).map(|i| (i, MILLI_PER_GPU)).collect();
            (devices.len() == count).then_some(devices)
        };
        match (want.gpus, sharing) {
            (GpuRequest::None, _) => Some(Vec::new()),
            (GpuRequest::Whole(count), _) => whole(usize::from(count)),
            (GpuRequest::Milli(_) | GpuRequest::Instance(_), Sharing::Exclusive) => whole(1),
            (part @ (GpuRequest::Milli(_) | GpuRequest::Instance(_)), _) => {
                let milli = sharing.granted_each(part);
                let milli = u32::from(milli);
                let able = (0..self.left.len()).filter(|i| self.left[*i] >= milli);
                Some(vec![(able.min_by_key(|i| (self.left[*i], *i))?, milli)])
            }
        }
    }

    fn take(&mut self, want: &TaskRequest, devices: &[(usize, u32)], bare: bool) {
        for (device, milli) in devices {
            self.left[*device] -= milli;
        }
        if !bare {
            self.cpu -= u64::from(want.cpu.0);
            self.memory -= want.memory.0;
        }
    }
}

/// A node where a probe may put tasks.
#[derive(Clone, Debug)]
struct Place {
    node: NodeId,
    pool: PoolId,
    room: Room,
}

/// Equal tasks of a unit, how many, and the level they must share, with which group if that is settled.
type Tasks = (TaskRequest, u32, Option<(Level, Option<u32>)>);

/// What one unit that waits needs: tasks of each kind, and where it may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    tasks: Vec<Tasks>,
    pools: PoolSet,
    /// Asked for once per task.
    each: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Startable,
    Stranded,
    Fragmented,
    Insufficient,
}

#[derive(Clone, Debug)]
struct Unit {
    /// Work left, and as of the last save [ns × 10⁻⁹]; it may go below zero in its last nanosecond.
    left: Option<i128>,
    saved: Option<i128>,
    /// Running time since the last save or start [ns].
    running: u64,
    /// Useful capacity since the last save, by pool.
    unsaved: BTreeMap<PoolId, u128>,
    advance: Option<Pace>,
    done: bool,
}

/// How a unit advances: rate, and (pool, GPUs asked for) of each running task.
#[derive(Clone, Debug)]
struct Pace {
    rate: u64,
    useful: u32,
    period: Option<u64>,
    weights: Vec<(PoolId, u32)>,
    /// At how many millionths of its speed the slowest node works.
    slowest: u32,
}

#[derive(Clone, Debug)]
struct Job {
    spec: JobSpec,
    /// Larger than the supply.
    never: bool,
    units: Vec<Unit>,
    /// Where tasks are, and in which state.
    places: BTreeMap<(u16, u32), (NodeId, TaskState)>,
    /// Tasks that were suspended and keep their progress.
    keeping: BTreeSet<(u16, u32)>,
    /// What suspended tasks keep.
    keeps: BTreeMap<(u16, u32), Keeps>,
    /// GPUs that tasks held at the end of the last instant.
    devices: BTreeMap<(u16, u32), DeviceSet>,
    why: Option<Reason>,
    waited: BTreeMap<Reason, u64>,
    useful: u128,
    lost: u128,
}

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
    /// Milli-GPU·ppm of each line since the last instant.
    levels: BTreeMap<Line, u128>,
    sums: BTreeMap<Line, u128>,
    /// Cores that tasks hold since the last instant [milli], and their sum over time.
    cores: u128,
    core_sum: u128,
    records: Vec<JobRecord>,
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
            levels,
            sums: BTreeMap::new(),
            cores: 0,
            core_sum: 0,
            records: Vec::new(),
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

    fn stop(&mut self, job: JobRef, unit: usize, stop: Stop) {
        let Some(found) = self.live.get_mut(&job) else {
            return;
        };
        let entry = &mut found.units[unit];
        if entry.done {
            return;
        }
        match stop {
            Stop::Kept => {}
            Stop::Saved => entry.save(),
            Stop::Lost => {
                entry.left = entry.saved;
                entry.running = 0;
                for (pool, amount) in std::mem::take(&mut entry.unsaved) {
                    found.lost += amount;
                    let useful = (pool, Bucket::AllocatedUseful, None);
                    let sum = self.sums.get_mut(&useful).unwrap();
                    *sum = sum.checked_sub(amount).unwrap();
                    let lost = (pool, Bucket::AllocatedLost, None);
                    *self.sums.entry(lost).or_default() += amount;
                }
            }
        }
    }

    fn stop_all(&mut self, job: JobRef, stop: Stop) {
        let units = self.live.get(&job).map_or(0, |found| found.units.len());
        for unit in 0..units {
            self.stop(job, unit, stop);
        }
    }

    fn unit_of(&self, job: JobRef, (group, index): (u16, u32)) -> usize {
        let found = &self.live[&job];
        if found.spec.request.advance == Advance::Each {
            let before = &found.spec.request.groups[..usize::from(group)];
            (before.iter().map(|g| g.count).sum::<u32>() + index) as usize
        } else {
            0
        }
    }

    /// What happened by itself, before anybody decided.
    fn truths(&mut self) {
        for Event { kind, .. } in self.tape.clone() {
            match kind {
                EventKind::Submitted { job } => {
                    let spec = self.specs[job.id.index()].clone();
                    let never = !self.could_ever(&spec);
                    self.live.insert(job, Job::new(spec, never));
                }
                EventKind::Task {
                    task,
                    to,
                    node,
                    end,
                    ..
                } => {
                    let place = (task.group, task.index);
                    if end == Some(TaskEnd::Done) {
                        let unit = self.unit_of(task.job, place);
                        let entry = &mut self.live.get_mut(&task.job).unwrap().units[unit];
                        entry.done = true;
                        let left = entry.left.expect("what never ends is never done");
                        let rate = entry.advance.as_ref().map_or(0, |pace| pace.rate);
                        assert!(left <= 0, "{task} is done with {left} left");
                        assert!(
                            left == 0 || left > -i128::from(rate),
                            "{task} is late: {left}"
                        );
                    }
                    let job = self.live.get_mut(&task.job).unwrap();
                    match node {
                        Some(node) => job.places.insert(place, (node, to)),
                        None => job.places.remove(&place),
                    };
                }
                EventKind::Node { node, what, .. } => match what {
                    NodeEvent::Failed => {
                        self.failed.insert(node);
                        self.hit(node, |_, _, _| true);
                    }
                    NodeEvent::Repaired | NodeEvent::Released => {
                        self.failed.remove(&node);
                        if what == NodeEvent::Released {
                            self.cordoned.remove(&node);
                            self.draining.remove(&node);
                            self.broken.remove(&node);
                            self.slow.remove(&node);
                        }
                    }
                    NodeEvent::Cordoned => {
                        self.cordoned.insert(node);
                    }
                    NodeEvent::Uncordoned => {
                        self.cordoned.remove(&node);
                    }
                    // A node that was switched on again is a fresh one.
                    NodeEvent::Booting => {
                        self.failed.remove(&node);
                    }
                    _ => {}
                },
                EventKind::Fault {
                    node, what, step, ..
                } => self.fault(node, what, step),
                _ => {}
            }
        }
    }

    /// What a fault of less than a node does.
    fn fault(&mut self, node: NodeId, what: FaultKind, step: FaultStep) {
        match (what, step) {
            (FaultKind::Gpu(gpu), FaultStep::Began) => {
                let failed = DeviceSet::one(gpu.into());
                self.broken.entry(node).or_default().0 |= failed.0;
                self.hit(node, |job, place, state| {
                    let all = job.keeps.get(place) == Some(&Keeps::Everything);
                    let held = job.devices.get(place).copied().unwrap_or_default();
                    (state != TaskState::Suspended || all) && held.0 & failed.0 != 0
                });
            }
            (FaultKind::Gpu(gpu), FaultStep::Ended) => {
                let failed = DeviceSet::one(gpu.into());
                self.broken.get_mut(&node).unwrap().0 &= !failed.0;
            }
            (FaultKind::Slow(to), FaultStep::Began) => {
                self.slow.insert(node, to.0);
            }
            (FaultKind::Slow(_), FaultStep::Ended) => {
                self.slow.remove(&node);
            }
            (FaultKind::Drain { .. }, FaultStep::Began) => {
                self.draining.insert(node);
            }
            (FaultKind::Drain { .. }, FaultStep::Opened) => self.hit(node, |_, _, _| true),
            (FaultKind::Drain { .. }, FaultStep::Ended) => {
                self.draining.remove(&node);
            }
            _ => {}
        }
    }

    /// Units with a part in progress on a node, of those that are affected, lose what is unsaved.
    fn hit(&mut self, node: NodeId, affected: impl Fn(&Job, &(u16, u32), TaskState) -> bool) {
        let mut hit = Vec::new();
        for (job, found) in &self.live {
            for (place, (on, state)) in &found.places {
                let works = match state {
                    TaskState::Running | TaskState::Suspended => true,
                    TaskState::Ending => found.keeping.contains(place),
                    _ => false,
                };
                if *on == node && works && affected(found, place, *state) {
                    hit.push((*job, *place));
                }
            }
        }
        for (job, place) in hit {
            let unit = self.unit_of(job, place);
            self.stop(job, unit, Stop::Lost);
        }
    }

    fn broken(&self, node: NodeId) -> DeviceSet {
        self.broken.get(&node).copied().unwrap_or_default()
    }

    /// Whether a task has a place where nothing that it holds has failed.
    fn is_sound(&self, task: &windtunnel_core::TaskView<'_>) -> bool {
        let devices = task.grant().unwrap_or_default().devices.0;
        let sound = |node| !self.failed.contains(&node) && devices & self.broken(node).0 == 0;
        task.node().is_some_and(sound)
    }

    /// What was decided: evictions, and what policies say.
    fn decisions(&mut self) {
        let said = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        for said in said {
            match said {
                Said::Own(job, why) => {
                    self.own.insert(job, why);
                }
                Said::Shape(shape, why) => {
                    self.shape.insert(shape, why);
                }
                Said::Queue(queue, why) => {
                    self.queue.insert(queue, why);
                }
                Said::Stopped(job, places, stop, keeps) => {
                    for place in places {
                        let unit = self.unit_of(job, place);
                        self.stop(job, unit, stop);
                        let keeping = &mut self.live.get_mut(&job).unwrap().keeping;
                        if keeps {
                            keeping.insert(place);
                        } else {
                            keeping.remove(&place);
                        }
                    }
                }
                Said::Keeps(job, places, keeps) => {
                    let found = self.live.get_mut(&job).unwrap();
                    found
                        .keeps
                        .extend(places.iter().map(|place| (*place, keeps)));
                }
                Said::Placed(..) => {}
            }
        }
    }

    /// What controllers and finished jobs throw away.
    fn endings(&mut self) {
        for Event { kind, .. } in std::mem::take(&mut self.tape) {
            match kind {
                EventKind::Task {
                    task,
                    end: Some(TaskEnd::Stopped),
                    ..
                } => {
                    let unit = self.unit_of(task.job, (task.group, task.index));
                    self.stop(task.job, unit, Stop::Lost);
                }
                EventKind::Ended { job, outcome } => {
                    if !outcome.as_in_truth() {
                        self.stop_all(job, Stop::Lost);
                    }
                    let found = self.live.remove(&job).unwrap();
                    self.own.remove(&job);
                    self.ended.insert(job.id, found);
                }
                _ => {}
            }
        }
    }

    /// Whether a unit of a job would fit on the supply at its largest, with nothing running.
    fn could_ever(&self, spec: &JobSpec) -> bool {
        let mut places = Vec::new();
        for (pool, id) in self.case.supply().pools.iter().zip(0..) {
            let room = Room {
                left: vec![MILLI_PER_GPU; usize::from(pool.model.gpus)],
                cpu: u64::from(pool.model.cpu.0),
                memory: pool.model.memory.0,
            };
            for ordinal in 0..pool.max_nodes() {
                places.push(Place {
                    node: self.world.node_at(PoolId(id), ordinal).unwrap(),
                    pool: PoolId(id),
                    room: room.clone(),
                });
            }
        }
        let groups = spec.request.groups.iter();
        let tasks = match spec.request.advance {
            Advance::All => groups
                .map(|g| (g.request, g.count, g.level.map(|level| (level, None))))
                .collect(),
            Advance::Each => vec![(spec.request.groups[0].request, 1, None)],
            Advance::Between { min, .. } => vec![(spec.request.groups[0].request, min, None)],
        };
        let need = self.need(spec, tasks);
        self.fits(&need, places, false)
    }

    fn need(&self, spec: &JobSpec, tasks: Vec<Tasks>) -> Need {
        Need {
            tasks,
            pools: self.case.pools_of(spec.request.queue),
            each: spec.request.advance == Advance::Each,
        }
    }

    fn accepts(&self, pool: PoolId, request: &TaskRequest) -> bool {
        // Models were named m0, m1, … in the order of their ids.
        let model = &self.case.supply().pools[pool.index()].model.gpu_model;
        let id: u32 = model[1..].parse().unwrap();
        request.models == 0 || request.models >> id & 1 == 1
    }

    /// The pools where any task of a unit may go.
    fn accepted(&self, need: &Need) -> PoolSet {
        let any = |pool: &PoolId| {
            need.tasks
                .iter()
                .any(|(task, ..)| self.accepts(*pool, task))
        };
        need.pools.iter().filter(any).collect()
    }

    /// Tasks greedily in order, each on the lowest node where it fits; tasks that must share a level in
    /// its first group with room for all.
    fn fits(&self, need: &Need, mut places: Vec<Place>, bare: bool) -> bool {
        if need.tasks.iter().any(|(.., level)| level.is_some()) {
            places.sort_by_key(|place| place.node);
        }
        need.tasks.iter().all(|tasks| {
            let candidates: Vec<Option<(Level, u32)>> = match tasks.2 {
                None => vec![None],
                Some((level, Some(home))) => vec![Some((level, home))],
                Some((level, None)) => {
                    let count = self.fabric.group_count(level);
                    (0..count).map(|group| Some((level, group))).collect()
                }
            };
            candidates.into_iter().any(|within| {
                let mut tried = places.clone();
                let fits = self.fill(need, tasks, &mut tried, within, bare);
                if fits {
                    places = tried;
                }
                fits
            })
        })
    }

    fn fill(
        &self,
        need: &Need,
        (request, count, _): &Tasks,
        places: &mut [Place],
        within: Option<(Level, u32)>,
        bare: bool,
    ) -> bool {
        for _ in 0..*count {
            let seat = places.iter_mut().find_map(|place| {
                let outside = within
                    .is_some_and(|(level, group)| self.fabric.group(place.node, level) != group);
                let mine = need.pools.contains(place.pool) && self.accepts(place.pool, request);
                if outside || !mine {
                    return None;
                }
                let sharing = self.case.sharing(place.pool);
                let devices = place.room.seat(request, sharing, bare)?;
                place.room.take(request, &devices, bare);
                Some(())
            });
            if seat.is_none() {
                return false;
            }
        }
        true
    }

    /// GPUs of one unit as they would be granted in its first accepted pool [milli].
    fn milli(&self, need: &Need) -> u64 {
        let first = self.accepted(need).iter().next();
        let sharing = first.map_or(Sharing::Exclusive, |pool| self.case.sharing(pool));
        let tasks = need.tasks.iter();
        tasks
            .map(|(task, count, _)| u64::from(sharing.granted(task.gpus)) * u64::from(*count))
            .sum()
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
            let sum: u32 = place.room.left.iter().sum();
            *free.entry(place.pool).or_default() += u64::from(sum);
        }
        self.waits(view, &places, &mut free);
        for (pool, milli) in free {
            self.book(pool, Bucket::IdleNoDemand, None, milli, PPM);
        }
    }

    fn book(&mut self, pool: PoolId, bucket: Bucket, why: Option<Reason>, milli: u64, ppm: u32) {
        *self.levels.entry((pool, bucket, why)).or_default() += u128::from(milli) * u128::from(ppm);
    }

    /// Books nodes that are not usable and what holds set aside; returns where tasks may go.
    fn cluster(&mut self, view: &View<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        let holds = |task: &windtunnel_core::TaskView<'_>| {
            let kept = task.suspended().map_or(Keeps::Everything, |kept| kept.0);
            kept == Keeps::Everything
        };
        let tasks = view.nodes().flat_map(|node| node.tasks()).filter(holds);
        self.cores = tasks.map(|task| u128::from(task.request().cpu.0)).sum();
        for (pool, id) in self.case.supply().pools.iter().zip(0..) {
            let id = PoolId(id);
            let capacity = u64::from(u32::from(pool.model.gpus) * MILLI_PER_GPU);
            for node in view.nodes_of(id) {
                match node.stage() {
                    Stage::Absent | Stage::Requested => continue,
                    Stage::Booting => {
                        self.book(id, Bucket::Provisioning, None, capacity, PPM);
                        continue;
                    }
                    Stage::Up | Stage::Off => {}
                }
                if self.failed.contains(&node.id()) {
                    self.book(id, Bucket::Down, None, capacity, PPM);
                    continue;
                }
                let mut room = Room {
                    left: vec![MILLI_PER_GPU; usize::from(pool.model.gpus)],
                    cpu: u64::from(pool.model.cpu.0),
                    memory: pool.model.memory.0,
                };
                for task in node.tasks() {
                    let want = task.request();
                    let grant = task.grant().unwrap_or_default();
                    for device in grant.devices.iter() {
                        room.left[device] -= u32::from(grant.milli_each);
                    }
                    let kept = task.suspended().map_or(Keeps::Everything, |kept| kept.0);
                    if kept == Keeps::Everything {
                        room.cpu -= u64::from(want.cpu.0);
                    }
                    if kept != Keeps::Nothing {
                        room.memory -= want.memory.0;
                    }
                }
                let id_of = node.id();
                let closed = self.cordoned.contains(&id_of) || self.draining.contains(&id_of);
                let broken = self.broken(id_of);
                for part in node.set_aside() {
                    for device in part.grant.devices.iter() {
                        room.left[device] -= u32::from(part.grant.milli_each);
                    }
                    room.cpu -= u64::from(part.cpu.0);
                    room.memory -= part.memory.0;
                    let works = part.grant.devices.0 & !broken.0;
                    let milli = u64::from(works.count_ones() * u32::from(part.grant.milli_each));
                    if closed {
                        self.book(id, Bucket::Down, None, milli, PPM);
                    } else {
                        self.book(id, Bucket::IdleHeld, Some(part.why), milli, PPM);
                    }
                }
                // A failed GPU is down as a whole, whoever has it.
                for device in broken.iter() {
                    room.left[device] = 0;
                    let whole = u64::from(MILLI_PER_GPU);
                    self.book(id, Bucket::Down, None, whole, PPM);
                }
                if closed {
                    let free: u32 = room.left.iter().sum();
                    self.book(id, Bucket::Down, None, u64::from(free), PPM);
                } else {
                    places.push(Place {
                        node: node.id(),
                        pool: id,
                        room,
                    });
                }
            }
        }
        places
    }

    /// Books what tasks hold and finds out which units advance.
    fn tasks(&mut self, view: &View<'_>) {
        let mut live = std::mem::take(&mut self.live);
        for (id, job) in &mut live {
            let seen = view.job(*id).expect("a live job is seen");
            let tasks: Vec<_> = seen.tasks().collect();
            let pool_of = |node: NodeId| view.node(node).pool();
            job.devices.clear();
            for task in &tasks {
                if let Some(grant) = task.grant() {
                    let place = (task.id().group, task.id().index);
                    job.devices.insert(place, grant.devices);
                }
            }
            for (place, unit) in job.units.iter_mut().enumerate() {
                let mine = match job.spec.request.advance {
                    Advance::Each => &tasks[place..=place],
                    _ => &tasks[..],
                };
                let works = |task: &&windtunnel_core::TaskView<'_>| {
                    task.state() == TaskState::Running && self.is_sound(task)
                };
                let running: Vec<_> = mine.iter().filter(works).collect();
                let needed = match job.spec.request.advance {
                    Advance::Between { min, .. } => min as usize,
                    _ => mine.len(),
                };
                unit.advance = (running.len() >= needed && !unit.done).then(|| {
                    let weights = running
                        .iter()
                        .map(|task| (pool_of(task.node().unwrap()), task.request().gpus.milli()));
                    let nodes = running.iter().filter_map(|task| task.node());
                    let speeds = nodes.map(|node| self.slow.get(&node).copied().unwrap_or(PPM));
                    let slowest = speeds.min().unwrap_or(PPM);
                    pace(&job.spec, running.len(), weights.collect(), slowest)
                });
                for task in mine {
                    let (Some(grant), Some(node)) = (task.grant(), task.node()) else {
                        continue;
                    };
                    if self.failed.contains(&node) {
                        continue;
                    }
                    let pool = pool_of(node);
                    let is_sound = self.is_sound(task);
                    let sound = (grant.devices.0 & !self.broken(node).0).count_ones();
                    let granted = u64::from(sound * u32::from(grant.milli_each));
                    let asked = u64::from(task.request().gpus.milli()).min(granted);
                    let rounding = granted - asked;
                    self.book(pool, Bucket::AllocatedRounding, None, rounding, PPM);
                    let whole = match task.state() {
                        TaskState::Reserved => {
                            let why = Some(Reason::Latency);
                            self.book(pool, Bucket::IdleHeld, why, asked, PPM);
                            continue;
                        }
                        TaskState::Ending => Bucket::AllocatedStartup,
                        TaskState::Starting if is_sound => Bucket::AllocatedStartup,
                        TaskState::Running if unit.advance.is_some() && is_sound => {
                            let slowest = unit.advance.as_ref().map_or(PPM, |pace| pace.slowest);
                            let (underused, lost, useful) = slices(&job.spec, slowest);
                            let parts = [
                                (Bucket::AllocatedStalled, PPM - slowest),
                                (Bucket::AllocatedUnderused, underused),
                                (Bucket::AllocatedLost, lost),
                                (Bucket::AllocatedUseful, useful),
                            ];
                            for (bucket, ppm) in parts {
                                self.book(pool, bucket, None, asked, ppm);
                            }
                            continue;
                        }
                        _ => Bucket::AllocatedWaiting,
                    };
                    self.book(pool, whole, None, asked, PPM);
                }
            }
        }
        self.live = live;
    }

    /// What a job that waits needs next, if anything: one unit of it, and how often.
    fn unmet(&self, job: &Job, seen: &JobView<'_>, gate: Option<Reason>) -> Option<(Need, u32)> {
        let demands = |task: &windtunnel_core::TaskView<'_>| match task.state() {
            TaskState::Pending => true,
            TaskState::Gated => gate != Some(Reason::User),
            TaskState::Suspended => task.suspended().unwrap().0 != Keeps::Everything,
            _ => false,
        };
        let groups = &job.spec.request.groups;
        let count = |group: usize| {
            let of = seen.tasks().filter(|t| usize::from(t.id().group) == group);
            u32::try_from(of.filter(demands).count()).unwrap()
        };
        let home = |level: Level, group: usize| {
            use TaskState::{Reserved, Running, Starting, Suspended};
            let mut of = seen.tasks().filter(|t| usize::from(t.id().group) == group);
            let placed = |state| matches!(state, Reserved | Starting | Running | Suspended);
            let first = of.find(|task| placed(task.state()))?;
            Some(self.fabric.group(first.node().unwrap(), level))
        };
        let (tasks, times) = match job.spec.request.advance {
            Advance::All => {
                let all = groups.iter().enumerate();
                let all = all.map(|(place, group)| {
                    let bound = group.level.map(|level| (level, home(level, place)));
                    (group.request, count(place), bound)
                });
                (all.filter(|(_, count, _)| *count > 0).collect(), 1)
            }
            Advance::Each => (vec![(groups[0].request, 1, None)], count(0)),
            Advance::Between { min, .. } => {
                let placed = seen.tasks().filter(|task| task.state().holds()).count();
                let missing = (min as usize).saturating_sub(placed);
                let missing = u32::try_from(missing).unwrap().min(count(0));
                (vec![(groups[0].request, missing, None)], missing.min(1))
            }
        };
        let some: u32 = tasks.iter().map(|(_, count, _): &Tasks| *count).sum();
        (some > 0 && times > 0).then(|| (self.need(&job.spec, tasks), times))
    }

    /// Why each job waits, and what of the free capacity is charged to it.
    fn waits(&mut self, view: &View<'_>, places: &[Place], free: &mut BTreeMap<PoolId, u64>) {
        let mut demand: BTreeMap<(Status, u32, Vec<PoolId>, Reason), u64> = BTreeMap::new();
        let mut live = std::mem::take(&mut self.live);
        for (id, job) in &mut live {
            let seen = view.job(*id).unwrap();
            job.why = None;
            if !seen.is_queued() {
                continue;
            }
            let gated = seen.tasks_in(TaskState::Gated) > 0;
            let pending = seen.tasks_in(TaskState::Pending) > 0;
            // The only gates here are requeue delays and backoffs.
            let gate = gated.then_some(Reason::Backoff);
            let fixed = if pending {
                self.own.get(id).copied()
            } else {
                let released = |task: &windtunnel_core::TaskView<'_>| {
                    task.suspended()
                        .is_some_and(|kept| kept.0 != Keeps::Everything)
                };
                let own = self.own.get(id).copied();
                let suspended = seen.tasks().any(|task| released(&task));
                gate.or(own).or(suspended.then_some(Reason::Suspended))
            };
            if job.never {
                job.why = Some(Reason::NeverFits);
                continue;
            }
            let Some((need, times)) = self.unmet(job, &seen, gate) else {
                let why = fixed.filter(|why| *why != Reason::DoesNotFit);
                job.why = Some(why.unwrap_or(Reason::Latency));
                continue;
            };
            let said = fixed.or_else(|| {
                let shape = seen.shape();
                let known = self.shapes.entry(shape).or_insert_with(|| need.clone());
                assert_eq!(*known, need, "{shape} means two things");
                let queue = (seen.scheduler(), job.spec.request.queue);
                self.shape.get(&shape).or(self.queue.get(&queue)).copied()
            });
            let accepted = self.accepted(&need);
            let status = if self.fits(&need, places.to_vec(), false) {
                Status::Startable
            } else if self.fits(&need, places.to_vec(), true) {
                Status::Stranded
            } else {
                let there = accepted.iter().filter_map(|pool| free.get(&pool));
                if self.milli(&need) <= there.sum() {
                    Status::Fragmented
                } else {
                    Status::Insufficient
                }
            };
            let why = match (said.unwrap_or(Reason::DoesNotFit), status) {
                (Reason::DoesNotFit, Status::Startable) => Reason::Latency,
                (Reason::DoesNotFit, Status::Stranded) => Reason::Stranded,
                (Reason::DoesNotFit, Status::Fragmented) => Reason::Fragmented,
                (Reason::DoesNotFit, Status::Insufficient) => Reason::Insufficient,
                (said, _) => said,
            };
            job.why = Some(why);
            let pools = (accepted.len(), accepted.iter().collect());
            *demand.entry((status, pools.0, pools.1, why)).or_default() +=
                self.milli(&need) * u64::from(times);
        }
        self.live = live;
        // Sets of one status in order; within one, its pools, then reasons.
        let mut sets: Vec<_> = demand.keys().map(|k| (k.0, k.1, k.2.clone())).collect();
        sets.dedup();
        for set in sets {
            for pool in set.2.clone() {
                for why in Reason::ALL {
                    let key = (set.0, set.1, set.2.clone(), why);
                    let Some(wanted) = demand.get_mut(&key) else {
                        continue;
                    };
                    let there = free.entry(pool).or_default();
                    let taken = (*wanted).min(*there);
                    *wanted -= taken;
                    *there -= taken;
                    let (bucket, why) = match set.0 {
                        Status::Startable => (Bucket::IdleHeld, Some(why)),
                        Status::Stranded => (Bucket::IdleStranded, None),
                        Status::Fragmented => (Bucket::IdleFragmented, None),
                        Status::Insufficient => (Bucket::IdleInsufficient, None),
                    };
                    self.book(pool, bucket, why, taken, PPM);
                }
            }
        }
    }

    /// Compares with what the engine found.
    pub(crate) fn check(&self, ledger: &LedgerReport) -> Result<(), TestCaseError> {
        prop_assert_eq!(ledger.cpu_allocated, self.core_sum, "cores held");
        let mut theirs: BTreeMap<Line, u128> = BTreeMap::new();
        for row in &ledger.rows {
            *theirs
                .entry((row.pool, row.bucket, row.reason))
                .or_default() += row.amount;
        }
        let mut ours = self.sums.clone();
        ours.retain(|_, sum| *sum > 0);
        theirs.retain(|_, sum| *sum > 0);
        prop_assert_eq!(
            theirs,
            ours,
            "left: the engine's ledger, right: the naive one"
        );
        for record in &self.records {
            let unfinished = || self.live.iter().find(|(id, _)| id.id == record.job);
            let found = self.ended.get(&record.job);
            let job = found.or_else(|| unfinished().map(|(_, job)| job)).unwrap();
            let waited: BTreeMap<Reason, u64> = Reason::ALL
                .into_iter()
                .zip(record.waited)
                .filter(|(_, nanos)| *nanos > 0)
                .collect();
            let mut expected = job.waited.clone();
            expected.retain(|_, nanos| *nanos > 0);
            prop_assert_eq!(waited, expected, "why {} waited", record.job);
            prop_assert_eq!(record.lost, job.lost, "lost of {}", record.job);
            prop_assert_eq!(record.useful + record.lost, job.useful, "{}", record.job);
            prop_assert_eq!(record.never_fits, job.never, "{}", record.job);
        }
        Ok(())
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
        self.truths();
        self.decisions();
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

impl Job {
    fn new(spec: JobSpec, never: bool) -> Self {
        let count = match spec.request.advance {
            Advance::Each => spec.request.groups[0].count as usize,
            _ => 1,
        };
        let units = (0..count).map(|place| {
            let work = match &spec.profile.work {
                Work::Endless => None,
                Work::Uniform(work) => Some(*work),
                Work::PerTask(each) => Some(each[place]),
            };
            let left = work.map(|work| i128::from(work.as_nanos()) * i128::from(RATE_ONE));
            Unit {
                left,
                saved: left,
                running: 0,
                unsaved: BTreeMap::new(),
                advance: None,
                done: false,
            }
        });
        Self {
            units: units.collect(),
            spec,
            never,
            places: BTreeMap::new(),
            keeping: BTreeSet::new(),
            keeps: BTreeMap::new(),
            devices: BTreeMap::new(),
            why: None,
            waited: BTreeMap::new(),
            useful: 0,
            lost: 0,
        }
    }
}

impl Unit {
    fn save(&mut self) {
        self.saved = self.left;
        self.running = 0;
        self.unsaved.clear();
    }

    /// Works for so long; returns the useful capacity that went into it.
    fn work(&mut self, length: u64) -> u128 {
        let Some(pace) = self.advance.clone() else {
            return 0;
        };
        let mut rest = length;
        if let Some(period) = pace.period
            && length / period > 1_000
        {
            // Many whole periods make no difference but to the work that is left.
            let skipped = (length / period - 2) * period;
            rest -= skipped;
            let done = i128::from(pace.rate) * i128::from(skipped);
            self.left = self.left.map(|left| left - done);
        }
        while rest > 0 {
            let to_save = pace.period.map_or(rest, |period| period - self.running);
            let step = rest.min(to_save);
            rest -= step;
            self.running += step;
            let done = i128::from(pace.rate) * i128::from(step);
            self.left = self.left.map(|left| left - done);
            for (pool, milli) in &pace.weights {
                let amount = u128::from(*milli) * u128::from(pace.useful) * u128::from(step);
                *self.unsaved.entry(*pool).or_default() += amount;
            }
            if Some(self.running) == pace.period {
                self.save();
            }
        }
        let milli: u128 = pace
            .weights
            .iter()
            .map(|(_, milli)| u128::from(*milli))
            .sum();
        milli * u128::from(pace.useful) * u128::from(length)
    }
}

/// Underused, lost to checkpoints, useful: parts per million that make a whole with what a straggler
/// costs.
fn slices(spec: &JobSpec, slowest: u32) -> (u32, u32, u32) {
    let (whole, speed) = (u128::from(PPM), u128::from(slowest));
    let duty = u128::from(spec.profile.duty.0);
    let small = |value: u128| u32::try_from(value).unwrap();
    let underused = small((speed * (whole - duty) * 2 + whole) / (2 * whole));
    let lost = spec.profile.checkpoint.map_or(0, |checkpoint| {
        let cost = u128::from(checkpoint.cost.as_nanos());
        let period = cost + u128::from(checkpoint.interval.as_nanos());
        small((speed * duty / whole * cost * 2 + period) / (2 * period))
    });
    (underused, lost, slowest - underused - lost)
}

/// The reference speed.
fn pace(spec: &JobSpec, running: usize, weights: Vec<(PoolId, u32)>, slowest: u32) -> Pace {
    let mut rate = u128::from(RATE_ONE);
    if let Advance::Between { .. } = spec.request.advance {
        rate = rate * running as u128 / u128::from(spec.request.groups[0].count);
    }
    let checkpoint = spec.profile.checkpoint;
    let period = checkpoint.map(|c| c.interval.as_nanos() + c.cost.as_nanos());
    if let (Some(checkpoint), Some(period)) = (checkpoint, period) {
        rate = rate * u128::from(checkpoint.interval.as_nanos()) / u128::from(period);
    }
    if slowest != PPM {
        rate = (rate * u128::from(slowest) / u128::from(PPM)).max(1);
    }
    Pace {
        rate: u64::try_from(rate).unwrap(),
        useful: slices(spec, slowest).2,
        slowest,
        period,
        weights,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// Bucket by bucket, reason by reason, to the unit.
    #[test]
    fn agrees_with_a_naive_recomputation(case in case()) {
        let log = Log::default();
        let mut naive = Naive::new(&case, &log);
        let run = case.simulation(&log).run_with(&mut naive);
        let report = run.map_err(|error| TestCaseError::fail(error.to_string()))?;
        naive.check(&report.ledger.unwrap())?;
    }
}
