//! What controllers and admission ask for.

use std::fmt::Debug;

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use super::progress::Unsaved;
use crate::admission::AdmissionCommand;
use crate::controller::LifecycleCommand;
use crate::engine::Phase;
use crate::error::{DecisionError, RunError};
use crate::ids::{ControllerId, JobRef};
use crate::live::After;
use crate::news::JobNews;
use crate::observe::EventKind;
use crate::reason::Reason;
use crate::task::{TaskEnd, TaskState};
use crate::time::SimTime;

impl Simulation {
    pub(super) fn apply_lifecycle(&mut self, id: ControllerId) -> Result<(), RunError> {
        for place in 0..self.scratch.lifecycle.list.len() {
            let command = self.scratch.lifecycle.list[place];
            if let Err(cause) = self.apply_lifecycle_command(id, command) {
                return Err(self.invalid(Component::Controller(id), &command, cause));
            }
        }
        Ok(())
    }

    #[cold]
    fn invalid(&self, component: Component, command: &dyn Debug, cause: DecisionError) -> RunError {
        let component = component.name(&self.platform);
        RunError::InvalidCommand {
            time: self.world.now,
            component,
            command: format!("{command:?}"),
            cause,
        }
    }

    fn apply_lifecycle_command(
        &mut self,
        id: ControllerId,
        command: LifecycleCommand,
    ) -> Result<(), DecisionError> {
        let by = Component::Controller(id);
        if command.job().is_some_and(|job| self.has_ended(job)) {
            return Ok(());
        }
        match command {
            LifecycleCommand::Create { job, gate } => {
                self.check_kind(id, job)?;
                self.create(job, gate, by)
            }
            LifecycleCommand::Ungate { job } => {
                self.check_kind(id, job)?;
                for task in 0..self.world.jobs.slot(job.slot).tasks.len() {
                    self.open_gate(job.slot, task, by);
                }
                Ok(())
            }
            LifecycleCommand::Recreate { task, not_before } => {
                self.check_kind(id, task.job)?;
                let place = self
                    .world
                    .find_task(task)
                    .ok_or(DecisionError::UnknownTask)?;
                let state = self.world.jobs.slot(task.job.slot).tasks[place].state;
                if state != TaskState::Over {
                    return Err(DecisionError::WrongState(state));
                }
                self.recreate(task.job.slot, place, not_before, Reason::Backoff, by);
                self.relist(task.job.slot);
                Ok(())
            }
            LifecycleCommand::Restart { job, not_before } => {
                self.check_kind(id, job)?;
                self.restart(job.slot, not_before, by);
                Ok(())
            }
            LifecycleCommand::Stop { task } => {
                self.check_kind(id, task.job)?;
                let place = self
                    .world
                    .find_task(task)
                    .ok_or(DecisionError::UnknownTask)?;
                let slot = task.job.slot;
                let unit = self.world.jobs.slot(slot).unit_of(place);
                let entry = &self.world.jobs.slot(slot).tasks[place];
                let (state, has_progress) = (entry.state, entry.has_progress());
                if has_progress {
                    self.stop_unit(slot, unit, Unsaved::Lost);
                }
                if state != TaskState::Over {
                    self.end_task(slot, place, TaskEnd::Stopped, by);
                }
                self.relist(slot);
                Ok(())
            }
            LifecycleCommand::Finish { job, outcome } => {
                self.check_kind(id, job)?;
                self.finish_job(job.slot, outcome, by);
                Ok(())
            }
            LifecycleCommand::SetCount { job, count } => {
                self.check_kind(id, job)?;
                self.set_count(job.slot, count, by)
            }
            LifecycleCommand::Deadline { job, at } => {
                self.check_kind(id, job)?;
                self.set_deadline(job.slot, at);
                Ok(())
            }
            LifecycleCommand::WakeAt(at) => self.wake(by, at),
        }
    }

    /// Whether a job ended in this instant: what is asked for it comes too late and is void, since
    /// whoever asks may not have had the news yet.
    fn has_ended(&self, job: JobRef) -> bool {
        let found = self.world.jobs.get(job);
        found.is_some_and(|job| job.outcome.is_some())
    }

