//! The state of a run: clock, cluster, live jobs, holds. Everything a [`View`] looks at.
//!
//! A [`World`] can be built by hand, without a [`Simulation`](crate::Simulation): recorded decisions
//! are replayed that way, and policies are tested that way.

pub(crate) mod bounds;
pub(crate) mod cluster;
pub(crate) mod health;
pub(crate) mod holds;
pub(crate) mod instances;
pub(crate) mod lists;
mod memory;
pub(crate) mod occupy;

use std::cell::RefCell;
use std::sync::Arc;

use crate::decision::Spot;
use crate::device::{NodeFree, Refusal, Sharing};
use crate::error::BuildError;
use crate::ids::{DemandId, HoldId, JobId, JobRef, NodeId, PoolId, PoolSet, SchedulerId, TaskRef};
use crate::job::{Advance, GpuRequest, JobError, JobSpec};
use crate::live::JobTable;
use crate::names::Names;
use crate::platform::{LimitMode, PoolSettings};
use crate::rng::Seed;
use crate::shape::{Bounds, Demand, DemandKey, DemandTable, Needs, ShapeTable};
use crate::space::{PoolInfo, Space, slots_on};
use crate::supply::{Supply, SupplyError};
use crate::task::TaskState;
use crate::time::SimTime;
use crate::view::View;
use cluster::Cluster;
use holds::HoldTable;
use lists::JobList;

/// Clock, cluster, live jobs and holds.
///
/// ```
/// use windtunnel_core::{JobSpec, NodeModel, SimDuration, SimTime, Supply, TaskRequest, World};
/// let mut world = World::new(&Supply::uniform(NodeModel::gpus_only("h100", 8), 2))?;
/// let hour = SimDuration::from_hours(1);
/// let job = world.submit(JobSpec::new(SimTime::ZERO, TaskRequest::gpus(4), hour))?;
/// let view = world.view();
/// assert_eq!(view.pending_jobs().map(|j| j.id()).collect::<Vec<_>>(), [job]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) now: SimTime,
    pub(crate) seed: Seed,
    pub(crate) names: Names,
    pub(crate) shapes: ShapeTable,
    pub(crate) demands: DemandTable,
    pub(crate) jobs: JobTable,
    pub(crate) cluster: Cluster,
    pub(crate) holds: HoldTable,
    /// Listed jobs, per scheduler, by id.
    pub(crate) lists: Vec<JobList>,
    /// Unit shapes with a listed job, per scheduler, by id.
    pub(crate) listed_demands: Vec<Vec<DemandId>>,
    pub(crate) scheduler_pools: Vec<PoolSet>,
    pub(crate) limit: LimitMode,
    pub(crate) space: RefCell<Space>,
    pub(crate) next_job: u32,
}

impl World {
    /// An empty world over `supply`: one scheduler over all pools, exclusive GPUs.
    ///
    /// # Errors
    /// If the supply does not pass its [`check`](Supply::check).
    pub fn new(supply: &Supply) -> Result<Self, BuildError> {
        Self::build(
            supply,
            &[],
            &[PoolSet::ALL],
            Names::default(),
            Seed::default(),
        )
    }

    /// The same with a sharing mode for every pool.
    ///
    /// # Errors
    /// If the supply does not pass its [`check`](Supply::check).
    pub fn with_sharing(supply: &Supply, sharing: Sharing) -> Result<Self, BuildError> {
        let settings = vec![
            PoolSettings {
                sharing,
                ..PoolSettings::default()
            };
            supply.pools.len()
        ];
        Self::build(
            supply,
            &settings,
            &[PoolSet::ALL],
            Names::default(),
            Seed::default(),
        )
    }

