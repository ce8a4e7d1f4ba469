//! Task groups that must not cross a level of the fabric: where they are bound to, whether they ever
//! fit, and whether a placement keeps them together.

use smallvec::SmallVec;

use super::{World, demands, occupy};
use crate::decision::Spot;
use crate::device::NodeFree;
use crate::error::DecisionError;
use crate::fabric::Level;
use crate::ids::{NodeId, PoolId};
use crate::job::TaskRequest;
use crate::live::{After, Job, Task};
use crate::shape::{Bounds, DemandKey};
use crate::space::{Bound, slots_on};
use crate::task::TaskState;

/// Whether a task keeps its group where it is: it has a place, or comes back to one.
fn binds(task: &Task) -> bool {
    match task.state {
        TaskState::Reserved | TaskState::Starting | TaskState::Running | TaskState::Suspended => {
            true
        }
        TaskState::Ending => matches!(task.after, After::Suspend(_)),
        _ => false,
    }
}

/// Whether a group of the job must not cross a level.
#[inline]
pub(crate) fn is_bounded(job: &Job) -> bool {
    job.spec.request.groups.iter().any(|g| g.level.is_some())
}

impl World {
    /// A node that the other tasks of a group are bound to share a level with: that of the first one
    /// that has a place. O(1) while no task of the job has one, else O(tasks).
    pub(crate) fn home(&self, job: &Job, group: u16) -> Option<NodeId> {
        let tasks = job.tasks.len();
        let pending = job.in_state(TaskState::Pending) as usize;
        if pending == tasks {
            return None;
        }
        let mut tasks = job.tasks.iter();
        tasks
            .find(|task| task.group == group && binds(task))
            .map(|task| task.node)
    }

    /// What a group must share, and what that is if some of it is placed.
    pub(crate) fn bound_of(&self, job: &Job, group: u16) -> Option<Bound> {
        let level = job.spec.request.groups[usize::from(group)].level?;
        let home = self.home(job, group);
        let group = home.map(|node| self.cluster.places.group(node, level));
        Some(Bound { level, group })
    }

    /// The bounds of every group of which tasks wait, as [`DemandKey`] has them.
    pub(super) fn bounds_of(&self, job: &Job) -> Bounds {
        if !is_bounded(job) {
            return Bounds::new();
        }
        let waits = |group: u16| job.tasks.iter().any(|t| t.group == group && demands(t));
        let groups = 0..u16::try_from(job.spec.request.groups.len()).unwrap_or(u16::MAX);
        let bounds: Bounds = groups
            .filter(|group| waits(*group))
            .map(|group| self.bound_of(job, group))
            .collect();
        // What is left may be free to go anywhere.
        if bounds.iter().all(Option::is_none) {
            return Bounds::new();
        }
        bounds
    }

    /// Whether these tasks, on these nodes, keep every group of the job within its level; whatever has
    /// a place stays there, unless the job moves as a whole.
    #[inline]
    pub(crate) fn check_levels(
        &self,
        slot: u32,
        tasks: &[usize],
        spots: &[Spot],
        moves: bool,
    ) -> Result<(), DecisionError> {
        if is_bounded(self.jobs.slot(slot)) {
            self.check_bounds(slot, tasks, spots, moves)
        } else {
            Ok(())
        }
    }

    fn check_bounds(
        &self,
        slot: u32,
        tasks: &[usize],
        spots: &[Spot],
        moves: bool,
    ) -> Result<(), DecisionError> {
        let job = self.jobs.slot(slot);
        let groups = &job.spec.request.groups;
        let mut homes: SmallVec<[Option<NodeId>; 4]> = SmallVec::new();
        for group in 0..groups.len() {
            let group = u16::try_from(group).unwrap_or(u16::MAX);
            homes.push(if moves { None } else { self.home(job, group) });
        }
        for (task, spot) in tasks.iter().zip(spots) {
            let group = usize::from(job.tasks[*task].group);
            let Some(level) = groups[group].level else {
                continue;
            };
            if spot.node.index() >= self.cluster.nodes.len() {
                continue; // Somebody else's complaint.
            }
            let home = *homes[group].get_or_insert(spot.node);
            let places = &self.cluster.places;
            if places.group(home, level) != places.group(spot.node, level) {
                return Err(DecisionError::CrossesLevel {
                    level,
                    node: spot.node,
                    home,
                });
            }
        }
        Ok(())
    }

    /// Whether one unit fits on the supply at its largest, with nothing running, each need within one
    /// group of its level, whichever; needs greedily in order, each in the first group with room for all
    /// of it. With nothing running nothing is bound to a group yet.
    ///
    /// O(nodes) per need, once per distinct unit shape.
    pub(super) fn fits_bounded_when_empty(&self, key: &DemandKey) -> bool {
        let full = |pool: PoolId| self.cluster.pools[pool.index()].full;
        let mut nodes: Vec<NodeFree> = self.cluster.nodes.iter().map(|n| full(n.pool)).collect();
        let places = &self.cluster.places;
        for (place, (shape, count)) in key.needs.iter().enumerate() {
            let request = self.shapes.request(*shape);
            let left = match key.bound(place) {
                None => self.fill_empty(&mut nodes, key, request, *count, |_| true),
                Some(Bound { level, .. }) => {
                    let group = self.first_room(&nodes, key, request, *count, level);
                    group.map_or(*count, |group| {
                        let within = |node| places.group(node, level) == group;
                        self.fill_empty(&mut nodes, key, request, *count, within)
                    })
                }
            };
            if left > 0 {
                return false;
            }
        }
        true
    }

    /// The first group of a level with room for `count` tasks on these nodes.
    fn first_room(
        &self,
        nodes: &[NodeFree],
        key: &DemandKey,
        request: &TaskRequest,
        count: u32,
        level: Level,
    ) -> Option<u32> {
        let places = &self.cluster.places;
        let mut room = vec![0; places.group_count(level) as usize];
        for ((free, state), node) in nodes.iter().zip(&self.cluster.nodes).zip((0..).map(NodeId)) {
            let info = &self.cluster.pools[state.pool.index()].info;
            if key.pools.contains(state.pool) && info.accepts(request) {
                let slots = slots_on(free, request, info.sharing);
                room[places.group(node, level) as usize] += u64::from(slots);
            }
        }
        let first = room.iter().position(|room| *room >= u64::from(count));
        first.and_then(|group| u32::try_from(group).ok())
    }

    /// Puts tasks on these nodes, in order; returns how many are left.
    fn fill_empty(
        &self,
        nodes: &mut [NodeFree],
        key: &DemandKey,
        request: &TaskRequest,
        count: u32,
        within: impl Fn(NodeId) -> bool,
    ) -> u32 {
        let mut left = count;
        for ((free, state), node) in nodes.iter_mut().zip(&self.cluster.nodes).zip(0..) {
            let info = &self.cluster.pools[state.pool.index()].info;
            if !key.pools.contains(state.pool) || !info.accepts(request) || !within(NodeId(node)) {
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
        left
    }
}
