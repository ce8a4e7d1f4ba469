//! A policy's decisions: each validated against what the ones before left, then applied.

use smallvec::SmallVec;

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use super::progress::Unsaved;
use super::tasks::Seat;
use crate::decision::{
    Claim, Commit, Decision, Decisions, HoldSpec, Keeps, Promise, Save, Scope, Spot, TaskSet, Then,
};
use crate::device::Refusal;
use crate::engine::Phase;
use crate::error::{DecisionError, RunError};
use crate::ids::{HoldId, JobRef, NodeId, SchedulerId};
use crate::job::Advance;
use crate::live::After;
use crate::observe::EventKind;
use crate::reason::{Reason, ReasonClass};
use crate::task::{TaskEnd, TaskState};
use crate::time::SimDuration;
use crate::world::holds::Hold;
use crate::world::lists::BY_SHAPE;

/// Tasks of one job, by index.
type Places = SmallVec<[usize; 8]>;

impl Simulation {
    pub(super) fn apply_decisions(
        &mut self,
        id: SchedulerId,
        decisions: &Decisions,
    ) -> Result<(), RunError> {
        self.scratch.is_astray = false;
        for decision in decisions.list() {
            if let Err(cause) = self.apply_decision(id, decision, decisions) {
                return Err(self.invalid_decision(id, *decision, decisions, cause));
            }
        }
        Ok(())
    }

    #[cold]
    fn invalid_decision(
        &self,
        id: SchedulerId,
        decision: Decision,
        decisions: &Decisions,
        cause: DecisionError,
    ) -> RunError {
        RunError::InvalidDecision {
            time: self.world.now,
            policy: Component::Scheduler(id).name(&self.platform),
            decision: Box::new(decision),
            told: self.blame(decision, decisions, cause),
            cause,
        }
    }

    fn apply_decision(
        &mut self,
        id: SchedulerId,
        decision: &Decision,
        arena: &Decisions,
    ) -> Result<(), DecisionError> {
        match *decision {
            Decision::Place {
                tasks,
                on,
                commit,
                claim,
                within,
            } => {
                self.check_owner(id, tasks.job())?;
                self.place(id, tasks, arena.spots(on), commit, claim, within)
            }
            Decision::Hold {
                id: hold,
                hold: spec,
                commit,
                claim,
            } => self.make_hold(id, hold, spec, arena, commit, claim),
            Decision::Release { hold } => self.release_hold(id, hold),
            Decision::Commit {
                what: Promise::Hold(hold),
            } => {
                self.check_hold(id, hold)?;
                if let Some(entry) = self.world.holds.get_mut(hold) {
                    entry.committed = true;
                }
                self.note(EventKind::HoldCommitted { hold });
                Ok(())
            }
            Decision::Abandon {
                what: Promise::Hold(hold),
            } => self.release_hold(id, hold),
            Decision::Commit {
                what: Promise::Tasks(tasks),
            } => {
                self.check_owner(id, tasks.job())?;
                let slot = tasks.job().slot;
                for task in self.select(tasks, |state| state == TaskState::Reserved)? {
                    self.bind(slot, task, Component::Scheduler(id));
                }
                self.relist(slot);
                Ok(())
            }
            Decision::Abandon {
                what: Promise::Tasks(tasks),
            } => {
                self.check_owner(id, tasks.job())?;
                let slot = tasks.job().slot;
                for task in self.select(tasks, |state| state == TaskState::Reserved)? {
                    self.unreserve(slot, task, Component::Scheduler(id));
                }
                self.relist(slot);
                Ok(())
            }
            Decision::Evict {
                tasks,
                grace,
                save,
                then,
            } => {
                self.check_owner(id, tasks.job())?;
                self.evict(id, tasks, grace, save, then)
            }
            Decision::Resume { tasks } => {
                self.check_owner(id, tasks.job())?;
                self.resume(id, tasks)
            }
            Decision::Replace { job, on } => {
                self.check_owner(id, job)?;
                self.replace(id, job, arena.spots(on))
            }
            Decision::Finish { job, outcome } => {
                self.check_owner(id, job)?;
                self.finish_job(job.slot, outcome, Component::Scheduler(id));
                Ok(())
            }
            Decision::Waiting { scope, why } => self.waiting(id, scope, why),
            Decision::WakeAt(at) => self.wake(Component::Scheduler(id), at),
        }
    }

