//! What a component may look at: the cluster as the control plane observes it, and what is pending.
//!
//! Truth runs ahead of a view by the platform's detection delay: a node may be dead and look fine.
//! A view does not move while a component thinks.

use crate::decision::{HoldFor, Keeps, Spot};
use crate::device::{DeviceSet, Grant, NodeFree, Sharing};
use crate::fabric::{Level, Places};
use crate::fault::Links;
use crate::ids::{
    AttrId, ControllerId, DemandId, GpuModelId, HoldId, JobId, JobRef, NodeId, PoolId, PoolSet,
    QueueId, SchedulerId, ShapeId, TaskRef, TenantId,
};
use crate::job::{Advance, JobProfile, TaskGroup, TaskRequest};
use crate::live::{Job, NONE, Task};
use crate::names::Names;
use crate::plan::Plan;
use crate::platform::LimitMode;
use crate::policy::{EstimateGrant, OracleGrant};
use crate::reason::Reason;
use crate::rng::Seed;
use crate::task::{Outcome, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::units::{Bytes, MilliCores};
use crate::world::World;
use crate::world::cluster::{Node, Stage};
use crate::world::lists::{BY_SHAPE, BY_SUBMISSION};

/// A read-only view of a [`World`], for one scheduler.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) world: &'a World,
    pub(crate) scheduler: SchedulerId,
}

impl<'a> View<'a> {
    pub(crate) fn new(world: &'a World, scheduler: SchedulerId) -> Self {
        Self { world, scheduler }
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.world.now
    }

