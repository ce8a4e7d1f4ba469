//! What the log says happened.

use std::collections::BTreeSet;

use windtunnel_core::{
    Decisions, Explanation, Fit, Grants, JobId, JobRef, JobView, Knowledge, News, NodeId,
    OracleGrant, Plan, Policy, Reason, Recorded, SimTime, Spot, Spots, TaskRef, TaskState,
    TaskView, View,
};

use crate::fifo::Never;

/// What to do with a job of which the log does not say when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unrecorded {
    /// Start it when it fits, on the lowest-numbered nodes, after all that is due by the log.
    #[default]
    FirstFit,
    /// Let it wait for ever.
    Wait,
}

/// Starts each job when and where its log says: what happened, as the yardstick for what might have.
///
/// # Decision rule
/// At each event and at each recorded start:
/// 1. Go through the jobs whose recorded start has come, by (recorded start, id). If every task fits
///    on its recorded node, the job starts. Ends at an instant come before starts.
/// 2. Where the log does not name the nodes, or names other than one existing node per task, or one
///    that could not take the task even when empty: on the lowest-numbered nodes where it fits.
/// 3. If it does not fit, the log over-commits what the scenario has, or somebody ended later than
///    by the log: the job waits for the first moment at which it does, before all that are due later,
///    but without holding those up.
/// 4. Then jobs without a record, by id, whichever fits (`unrecorded = wait`: never).
///
/// A job that is taken out (its node died) starts again at the first moment it fits. A job that would
/// never fit is rejected (`never = wait`: it waits for ever).
///
/// # Knowledge
/// Oracle: when and where the job ran is part of the truth.
///
/// # Parameters
/// `unrecorded` = `first-fit` (default) or `wait`; `never` = `reject` (default) or `wait`.
///
/// # Complexity
/// O(log n) per job for n jobs that wait, plus O(late jobs) per event; a log that never over-commits
/// has no late jobs.
///
/// # Differences
/// Waits and utilization are those of the log, exactly, as long as capacity is what it was. The GPUs
/// within a node are the agent's choice.
///
/// # Reference
/// None: it is bookkeeping.
///
/// # Examples
/// The log let a GPU idle for five seconds; so does the replay.
/// ```
/// use windtunnel_core::{JobList, JobLog, JobSpec, NodeId, NodeModel, RunOptions, SimDuration};
/// use windtunnel_core::{SimTime, Simulation, Supply, TaskRequest};
/// use windtunnel_policies::Replay;
///
/// let run = SimDuration::from_secs(10);
/// let job = JobSpec::new(SimTime::from_secs(1), TaskRequest::gpus(1), run)
///     .recorded(SimTime::from_secs(6), &[NodeId(1)]);
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 1), 2);
/// let mut log = JobLog::default();
/// let jobs = JobList::new(vec![job]);
/// Simulation::new(supply, jobs, Replay::default(), RunOptions::default())?.run_with(&mut log)?;
/// assert_eq!(log.records[0].start, Some(SimTime::from_secs(6)));
/// assert_eq!(log.records[0].nodes, [NodeId(1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Replay {
    unrecorded: Unrecorded,
    never: Never,
    oracle: Option<OracleGrant>,
    /// Jobs by recorded start.
    due: BTreeSet<(SimTime, JobId, u32)>,
    /// Jobs without a record.
    rest: BTreeSet<(JobId, u32)>,
    /// Jobs that waited already when it took over.
    adopted: Vec<JobRef>,
    /// Jobs started in one call; kept for its allocation.
    started: Vec<(SimTime, JobId, u32)>,
}

impl Replay {
    /// A replay; what has no record is started when it fits.
    #[must_use]
    pub fn new(unrecorded: Unrecorded, never: Never) -> Self {
        Self {
            unrecorded,
            never,
            ..Self::default()
        }
    }