    fn check_owner(&self, id: SchedulerId, job: JobRef) -> Result<(), DecisionError> {
        let found = self.world.jobs.get(job).ok_or(DecisionError::UnknownJob)?;
        if found.outcome.is_some() {
            return Err(DecisionError::UnknownJob);
        }
        if found.scheduler != id {
            return Err(DecisionError::NotYours);
        }
        Ok(())
    }

    fn check_hold(&self, id: SchedulerId, hold: HoldId) -> Result<(), DecisionError> {
        match self.world.hold(hold) {
            None => Err(DecisionError::UnknownHold),
            Some(found) if found.owner != id => Err(DecisionError::NotYourHold),
            Some(_) => Ok(()),
        }
    }

    /// The tasks of a set that are in a state the decision applies to.
    fn select(
        &self,
        tasks: TaskSet,
        applies: impl Fn(TaskState) -> bool,
    ) -> Result<Places, DecisionError> {
        match tasks {
            TaskSet::Task(task) => {
                let place = self
                    .world
                    .find_task(task)
                    .ok_or(DecisionError::UnknownTask)?;
                let state = self.world.jobs.slot(task.job.slot).tasks[place].state;
                if !applies(state) {
                    return Err(DecisionError::WrongState(state));
                }
                Ok(SmallVec::from_elem(place, 1))
            }
            TaskSet::Job(job) => {
                let found = self.world.jobs.get(job).ok_or(DecisionError::UnknownJob)?;
                let places: Places = (0..found.tasks.len())
                    .filter(|p| applies(found.tasks[*p].state))
                    .collect();
                if places.is_empty() {
                    Err(DecisionError::NothingToDo)
                } else {
                    Ok(places)
                }
            }
        }
    }

    fn place(
        &mut self,
        id: SchedulerId,
        tasks: TaskSet,
        spots: &[Spot],
        commit: Commit,
        claim: Claim,
        within: Option<HoldId>,
    ) -> Result<(), DecisionError> {
        let slot = tasks.job().slot;
        if self.world.jobs.slot(slot).withheld.is_some() {
            return Err(DecisionError::NotAdmitted);
        }
        if let Some(hold) = within {
            self.check_hold(id, hold)?;
        }
        let mut places = self.select(tasks, |state| state == TaskState::Pending)?;
        let whole = matches!(tasks, TaskSet::Job(_));
        let advance = self.world.jobs.slot(slot).spec.request.advance;
        let partial = whole
            && match advance {
                Advance::All => false,
                Advance::Each => !spots.is_empty(),
                Advance::Between { min, max } => {
                    let placed = self.world.jobs.slot(slot).placed() as usize + spots.len();
                    (min as usize..=max as usize).contains(&placed)
                }
            };
        if partial && spots.len() < places.len() {
            places.truncate(spots.len());
        }
        if places.len() != spots.len() {
            return Err(DecisionError::WrongCount {
                spots: spots.len(),
                tasks: places.len(),
            });
        }
        self.world.check_levels(slot, &places, spots, false)?;
        let by = Component::Scheduler(id);
        match self.seat_all(slot, &places, spots, commit, within, by) {
            Ok(()) => {}
            Err((place, why @ (Refusal::Devices | Refusal::Alignment | Refusal::OutOfMemory))) => {
                // The agent found no acceptable devices, or they lack memory: that attempt is over.
                let refused = TaskEnd::Refused(why);
                self.end_task(slot, place, refused, Component::Engine);
                self.scratch.is_astray = true;
            }
            // After a refusal that no plan foresees, agents choose other devices than the plan has.
            Err((_, refusal))
                if claim == Claim::Sure
                    && !(self.scratch.is_astray && refusal == Refusal::NotFree) =>
            {
                return Err(self.misplaced(slot, &places, spots, refusal));
            }
            Err((_, refusal)) => {
                for (place, spot) in places.iter().zip(spots) {
                    self.refuse(slot, *place, Some(spot.node), refusal);
                }
            }
        }
        self.relist(slot);
        Ok(())
    }

    /// What is wrong with a sure placement that was refused: the node, or what is free there.
    fn misplaced(
        &self,
        slot: u32,
        places: &[usize],
        spots: &[Spot],
        refusal: Refusal,
    ) -> DecisionError {
        let pools = self.world.jobs.slot(slot).pools;
        for (place, spot) in places.iter().zip(spots) {
            let node = self.world.cluster.nodes.get(spot.node.index());
            let Some(node) = node.filter(|node| pools.contains(node.pool)) else {
                return DecisionError::UnknownNode;
            };
            let info = self.world.cluster.pools[node.pool.index()].info;
            if !info.accepts(&self.world.request_of(slot, *place)) {
                return DecisionError::WrongModel;
            }
        }
        DecisionError::DoesNotFit(refusal)
    }

