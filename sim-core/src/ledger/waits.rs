//! Why jobs wait, and how much they demand meanwhile.
//!
//! A job that waits is in a *lane*: one per (unit shape, source of its reason). A lane keeps one
//! counter per reason and a job a snapshot of them, so a change of reason costs O(lanes) whatever the
//! number of jobs, and a job O(reasons) when it joins and leaves.
//!
//! Demand is summed per (accepted pools, status, reason); sums commute, so order cannot matter.

use smallvec::SmallVec;

use super::book::Charge;
use super::probe::Watch;
use crate::by_reason::bits;
use crate::decision::Keeps;
use crate::ids::{DemandId, PoolSet, QueueId, SchedulerId};
use crate::live::Job;
use crate::reason::{REASONS, Reason};
use crate::shape::Demand;
use crate::task::TaskState;
use crate::time::SimTime;
use crate::world::World;

/// What the probe says of a unit shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// A unit fits now.
    Startable,
    /// It would fit with CPU and memory ignored.
    Stranded,
    /// Enough GPUs are free in sum.
    Fragmented,
    /// They are not.
    #[default]
    Insufficient,
}

/// Where a job's reason comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Its shape's, else its queue's, else the probe's.
    Queue(SchedulerId, QueueId),
    /// The probe's.
    Probe,
    /// Its own.
    Fixed(Reason),
}

#[derive(Clone, Debug)]
struct Lane {
    /// What its jobs wait for; `None` if only for latency.
    demand: Option<DemandId>,
    source: Source,
    jobs: u32,
    milli: u64,
    why: Reason,
    since: SimTime,
    total: [u64; REASONS],
    /// Bit `i`: `total[i]` was ever raised.
    counted: u32,
    /// Where its demand is summed now: set and column.
    column: Option<(u32, Column)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Startable(Reason),
    Stranded,
    Fragmented,
    Insufficient,
}

/// What the probe needs of a unit shape while somebody waits for it, side by side with the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    pub(crate) demand: DemandId,
    pub(crate) status: Status,
    pub(crate) accepted: PoolSet,
    /// GPUs of one unit, if every pool grants the same; else 0.
    pub(crate) rigid_milli: u64,
    /// GPUs per task if it is whole GPUs and nothing else, and so rigid; else 0.
    pub(crate) plain_gpus: u16,
    /// How many such tasks.
    pub(crate) plain_tasks: u32,
}

impl Active {
    fn new(demand: DemandId, entry: &Demand, status: Status) -> Self {
        let small = |(gpus, tasks)| Some((u16::try_from(gpus).ok()?, u32::try_from(tasks).ok()?));
        let (plain_gpus, plain_tasks) = entry.plain.and_then(small).unwrap_or_default();
        Self {
            demand,
            status,
            accepted: entry.accepted,
            rigid_milli: if entry.rigid { entry.milli } else { 0 },
            plain_gpus,
            plain_tasks,
        }
    }
}

/// What is known of a unit shape while somebody waits for it.
#[derive(Clone, Debug, Default)]
struct DemandState {
    status: Status,
    /// What the policy says of the shape.
    said: Option<Reason>,
    lanes: SmallVec<[u32; 2]>,
    jobs: u32,
    /// Its place among the active ones.
    active: Option<u32>,
    set: u32,
}

#[derive(Clone, Debug, Default)]
struct QueueState {
    said: Option<Reason>,
    lanes: Vec<u32>,
}

/// Demand of the units that accept the same pools [milli-GPU].
#[derive(Clone, Debug)]
struct SetSums {
    pools: PoolSet,
    by: Charge,
}

/// All that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    lanes: Vec<Lane>,
    /// Lanes without a unit shape.
    bare: Vec<u32>,
    demands: Vec<DemandState>,
    /// Queues by scheduler.
    queues: Vec<Vec<QueueState>>,
    /// Unit shapes for which somebody waits.
    pub(super) active: Vec<Active>,
    /// Active shapes whose status is not known yet.
    fresh: Vec<DemandId>,
    sets: Vec<SetSums>,
    /// Sets by (number of pools, their ids).
    set_order: Vec<u32>,
    /// When the probe must look again.
    pub(super) watch: Watch,
    pub(crate) changed: bool,
}

