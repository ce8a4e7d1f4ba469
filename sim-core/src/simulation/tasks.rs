//! Steps of single tasks: bound, started, ended, requeued, gated.

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use super::progress::Unsaved;
use crate::decision::{Commit, Keeps, Spot};
use crate::device::{DeviceSet, Grant, NodeState, Refusal};
use crate::engine::Phase;
use crate::ids::{HoldId, JobRef, NodeId};
use crate::job::Advance;
use crate::live::{After, Gate};
use crate::news::TaskChange;
use crate::observe::EventKind;
use crate::reason::Reason;
use crate::task::{Outcome, TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};

/// A checked place for a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) node: NodeId,
    pub(super) grant: Grant,
    /// The hold it is drawn from.
    pub(super) within: Option<HoldId>,
}

impl Simulation {
    /// Moves a task to a state and tells everyone but who caused it.
    pub(super) fn enter(
        &mut self,
        slot: u32,
        task: usize,
        to: TaskState,
        end: Option<TaskEnd>,
        by: Component,
    ) {
        let job = self.world.jobs.slot_mut(slot);
        let from = job.set_state(task, to);
        let has_place = |state: TaskState| state.holds() || state == TaskState::Suspended;
        // A task that neither had a place nor gets one changes nothing for its unit.
        if has_place(from) || has_place(to) {
            self.scratch.mark_unit(job, slot, job.unit_of(task));
        }
        self.scratch.mark_wait(job, slot);
        let node = has_place(to).then_some(job.tasks[task].node);
        let task = job.task_ref(slot, task);
        self.note_task(task, from, to, node, end);
        self.tell_task(slot, TaskChange { task, now: to, end }, by);
    }

    /// Sets a timer on a task.
    pub(super) fn set_timer(&mut self, slot: u32, task: usize, after: SimDuration, event: Ev) {
        let at = self.world.now.saturating_add(after);
        let phase = if matches!(event, Ev::Gate { .. }) {
            Phase::Timers
        } else {
            Phase::Completions
        };
        let handle = self.schedule(at, phase, event);
        self.world.jobs.slot_mut(slot).tasks[task].timer = Some(handle);
    }

    fn cancel_timer(&mut self, slot: u32, task: usize) {
        if let Some(timer) = self.world.jobs.slot_mut(slot).tasks[task].timer.take() {
            self.queue.cancel(timer);
        }
    }

    /// Checks a spot, asking the pool's agent for devices.
    pub(super) fn choose(
        &mut self,
        slot: u32,
        task: usize,
        spot: Spot,
        within: Option<HoldId>,
    ) -> Result<Grant, Refusal> {
        let pool = self
            .world
            .cluster
            .nodes
            .get(spot.node.index())
            .map(|node| node.pool);
        let pool = pool.ok_or(Refusal::NodeClosed)?;
        let agent = &mut self.settings[pool.index()].devices;
        let choose = |node: &NodeState<'_>, want| agent.choose(node, want);
        let (grant, numa) = self.world.check_spot(slot, task, spot, within, choose)?;
        self.world.jobs.slot_mut(slot).tasks[task].numa = numa;
        Ok(grant)
    }

    /// Gives a task its place: promised, binding or bound.
    pub(super) fn seat(
        &mut self,
        slot: u32,
        task: usize,
        seat: Seat,
        commit: Commit,
        by: Component,
    ) {
        if self.take_seat(slot, task, seat) {
            self.inboxes.node_use(seat.node);
        }
        self.sit(slot, task, commit, by);
    }

    /// Takes a place for a task and nothing more: [`sit`](Self::sit) follows, or the place is given
    /// back. Returns whether the node was idle.
    pub(super) fn take_seat(&mut self, slot: u32, task: usize, seat: Seat) -> bool {
        let Seat {
            node,
            grant,
            within,
        } = seat;
        let was_idle = self.world.cluster.node(node).tasks.is_empty();
        self.world.occupy(slot, task, node, grant, within);
        was_idle
    }

    /// A task that has its place: promised, binding or bound.
    pub(super) fn sit(&mut self, slot: u32, task: usize, commit: Commit, by: Component) {
        // Not when the place was taken: where one of many is refused, nothing was made for any.
        self.world.claim_instances(slot, task);
        match commit {
            Commit::Bind { after } if after.is_zero() => self.bind(slot, task, by),
            Commit::Bind { after } => {
                self.enter(slot, task, TaskState::Reserved, None, by);
                let event = Ev::Task {
                    slot,
                    task: task_word(task),
                };
                self.set_timer(slot, task, after, event);
            }
            Commit::Reserve => self.enter(slot, task, TaskState::Reserved, None, by),
        }
    }

    /// A task that holds its place is bound: it starts, or runs at once.
    pub(super) fn bind(&mut self, slot: u32, task: usize, by: Component) {
        // A commit may come before the binding would have been confirmed.
        self.cancel_timer(slot, task);
        let startup = self.world.jobs.slot(slot).spec.profile.startup;
        self.start_up(slot, task, startup, by);
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let each = job.spec.request.advance == Advance::Each;
        if job.start.is_none() && (each || !job.is_queued()) {
            job.start = Some(now);
        }
    }

