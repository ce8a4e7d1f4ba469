//! The simulation core of Windtunnel: a deterministic discrete-event simulator of GPU clusters.

pub mod bitset;
pub mod engine;
pub mod hash;
pub mod rng;
pub mod units;

mod admission;
mod arrivals;
mod autoscaler;
mod controller;
mod decision;
mod device;
mod error;
mod fault;
mod ids;
mod job;
mod ledger;
mod live;
mod names;
mod news;
mod observe;
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
pub use controller::{
    Batch, Controller, ControllerClone, Interest, Lifecycle, LifecycleCommand, OnLoss, Service,
};
pub use decision::{
    Claim, Commit, Decision, Decisions, HoldFor, HoldPart, HoldSpec, Keeps, PartRange, Promise,
    Save, Scope, Spot, SpotRange, Spots, TaskSet, Then,
};
pub use device::{
    ChooserClone, CountOnly, DeviceChooser, DeviceRequest, DeviceSet, Grant, MAX_DEVICES, NodeFree,
    Refusal, Sharing,
};
pub use error::{BuildError, DecisionError, ForkError, RunError};
pub use fault::{ExponentialFaults, Fault, FaultModel, FaultStream, ListedFaults, NoFaults};
pub use ids::{
    AttrId, ControllerId, DemandId, GpuModelId, HoldId, JobId, JobRef, NodeId, PoolId, PoolSet,
    QueueId, SchedulerId, ShapeId, TaskRef, TenantId,
};
pub use job::{
    Advance, Checkpoint, Ending, GpuRequest, Groups, JobError, JobProfile, JobRequest, JobSpec,
    Level, MAX_TASKS, TaskGroup, TaskRequest, Work,
};
pub use ledger::{BUCKETS, Bucket, LedgerReport, LedgerRow};
pub use names::{Attr, Names};
pub use news::{JobChange, JobNews, News, TaskChange};
pub use observe::{Event, EventKind, JobLog, NoObserver, NodeEvent, Observer, Timeline};
pub use plan::{Fit, Mark, Plan, Score};
pub use platform::{LimitMode, Platform, PoolSettings, Route, Scheduler};
pub use policy::{
    EstimateGrant, Explanation, Grants, Knowledge, NodeTemplate, OracleGrant, Policy, PolicyClone,
};
pub use reason::{REASONS, Reason, ReasonClass};
pub use record::JobRecord;
pub use report::{Durations, Report, Summary};
pub use simulation::{Horizon, RunOptions, Simulation, Step};
pub use speed::{Neighbours, Placement, ReferenceSpeed, Slices, Speed, SpeedModel, Until};
pub use supply::{CloudQuota, Elastic, NodeModel, PoolSpec, Price, Supply, SupplyError, Tenure};
pub use task::{Outcome, TaskEnd, TaskState};
pub use time::{DurationError, NANOS_PER_SEC, SimDuration, SimTime};
pub use units::{Bytes, MicroDollars, MilliCores, Ppm};
pub use view::{HoldView, JobView, NodeView, PendingShape, SetAside, TaskView, View};
pub use world::World;
pub use world::cluster::Stage;
