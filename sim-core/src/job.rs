//! Jobs as they are submitted: what is asked ([`JobRequest`]) is not what is true ([`JobProfile`]).
//!
//! Policies see requests. Profiles are the engine's; a policy that wants to know more declares so
//! ([`Knowledge`](crate::Knowledge)).

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::device::MigInstance;
use crate::fabric::Level;
use crate::ids::{AttrId, ControllerId, NodeId, QueueId, TenantId};
use crate::job_name::JobName;
use crate::speed::Behaviour;
use crate::time::{SimDuration, SimTime};
use crate::units::{Bytes, MILLI_PER_GPU, MilliCores, Ppm};

/// What one task asks of the GPUs of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GpuRequest {
    /// No GPU.
    #[default]
    None,
    /// A number of whole devices, at least one.
    Whole(u16),
    /// A part of one device, in thousandths: 1 to 999. A fraction never spans devices.
    Milli(u16),
    /// An instance (MIG) of one device. On GPUs that are not shared by MIG it is the part of a device
    /// that its memory is.
    Instance(MigInstance),
}

impl GpuRequest {
    /// Thousandths of a GPU asked for.
    ///
    /// ```
    /// use windtunnel_core::GpuRequest;
    /// assert_eq!(GpuRequest::Whole(2).milli(), 2_000);
    /// assert_eq!(GpuRequest::Milli(300).milli(), 300);
    /// ```
    #[must_use]
    pub const fn milli(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Whole(count) => count as u32 * MILLI_PER_GPU,
            Self::Milli(milli) => milli as u32,
            Self::Instance(instance) => instance.milli() as u32,
        }
    }

    /// Whether it is less than a device: a fraction or an instance.
    #[must_use]
    pub const fn is_part(self) -> bool {
        matches!(self, Self::Milli(_) | Self::Instance(_))
    }

    /// Devices it touches: the count of whole ones, one for a part.
    #[must_use]
    pub const fn devices(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Whole(count) => count as u32,
            Self::Milli(_) | Self::Instance(_) => 1,
        }
    }
}

/// What one task asks of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRequest {
    /// GPUs, a part of one, or an instance.
    pub gpus: GpuRequest,
    /// Acceptable GPU models as a bit mask over [`GpuModelId`](crate::GpuModelId); 0 accepts any.
    pub models: u64,
    /// CPU [thousandths of a core].
    pub cpu: MilliCores,
    /// Memory \[bytes\].
    pub memory: Bytes,
}

impl TaskRequest {
    /// `count` whole GPUs of any model (none if 0), and nothing else.
    #[must_use]
    pub const fn gpus(count: u16) -> Self {
        let gpus = if count == 0 {
            GpuRequest::None
        } else {
            GpuRequest::Whole(count)
        };
        Self {
            gpus,
            models: 0,
            cpu: MilliCores(0),
            memory: Bytes(0),
        }
    }

    /// A part of one GPU, in thousandths (1 to 999), and nothing else.
    #[must_use]
    pub const fn gpu_milli(milli: u16) -> Self {
        Self {
            gpus: GpuRequest::Milli(milli),
            models: 0,
            cpu: MilliCores(0),
            memory: Bytes(0),
        }
    }

    /// An instance (MIG) of one GPU, and nothing else.
    ///
    /// ```
    /// use windtunnel_core::{MigInstance, TaskRequest};
    /// assert_eq!(TaskRequest::mig(MigInstance::FourG).gpus.milli(), 500);
    /// ```
    #[must_use]
    pub const fn mig(instance: MigInstance) -> Self {
        Self {
            gpus: GpuRequest::Instance(instance),
            models: 0,
            cpu: MilliCores(0),
            memory: Bytes(0),
        }
    }

    /// The same with `cores` whole CPU cores.
    #[must_use]
    pub const fn with_cores(mut self, cores: u32) -> Self {
        self.cpu = MilliCores::cores(cores);
        self
    }

    /// The same with `memory`.
    #[must_use]
    pub const fn with_memory(mut self, memory: Bytes) -> Self {
        self.memory = memory;
        self
    }
}

