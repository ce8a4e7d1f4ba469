//! The simulation core of Windtunnel.

pub mod bitset;
pub mod engine;
pub mod hash;
pub mod rng;
pub mod units;

mod arrivals;
mod ids;
mod job;
mod names;
mod time;

pub use arrivals::{ArrivalError, Arrivals, JobList, NotForkable};
pub use ids::{
    AttrId, ControllerId, DemandId, GpuModelId, HoldId, JobId, JobRef, NodeId, PoolId, PoolSet,
    QueueId, SchedulerId, ShapeId, TaskRef, TenantId,
};
pub use job::{
    Advance, Checkpoint, Ending, GpuRequest, Groups, JobError, JobProfile, JobRequest, JobSpec,
    Level, MAX_TASKS, TaskGroup, TaskRequest, Work,
};
pub use names::{Attr, Names};
pub use time::{DurationError, NANOS_PER_SEC, SimDuration, SimTime};
pub use units::{Bytes, MicroDollars, MilliCores, Ppm};
