//! Conservative backfilling: every job is promised a start when it is submitted.

use std::collections::{BTreeMap, BTreeSet};

use windtunnel_core::{
    Advance, Decisions, DemandId, Fit, Grants, JobId, JobRef, JobView, Knowledge, News, NodeId,
    Plan, Policy, Reason, SimDuration, SimTime, Spots, TaskState, TaskView, View,
};

use super::book::{Book, end_of};
use super::profile::{Amount, Profile};
use super::queue::Entry;
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::place::Placer;
use crate::run_time::{By, RunTimes};

/// The clock's smallest step: what overran its estimate is expected to end that much from now.
const STEP: SimDuration = SimDuration::from_nanos(1);

/// Conservative backfilling: a later job may start early if that delays nobody before it.
///
/// # Decision rule
/// 1. A job that is submitted gets the earliest reservation (start and nodes) that fits into what is
///    free besides everything that runs, until its expected end, and all earlier reservations. Nodes
///    are the placer's choice among what is free on each throughout the job's estimated run.
/// 2. A job starts when its reservation begins.
/// 3. If something ends before its expected end, reservations are *compressed*: in order, each job
///    gives its own up and takes the earliest that fits then. Its old one is still free, so nobody
///    comes later than before.
/// 4. If a reservation begins while somebody who overran his estimate is still there, or a node comes
///    or goes, the promises can't be kept: all are given up, and made anew in order. As long as
///    somebody overruns, jobs start at submissions and ends only.
///
/// A job that would never fit is rejected (`never = wait`: left out of everything). An array
/// reserves for as many tasks as fit at the earliest time at which one does, and for the rest when
/// those start. An elastic job starts with its minimum and is never grown.
///
/// # Knowledge
/// As [`EasyBackfill`](super::EasyBackfill): a job without estimate and limit is taken for endless.
/// Behind endless jobs there may be no reservation to be had; such jobs are looked at again at each
/// event, and start when they fit.
///
/// # Parameters
/// `by`, `order`, `placer`, `never`: as [`EasyBackfill`](super::EasyBackfill). The order is that in
/// which newcomers of one instant reserve, and that of compression.
///
/// # Complexity
/// A reservation: O(steps of the profile), plus O(nodes) for each time at which the cluster as a whole
/// has room. A compression: so much per waiting job. With exact estimates there are none.
///
/// # Differences
/// A job of no length is planned for 1 ns. The textbook plans on a count of processors and so does this where there is one node (a test
/// compares every start). Fractions of GPUs are planned as whole ones.
///
/// # Reference
/// Feitelson and Weil, *Utilization and Predictability in Scheduling the IBM SP2 with Backfilling*,
/// IPPS 1998, §3; compression as in Mu'alem and Feitelson, IEEE TPDS 12(6), 2001, §2.
///
/// # Examples
/// Four GPUs, two of them busy for 10 s; a job of four waits for them, one of three behind it. A job
/// of one and 11 s would delay the first under EASY too; one of two and 10 s delays nobody.
/// ```
/// use windtunnel_core::{JobList, JobLog, JobSpec, NodeModel, RunOptions, SimDuration, SimTime};
/// use windtunnel_core::{Simulation, Supply, TaskRequest};
/// use windtunnel_policies::ConservativeBackfill;
///
/// let job = |gpus, secs| {
///     let run = SimDuration::from_secs(secs);
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), run).estimate(run)
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
/// let jobs = JobList::new(vec![job(2, 10), job(4, 5), job(3, 5), job(1, 11), job(2, 10)]);
/// let mut log = JobLog::default();
/// let policy = ConservativeBackfill::default();
/// Simulation::new(supply, jobs, policy, RunOptions::default())?.run_with(&mut log)?;
/// log.records.sort_by_key(|record| record.job);
/// let starts: Vec<_> = log.records.iter().filter_map(|record| record.start).collect();
/// assert_eq!(starts, [0, 10, 15, 15, 0].map(SimTime::from_secs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConservativeBackfill<P = crate::FirstFit> {
    placer: P,
    never: Never,
    book: Book,
    profile: Option<Profile>,
    waiting: BTreeMap<Key, Planned>,
    running: BTreeMap<(JobId, Option<u32>), Occupied>,
    /// Starts that are promised.
    starts: BTreeSet<(SimTime, Key)>,
    /// Expected ends of what runs and what is promised: where a start may become possible.
    ends: BTreeMap<SimTime, u32>,
    /// Jobs that wait without a reservation.
    unplanned: BTreeSet<Key>,
    /// Jobs to look at in one pass, and shapes that fit at no time; kept for their allocation.
    due: Vec<Key>,
    hopeless: Vec<DemandId>,
    /// Whether something that runs should have ended by now.
    overdue: bool,
    /// Whether an array was started in part: its rest is looked at once that has been applied.
    again: bool,
}

