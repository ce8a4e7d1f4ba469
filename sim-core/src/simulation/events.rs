//! What can happen by itself: the closed list, and what each does.

use super::Simulation;
use super::components::Component;
use crate::engine::Phase;
use crate::error::RunError;
use crate::ids::{HoldId, JobRef, NodeId, TaskRef};
use crate::job::{JobSpec, Work};
use crate::news::JobNews;
use crate::observe::{Event, EventKind};
use crate::reason::Reason;
use crate::task::{TaskEnd, TaskState};
use crate::time::SimTime;

/// Everything that can be scheduled to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ev {
    /// A unit has done its work, or its speed must be asked for again.
    Unit { slot: u32, unit: u32 },
    /// A task's bind, startup or grace period is over.
    Task { slot: u32, task: u32 },
    /// A task's gate opens.
    Gate { slot: u32, task: u32 },
    /// A controller's deadline for a job passes.
    Deadline { slot: u32 },
    /// A fault begins.
    Fault { source: u32 },
    /// A stream of faults goes on.
    NextFault { source: u32 },
    /// A fault is noticed, or comes to what it was announced for.
    Notice { node: NodeId, ailment: u32 },
    /// A fault is over.
    Repair { node: NodeId, ailment: u32 },
    /// A requested node's instance starts.
    Boot { node: NodeId },
    /// A booting node becomes usable.
    Ready { node: NodeId },
    /// A hold begins to set capacity aside.
    HoldStart { hold: HoldId },
    /// A hold ends by itself.
    HoldEnd { hold: HoldId },
    /// A component asked to be woken.
    Wake { component: Component },
}

/// The next job to be submitted: its specification waits in the slot that will be the job's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    slot: u32,
    submit: SimTime,
}

impl Simulation {
    pub(super) fn schedule(
        &mut self,
        at: SimTime,
        phase: Phase,
        event: Ev,
    ) -> crate::engine::EventHandle {
        self.reopened |= at == self.world.now;
        self.queue.schedule(at, phase, event)
    }

