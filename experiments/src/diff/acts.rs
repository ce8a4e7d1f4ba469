//! What happens to jobs in an instant, in a form in which two runs can be compared.

use std::fmt;

use windtunnel_core::{
    Event, EventKind, JobId, JobRecord, JobRef, JobView, NodeId, Observer, Outcome, Reason,
    SimTime, TaskEnd, TaskState, View,
};

use super::DiffError;
use crate::words::{ranges, size};

/// What was done with a task or a job; sorts, so that the order within an instant does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Reserved(NodeId),
    Placed(NodeId),
    Bound(NodeId),
    Moved(NodeId),
    Evicted,
    Suspended,
    Lost,
    Refused(Option<NodeId>),
    Ended(Outcome),
    Admitted,
    Withheld(Reason),
}

/// One deed and whom it befell; group, index and attempt are zero for a whole job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Raw {
    pub(super) job: JobId,
    task: (u16, u32, u32),
    pub(super) deed: Deed,
}

impl Raw {
    pub(super) fn is(&self, task: windtunnel_core::TaskRef) -> bool {
        task.job.id == self.job && (task.group, task.index, task.attempt) == self.task
    }
}

/// What a reader is told of a job.
struct About {
    job: JobId,
    name: Option<String>,
    gpu_milli: u64,
    cpu_milli: u64,
}

/// A job as it was submitted.
type Submitted = (JobId, SimTime, u64);

/// Collects the deeds of an instant and the records of jobs that ended.
#[derive(Default)]
pub(super) struct Watch {
    raw: Vec<Raw>,
    /// The jobs that deeds are about; slots are no part of what is compared.
    jobs: Vec<JobRef>,
    submitted: Vec<Submitted>,
    about: Vec<About>,
    pub(super) records: Vec<JobRecord>,
    is_past: bool,
}

impl Watch {
    /// The job of a deed, as it is known to views.
    pub(super) fn job(&self, id: JobId) -> Option<JobRef> {
        self.jobs.iter().copied().find(|job| job.id == id)
    }

    /// From now on nobody asks for deeds.
    pub(super) fn only_submissions(&mut self) {
        self.is_past = true;
    }

    pub(super) fn clear(&mut self) {
        self.raw.clear();
        self.jobs.clear();
        self.submitted.clear();
        self.about.clear();
    }

    fn push(&mut self, job: JobRef, task: (u16, u32, u32), deed: Deed) {
        if !self.is_past {
            let id = job.id;
            self.raw.push(Raw {
                job: id,
                task,
                deed,
            });
            if self.jobs.last() != Some(&job) {
                self.jobs.push(job);
            }
        }
    }
}

impl Observer for Watch {
    fn on_event(&mut self, event: &Event, view: &View<'_>) {
        let whole = (0, 0, 0);
        match event.kind {
            EventKind::Submitted { job } => {
                let milli = view.job(job).map_or(0, |job| job.gpu_milli());
                self.submitted.push((job.id, event.at, milli));
            }
            EventKind::Task {
                task,
                from,
                to,
                node,
                end,
            } => {
                if let Some(deed) = deed(from, to, node, end) {
                    self.push(task.job, (task.group, task.index, task.attempt), deed);
                }
            }
            EventKind::Refused { task, node } => {
                let place = (task.group, task.index, task.attempt);
                self.push(task.job, place, Deed::Refused(node));
            }
            EventKind::Ended { job, outcome } => self.push(job, whole, Deed::Ended(outcome)),
            EventKind::Admitted { job } => self.push(job, whole, Deed::Admitted),
            EventKind::Withheld { job, why } => self.push(job, whole, Deed::Withheld(why)),
            _ => {}
        }
    }

    fn on_job(&mut self, record: &JobRecord) {
        self.records.push(record.clone());
    }

    fn on_instant(&mut self, view: &View<'_>) {
        for job in &self.jobs {
            if self.about.iter().any(|about| about.job == job.id) {
                continue;
            }
            if let Some(job) = view.job(*job) {
                self.about.push(About {
                    job: job.job_id(),
                    name: job.name().map(str::to_owned),
                    gpu_milli: job.gpu_milli(),
                    cpu_milli: cpu_milli(job),
                });
            }
        }
    }
}