/// A waiting job and its reservation, if it has one.
#[derive(Clone, Debug)]
struct Planned {
    shape: DemandId,
    entry: Entry,
    start: Option<SimTime>,
    spots: Spots,
    parts: Vec<(NodeId, Amount)>,
}

/// What a running job, or task of an array, is thought to take, and until when.
#[derive(Clone, Debug)]
struct Occupied {
    until: SimTime,
    parts: Vec<(NodeId, Amount)>,
}

impl Default for ConservativeBackfill {
    fn default() -> Self {
        Self::new(crate::FirstFit)
    }
}

impl<P: Placer> ConservativeBackfill<P> {
    /// Conservative backfilling in order of submission, by estimate.
    #[must_use]
    pub fn new(placer: P) -> Self {
        Self {
            placer,
            never: Never::default(),
            book: Book::new(Order::default(), RunTimes::default()),
            profile: None,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            starts: BTreeSet::new(),
            ends: BTreeMap::new(),
            unplanned: BTreeSet::new(),
            due: Vec::new(),
            hopeless: Vec::new(),
            overdue: false,
            again: false,
        }
    }

    /// The same in another order, with run times from elsewhere.
    #[must_use]
    pub fn order(mut self, order: Order, by: By) -> Self {
        self.book = Book::new(order, RunTimes::new(by));
        self
    }

    /// The same with another answer to jobs that never fit.
    #[must_use]
    pub fn never(mut self, never: Never) -> Self {
        self.never = never;
        self
    }

    /// Jobs that wait and are promised a start, in order, and when that is.
    pub fn promises(&self) -> impl Iterator<Item = (JobRef, SimTime)> {
        let promise = |planned: &Planned| Some((planned.entry.job, planned.start?));
        self.waiting.values().filter_map(promise)
    }

    /// Notes what others started before this policy took over.
    fn adopt(&mut self, view: &View<'_>) {
        for task in view.nodes().flat_map(|node| node.tasks()) {
            let (id, Some(node)) = (task.id(), task.node()) else {
                continue;
            };
            let until = self.book.expected_end(id).unwrap_or(SimTime::MAX);
            let job = view.job(id.job);
            let trickles = job.is_some_and(|job| job.advance() == Advance::Each);
            let key = (id.job.id, trickles.then_some(id.index));
            let parts = Vec::new();
            let occupied = self.running.entry(key).or_insert(Occupied { until, parts });
            occupied.parts.push((node, Amount::of(task.request())));
        }
    }