    fn record<'a>(&self, view: &View<'a>, job: JobRef) -> Option<&'a Recorded> {
        let truth = view.truth(self.oracle.as_ref()?, job)?;
        truth.recorded.as_deref()
    }

    /// Takes newcomers in, and those that are to be placed again.
    fn read(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let jobs = news.jobs.iter().map(|change| change.job);
        let tasks = news.tasks.iter().map(|change| change.task.job);
        let refused = news.refused.iter().map(|(task, _)| task.job);
        let mut changed: Vec<JobRef> = std::mem::take(&mut self.adopted);
        changed.extend(jobs.chain(tasks).chain(refused));
        changed.sort_unstable();
        changed.dedup();
        for job in changed {
            let Some(found) = view.job(job) else {
                continue;
            };
            if !found.is_pending() || found.outcome().is_some() {
                continue;
            }
            if !found.can_ever_fit() {
                match self.never {
                    Never::Reject => out.reject(job),
                    Never::Wait => out.waiting(job, Reason::NeverFits),
                }
                continue;
            }
            match self.record(view, job) {
                Some(record) => self.due.insert((record.start, job.id, job.slot)),
                None => self.rest.insert((job.id, job.slot)),
            };
            let waits = match self.record(view, job) {
                Some(record) => record.start > view.now(),
                None => self.unrecorded == Unrecorded::Wait,
            };
            // It is the log that keeps it waiting; `explain` has the words.
            let why = if waits {
                Reason::Other
            } else {
                Reason::DoesNotFit
            };
            out.waiting(job, why);
        }
    }

    /// Starts what is due.
    fn start_due(&mut self, view: &View<'_>, plan: &mut Plan<'_>, out: &mut Decisions) {
        self.started.clear();
        for &(at, id, slot) in &self.due {
            if at > view.now() {
                break;
            }
            let job = JobRef { slot, id };
            let Some(found) = view.job(job).filter(JobView::is_pending) else {
                self.started.push((at, id, slot));
                continue;
            };
            let nodes = self
                .record(view, job)
                .map_or(&[][..], |record| &record.nodes);
            let (spots, why) = match named(view, found, nodes) {
                // There may be room elsewhere.
                Some(tasks) => (on_named(plan, &tasks), Reason::Other),
                None => (anywhere(plan, found), Reason::DoesNotFit),
            };
            match spots {
                Some(spots) => {
                    out.place(job, spots);
                    self.started.push((at, id, slot));
                }
                None => out.waiting(job, why),
            }
        }
        for gone in &self.started {
            self.due.remove(gone);
        }
    }

    /// Starts what has no record, whichever fits.
    fn start_rest(&mut self, view: &View<'_>, plan: &mut Plan<'_>, out: &mut Decisions) {
        let mut full: Vec<windtunnel_core::DemandId> = Vec::new();
        self.rest.retain(|&(id, slot)| {
            let job = JobRef { slot, id };
            let Some(found) = view.job(job).filter(JobView::is_pending) else {
                return false;
            };
            if full.contains(&found.shape()) {
                return true;
            }
            let Some(spots) = anywhere(plan, found) else {
                full.push(found.shape());
                return true;
            };
            let whole = spots.len() == found.tasks_in(TaskState::Pending) as usize
                || found.advance() != windtunnel_core::Advance::Each;
            out.place(job, spots);
            !whole
        });
    }
}

/// The tasks that a job still needs, each with its recorded node, if the log names one that exists and
/// could take it.
fn named<'a>(
    view: &View<'a>,
    job: JobView<'a>,
    nodes: &[NodeId],
) -> Option<Vec<(TaskView<'a>, NodeId)>> {
    if nodes.is_empty() || nodes.len() != job.tasks().count() {
        return None;
    }
    let pending = |(task, _): &(TaskView<'_>, NodeId)| task.state() == TaskState::Pending;
    let pairs: Vec<(TaskView<'a>, NodeId)> = job
        .tasks()
        .zip(nodes.iter().copied())
        .filter(pending)
        .collect();
    let could = |(task, node): &(TaskView<'_>, NodeId)| {
        let exists = node.index() < view.node_count();
        exists && {
            let node = view.node(*node);
            let fits = node.capacity().fits(task.request(), node.sharing());
            fits && job.pools().contains(node.pool())
        }
    };
    pairs.iter().all(could).then_some(pairs)
}

fn on_named(plan: &mut Plan<'_>, tasks: &[(TaskView<'_>, NodeId)]) -> Option<Spots> {
    let mark = plan.mark();
    for (task, node) in tasks {
        if !plan.fits(*task, *node) || !plan.take(*task, *node) {
            plan.undo_to(mark);
            return None;
        }
    }
    Some(tasks.iter().map(|(_, node)| Spot::from(*node)).collect())
}

fn anywhere(plan: &mut Plan<'_>, job: JobView<'_>) -> Option<Spots> {
    if !plan.may_fit_shape(job.shape()) {
        return None;
    }
    match plan.first_fit(job) {
        Fit::Now(spots) => Some(spots),
        _ => None,
    }
}

impl Policy for Replay {
    fn name(&self) -> &str {
        "replay"
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge::Oracle
    }

    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        self.oracle = grants.oracle;
        self.adopted = view.pending_jobs().map(|job| job.id()).collect();
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.read(view, news, out);
        let mut plan = view.plan();
        self.start_due(view, &mut plan, out);
        if self.unrecorded == Unrecorded::FirstFit {
            self.start_rest(view, &mut plan, out);
        }
        let next = self
            .due
            .iter()
            .map(|(at, _, _)| *at)
            .find(|at| *at > view.now());
        if let Some(next) = next {
            out.wake_at(next);
        }
    }

    fn explain(&self, task: TaskRef, view: &View<'_>) -> Option<Explanation> {
        let job = view.job(task.job)?;
        let Some(record) = self.record(view, task.job) else {
            let text = "the log does not say when it started".to_owned();
            return Some(Explanation { text });
        };
        let (start, is_due) = (record.start.clock(), record.start <= view.now());
        let text = if !is_due {
            format!("the log has it start at {start}")
        } else if named(view, job, &record.nodes).is_some() {
            let nodes: Vec<String> = record.nodes.iter().map(NodeId::to_string).collect();
            let nodes = nodes.join(", ");
            format!("the log has it start at {start} on {nodes}, where there is no room by then")
        } else {
            format!("the log has it start at {start}, when there is no room for it")
        };
        Some(Explanation { text })
    }
}