    /// The seed of the run, for policies that draw.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.world.seed
    }

    /// Tenants, queues, GPU models and attributes by name.
    #[must_use]
    pub fn names(&self) -> &'a Names {
        &self.world.names
    }

    /// Who enforces walltime limits.
    #[must_use]
    pub fn limit_mode(&self) -> LimitMode {
        self.world.limit
    }

    /// The scheduler it is for; the first for controllers, admission, autoscalers and observers.
    #[must_use]
    pub fn scheduler(&self) -> SchedulerId {
        self.scheduler
    }

    /// The pools that this scheduler places on.
    #[must_use]
    pub fn pools(&self) -> PoolSet {
        self.world.scheduler_pools[self.scheduler.index()].intersect(self.world.cluster.all_pools())
    }

    /// Where nodes stand in the fabric.
    #[must_use]
    pub fn places(&self) -> &'a Places {
        &self.world.cluster.places
    }

    /// The name of a pool.
    #[must_use]
    pub fn pool_name(&self, pool: PoolId) -> &'a str {
        &self.world.cluster.pools[pool.index()].name
    }

    /// The id of a pool by name.
    #[must_use]
    pub fn pool_named(&self, name: &str) -> Option<PoolId> {
        let place = self
            .world
            .cluster
            .pools
            .iter()
            .position(|pool| pool.name == name)?;
        u8::try_from(place).ok().map(PoolId)
    }

    /// Jobs of this scheduler that have tasks to place, in order of submission.
    ///
    /// Not listed: gated or withheld ones, and elastic ones that run with at least their minimum.
    pub fn pending_jobs(&self) -> impl Iterator<Item = JobView<'a>> + use<'a> {
        let world = self.world;
        let mut slot = world.lists[self.scheduler.index()].head;
        std::iter::from_fn(move || {
            let found = job_view(world, slot)?;
            slot = world.jobs.links(slot, BY_SUBMISSION).next;
            Some(found)
        })
    }

    /// Number of jobs in [`pending_jobs`](Self::pending_jobs). O(1).
    #[must_use]
    pub fn pending_count(&self) -> u32 {
        self.world.lists[self.scheduler.index()].len
    }

    /// The distinct unit shapes among the pending jobs, by id.
    pub fn pending_shapes(&self) -> impl Iterator<Item = PendingShape<'a>> + use<'a> {
        let world = self.world;
        world.listed_demands[self.scheduler.index()]
            .iter()
            .map(move |&id| PendingShape { world, id })
    }

    /// A live job; `None` once it has ended and everyone had the news.
    #[must_use]
    pub fn job(&self, job: JobRef) -> Option<JobView<'a>> {
        self.world.jobs.get(job).map(|found| JobView {
            world: self.world,
            slot: job.slot,
            job: found,
        })
    }

    /// A task as the attempt the reference names; `None` if that attempt was replaced or the job is gone.
    #[must_use]
    pub fn task(&self, task: TaskRef) -> Option<TaskView<'a>> {
        let place = self.world.find_task(task)?;
        let job = self.world.jobs.slot(task.job.slot);
        Some(TaskView {
            slot: task.job.slot,
            job,
            place,
        })
    }

    /// Nodes of this scheduler's pools, by id.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        let (world, pools) = (self.world, self.pools());
        let nodes = world.cluster.nodes.iter().zip(0..);
        nodes
            .filter(move |(node, _)| pools.contains(node.pool))
            .map(move |(_, id)| NodeView {
                world,
                id: NodeId(id),
            })
    }

    /// Nodes of a pool, by id.
    pub fn nodes_of(&self, pool: PoolId) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        let world = self.world;
        let nodes = world.cluster.nodes_of(pool);
        nodes.map(move |id| NodeView { world, id })
    }

    /// One node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> NodeView<'a> {
        assert!(
            id.index() < self.world.cluster.nodes.len(),
            "there is no {id}"
        );
        NodeView {
            world: self.world,
            id,
        }
    }

    /// Number of nodes over all pools, absent ones included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.world.cluster.nodes.len()
    }

    /// Number of pools, of whatever scheduler.
    #[must_use]
    pub fn pool_count(&self) -> usize {
        self.world.cluster.pools.len()
    }

    /// Live holds of every scheduler, by id.
    pub fn holds(&self) -> impl Iterator<Item = HoldView> + use<'a> {
        self.world.holds.iter().map(|(id, hold)| HoldView {
            id,
            owner: hold.owner,
            committed: hold.committed,
            who: hold.who,
            from: hold.from,
            until: hold.until,
            active: hold.active,
            backed_milli: hold.parts.iter().map(|part| part.backed_milli()).sum(),
            parts: hold
                .parts
                .iter()
                .map(|part| (part.node, part.amount))
                .collect(),
        })
    }

    /// The user's estimate of a job's run time, if the trace has one.
    #[must_use]
    pub fn estimate(&self, _grant: &EstimateGrant, job: JobRef) -> Option<SimDuration> {
        self.world.jobs.get(job)?.spec.request.estimate
    }

    /// What is true of a job.
    #[must_use]
    pub fn truth(&self, _grant: &OracleGrant, job: JobRef) -> Option<&'a JobProfile> {
        Some(&self.world.jobs.get(job)?.spec.profile)
    }

    /// A scratch copy-on-write overlay of the free capacity, for what-if reasoning. Nothing is copied:
    /// changes are undone when the plan is dropped.
    ///
    /// The view does not change with the decisions of a call: what was placed a line before is still
    /// pending and its nodes still as free, so a policy that places several jobs asks one plan for all
    /// of them. [`Fit::Now`](crate::Fit::Now) means taken in the plan only.
    ///
    /// # Panics
    /// If another plan of this view is alive.
    #[must_use]
    pub fn plan(&self) -> Plan<'a> {
        Plan::new(*self)
    }
}

pub(crate) fn job_view(world: &World, slot: u32) -> Option<JobView<'_>> {
    (slot != NONE).then(|| JobView {
        world,
        slot,
        job: world.jobs.slot(slot),
    })
}

/// A distinct unit shape among the pending jobs: task requests × counts.
#[derive(Clone, Copy, Debug)]
pub struct PendingShape<'a> {
    world: &'a World,
    id: DemandId,
}