impl Waits {
    /// Whether anybody demands anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn active(&self) -> &[Active] {
        &self.active
    }

    /// What the probe needs of a shape, if it is active.
    pub(crate) fn active_shape(&self, demand: DemandId) -> Option<Active> {
        let place = self.demands.get(demand.index())?.active?;
        Some(self.active[place as usize])
    }

    /// Shapes to probe for the first time since they became active.
    pub(crate) fn fresh(&self) -> &[DemandId] {
        &self.fresh
    }

    pub(crate) fn forget_fresh(&mut self) {
        self.fresh.clear();
    }

    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Puts a job where its state says: into the lane of what it waits for, or out of any.
    pub(crate) fn refresh(&mut self, world: &mut World, slot: u32) {
        let job = world.jobs.slot(slot);
        let place = if job.is_queued() {
            Some(source_of(job))
        } else {
            None
        };
        let Some(source) = place else {
            self.leave(world.now, world.jobs.slot_mut(slot));
            return;
        };
        let user = source == Source::Fixed(Reason::User);
        // What is left of a job that is larger than the supply is no demand either.
        let never = world.jobs.slot(slot).never_fits;
        let source = if never && !user {
            Source::Fixed(Reason::NeverFits)
        } else {
            source
        };
        let (demand, milli) = match world.unmet_as_listed(slot) {
            Some((demand, milli)) if !user && !never => (Some(demand), milli),
            _ => (None, 0),
        };
        let source = match (demand, source) {
            (None, Source::Queue(..) | Source::Probe) => Source::Fixed(Reason::Latency),
            _ => source,
        };
        let lane = self.lane(world, demand, source);
        let job = world.jobs.slot_mut(slot);
        if job.wait.lane == Some(lane) {
            let before = std::mem::replace(&mut job.wait.demand, milli);
            if before != milli {
                self.lanes[lane as usize].milli -= before;
                self.lanes[lane as usize].milli += milli;
                self.resum(lane, before, milli);
            }
            return;
        }
        self.leave(world.now, job);
        self.join(world, slot, lane, milli);
    }

    /// What a job waits for at present.
    pub(crate) fn why(&self, job: &Job) -> Option<Reason> {
        Some(self.lanes[job.wait.lane? as usize].why)
    }

    fn join(&mut self, world: &mut World, slot: u32, lane: u32, milli: u64) {
        let (now, demands) = (world.now, &world.demands);
        let job = world.jobs.slot_mut(slot);
        let entry = &mut self.lanes[lane as usize];
        entry.flush(now);
        entry.jobs += 1;
        entry.milli += milli;
        job.wait.snapshot.copy(&entry.total, entry.counted);
        job.wait.lane = Some(lane);
        job.wait.demand = milli;
        if let Some(demand) = entry.demand {
            let state = &mut self.demands[demand.index()];
            state.jobs += 1;
            if state.active.is_none() {
                state.active = Some(u32::try_from(self.active.len()).expect("few shapes"));
                self.active
                    .push(Active::new(demand, demands.get(demand), state.status));
                self.fresh.push(demand);
            }
        }
        self.resum(lane, 0, milli);
    }

    /// The end of the run, for a job that still waits: its time is booked.
    pub(crate) fn close(&mut self, now: SimTime, job: &mut Job) {
        self.leave(now, job);
    }

    fn leave(&mut self, now: SimTime, job: &mut Job) {
        let Some(lane) = job.wait.lane.take() else {
            return;
        };
        let milli = std::mem::take(&mut job.wait.demand);
        let entry = &mut self.lanes[lane as usize];
        entry.flush(now);
        entry.jobs -= 1;
        entry.milli -= milli;
        let (snapshot, waited) = (&job.wait.snapshot, &mut job.wait.waited);
        for (reason, length) in snapshot.growth(&entry.total, entry.counted) {
            if length > 0 {
                waited.add(reason, length);
            }
        }
        let demand = entry.demand;
        self.resum(lane, milli, 0);
        let Some(demand) = demand else { return };
        let state = &mut self.demands[demand.index()];
        state.jobs -= 1;
        if state.jobs == 0 {
            let place = state
                .active
                .take()
                .expect("a shape somebody waits for is active");
            self.active.swap_remove(place as usize);
            if let Some(moved) = self.active.get(place as usize) {
                self.demands[moved.demand.index()].active = Some(place);
            }
        }
    }

    /// The lane of (shape, source), new or known.
    fn lane(&mut self, world: &World, demand: Option<DemandId>, source: Source) -> u32 {
        let known = match demand {
            Some(demand) => self
                .demands
                .get(demand.index())
                .map_or(&[][..], |known| &known.lanes),
            None => &self.bare,
        };
        // A handful at most: one per source of a reason.
        if let Some(lane) = known
            .iter()
            .find(|lane| self.lanes[**lane as usize].source == source)
        {
            return *lane;
        }
        let lane = u32::try_from(self.lanes.len()).expect("fewer than 2^32 lanes");
        self.lanes.push(Lane {
            demand,
            source,
            jobs: 0,
            milli: 0,
            why: Reason::Latency,
            since: world.now,
            total: [0; REASONS],
            counted: 0,
            column: None,
        });
        if let Some(demand) = demand {
            if self.demands.len() <= demand.index() {
                self.demands
                    .resize_with(demand.index() + 1, DemandState::default);
            }
            let entry = world.demands.get(demand);
            if self.demands[demand.index()].lanes.is_empty() {
                self.demands[demand.index()].set = self.set(entry.accepted);
            }
            self.demands[demand.index()].lanes.push(lane);
        } else {
            self.bare.push(lane);
        }
        if let Source::Queue(scheduler, queue) = source {
            self.queue(scheduler, queue).lanes.push(lane);
        }
        self.reconsider(lane, world.now);
        lane
    }

    /// What one scheduler says of a queue is its own: another may serve jobs of the same queue.
    fn queue(&mut self, scheduler: SchedulerId, queue: QueueId) -> &mut QueueState {
        if self.queues.len() <= scheduler.index() {
            self.queues.resize_with(scheduler.index() + 1, Vec::new);
        }
        let queues = &mut self.queues[scheduler.index()];
        if queues.len() <= queue.index() {
            queues.resize_with(queue.index() + 1, QueueState::default);
        }
        &mut queues[queue.index()]
    }

    fn set(&mut self, pools: PoolSet) -> u32 {
        if let Some(known) = self.sets.iter().position(|set| set.pools == pools) {
            return u32::try_from(known).expect("few sets");
        }
        let id = u32::try_from(self.sets.len()).expect("few sets");
        self.sets.push(SetSums {
            pools,
            by: Charge::default(),
        });
        self.set_order.push(id);
        let sets = &self.sets;
        self.set_order.sort_by_cached_key(|id| {
            let pools = sets[*id as usize].pools;
            (pools.len(), pools.iter().collect::<Vec<_>>())
        });
        id
    }

    /// What the policy says of a shape; `true` if that is new.
    pub(crate) fn say_shape(&mut self, world: &World, demand: DemandId, why: Reason) -> bool {
        if self.demands.len() <= demand.index() {
            self.demands
                .resize_with(demand.index() + 1, DemandState::default);
        }
        let state = &mut self.demands[demand.index()];
        if state.said == Some(why) {
            return false;
        }
        state.said = Some(why);
        for lane in self.demands[demand.index()].lanes.clone() {
            self.reconsider(lane, world.now);
        }
        true
    }

    /// What the policy says of a queue.
    pub(crate) fn say_queue(
        &mut self,
        now: SimTime,
        scheduler: SchedulerId,
        queue: QueueId,
        why: Reason,
    ) {
        let state = self.queue(scheduler, queue);
        if state.said == Some(why) {
            return;
        }
        state.said = Some(why);
        for place in 0..self.queue(scheduler, queue).lanes.len() {
            let lane = self.queue(scheduler, queue).lanes[place];
            self.reconsider(lane, now);
        }
    }

    /// Forgets what a scheduler said of shapes and queues: another policy takes its place.
    pub(crate) fn forget(&mut self, world: &World, scheduler: SchedulerId) {
        for queue in self.queues.get_mut(scheduler.index()).into_iter().flatten() {
            queue.said = None;
        }
        for (state, demand) in self.demands.iter_mut().zip(&world.demands.list) {
            if demand.key.scheduler == scheduler {
                state.said = None;
            }
        }
        for lane in 0..self.lanes.len() {
            self.reconsider(
                u32::try_from(lane).expect("fewer than 2^32 lanes"),
                world.now,
            );
        }
    }

    /// What the probe says of a shape.
    pub(crate) fn set_status(&mut self, now: SimTime, demand: DemandId, status: Status) {
        let state = &mut self.demands[demand.index()];
        if state.status == status {
            return;
        }
        state.status = status;
        if let Some(place) = state.active {
            self.active[place as usize].status = status;
        }
        for place in 0..self.demands[demand.index()].lanes.len() {
            self.reconsider(self.demands[demand.index()].lanes[place], now);
        }
    }

    /// Works out a lane's reason and where its demand is summed.
    fn reconsider(&mut self, lane: u32, now: SimTime) {
        let entry = &self.lanes[lane as usize];
        let state = entry.demand.map(|demand| &self.demands[demand.index()]);
        let status = state.map_or(Status::Startable, |state| state.status);
        let said = match entry.source {
            Source::Fixed(reason) => reason,
            Source::Probe => Reason::DoesNotFit,
            Source::Queue(scheduler, queue) => {
                let queues = self.queues.get(scheduler.index());
                let queue = queues.and_then(|queues| queues.get(queue.index()));
                let shape = state.and_then(|state| state.said);
                shape
                    .or_else(|| queue.and_then(|queue| queue.said))
                    .unwrap_or(Reason::DoesNotFit)
            }
        };
        let why = match (said, status) {
            (Reason::User, _) => Reason::User,
            (Reason::DoesNotFit, Status::Startable) => Reason::Latency,
            (Reason::DoesNotFit, Status::Stranded) => Reason::Stranded,
            (Reason::DoesNotFit, Status::Fragmented) => Reason::Fragmented,
            (Reason::DoesNotFit, Status::Insufficient) => Reason::Insufficient,
            (said, _) => said,
        };
        let column = state.map(|state| {
            let column = match state.status {
                Status::Startable => Column::Startable(why),
                Status::Stranded => Column::Stranded,
                Status::Fragmented => Column::Fragmented,
                Status::Insufficient => Column::Insufficient,
            };
            (state.set, column)
        });
        let entry = &mut self.lanes[lane as usize];
        if entry.why != why {
            entry.flush(now);
            entry.why = why;
        }
        if entry.column != column {
            let milli = entry.milli;
            self.resum(lane, milli, 0);
            self.lanes[lane as usize].column = column;
            self.resum(lane, 0, milli);
        }
    }

    /// The demand of a lane changed by so much.
    fn resum(&mut self, lane: u32, before: u64, after: u64) {
        let Some((set, column)) = self.lanes[lane as usize].column else {
            return;
        };
        if before == after {
            return;
        }
        let by = &mut self.sets[set as usize].by;
        let sum = match column {
            Column::Startable(why) => {
                let at = why.index();
                let sum = by.held[at] - before + after;
                by.held_mask = by.held_mask & !(1 << at) | u32::from(sum > 0) << at;
                &mut by.held[at]
            }
            Column::Stranded => &mut by.stranded,
            Column::Fragmented => &mut by.fragmented,
            Column::Insufficient => &mut by.insufficient,
        };
        *sum = *sum - before + after;
        self.changed = true;
    }

    /// Charges free capacity to the demand that could not use it; `free` is what each pool has left.
    ///
    /// Statuses in order; within one, sets that accept fewest pools first, then their ids; within a
    /// set pools ascending, then reasons in order. No demand is charged twice.
    pub(crate) fn charge(&self, free: &mut [u64], charges: &mut [Charge]) {
        charges.iter_mut().for_each(Charge::clear);
        if self.is_idle() {
            return;
        }
        if let [set] = &self.sets[..]
            && let Some(pool) = set.pools.single()
        {
            set.charge_one(&mut free[pool.index()], &mut charges[pool.index()]);
            return;
        }
        let sets = || self.set_order.iter().map(|id| &self.sets[*id as usize]);
        let take = |free: &mut u64, demand: &mut u64| {
            let taken = (*free).min(*demand);
            *free -= taken;
            *demand -= taken;
            taken
        };
        for set in sets().filter(|set| set.by.held_mask != 0) {
            let mut demand = set.by.held;
            for pool in set.pools.iter() {
                let place = pool.index();
                let charge = &mut charges[place];
                for at in bits(set.by.held_mask) {
                    let taken = take(&mut free[place], &mut demand[at]);
                    charge.held[at] += taken;
                    charge.held_mask |= u32::from(taken > 0) << at;
                }
            }
        }
        type Pick = (fn(&Charge) -> u64, fn(&mut Charge) -> &mut u64);
        const PICKS: [Pick; 3] = [
            (|c| c.stranded, |c| &mut c.stranded),
            (|c| c.fragmented, |c| &mut c.fragmented),
            (|c| c.insufficient, |c| &mut c.insufficient),
        ];
        for (read, write) in PICKS {
            for set in sets() {
                let mut demand = read(&set.by);
                for pool in set.pools.iter() {
                    if demand == 0 {
                        break;
                    }
                    let place = pool.index();
                    *write(&mut charges[place]) += take(&mut free[place], &mut demand);
                }
            }
        }
    }
}

