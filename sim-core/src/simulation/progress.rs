//! Progress of units: work done, saves, losses, speeds, and what the ledger books meanwhile.

use super::components::Component;
use super::events::Ev;
use super::{Scratch, Simulation};
use crate::engine::Phase;
use crate::ids::JobRef;
use crate::job::{Advance, Ending};
use crate::ledger::{Change, Entry};
use crate::live::{Job, Mode, Unit};
use crate::news::JobNews;
use crate::per_pool::PerPool;
use crate::speed::{Neighbours, Placement, Speed, Until};
use crate::task::{Outcome, TaskEnd, TaskState};
use crate::time::{SimDuration, SimTime};
use crate::units::RATE_ONE;

/// What becomes of the progress of a unit that stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaved {
    /// It is kept in memory.
    Kept,
    /// It is saved.
    Saved,
    /// It is thrown away.
    Lost,
}

impl Simulation {
    /// Marks a unit to be looked at again at the end of the instant.
    pub(super) fn mark_unit(&mut self, slot: u32, unit: usize) {
        let job = self.world.jobs.slot_mut(slot);
        self.scratch.mark_unit(job, slot, unit);
    }

    /// Marks a job whose waiting may have changed.
    pub(super) fn mark_wait(&mut self, slot: u32) {
        let job = self.world.jobs.slot_mut(slot);
        self.scratch.mark_wait(job, slot);
    }

    /// Brings a unit's work, saves and sums forward to now.
    pub(super) fn catch_up(&mut self, slot: u32, unit: usize) {
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let checkpoint = job.spec.profile.checkpoint;
        let entry = &mut job.units[unit];
        let length = now.since(entry.since).as_nanos();
        entry.since = now;
        if !entry.advancing || length == 0 {
            return;
        }
        let progress = u128::from(entry.rate) * u128::from(length);
        entry.done += progress;
        entry.left = entry.left.saturating_sub(progress);
        let useful = u128::from(entry.slices.useful) * u128::from(length);
        entry
            .weights
            .each(|_, milli| job.useful += u128::from(milli) * useful);
        entry
            .crowded
            .each(|_, level| job.useful += u128::from(level) * u128::from(length));
        let period = checkpoint.map(|c| (c.interval + c.cost).as_nanos());
        let running = entry.since_save + length;
        match period {
            Some(period) if running >= period => entry.save_at_tail(running % period),
            _ => {
                let unsaved = &mut entry.unsaved;
                entry
                    .weights
                    .each(|pool, milli| unsaved.add(pool, u128::from(milli) * useful));
                entry
                    .crowded
                    .each(|pool, level| unsaved.add(pool, u128::from(level) * u128::from(length)));
                entry.since_save = running;
            }
        }
    }

    /// Stops a unit, if it advances, and settles what becomes of its unsaved progress.
    pub(super) fn stop_unit(&mut self, slot: u32, unit: usize, unsaved: Unsaved) {
        self.catch_up(slot, unit);
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let entry = &mut job.units[unit];
        entry.advancing = false;
        if let Some(event) = entry.event.take() {
            self.queue.cancel(event);
        }
        match unsaved {
            // Whatever befalls what is left of a unit whose work is done: it is done.
            Unsaved::Lost if entry.done_work => {}
            Unsaved::Kept => {}
            Unsaved::Saved => entry.save_at_tail(0),
            Unsaved::Lost => {
                entry.left = entry.left_saved;
                entry.since_save = 0;
                let (ledger, lost) = (&mut self.ledger, &mut job.lost);
                entry.unsaved.each(|pool, amount| {
                    *lost += amount;
                    ledger.lose(pool, amount, now);
                });
                entry.unsaved.clear();
            }
        }
        self.mark_unit(slot, unit);
    }

