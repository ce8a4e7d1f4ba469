//! Shortest job first.

use windtunnel_core::{
    Decisions, DemandId, Fit, Grants, JobRef, Knowledge, News, Plan, Policy, Reason, View,
};

use crate::backfill::book::Book;
use crate::backfill::queue::Entry;
use crate::fifo::Never;
use crate::order::{Key, Order};
use crate::place::Placer;
use crate::run_time::{By, RunTimes};

/// Starts the job that is said to run shortest; if it does not fit, nobody starts.
///
/// # Decision rule
/// 1. Take the waiting job with the shortest run time by estimate; among equals, the lowest id; jobs
///    of unknown run time last.
/// 2. If all its tasks fit, start it where the placer says, and go to 1.
/// 3. Otherwise stop: it waits because it does not fit, everyone else because of it.
///
/// A job that would never fit is rejected at once (`never = wait`: left out of everything). An array
/// starts as many tasks as fit, ordered by the job's estimate. An elastic job starts with its minimum
/// and is never grown. What runs is never disturbed, so a long job may wait for ever.
///
/// # Knowledge
/// Estimate: the user's, else the walltime limit. With `by = oracle` the truth, declared as such.
///
/// # Parameters
/// `by` = `estimate` (default) or `oracle`; `placer` = `first-fit` (default), `best-fit`, `worst-fit`
/// or `random`; `never` = `reject` (default) or `wait`.
///
/// # Complexity
/// O(shapes that wait + √n) per job started, for n jobs that wait for one shape; O(1) where nothing
/// ended and nobody came before the head.
///
/// # Differences
/// None from Helios' `SJF`, which stops at the first misfit as well, but for its steps of one second.
/// Policies of that name that skip what does not fit are `easy-backfill{order=sjf}` without the
/// reservation.
///
/// # Reference
/// Hu et al., *Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU
/// Datacenters*, SC 2021, §4.2.
///
/// # Examples
/// One GPU; what comes while the first job runs starts by length.
/// ```
/// use windtunnel_core::{JobList, JobLog, JobSpec, NodeModel, RunOptions, SimDuration, SimTime};
/// use windtunnel_core::{Simulation, Supply, TaskRequest};
/// use windtunnel_policies::{By, FirstFit, Sjf};
///
/// let job = |at, secs| {
///     let run = SimDuration::from_secs(secs);
///     JobSpec::new(SimTime::from_secs(at), TaskRequest::gpus(1), run)
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 1), 1);
/// let jobs = JobList::new(vec![job(0, 10), job(1, 9), job(2, 3)]);
/// let mut log = JobLog::default();
/// let policy = Sjf::new(FirstFit, By::Oracle);
/// Simulation::new(supply, jobs, policy, RunOptions::default())?.run_with(&mut log)?;
/// let order: Vec<u32> = log.records.iter().map(|record| record.job.0).collect();
/// assert_eq!(order, [0, 2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sjf<P> {
    placer: P,
    never: Never,
    book: Book,
    /// The job that blocks the others, if one does.
    head: Option<(Key, JobRef)>,
    /// Shapes that were told why they wait.
    told: Vec<bool>,
}

impl<P: Placer> Sjf<P> {
    /// Shortest first by estimate or by oracle.
    #[must_use]
    pub fn new(placer: P, by: By) -> Self {
        Self {
            placer,
            never: Never::default(),
            book: Book::new(Order::Sjf, RunTimes::new(by)),
            head: None,
            told: Vec::new(),
        }
    }

    /// The same with another answer to jobs that never fit.
    #[must_use]
    pub fn never(mut self, never: Never) -> Self {
        self.never = never;
        self
    }

    /// Starts jobs in order; returns the first that does not fit.
    fn start(
        &mut self,
        view: &View<'_>,
        plan: &mut Plan<'_>,
        out: &mut Decisions,
    ) -> Option<Entry> {
        loop {
            let (shape, entry) = self.book.queues.first()?;
            let job = view.job(entry.job)?;
            if !plan.may_fit_shape(shape) {
                return Some(entry);
            }
            let Fit::Now(spots) = self.placer.place(job, plan) else {
                return Some(entry);
            };
            let count = spots.len();
            out.place(entry.job, spots);
            if !self.book.placed(view, job, entry, count) {
                return Some(entry);
            }
        }
    }

    /// Says once of every shape that whoever waits for it waits behind the head, and of the head that
    /// it does not fit.
    fn tell(&mut self, head: Option<Entry>, out: &mut Decisions) {
        for place in 0..self.book.fresh.len() {
            let (shape, _): (DemandId, Entry) = self.book.fresh[place];
            if self.told.len() <= shape.index() {
                self.told.resize(shape.index() + 1, false);
            }
            if !std::mem::replace(&mut self.told[shape.index()], true) {
                out.waiting_shape(shape, Reason::HeadOfLine);
            }
        }
        let now = head.map(|entry| (entry.key, entry.job));
        if now == self.head {
            return;
        }
        if let Some((_, before)) = self.head
            && self.book.waits(before)
        {
            out.waiting(before, Reason::HeadOfLine);
        }
        if let Some((_, job)) = now {
            out.waiting(job, Reason::DoesNotFit);
        }
        self.head = now;
    }
}

impl<P: Placer + 'static> Policy for Sjf<P> {
    fn name(&self) -> &str {
        "sjf"
    }

    fn knowledge(&self) -> Knowledge {
        self.book.runs.knowledge()
    }

    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.book.begin(view, grants);
        self.placer.begin(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.book.read(view, news);
        self.book.turn_away(view, self.never, out);
        let blocked = !self.book.grew
            && self.head.is_some_and(|(key, _)| {
                let mut newcomers = self.book.fresh.iter();
                newcomers.all(|(_, new)| new.key > key)
            });
        let head = if blocked {
            self.book.queues.first().map(|(_, entry)| entry)
        } else {
            self.start(view, &mut view.plan(), out)
        };
        self.tell(head, out);
    }
}