    fn check_kind(&self, id: ControllerId, job: JobRef) -> Result<(), DecisionError> {
        let found = self.world.jobs.get(job).ok_or(DecisionError::UnknownJob)?;
        if found.spec.request.kind != id {
            return Err(DecisionError::NotYours);
        }
        Ok(())
    }

    fn create(
        &mut self,
        job: JobRef,
        gate: Option<(Reason, Option<SimTime>)>,
        by: Component,
    ) -> Result<(), DecisionError> {
        let slot = job.slot;
        for task in 0..self.world.jobs.slot(slot).tasks.len() {
            let state = self.world.jobs.slot(slot).tasks[task].state;
            if state != TaskState::Unborn {
                return Err(DecisionError::WrongState(state));
            }
            self.open_or_gate(slot, task, gate, by);
        }
        self.relist(slot);
        self.note_never_fits(slot);
        self.tell_job(job, JobNews::Created, by);
        Ok(())
    }

    /// Whether a job is larger than the supply, found out when its tasks come to be.
    fn note_never_fits(&mut self, slot: u32) {
        let job = self.world.jobs.slot(slot);
        let demand = if job.listed {
            Some(job.demand)
        } else {
            self.world.unmet(slot).map(|(demand, _)| demand)
        };
        if let Some(demand) = demand {
            let never = !self.world.demands.get(demand).can_ever;
            self.world.jobs.slot_mut(slot).never_fits = never;
        }
    }

    /// Ends every task of a job and recreates all of them.
    fn restart(&mut self, slot: u32, not_before: Option<SimTime>, by: Component) {
        for unit in 0..self.world.jobs.slot(slot).units.len() {
            if !self.world.jobs.slot(slot).units[unit].done_work {
                self.stop_unit(slot, unit, Unsaved::Lost);
            }
        }
        for task in 0..self.world.jobs.slot(slot).tasks.len() {
            let job = self.world.jobs.slot(slot);
            if job.units[job.unit_of(task)].done_work {
                continue;
            }
            if job.tasks[task].state != TaskState::Over {
                self.end_task(slot, task, TaskEnd::Stopped, by);
            }
            self.recreate(slot, task, not_before, Reason::Backoff, by);
        }
        self.relist(slot);
    }

    fn set_count(&mut self, slot: u32, count: u32, by: Component) -> Result<(), DecisionError> {
        let job = self.world.jobs.slot(slot);
        if job.spec.request.advance != crate::Advance::Each
            || job.spec.request.groups.len() != 1
            || count == 0
            || matches!(job.spec.profile.work, crate::Work::PerTask(_))
        {
            return Err(DecisionError::NotReplaceable);
        }
        let have = job.tasks.len();
        let wanted = count as usize;
        self.world.jobs.slot_mut(slot).spec.request.groups[0].count = count;
        for _ in have..wanted {
            crate::live::grow(self.world.jobs.slot_mut(slot), 0);
            let task = self.world.jobs.slot(slot).tasks.len() - 1;
            self.open_or_gate(slot, task, None, by);
        }
        for task in (wanted..have).rev() {
            self.stop_unit(slot, task, Unsaved::Lost);
            if self.world.jobs.slot(slot).tasks[task].state != TaskState::Over {
                self.end_task(slot, task, TaskEnd::Stopped, by);
            }
        }
        // Units of tasks that are gone may still be marked: settle them before they go.
        self.review_units();
        for _ in wanted..have {
            crate::live::shrink(self.world.jobs.slot_mut(slot));
        }
        self.relist(slot);
        Ok(())
    }

    fn set_deadline(&mut self, slot: u32, at: SimTime) {
        if let Some(old) = self.world.jobs.slot_mut(slot).deadline.take() {
            self.queue.cancel(old);
        }
        let at = at.max(self.world.now);
        let event = self.schedule(at, Phase::Timers, Ev::Deadline { slot });
        self.world.jobs.slot_mut(slot).deadline = Some(event);
    }