    /// How long a task takes to start: longer by the making of its instance, if there is none yet.
    fn with_instance(&mut self, slot: u32, task: usize, startup: SimDuration) -> SimDuration {
        let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
        if !std::mem::take(&mut entry.remakes) {
            return startup;
        }
        let pool = self.world.cluster.node(entry.node).pool;
        startup + self.settings[pool.index()].reconfigure
    }

    /// Starts a bound task, for so long; never over on a dead node.
    pub(super) fn start_up(&mut self, slot: u32, task: usize, startup: SimDuration, by: Component) {
        let startup = self.with_instance(slot, task, startup);
        let dead = self.world.jobs.slot(slot).tasks[task].is_crippled();
        if startup.is_zero() && !dead {
            self.enter(slot, task, TaskState::Running, None, by);
            return;
        }
        self.enter(slot, task, TaskState::Starting, None, by);
        if !dead {
            let event = Ev::Task {
                slot,
                task: task_word(task),
            };
            self.set_timer(slot, task, startup, event);
        }
    }

    /// A task that was moved starts again on its new place; one that grows the job starts there.
    pub(super) fn restart_in_place(
        &mut self,
        slot: u32,
        task: usize,
        restart: SimDuration,
        by: Component,
    ) {
        self.cancel_timer(slot, task);
        self.world.claim_instances(slot, task);
        let restart = self.with_instance(slot, task, restart);
        self.enter(slot, task, TaskState::Starting, None, by);
        let dead = self.world.jobs.slot(slot).tasks[task].is_crippled();
        if restart.is_zero() && !dead {
            self.enter(slot, task, TaskState::Running, None, by);
        } else if !dead {
            let event = Ev::Task {
                slot,
                task: task_word(task),
            };
            self.set_timer(slot, task, restart, event);
        }
    }

    /// A task that a smaller job no longer uses: over, and pending again as a stranger. Its place
    /// was given back already.
    pub(super) fn shrink_away(&mut self, slot: u32, task: usize, by: Component) {
        self.cancel_timer(slot, task);
        let job = self.world.jobs.slot_mut(slot);
        job.tasks[task].leave_wreck();
        job.set_state(task, TaskState::Over);
        self.recreate(slot, task, None, Reason::Backoff, by);
    }

    /// The binding of a reserved task is confirmed, or fails because the node is known to be gone.
    pub(super) fn confirm_bind(&mut self, slot: u32, task: usize) {
        let node = self.world.jobs.slot(slot).tasks[task].node;
        let state = self.world.cluster.node(node);
        if state.noticed || state.stage != crate::Stage::Up {
            self.unreserve(slot, task, Component::Engine);
            self.refuse(slot, task, Some(node), Refusal::BindFailed);
        } else {
            self.bind(slot, task, Component::Engine);
        }
        self.relist(slot);
    }

    /// A reserved task gives its place back and is pending again, as the same attempt.
    pub(super) fn unreserve(&mut self, slot: u32, task: usize, by: Component) {
        self.cancel_timer(slot, task);
        self.vacate(slot, task);
        self.enter(slot, task, TaskState::Pending, None, by);
    }

    /// Tells a task's scheduler of a refusal.
    pub(super) fn refuse(&mut self, slot: u32, task: usize, node: Option<NodeId>, why: Refusal) {
        let job = self.world.jobs.slot(slot);
        let (reference, scheduler) = (job.task_ref(slot, task), job.scheduler);
        self.note(EventKind::Refused {
            task: reference,
            node,
        });
        self.inboxes
            .post_scheduler(scheduler)
            .refused
            .push((reference, why));
    }

    /// Ends a task that is back on GPUs whose memory no longer suffices for it.
    pub(super) fn end_if_out_of_memory(&mut self, slot: u32, task: usize) {
        let job = self.world.jobs.slot(slot);
        let (node, grant) = (job.tasks[task].node, job.tasks[task].grant);
        if self.world.memory_suffices(slot, task, node, grant) {
            return;
        }
        let unit = job.unit_of(task);
        self.stop_unit(slot, unit, Unsaved::Lost);
        let refused = TaskEnd::Refused(Refusal::OutOfMemory);
        self.end_task(slot, task, refused, Component::Engine);
    }

    /// Takes a task off the books and frees what it holds.
    pub(super) fn vacate(&mut self, slot: u32, task: usize) {
        self.unbook(slot, task);
        let entry = &self.world.jobs.slot(slot).tasks[task];
        let (node, devices) = (entry.node, entry.grant.devices);
        if self.minds_neighbours {
            let job = self.world.jobs.slot(slot);
            let unit = job.unit_of(task);
            let across = job.units[unit].spans_nodes;
            self.mark_neighbours((slot, unit), node, devices, across);
        }
        self.world.vacate(slot, task);
        if self.world.cluster.node(node).tasks.is_empty() {
            self.inboxes.node_use(node);
        }
    }