    /// Seats all tasks or none. A refusal names the task.
    fn seat_all(
        &mut self,
        slot: u32,
        places: &[usize],
        spots: &[Spot],
        commit: Commit,
        within: Option<HoldId>,
        by: Component,
    ) -> Result<(), (usize, Refusal)> {
        if let ([place], [spot]) = (places, spots) {
            let grant = self
                .choose_with_memory(slot, *place, *spot, within)
                .map_err(|why| (*place, why))?;
            self.seat(
                slot,
                *place,
                Seat {
                    node: spot.node,
                    grant,
                    within,
                },
                commit,
                by,
            );
            return Ok(());
        }
        // Take everything first, so that later tasks see what earlier ones took; give all back if
        // one does not fit. Only then does anything happen.
        let mut busy: SmallVec<[NodeId; 4]> = SmallVec::new();
        for (taken, (place, spot)) in places.iter().zip(spots).enumerate() {
            match self.choose_with_memory(slot, *place, *spot, within) {
                Ok(grant) => {
                    let node = spot.node;
                    let seat = Seat {
                        node,
                        grant,
                        within,
                    };
                    if self.take_seat(slot, *place, seat) {
                        busy.push(node);
                    }
                }
                Err(why) => {
                    for place in places[..taken].iter().rev() {
                        self.world.vacate(slot, *place);
                    }
                    return Err((*place, why));
                }
            }
        }
        for node in busy {
            self.inboxes.node_use(node);
        }
        for place in places {
            self.sit(slot, *place, commit, by);
        }
        Ok(())
    }

    /// Checks a spot as [`choose`](Self::choose) does, and whether the GPUs' memory suffices.
    fn choose_with_memory(
        &mut self,
        slot: u32,
        place: usize,
        spot: Spot,
        within: Option<HoldId>,
    ) -> Result<crate::device::Grant, Refusal> {
        let grant = self.choose(slot, place, spot, within)?;
        if self.world.memory_suffices(slot, place, spot.node, grant) {
            Ok(grant)
        } else {
            Err(Refusal::OutOfMemory)
        }
    }

    fn evict(
        &mut self,
        id: SchedulerId,
        tasks: TaskSet,
        grace: SimDuration,
        save: Save,
        then: Then,
    ) -> Result<(), DecisionError> {
        use TaskState::{Reserved, Running, Starting, Suspended};
        let suspends = matches!(then, Then::Suspend { .. });
        let places = self.select(tasks, |state| {
            matches!(state, Starting | Running)
                || (!suspends && matches!(state, Reserved | Suspended))
        })?;
        let slot = tasks.job().slot;
        let keeps_progress = matches!(then, Then::Suspend { keeps } if keeps != Keeps::Nothing);
        let unsaved = match save {
            Save::Yes => Unsaved::Saved,
            Save::No if keeps_progress => Unsaved::Kept,
            Save::No => Unsaved::Lost,
        };
        let mut last_unit = None;
        for place in &places {
            let job = self.world.jobs.slot(slot);
            let unit = job.unit_of(*place);
            let (state, has_progress) = (job.tasks[*place].state, job.tasks[*place].has_progress());
            if state == Running && last_unit != Some(unit) {
                last_unit = Some(unit);
                if !suspends {
                    self.summary.preemptions += 1;
                    self.world.jobs.slot_mut(slot).preemptions += 1;
                }
            }
            if has_progress {
                self.stop_unit(slot, unit, unsaved);
            }
        }
        let after = match then {
            Then::Requeue { not_before } => After::Requeue(not_before),
            Then::Suspend { keeps } => After::Suspend(keeps),
            Then::Kill => After::Over(TaskEnd::Evicted),
        };
        for place in places {
            self.evict_one(slot, place, grace, after, Component::Scheduler(id));
        }
        self.relist(slot);
        Ok(())
    }

    /// Ends one task, gracefully if it is bound and there is a grace period.
    pub(super) fn evict_one(
        &mut self,
        slot: u32,
        place: usize,
        grace: SimDuration,
        after: After,
        by: Component,
    ) {
        let state = self.world.jobs.slot(slot).tasks[place].state;
        if grace.is_zero() || !state.is_bound() {
            self.after_ending(slot, place, after, by);
            return;
        }
        let task = &mut self.world.jobs.slot_mut(slot).tasks[place];
        task.after = after;
        if let Some(timer) = task.timer.take() {
            self.queue.cancel(timer);
        }
        self.enter(slot, place, TaskState::Ending, None, by);
        let event = Ev::Task {
            slot,
            task: super::tasks::task_word(place),
        };
        self.set_timer(slot, place, grace, event);
    }