    /// Applies every event of the present instant, arrivals in their phase.
    pub(super) fn apply_events(&mut self) -> Result<(), RunError> {
        let now = self.world.now;
        loop {
            let arrival = self.next_arrival.is_some_and(|next| next.submit == now);
            let due = self.queue.peek_time() == Some(now);
            if due && (!arrival || self.precedes_arrivals()) {
                if let Some((_, event)) = self.queue.pop() {
                    self.apply_event(event);
                }
            } else if arrival {
                self.submit_next()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Whether the next event is of a phase before that of arrivals.
    fn precedes_arrivals(&mut self) -> bool {
        let next = self.queue.peek_key();
        next.is_some_and(|key| key.phase <= Phase::Submissions)
    }

    fn apply_event(&mut self, event: Ev) {
        match event {
            Ev::Unit { slot, unit } => self.unit_event(slot, unit as usize),
            Ev::Task { slot, task } => self.task_event(slot, task as usize),
            Ev::Gate { slot, task } => {
                self.world.jobs.slot_mut(slot).tasks[task as usize].timer = None;
                self.open_gate(slot, task as usize, Component::Engine);
            }
            Ev::Deadline { slot } => {
                let job = self.world.jobs.slot_mut(slot);
                job.deadline = None;
                let job = JobRef { slot, id: job.id };
                self.changes += 1;
                self.tell_controller(job, JobNews::DeadlinePassed);
            }
            Ev::Fault { source } => self.fault_begins(source),
            Ev::NextFault { source } => self.schedule_fault(source),
            Ev::Notice { node, ailment } => self.fault_is_due(node, ailment),
            Ev::Repair { node, ailment } => self.fault_ends(node, ailment),
            Ev::Boot { node } => self.node_boots(node),
            Ev::Ready { node } => self.node_ready(node),
            Ev::HoldStart { hold } => {
                if let Some(entry) = self.world.holds.get_mut(hold) {
                    entry.timer = None;
                }
                self.changes += 1;
                self.world.start_hold(hold);
                self.schedule_hold_end(hold);
                let parts = self.world.hold(hold).map(|hold| &hold.parts);
                for part in parts.into_iter().flatten() {
                    self.inboxes.node(part.node, Component::Engine);
                }
            }
            Ev::HoldEnd { hold } => {
                if let Some(entry) = self.world.holds.get_mut(hold) {
                    entry.timer = None;
                }
                self.end_hold(hold, Component::Engine);
            }
            Ev::Wake { component } => {
                self.wakes[component.place(&self.platform)] = None;
                self.inboxes.post(component.place(&self.platform)).woken = true;
            }
        }
    }

    /// A task moved on: as [`note`](Self::note), for what happens most.
    #[inline]
    pub(super) fn note_task(
        &mut self,
        task: TaskRef,
        from: TaskState,
        to: TaskState,
        node: Option<NodeId>,
        end: Option<TaskEnd>,
    ) {
        let place = node.map_or(0, |node| u64::from(node.0) + 1);
        let who = u64::from(task.job.id.0) << 32 | u64::from(task.index);
        let what = 2 | (to as u64) << 8 | u64::from(task.group) << 16 | place << 32;
        // Attempts matter only beyond the first; keep the common case at two words.
        if task.attempt > 0 {
            self.digest.word(u64::from(task.attempt));
        }
        self.write_down([what, who]);
        if self.scratch.recording {
            let at = self.world.now;
            let kind = EventKind::Task {
                task,
                from,
                to,
                node,
                end,
            };
            self.scratch.tape.push(Event { at, kind });
        }
    }

    /// Something happened: digest, count, and the tape for observers.
    pub(super) fn note(&mut self, kind: EventKind) {
        let words: [u64; 2] = match kind {
            EventKind::Submitted { job } => [1, u64::from(job.id.0)],
            EventKind::Task {
                task,
                from,
                to,
                node,
                end,
            } => return self.note_task(task, from, to, node, end),
            EventKind::Refused { task, .. } => [3, u64::from(task.job.id.0)],
            EventKind::Ended { job, outcome } => [4 | (outcome as u64) << 8, u64::from(job.id.0)],
            EventKind::Admitted { job } => [5, u64::from(job.id.0)],
            EventKind::Withheld { job, why } => [6 | (why as u64) << 8, u64::from(job.id.0)],
            EventKind::Node { node, what, .. } => [7 | (what as u64) << 8, u64::from(node.0)],
            EventKind::Fault {
                node, what, step, ..
            } => {
                let [kind, part] = what.words();
                let what = 11 | (step as u64) << 8 | kind << 16 | part << 32;
                [what, u64::from(node.0)]
            }
            EventKind::HoldMade { hold, milli } => [8 | u64::from(milli) << 8, u64::from(hold.0)],
            EventKind::HoldEnded { hold } => [9, u64::from(hold.0)],
            EventKind::HoldCommitted { hold } => [10, u64::from(hold.0)],
        };
        self.write_down(words);
        if self.scratch.recording {
            let at = self.world.now;
            self.scratch.tape.push(Event { at, kind });
        }
    }

    /// Counts something that happened and folds it into the digest.
    #[inline]
    fn write_down(&mut self, words: [u64; 2]) {
        self.changes += 1;
        let now = self.world.now;
        if self.digested != now {
            // The time once per instant, before the first thing that happens in it.
            self.digested = now;
            self.digest.word(now.as_nanos());
        }
        self.digest.pair(words[0], words[1]);
    }

    /// When the next thing happens, if anything does; asks the stream for its next job.
    pub(super) fn next_time(&mut self) -> Result<Option<SimTime>, RunError> {
        if self.next_arrival.is_none() {
            self.read_arrival()?;
        }
        let event = self.queue.peek_time();
        Ok(match (event, self.next_arrival) {
            (Some(event), Some(arrival)) => Some(event.min(arrival.submit)),
            (event, arrival) => event.or(arrival.map(|next| next.submit)),
        })
    }

    fn read_arrival(&mut self) -> Result<(), RunError> {
        // Read into the slot it will have: a specification is large, and millions pass through here.
        let slot = self.world.jobs.take_free();
        let spec = &mut self.world.jobs.slot_mut(slot).spec;
        match self.arrivals.next_into(&mut self.world.names, spec) {
            None => {
                self.world.jobs.give_back(slot);
                return Ok(());
            }
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(())) => {}
        }
        let job = crate::JobId(self.world.next_job);
        let (kind, submit, before) = (spec.request.kind, spec.submit, self.last_submit);
        let have = self.platform.controllers.len();
        if let Err(cause) = spec.check() {
            return Err(RunError::Job { job, cause });
        }
        if kind.index() >= have {
            return Err(RunError::UnknownKind {
                job,
                kind: kind.0,
                have,
            });
        }
        if submit < before {
            return Err(RunError::Unsorted {
                job,
                submit,
                before,
            });
        }
        self.last_submit = submit;
        self.next_arrival = Some(Coming { slot, submit });
        Ok(())
    }

    fn submit_next(&mut self) -> Result<(), RunError> {
        let Some(Coming { slot, submit }) = self.next_arrival.take() else {
            return Ok(());
        };
        let spec = &self.world.jobs.slot(slot).spec;
        let scheduler = self.platform.route(&spec.request);
        self.summary.submitted += 1;
        self.summary.first_submit = self.summary.first_submit.or(Some(submit));
        if is_finite(spec) {
            self.finite_jobs += 1;
        }
        let job = self.world.admit_job(slot, scheduler);
        if self.platform.admission.is_some() {
            self.world.jobs.slot_mut(job.slot).withheld = Some(Reason::Quota);
        }
        self.note(EventKind::Submitted { job });
        self.tell_controller(job, JobNews::Submitted);
        self.read_arrival()
    }

    fn task_event(&mut self, slot: u32, task: usize) {
        let entry = &mut self.world.jobs.slot_mut(slot).tasks[task];
        entry.timer = None;
        match entry.state {
            TaskState::Reserved => self.confirm_bind(slot, task),
            TaskState::Starting => {
                self.enter(slot, task, TaskState::Running, None, Component::Engine)
            }
            TaskState::Ending => {
                let after = entry.after;
                self.after_ending(slot, task, after, Component::Engine);
            }
            state => unreachable!("a {state} task has no timer"),
        }
    }
}

/// Whether a job ends by itself, some day.
pub(super) fn is_finite(spec: &JobSpec) -> bool {
    !matches!(spec.profile.work, Work::Endless)
}