    /// A unit's event: its work is done, or it wants to be asked again.
    pub(super) fn unit_event(&mut self, slot: u32, unit: usize) {
        self.world.jobs.slot_mut(slot).units[unit].event = None;
        self.catch_up(slot, unit);
        self.changes += 1;
        let entry = &self.world.jobs.slot(slot).units[unit];
        if entry.left == 0 && !entry.endless {
            self.work_done(slot, unit);
        } else {
            // A phase of its own is nothing to its neighbours, who know how it uses a GPU on the whole.
            let entry = &mut self.world.jobs.slot_mut(slot).units[unit];
            self.scratch.mark_speed(entry, slot, unit);
        }
    }

    fn work_done(&mut self, slot: u32, unit: usize) {
        let job = self.world.jobs.slot_mut(slot);
        job.units[unit].advancing = false;
        job.units[unit].done_work = true;
        let range = job.tasks_of(unit);
        for task in range {
            let state = self.world.jobs.slot(slot).tasks[task].state;
            if state.holds() {
                self.end_task(slot, task, TaskEnd::Done, Component::Engine);
                self.world.jobs.slot_mut(slot).done_tasks += 1;
            }
        }
        self.mark_unit(slot, unit);
        let job = self.world.jobs.slot(slot);
        if job.units.iter().all(|unit| unit.done_work) {
            let outcome = match job.spec.profile.ending {
                Ending::Completes => Outcome::Completed,
                Ending::Fails => Outcome::Failed,
                Ending::Cancelled => Outcome::Cancelled,
            };
            let job = JobRef { slot, id: job.id };
            self.tell_controller(job, JobNews::WorkDone(outcome));
        }
    }

    /// Looks at every marked unit: does it advance, how fast, what is booked.
    pub(super) fn review_units(&mut self) {
        if self.minds_neighbours {
            self.spread_marks();
        }
        // By place: nothing is marked meanwhile that stays marked.
        for place in 0..self.scratch.dirty_units.len() {
            let (slot, unit) = self.scratch.dirty_units[place];
            self.review_unit(slot, unit as usize);
        }
        self.scratch.dirty_units.clear();
        if !self.crowds.is_settled() {
            self.split_crowds();
        }
    }

    fn review_unit(&mut self, slot: u32, unit: usize) {
        let job = self.world.jobs.slot_mut(slot);
        let entry = &mut job.units[unit];
        entry.dirty = false;
        let moved = std::mem::take(&mut entry.moved);
        if job.outcome.is_some() {
            // Whatever it had was stopped and taken off the books when it ended.
            return;
        }
        if !moved && entry.advancing {
            self.ask_again(slot, unit);
            return;
        }
        if let Some(front) = &mut entry.front {
            front.forget();
        }
        if self.advances(slot, unit) {
            self.set_speed(slot, unit);
        } else if self.world.jobs.slot(slot).units[unit].advancing {
            self.stop_unit(slot, unit, Unsaved::Kept);
            let entry = &mut self.world.jobs.slot_mut(slot).units[unit];
            (entry.dirty, entry.moved) = (false, false);
            let marked = self.scratch.dirty_units.pop();
            debug_assert_eq!(
                marked.map(|(slot, _)| slot),
                Some(slot),
                "another was marked"
            );
        }
        self.book_unit(slot, unit);
    }

    /// Whether a unit advances: every task it needs runs, and there is work left.
    pub(super) fn advances(&self, slot: u32, unit: usize) -> bool {
        let job = self.world.jobs.slot(slot);
        let tasks = &job.tasks[job.tasks_of(unit)];
        let alive = tasks.iter().filter(|task| task.works()).count();
        let needed = match job.spec.request.advance {
            Advance::Between { min, .. } => min as usize,
            _ => tasks.len(),
        };
        alive >= needed && !job.units[unit].done_work
    }

