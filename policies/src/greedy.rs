//! Whatever fits, in order of submission.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smallvec::SmallVec;
use windtunnel_core::{
    Advance, Decisions, DemandId, Fit, Grants, JobId, JobNews, JobRef, News, Policy, Reason,
    TaskState, View,
};

use crate::fifo::Never;
use crate::place::Placer;

/// Starts every job that fits, in order of submission, where a [`Placer`] says.
///
/// Nobody waits for anybody: a small job overtakes a large one that does not fit, and a stream of
/// small ones can keep it waiting for ever. `first-fit` and `best-fit` are this policy with those
/// placers.
///
/// # Decision rule
/// 1. Take the pending job with the lowest id that was not looked at in this call.
/// 2. If the placer finds room for all its tasks (an array: for some), start it there.
/// 3. If it would never fit, even on the empty supply at its largest: reject it (`never = wait`:
///    leave it).
/// 4. Go to 1 until every pending job was looked at.
///
/// An elastic job starts with its minimum and is never grown.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// `never` = `reject` (default) or `wait`.
///
/// # Complexity
/// O(S + K log S + placing) per decision for S distinct shapes among the pending jobs and K jobs
/// started; the number of pending jobs plays no part. Until capacity is given back, a shape that did
/// not fit costs one comparison. Once one job of a shape does not fit, no later
/// one of the same shape can, so the pending jobs are merged from one list per shape, and a shape
/// leaves the merge with its first failure.
///
/// # Differences
/// None from list scheduling; the merge changes the cost, not the outcome.
///
/// # Reference
/// Graham, *Bounds on Multiprocessing Timing Anomalies*, SIAM Journal on Applied Mathematics 17(2),
/// 1969 (list scheduling).
///
/// # Examples
/// Four GPUs: the second job has to wait for all of them, the third takes the two that are free.
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Supply, TaskRequest};
/// use windtunnel_policies::{FirstFit, Greedy};
///
/// let job = |gpus| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::from_secs(10))
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
/// let jobs = JobList::new(vec![job(2), job(4), job(2)]);
/// let policy = Greedy::new(FirstFit);
/// let report = Simulation::new(supply, jobs, policy, RunOptions::default())?.run()?;
/// assert_eq!(report.end, SimTime::from_secs(20), "strict fifo needs 30");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Greedy<P> {
    placer: P,
    never: Never,
    /// Jobs started in full in this call, ascending; kept for its allocation.
    started: Vec<JobId>,
    /// By unit shape: [`Plan::given`] when no job of it could fit, and one more.
    failed: Vec<u64>,
    /// Heads of the shapes that may still fit; kept for its allocation.
    heads: BinaryHeap<Reverse<(JobId, usize)>>,
}

impl<P: Placer> Greedy<P> {
    /// Greedy with a placer; jobs that never fit are rejected.
    #[must_use]
    pub fn new(placer: P) -> Self {
        Self {
            placer,
            never: Never::default(),
            started: Vec::new(),
            failed: Vec::new(),
            heads: BinaryHeap::new(),
        }
    }

    /// The same with another answer to jobs that never fit.
    #[must_use]
    pub fn never(mut self, never: Never) -> Self {
        self.never = never;
        self
    }

    fn start(&mut self, view: &View<'_>, out: &mut Decisions) {
        let mut plan = view.plan();
        // Held inline while few shapes may fit, which is the rule.
        let mut lists: SmallVec<[_; 4]> = SmallVec::new();
        for shape in view.pending_shapes() {
            if self.failed.get(shape.id().index()) == Some(&(plan.given() + 1)) {
                continue;
            }
            let mut jobs = shape.jobs();
            let Some(first) = jobs.next() else { continue };
            if self.placer.may_fit(first, &mut plan) {
                self.heads.push(Reverse((first.job_id(), lists.len())));
                lists.push((first, jobs));
                continue;
            }
            if self.never == Never::Reject && !first.can_ever_fit() {
                out.reject(first.id());
                jobs.for_each(|job| out.reject(job.id()));
            } else {
                remember(&mut self.failed, shape.id(), plan.given() + 1);
            }
        }
        while let Some(Reverse((id, list))) = self.heads.pop() {
            let (job, rest) = &mut lists[list];
            let Fit::Now(spots) = self.placer.place(*job, &mut plan) else {
                continue;
            };
            let pending = job.tasks_in(TaskState::Pending) as usize;
            let in_part = job.advance() == Advance::Each && spots.len() < pending;
            out.place(job.id(), spots);
            if in_part {
                continue;
            }
            self.started.push(id);
            if let Some(next) = rest.next()
                && self.placer.may_fit(next, &mut plan)
            {
                *job = next;
                self.heads.push(Reverse((next.job_id(), list)));
            }
        }
    }

    /// Says of every newcomer that was not started that it does not fit, once.
    fn explain_newcomers(&self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let arrived = news.jobs.iter().filter_map(|change| {
            matches!(change.what, JobNews::Created | JobNews::Admitted).then_some(change.job)
        });
        let back = news.tasks.iter().filter_map(|change| {
            let back = change.now == TaskState::Pending && change.task.attempt > 0;
            back.then_some(change.task.job)
        });
        let mut last: Option<JobRef> = None;
        for job in arrived.chain(back) {
            if last == Some(job) || self.started.binary_search(&job.id).is_ok() {
                continue;
            }
            last = Some(job);
            let Some(found) = view.job(job) else { continue };
            let waits = found.is_queued() && found.withheld().is_none();
            if !waits || found.tasks_in(TaskState::Pending) == 0 {
                continue;
            }
            if found.can_ever_fit() {
                out.waiting(job, Reason::DoesNotFit);
            } else if self.never == Never::Wait {
                out.waiting(job, Reason::NeverFits);
            }
        }
    }
}

fn remember(failed: &mut Vec<u64>, shape: DemandId, given: u64) {
    if failed.len() <= shape.index() {
        failed.resize(shape.index() + 1, 0);
    }
    failed[shape.index()] = given;
}

impl<P: Placer + 'static> Policy for Greedy<P> {
    fn name(&self) -> &str {
        self.placer.name()
    }

    fn begin(&mut self, view: &View<'_>, _: Grants) {
        self.failed.clear();
        self.placer.begin(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.started.clear();
        self.start(view, out);
        self.explain_newcomers(view, news, out);
    }
}
