//! One instant from its first event to its settled books.

use super::events::is_finite;
use super::options::DRAIN_LIMIT;
use super::{Horizon, Simulation, Step};
use crate::error::RunError;
use crate::ids::SchedulerId;
use crate::observe::Observer;
use crate::record::JobRecord;
use crate::report::Figures;
use crate::time::{SimDuration, SimTime};
use crate::units::{MILLI_PER_GPU, MicroDollars, NANOS_PER_HOUR};
use crate::view::View;
use crate::world::World;

impl Simulation {
    /// Takes the next instant, watched.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with(&mut self, observer: &mut dyn Observer) -> Result<Step, RunError> {
        if self.over {
            return Ok(Step::Over(self.world.now));
        }
        self.scratch.recording = observer.wants_events();
        self.scratch.recording_jobs = observer.wants_jobs();
        let next = self.next_time()?;
        let end = self.end_time();
        let is_drained = self.is_drained();
        match next {
            Some(next) if next <= end && !is_drained => self.world.now = next,
            _ => {
                if !is_drained && end < SimTime::MAX {
                    self.world.now = self.world.now.max(end);
                }
                self.finish_run(observer);
                return Ok(Step::Over(self.world.now));
            }
        }
        let now = self.world.now;
        loop {
            self.reopened = false;
            self.apply_events()?;
            self.round()?;
            self.settle();
            // An instant is re-opened by what was created at it.
            if !self.reopened {
                break;
            }
        }
        self.deliver(observer);
        self.release_ended();
        if now == SimTime::MAX {
            return Err(RunError::ClockOverflow(now));
        }
        Ok(Step::Instant(now))
    }

    /// The last instant the run may take.
    pub(super) fn end_time(&self) -> SimTime {
        match self.options.horizon {
            Horizon::After(length) => SimTime::ZERO.saturating_add(length),
            Horizon::Drain => self.last_submit.saturating_add(DRAIN_LIMIT),
        }
    }

    /// Whether a drain run has nothing left to wait for.
    pub(super) fn is_drained(&self) -> bool {
        self.options.horizon == Horizon::Drain
            && self.next_arrival.is_none()
            && self.finite_jobs == 0
    }

    /// Settles what the instant changed: speeds, waits, ledger; once.
    pub(super) fn settle(&mut self) {
        self.review_units();
        for place in 0..self.scratch.dirty_waits.len() {
            self.settle_wait(self.scratch.dirty_waits[place]);
        }
        self.scratch.dirty_waits.clear();
        if self.ledger.on {
            self.waits.probe(&mut self.world);
            self.settle_idle();
            debug_assert!(
                self.ledger
                    .is_level(self.supply.pools.iter().map(|pool| pool.model.gpus)),
                "the ledger is out of balance from {} on",
                self.world.now
            );
        }
        self.close_records();
    }

    fn settle_wait(&mut self, slot: u32) {
        let job = self.world.jobs.slot_mut(slot);
        job.wait_dirty = false;
        if !job.is_queued() {
            // What was said of its waiting is over with it.
            job.own = None;
            job.told = false;
            // The common case: it came and was placed within one instant.
            if job.wait.lane.is_none() {
                return;
            }
        }
        self.waits.refresh(&mut self.world, slot);
    }

    /// Charges free capacity to pending demand and sets the ledger's idle levels.
    pub(super) fn settle_idle(&mut self) {
        let now = self.world.now;
        let pools = &mut self.world.cluster.pools;
        let charges_moved = std::mem::take(&mut self.waits.changed)
            | std::mem::take(&mut self.ledger.reserved_changed);
        if !charges_moved && pools.iter().all(|pool| !pool.changed) {
            return;
        }
        for (pool, free) in pools.iter().zip(&mut self.scratch.free) {
            *free = pool.totals.free;
        }
        self.waits
            .charge(&mut self.scratch.free, &mut self.scratch.charges);
        for (place, pool) in pools.iter_mut().enumerate() {
            let id = crate::PoolId(u8::try_from(place).expect("at most 64 pools"));
            self.ledger
                .set_idle(id, pool, &self.scratch.charges[place], now);
            (pool.changed, pool.reshaped) = (false, false);
        }
    }

    /// Makes the records of jobs that ended in this instant.
    fn close_records(&mut self) {
        if self.scratch.ended.is_empty() {
            return;
        }
        for place in 0..self.scratch.ended.len() {
            let slot = self.scratch.ended[place];
            if self.world.jobs.slot(slot).recorded {
                continue;
            }
            self.world.jobs.slot_mut(slot).recorded = true;
            self.record(slot);
        }
    }

    /// Adds a job as it stands to the summary, and makes its record if somebody wants it.
    fn record(&mut self, slot: u32) {
        let job = self.world.jobs.slot(slot);
        self.summary.add(&Figures {
            outcome: job.outcome,
            never_fits: job.never_fits,
            submit: job.spec.submit,
            start: job.start,
            end: self.world.now,
            queued: SimDuration::from_nanos(job.wait.waited.sum()),
        });
        if self.scratch.recording_jobs {
            let record = self.full_record(slot);
            self.scratch.records.push(record);
        }
    }

    fn full_record(&self, slot: u32) -> JobRecord {
        let job = self.world.jobs.slot(slot);
        let request = &job.spec.request;
        let attempts = job
            .tasks
            .iter()
            .filter(|task| task.state != crate::TaskState::Unborn)
            .map(|task| task.attempt + 1)
            .max();
        JobRecord {
            job: job.id,
            name: job.spec.name.clone(),
            kind: request.kind,
            tenant: request.tenant,
            queue: request.queue,
            submit: job.spec.submit,
            start: job.start,
            end: self.world.now,
            outcome: job.outcome,
            never_fits: job.never_fits,
            tasks: request.task_count(),
            gpu_milli: request.gpu_milli(),
            limit: request.limit,
            attempts: attempts.unwrap_or(0),
            preemptions: job.preemptions,
            waited: job.wait.waited.all(),
            useful: job.useful - job.lost,
            lost: job.lost,
            held: job.held.iter().map(|(_, amount)| amount).sum(),
            cost: self.cost_of(slot),
            nodes: job.nodes_used.to_vec(),
        }
    }

    /// floor(GPU time held × price ÷ GPUs per node), over the pools it ran in.
    fn cost_of(&self, slot: u32) -> MicroDollars {
        let mut total = 0;
        for (pool, amount) in self.world.jobs.slot(slot).held.iter() {
            let spec = &self.supply.pools[pool.index()];
            let gpus = u128::from(spec.model.gpus).max(1);
            let per_node = u128::from(spec.price.per_node_hour.0);
            total += amount * per_node / (gpus * u128::from(MILLI_PER_GPU) * NANOS_PER_HOUR);
        }
        MicroDollars(u64::try_from(total).unwrap_or(u64::MAX))
    }

    /// Hands the instant to the observer.
    fn deliver(&mut self, observer: &mut dyn Observer) {
        if !self.scratch.tape.is_empty() {
            let view = View::new(&self.world, SchedulerId(0));
            for event in &self.scratch.tape {
                observer.on_event(event, &view);
            }
            self.scratch.tape.clear();
        }
        if !self.scratch.records.is_empty() {
            self.scratch.records.sort_by_key(|record| record.job);
            for record in &self.scratch.records {
                observer.on_job(record);
            }
            self.scratch.records.clear();
        }
        if self.scratch.recording {
            observer.on_instant(&View::new(&self.world, SchedulerId(0)));
        }
    }

    /// Frees the slots of jobs whose end everyone has heard of.
    fn release_ended(&mut self) {
        for slot in self.scratch.ended.drain(..) {
            if is_finite(&self.world.jobs.slot(slot).spec) {
                self.finite_jobs -= 1;
            }
            self.world.jobs.remove(slot);
        }
    }

    /// The end of the run: units and waits are brought forward, unfinished jobs recorded.
    fn finish_run(&mut self, observer: &mut dyn Observer) {
        self.over = true;
        let mut alive: Vec<(crate::JobId, u32)> = self
            .world
            .jobs
            .iter()
            .map(|(slot, job)| (job.id, slot))
            .collect();
        alive.sort_unstable();
        for &(_, slot) in &alive {
            for unit in 0..self.world.jobs.slot(slot).units.len() {
                self.catch_up(slot, unit);
            }
            self.world.note_all_held(slot);
            self.waits
                .close(self.world.now, self.world.jobs.slot_mut(slot));
            self.record(slot);
        }
        self.deliver(observer);
    }
}

impl World {
    /// Books the GPU time held so far by tasks that still hold it.
    pub(crate) fn note_all_held(&mut self, slot: u32) {
        let now = self.now;
        let job = self.jobs.slot_mut(slot);
        for task in &mut job.tasks {
            if task.holds_gpus() {
                let length = u128::from(now.since(task.granted_at).as_nanos());
                let amount = u128::from(task.grant.milli()) * length;
                let pool = self.cluster.nodes[task.node.index()].pool;
                job.held.add(pool, amount);
                task.granted_at = now;
            }
        }
    }
}
