//! Strict first-in, first-out.

use windtunnel_core::{Decisions, Fit, JobRef, News, Policy, QueueId, Reason, View};

/// What to do with a job that would not fit even on the empty supply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Never {
    /// Reject it.
    #[default]
    Reject,
    /// Let it wait for ever.
    Wait,
}

/// Starts jobs strictly in the order of their submission.
///
/// A job that does not fit blocks every job behind it, in whatever queue. Simple and fair in one
/// sense, and the yardstick for the price of that fairness: whatever stays free behind a blocked
/// head is `idle.held` with the reason `head_of_line`.
///
/// # Decision rule
/// 1. Take the pending job with the lowest id.
/// 2. If all its tasks fit, each on the lowest-numbered node where it fits: start it, go to 1.
/// 3. If it would never fit, even on the empty supply at its largest: reject it, go to 1
///    (`never = wait`: stop here for ever).
/// 4. Otherwise stop. It waits because it does not fit; everyone else, because it is at the head of
///    the line.
///
/// An array ([`Advance::Each`](windtunnel_core::Advance::Each)) starts as many tasks as fit and stays
/// at the head with the rest. An elastic job starts with its minimum and is never grown.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// `never` = `reject` (default) or `wait`.
///
/// # Complexity
/// O(tasks started) per decision; a blocked head costs one comparison of counters.
///
/// # Differences
/// None from the textbook. Plain FIFO queues of cluster managers that reject oversized jobs at
/// submission behave like `never = reject`.
///
/// # Reference
/// Folklore; the baseline of Feitelson and Weil, *Utilization and Predictability in Scheduling the
/// IBM SP2 with Backfilling*, IPPS 1998, §2.
///
/// # Examples
/// Four GPUs: the second job needs all of them, so the third waits although two are free.
/// ```
/// use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
/// use windtunnel_core::{Bucket, Supply, TaskRequest};
/// use windtunnel_policies::Fifo;
///
/// let job = |gpus| {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::from_secs(10))
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
/// let jobs = JobList::new(vec![job(2), job(4), job(2)]);
/// let report = Simulation::new(supply, jobs, Fifo::default(), RunOptions::default())?.run()?;
///
/// assert_eq!(report.end, SimTime::from_secs(30), "one after another");
/// let ledger = report.ledger.ok_or("no ledger")?;
/// assert_eq!(ledger.gpu_seconds(Bucket::IdleHeld), 20, "two GPUs behind the blocked head");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fifo {
    never: Never,
    /// The job that blocks the others, if one does.
    head: Option<JobRef>,
    /// Queues that were told why their rest waits.
    told: Vec<QueueId>,
}

impl Fifo {
    /// A strict queue.
    #[must_use]
    pub fn new(never: Never) -> Self {
        Self {
            never,
            ..Self::default()
        }
    }

    /// Says, once per queue, that whoever has no reason of its own waits behind the head.
    fn tell_queues(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        for change in news.jobs {
            let Some(job) = view.job(change.job) else {
                continue;
            };
            if let Err(place) = self.told.binary_search(&job.queue()) {
                self.told.insert(place, job.queue());
                out.rest(job.queue(), Reason::HeadOfLine);
            }
        }
    }

    /// Says why the head waits; whoever was the head before waits behind it.
    fn block(&mut self, view: &View<'_>, head: Option<(JobRef, Reason)>, out: &mut Decisions) {
        let job = head.map(|(job, _)| job);
        if job == self.head {
            return;
        }
        if let Some(before) = self.head
            && job.is_some()
            && view.job(before).is_some_and(|job| job.is_queued())
        {
            out.waiting(before, Reason::HeadOfLine);
        }
        if let Some((job, why)) = head {
            out.waiting(job, why);
        }
        self.head = job;
    }
}

impl Policy for Fifo {
    fn name(&self) -> &str {
        "fifo"
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        self.tell_queues(view, news, out);
        let mut plan = view.plan();
        let mut head = None;
        for job in view.pending_jobs() {
            match plan.first_fit(job) {
                Fit::Now(spots) => {
                    let left = job.tasks_in(windtunnel_core::TaskState::Pending) as usize;
                    let trickles = job.advance() == windtunnel_core::Advance::Each;
                    let whole = !trickles || spots.len() == left;
                    out.place(job.id(), spots);
                    if whole {
                        continue;
                    }
                    head = Some((job.id(), Reason::DoesNotFit));
                }
                Fit::Never if self.never == Never::Reject => {
                    out.reject(job.id());
                    // It waits no more; its pools may have shrunk while it was the head.
                    self.head = self.head.filter(|head| *head != job.id());
                    continue;
                }
                Fit::Never => head = Some((job.id(), Reason::NeverFits)),
                Fit::NotNow => head = Some((job.id(), Reason::DoesNotFit)),
            }
            break;
        }
        self.block(view, head, out);
    }
}