/// Tasks of a job that ask for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskGroup {
    /// What each task asks for.
    pub request: TaskRequest,
    /// How many tasks; for an elastic job's first group the nominal count.
    pub count: u32,
    /// The level the group must not cross, if any: all its tasks are on one node, or in one NVLink
    /// domain, rack or pod. For gangs only.
    pub level: Option<Level>,
    /// The group's attributes.
    pub attrs: AttrId,
}

impl TaskGroup {
    /// `count` tasks of `request`, anywhere, without attributes.
    #[must_use]
    pub const fn new(request: TaskRequest, count: u32) -> Self {
        Self {
            request,
            count,
            level: None,
            attrs: AttrId(0),
        }
    }
}

/// The groups of a job; the common one is held inline.
pub type Groups = SmallVec<[TaskGroup; 1]>;

/// Which tasks must run for the job to make progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advance {
    /// All of them together: a gang. The unit of progress is the job.
    All,
    /// Each on its own: arrays, replicas. The unit of progress is the task.
    Each,
    /// At least `min` and at most `max` tasks of group 0: an elastic job. The unit of progress is the job.
    Between {
        /// Fewest tasks with which it advances.
        min: u32,
        /// Most tasks it can use.
        max: u32,
    },
}

/// What a policy may know of a job without declaring more.
#[derive(Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The task groups, at least one, each with at least one task.
    pub groups: Groups,
    /// Which tasks must run for progress.
    pub advance: Advance,
    /// Which of the platform's controllers owns it.
    pub kind: ControllerId,
    /// Walltime limit: the longest it may run.
    pub limit: Option<SimDuration>,
    /// The user's estimate of its run time; readable with a grant only.
    pub estimate: Option<SimDuration>,
    /// Priority, higher first.
    pub priority: i64,
    /// Who pays.
    pub tenant: TenantId,
    /// The queue it is submitted to.
    pub queue: QueueId,
    /// The job's attributes.
    pub attrs: AttrId,
}

impl Clone for JobRequest {
    /// As derived, but groups are copied at once: traces in memory clone every job.
    fn clone(&self) -> Self {
        Self {
            groups: Groups::from_slice(&self.groups),
            ..*self
        }
    }
}

impl JobRequest {
    /// Number of tasks over all groups; for an elastic job as many as it can use.
    #[must_use]
    pub fn task_count(&self) -> u32 {
        match self.advance {
            Advance::Between { max, .. } => max,
            _ => self.groups.iter().map(|g| g.count).sum(),
        }
    }

    /// GPUs asked for over all tasks, in thousandths; for an elastic job at its nominal count.
    #[must_use]
    pub fn gpu_milli(&self) -> u64 {
        self.groups
            .iter()
            .map(|g| u64::from(g.count) * u64::from(g.request.gpus.milli()))
            .sum()
    }
}

/// How much there is to do, as run time at the reference rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// It never finishes by itself: a service.
    Endless,
    /// One value: for the job, or for each of its tasks under [`Advance::Each`].
    Uniform(SimDuration),
    /// One value per task in (group, index) order, under [`Advance::Each`].
    PerTask(Arc<[SimDuration]>),
}

/// How a job saves its progress while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Running time between saves; must not be zero.
    pub interval: SimDuration,
    /// What one save costs; progress stands still for it. Zero is free.
    pub cost: SimDuration,
}

/// How a job ends in truth once its work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It completes.
    #[default]
    Completes,
    /// It fails by itself: its work is the time until then.
    Fails,
    /// Its user cancels it: its work is the time until then.
    Cancelled,
}

/// What is true of a job, whatever anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProfile {
    /// Work to do.
    pub work: Work,
    /// From being bound to running: image pull, initialisation, restore.
    pub startup: SimDuration,
    /// What a resize or a migration costs, once, instead of `startup`.
    pub restart: SimDuration,
    /// Share of the running time in which its GPUs are busy.
    pub duty: Ppm,
    /// Periodic saves, if any.
    pub checkpoint: Option<Checkpoint>,
    /// How it ends when its work is done.
    pub ending: Ending,
    /// How it uses its GPUs, for speed models and agents that ask; none is the plainest.
    pub behaviour: Option<Arc<Behaviour>>,
    /// When and where it ran by the log it was read from, if the log says; the engine takes no notice.
    pub recorded: Option<Arc<Recorded>>,
}

