//! The simulation core of Windtunnel: a deterministic discrete-event simulator of GPU clusters and
//! the schedulers that run them.
//!
//! # A first run
//!
//! A [`Supply`] is hardware, a stream of jobs is [`Arrivals`], a [`Platform`] is what a team runs on
//! the hardware; a bare [`Policy`] is one. A [`Simulation`] takes the three and returns a [`Report`].
//!
//! ```
//! use windtunnel_core::{Bucket, Decisions, Fit, JobList, JobSpec, News, NodeModel, Policy};
//! use windtunnel_core::{Reason, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest, View};
//!
//! /// Starts jobs strictly in submission order; one that does not fit blocks the ones behind it.
//! #[derive(Clone)]
//! struct StrictFifo;
//!
//! impl Policy for StrictFifo {
//!     fn name(&self) -> &str {
//!         "strict-fifo"
//!     }
//!
//!     fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
//!         let mut plan = view.plan(); // what-if overlay on the free capacity
//!         for job in view.pending_jobs() {
//!             match plan.first_fit(job) {
//!                 Fit::Now(spots) => out.place(job.id(), spots),
//!                 Fit::Never => out.reject(job.id()),
//!                 Fit::NotNow => {
//!                     out.waiting(job.id(), Reason::DoesNotFit); // the engine says why
//!                     out.rest(job.queue(), Reason::HeadOfLine); // why everyone behind it waits
//!                     break;
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! let supply = Supply::uniform(NodeModel::gpus_only("h100", 8), 2); // 2 nodes, 8 GPUs each
//! let hour = SimDuration::from_hours(1);
//! let big = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(8), hour).tasks(2);
//! let small = JobSpec::new(SimTime::ZERO, TaskRequest::gpus(1), hour);
//! let jobs = JobList::new(vec![small.clone(), big, small]);
//!
//! let report = Simulation::new(supply, jobs, StrictFifo, RunOptions::default())?.run()?;
//! let ledger = report.ledger.as_ref().unwrap();
//! assert_eq!(report.end, SimTime::from_secs(3 * 3_600));
//! assert_eq!(ledger.gpu_hours(Bucket::AllocatedUseful), 18.0);
//! // In the first hour one GPU could have run the last job: head-of-line blocking cost one GPU-hour.
//! assert_eq!(ledger.gpu_hours(Bucket::IdleHeld), 1.0);
//! assert_eq!(ledger.gpu_hours(Bucket::IdleInsufficient), 14.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Jobs: what is asked is not what is true
//!
//! A [`JobSpec`] holds a [`JobRequest`], which policies see, and a [`JobProfile`], which they do not.
//! A job is groups of equal tasks. A *task* is what is placed; a *unit* is what makes progress: the
//! job for gangs and elastic jobs, the task for arrays ([`Advance`]). A policy that wants to know
//! more than requests declares so ([`Knowledge`]), gets a grant for it, and the report says so.
//!
//! # Who decides what
//!
//! | seam | decides |
//! | --- | --- |
//! | [`Policy`] | where and when tasks run, who is evicted, what is held for whom |
//! | [`Controller`] | which tasks exist, what becomes of lost ones, when a job is finished |
//! | [`Admission`] | which jobs a policy may see |
//! | [`Autoscaler`] | how many nodes a rented pool has |
//! | [`DeviceChooser`] | which GPUs of a node a task gets |
//! | [`SpeedModel`] | how fast a unit advances and what its GPUs do meanwhile |
//! | [`FaultModel`] | what fails, when and for how long |
//! | [`Observer`] | nothing; it watches |
//!
//! Decisions are data ([`Decision`]): the engine validates and applies them in order. What is
//! impossible from a policy's own view is an error of the policy ([`RunError::InvalidDecision`]); what
//! the world refuses is news to it ([`News::refused`]).
//!
//! # One instant
//!
//! All events of an instant are applied in the order of [`Phase`](engine::Phase); then controllers,
//! admission, schedulers and autoscaler decide, each if it has [`News`]; then speeds and the ledger
//! are settled, once. See [`Simulation`].
//!
//! # The ledger
//!
//! Every GPU-nanosecond that was paid for is in exactly one [`Bucket`]; idle capacity is charged to
//! the demand that could not use it, and no demand is charged twice. Dollars follow
//! ([`LedgerReport`]).
//!
//! # Determinism
//!
//! Given the same scenario, the same seed and the same release, a run produces a byte-identical event
//! log and report, on every supported platform, in debug and release builds, with or without
//! observers attached. Time, work and capacity are integers; ties break by id; random draws are keyed
//! by what they are for ([`rng`]). [`Report::digest`] is the proof.
//!
//! An embedded run does no I/O, starts no thread, prints nothing and never exits the process.