/// CPU that a job asks for over all tasks [thousandths of a core].
pub(super) fn cpu_milli(job: JobView<'_>) -> u64 {
    let groups = job.groups().iter();
    groups
        .map(|group| u64::from(group.count) * u64::from(group.request.cpu.0))
        .sum()
}

/// What a step in the life of a task means, if somebody decided it.
fn deed(
    from: TaskState,
    to: TaskState,
    node: Option<NodeId>,
    end: Option<TaskEnd>,
) -> Option<Deed> {
    match (from, to, end) {
        (_, _, Some(TaskEnd::Evicted)) => Some(Deed::Evicted),
        (_, _, Some(TaskEnd::NodeLost | TaskEnd::GpuLost | TaskEnd::Drained)) => Some(Deed::Lost),
        (_, TaskState::Suspended, _) => Some(Deed::Suspended),
        (TaskState::Starting | TaskState::Running, TaskState::Ending, _) => Some(Deed::Evicted),
        (TaskState::Starting, TaskState::Running, _) => None,
        (TaskState::Starting | TaskState::Running, TaskState::Starting, _) => node.map(Deed::Moved),
        (TaskState::Reserved, to, _) if to.is_bound() => node.map(Deed::Bound),
        (_, TaskState::Reserved, _) => node.map(Deed::Reserved),
        (_, to, _) if to.is_bound() => node.map(Deed::Placed),
        _ => None,
    }
}

/// Whether both got the same jobs in this instant.
pub(super) fn same_jobs(a: &Watch, b: &Watch) -> Result<(), DiffError> {
    if a.submitted == b.submitted {
        return Ok(());
    }
    let pairs = a.submitted.iter().zip(&b.submitted);
    let first = pairs.filter(|(a, b)| a != b).map(|(a, _)| a.0).next();
    let shorter = a.submitted.len().min(b.submitted.len());
    let extra = a.submitted.get(shorter).or(b.submitted.get(shorter));
    let job = first.or(extra.map(|job| job.0)).unwrap_or_default();
    Err(DiffError::DifferentJobs(job))
}

/// Whether both did the same in this instant, in whatever order.
pub(super) fn same(a: &mut Watch, b: &mut Watch) -> bool {
    if a.raw == b.raw {
        return true;
    }
    a.raw.sort_unstable();
    b.raw.sort_unstable();
    a.raw == b.raw
}

/// Whether both did the same but for the nodes; both lists are sorted.
pub(super) fn same_but_nodes(a: &Watch, b: &Watch) -> bool {
    let bare = |raw: &Raw| raw.with(Heed::NoNodes);
    a.raw.iter().map(bare).eq(b.raw.iter().map(bare))
}

/// What of two instants is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// Everything.
    All,
    /// Everything but which nodes.
    NoNodes,
}

impl Raw {
    /// What is compared of it. Sorted deeds stay sorted.
    fn with(self, heed: Heed) -> Self {
        let any = NodeId(0);
        let deed = match self.deed {
            deed if heed == Heed::All => deed,
            Deed::Reserved(_) => Deed::Reserved(any),
            Deed::Placed(_) => Deed::Placed(any),
            Deed::Bound(_) => Deed::Bound(any),
            Deed::Moved(_) => Deed::Moved(any),
            Deed::Refused(_) => Deed::Refused(None),
            deed => deed,
        };
        Self { deed, ..self }
    }
}

/// What only one of them did; both lists are sorted.
pub(super) fn apart(a: &Watch, b: &Watch, heed: Heed) -> [Vec<Raw>; 2] {
    let minus = |these: &[Raw], those: &[Raw]| {
        let lacks = |raw: &&Raw| {
            let key = raw.with(heed);
            those
                .binary_search_by_key(&key, |raw| raw.with(heed))
                .is_err()
        };
        these.iter().filter(lacks).copied().collect()
    };
    [minus(&a.raw, &b.raw), minus(&b.raw, &a.raw)]
}

