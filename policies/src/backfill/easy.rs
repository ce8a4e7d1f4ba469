//! EASY: only the first job that does not fit is promised a start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use windtunnel_core::{
    Decisions, DemandId, Explanation, Fit, Grants, JobRef, JobView, Knowledge, Mark, News,
    NodeFree, NodeId, Plan, Policy, Reason, SimTime, Spot, TaskRef, TaskState, TaskView, View,
};

use super::book::Book;
use super::queue::Entry;
use super::reservation::{Mine, Reservation};
use super::words;
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::place::Placer;
use crate::run_time::{By, RunTimes};

/// EASY backfilling: a later job may start at once if that does not delay the first one in line.
///
/// # Decision rule
/// At each submission and each end, once everything of that instant has happened:
/// 1. Start jobs in order while they fit, where the placer says. The first that does not is the *head*.
/// 2. Give the head a reservation: walk through the expected ends of what runs, soonest first, until
///    it fits (all that ends at one time ends together). That is its *shadow time*; the placer picks
///    its nodes as they will be then, and what it leaves there is *extra*.
/// 3. Go through the others in order. One that fits now starts if by its estimate it ends no later
///    than the shadow time; or if it fits beside the head: on the head's nodes within the extra, on
///    other nodes anyhow. It then uses up its part of the extra.
///
/// The reservation stands until the job starts or something changes what it was computed from: a job
/// ends before its time, a node comes or goes, a job ahead of the head starts, or the shadow time
/// passes. Ends that come when they are due change nothing.
///
/// A job that would never fit is rejected (`never = wait`: left out of everything). An array
/// starts as many tasks as fit, each with the job's estimate; at the head it is promised what fits of
/// it at the shadow time. An elastic job starts with its minimum and is never grown.
///
/// # Knowledge
/// Estimate: a job is expected to run as long as its estimate says; without one, as long as its
/// walltime limit; without either, for ever, and behind such jobs the head may have no shadow time:
/// then whatever fits may start. What overran its estimate is expected to end in the clock's smallest
/// step, 1 ns from now, at each look. With `by = oracle` it knows the truth, and declares so.
///
/// # Parameters
/// `by` = `estimate` (default) or `oracle`; `order` = `fcfs` (default), `sjf` (shortest estimate first)
/// or `priority`; `placer` = `first-fit` (default), `best-fit`, `worst-fit` or `random`; `never` =
/// `reject` (default) or `wait`.
///
/// # Complexity
/// A submission that changes nothing: O(log n) for n waiting jobs. An end: O(shapes that wait), plus
/// O(√n) per job started. A new reservation: O(what is due before the shadow time); none is computed
/// where nothing changed. Nodes are never gone through.
///
/// # Differences
/// None from the original on a single count of processors (a test compares every start with twenty
/// lines of the textbook). There, all processors are alike; here the reservation is of nodes, and
/// stays on them while it stands. Where pools share GPUs in fractions, nothing that outlasts the
/// shadow time is put on the head's nodes.
///
/// # Reference
/// Lifka, *The ANL/IBM SP Scheduling System*, JSSPP 1995; the rules as in Mu'alem and Feitelson,
/// *Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with
/// Backfilling*, IEEE TPDS 12(6), 2001, §2.
///
/// # Examples
/// Four GPUs, two of them busy for 10 s. The head needs all four at 10 s; a job of 10 s may go before
/// it, one of 11 s may not.
/// ```
/// use windtunnel_core::{JobList, JobLog, JobSpec, NodeModel, RunOptions, SimDuration, SimTime};
/// use windtunnel_core::{Simulation, Supply, TaskRequest};
/// use windtunnel_policies::EasyBackfill;
///
/// let job = |gpus, secs| {
///     let run = SimDuration::from_secs(secs);
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), run).estimate(run)
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
/// let jobs = JobList::new(vec![job(2, 10), job(4, 5), job(1, 11), job(1, 10)]);
/// let mut log = JobLog::default();
/// Simulation::new(supply, jobs, EasyBackfill::default(), RunOptions::default())?.run_with(&mut log)?;
/// log.records.sort_by_key(|record| record.job);
/// let starts: Vec<_> = log.records.iter().filter_map(|record| record.start).collect();
/// assert_eq!(starts, [0, 10, 15, 0].map(SimTime::from_secs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EasyBackfill<P = crate::FirstFit> {
    placer: P,
    never: Never,
    book: Book,
    /// The first job that does not fit, and what it is promised.
    head: Option<(Key, Reservation)>,
    /// What was last said of each shape.
    told: Vec<Option<Reason>>,
    /// Jobs started in this call, with their tasks.
    started: Vec<(JobRef, usize)>,
    /// Shapes that may fit in this pass, and whether beside the reservation; kept for its allocation.
    fitting: Vec<(DemandId, bool)>,
    /// What jobs may use of the head's nodes; kept for its allocation.
    limits: Vec<(NodeId, NodeFree)>,
    /// The next job of each; kept for its allocation.
    next: BinaryHeap<Reverse<(Key, usize)>>,
}

