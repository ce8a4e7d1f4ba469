//! Who was promised what, and when: reservations of waiting jobs, and what runs until when.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Advance, DemandId, Fit, JobId, JobView, NodeId, Plan, SimDuration, SimTime, Spots, TaskState,
    TaskView, View,
};

use super::book::{Book, end_of};
use super::profile::{Amount, Profile};
use super::queue::Entry;
use crate::order::Key;
use crate::place::Placer;

/// The clock's smallest step: what overran its estimate is expected to end that much from now.
const STEP: SimDuration = SimDuration::from_nanos(1);

/// A waiting job and its reservation, if it has one.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) shape: DemandId,
    pub(super) entry: Entry,
    pub(super) start: Option<SimTime>,
    pub(super) spots: Spots,
    pub(super) parts: Vec<(NodeId, Amount)>,
}

/// What a running job, or task of an array, is thought to take, and until when.
#[derive(Clone, Debug)]
pub(super) struct Occupied {
    until: SimTime,
    parts: Vec<(NodeId, Amount)>,
}

/// Reservations and what runs, and the profile of what they leave free.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendar {
    pub(super) profile: Option<Profile>,
    pub(super) waiting: BTreeMap<Key, Planned>,
    pub(super) running: BTreeMap<(JobId, Option<u32>), Occupied>,
    /// Starts that are promised.
    pub(super) starts: BTreeSet<(SimTime, Key)>,
    /// Expected ends of what runs and what is promised: where a start may become possible.
    ends: BTreeMap<SimTime, u32>,
    /// Jobs that wait without a reservation.
    pub(super) unplanned: BTreeSet<Key>,
    /// Whether something that runs should have ended by now.
    pub(super) overdue: bool,
}

impl Calendar {
    /// Notes what others started before this policy took over.
    pub(super) fn adopt(&mut self, view: &View<'_>, book: &Book) {
        for task in view.nodes().flat_map(|node| node.tasks()) {
            let (id, Some(node)) = (task.id(), task.node()) else {
                continue;
            };
            let until = book.expected_end(id).unwrap_or(SimTime::MAX);
            let job = view.job(id.job);
            let trickles = job.is_some_and(|job| job.advance() == Advance::Each);
            let key = (id.job.id, trickles.then_some(id.index));
            let parts = Vec::new();
            let occupied = self.running.entry(key).or_insert(Occupied { until, parts });
            occupied.parts.push((node, Amount::of(task.request())));
        }
    }

    /// Builds the profile from what the cluster is and what runs.
    pub(super) fn rebuild(&mut self, view: &View<'_>) {
        let nodes: Vec<Amount> = (0..view.node_count())
            .map(|node| {
                let node = NodeId(u32::try_from(node).unwrap_or(u32::MAX));
                Amount::of_node(view.node(node))
            })
            .collect();
        let mut profile = Profile::new(&nodes);
        for occupied in self.running.values() {
            for (node, amount) in &occupied.parts {
                profile.take(*node, view.now(), occupied.until, *amount);
            }
        }
        self.profile = Some(profile);
        self.starts.clear();
        self.ends.clear();
        for occupied in self.running.values() {
            *self.ends.entry(occupied.until).or_default() += 1;
        }
        for (key, planned) in &mut self.waiting {
            planned.start = None;
            self.unplanned.insert(*key);
        }
    }

    fn forget_end(&mut self, end: SimTime) {
        if let Some(count) = self.ends.get_mut(&end) {
            *count -= 1;
            if *count == 0 {
                self.ends.remove(&end);
            }
        }
    }

    /// Gives back what ended; takes newcomers in, and out who left.
    pub(super) fn catch_up(&mut self, view: &View<'_>, book: &Book) {
        let now = view.now();
        for place in 0..book.ended.len() {
            let Some(gone) = self.running.remove(&book.ended[place]) else {
                continue;
            };
            self.forget_end(gone.until);
            if let Some(profile) = &mut self.profile {
                for (node, amount) in gone.parts {
                    profile.give(node, now, gone.until, amount);
                }
            }
        }
        for place in 0..book.left.len() {
            let key = book.left[place];
            self.give_up(key);
            self.waiting.remove(&key);
            self.unplanned.remove(&key);
        }
        for &(shape, entry) in &book.fresh {
            // Two jobs of no length must not be promised the same capacity at the same time.
            let run = entry.run.max(STEP.as_nanos());
            let planned = Planned {
                shape,
                entry: Entry { run, ..entry },
                start: None,
                spots: Spots::new(),
                parts: Vec::new(),
            };
            self.waiting.insert(entry.key, planned);
            self.unplanned.insert(entry.key);
        }
    }

    /// What should have ended is expected to end in a moment.
    pub(super) fn extend_overdue(&mut self, now: SimTime) {
        let soon = now.saturating_add(STEP);
        self.overdue = false;
        if self
            .ends
            .first_key_value()
            .is_none_or(|(end, _)| *end > now)
        {
            return;
        }
        while let Some((&end, _)) = self.ends.first_key_value().filter(|(end, _)| **end <= now) {
            self.ends.remove(&end);
        }
        let Some(profile) = &mut self.profile else {
            return;
        };
        for occupied in self.running.values_mut().filter(|gone| gone.until <= now) {
            for (node, amount) in &occupied.parts {
                profile.take(*node, now, soon, *amount);
            }
            occupied.until = soon;
            self.overdue = true;
            *self.ends.entry(soon).or_default() += 1;
        }
    }