pub mod bitset;
pub mod engine;
pub mod hash;
pub mod rng;
pub mod topology;
pub mod units;

mod admission;
mod arrivals;
mod autoscaler;
mod by_reason;
mod checkpoint;
mod controller;
mod decision;
mod device;
mod error;
mod fabric;
mod fault;
pub mod fragmentation;
mod ids;
mod job;
mod job_name;
mod ledger;
mod live;
mod names;
mod news;
mod observe;
mod per_pool;
mod plan;
mod platform;
mod policy;
mod reason;
mod record;
mod report;
mod shape;
mod simulation;
mod space;
mod speed;
mod supply;
mod task;
mod time;
mod view;
mod world;

pub use admission::{Admission, AdmissionClone, AdmissionCommand, Admissions};
pub use arrivals::{ArrivalError, Arrivals, JobList, NotForkable};
pub use autoscaler::{Autoscaler, AutoscalerClone, Scaling, ScalingCommand, WouldFit};
pub use checkpoint::STATE_BYTES_PER_PARAMETER;
pub use controller::{
    Batch, Controller, ControllerClone, Interest, Lifecycle, LifecycleCommand, OnLoss, Service,
};
pub use decision::{
    Claim, Commit, Decision, Decisions, HoldFor, HoldPart, HoldSpec, Keeps, PartRange, Promise,
    Save, Scope, Spot, SpotRange, Spots, TaskSet, Then,
};
pub use device::{
    Alignment, Arbitrary, Choice, ChooserClone, Cores, CountOnly, DeviceChooser, DeviceRequest,
    DeviceSet, Grant, MAX_DEVICES, MAX_NUMA, MigInstance, MigNameError, MigProfile, MigTable,
    NodeFree, NodeState, NvidiaPlugin, Refusal, Sharing, SlurmGres, TopologyAware, TopologyManager,
};
pub use error::{BuildError, DecisionError, ForkError, RunError};
pub use fabric::{Fabric, Layout, Level, Places, Transport};
pub use fault::{
    DriverFailures, ExponentialFaults, Fault, FaultKind, FaultModel, FaultStep, FaultStream,
    FleetFaults, Links, ListedFaults, Lognormal, MaintenanceWindows, NoFaults, RepairTimes,
    SeveralFaults, Site, SlowBy,
};
pub use fragmentation::{
    Fragmentation, FragmentationMeter, MigBlocked, SlotMeter, SlotsLeft, Target, Targets,
};
pub use ids::{
    AttrId, ControllerId, DemandId, GpuModelId, HoldId, JobId, JobRef, NodeId, PoolId, PoolSet,
    QueueId, SchedulerId, ShapeId, TaskRef, TenantId,
};
pub use job::{
    Advance, Checkpoint, Ending, GpuRequest, Groups, JobError, JobProfile, JobRequest, JobSpec,
    MAX_TASKS, Recorded, TaskGroup, TaskRequest, Work,
};
pub use job_name::JobName;
pub use ledger::{BUCKETS, Bucket, LedgerReport, LedgerRow};
pub use names::{Attr, Names};
pub use news::{JobChange, JobNews, News, TaskChange};
pub use observe::{Event, EventKind, JobLog, NoObserver, NodeEvent, Observer, Timeline};
pub use plan::{Fit, Mark, Plan, Score, Scorer};
pub use platform::{LimitMode, Platform, PoolSettings, Route, Scheduler};
pub use policy::{
    EstimateGrant, Explanation, Grants, Knowledge, NodeTemplate, OracleGrant, Policy, PolicyClone,
};
pub use reason::{REASONS, Reason, ReasonClass};
pub use record::JobRecord;
pub use report::{Durations, Report, Summary};
pub use simulation::{Horizon, RunOptions, Simulation, Step};
pub use speed::sharing;
pub use speed::{
    Algorithm, Behaviour, BehaviourError, Clock, Curve, Cycle, DutyPhase, Efficiency, Exchange,
    FittedExchange, Footprint, Limits, Neighbours, NodeLimits, NodePart, Pipe, PlacedTask,
    Placement, Reach, ReferenceSpeed, Sensitivity, Sharer, Shares, Slices, Speed, SpeedByNode,
    SpeedModel, Spread, StepTime, TopologySpeed, Traffic, Until, shares, use_of,
};
pub use supply::{CloudQuota, Elastic, NodeModel, PoolSpec, Price, Supply, SupplyError, Tenure};
pub use task::{Outcome, TaskEnd, TaskState};
pub use time::{DurationError, NANOS_PER_SEC, SimDuration, SimTime};
pub use units::{Bytes, MicroDollars, MilliCores, Ppm};
pub use view::{HoldView, JobView, NodeView, PendingShape, SetAside, TaskView, View};
pub use world::World;
pub use world::cluster::Stage;