    /// Asks for the speed of a unit that advances and schedules its next event.
    fn set_speed(&mut self, slot: u32, unit: usize) {
        self.catch_up(slot, unit);
        let speed = self.speed_of(slot, unit);
        let job = self.world.jobs.slot(slot);
        let tasks = &job.tasks[job.tasks_of(unit)];
        let mut weights = PerPool::default();
        for task in tasks.iter().filter(|task| task.works()) {
            let milli = job.spec.request.groups[usize::from(task.group)]
                .request
                .gpus
                .milli();
            let node = self.world.cluster.node(task.node);
            // What it has of over-committed GPUs is known once all who share them were asked.
            if !node.free.sharing.overcommits() {
                weights.add(node.pool, u64::from(milli));
            }
        }
        self.world.jobs.slot_mut(slot).units[unit].weights = weights;
        self.take_speed(slot, unit, speed);
    }

    /// Where a unit runs, and beside whom.
    #[inline]
    pub(super) fn placement(
        &self,
        slot: u32,
        unit: usize,
        running: u32,
    ) -> (Placement<'_>, Neighbours<'_>) {
        let job = self.world.jobs.slot(slot);
        let tasks = &job.tasks[job.tasks_of(unit)];
        let nominal = match job.spec.request.advance {
            Advance::Between { .. } => job.spec.request.groups[0].count,
            _ => u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        };
        let on = Placement {
            running,
            nominal,
            elapsed: self.world.now.since(job.spec.submit),
            tasks,
            cluster: &self.world.cluster,
        };
        let beside = Neighbours {
            jobs: &self.world.jobs,
            cluster: &self.world.cluster,
            own: (slot, unit),
        };
        (on, beside)
    }

    /// A unit goes on at a speed.
    #[inline]
    pub(super) fn take_speed(&mut self, slot: u32, unit: usize, speed: Speed) {
        let now = self.world.now;
        let entry = &mut self.world.jobs.slot_mut(slot).units[unit];
        let same = entry.advancing && entry.rate == speed.rate && entry.event.is_some();
        entry.slices = speed.slices;
        if same && speed.until.is_none() {
            return;
        }
        entry.advancing = true;
        entry.rate = speed.rate;
        let next = entry.next_event(now, speed.until);
        if let Some(event) = entry.event.take() {
            self.queue.cancel(event);
        }
        if let Some(at) = next {
            let unit = u32::try_from(unit).expect("at most 10^6 tasks");
            let event = self.schedule(at, Phase::Completions, Ev::Unit { slot, unit });
            self.world.jobs.slot_mut(slot).units[unit as usize].event = Some(event);
        }
    }

    /// Books the GPUs of a unit's tasks under what they do now.
    fn book_unit(&mut self, slot: u32, unit: usize) {
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let (advancing, slices) = (job.units[unit].advancing, job.units[unit].slices);
        let booked = std::mem::replace(&mut job.units[unit].booked, slices);
        for place in job.tasks_of(unit) {
            let task = &mut job.tasks[place];
            let mode = mode_of(task, advancing);
            if mode == task.mode && (mode != Mode::Advancing || booked == slices) {
                continue;
            }
            let before = std::mem::replace(&mut task.mode, mode);
            let requested = job.spec.request.groups[usize::from(task.group)]
                .request
                .gpus
                .milli();
            let node = &self.world.cluster.nodes[task.node.index()];
            if node.free.sharing.overcommits() {
                self.crowds.mark(task.node);
                continue;
            }
            let pool = node.pool;
            let (granted, requested) = task.booked_milli(requested);
            let entry = |mode, slices| Entry {
                granted,
                requested,
                mode,
                slices,
            };
            if before != Mode::None {
                let old = entry(before, booked);
                self.ledger.book_task(pool, old, Change::Off, now);
            }
            let new = entry(mode, slices);
            self.ledger.book_task(pool, new, Change::On, now);
        }
    }