/// When and where a job ran by the log it was read from: what a replay repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When all its tasks were bound.
    pub start: SimTime,
    /// The node of each task, in (group, index) order; empty if the log does not say.
    pub nodes: Box<[NodeId]>,
}

/// One job as a trace yields it.
///
/// ```
/// use windtunnel_core::{JobSpec, SimDuration, SimTime, TaskRequest};
/// let job = JobSpec::new(SimTime::from_secs(5), TaskRequest::gpus(4), SimDuration::from_hours(1))
///     .tasks(2)
///     .limit(SimDuration::from_hours(2));
/// assert_eq!(job.request.gpu_milli(), 8_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// When it is submitted; a stream of jobs is sorted by it.
    pub submit: SimTime,
    /// Its name in the trace, for output only.
    pub name: Option<JobName>,
    /// What it asks for.
    pub request: JobRequest,
    /// What is true of it.
    pub profile: JobProfile,
}

impl JobSpec {
    /// A gang of one task that runs for `work` at the reference rate, everything else at its default.
    #[must_use]
    pub fn new(submit: SimTime, request: TaskRequest, work: SimDuration) -> Self {
        Self {
            submit,
            name: None,
            request: JobRequest {
                groups: smallvec![TaskGroup::new(request, 1)],
                advance: Advance::All,
                kind: ControllerId(0),
                limit: None,
                estimate: None,
                priority: 0,
                tenant: TenantId(0),
                queue: QueueId(0),
                attrs: AttrId(0),
            },
            profile: JobProfile {
                work: Work::Uniform(work),
                startup: SimDuration::ZERO,
                restart: SimDuration::ZERO,
                duty: Ppm::ONE,
                checkpoint: None,
                ending: Ending::Completes,
                behaviour: None,
                recorded: None,
            },
        }
    }

    /// The same with `count` tasks in its first group.
    #[must_use]
    pub fn tasks(mut self, count: u32) -> Self {
        self.request.groups[0].count = count;
        self
    }

    /// The same with all tasks of its first group within one group of nodes at a level: in one rack, say.
    ///
    /// ```
    /// use windtunnel_core::{Advance, JobError, JobSpec, Level, SimDuration, SimTime, TaskRequest};
    /// let hour = SimDuration::from_hours(1);
    /// let job = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(8), hour).tasks(4).within(Level::Rack);
    /// assert_eq!(job.check(), Ok(()));
    /// assert_eq!(job.advance(Advance::Each).check(), Err(JobError::Level));
    /// ```
    #[must_use]
    pub fn within(mut self, level: Level) -> Self {
        self.request.groups[0].level = Some(level);
        self
    }

    /// The same with another way of advancing.
    #[must_use]
    pub fn advance(mut self, advance: Advance) -> Self {
        self.request.advance = advance;
        self
    }

    /// The same owned by another of the platform's controllers.
    #[must_use]
    pub fn kind(mut self, kind: ControllerId) -> Self {
        self.request.kind = kind;
        self
    }

    /// The same with a walltime limit.
    #[must_use]
    pub fn limit(mut self, limit: SimDuration) -> Self {
        self.request.limit = Some(limit);
        self
    }

    /// The same with the user's estimate of its run time.
    #[must_use]
    pub fn estimate(mut self, estimate: SimDuration) -> Self {
        self.request.estimate = Some(estimate);
        self
    }

    /// The same with a priority, higher first.
    #[must_use]
    pub fn priority(mut self, priority: i64) -> Self {
        self.request.priority = priority;
        self
    }

    /// The same with a name for output.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with a startup (and restart) time.
    #[must_use]
    pub fn startup(mut self, startup: SimDuration) -> Self {
        self.profile.startup = startup;
        self.profile.restart = startup;
        self
    }

    /// The same with periodic saves.
    #[must_use]
    pub fn checkpoint(mut self, interval: SimDuration, cost: SimDuration) -> Self {
        self.profile.checkpoint = Some(Checkpoint { interval, cost });
        self
    }

    /// The same with a duty cycle below one.
    #[must_use]
    pub fn duty(mut self, duty: Ppm) -> Self {
        self.profile.duty = duty;
        self
    }