    /// Gives up a job's reservation.
    pub(super) fn give_up(&mut self, key: Key) {
        let Some(planned) = self.waiting.get_mut(&key) else {
            return;
        };
        let Some(start) = planned.start.take() else {
            return;
        };
        let end = end_of(start, planned.entry.run).unwrap_or(SimTime::MAX);
        let parts = std::mem::take(&mut planned.parts);
        self.unplanned.insert(key);
        self.starts.remove(&(start, key));
        self.forget_end(end);
        if let Some(profile) = &mut self.profile {
            for (node, amount) in parts {
                profile.give(node, start, end, amount);
            }
        }
    }

    pub(super) fn give_up_all(&mut self) {
        let keys: Vec<Key> = self.starts.iter().map(|(_, key)| *key).collect();
        keys.into_iter().for_each(|key| self.give_up(key));
    }

    /// Reserves the earliest start for a job that has none.
    pub(super) fn reserve<P: Placer>(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        placer: &P,
        key: Key,
    ) {
        let (Some(planned), Some(profile)) = (self.waiting.get(&key), &mut self.profile) else {
            return;
        };
        let Some(job) = view.job(planned.entry.job) else {
            return;
        };
        let run = planned.entry.run;
        let wanted = least_of(job);
        let mut at = view.now();
        let found = loop {
            let end = end_of(at, run)
                .unwrap_or(SimTime::MAX)
                .max(at.saturating_add(STEP));
            let again = match profile.blocked_until(at, end, &wanted) {
                Some(until) => until,
                None => match fit_at(view, plan, placer, profile, job, at..end) {
                    Some(spots) => break Some((at, spots)),
                    None => at.saturating_add(STEP),
                },
            };
            // A start becomes possible only where something ends.
            match self.ends.range(again..).next() {
                Some((&end, _)) if end < SimTime::MAX => at = end,
                _ => break None,
            }
        };
        let Some((start, spots)) = found else { return };
        let end = end_of(start, run).unwrap_or(SimTime::MAX);
        let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
        let tasks = job.tasks().filter(pending).zip(&spots);
        let parts: Vec<(NodeId, Amount)> = tasks
            .map(|(task, spot)| (spot.node, Amount::of(task.request())))
            .collect();
        for (node, amount) in &parts {
            profile.take(*node, start, end, *amount);
        }
        *self.ends.entry(end).or_default() += 1;
        self.starts.insert((start, key));
        self.unplanned.remove(&key);
        if let Some(planned) = self.waiting.get_mut(&key) {
            (planned.start, planned.spots, planned.parts) = (Some(start), spots, parts);
        }
    }

    /// What was reserved is now in use.
    pub(super) fn occupy(
        &mut self,
        job: JobView<'_>,
        tasks: &[TaskView<'_>],
        planned: &Planned,
        until: SimTime,
    ) {
        if job.advance() == Advance::Each {
            self.forget_end(until);
            for (task, part) in tasks.iter().zip(&planned.parts) {
                let parts = vec![*part];
                let key = (job.job_id(), Some(task.id().index));
                self.running.insert(key, Occupied { until, parts });
                *self.ends.entry(until).or_default() += 1;
            }
            return;
        }
        let key = (job.job_id(), None);
        let mut parts = planned.parts.clone();
        if let Some(before) = self.running.remove(&key) {
            // The rest of a gang of which some tasks were lost: all of it counts from now.
            self.forget_end(before.until);
            if let Some(profile) = &mut self.profile {
                for (node, amount) in &before.parts {
                    profile.take(*node, before.until, until, *amount);
                }
            }
            parts.extend(before.parts);
        }
        self.running.insert(key, Occupied { until, parts });
    }
}

/// What must be free in all for any of a job to start.
fn least_of(job: JobView<'_>) -> Amount {
    let mut wanted = Amount::default();
    for group in job.groups() {
        let one = Amount::of(&group.request);
        let count = match job.advance() {
            Advance::Each => 1,
            Advance::Between { min, .. } => min,
            Advance::All => group.count,
        };
        let missing = job.tasks_in(TaskState::Pending).min(count);
        (0..missing).for_each(|_| wanted += one);
        if job.groups().len() > 1 && job.tasks_in(TaskState::Pending) < total(job) {
            // Some tasks have a place, and which are missing is not worth the look.
            return Amount::default();
        }
    }
    wanted
}

fn total(job: JobView<'_>) -> u32 {
    job.groups().iter().map(|group| group.count).sum()
}

/// Where a job fits if it has what is free throughout a time.
fn fit_at<P: Placer>(
    view: &View<'_>,
    plan: &mut Plan<'_>,
    placer: &P,
    profile: &Profile,
    job: JobView<'_>,
    time: std::ops::Range<SimTime>,
) -> Option<Spots> {
    let mark = plan.mark();
    for node in view.nodes() {
        let mut free = profile
            .least(node.id(), time.start, time.end)
            .on(node.capacity());
        free.open = node.is_open();
        if free != *plan.free(node.id()) {
            plan.set_free(node.id(), free);
        }
    }
    let fit = if plan.may_fit_shape(job.shape()) {
        placer.place(job, plan)
    } else {
        Fit::NotNow
    };
    plan.undo_to(mark);
    match fit {
        Fit::Now(spots) => Some(spots),
        _ => None,
    }
}