impl<'a> PendingShape<'a> {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> DemandId {
        self.id
    }

    /// Number of jobs that wait for it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.world.demands.get(self.id).listed
    }

    /// The jobs that wait for it, in order of submission.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'a>> + use<'a> {
        let world = self.world;
        let mut slot = world.demands.get(self.id).head;
        std::iter::from_fn(move || {
            let found = job_view(world, slot)?;
            slot = world.jobs.links(slot, BY_SHAPE).next;
            Some(found)
        })
    }
}

/// A live job, as far as anybody may know it.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    pub(crate) world: &'a World,
    pub(crate) slot: u32,
    pub(crate) job: &'a Job,
}

impl<'a> JobView<'a> {
    /// The reference that decisions name.
    #[must_use]
    pub fn id(&self) -> JobRef {
        JobRef {
            slot: self.slot,
            id: self.job.id,
        }
    }

    /// The job's ordinal.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        self.job.id
    }

    /// When it was submitted.
    #[must_use]
    pub fn submit(&self) -> SimTime {
        self.job.spec.submit
    }

    /// Its name in the trace, if any.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.job.spec.name.as_deref()
    }

    /// Its task groups.
    #[must_use]
    pub fn groups(&self) -> &'a [TaskGroup] {
        &self.job.spec.request.groups
    }

    /// Which tasks must run for progress.
    #[must_use]
    pub fn advance(&self) -> Advance {
        self.job.spec.request.advance
    }

    /// Which controller owns it.
    #[must_use]
    pub fn kind(&self) -> ControllerId {
        self.job.spec.request.kind
    }

    /// Its walltime limit.
    #[must_use]
    pub fn limit(&self) -> Option<SimDuration> {
        self.job.spec.request.limit
    }

    /// Its priority, higher first.
    #[must_use]
    pub fn priority(&self) -> i64 {
        self.job.spec.request.priority
    }

    /// Who pays.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.job.spec.request.tenant
    }

    /// The queue it was submitted to.
    #[must_use]
    pub fn queue(&self) -> QueueId {
        self.job.spec.request.queue
    }

    /// Its attributes.
    #[must_use]
    pub fn attrs(&self) -> AttrId {
        self.job.spec.request.attrs
    }

    /// GPUs asked for over all tasks \[milli\].
    #[must_use]
    pub fn gpu_milli(&self) -> u64 {
        self.job.spec.request.gpu_milli()
    }

    /// The unit shape it is listed under; equal shapes fit equally.
    #[must_use]
    pub fn shape(&self) -> DemandId {
        self.job.demand
    }

    /// The pools it may run on: its scheduler's, within what admission allows.
    #[must_use]
    pub fn pools(&self) -> PoolSet {
        self.job.pools
    }

    /// Those of its pools that have a GPU model it accepts.
    #[must_use]
    pub fn accepting_pools(&self) -> PoolSet {
        if self.job.listed {
            self.world.demands.get(self.job.demand).accepted
        } else {
            self.job.pools
        }
    }

    /// Whether it is among [`View::pending_jobs`]: has tasks to place now, and has not ended. O(1).
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.job.listed && self.job.outcome.is_none()
    }

    /// Why admission holds it back, if it does.
    #[must_use]
    pub fn withheld(&self) -> Option<Reason> {
        self.job.withheld
    }

    /// The scheduler it was routed to.
    #[must_use]
    pub fn scheduler(&self) -> SchedulerId {
        self.job.scheduler
    }

    /// Whether one unit of it would fit on the supply at its largest, with nothing running: as a whole,
    /// or what is left of it.
    #[must_use]
    pub fn can_ever_fit(&self) -> bool {
        // What is left of several groups may not fit by itself, where it is placed in another order.
        !self.job.listed || self.world.demands.get(self.job.demand).can_ever || !self.job.never_fits
    }

    /// Number of its tasks in a state.
    #[must_use]
    pub fn tasks_in(&self, state: TaskState) -> u32 {
        self.job.in_state(state)
    }

    /// Tasks that are bound: starting or running.
    #[must_use]
    pub fn tasks_bound(&self) -> u32 {
        self.job.bound()
    }

    /// Tasks whose work is done (under [`Advance::Each`]).
    #[must_use]
    pub fn tasks_done(&self) -> u32 {
        self.job.done_tasks
    }

    /// When all tasks that a unit needs were first bound.
    #[must_use]
    pub fn start(&self) -> Option<SimTime> {
        self.job.start
    }

    /// Whether a task that a unit needs still waits to be bound.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.job.is_queued()
    }

    /// How it ended, if it did in this very instant.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.job.outcome
    }

    /// Its tasks, in (group, index) order.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'a>> + use<'a> {
        let (slot, job) = (self.slot, self.job);
        (0..job.tasks.len()).map(move |place| TaskView { slot, job, place })
    }
}

