//! Why jobs wait, said once per change.

use windtunnel_core::{Advance, Decisions, JobRef, Reason, TaskState, View};

use super::queue::{Pod, Queue, Told};

/// Jobs of which something changed in this call.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasons {
    touched: Vec<(JobRef, Told)>,
    bound: Vec<JobRef>,
}

impl Reasons {
    /// A pod was bound: if it is one of several, its gang may be incomplete now.
    pub(super) fn bound(&mut self, job: JobRef) {
        self.bound.push(job);
    }

    /// A pod found no node.
    pub(super) fn unschedulable(&mut self, pod: &mut Pod) {
        if pod.told != Told::Unschedulable {
            pod.told = Told::Unschedulable;
            self.touched.push((pod.task.job, Told::Unschedulable));
        }
    }

    /// Pods that stay in backoffQ after this call: those that would fit wait for the end of their
    /// backoff, the others would wait without it.
    pub(super) fn backing_off(&mut self, queue: &mut Queue, mut fits: impl FnMut(&Pod) -> bool) {
        for place in 0..queue.backing_off().len() {
            let id = queue.backing_off()[place];
            if !queue.waits(id) {
                continue;
            }
            let pod = queue.pod_mut(id);
            let now = if fits(pod) {
                Told::Backoff
            } else {
                Told::Unschedulable
            };
            if pod.told != now {
                pod.told = now;
                self.touched.push((pod.task.job, now));
            }
        }
    }

    /// Says it.
    pub(super) fn say(&mut self, view: &View<'_>, out: &mut Decisions) {
        self.bound.sort_unstable();
        let mut last = None;
        for place in 0..self.bound.len() {
            let job = self.bound[place];
            if last != Some(job)
                && view
                    .job(job)
                    .is_some_and(|job| job.tasks().nth(1).is_some())
            {
                self.touched.push((job, Told::Nothing));
            }
            last = Some(job);
        }
        // Of what is new of one job, the strongest comes last and counts.
        self.touched
            .sort_unstable_by_key(|&(job, told)| (job, told as u8));
        for place in 0..self.touched.len() {
            let (job, told) = self.touched[place];
            let next = self.touched.get(place + 1);
            if next.is_none_or(|(other, _)| *other != job) {
                self.say_of(view, job, told, out);
            }
        }
        self.touched.clear();
        self.bound.clear();
    }

    fn say_of(&self, view: &View<'_>, job: JobRef, told: Told, out: &mut Decisions) {
        let Some(found) = view.job(job).filter(|job| job.is_queued()) else {
            return;
        };
        let first = self.bound.partition_point(|other| *other < job);
        let new = self.bound[first..]
            .iter()
            .take_while(|other| **other == job);
        let new = u32::try_from(new.count()).unwrap_or(u32::MAX);
        let bound = found.tasks_bound() + new;
        let waits = match found.advance() {
            Advance::Between { min, .. } => bound < min,
            _ => found.tasks_in(TaskState::Pending) > new,
        };
        if !waits {
            return;
        }
        match told {
            Told::Backoff => out.waiting(job, Reason::Backoff),
            // Said even of half a gang, for the autoscaler hears of unschedulable pods by this.
            Told::Unschedulable => out.waiting(job, Reason::DoesNotFit),
            Told::Nothing => {}
        }
        if bound > 0 && found.advance() != Advance::Each {
            out.waiting(job, Reason::Gang);
        }
    }
}
