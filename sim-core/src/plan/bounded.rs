//! Placing groups of tasks that must not cross a level of the fabric.

use super::{Fit, Mark, Plan, Score};
use crate::decision::Spots;
use crate::device::NodeFree;
use crate::fabric::Level;
use crate::hash::LookupMap;
use crate::ids::NodeId;
use crate::job::TaskRequest;
use crate::space::{Bound, Pick};
use crate::task::TaskState;
use crate::view::{JobView, TaskView};

/// A task group: the slot of its job, and its number.
type Group = (u32, u16);

/// Which group of nodes each task group is bound to by what a plan placed; most plans bind none.
#[derive(Debug, Default)]
pub(super) struct Homes(Option<Box<Bindings>>);

#[derive(Debug, Default)]
struct Bindings {
    of: LookupMap<Group, u32>,
    /// In the order in which they were bound, each with the length of the plan's journal then.
    order: Vec<(usize, Group)>,
}

impl Homes {
    fn bind(&mut self, at: usize, group: Group, home: u32) {
        let bindings = self.0.get_or_insert_default();
        bindings.of.insert(group, home);
        bindings.order.push((at, group));
    }

    fn of(&self, group: Group) -> Option<u32> {
        self.0.as_ref()?.of.get(&group).copied()
    }

    pub(super) fn undo_to(&mut self, mark: usize) {
        let Some(bindings) = &mut self.0 else {
            return;
        };
        while let Some((_, group)) = bindings.order.pop_if(|(at, _)| *at >= mark) {
            bindings.of.remove(&group);
        }
    }
}

impl Plan<'_> {
    /// What the group of a task must share, and what that is if some of it is placed, here or in
    /// truth.
    fn bound_of(&self, task: TaskView<'_>) -> Option<Bound> {
        let level = task.level()?;
        let id = task.id();
        if let Some(home) = self.homes.of((id.job.slot, id.group)) {
            let group = Some(home);
            return Some(Bound { level, group });
        }
        let world = self.view.world;
        world.bound_of(world.jobs.get(id.job)?, id.group)
    }

    /// The group of nodes that a task must go to, if others of its group are there.
    pub(super) fn home_of(&self, task: TaskView<'_>) -> Option<(Level, u32)> {
        let bound = self.bound_of(task)?;
        Some((bound.level, bound.group?))
    }

    /// Whether a task may go to a node as far as others of its group are concerned.
    #[inline]
    pub(super) fn is_within(&self, task: TaskView<'_>, node: NodeId) -> bool {
        task.level().is_none()
            || self
                .home_of(task)
                .is_none_or(|(level, home)| self.space.group_of(node, level) == home)
    }

    /// A task was placed at a mark: whatever is left of its group must follow.
    #[inline]
    pub(super) fn settle(&mut self, task: TaskView<'_>, node: NodeId, mark: Mark) {
        if let Some(level) = task.level()
            && self.home_of(task).is_none()
        {
            let id = task.id();
            let home = self.space.group_of(node, level);
            self.homes.bind(mark.0, (id.job.slot, id.group), home);
        }
    }

    /// Whether every group of a job has room for its pending tasks within its level.
    pub(super) fn has_room_bounded(&mut self, job: JobView<'_>) -> bool {
        let tasks: Vec<TaskView<'_>> = job.tasks().filter(is_pending).collect();
        tasks.chunk_by(same_group).all(|group| {
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            let (shape, request) = (group[0].shape(), group[0].request());
            let bound = self.bound_of(group[0]);
            let pools = job.job.pools;
            self.space.has_room(shape, request, pools, bound, count)
        })
    }

    /// Places all tasks that a gang still needs, each where `choose` says, within what its group must
    /// share. Groups of tasks are placed in order; none is moved to make room for a later one.
    pub(super) fn place_bounded(
        &mut self,
        job: JobView<'_>,
        pick: Pick,
        mut choose: impl FnMut(&mut Self, TaskView<'_>, NodeId) -> Option<NodeId>,
    ) -> Fit {
        if !job.can_ever_fit() {
            return Fit::Never;
        }
        if !job.is_pending() || !self.has_room_bounded(job) {
            return Fit::NotNow;
        }
        let mark = self.mark();
        let mut spots = Spots::new();
        let tasks: Vec<TaskView<'_>> = job.tasks().filter(is_pending).collect();
        for group in tasks.chunk_by(same_group) {
            if !self.place_group(job, group, pick, &mut choose, &mut spots) {
                self.undo_to(mark);
                return Fit::NotNow;
            }
        }
        Fit::Now(spots)
    }

    /// The same on the nodes with the lowest score.
    pub(super) fn best_bounded(
        &mut self,
        job: JobView<'_>,
        mut score: impl FnMut(&NodeFree, &TaskRequest) -> Score,
    ) -> Fit {
        self.place_bounded(job, Pick::Tightest, |plan, task, _| {
            let mut best: Option<(Score, NodeId)> = None;
            let mut from = NodeId(0);
            while let Some(node) = plan.next_feasible(task, from) {
                let value = score(plan.free(node), task.request());
                if best.is_none_or(|(least, _)| value < least) {
                    best = Some((value, node));
                }
                from = NodeId(node.0 + 1);
            }
            best.map(|(_, node)| node)
        })
    }

    /// Places equal tasks; where they must share something that is not settled yet, in the first group
    /// of nodes, in the order of `pick`, that has room for all and in which `choose` finds it.
    fn place_group(
        &mut self,
        job: JobView<'_>,
        tasks: &[TaskView<'_>],
        pick: Pick,
        choose: &mut impl FnMut(&mut Self, TaskView<'_>, NodeId) -> Option<NodeId>,
        spots: &mut Spots,
    ) -> bool {
        let Some(Bound { level, group: None }) = self.bound_of(tasks[0]) else {
            return self.place_each(tasks, choose, spots);
        };
        let (id, need) = (tasks[0].id(), (tasks[0].shape(), tasks[0].request()));
        let (pools, count) = (
            job.job.pools,
            u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        );
        let (mark, before) = (self.mark(), spots.len());
        let mut last = None;
        loop {
            let next = self.space.next_group(need, pools, level, count, pick, last);
            let Some((_, home)) = next else { return false };
            self.homes.bind(mark.0, (id.job.slot, id.group), home);
            if self.place_each(tasks, choose, spots) {
                return true;
            }
            self.undo_to(mark);
            spots.truncate(before);
            last = next;
        }
    }

    fn place_each(
        &mut self,
        tasks: &[TaskView<'_>],
        choose: &mut impl FnMut(&mut Self, TaskView<'_>, NodeId) -> Option<NodeId>,
        spots: &mut Spots,
    ) -> bool {
        let mut from = NodeId(0);
        tasks.iter().all(|&task| {
            let chosen = choose(self, task, from);
            let Some(node) = chosen.filter(|node| self.take(task, *node)) else {
                return false;
            };
            from = node;
            spots.push(node.into());
            true
        })
    }
}

fn is_pending(task: &TaskView<'_>) -> bool {
    task.state() == TaskState::Pending
}

fn same_group(one: &TaskView<'_>, other: &TaskView<'_>) -> bool {
    one.id().group == other.id().group
}