    fn resume(&mut self, id: SchedulerId, tasks: TaskSet) -> Result<(), DecisionError> {
        let slot = tasks.job().slot;
        if self.world.jobs.slot(slot).withheld.is_some() {
            return Err(DecisionError::NotAdmitted);
        }
        let by = Component::Scheduler(id);
        for place in self.select(tasks, |state| state == TaskState::Suspended)? {
            let fits = self.world.retake(slot, place);
            fits.map_err(DecisionError::DoesNotFit)?;
            let job = self.world.jobs.slot(slot);
            let task = &job.tasks[place];
            let startup = if task.keeps == Keeps::Nothing || !task.started {
                job.spec.profile.startup
            } else {
                SimDuration::ZERO
            };
            let entry = &mut self.world.jobs.slot_mut(slot).tasks[place];
            entry.resumes = entry.keeps != Keeps::Nothing;
            self.start_up(slot, place, startup, by);
            self.end_if_out_of_memory(slot, place);
        }
        self.relist(slot);
        Ok(())
    }

    fn replace(
        &mut self,
        id: SchedulerId,
        job: JobRef,
        spots: &[Spot],
    ) -> Result<(), DecisionError> {
        let slot = job.slot;
        let found = self.world.jobs.slot(slot);
        let bound = found.bound();
        let wanted = match found.spec.request.advance {
            Advance::Each => return Err(DecisionError::NotReplaceable),
            Advance::All => found.tasks.len()..=found.tasks.len(),
            Advance::Between { min, max } => min as usize..=max as usize,
        };
        if bound == 0 {
            return Err(DecisionError::NothingToDo);
        }
        if !wanted.contains(&spots.len()) {
            let tasks = *wanted.end();
            return Err(DecisionError::WrongCount {
                spots: spots.len(),
                tasks,
            });
        }
        let used = self.tasks_to_replace(slot, spots.len())?;
        self.world.check_levels(slot, &used, spots, true)?;
        let by = Component::Scheduler(id);
        self.stop_unit(slot, 0, Unsaved::Saved);
        // Everything is given back first: old and new places may overlap.
        let tasks = self.world.jobs.slot(slot).tasks.len();
        for place in 0..tasks {
            let state = self.world.jobs.slot(slot).tasks[place].state;
            if state.is_bound() || state == TaskState::Reserved {
                self.vacate(slot, place);
                if used.binary_search(&place).is_err() {
                    self.shrink_away(slot, place, by);
                }
            }
        }
        let restart = self.world.jobs.slot(slot).spec.profile.restart;
        for (&place, spot) in used.iter().zip(spots) {
            let grant = self
                .choose(slot, place, *spot, None)
                .map_err(DecisionError::DoesNotFit)?;
            self.world.occupy(slot, place, spot.node, grant, None);
            self.restart_in_place(slot, place, restart, by);
        }
        for place in used {
            self.end_if_out_of_memory(slot, place);
        }
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        if job.start.is_none() && !job.is_queued() {
            job.start = Some(now);
        }
        self.relist(slot);
        Ok(())
    }

    /// The tasks that a moved or resized job goes on with, ascending: those that have a place first,
    /// then pending ones. Tasks that are gated, suspended, ending or over are no use.
    fn tasks_to_replace(&self, slot: u32, count: usize) -> Result<Places, DecisionError> {
        let tasks = &self.world.jobs.slot(slot).tasks;
        let placed = |state: TaskState| state.is_bound() || state == TaskState::Reserved;
        let mut used: Places = (0..tasks.len())
            .filter(|place| {
                placed(tasks[*place].state) || tasks[*place].state == TaskState::Pending
            })
            .collect();
        if used.len() < count {
            let useless =
                |task: &&crate::live::Task| !placed(task.state) && task.state != TaskState::Pending;
            let state = tasks.iter().find(useless).map(|task| task.state);
            return Err(state.map_or(DecisionError::NothingToDo, DecisionError::WrongState));
        }
        used.sort_by_key(|place| (!placed(tasks[*place].state), *place));
        used.truncate(count);
        used.sort_unstable();
        Ok(used)
    }

