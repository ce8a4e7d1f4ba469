//! What-if reasoning over free capacity: an overlay with an undo journal, never a copy.

mod bounded;

use std::cell::RefMut;
use std::collections::BTreeMap;

use crate::decision::{Keeps, Spot, Spots};
use crate::device::{DeviceSet, Grant, NodeFree, Sharing};
use crate::ids::{DemandId, NodeId, PoolSet, ShapeId, TaskRef};
use crate::job::TaskRequest;
use crate::live::Job;
use crate::space::{Bound, Pick, Space};
use crate::task::TaskState;
use crate::view::{JobView, TaskView, View};
use crate::world::bounds::is_bounded;
use crate::world::occupy::assume;
use bounded::Homes;

/// Whether something fits now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It fits, here; the plan has taken the capacity, and the plan alone: nothing happens to the job
    /// unless [`Decisions::place`](crate::Decisions::place) is called. Of an array, as many tasks as fit, in order:
    /// there may be fewer spots than pending tasks.
    Now(Spots),
    /// It does not fit now, or it is not pending ([`JobView::is_pending`]); the plan is unchanged.
    NotNow,
    /// It would not fit even on the supply at its largest, with nothing running.
    Never,
}

/// How full a node would be: less is chosen first. Made by a placer's scoring function.
pub type Score = i64;

/// How full a node would be, as a function of the node and the request alone: what lets a plan
/// remember scores.
///
/// # Contract
/// Equal free capacity, equal request, equal score.
pub trait Scorer: 'static {
    /// The score of a node where the task fits, before it is placed; less is chosen first.
    fn score(free: &NodeFree, request: &TaskRequest) -> Score;
}

/// A scratch overlay of the observed free capacity; dropped, it leaves no trace.
///
/// Devices are chosen as the count-only rule would; the agent on the node may choose others.
#[derive(Debug)]
pub struct Plan<'a> {
    view: View<'a>,
    space: RefMut<'a, Space>,
    start: usize,
    /// Where groups that must not cross a level are bound to by what this plan placed.
    homes: Homes,
}