/// What was done with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Tasks were given places that are promised, not bound.
    Reserved,
    /// Tasks were placed.
    Placed,
    /// Tasks that had promised places were bound.
    Bound,
    /// Tasks were moved or restarted.
    Moved,
    /// Tasks were taken out.
    Evicted,
    /// Tasks were suspended.
    Suspended,
    /// Tasks were lost with their node.
    Lost,
    /// A placement was refused.
    Refused,
    /// The job ended.
    Ended(Outcome),
    /// Admission let it through.
    Admitted,
    /// Admission held it back.
    Withheld(Reason),
}

/// What was done with one job in the instant of the parting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The job.
    pub job: JobId,
    /// Its name in the trace.
    pub name: Option<String>,
    /// GPUs it asks for over all tasks \[milli\].
    pub gpu_milli: u64,
    /// CPU it asks for over all tasks [thousandths of a core].
    pub cpu_milli: u64,
    /// What was done.
    pub what: What,
    /// Number of tasks it was done to; zero if it is about the job.
    pub tasks: u32,
    /// The nodes, by id, each once.
    pub nodes: Vec<NodeId>,
}

impl fmt::Display for Act {
    /// What somebody did, as `places job-2 (4 GPUs) on node 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.what {
            What::Reserved => "reserves a place for",
            What::Placed => "places",
            What::Bound => "binds",
            What::Moved => "moves",
            What::Evicted => "evicts",
            What::Suspended => "suspends",
            What::Lost => "loses",
            What::Refused => "is refused a place for",
            What::Ended(outcome) => return write!(f, "sees {} end: {}", self.job, outcome.name()),
            What::Admitted => "admits",
            What::Withheld(why) => return write!(f, "holds {} back: {why}", self.job),
        };
        write!(
            f,
            "{verb} {} ({})",
            self.job,
            size(self.gpu_milli, self.cpu_milli)
        )?;
        if !self.nodes.is_empty() {
            let nodes: Vec<u32> = self.nodes.iter().map(|node| node.0).collect();
            let word = if nodes.len() == 1 { "node" } else { "nodes" };
            write!(f, " on {word} {}", ranges(&nodes))?;
        }
        Ok(())
    }
}

/// Deeds job by job, for a reader.
pub(super) fn told(raw: &[Raw], watch: &Watch) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    for one in raw {
        let (what, node) = described(one.deed);
        let same = |act: &&mut Act| act.job == one.job && act.what == what;
        if let Some(act) = acts.iter_mut().find(same) {
            act.tasks += 1;
            act.nodes.extend(node);
            act.nodes.sort_unstable();
            act.nodes.dedup();
            continue;
        }
        let about = watch.about.iter().find(|about| about.job == one.job);
        acts.push(Act {
            job: one.job,
            name: about.and_then(|about| about.name.clone()),
            gpu_milli: about.map_or(0, |about| about.gpu_milli),
            cpu_milli: about.map_or(0, |about| about.cpu_milli),
            what,
            tasks: u32::from(!matches!(
                what,
                What::Ended(_) | What::Admitted | What::Withheld(_)
            )),
            nodes: node.into_iter().collect(),
        });
    }
    acts
}

fn described(deed: Deed) -> (What, Option<NodeId>) {
    match deed {
        Deed::Reserved(node) => (What::Reserved, Some(node)),
        Deed::Placed(node) => (What::Placed, Some(node)),
        Deed::Bound(node) => (What::Bound, Some(node)),
        Deed::Moved(node) => (What::Moved, Some(node)),
        Deed::Evicted => (What::Evicted, None),
        Deed::Suspended => (What::Suspended, None),
        Deed::Lost => (What::Lost, None),
        Deed::Refused(node) => (What::Refused, node),
        Deed::Ended(outcome) => (What::Ended(outcome), None),
        Deed::Admitted => (What::Admitted, None),
        Deed::Withheld(why) => (What::Withheld(why), None),
    }
}
