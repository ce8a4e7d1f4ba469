//! What happens to nodes, tasks and jobs, and whose progress is lost by it.

use std::sync::PoisonError;

use windtunnel_core::{
    Advance, Bucket, DeviceSet, Event, EventKind, FaultKind, FaultStep, JobRef, Keeps, NodeEvent,
    NodeId, Refusal, TaskEnd, TaskState,
};

use super::Naive;
use super::job::Job;
use crate::chaos::{Said, Stop};

impl Naive {
    fn stop(&mut self, job: JobRef, unit: usize, stop: Stop) {
        let Some(found) = self.live.get_mut(&job) else {
            return;
        };
        let entry = &mut found.units[unit];
        if entry.done {
            return;
        }
        match stop {
            Stop::Kept => {}
            Stop::Saved => entry.save(),
            Stop::Lost => {
                entry.left = entry.saved;
                entry.running = 0;
                for (pool, amount) in std::mem::take(&mut entry.unsaved) {
                    found.lost += amount;
                    let useful = (pool, Bucket::AllocatedUseful, None);
                    let sum = self.sums.get_mut(&useful).unwrap();
                    *sum = sum.checked_sub(amount).unwrap();
                    let lost = (pool, Bucket::AllocatedLost, None);
                    *self.sums.entry(lost).or_default() += amount;
                }
            }
        }
    }

    fn stop_all(&mut self, job: JobRef, stop: Stop) {
        let units = self.live.get(&job).map_or(0, |found| found.units.len());
        for unit in 0..units {
            self.stop(job, unit, stop);
        }
    }

    pub(super) fn unit_of(&self, job: JobRef, (group, index): (u16, u32)) -> usize {
        let found = &self.live[&job];
        if found.spec.request.advance == Advance::Each {
            let before = &found.spec.request.groups[..usize::from(group)];
            (before.iter().map(|g| g.count).sum::<u32>() + index) as usize
        } else {
            0
        }
    }

    /// What happened by itself, before anybody decided.
    pub(super) fn truths(&mut self) {
        for Event { kind, .. } in self.tape.clone() {
            match kind {
                EventKind::Submitted { job } => {
                    let spec = self.specs[job.id.index()].clone();
                    let never = !self.could_ever(&spec);
                    self.live.insert(job, Job::new(spec, never));
                }
                EventKind::Task {
                    task,
                    from,
                    to,
                    node,
                    end,
                } => {
                    let place = (task.group, task.index);
                    if end == Some(TaskEnd::Done) {
                        let unit = self.unit_of(task.job, place);
                        let entry = &mut self.live.get_mut(&task.job).unwrap().units[unit];
                        entry.done = true;
                        let left = entry.left.expect("what never ends is never done");
                        let rate = entry.advance.as_ref().map_or(0, |pace| pace.rate);
                        assert!(left <= 0, "{task} is done with {left} left");
                        assert!(
                            left == 0 || left > -i128::from(rate),
                            "{task} is late: {left}"
                        );
                    }
                    let job = self.live.get_mut(&task.job).unwrap();
                    if from == TaskState::Suspended && to == TaskState::Starting {
                        let kept = job.keeps.get(&place).copied();
                        if kept.is_some_and(|kept| kept != Keeps::Nothing) {
                            job.resuming.insert(place);
                        }
                    } else if to == TaskState::Starting {
                        job.resuming.remove(&place);
                    }
                    match node {
                        Some(node) => job.places.insert(place, (node, to)),
                        None => job.places.remove(&place),
                    };
                }
                EventKind::Node { node, what, .. } => match what {
                    NodeEvent::Failed => {
                        self.failed.insert(node);
                        self.hit(node, |_, _, _| true);
                    }
                    NodeEvent::Repaired | NodeEvent::Released => {
                        self.failed.remove(&node);
                        if what == NodeEvent::Released {
                            self.cordoned.remove(&node);
                            self.draining.remove(&node);
                            self.broken.remove(&node);
                            self.slow.remove(&node);
                        }
                    }
                    NodeEvent::Cordoned => {
                        self.cordoned.insert(node);
                    }
                    NodeEvent::Uncordoned => {
                        self.cordoned.remove(&node);
                    }
                    // A node that was switched on again is a fresh one.
                    NodeEvent::Booting => {
                        self.failed.remove(&node);
                    }
                    _ => {}
                },
                EventKind::Fault {
                    node, what, step, ..
                } => self.fault(node, what, step),
                _ => {}
            }
        }
    }