/// One task of a live job.
#[derive(Clone, Copy, Debug)]
pub struct TaskView<'a> {
    slot: u32,
    job: &'a Job,
    place: usize,
}

impl<'a> TaskView<'a> {
    fn task(&self) -> &'a Task {
        &self.job.tasks[self.place]
    }

    /// The reference that decisions name.
    #[must_use]
    pub fn id(&self) -> TaskRef {
        self.job.task_ref(self.slot, self.place)
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.task().state
    }

    /// The id of what it asks for: equal requests have equal ids.
    #[must_use]
    pub fn shape(&self) -> ShapeId {
        self.job.shapes[usize::from(self.task().group)]
    }

    /// What it asks for.
    #[must_use]
    pub fn request(&self) -> &'a TaskRequest {
        &self.job.spec.request.groups[usize::from(self.task().group)].request
    }

    /// The level that its group must not cross, if any.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.job.spec.request.groups[usize::from(self.task().group)].level
    }

    /// Its attributes: its group's.
    #[must_use]
    pub fn attrs(&self) -> AttrId {
        self.job.spec.request.groups[usize::from(self.task().group)].attrs
    }

    /// Priority of its job.
    #[must_use]
    pub fn priority(&self) -> i64 {
        self.job.spec.request.priority
    }

    /// Its node, if it has or is promised one, or is suspended there.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        let task = self.task();
        (task.state.holds() || task.state == TaskState::Suspended).then_some(task.node)
    }

    /// Its place: node and GPUs. For a suspended task the one that it left and would come back to,
    /// whether or not it is free.
    #[must_use]
    pub fn spot(&self) -> Option<Spot> {
        let node = self.node()?;
        let devices = Some(self.task().grant.devices);
        Some(Spot { node, devices })
    }

    /// What it keeps while it is suspended.
    #[must_use]
    pub fn keeps(&self) -> Option<Keeps> {
        let task = self.task();
        (task.state == TaskState::Suspended).then_some(task.keeps)
    }

    /// The GPUs it holds.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        self.task().holds_gpus().then_some(self.task().grant)
    }

    /// For a suspended task: what it kept, and the place it resumes on.
    #[must_use]
    pub fn suspended(&self) -> Option<(Keeps, Spot)> {
        let task = self.task();
        let spot = Spot {
            node: task.node,
            devices: Some(task.grant.devices),
        };
        (task.state == TaskState::Suspended).then_some((task.keeps, spot))
    }

    /// The hold its place is drawn from, if any.
    #[must_use]
    pub fn within(&self) -> Option<HoldId> {
        self.task().hold
    }
}

/// One node as observed.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    world: &'a World,
    id: NodeId,
}