/// What came of trying to start a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// All of it was started.
    Started,
    /// It does not fit, or not all of it.
    Full,
    /// It does not fit beside the reservation, and would be in its way.
    InTheWay,
}

impl Default for EasyBackfill {
    fn default() -> Self {
        Self::new(crate::FirstFit)
    }
}

impl<P: Placer> EasyBackfill<P> {
    /// EASY in order of submission, by estimate.
    #[must_use]
    pub fn new(placer: P) -> Self {
        Self {
            placer,
            never: Never::default(),
            book: Book::new(Order::default(), RunTimes::default()),
            head: None,
            told: Vec::new(),
            started: Vec::new(),
            fitting: Vec::new(),
            limits: Vec::new(),
            next: BinaryHeap::new(),
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

    /// The job that is promised a start, and when that is.
    #[must_use]
    pub fn promise(&self) -> Option<(JobRef, SimTime)> {
        let (_, reservation) = self.head.as_ref()?;
        Some((reservation.job, reservation.at?))
    }

    /// Whether nothing happened but submissions behind a head whose reservation stands.
    fn only_newcomers(&self, now: SimTime) -> bool {
        let Some((key, _)) = &self.head else {
            return false;
        };
        let newcomers = &self.book.fresh;
        !self.book.grew && self.stands(now) && newcomers.iter().all(|(_, new)| new.key > *key)
    }

    /// Whether the reservation still is what it would be if it were made now.
    fn stands(&self, now: SimTime) -> bool {
        let head = self.head.as_ref();
        !self.book.surprised
            && head.is_some_and(|(_, reservation)| reservation.at.is_none_or(|at| at > now))
    }

    /// Places a job as far as it fits.
    fn start(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        entry: Entry,
        out: &mut Decisions,
    ) -> Attempt {
        let Some(job) = view.job(entry.job) else {
            return Attempt::Full;
        };
        match self.placer.place(job, plan) {
            Fit::Now(spots) => self.note_start(view, job, entry, &spots, out),
            _ => Attempt::Full,
        }
    }

    fn note_start(
        &mut self,
        view: &View<'_>,
        job: JobView<'_>,
        entry: Entry,
        spots: &[Spot],
        out: &mut Decisions,
    ) -> Attempt {
        let whole = self.book.placed(view, job, entry, spots.len());
        self.started.push((entry.job, spots.len()));
        out.place(entry.job, spots.iter().copied());
        if whole {
            Attempt::Started
        } else {
            Attempt::Full
        }
    }

    /// Starts jobs in order while they fit; returns the first that does not.
    fn start_in_order(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        out: &mut Decisions,
    ) -> Option<(DemandId, Entry)> {
        loop {
            let (shape, entry) = self.book.queues.first()?;
            let fits = plan.may_fit_shape(shape);
            if !fits || self.start(view, plan, entry, out) != Attempt::Started {
                return Some((shape, entry));
            }
        }
    }

    /// Gives the head its reservation, unless the one it has stands.
    fn reserve(&mut self, view: &View<'_>, plan: &mut Plan<'_>, begin: Mark, entry: Entry) {
        let same = self.head.as_ref().is_some_and(|(key, _)| *key == entry.key);
        if same && self.started.is_empty() && self.stands(view.now()) {
            return;
        }
        let Some(job) = view.job(entry.job) else {
            return;
        };
        let mine = if self.started.is_empty() {
            Mine::default()
        } else {
            Mine::new(view, plan, begin, &self.started)
        };
        let reservation = Reservation::find(view, plan, job, &self.book.due, &mine, &self.placer);
        self.head = Some((entry.key, reservation));
    }

    /// Starts a job behind the head if that is not in its way.
    fn backfill_one(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        (shape, entry): (DemandId, Entry),
        beside: bool,
        out: &mut Decisions,
    ) -> Attempt {
        let Some((_, reservation)) = &self.head else {
            return self.start(view, plan, entry, out);
        };
        if reservation.is_over_before(view.now(), entry.run) {
            return self.start(view, plan, entry, out);
        }
        let Some(job) = view.job(entry.job).filter(|_| beside) else {
            return Attempt::InTheWay;
        };
        reservation.limits(plan, &mut self.limits);
        if !plan.may_fit_shape_if(shape, &self.limits) {
            return Attempt::InTheWay;
        }
        let mark = plan.mark();
        for (node, free) in &self.limits {
            plan.set_free(*node, *free);
        }
        let fit = self.placer.place(job, plan);
        plan.undo_to(mark);
        let Fit::Now(spots) = fit else {
            return Attempt::InTheWay;
        };
        let pending = |task: &TaskView<'_>| task.state() == TaskState::Pending;
        for (task, spot) in job.tasks().filter(pending).zip(&spots) {
            plan.take(task, spot.node);
        }
        if let Some((_, reservation)) = &mut self.head {
            reservation.use_up(job, &spots);
        }
        match self.note_start(view, job, entry, &spots, out) {
            Attempt::Started => Attempt::Started,
            _ => Attempt::InTheWay,
        }
    }

    /// Tries the newcomers alone: for all others nothing got better.
    fn backfill_newcomers(&mut self, view: &View<'_>, plan: &mut Plan<'_>, out: &mut Decisions) {
        for place in 0..self.book.fresh.len() {
            let (shape, entry) = self.book.fresh[place];
            let started = plan.may_fit_shape(shape)
                && self.backfill_one(view, plan, (shape, entry), true, out) == Attempt::Started;
            if !started {
                self.tell(plan, shape, out);
            }
        }
    }

    /// Goes through all jobs behind the head, in order, without those that can't start.
    fn backfill(&mut self, view: &View<'_>, plan: &mut Plan<'_>, head: Entry, out: &mut Decisions) {
        self.find_fitting(plan, out);
        let room = match &self.head {
            Some((_, reservation)) => reservation.room(view.now()),
            None => u64::MAX,
        };
        let limit = |beside: bool| if beside { u64::MAX } else { room };
        for (place, &(shape, beside)) in self.fitting.iter().enumerate() {
            let queue = self.book.queues.of(shape);
            let mut first = queue.first_within(limit(beside));
            if first.is_some_and(|first| first.key == head.key) {
                first = queue.next(head.key, limit(beside));
            }
            if let Some(first) = first {
                self.next.push(Reverse((first.key, place)));
            }
        }
        while let Some(Reverse((key, place))) = self.next.pop() {
            let (shape, beside) = self.fitting[place];
            let Some(entry) = self.book.queues.of(shape).get(key) else {
                continue;
            };
            match self.backfill_one(view, plan, (shape, entry), beside, out) {
                Attempt::Full => continue,
                Attempt::InTheWay => self.fitting[place].1 = false,
                Attempt::Started => {
                    if !plan.may_fit_shape(shape) {
                        continue;
                    }
                }
            }
            let limit = limit(self.fitting[place].1);
            let mut next = self.book.queues.of(shape).next(key, limit);
            if next.is_some_and(|next| next.key == head.key) {
                next = self.book.queues.of(shape).next(head.key, limit);
            }
            if let Some(next) = next {
                self.next.push(Reverse((next.key, place)));
            }
        }
        for place in 0..self.fitting.len() {
            self.tell(plan, self.fitting[place].0, out);
        }
    }

    /// Which shapes fit now, and which of them beside the reservation.
    fn find_fitting(&mut self, plan: &mut Plan<'_>, out: &mut Decisions) {
        self.fitting.clear();
        for place in 0..self.book.queues.shapes().len() {
            let (_, shape) = self.book.queues.shapes()[place];
            if plan.may_fit_shape(shape) {
                self.fitting.push((shape, true));
            } else {
                self.say(shape, Reason::DoesNotFit, out);
            }
        }
        if let Some((_, reservation)) = &self.head
            && !self.fitting.is_empty()
        {
            reservation.limits(plan, &mut self.limits);
            for (shape, beside) in &mut self.fitting {
                *beside = plan.may_fit_shape_if(*shape, &self.limits);
            }
        }
    }

    /// Says why the rest of a shape waits: it does not fit, or what it needs is kept for the head.
    fn tell(&mut self, plan: &mut Plan<'_>, shape: DemandId, out: &mut Decisions) {
        if self.book.queues.of(shape).is_empty() {
            return;
        }
        let fits = plan.may_fit_shape(shape);
        let why = if fits {
            Reason::Reservation
        } else {
            Reason::DoesNotFit
        };
        self.say(shape, why, out);
    }

    fn say(&mut self, shape: DemandId, why: Reason, out: &mut Decisions) {
        if self.told.len() <= shape.index() {
            self.told.resize(shape.index() + 1, None);
        }
        let told = &mut self.told[shape.index()];
        if *told != Some(why) {
            *told = Some(why);
            out.waiting_shape(shape, why);
        }
    }
}

impl<P: Placer + 'static> Policy for EasyBackfill<P> {
    fn name(&self) -> &str {
        "easy-backfill"
    }

    fn knowledge(&self) -> Knowledge {
        self.book.runs.knowledge()
    }

    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.book.begin(view, grants);
        self.placer.begin(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.started.clear();
        self.book.read(view, news);
        self.book.turn_away(view, self.never, out);
        if self.book.queues.is_empty() {
            self.head = None;
            return;
        }
        let mut plan = view.plan();
        if self.only_newcomers(view.now()) {
            self.backfill_newcomers(view, &mut plan, out);
            return;
        }
        let begin = plan.mark();
        let Some((_, head)) = self.start_in_order(view, &mut plan, out) else {
            self.head = None;
            return;
        };
        self.reserve(view, &mut plan, begin, head);
        self.backfill(view, &mut plan, head, out);
    }

    fn explain(&self, task: TaskRef, _: &View<'_>) -> Option<Explanation> {
        let (_, reservation) = self.head.as_ref()?;
        let whom = match reservation.job {
            head if head == task.job => "it".to_owned(),
            head => head.to_string(),
        };
        let text = match reservation.at {
            Some(at) => words::promised(at, reservation.nodes()),
            None => "first in line, and nobody can say when it fits".to_owned(),
        };
        Some(Explanation {
            text: format!("{whom} is {text}"),
        })
    }
}