    pub(crate) fn build(
        supply: &Supply,
        settings: &[PoolSettings],
        scheduler_pools: &[PoolSet],
        mut names: Names,
        seed: Seed,
    ) -> Result<Self, BuildError> {
        supply.check()?;
        let mut infos = Vec::new();
        let node_pools = supply.node_pools();
        for (place, pool) in supply.pools.iter().enumerate() {
            let model = names
                .gpu_model(&pool.model.gpu_model)
                .ok_or(SupplyError::TooManyGpuModels)?;
            let sharing = settings
                .get(place)
                .map_or(Sharing::default(), |s| s.sharing);
            let gpus = pool.model.gpus;
            if matches!(sharing, Sharing::Mig(_)) && usize::from(gpus) > NodeFree::MIG_DEVICES {
                let pool = pool.name.clone();
                return Err(SupplyError::TooManyMigGpus { pool, gpus }.into());
            }
            if let Sharing::TimeSliced { slots } = sharing
                && !(1..=Sharing::MAX_SLOTS).contains(&slots)
            {
                let pool = pool.name.clone();
                return Err(SupplyError::Slots { pool, slots }.into());
            }
            infos.push(PoolInfo {
                first: 0,
                end: 0,
                sharing,
                model: 1 << model.0,
            });
        }
        for (node, pool) in (0..).zip(&node_pools) {
            let info = &mut infos[pool.index()];
            if info.end == 0 {
                info.first = node;
            }
            info.end = node + 1;
        }
        let mut cluster = Cluster::new(supply, &infos, &node_pools);
        for (pool, settings) in (0..).map(PoolId).zip(settings) {
            if settings.devices.pins_cores() {
                cluster.pin_cores(pool);
            }
        }
        let free: Vec<NodeFree> = cluster.nodes.iter().map(|node| node.free).collect();
        let places = Arc::clone(&cluster.places);
        Ok(Self {
            now: SimTime::ZERO,
            seed,
            names,
            shapes: ShapeTable::default(),
            demands: DemandTable::default(),
            jobs: JobTable::default(),
            cluster,
            holds: HoldTable::default(),
            lists: vec![JobList::default(); scheduler_pools.len()],
            listed_demands: vec![Vec::new(); scheduler_pools.len()],
            scheduler_pools: scheduler_pools.to_vec(),
            limit: LimitMode::Exact,
            space: RefCell::new(Space::new(free, infos, node_pools, places)),
            next_job: 0,
        })
    }