    /// The same with a way of using its GPUs.
    #[must_use]
    pub fn behaviour(mut self, behaviour: Arc<Behaviour>) -> Self {
        self.profile.behaviour = Some(behaviour);
        self
    }

    /// The same with when, and on which nodes (none: unknown), it ran by its log.
    #[must_use]
    pub fn recorded(mut self, start: SimTime, nodes: &[NodeId]) -> Self {
        let nodes = nodes.into();
        self.profile.recorded = Some(Arc::new(Recorded { start, nodes }));
        self
    }

    /// Checks what the engine relies on: at least one group, each with at least one task; fractions
    /// of 1 to 999 thousandths; duty at most one; a checkpoint interval above zero; an elastic range
    /// with 1 ≤ min ≤ max and one group; one group under [`Advance::Each`]; a level only under [`Advance::All`]; work per task only under [`Advance::Each`] and complete.
    ///
    /// # Errors
    /// The first rule that is broken, in words.
    pub fn check(&self) -> Result<(), JobError> {
        let groups = &self.request.groups;
        if groups.is_empty() || groups.len() > usize::from(u16::MAX) {
            return Err(JobError::NoTasks);
        }
        let mut total: u64 = 0;
        for group in groups {
            if group.count == 0 {
                return Err(JobError::NoTasks);
            }
            total += u64::from(group.count);
            match group.request.gpus {
                GpuRequest::Whole(0) => return Err(JobError::GpuFraction { milli: 0 }),
                GpuRequest::Milli(milli) if milli == 0 || u32::from(milli) >= MILLI_PER_GPU => {
                    return Err(JobError::GpuFraction { milli });
                }
                _ => {}
            }
        }
        if total > u64::from(MAX_TASKS) {
            return Err(JobError::TooManyTasks { count: total });
        }
        if self.profile.duty > Ppm::ONE {
            return Err(JobError::Duty);
        }
        if self
            .profile
            .checkpoint
            .is_some_and(|c| c.interval.is_zero())
        {
            return Err(JobError::CheckpointInterval);
        }
        if self.request.advance != Advance::All && groups.iter().any(|g| g.level.is_some()) {
            return Err(JobError::Level);
        }
        if let Advance::Between { min, max } = self.request.advance
            && (min == 0 || max < min || groups.len() != 1 || max > MAX_TASKS)
        {
            return Err(JobError::ElasticRange { min, max });
        }
        if self.request.advance == Advance::Each && groups.len() != 1 {
            return Err(JobError::EachGroups);
        }
        if let Work::PerTask(each) = &self.profile.work
            && (self.request.advance != Advance::Each || each.len() as u64 != total)
        {
            return Err(JobError::WorkPerTask);
        }
        Ok(())
    }
}

/// Most tasks one job may have.
pub const MAX_TASKS: u32 = 1_000_000;

/// What is wrong with a job specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// No group, or a group without a task.
    #[error("a job needs at least one task in each group")]
    NoTasks,
    /// More tasks than [`MAX_TASKS`].
    #[error("{count} tasks are more than the {MAX_TASKS} a job may have")]
    TooManyTasks {
        /// Tasks asked for.
        count: u64,
    },
    /// Not a part of one GPU.
    #[error("{milli} thousandths is no part of a GPU (1 to 999, or whole devices)")]
    GpuFraction {
        /// Thousandths asked for.
        milli: u16,
    },
    /// Duty above one.
    #[error("a duty cycle can't exceed one")]
    Duty,
    /// Checkpoint interval of zero.
    #[error("a checkpoint interval must be longer than zero")]
    CheckpointInterval,
    /// An elastic range that makes no sense.
    #[error("elastic range {min}..{max} needs 1 <= min <= max and a single group")]
    ElasticRange {
        /// Fewest tasks.
        min: u32,
        /// Most tasks.
        max: u32,
    },
    /// Several groups under [`Advance::Each`].
    #[error("tasks that advance each on their own must be of one group; submit a job per group")]
    EachGroups,
    /// A level for tasks that are no gang.
    #[error(
        "a level is for gangs only: tasks of an array or an elastic job come and go one by one, so leave it out"
    )]
    Level,
    /// Work per task for a job that advances as one, or of the wrong length.
    #[error("work per task needs `each` and one value per task")]
    WorkPerTask,
}
