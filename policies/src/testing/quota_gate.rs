//! Admission within a quota, with preemption by revoking.

use std::collections::BTreeMap;

use windtunnel_core::{
    Admission, Admissions, JobNews, JobRef, JobView, News, Reason, SimDuration, View,
};

/// Kueue with one cluster queue: jobs are admitted by priority, then order of submission, while
/// their GPUs fit into the quota. A job of higher priority withdraws the admission of lower ones;
/// it is admitted once they have left.
#[derive(Clone, Debug)]
pub struct QuotaGate {
    /// GPUs that admitted jobs may ask for \[milli\].
    quota: u64,
    grace: SimDuration,
    admitted: BTreeMap<JobRef, u64>,
    /// Revoked, but still holding GPUs.
    leaving: BTreeMap<JobRef, u64>,
    waiting: Vec<JobRef>,
}

impl QuotaGate {
    /// A quota of whole `gpus`; revoked jobs get `grace`.
    #[must_use]
    pub const fn new(gpus: u64, grace: SimDuration) -> Self {
        Self {
            quota: gpus * 1_000,
            grace,
            admitted: BTreeMap::new(),
            leaving: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    fn used(&self) -> u64 {
        self.admitted.values().chain(self.leaving.values()).sum()
    }

    /// Revokes jobs of lower priority, lowest and youngest first, until `job` will fit.
    fn preempt_for(&mut self, view: &View<'_>, job: JobView<'_>, out: &mut Admissions) {
        let mut lower: Vec<(i64, JobRef)> = Vec::new();
        for other in self.admitted.keys().filter_map(|id| view.job(*id)) {
            if other.priority() < job.priority() {
                lower.push((other.priority(), other.id()));
            }
        }
        lower.sort_by_key(|(priority, id)| (*priority, std::cmp::Reverse(*id)));
        for (_, victim) in lower {
            let stays: u64 = self.admitted.values().sum();
            if stays + job.gpu_milli() <= self.quota {
                return;
            }
            out.revoke(victim, self.grace, Reason::Quota);
            let milli = self.admitted.remove(&victim).unwrap_or(0);
            self.leaving.insert(victim, milli);
            self.waiting.push(victim);
        }
    }
}

impl Admission for QuotaGate {
    fn name(&self) -> &str {
        "quota-gate"
    }

    fn admit(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Admissions) {
        for change in news.jobs {
            match change.what {
                JobNews::Created => self.waiting.push(change.job),
                JobNews::Ended(_) => {
                    self.admitted.remove(&change.job);
                    self.leaving.remove(&change.job);
                    self.waiting.retain(|job| *job != change.job);
                }
                _ => {}
            }
        }
        let gone = |job: &JobRef| {
            view.job(*job)
                .is_none_or(|job| job.tasks().all(|t| t.grant().is_none()))
        };
        self.leaving.retain(|job, _| !gone(job));
        let mut queue: Vec<JobView<'_>> =
            self.waiting.iter().filter_map(|id| view.job(*id)).collect();
        queue.sort_by_key(|job| (-job.priority(), job.id()));
        for job in queue {
            let milli = job.gpu_milli();
            if self.leaving.contains_key(&job.id()) {
                continue;
            }
            if self.used() + milli <= self.quota {
                out.admit(job.id());
                self.admitted.insert(job.id(), milli);
                self.waiting.retain(|other| *other != job.id());
            } else {
                out.withhold(job.id(), Reason::Quota);
                self.preempt_for(view, job, out);
            }
        }
    }
}