    /// Builds the profile from what the cluster is and what runs.
    fn rebuild(&mut self, view: &View<'_>) {
        let nodes: Vec<Amount> = (0..view.node_count())
            .map(|node| {
                let node = view.node(NodeId(u32::try_from(node).unwrap_or(u32::MAX)));
                Amount::of_node(node.capacity(), node.is_open())
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
    fn catch_up(&mut self, view: &View<'_>) {
        let now = view.now();
        for place in 0..self.book.ended.len() {
            let Some(gone) = self.running.remove(&self.book.ended[place]) else {
                continue;
            };
            self.forget_end(gone.until);
            if let Some(profile) = &mut self.profile {
                for (node, amount) in gone.parts {
                    profile.give(node, now, gone.until, amount);
                }
            }
        }
        for place in 0..self.book.left.len() {
            let key = self.book.left[place];
            self.give_up(key);
            self.waiting.remove(&key);
            self.unplanned.remove(&key);
        }
        for &(shape, entry) in &self.book.fresh {
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
    fn extend_overdue(&mut self, now: SimTime) {
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
    fn give_up(&mut self, key: Key) {
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

    fn give_up_all(&mut self) {
        let keys: Vec<Key> = self.starts.iter().map(|(_, key)| *key).collect();
        keys.into_iter().for_each(|key| self.give_up(key));
    }

    /// Reserves the earliest start for a job that has none.
    fn reserve(&mut self, view: &View<'_>, plan: &mut Plan<'_>, key: Key) {
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
                None => match fit_at(view, plan, &self.placer, profile, job, at..end) {
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

    /// Starts a job whose time has come, if what it was promised is there.
    fn start(&mut self, view: &View<'_>, plan: &mut Plan<'_>, key: Key, out: &mut Decisions) {
        let Some(planned) = self.waiting.get(&key).cloned() else {
            return;
        };
        let Some(job) = view.job(planned.entry.job) else {
            return;
        };
        let mark = plan.mark();
        let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
        let tasks: Vec<TaskView<'_>> = job.tasks().filter(pending).collect();
        let mut both = tasks.iter().zip(&planned.spots);
        if !both.all(|(task, spot)| plan.fits(*task, spot.node) && plan.take(*task, spot.node)) {
            plan.undo_to(mark);
            self.give_up(key);
            return;
        }
        out.place(planned.entry.job, planned.spots.iter().copied());
        let until = end_of(view.now(), planned.entry.run).unwrap_or(SimTime::MAX);
        self.starts.remove(&(view.now(), key));
        self.occupy(job, &tasks, &planned, until);
        let count = planned.spots.len();
        if self.book.placed(view, job, planned.entry, count) {
            self.waiting.remove(&key);
        } else if let Some(rest) = self.waiting.get_mut(&key) {
            rest.start = None;
            rest.parts.clear();
            self.unplanned.insert(key);
            self.again = true;
        }
    }

    /// What was reserved is now in use.
    fn occupy(
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

    /// Reserves anew in order (all, or those without a reservation that can be kept), and starts those
    /// whose time has come.
    fn replan(&mut self, view: &View<'_>, plan: &mut Plan<'_>, all: bool, out: &mut Decisions) {
        let now = view.now();
        self.due.clear();
        if all {
            self.due.extend(self.waiting.keys());
        } else {
            let starts = self.starts.iter().take_while(|(start, _)| *start <= now);
            self.due.extend(starts.map(|(_, key)| *key));
            self.due.extend(&self.unplanned);
            self.due.sort_unstable();
        }
        self.hopeless.clear();
        for place in 0..self.due.len() {
            let key = self.due[place];
            let Some(planned) = self.waiting.get(&key) else {
                continue;
            };
            let (shape, begin) = (planned.shape, planned.start);
            if begin.is_none() && self.hopeless.contains(&shape) {
                continue;
            }
            if all || begin != Some(now) {
                self.give_up(key);
                self.reserve(view, plan, key);
            }
            match self.waiting.get(&key).and_then(|planned| planned.start) {
                Some(start) if start == now => self.start(view, plan, key, out),
                Some(_) => {}
                // At the last end of all it does not fit: nor do others of its shape.
                None => self.hopeless.push(shape),
            }
        }
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
            return one;
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

impl<P: Placer + 'static> Policy for ConservativeBackfill<P> {
    fn name(&self) -> &str {
        "conservative-backfill"
    }

    fn knowledge(&self) -> Knowledge {
        self.book.runs.knowledge()
    }

    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.book.begin(view, grants);
        self.placer.begin(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let now = view.now();
        self.book.read(view, news);
        self.book.turn_away(view, self.never, out);
        self.catch_up(view);
        let anew = self.profile.is_none() || !news.nodes.is_empty() || !news.refused.is_empty();
        if self.profile.is_none() {
            self.adopt(view);
        }
        if anew {
            self.rebuild(view);
        }
        self.extend_overdue(now);
        if self.waiting.is_empty() {
            self.starts.clear();
            return;
        }
        // The first promise could not be kept, or can't be now.
        let first = self.starts.first().map(|(start, _)| *start);
        let broken = first.is_some_and(|start| start < now || (self.overdue && start == now));
        if broken {
            self.give_up_all();
        }
        let mut plan = view.plan();
        let all = self.book.surprised || anew || broken;
        self.replan(view, &mut plan, all, out);
        drop(plan);
        for place in 0..self.book.fresh.len() {
            let (_, entry) = self.book.fresh[place];
            if self.waiting.contains_key(&entry.key) {
                out.waiting(entry.job, Reason::Reservation);
            }
        }
        if let Some(profile) = &mut self.profile
            && profile.steps() > 64 + 4 * (self.waiting.len() + self.running.len())
        {
            profile.forget_before(now);
        }
        // Ends that come when they are due wake us; a start may also be promised at another time. While
        // somebody overruns, what is promised moves on with the clock, and his end is what to wait for.
        let mut starts = self.starts.iter().map(|(start, _)| *start);
        let next = starts.find(|start| *start > now).filter(|_| !self.overdue);
        if std::mem::take(&mut self.again) {
            out.wake_at(now);
        } else if let Some(next) = next {
            out.wake_at(next);
        }
    }
}