    /// The view of the first scheduler.
    #[must_use]
    pub fn view(&mut self) -> View<'_> {
        self.sync_space();
        View::new(self, SchedulerId(0))
    }

    /// Names and attributes.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Sets the clock, for worlds built by hand.
    ///
    /// # Panics
    /// If `now` is earlier than the clock shows.
    pub fn set_now(&mut self, now: SimTime) {
        assert!(
            now >= self.now,
            "the clock shows {} and can't go back to {now}",
            self.now
        );
        self.now = now;
    }

    /// Submits a job by hand: all its tasks are pending for the first scheduler.
    ///
    /// # Errors
    /// If the specification does not pass its [`check`](JobSpec::check).
    pub fn submit(&mut self, spec: JobSpec) -> Result<JobRef, JobError> {
        spec.check()?;
        let slot = self.jobs.take_free();
        self.jobs.slot_mut(slot).spec = spec;
        let job = self.admit_job(slot, SchedulerId(0));
        let tasks = self.jobs.slot(job.slot).tasks.len();
        for task in 0..tasks {
            self.jobs
                .slot_mut(job.slot)
                .set_state(task, TaskState::Pending);
        }
        self.relist(job.slot);
        Ok(job)
    }

    /// Starts a pending task by hand.
    ///
    /// # Errors
    /// If it does not fit there.
    ///
    /// # Panics
    /// If the task is not pending.
    pub fn start(&mut self, task: TaskRef, spot: impl Into<Spot>) -> Result<(), Refusal> {
        let place = self.find_task(task).expect("the task exists");
        assert_eq!(
            self.jobs.slot(task.job.slot).tasks[place].state,
            TaskState::Pending,
            "{task}"
        );
        let spot = spot.into();
        let (chosen, _) = self.check_spot(task.job.slot, place, spot, None, |node, want| {
            let devices = crate::device::count_only(node.free, want).ok_or(Refusal::Devices)?;
            Ok(devices.into())
        })?;
        self.occupy(task.job.slot, place, spot.node, chosen, None);
        let job = self.jobs.slot_mut(task.job.slot);
        job.set_state(place, TaskState::Running);
        self.relist(task.job.slot);
        Ok(())
    }

    /// Ends a task by hand and frees what it held.
    ///
    /// # Panics
    /// If there is no such task or it holds nothing.
    pub fn stop(&mut self, task: TaskRef) {
        let place = self.find_task(task).expect("the task exists");
        self.vacate(task.job.slot, place);
        let job = self.jobs.slot_mut(task.job.slot);
        job.set_state(place, TaskState::Over);
        self.relist(task.job.slot);
    }

    /// A free slot with a specification that passed its check becomes a job.
    pub(crate) fn admit_job(&mut self, slot: u32, scheduler: SchedulerId) -> JobRef {
        let id = JobId(self.next_job);
        self.next_job = self.next_job.checked_add(1).expect("fewer than 2^32 jobs");
        let reference = self.jobs.insert(slot, id);
        let pools = self.scheduler_pools[scheduler.index()].intersect(self.cluster.all_pools());
        let job = self.jobs.slot_mut(reference.slot);
        job.scheduler = scheduler;
        job.pools = pools;
        for group in &job.spec.request.groups {
            job.shapes.push(self.shapes.intern(group.request));
        }
        reference
    }

    /// Index of the current attempt that a reference names; `None` if it is no longer that.
    pub(crate) fn find_task(&self, task: TaskRef) -> Option<usize> {
        let job = self.jobs.get(task.job)?;
        let place = job.task_index(task.group, task.index)?;
        (job.tasks[place].attempt == task.attempt).then_some(place)
    }

    /// The unit shape of what a job's units still need, and how many GPUs that is over all of the
    /// job's waiting tasks \[milli\]. `None` if it needs nothing.
    pub(crate) fn unmet(&mut self, slot: u32) -> Option<(DemandId, u64)> {
        let job = self.jobs.slot(slot);
        if job.outcome.is_some() {
            return None;
        }
        let (scheduler, pools) = (job.scheduler, job.pools);
        let each = job.spec.request.advance == Advance::Each;
        let (mut needs, mut bounds) = (Needs::new(), Bounds::new());
        let mut units = 1;
        if let Advance::Between { min, .. } = job.spec.request.advance {
            let wanted = min.saturating_sub(job.placed()).min(waiting(job));
            if wanted == 0 {
                return None;
            }
            needs.push((job.shapes[0], wanted));
        } else if waiting(job) == 0 {
            return None;
        } else if each {
            units = u64::from(waiting(job));
            needs.push((job.shapes[0], 1));
        } else if let Some(id) = self.demands.find_plain(job, waiting(job)) {
            return Some((id, self.demands.get(id).milli));
        } else {
            // A whole gang, the common case, needs no count by group.
            let whole = waiting(job) as usize == job.tasks.len();
            for (place, group) in job.spec.request.groups.iter().enumerate() {
                let count = if whole {
                    group.count
                } else {
                    let waits =
                        |t: &&crate::live::Task| usize::from(t.group) == place && demands(t);
                    u32::try_from(job.tasks.iter().filter(waits).count()).unwrap_or(u32::MAX)
                };
                if count > 0 {
                    needs.push((job.shapes[place], count));
                }
            }
            bounds = self.bounds_of(job);
        }
        let id = self.demand(DemandKey {
            scheduler,
            pools,
            needs,
            each,
            bounds,
        });
        Some((id, self.demands.get(id).milli * units))
    }

    /// The same, cheaply, for a job whose place in the lists is up to date.
    pub(crate) fn unmet_as_listed(&mut self, slot: u32) -> Option<(DemandId, u64)> {
        let job = self.jobs.slot(slot);
        if !job.listed || job.spec.request.advance == Advance::Each {
            return self.unmet(slot);
        }
        let known = Some((job.demand, self.demands.get(job.demand).milli));
        debug_assert_eq!(known, self.unmet(slot), "the lists are behind");
        known
    }

    /// The id of a unit shape, new or known.
    fn demand(&mut self, key: DemandKey) -> DemandId {
        if let Some(id) = self.demands.find(&key) {
            return id;
        }
        let space = self.space.get_mut();
        let accepts_all = |pool: PoolId| {
            let info = &space.pools[pool.index()];
            key.needs
                .iter()
                .any(|(shape, _)| info.accepts(self.shapes.request(*shape)))
        };
        let accepted: PoolSet = key.pools.iter().filter(|pool| accepts_all(*pool)).collect();
        let sharing = accepted
            .iter()
            .next()
            .map_or(Sharing::default(), |p| space.pools[p.index()].sharing);
        let mut milli = 0;
        for (shape, count) in &key.needs {
            let gpus: GpuRequest = self.shapes.request(*shape).gpus;
            milli += u64::from(sharing.granted(gpus)) * u64::from(*count);
        }
        let requests = || {
            key.needs
                .iter()
                .map(|(shape, _)| self.shapes.request(*shape))
        };
        // Where GPUs are slots, what fits need not be free in the ledger's sense.
        let mut sharings = accepted
            .iter()
            .map(|pool| space.pools[pool.index()].sharing);
        let slotted = sharings.any(Sharing::overcommits);
        let rigid =
            !slotted && (accepted.len() == 1 || requests().all(|request| !request.gpus.is_part()));
        let bound_by_more = requests().any(|r| r.cpu.0 > 0 || r.memory.0 > 0);
        let plain = match key.needs[..] {
            [(shape, count)] if key.bounds.is_empty() && !slotted => {
                crate::space::plain_whole(self.shapes.request(shape))
                    .map(|gpus| (gpus, u64::from(count)))
            }
            _ => None,
        };
        let can_ever = if key.bounds.is_empty() {
            self.fits_when_empty(&key)
        } else {
            self.fits_bounded_when_empty(&key)
        };
        self.demands.insert(Demand {
            plain,
            key,
            accepted,
            milli,
            rigid,
            bound_by_more,
            can_ever,
            head: crate::live::NONE,
            tail: crate::live::NONE,
            listed: 0,
        })
    }

    /// Whether one unit fits on the supply at its largest, with nothing running.
    fn fits_when_empty(&self, key: &DemandKey) -> bool {
        let space = self.space.borrow();
        let pools: Vec<(PoolId, u32)> = key
            .pools
            .iter()
            .map(|p| (p, self.cluster.pools[p.index()].max_nodes))
            .collect();
        if let [(shape, count)] = key.needs[..] {
            let request = self.shapes.request(shape);
            let total: u64 = pools
                .iter()
                .filter(|(pool, _)| space.pools[pool.index()].accepts(request))
                .map(|(pool, nodes)| {
                    let full = self.cluster.pools[pool.index()].full;
                    let sharing = space.pools[pool.index()].sharing;
                    u64::from(slots_on(&full, request, sharing)) * u64::from(*nodes)
                })
                .sum();
            return total >= u64::from(count);
        }
        self.greedy_when_empty(key, &pools, &space)
    }

    /// Groups greedily in order, on nodes in order; only for units of several groups.
    fn greedy_when_empty(&self, key: &DemandKey, pools: &[(PoolId, u32)], space: &Space) -> bool {
        let mut nodes: Vec<(PoolId, NodeFree)> = Vec::new();
        for &(pool, count) in pools {
            let full = self.cluster.pools[pool.index()].full;
            nodes.extend(std::iter::repeat_n((pool, full), count as usize));
        }
        for (shape, count) in &key.needs {
            let request = self.shapes.request(*shape);
            let mut left = *count;
            for (pool, free) in &mut nodes {
                let info = &space.pools[pool.index()];
                if !info.accepts(request) {
                    continue;
                }
                while left > 0 && free.fits(request, info.sharing) {
                    let Some(grant) = occupy::assume(free, request, info.sharing) else {
                        break;
                    };
                    free.take(grant, request.cpu.0, request.memory.0);
                    left -= 1;
                }
            }
            if left > 0 {
                return false;
            }
        }
        true
    }

    /// Brings the plan space up to date with the nodes touched since.
    pub(crate) fn sync_space(&mut self) {
        let space = self.space.get_mut();
        let (nodes, dirty) = (&mut self.cluster.nodes, &mut self.cluster.dirty);
        // What a plan changed is nearly always what was done then: those nodes follow with the others.
        while let Some(node) = space.stale.pop() {
            let state = &nodes[node.index()];
            if !state.dirty {
                space.set(node, &state.free);
            }
        }
        for node in dirty.iter() {
            let state = &mut nodes[node.index()];
            state.dirty = false;
            space.set(*node, &state.free);
        }
        dirty.clear();
    }

    /// Looks a hold up.
    pub(crate) fn hold(&self, id: HoldId) -> Option<&holds::Hold> {
        self.holds.get(id)
    }

    /// The id of a node by its pool and place.
    #[must_use]
    pub fn node_at(&self, id: PoolId, ordinal: u32) -> Option<NodeId> {
        let pool = self.cluster.pools.get(id.index())?;
        if pool.info.end - pool.info.first == pool.max_nodes {
            return (ordinal < pool.max_nodes).then(|| NodeId(pool.info.first + ordinal));
        }
        self.cluster.nodes_of(id).nth(ordinal as usize)
    }
}

/// Whether a task counts as demand: it waits for capacity and nobody but its user keeps it from it.
pub(crate) fn demands(task: &crate::live::Task) -> bool {
    match task.state {
        TaskState::Pending => true,
        TaskState::Gated => task.gate.why != Some(crate::Reason::User),
        TaskState::Suspended => task.keeps != crate::decision::Keeps::Everything,
        _ => false,
    }
}

/// Tasks of a job that count as demand.
fn waiting(job: &crate::live::Job) -> u32 {
    let simple = job.in_state(TaskState::Pending);
    if job.in_state(TaskState::Gated) + job.in_state(TaskState::Suspended) == 0 {
        return simple;
    }
    u32::try_from(job.tasks.iter().filter(|t| demands(t)).count()).unwrap_or(u32::MAX)
}
