//! Units that are asked for their speed again although they stay what and where they were: a phase of
//! their own is over, or a neighbour came, went, started or stands still.
//!
//! What their tasks do stays as it is, so nothing is counted over them and they are booked as a whole.
//! Of a unit on many nodes only those are asked about where something changed: O(tasks on these nodes +
//! log nodes), where the speed model answers node by node ([`SpeedByNode`](crate::SpeedByNode)); else
//! O(tasks) of the unit. On over-committed GPUs O(nodes), if what it does changes.

use super::Simulation;
use super::progress::whole_nanos;
use crate::speed::{Front, Speed};

/// Tasks up to which a unit is asked about as a whole: it costs no more, and nothing is kept.
const FEW: usize = 8;

impl Simulation {
    /// Asks a unit that advances, and has not moved, how fast it is from now on, and books that.
    pub(super) fn ask_again(&mut self, slot: u32, unit: usize) {
        self.catch_up(slot, unit);
        let front = self.take_front(slot, unit);
        let speed = match front {
            Some(mut front) => {
                let speed = self.speed_by_node(slot, unit, &mut front);
                self.world.jobs.slot_mut(slot).units[unit].front = Some(front);
                speed
            }
            None => self.speed_of(slot, unit),
        };
        self.take_speed(slot, unit, speed);
        self.rebook_unit(slot, unit);
    }

    /// What is kept of a unit on many nodes, for a moment.
    fn take_front(&mut self, slot: u32, unit: usize) -> Option<Box<Front>> {
        let job = self.world.jobs.slot_mut(slot);
        let is_wide = job.tasks_of(unit).len() > FEW;
        let entry = &mut job.units[unit];
        if !is_wide || !entry.spans_nodes {
            return None;
        }
        self.platform.speed.by_node()?;
        Some(entry.front.take().unwrap_or_else(|| Box::new(Front::new())))
    }

    /// The speed of a unit by what is kept of its nodes.
    fn speed_by_node(&self, slot: u32, unit: usize, front: &mut Front) -> Speed {
        let job = self.world.jobs.slot(slot);
        let (profile, done) = (&job.spec.profile, whole_nanos(job.units[unit].done));
        let Some(model) = self.platform.speed.by_node() else {
            return self.speed_of(slot, unit);
        };
        let running = if front.is_valid() {
            front.running()
        } else {
            self.running(slot, unit)
        };
        let (on, beside) = self.placement(slot, unit, running);
        let limits = front.limits(&on, |part| model.limits(profile, &on, &beside, part));
        let speed = model.speed_within(profile, &on, &limits, done);
        debug_assert_eq!(
            speed,
            self.platform.speed.speed(profile, &on, &beside, done),
            "{}: what is kept of its nodes is not what is there",
            job.id
        );
        speed
    }

    /// The speed of a unit, as a whole.
    #[inline]
    pub(super) fn speed_of(&self, slot: u32, unit: usize) -> Speed {
        let job = self.world.jobs.slot(slot);
        let (on, beside) = self.placement(slot, unit, self.running(slot, unit));
        let done = whole_nanos(job.units[unit].done);
        let model = &self.platform.speed;
        model.speed(&job.spec.profile, &on, &beside, done)
    }

    /// Running tasks of a unit.
    #[inline]
    fn running(&self, slot: u32, unit: usize) -> u32 {
        let job = self.world.jobs.slot(slot);
        let tasks = job.tasks[job.tasks_of(unit)].iter();
        let running = tasks.filter(|task| task.works()).count();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    /// Books the GPUs of a unit, whose tasks do what they did, under what these do now.
    fn rebook_unit(&mut self, slot: u32, unit: usize) {
        let now = self.world.now;
        let job = self.world.jobs.slot_mut(slot);
        let range = job.tasks_of(unit);
        let entry = &mut job.units[unit];
        let slices = entry.slices;
        let booked = std::mem::replace(&mut entry.booked, slices);
        if booked == slices {
            return;
        }
        let ledger = &mut self.ledger;
        entry
            .weights
            .each(|pool, milli| ledger.rebook(pool, milli, (booked, slices), now));
        if self.crowds.is_needed() {
            for task in job.tasks[range].iter().filter(|task| task.works()) {
                let node = &self.world.cluster.nodes[task.node.index()];
                if node.free.sharing.overcommits() {
                    self.crowds.mark(task.node);
                }
            }
        }
    }
}