impl<'a> NodeView<'a> {
    fn node(&self) -> &'a Node {
        self.world.cluster.node(self.id)
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Its pool.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        self.node().pool
    }

    /// Its place in the pool.
    #[must_use]
    pub fn ordinal(&self) -> u32 {
        self.node().ordinal
    }

    /// Where it is in its life.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.node().stage
    }

    /// Whether it is known to be down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.node().noticed
    }

    /// GPUs that are known to have failed: out of service, no part of what is free.
    #[must_use]
    pub fn failed_gpus(&self) -> DeviceSet {
        self.node().health.seen
    }

    /// Links of it that are down. They are seen at once: counters tell.
    #[must_use]
    pub fn links(&self) -> Links {
        self.node().health.links
    }

    /// When the maintenance window opens, or opened, for which it takes no new tasks; what runs then is
    /// ended.
    #[must_use]
    pub fn maintenance(&self) -> Option<SimTime> {
        self.node().health.window()
    }

    /// Whether tasks may be placed on it, as far as anybody knows.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.node().is_open()
    }

    /// What is free on it.
    #[must_use]
    pub fn free(&self) -> &'a NodeFree {
        &self.node().free
    }

    /// What it has when empty.
    #[must_use]
    pub fn capacity(&self) -> &'a NodeFree {
        &self.world.cluster.pools[self.node().pool.index()].full
    }

    /// The model of its GPUs.
    #[must_use]
    pub fn gpu_model(&self) -> GpuModelId {
        let model = self.world.cluster.pools[self.pool().index()].info.model;
        GpuModelId(u8::try_from(model.trailing_zeros()).unwrap_or(u8::MAX))
    }

    /// How its GPUs may be shared.
    #[must_use]
    pub fn sharing(&self) -> Sharing {
        self.world.sharing_of(self.id)
    }

    /// Whether no task holds or awaits anything on it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.node().tasks.is_empty()
    }

    /// Tasks that hold something on it, in the order in which they came.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'a>> + use<'a> {
        let world = self.world;
        self.node()
            .tasks
            .iter()
            .map(move |&(slot, place)| TaskView {
                slot,
                job: world.jobs.slot(slot),
                place: place as usize,
            })
    }

    /// What holds set aside on it now, beyond what they lent to tasks; older holds first, one entry
    /// per part.
    pub fn set_aside(&self) -> impl Iterator<Item = SetAside> + use<'a> {
        let (world, id) = (self.world, self.id);
        self.node().holds.iter().flat_map(move |&hold| {
            let found = world.hold(hold).into_iter();
            let parts = found.flat_map(|found| found.parts.iter().map(move |part| (found, part)));
            parts
                .filter(move |(_, part)| part.node == id)
                .map(move |(found, part)| {
                    let (grant, cpu, memory) = part.backing_all();
                    SetAside {
                        hold,
                        why: found.why,
                        amount: part.amount,
                        grant,
                        cpu,
                        memory,
                    }
                })
        })
    }
}

/// What one part of a hold sets aside on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The hold.
    pub hold: HoldId,
    /// Its reason.
    pub why: Reason,
    /// What the part wants in all, lent or not.
    pub amount: TaskRequest,
    /// GPUs set aside.
    pub grant: Grant,
    /// CPU set aside.
    pub cpu: MilliCores,
    /// Memory set aside.
    pub memory: Bytes,
}

/// A hold as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// Its id.
    pub id: HoldId,
    /// The scheduler that made it, the only one that may use or end it.
    pub owner: SchedulerId,
    /// Whether tasks may be placed within it.
    pub committed: bool,
    /// For whom.
    pub who: HoldFor,
    /// From when it sets capacity aside.
    pub from: SimTime,
    /// Until when, if it ends by itself.
    pub until: Option<SimTime>,
    /// Whether its start has come.
    pub active: bool,
    /// GPUs it sets aside now, beyond what it lent to tasks \[milli\].
    pub backed_milli: u32,
    /// What it wants on which node.
    pub parts: Vec<(NodeId, TaskRequest)>,
}