    /// Ends an attempt at once: frees what it holds, Over.
    pub(super) fn end_task(&mut self, slot: u32, task: usize, end: TaskEnd, by: Component) {
        self.cancel_timer(slot, task);
        let entry = &self.world.jobs.slot(slot).tasks[task];
        if entry.state.holds() || entry.state == TaskState::Suspended {
            self.vacate(slot, task);
        }
        self.world.jobs.slot_mut(slot).tasks[task].leave_wreck();
        self.enter(slot, task, TaskState::Over, Some(end), by);
    }

    /// The end of a task's Ending, or of a task that ends without one.
    pub(super) fn after_ending(&mut self, slot: u32, task: usize, after: After, by: Component) {
        match after {
            After::Over(end) => self.end_task(slot, task, end, by),
            After::Requeue(not_before) => {
                self.end_task_quietly(slot, task);
                self.recreate(slot, task, not_before, Reason::Backoff, by);
            }
            After::Suspend(keeps) => {
                self.cancel_timer(slot, task);
                self.unbook(slot, task);
                self.world.free_up(slot, task, Keeps::Everything, keeps);
                let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
                entry.keeps = keeps;
                if keeps != Keeps::Everything {
                    entry.broken = DeviceSet::EMPTY;
                }
                self.enter(slot, task, TaskState::Suspended, None, by);
            }
        }
        self.relist(slot);
    }

    /// Over, on the way to a new attempt: told as that attempt's Pending, not as an end.
    fn end_task_quietly(&mut self, slot: u32, task: usize) {
        self.cancel_timer(slot, task);
        let entry = &self.world.jobs.slot(slot).tasks[task];
        if entry.state.holds() || entry.state == TaskState::Suspended {
            self.vacate(slot, task);
        }
        let job = self.world.jobs.slot_mut(slot);
        job.tasks[task].leave_wreck();
        job.set_state(task, TaskState::Over);
        self.scratch.mark_unit(job, slot, job.unit_of(task));
    }

    /// Creates a task's next attempt: pending, or gated until an instant.
    pub(super) fn recreate(
        &mut self,
        slot: u32,
        task: usize,
        not_before: Option<SimTime>,
        why: Reason,
        by: Component,
    ) {
        let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
        entry.attempt += 1;
        self.open_or_gate(slot, task, not_before.map(|at| (why, Some(at))), by);
    }

    /// A task comes to be: pending, or gated.
    pub(super) fn open_or_gate(
        &mut self,
        slot: u32,
        task: usize,
        gate: Option<(Reason, Option<SimTime>)>,
        by: Component,
    ) {
        let now = self.world.now;
        let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
        match gate {
            Some((why, until)) if until.is_none_or(|at| at > now) => {
                entry.gate = Gate {
                    until,
                    why: Some(why),
                };
                self.enter(slot, task, TaskState::Gated, None, by);
                if let Some(at) = until {
                    let event = Ev::Gate {
                        slot,
                        task: task_word(task),
                    };
                    self.set_timer(slot, task, at.since(now), event);
                }
            }
            _ => {
                entry.gate = Gate::default();
                self.enter(slot, task, TaskState::Pending, None, by);
            }
        }
    }

    /// A task's gate opens.
    pub(super) fn open_gate(&mut self, slot: u32, task: usize, by: Component) {
        if self.world.jobs.slot(slot).tasks[task].state != TaskState::Gated {
            return;
        }
        self.cancel_timer(slot, task);
        self.world.jobs.slot_mut(slot).tasks[task].gate = Gate::default();
        self.enter(slot, task, TaskState::Pending, None, by);
        self.relist(slot);
    }

    /// Puts a job into or out of the lists of what waits.
    pub(super) fn relist(&mut self, slot: u32) {
        self.world.relist(slot);
        self.mark_wait(slot);
    }

    /// A job is over: everything it still has ends.
    pub(super) fn finish_job(&mut self, slot: u32, outcome: Outcome, by: Component) {
        let kept = if outcome.as_in_truth() {
            Unsaved::Kept
        } else {
            Unsaved::Lost
        };
        for unit in 0..self.world.jobs.slot(slot).units.len() {
            if !self.world.jobs.slot(slot).units[unit].done_work {
                self.stop_unit(slot, unit, kept);
            }
        }
        self.world.jobs.slot_mut(slot).outcome = Some(outcome);
        for task in 0..self.world.jobs.slot(slot).tasks.len() {
            if self.world.jobs.slot(slot).tasks[task].state != TaskState::Over {
                self.end_task(slot, task, TaskEnd::JobFinished, by);
            }
        }
        if let Some(deadline) = self.world.jobs.slot_mut(slot).deadline.take() {
            self.queue.cancel(deadline);
        }
        self.relist(slot);
        let job = JobRef {
            slot,
            id: self.world.jobs.slot(slot).id,
        };
        self.note(EventKind::Ended { job, outcome });
        self.tell_job(job, crate::JobNews::Ended(outcome), by);
        self.scratch.ended.push(slot);
    }
}

/// A task's index in the width events carry.
pub(super) fn task_word(task: usize) -> u32 {
    u32::try_from(task).expect("at most 10^6 tasks per job")
}