/// A point in a plan to which [`Plan::undo_to`] goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl<'a> Plan<'a> {
    pub(crate) fn new(view: View<'a>) -> Self {
        let Ok(mut space) = view.world.space.try_borrow_mut() else {
            panic!(
                "another plan of this view is alive; use Plan::mark and Plan::undo_to for nesting"
            )
        };
        while let Some(node) = space.stale.pop() {
            space.set(node, &view.world.cluster.node(node).free);
        }
        let start = space.mark();
        let homes = Homes::default();
        Self {
            view,
            space,
            start,
            homes,
        }
    }

    /// Places all tasks that a job still needs on the lowest-numbered nodes where they fit; of an
    /// array ([`Advance::Each`](crate::Advance::Each)), as many as fit. A group of tasks that must not
    /// cross a level goes into the first rack (domain, pod, node) with room for all of it.
    ///
    /// O(groups) if it does not fit, O(tasks) if it does, beside bringing the index of its shape up
    /// to date.
    pub fn first_fit(&mut self, job: JobView<'_>) -> Fit {
        if is_bounded(job.job) {
            return self.place_bounded(job, Pick::First, |plan, task, from| {
                plan.next_feasible(task, from)
            });
        }
        if let Some(gpus) = self.gpus_of_one_plain_task(job) {
            return self.first_whole(job, gpus);
        }
        self.place_all(job, |plan, shape, request, pools, from, _| {
            plan.space.next_feasible(shape, request, pools, from)
        })
    }

    /// GPUs of the one task that a pending job still needs, if all it has are tasks of whole GPUs and
    /// nothing else: the bulk of many traces, and all that needs to be known of it is in its unit shape.
    #[inline]
    fn gpus_of_one_plain_task(&self, job: JobView<'_>) -> Option<usize> {
        let request = &job.job.spec.request;
        if !job.is_pending() || request.advance == crate::Advance::Each || request.groups.len() != 1
        {
            return None;
        }
        let demand = self.view.world.demands.get(job.job.demand);
        let (gpus, tasks) = demand.plain?;
        (tasks == 1).then_some(gpus)
    }

    /// [`first_fit`](Self::first_fit) for a job of [one plain task](Self::gpus_of_one_plain_task).
    fn first_whole(&mut self, job: JobView<'_>, gpus: usize) -> Fit {
        if !job.can_ever_fit() {
            return Fit::Never;
        }
        let accepted = self.view.world.demands.get(job.job.demand).accepted;
        if self.space.whole_slots(gpus, accepted) == 0 {
            return Fit::NotNow;
        }
        let request = self.view.world.shapes.request(job.job.shapes[0]);
        match self.space.first_whole(gpus, accepted, NodeId(0)) {
            Some(node) if self.take_request(node, request) => {
                Fit::Now(Spots::from_iter([node.into()]))
            }
            _ => Fit::NotNow,
        }
    }

    /// Places all tasks that a job still needs, each on the feasible node with the lowest score,
    /// then the lowest id. The score sees the node's free capacity before the task is placed. A group
    /// of tasks that must not cross a level goes into the rack (domain, pod, node) with least room among
    /// those with room for all of it, then the lowest number.
    ///
    /// O(feasible nodes) per task, beside O(racks) per group with a level.
    pub fn best_by(
        &mut self,
        job: JobView<'_>,
        mut score: impl FnMut(&NodeFree, &TaskRequest) -> Score,
    ) -> Fit {
        if is_bounded(job.job) {
            return self.best_bounded(job, score);
        }
        self.place_all(job, |plan, shape, request, pools, _, _| {
            let mut best: Option<(Score, NodeId)> = None;
            let mut from = NodeId(0);
            while let Some(node) = plan.space.next_feasible(shape, request, pools, from) {
                let value = score(plan.space.node(node), request);
                if best.is_none_or(|(least, _)| value < least) {
                    best = Some((value, node));
                }
                from = NodeId(node.0 + 1);
            }
            best.map(|(_, node)| node)
        })
    }

    /// The same as [`best_by`](Self::best_by), with scores remembered per node and request.
    ///
    /// O(nodes that changed since a task of the same request was placed + nodes ÷ 64) per task; all
    /// nodes if the job does not accept all pools.
    pub fn best_of<S: Scorer>(&mut self, job: JobView<'_>) -> Fit {
        let live = job.job;
        if !self.is_anywhere(live) || is_bounded(live) {
            return self.best_by(job, S::score);
        }
        if self.is_single(live) {
            if !job.can_ever_fit() {
                return Fit::Never;
            }
            if !job.is_pending() {
                return Fit::NotNow;
            }
            let request = live.spec.request.groups[0].request;
            let Some(node) = self.space.best::<S>(live.shapes[0], &request) else {
                return Fit::NotNow;
            };
            let is_taken = self.take_request(node, &request);
            debug_assert!(is_taken, "it fits where it has a score");
            return Fit::Now(Spots::from_iter([node.into()]));
        }
        self.place_all(job, |plan, shape, request, _, _, _| {
            plan.space.best::<S>(shape, request)
        })
    }

    /// The same as [`may_fit`](Self::may_fit), from the scores of [`best_of`](Self::best_of) where that
    /// will be asked next.
    pub fn may_fit_of<S: Scorer>(&mut self, job: JobView<'_>) -> bool {
        let live = job.job;
        if !self.is_anywhere(live) || !self.is_single(live) {
            return self.may_fit(job);
        }
        let request = &live.spec.request.groups[0].request;
        job.can_ever_fit() && self.space.best::<S>(live.shapes[0], request).is_some()
    }

    /// Whether a job accepts every pool.
    fn is_anywhere(&self, job: &Job) -> bool {
        let all = self.view.world.cluster.all_pools();
        job.pools.intersect(all) == all
    }

    /// Whether a job needs one more task, of its only group, and that may go anywhere.
    fn is_single(&self, job: &Job) -> bool {
        let groups = &job.spec.request.groups;
        groups.len() == 1 && groups[0].level.is_none() && unplaced(job) == 1
    }

    /// Places all tasks that a job still needs, asking `choose` for the node of each in turn;
    /// `None`, or a node where the task does not fit, undoes the whole job (an array keeps the tasks
    /// placed before). A group of tasks that must not cross a level is tried in each rack (domain, pod,
    /// node) with room for all of it, in order, and [`next_feasible`](Self::next_feasible) names nodes of
    /// that one alone.
    ///
    /// With it a policy keeps off some nodes, here odd ones:
    /// ```
    /// use windtunnel_core::{
    ///     Fit, JobSpec, NodeId, NodeModel, SimDuration, SimTime, Supply, TaskRequest, World,
    /// };
    /// let mut world = World::new(&Supply::uniform(NodeModel::gpus_only("h100", 4), 4))?;
    /// let pair = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(3), SimDuration::from_mins(1)).tasks(2);
    /// let job = world.submit(pair)?;
    /// let view = world.view();
    /// let job = view.job(job).ok_or("it waits")?;
    /// let mut plan = view.plan();
    /// let fit = plan.place_by(job, |plan, task| {
    ///     let mut from = NodeId(0);
    ///     while let Some(node) = plan.next_feasible(task, from) {
    ///         if node.0 % 2 == 0 {
    ///             return Some(node);
    ///         }
    ///         from = NodeId(node.0 + 1);
    ///     }
    ///     None
    /// });
    /// let Fit::Now(spots) = fit else { panic!("nodes 0 and 2 are empty") };
    /// assert_eq!(spots.iter().map(|spot| spot.node.0).collect::<Vec<_>>(), [0, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn place_by(
        &mut self,
        job: JobView<'_>,
        mut choose: impl FnMut(&mut Self, TaskView<'_>) -> Option<NodeId>,
    ) -> Fit {
        if is_bounded(job.job) {
            return self.place_bounded(job, Pick::First, |plan, task, _| choose(plan, task));
        }
        let tasks: Vec<TaskView<'_>> = job.tasks().collect();
        self.place_all(job, |plan, _, _, _, _, place| choose(plan, tasks[place]))
    }

    fn place_all(
        &mut self,
        job: JobView<'_>,
        mut choose: impl FnMut(
            &mut Self,
            ShapeId,
            &TaskRequest,
            PoolSet,
            NodeId,
            usize,
        ) -> Option<NodeId>,
    ) -> Fit {
        if !job.can_ever_fit() {
            return Fit::Never;
        }
        let live = job.job;
        let pools = live.pools;
        if !job.is_pending() || !self.enough_slots(live, pools) {
            return Fit::NotNow;
        }
        let mark = self.mark();
        let mut spots = Spots::new();
        let mut wanted = unplaced(live);
        let (mut group, mut from) = (0, NodeId(0));
        for (place, task) in live.tasks.iter().enumerate() {
            if wanted == 0 {
                break;
            }
            if task.state != TaskState::Pending {
                continue;
            }
            if task.group != group {
                (group, from) = (task.group, NodeId(0));
            }
            let shape = live.shapes[usize::from(group)];
            let request = live.spec.request.groups[usize::from(group)].request;
            let before = self.mark();
            let node = choose(self, shape, &request, pools, from, place);
            let taken = node.filter(|node| self.take_request(*node, &request));
            let Some(node) = taken else {
                // Tasks of an array stand for themselves: those before this one may start.
                let trickles = live.spec.request.advance == crate::Advance::Each;
                if trickles && !spots.is_empty() {
                    self.undo_to(before);
                    break;
                }
                self.undo_to(mark);
                return Fit::NotNow;
            };
            // Nodes before this one are too full for the shape: first fit need not look again.
            from = node;
            spots.push(node.into());
            wanted -= 1;
        }
        Fit::Now(spots)
    }

    /// A counter that grows whenever capacity is given back, be it by undoing what this plan took:
    /// while it stands still, what did not fit does not fit.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.space.given()
    }

    /// A quick answer that may err towards yes: `false` if the job certainly does not fit now.
    ///
    /// O(groups), beside bringing the index of its shapes up to date; exact for jobs of one group.
    pub fn may_fit(&mut self, job: JobView<'_>) -> bool {
        if is_bounded(job.job) {
            return job.can_ever_fit() && self.has_room_bounded(job);
        }
        job.can_ever_fit() && self.enough_slots(job.job, job.job.pools)
    }

    /// The same for any job listed under a unit shape, without a look at one. `false` for a shape of
    /// another scheduler's table or never heard of.
    ///
    /// O(groups), beside bringing the index of its shapes up to date; exact for jobs of one group.
    #[inline]
    pub fn may_fit_shape(&mut self, shape: DemandId) -> bool {
        let world = self.view.world;
        let Some(demand) = world.demands.list.get(shape.index()) else {
            return false;
        };
        if demand.is_hopeless() {
            return false;
        }
        if let Some((gpus, tasks)) = demand.plain {
            return self.space.whole_slots(gpus, demand.accepted) >= tasks;
        }
        let pools = demand.key.pools;
        let needs = demand.key.needs.iter().enumerate();
        needs.into_iter().all(|(place, &(shape, count))| {
            let request = world.shapes.request(shape);
            let bound = demand.key.bound(place);
            self.space.has_room(shape, request, pools, bound, count)
        })
    }

    /// The same if so much were free on some nodes instead. Each node may be named once.
    ///
    /// O(nodes named) for equal tasks of whole GPUs and nothing else; otherwise they are changed, asked
    /// about and changed back.
    pub fn may_fit_shape_if(&mut self, shape: DemandId, free: &[(NodeId, NodeFree)]) -> bool {
        let demands = &self.view.world.demands.list;
        let Some(demand) = demands
            .get(shape.index())
            .filter(|demand| !demand.is_hopeless())
        else {
            return false;
        };
        if let Some((gpus, tasks)) = demand.plain {
            let now = self.space.whole_slots(gpus, demand.accepted);
            let on = |free: &NodeFree| match free.open {
                true => u64::from(free.whole()) / (gpus as u64).max(1),
                false => 0,
            };
            let named = free
                .iter()
                .filter(|(node, _)| demand.accepted.contains(self.space.pool_of(*node)));
            let (mut less, mut more) = (0, 0);
            for (node, then) in named {
                less += on(self.space.node(*node));
                more += on(then);
            }
            return now + more >= tasks + less;
        }
        let mark = self.mark();
        for (node, free) in free {
            self.set_free(*node, *free);
        }
        let may = self.may_fit_shape(shape);
        self.undo_to(mark);
        may
    }

    /// A quick no: some group has more pending tasks than would fit one by one.
    fn enough_slots(&mut self, job: &Job, pools: PoolSet) -> bool {
        let groups = &job.spec.request.groups;
        let trickles = job.spec.request.advance == crate::Advance::Each;
        if groups.len() == 1 {
            let request = &groups[0].request;
            let wanted = if trickles { 1 } else { unplaced(job) };
            return self.space.slots(job.shapes[0], request, pools) >= u64::from(wanted);
        }
        if trickles {
            return true;
        }
        groups.iter().enumerate().all(|(place, group)| {
            let pending = job
                .tasks
                .iter()
                .filter(|t| usize::from(t.group) == place && t.state == TaskState::Pending)
                .count();
            self.space.slots(job.shapes[place], &group.request, pools) >= pending as u64
        })
    }

    /// The first node at or after `from` where a pending task fits; where its group must not cross a
    /// level and some of it has a place, here or in truth, the first one in the same rack (domain, pod,
    /// node).
    pub fn next_feasible(&mut self, task: TaskView<'_>, from: NodeId) -> Option<NodeId> {
        let (job, group) = self.shape_of(task)?;
        let shape = job.shapes[usize::from(group)];
        let request = job.spec.request.groups[usize::from(group)].request;
        match self.home_of(task) {
            None => self.space.next_feasible(shape, &request, job.pools, from),
            Some(home) => {
                let need = (shape, &request);
                self.space.next_feasible_within(need, job.pools, from, home)
            }
        }
    }

    /// How many tasks like this one fit now, over all nodes it accepts; where its group must not cross a
    /// level and some of it has a place, over the same rack (domain, pod, node). Cheap to ask again.
    pub fn slots(&mut self, task: TaskView<'_>) -> u64 {
        let Some((job, group)) = self.shape_of(task) else {
            return 0;
        };
        let shape = job.shapes[usize::from(group)];
        let request = job.spec.request.groups[usize::from(group)].request;
        match self.home_of(task) {
            None => self.space.slots(shape, &request, job.pools),
            Some((level, group)) => {
                let group = Some(group);
                let bound = Bound { level, group };
                self.space.bound_slots(shape, &request, job.pools, bound)
            }
        }
    }

    fn shape_of(&self, task: TaskView<'_>) -> Option<(&'a Job, u16)> {
        let id: TaskRef = task.id();
        Some((self.view.world.jobs.get(id.job)?, id.group))
    }

    /// Takes capacity for a task on a node; `false` and no change if it does not fit, or if its group
    /// would cross its level.
    pub fn take(&mut self, task: TaskView<'_>, node: NodeId) -> bool {
        if !self.is_within(task, node) {
            return false;
        }
        let mark = self.mark();
        let taken = self.take_request(node, task.request());
        if taken {
            self.settle(task, node, mark);
        }
        taken
    }

    fn take_request(&mut self, node: NodeId, request: &TaskRequest) -> bool {
        let sharing = self.space.sharing(node);
        let free = self.space.node(node);
        if !free.fits(request, sharing) {
            return false;
        }
        let Some(grant) = assume(free, request, sharing) else {
            return false;
        };
        self.space.take(node, grant, request);
        true
    }

    /// Takes capacity for a task on chosen devices of a node; `false` if they are not free.
    pub fn take_devices(&mut self, task: TaskView<'_>, spot: Spot) -> bool {
        let Some(devices) = spot.devices else {
            return self.take(task, spot.node);
        };
        let request = task.request();
        let mut free = *self.space.node(spot.node);
        let fits = free.open && free.cpu >= request.cpu.0 && free.memory >= request.memory.0;
        if !fits || devices == DeviceSet::EMPTY {
            return false;
        }
        if !self.is_within(task, spot.node) {
            return false;
        }
        let Some(grant) = free.grant(devices, request.gpus) else {
            return false;
        };
        self.settle(task, spot.node, self.mark());
        free.take(grant, request.cpu.0, request.memory.0);
        self.space.change(spot.node, free);
        true
    }

    /// Pretends that a task that holds GPUs is gone.
    pub fn release(&mut self, task: TaskView<'_>) {
        let (Some(node), Some(grant)) = (task.node(), task.grant()) else {
            return;
        };
        let request = task.request();
        let mut free = *self.space.node(node);
        free.give(grant, request.cpu.0, request.memory.0);
        self.space.change(node, free);
    }

    /// Pretends that a task that holds GPUs is suspended, keeping what `keeps` names.
    pub fn suspend(&mut self, task: TaskView<'_>, keeps: Keeps) {
        let (Some(node), Some(grant)) = (task.node(), task.grant()) else {
            return;
        };
        if keeps == Keeps::Everything {
            return;
        }
        let request = task.request();
        let memory = match keeps {
            Keeps::Nothing => request.memory.0,
            _ => 0,
        };
        let mut free = *self.space.node(node);
        free.give(grant, request.cpu.0, memory);
        self.space.change(node, free);
    }

    /// Takes back what a suspended task gave up, at its old place; `false` and no change if that is
    /// not free. What it left to a hold it was placed within does not count as free here.
    pub fn resume(&mut self, task: TaskView<'_>) -> bool {
        let (Some(spot), Some(keeps)) = (task.spot(), task.keeps()) else {
            return false;
        };
        let request = task.request();
        let mut free = *self.space.node(spot.node);
        if keeps == Keeps::Everything {
            return free.open;
        }
        let memory = match keeps {
            Keeps::Nothing => request.memory.0,
            _ => 0,
        };
        let devices = spot.devices.unwrap_or_default();
        let Some(grant) = free.grant(devices, request.gpus) else {
            return false;
        };
        let fits = free.open && free.cpu >= request.cpu.0 && free.memory >= memory;
        if fits {
            free.take(grant, request.cpu.0, memory);
            self.space.change(spot.node, free);
        }
        fits
    }

    /// What each [`take`](Self::take) and each task of a placement since `mark` took, in order: the
    /// node and the GPUs. Only takings may have happened since.
    #[must_use]
    pub fn taken_since(&self, mark: Mark) -> Vec<(NodeId, Grant)> {
        let mut after: BTreeMap<NodeId, NodeFree> = BTreeMap::new();
        let changes = self.space.changes_since(mark.0).iter().rev();
        let mut taken: Vec<(NodeId, Grant)> = changes
            .map(|(node, before)| {
                let left = after.insert(*node, *before);
                let grant = difference(before, &left.unwrap_or(*self.space.node(*node)));
                (*node, grant)
            })
            .collect();
        taken.reverse();
        taken
    }

    /// Pretends that a task like `request` that got `grant` on a node is gone: gives back what
    /// [`taken_since`](Self::taken_since) tells of.
    pub fn give_back(&mut self, node: NodeId, grant: Grant, request: &TaskRequest) {
        let mut free = *self.space.node(node);
        free.give(grant, request.cpu.0, request.memory.0);
        self.space.change(node, free);
    }

    /// Pretends that so much is free on a node, whatever is.
    pub fn set_free(&mut self, node: NodeId, free: NodeFree) {
        self.space.change(node, free);
    }

    /// What is free on a node, in this plan.
    #[must_use]
    pub fn free(&self, node: NodeId) -> &NodeFree {
        self.space.node(node)
    }

    /// Whether a task fits on a node, in this plan.
    #[must_use]
    pub fn fits(&self, task: TaskView<'_>, node: NodeId) -> bool {
        let pool = self.space.pool_of(node);
        let accepted = self
            .shape_of(task)
            .is_some_and(|(job, _)| job.pools.contains(pool));
        accepted
            && self.is_within(task, node)
            && self.space.pools[pool.index()].accepts(task.request())
            && self
                .space
                .node(node)
                .fits(task.request(), self.space.sharing(node))
    }

    /// How GPUs of a node may be shared.
    #[must_use]
    pub fn sharing(&self, node: NodeId) -> Sharing {
        self.space.sharing(node)
    }

    /// The present point, to come back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.space.mark())
    }

    /// Takes back everything since `mark`.
    pub fn undo_to(&mut self, mark: Mark) {
        self.space.undo_to(mark.0);
        self.homes.undo_to(mark.0);
    }
}

/// The GPUs that one task took.
fn difference(before: &NodeFree, after: &NodeFree) -> Grant {
    let mut grant = Grant::default();
    for device in 0..u32::from(before.devices) {
        let milli = before.left[device as usize] - after.left[device as usize];
        if milli > 0 {
            grant.devices.0 |= DeviceSet::one(device).0;
            grant.milli_each = milli;
            if let Some(taken) = after.taken.get(device as usize) {
                grant.slices = taken & !before.taken[device as usize];
            }
        }
    }
    grant
}

/// Tasks that a job's units still need: for an elastic job up to its minimum.
fn unplaced(job: &Job) -> u32 {
    let pending = job.in_state(TaskState::Pending);
    match job.spec.request.advance {
        crate::Advance::Between { min, .. } => min.saturating_sub(job.placed()).min(pending),
        _ => pending,
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        self.space.abandon(self.start);
    }
}