    pub(super) fn apply_admissions(&mut self) -> Result<(), RunError> {
        let commands = std::mem::take(&mut self.scratch.admissions);
        let mut result = Ok(());
        for command in &commands.list {
            if let Err(cause) = self.apply_admission(*command) {
                result = Err(self.invalid(Component::Admission, command, cause));
                break;
            }
        }
        self.scratch.admissions = commands;
        result
    }

    fn apply_admission(&mut self, command: AdmissionCommand) -> Result<(), DecisionError> {
        let by = Component::Admission;
        if command.job().is_some_and(|job| self.has_ended(job)) {
            return Ok(());
        }
        match command {
            AdmissionCommand::Admit { job, pools } => {
                let scheduler = self
                    .world
                    .jobs
                    .get(job)
                    .ok_or(DecisionError::UnknownJob)?
                    .scheduler;
                let allowed = self.world.scheduler_pools[scheduler.index()]
                    .intersect(self.world.cluster.all_pools())
                    .intersect(pools);
                let entry = self.world.jobs.slot_mut(job.slot);
                if entry.withheld.take().is_some() || entry.pools != allowed {
                    entry.pools = allowed;
                    self.note(EventKind::Admitted { job });
                    self.relist(job.slot);
                    self.tell_job(job, JobNews::Admitted, by);
                }
                Ok(())
            }
            AdmissionCommand::Withhold { job, why } => {
                self.world.jobs.get(job).ok_or(DecisionError::UnknownJob)?;
                let entry = self.world.jobs.slot_mut(job.slot);
                if entry.withheld != Some(why) {
                    entry.withheld = Some(why);
                    self.note(EventKind::Withheld { job, why });
                    self.relist(job.slot);
                    self.tell_job(job, JobNews::Withheld(why), by);
                }
                Ok(())
            }
            AdmissionCommand::Revoke { job, grace, why } => {
                self.world.jobs.get(job).ok_or(DecisionError::UnknownJob)?;
                let slot = job.slot;
                self.world.jobs.slot_mut(slot).withheld = Some(why);
                self.note(EventKind::Withheld { job, why });
                for unit in 0..self.world.jobs.slot(slot).units.len() {
                    // What is done stays done.
                    if !self.world.jobs.slot(slot).units[unit].done_work {
                        self.stop_unit(slot, unit, Unsaved::Lost);
                    }
                }
                for task in 0..self.world.jobs.slot(slot).tasks.len() {
                    let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
                    let state = entry.state;
                    if matches!(entry.after, After::Suspend(_)) {
                        // On its way to being suspended: it must not be resumed without admission.
                        entry.after = After::Requeue(None);
                    }
                    if state.holds() && state != TaskState::Ending || state == TaskState::Suspended
                    {
                        self.evict_one(slot, task, grace, After::Requeue(None), by);
                    }
                }
                self.relist(slot);
                self.tell_job(job, JobNews::Withheld(why), by);
                Ok(())
            }
            AdmissionCommand::WakeAt(at) => self.wake(by, at),
        }
    }

    pub(super) fn apply_scaling(
        &mut self,
        scaling: &crate::autoscaler::Scaling,
    ) -> Result<(), RunError> {
        use crate::autoscaler::ScalingCommand;
        for command in &scaling.list {
            let result = match *command {
                ScalingCommand::Grow { pool, nodes } => self.grow_pool(pool, nodes),
                ScalingCommand::Shrink { node } => self.shrink_node(node),
                ScalingCommand::Cordon { node, closed } => self.cordon(node, closed),
                ScalingCommand::PowerOff { node } => self.power_off(node),
                ScalingCommand::PowerOn { node, boot } => self.power_on(node, boot),
                ScalingCommand::WakeAt(at) => self.wake(Component::Autoscaler, at),
            };
            if let Err(cause) = result {
                return Err(self.invalid(Component::Autoscaler, command, cause));
            }
        }
        Ok(())
    }
}