    fn waiting(&mut self, id: SchedulerId, scope: Scope, why: Reason) -> Result<(), DecisionError> {
        let unschedulable = why.class() == ReasonClass::Unschedulable;
        match scope {
            Scope::Job(job) => {
                self.check_owner(id, job)?;
                let entry = self.world.jobs.slot_mut(job.slot);
                if entry.own != Some(why) {
                    entry.own = Some(why);
                    entry.told |= unschedulable;
                    self.mark_wait(job.slot);
                    if unschedulable {
                        self.tell_unschedulable(job);
                    }
                }
            }
            Scope::Shape(demand) => {
                let known = self.world.demands.list.get(demand.index());
                if known.ok_or(DecisionError::UnknownJob)?.key.scheduler != id {
                    return Err(DecisionError::NotYours);
                }
                self.waits.say_shape(&self.world, demand, why);
                if unschedulable && self.platform.autoscaler.is_some() {
                    self.tell_shape_unschedulable(demand);
                }
            }
            Scope::Rest(queue) => self.waits.say_queue(self.world.now, id, queue, why),
        }
        Ok(())
    }

    /// Tells the autoscaler of every job listed under a unit shape that it was not told of yet.
    fn tell_shape_unschedulable(&mut self, demand: crate::DemandId) {
        let mut slot = self.world.demands.get(demand).head;
        while slot != crate::live::NONE {
            let next = self.world.jobs.links(slot, BY_SHAPE).next;
            let job = self.world.jobs.slot_mut(slot);
            // A reason of its own wins over its shape's.
            if !job.told && job.own.is_none() {
                job.told = true;
                let id = job.id;
                self.tell_unschedulable(JobRef { slot, id });
            }
            slot = next;
        }
    }

    fn make_hold(
        &mut self,
        owner: SchedulerId,
        id: HoldId,
        spec: HoldSpec,
        arena: &Decisions,
        commit: Commit,
        claim: Claim,
    ) -> Result<(), DecisionError> {
        let now = self.world.now;
        let parts = arena.parts(spec.parts);
        if id.0 != self.world.holds.next {
            return Err(DecisionError::UnknownHold);
        }
        let pools = self.world.scheduler_pools[owner.index()];
        let nodes = &self.world.cluster.nodes;
        let mine = |node: NodeId| {
            nodes
                .get(node.index())
                .is_some_and(|n| pools.contains(n.pool))
        };
        if !parts.iter().all(|part| mine(part.node)) {
            return Err(DecisionError::UnknownNode);
        }
        let parts = parts
            .iter()
            .map(|p| self.world.new_part(p.node, p.amount))
            .collect();
        let hold = Hold {
            parts,
            from: spec.from,
            until: spec.until,
            owner,
            who: spec.who,
            why: match spec.why {
                Reason::DoesNotFit => Reason::Reservation,
                why => why,
            },
            active: false,
            committed: commit != Commit::Reserve,
            timer: None,
        };
        self.world.add_hold(id, hold);
        if spec.from > now {
            let event = self.schedule(spec.from, Phase::Timers, Ev::HoldStart { hold: id });
            if let Some(entry) = self.world.holds.get_mut(id) {
                entry.timer = Some(event);
            }
        } else {
            self.world.start_hold(id);
            if claim == Claim::Sure && !self.world.is_fully_backed(id) {
                return Err(DecisionError::HoldNotBacked);
            }
            self.schedule_hold_end(id);
        }
        let milli = self.world.hold(id).map_or(0, |hold| {
            hold.parts
                .iter()
                .map(crate::world::holds::Part::backed_milli)
                .sum()
        });
        self.note(EventKind::HoldMade { hold: id, milli });
        Ok(())
    }

    /// Schedules the end of a hold that has begun, if it ends by itself.
    pub(super) fn schedule_hold_end(&mut self, id: HoldId) {
        let Some(until) = self.world.hold(id).and_then(|hold| hold.until) else {
            return;
        };
        let at = until.max(self.world.now);
        let event = self.schedule(at, Phase::Timers, Ev::HoldEnd { hold: id });
        if let Some(entry) = self.world.holds.get_mut(id) {
            entry.timer = Some(event);
        }
    }

    fn release_hold(&mut self, owner: SchedulerId, id: HoldId) -> Result<(), DecisionError> {
        self.check_hold(owner, id)?;
        self.end_hold(id, Component::Scheduler(owner));
        Ok(())
    }

    /// A hold ends, by decision or by itself.
    pub(super) fn end_hold(&mut self, id: HoldId, by: Component) {
        let Some(hold) = self.world.end_hold(id) else {
            return;
        };
        if let Some(timer) = hold.timer {
            self.queue.cancel(timer);
        }
        for part in &hold.parts {
            self.inboxes.node(part.node, by);
        }
        self.note(EventKind::HoldEnded { hold: id });
    }
}