    /// Takes a task off the books before what it holds changes.
    pub(super) fn unbook(&mut self, slot: u32, task: usize) {
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let booked = job.units[job.unit_of(task)].booked;
        let entry = &mut job.tasks[task];
        let mode = std::mem::take(&mut entry.mode);
        let requested = job.spec.request.groups[usize::from(entry.group)]
            .request
            .gpus
            .milli();
        let node = &self.world.cluster.nodes[entry.node.index()];
        if node.free.sharing.overcommits() {
            self.crowds.mark(entry.node);
            return;
        }
        let pool = node.pool;
        let (granted, requested) = entry.booked_milli(requested);
        let old = Entry {
            granted,
            requested,
            mode,
            slices: booked,
        };
        self.ledger.book_task(pool, old, Change::Off, now);
    }
}

impl Scratch {
    /// See [`Simulation::mark_unit`].
    #[inline]
    pub(super) fn mark_unit(&mut self, job: &mut Job, slot: u32, unit: usize) {
        let entry = &mut job.units[unit];
        entry.moved = true;
        self.mark_speed(entry, slot, unit);
    }

    /// Marks a unit whose speed is to be asked for again although it stays what and where it was.
    #[inline]
    pub(super) fn mark_speed(&mut self, entry: &mut Unit, slot: u32, unit: usize) {
        if !std::mem::replace(&mut entry.dirty, true) {
            let unit = u32::try_from(unit).expect("at most 10^6 tasks");
            self.dirty_units.push((slot, unit));
        }
    }

    /// See [`Simulation::mark_wait`].
    #[inline]
    pub(super) fn mark_wait(&mut self, job: &mut Job, slot: u32) {
        if !std::mem::replace(&mut job.wait_dirty, true) {
            self.dirty_waits.push(slot);
        }
    }
}

/// What a task's GPUs are booked under.
fn mode_of(task: &crate::live::Task, advancing: bool) -> Mode {
    if task.dead || !task.holds_gpus() {
        return Mode::None;
    }
    match task.state {
        TaskState::Reserved => Mode::Held,
        // With a GPU that has failed it starts for ever: it waits to be told.
        TaskState::Starting if !task.is_crippled() => Mode::Startup,
        TaskState::Ending => Mode::Startup,
        TaskState::Running if advancing && !task.is_crippled() => Mode::Advancing,
        _ => Mode::Waiting,
    }
}

/// Whole nanoseconds at the reference rate, rounded down.
pub(super) fn whole_nanos(work: u128) -> SimDuration {
    SimDuration::from_nanos(u64::try_from(work / u128::from(RATE_ONE)).unwrap_or(u64::MAX))
}

impl Unit {
    /// Everything up to `tail` nanoseconds before now is saved.
    fn save_at_tail(&mut self, tail: u64) {
        let unsaved_work = u128::from(self.rate) * u128::from(tail);
        self.left_saved = self.left + unsaved_work;
        self.since_save = tail;
        self.unsaved.clear();
        if tail > 0 {
            let useful = u128::from(self.slices.useful) * u128::from(tail);
            for (pool, milli) in self.weights.iter() {
                self.unsaved.add(pool, u128::from(milli) * useful);
            }
            for (pool, level) in self.crowded.iter() {
                self.unsaved.add(pool, u128::from(level) * u128::from(tail));
            }
        }
    }

    /// When its work is done at the present rate, or it wants to be asked again, if sooner.
    fn next_event(&self, now: SimTime, until: Option<Until>) -> Option<SimTime> {
        let rate = u128::from(self.rate);
        let after = |work: u128| {
            let nanos = work.checked_add(rate - 1)?.checked_div(rate)?;
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            Some(now.saturating_add(SimDuration::from_nanos(nanos)))
        };
        let ends = !self.endless && rate > 0;
        let finish = if ends { after(self.left) } else { None };
        let again = match until {
            None => None,
            Some(Until::After(length)) => now.checked_add(length),
            Some(Until::Progress(mark)) if rate > 0 => {
                let mark = u128::from(mark.as_nanos()) * u128::from(RATE_ONE);
                after(mark.saturating_sub(self.done).max(1))
            }
            Some(Until::Progress(_)) => None,
        };
        [finish, again].into_iter().flatten().min()
    }
}
