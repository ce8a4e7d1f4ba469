//! Conservative backfilling: every job is promised a start when it is submitted.

use windtunnel_core::{
    Decisions, DemandId, Explanation, Grants, JobRef, Knowledge, News, Plan, Policy, Reason,
    SimTime, TaskRef, TaskState, TaskView, View,
};

use super::book::{Book, end_of};
use super::calendar::{Calendar, Planned};
use super::words;
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::place::Placer;
use crate::run_time::{By, RunTimes};

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
/// A job of no length is planned for 1 ns. The textbook plans on a count of processors, and so does
/// this where there is one node (a test compares every start). Fractions of GPUs are planned as whole
/// ones, so where pools share GPUs this policy packs worse than it could.
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
    calendar: Calendar,
    /// Jobs to look at in one pass, and shapes that fit at no time; kept for their allocation.
    due: Vec<Key>,
    hopeless: Vec<DemandId>,
    /// Whether an array was started in part: its rest is looked at once that has been applied.
    again: bool,
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
            calendar: Calendar::default(),
            due: Vec::new(),
            hopeless: Vec::new(),
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
        self.calendar.waiting.values().filter_map(promise)
    }

    /// Starts a job whose time has come, if what it was promised is there.
    fn start(&mut self, view: &View<'_>, plan: &mut Plan<'_>, key: Key, out: &mut Decisions) {
        let Some(planned) = self.calendar.waiting.get(&key).cloned() else {
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
            self.calendar.give_up(key);
            return;
        }
        out.place(planned.entry.job, planned.spots.iter().copied());
        let until = end_of(view.now(), planned.entry.run).unwrap_or(SimTime::MAX);
        self.calendar.starts.remove(&(view.now(), key));
        self.calendar.occupy(job, &tasks, &planned, until);
        let count = planned.spots.len();
        if self.book.placed(view, job, planned.entry, count) {
            self.calendar.waiting.remove(&key);
        } else if let Some(rest) = self.calendar.waiting.get_mut(&key) {
            rest.start = None;
            rest.parts.clear();
            self.calendar.unplanned.insert(key);
            self.again = true;
        }
    }

    /// Reserves anew in order (all, or those without a reservation that can be kept), and starts those
    /// whose time has come.
    fn replan(&mut self, view: &View<'_>, plan: &mut Plan<'_>, all: bool, out: &mut Decisions) {
        let now = view.now();
        self.due.clear();
        if all {
            self.due.extend(self.calendar.waiting.keys());
        } else {
            let starts = self
                .calendar
                .starts
                .iter()
                .take_while(|(start, _)| *start <= now);
            self.due.extend(starts.map(|(_, key)| *key));
            if self.book.grew {
                self.due.extend(&self.calendar.unplanned);
            } else {
                // Nothing was given back: who could not be promised anything still can't.
                let fresh = self.book.fresh.iter();
                self.due.extend(fresh.map(|(_, entry)| entry.key));
            }
            self.due.sort_unstable();
        }
        self.hopeless.clear();
        for place in 0..self.due.len() {
            let key = self.due[place];
            let Some(planned) = self.calendar.waiting.get(&key) else {
                continue;
            };
            let (shape, begin) = (planned.shape, planned.start);
            if begin.is_none() && self.hopeless.contains(&shape) {
                continue;
            }
            if all || begin != Some(now) {
                self.calendar.give_up(key);
                self.calendar.reserve(view, plan, &self.placer, key);
            }
            match self
                .calendar
                .waiting
                .get(&key)
                .and_then(|planned| planned.start)
            {
                Some(start) if start == now => self.start(view, plan, key, out),
                Some(_) => {}
                // At the last end of all it does not fit: nor do others of its shape.
                None => self.hopeless.push(shape),
            }
        }
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
        self.calendar.catch_up(view, &self.book);
        let anew =
            self.calendar.profile.is_none() || !news.nodes.is_empty() || !news.refused.is_empty();
        if self.calendar.profile.is_none() {
            self.calendar.adopt(view, &self.book);
        }
        if anew {
            self.calendar.rebuild(view);
        }
        self.calendar.extend_overdue(now);
        if self.calendar.waiting.is_empty() {
            self.calendar.starts.clear();
            return;
        }
        // The first promise could not be kept, or can't be now.
        let first = self.calendar.starts.first().map(|(start, _)| *start);
        let broken =
            first.is_some_and(|start| start < now || (self.calendar.overdue && start == now));
        if broken {
            self.calendar.give_up_all();
        }
        let mut plan = view.plan();
        let all = self.book.surprised || anew || broken;
        self.replan(view, &mut plan, all, out);
        drop(plan);
        for place in 0..self.book.fresh.len() {
            let (_, entry) = self.book.fresh[place];
            if self.calendar.waiting.contains_key(&entry.key) {
                out.waiting(entry.job, Reason::Reservation);
            }
        }
        if let Some(profile) = &mut self.calendar.profile
            && profile.steps()
                > 64 + 4 * (self.calendar.waiting.len() + self.calendar.running.len())
        {
            profile.forget_before(now);
        }
        // Ends that come when they are due wake us; a start may also be promised at another time. While
        // somebody overruns, what is promised moves on with the clock, and his end is what to wait for.
        let mut starts = self.calendar.starts.iter().map(|(start, _)| *start);
        let next = starts
            .find(|start| *start > now)
            .filter(|_| !self.calendar.overdue);
        if std::mem::take(&mut self.again) {
            out.wake_at(now);
        } else if let Some(next) = next {
            out.wake_at(next);
        }
    }

    fn explain(&self, task: TaskRef, _: &View<'_>) -> Option<Explanation> {
        let mut waiting = self.calendar.waiting.values();
        let planned = waiting.find(|planned| planned.entry.job == task.job)?;
        let text = match planned.start {
            Some(at) => {
                let nodes = planned.spots.iter().map(|spot| spot.node);
                words::promised(at, nodes.collect())
            }
            None => "promised nothing: nobody can say when it fits".to_owned(),
        };
        Some(Explanation {
            text: format!("it is {text}"),
        })
    }
}
