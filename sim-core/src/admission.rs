//! Admission: tenants, quotas and who may wait for capacity at all.

use crate::ids::{JobRef, PoolSet};
use crate::news::News;
use crate::reason::Reason;
use crate::time::{SimDuration, SimTime};
use crate::view::View;

/// What admission decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionCommand {
    /// Lets a job through, to some pools.
    Admit {
        /// Which job.
        job: JobRef,
        /// Where it may run, within its scheduler's pools.
        pools: PoolSet,
    },
    /// Holds a job back; jobs are held back until admitted.
    Withhold {
        /// Which job.
        job: JobRef,
        /// Why.
        why: Reason,
    },
    /// Takes an admission back: its tasks are evicted and wait for admission again as new attempts.
    Revoke {
        /// Which job.
        job: JobRef,
        /// How long its tasks keep their place while terminating.
        grace: SimDuration,
        /// Why it waits from then on.
        why: Reason,
    },
    /// Asks to be woken. Only one is kept, the last.
    WakeAt(SimTime),
}

impl AdmissionCommand {
    /// The job it is about, if any.
    #[must_use]
    pub const fn job(&self) -> Option<JobRef> {
        match self {
            Self::Admit { job, .. } | Self::Withhold { job, .. } | Self::Revoke { job, .. } => {
                Some(*job)
            }
            Self::WakeAt(_) => None,
        }
    }
}

/// The commands of one call, in order.
#[derive(Clone, Debug, Default)]
pub struct Admissions {
    pub(crate) list: Vec<AdmissionCommand>,
}

impl Admissions {
    /// Lets a job through, to every pool.
    pub fn admit(&mut self, job: JobRef) {
        self.list.push(AdmissionCommand::Admit {
            job,
            pools: PoolSet::ALL,
        });
    }

    /// Holds a job back.
    pub fn withhold(&mut self, job: JobRef, why: Reason) {
        self.list.push(AdmissionCommand::Withhold { job, why });
    }

    /// Takes an admission back.
    pub fn revoke(&mut self, job: JobRef, grace: SimDuration, why: Reason) {
        self.list.push(AdmissionCommand::Revoke { job, grace, why });
    }

    /// Adds any command.
    pub fn push(&mut self, command: AdmissionCommand) {
        self.list.push(command);
    }
}

/// Decides which jobs a scheduler may see.
///
/// # Contract
/// `admit` is called in a decision round, after the controllers and before the schedulers, whenever
/// a job was created or ended, an attempt of a task ended, or its wake-up is due. A job it says nothing about
/// stays withheld for quota; what it asks for a job that ended in the same instant is void.
pub trait Admission: Send + AdmissionClone {
    /// Stable kebab-case name.
    fn name(&self) -> &str;
    /// Decides.
    fn admit(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Admissions);
}

/// Clones a boxed admission; implemented for every `Clone` one.
pub trait AdmissionClone {
    /// A boxed copy.
    fn clone_admission(&self) -> Box<dyn Admission>;
}

impl<T: Admission + Clone + 'static> AdmissionClone for T {
    fn clone_admission(&self) -> Box<dyn Admission> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Admission> {
    fn clone(&self) -> Self {
        (**self).clone_admission()
    }
}

impl std::fmt::Debug for dyn Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admission({})", self.name())
    }
}
