//! A platform: what a team runs on its hardware. Data and trait objects, never a fork of the engine.

use std::sync::Arc;

use crate::admission::Admission;
use crate::autoscaler::Autoscaler;
use crate::controller::{Batch, Controller, Service};
use crate::device::{CountOnly, DeviceChooser, Sharing};
use crate::fault::DriverFailures;
use crate::ids::{ControllerId, PoolId, PoolSet, QueueId, SchedulerId, TenantId};
use crate::policy::Policy;
use crate::speed::{ReferenceSpeed, SpeedModel};
use crate::time::SimDuration;
use crate::units::MicroDollars;

/// One scheduler and the pools it places on.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// Its pools.
    pub pools: PoolSet,
}

/// Sends jobs to a scheduler; every condition given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The job's queue.
    pub queue: Option<QueueId>,
    /// The job's controller.
    pub kind: Option<ControllerId>,
    /// The job's tenant.
    pub tenant: Option<TenantId>,
    /// Where it goes.
    pub scheduler: SchedulerId,
}

/// Who enforces walltime limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// The job's controller, exactly.
    #[default]
    Exact,
    /// The policy, in its own way.
    Policy,
    /// Nobody.
    Ignore,
}

/// How a platform runs one pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// How GPUs are shared.
    pub sharing: Sharing,
    /// Who chooses devices inside a node.
    pub devices: Box<dyn DeviceChooser>,
    /// How long a failure goes unnoticed.
    pub detection_delay: SimDuration,
    /// How often the driver of a starting node fails to come up; `None`: never.
    pub driver: Option<DriverFailures>,
    /// What it takes to make an instance (MIG) that is not there yet, before the task on it starts.
    pub reconfigure: SimDuration,
}

impl Default for PoolSettings {
    /// Exclusive GPUs, count-only devices, failures noticed at once, drivers that come up, instances
    /// (MIG) made in 5 s (general knowledge).
    fn default() -> Self {
        Self {
            sharing: Sharing::Exclusive,
            devices: Box::new(CountOnly),
            detection_delay: SimDuration::ZERO,
            driver: None,
            reconfigure: SimDuration::from_secs(5),
        }
    }
}

/// What a team runs: schedulers, controllers, admission, autoscaler, speed, and how pools are run.
///
/// A bare policy is a platform: `impl From<P: Policy>`.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Its name in outputs.
    pub name: String,
    /// Schedulers; a scheduler's place is its [`SchedulerId`].
    pub schedulers: Vec<Scheduler>,
    /// Routes, first match wins; a job that none matches goes to the first scheduler.
    pub router: Vec<Route>,
    /// Controllers; a controller's place is its [`ControllerId`]: batch, array and service by default.
    pub controllers: Vec<Box<dyn Controller>>,
    /// Admission, or none: every job is admitted.
    pub admission: Option<Box<dyn Admission>>,
    /// Autoscaler, or none: the supply is fixed.
    pub autoscaler: Option<Box<dyn Autoscaler>>,
    /// How fast units advance.
    pub speed: Arc<dyn SpeedModel>,
    /// How every pool is run that `pools` does not name.
    pub pool_default: PoolSettings,
    /// How single pools are run.
    pub pools: Vec<(PoolId, PoolSettings)>,
    /// Who enforces walltime limits.
    pub limit: LimitMode,
    /// Whether network cards read and write GPU memory by themselves here; without it, what the fabric
    /// says.
    pub rdma: Option<bool>,
    /// What the people cost who run it, for the length of the run [micro-dollars per hour].
    pub staff_per_hour: MicroDollars,
    /// What runs without GPUs beside the pools: heads, control planes [micro-dollars per hour].
    pub control_plane_per_hour: MicroDollars,
}

impl Platform {
    /// A platform of one scheduler over all pools, with the plainest of everything else.
    #[must_use]
    pub fn new(name: &str, policy: impl Policy + 'static) -> Self {
        Self {
            name: name.to_owned(),
            schedulers: vec![Scheduler {
                policy: Box::new(policy),
                pools: PoolSet::ALL,
            }],
            router: Vec::new(),
            controllers: vec![
                Box::new(Batch::new()),
                Box::new(Batch::array()),
                Box::new(Service),
            ],
            admission: None,
            autoscaler: None,
            speed: Arc::new(ReferenceSpeed),
            pool_default: PoolSettings::default(),
            pools: Vec::new(),
            limit: LimitMode::Exact,
            rdma: None,
            staff_per_hour: MicroDollars(0),
            control_plane_per_hour: MicroDollars(0),
        }
    }

    /// The same with fractions of GPUs shared in every pool.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.pool_default.sharing = sharing;
        self
    }

    /// The same with failures noticed after a delay in every pool.
    #[must_use]
    pub fn detection_delay(mut self, delay: SimDuration) -> Self {
        self.pool_default.detection_delay = delay;
        self
    }

    /// The same with RDMA on or off, whatever the fabric says.
    #[must_use]
    pub const fn rdma(mut self, rdma: bool) -> Self {
        self.rdma = Some(rdma);
        self
    }

    /// The same with drivers that fail to come up now and then in every pool.
    #[must_use]
    pub fn driver_failures(mut self, driver: DriverFailures) -> Self {
        self.pool_default.driver = Some(driver);
        self
    }

    /// The same with another controller in place of the first, the batch controller.
    #[must_use]
    pub fn batch(mut self, controller: impl Controller + 'static) -> Self {
        self.controllers[0] = Box::new(controller);
        self
    }

    /// The same with admission.
    #[must_use]
    pub fn admission(mut self, admission: impl Admission + 'static) -> Self {
        self.admission = Some(Box::new(admission));
        self
    }

    /// The same with an autoscaler.
    #[must_use]
    pub fn autoscaler(mut self, autoscaler: impl Autoscaler + 'static) -> Self {
        self.autoscaler = Some(Box::new(autoscaler));
        self
    }

    /// The scheduler a job is routed to.
    pub(crate) fn route(&self, request: &crate::JobRequest) -> SchedulerId {
        let matches = |route: &&Route| {
            route.queue.is_none_or(|queue| queue == request.queue)
                && route.kind.is_none_or(|kind| kind == request.kind)
                && route.tenant.is_none_or(|tenant| tenant == request.tenant)
        };
        self.router
            .iter()
            .find(matches)
            .map_or(SchedulerId(0), |route| route.scheduler)
    }

    /// How each of `count` pools is run, by id.
    pub(crate) fn settings(&self, count: usize) -> Vec<PoolSettings> {
        let mut all = vec![self.pool_default.clone(); count];
        for (pool, settings) in &self.pools {
            if let Some(entry) = all.get_mut(pool.index()) {
                *entry = settings.clone();
            }
        }
        all
    }
}

impl<P: Policy + 'static> From<P> for Platform {
    fn from(policy: P) -> Self {
        let name = policy.name().to_owned();
        Self::new(&name, policy)
    }
}