    /// What a fault of less than a node does.
    fn fault(&mut self, node: NodeId, what: FaultKind, step: FaultStep) {
        match (what, step) {
            (FaultKind::Gpu(gpu), FaultStep::Began) => {
                let failed = DeviceSet::one(gpu.into());
                self.broken.entry(node).or_default().0 |= failed.0;
                self.hit(node, |job, place, state| {
                    let all = job.keeps.get(place) == Some(&Keeps::Everything);
                    let held = job.devices.get(place).copied().unwrap_or_default();
                    (state != TaskState::Suspended || all) && held.0 & failed.0 != 0
                });
            }
            (FaultKind::Gpu(gpu), FaultStep::Ended) => {
                let failed = DeviceSet::one(gpu.into());
                self.broken.get_mut(&node).unwrap().0 &= !failed.0;
            }
            (FaultKind::Slow(to), FaultStep::Began) => {
                self.slow.insert(node, to.0);
            }
            (FaultKind::Slow(_), FaultStep::Ended) => {
                self.slow.remove(&node);
            }
            (FaultKind::Drain { .. }, FaultStep::Began) => {
                self.draining.insert(node);
            }
            (FaultKind::Drain { .. }, FaultStep::Opened) => self.hit(node, |_, _, _| true),
            (FaultKind::Drain { .. }, FaultStep::Ended) => {
                self.draining.remove(&node);
            }
            _ => {}
        }
    }

    /// Units with a part in progress on a node, of those that are affected, lose what is unsaved.
    fn hit(&mut self, node: NodeId, affected: impl Fn(&Job, &(u16, u32), TaskState) -> bool) {
        let mut hit = Vec::new();
        for (job, found) in &self.live {
            for (place, (on, state)) in &found.places {
                let works = match state {
                    TaskState::Running | TaskState::Suspended => true,
                    TaskState::Starting => found.resuming.contains(place),
                    TaskState::Ending => found.keeping.contains(place),
                    _ => false,
                };
                if *on == node && works && affected(found, place, *state) {
                    hit.push((*job, *place));
                }
            }
        }
        for (job, place) in hit {
            let unit = self.unit_of(job, place);
            self.stop(job, unit, Stop::Lost);
        }
    }

    /// What was decided: evictions, and what policies say.
    pub(super) fn decisions(&mut self) {
        let said = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        for said in said {
            match said {
                Said::Own(job, why) => {
                    self.own.insert(job, why);
                }
                Said::Shape(shape, why) => {
                    self.shape.insert(shape, why);
                }
                Said::Queue(queue, why) => {
                    self.queue.insert(queue, why);
                }
                Said::Stopped(job, places, stop, keeps) => {
                    for place in places {
                        let unit = self.unit_of(job, place);
                        self.stop(job, unit, stop);
                        let keeping = &mut self.live.get_mut(&job).unwrap().keeping;
                        if keeps {
                            keeping.insert(place);
                        } else {
                            keeping.remove(&place);
                        }
                    }
                }
                Said::Interrupted(job, places, stop, keeps) => {
                    for place in places {
                        if self.live[&job].resuming.contains(&place) {
                            let unit = self.unit_of(job, place);
                            self.stop(job, unit, stop);
                            if keeps {
                                let keeping = &mut self.live.get_mut(&job).unwrap().keeping;
                                keeping.insert(place);
                            }
                        }
                    }
                }
                Said::Keeps(job, places, keeps) => {
                    let found = self.live.get_mut(&job).unwrap();
                    found
                        .keeps
                        .extend(places.iter().map(|place| (*place, keeps)));
                }
                Said::Placed(job, ..) => {
                    self.instances.placed.insert(job);
                }
                Said::Moved(job) => {
                    self.instances.moved.insert(job);
                }
            }
        }
    }

    /// What controllers and finished jobs throw away.
    pub(super) fn endings(&mut self) {
        for job in self.live.values_mut() {
            let places = &job.places;
            let starts = |place: &(u16, u32)| {
                let there = places.get(place);
                there.is_some_and(|(_, state)| *state == TaskState::Starting)
            };
            job.resuming.retain(starts);
        }
        for Event { kind, .. } in std::mem::take(&mut self.tape) {
            match kind {
                EventKind::Task {
                    task,
                    end: Some(TaskEnd::Stopped),
                    ..
                } => {
                    let unit = self.unit_of(task.job, (task.group, task.index));
                    self.stop(task.job, unit, Stop::Lost);
                }
                // Back, or moved, to GPUs whose memory does not suffice; one that was placed there has
                // nothing to lose.
                EventKind::Task {
                    task,
                    from,
                    end: Some(TaskEnd::Refused(Refusal::OutOfMemory)),
                    ..
                } if from != TaskState::Pending => {
                    let unit = self.unit_of(task.job, (task.group, task.index));
                    self.stop(task.job, unit, Stop::Lost);
                }
                EventKind::Ended { job, outcome } => {
                    if !outcome.as_in_truth() {
                        self.stop_all(job, Stop::Lost);
                    }
                    let found = self.live.remove(&job).unwrap();
                    self.own.remove(&job);
                    self.ended.insert(job.id, found);
                }
                _ => {}
            }
        }
    }
}
