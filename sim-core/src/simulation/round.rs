//! The decision round: controllers, admission, schedulers by id, autoscalers; each only if it has
//! news, each seeing the effects of those before, repeated for those with news from another.

use super::Simulation;
use super::components::Component;
use super::events::Ev;
use crate::autoscaler::WouldFit;
use crate::engine::Phase;
use crate::error::{DecisionError, RunError};
use crate::ids::{ControllerId, PoolId, SchedulerId, TaskRef};
use crate::news::Inbox;
use crate::policy::NodeTemplate;
use crate::time::SimTime;
use crate::view::View;

/// Calls in a row that only woke up and changed nothing, after which a run is given up.
const IDLE_CALLS_MAX: u32 = 10_000;

/// Calls at one instant after which a run is given up: components that undo each other's work, or a
/// policy that undoes its own, change something every time and would go on for ever.
const CALLS_PER_INSTANT_MAX: u32 = 1_000_000;

impl Simulation {
    pub(super) fn round(&mut self) -> Result<(), RunError> {
        while self.inboxes.ready != 0 {
            // One pass in order: news for a component further down is heard in this pass, news for
            // one further up in the next.
            let mut passed = 0;
            loop {
                let waiting = self.inboxes.ready & !passed;
                if waiting == 0 {
                    break;
                }
                let place = waiting.trailing_zeros();
                passed |= u64::MAX >> (63 - place);
                self.call(place as usize)?;
            }
        }
        Ok(())
    }

    /// Calls a component that has news, and applies what it decides.
    fn call(&mut self, place: usize) -> Result<(), RunError> {
        let component = Component::at(place, &self.platform);
        if self.calls_from != self.world.now {
            (self.calls_from, self.calls) = (self.world.now, 0);
        }
        self.calls += 1;
        if self.calls >= CALLS_PER_INSTANT_MAX {
            return Err(RunError::Livelock {
                time: self.world.now,
                calls: self.calls,
                component: component.name(&self.platform),
            });
        }
        let empty = self.scratch.inbox.take().unwrap_or_default();
        let mut inbox = self.inboxes.exchange(place, empty);
        let changes = self.changes;
        match component {
            Component::Controller(id) => self.call_controller(id, &inbox)?,
            Component::Admission => self.call_admission(&inbox)?,
            Component::Scheduler(id) => self.call_scheduler(id, &inbox)?,
            Component::Autoscaler => self.call_autoscaler(&inbox)?,
            Component::Engine => {}
        }
        let was_idle = self.changes == changes && inbox.only_woken();
        inbox.clear();
        self.scratch.inbox = Some(inbox);
        if was_idle {
            return self.count_idle_call(component);
        }
        self.idle_calls = 0;
        Ok(())
    }

    /// A component only woke up, and changed nothing.
    #[cold]
    fn count_idle_call(&mut self, component: Component) -> Result<(), RunError> {
        self.idle_calls += 1;
        if self.idle_calls >= IDLE_CALLS_MAX {
            return Err(RunError::NoProgress {
                time: self.world.now,
                rounds: self.idle_calls,
                component: component.name(&self.platform),
            });
        }
        Ok(())
    }

    fn call_controller(&mut self, id: ControllerId, inbox: &Inbox) -> Result<(), RunError> {
        let view = View::new(&self.world, SchedulerId(0));
        self.scratch.lifecycle.list.clear();
        let out = &mut self.scratch.lifecycle;
        self.platform.controllers[id.index()].react(&view, &inbox.news(), out);
        self.apply_lifecycle(id)
    }

    fn call_admission(&mut self, inbox: &Inbox) -> Result<(), RunError> {
        let Some(admission) = &mut self.platform.admission else {
            return Ok(());
        };
        let view = View::new(&self.world, SchedulerId(0));
        self.scratch.admissions.list.clear();
        admission.admit(&view, &inbox.news(), &mut self.scratch.admissions);
        self.apply_admissions()
    }

    fn call_scheduler(&mut self, id: SchedulerId, inbox: &Inbox) -> Result<(), RunError> {
        self.world.sync_space();
        let mut out = self.scratch.decisions.take().unwrap_or_default();
        out.begin(self.world.holds.next);
        let view = View::new(&self.world, id);
        let policy = &mut self.platform.schedulers[id.index()].policy;
        policy.decide(&view, &inbox.news(), &mut out);
        let result = self.apply_decisions(id, &out);
        self.scratch.decisions = Some(out);
        result
    }

    fn call_autoscaler(&mut self, inbox: &Inbox) -> Result<(), RunError> {
        let Some(mut autoscaler) = self.platform.autoscaler.take() else {
            return Ok(());
        };
        self.world.sync_space();
        let mut scaling = std::mem::take(&mut self.scratch.scaling);
        scaling.list.clear();
        let view = View::new(&self.world, SchedulerId(0));
        autoscaler.scale(
            &view,
            &inbox.news(),
            &Fits { simulation: self },
            &mut scaling,
        );
        self.platform.autoscaler = Some(autoscaler);
        let result = self.apply_scaling(&scaling);
        self.scratch.scaling = scaling;
        result
    }

    /// Sets a component's wake-up; the last request wins.
    pub(super) fn wake(&mut self, component: Component, at: SimTime) -> Result<(), DecisionError> {
        if at < self.world.now {
            return Err(DecisionError::WakeInThePast(at));
        }
        self.cancel_wake(component);
        let handle = self.schedule(at, Phase::Timers, Ev::Wake { component });
        self.wakes[component.place(&self.platform)] = Some(handle);
        Ok(())
    }

    /// Takes a component's wake-up back.
    pub(super) fn cancel_wake(&mut self, component: Component) {
        if let Some(handle) = self.wakes[component.place(&self.platform)].take() {
            self.queue.cancel(handle);
        }
    }
}

/// Answers an autoscaler's questions from the schedulers and the supply.
struct Fits<'a> {
    simulation: &'a Simulation,
}

impl WouldFit for Fits<'_> {
    fn would_fit(&self, task: TaskRef, node: &NodeTemplate) -> bool {
        let Some(job) = self.simulation.world.jobs.get(task.job) else {
            return false;
        };
        let view = View::new(&self.simulation.world, job.scheduler);
        let policy = &self.simulation.platform.schedulers[job.scheduler.index()].policy;
        policy.would_fit(task, node, &view)
    }

    fn template(&self, pool: PoolId) -> NodeTemplate {
        NodeTemplate {
            pool,
            free: self.simulation.world.cluster.pools[pool.index()].full,
        }
    }

    fn room(&self, pool: PoolId) -> u32 {
        self.simulation.room(pool)
    }
}