impl SetSums {
    /// The same as [`Waits::charge`] where this is all the demand and a single pool accepts it.
    fn charge_one(&self, free: &mut u64, charge: &mut Charge) {
        let mut take = |demand: u64| {
            let taken = demand.min(*free);
            *free -= taken;
            taken
        };
        for at in bits(self.by.held_mask) {
            let taken = take(self.by.held[at]);
            charge.held[at] = taken;
            charge.held_mask |= u32::from(taken > 0) << at;
        }
        charge.stranded = take(self.by.stranded);
        charge.fragmented = take(self.by.fragmented);
        charge.insufficient = take(self.by.insufficient);
    }
}

impl Lane {
    fn flush(&mut self, now: SimTime) {
        if self.since != now {
            self.total[self.why.index()] += now.since(self.since).as_nanos();
            self.counted |= 1 << self.why.index();
            self.since = now;
        }
    }
}

/// Where the reason of a waiting job comes from.
fn source_of(job: &Job) -> Source {
    if let Some(why) = job.withheld {
        return Source::Fixed(why);
    }
    if job.in_state(TaskState::Pending) == 0 {
        let gate = job.tasks.iter().find(|task| task.state == TaskState::Gated);
        if let Some(task) = gate {
            return Source::Fixed(task.gate.why.unwrap_or(Reason::Gate));
        }
        let suspended = |task: &&crate::live::Task| {
            task.state == TaskState::Suspended && task.keeps != Keeps::Everything
        };
        if job.tasks.iter().any(|task| suspended(&task)) && job.own.is_none() {
            return Source::Fixed(Reason::Suspended);
        }
    }
    match job.own {
        Some(Reason::DoesNotFit) => Source::Probe,
        Some(why) => Source::Fixed(why),
        None => Source::Queue(job.scheduler, job.spec.request.queue),
    }
}
