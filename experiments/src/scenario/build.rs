//! A scenario to the engine's own types.

use std::sync::Arc;

use windtunnel_core::{
    Batch, Bytes, DriverFailures, Elastic, Layout, MicroDollars, MilliCores, NodeModel, Platform,
    Policy, PoolId, PoolSpec, Price, SimDuration, Supply, Tenure,
};
use windtunnel_policies::registry;

use super::{IN_CODE, PlatformSpec, Pool, Scenario};
use crate::error::ExperimentError;

/// Delay before a job that was refused after it was bound is started again, doubled each time, and its cap.
const RETRY_DELAY: (SimDuration, SimDuration) =
    (SimDuration::from_secs(10), SimDuration::from_mins(6));

impl Scenario {
    /// The hardware and its faults.
    #[must_use]
    pub fn supply(&self) -> Supply {
        let supply = match &self.cluster {
            Some(cluster) => cluster.supply(),
            None => Supply::new(self.pools.iter().map(Pool::spec).collect()),
        };
        let supply = supply.with_fabric(self.fabric.fabric());
        self.faults.befall(supply)
    }

    /// What runs on it.
    ///
    /// # Errors
    /// The policy's text names none, or one that was made in code and is not here.
    pub fn platform(&self, spec: &PlatformSpec) -> Result<Platform, ExperimentError> {
        if spec.policy == IN_CODE {
            return Err(ExperimentError::InCode {
                platform: spec.name.clone(),
            });
        }
        let policy = registry::policy(&spec.policy).map_err(|cause| ExperimentError::Policy {
            platform: spec.name.clone(),
            cause,
        })?;
        Ok(self.platform_with(spec, policy))
    }

    /// The same with a policy made elsewhere.
    pub(crate) fn platform_with(&self, spec: &PlatformSpec, policy: Box<dyn Policy>) -> Platform {
        let mut batch = Batch::new().on_loss(spec.on_loss);
        if let Some(timeout) = spec.gang_timeout {
            batch = batch.gang_timeout(timeout);
        }
        if let Some(retries) = spec.retries {
            batch = batch.retries(retries, RETRY_DELAY.0, RETRY_DELAY.1);
        }
        let mut platform = Platform::new(&spec.name, policy)
            .detection_delay(spec.detection_delay)
            .batch(batch);
        platform.pool_default.devices = spec.devices.chooser();
        if spec.driver_failure.0 > 0 {
            platform = platform.driver_failures(DriverFailures {
                probability: spec.driver_failure,
                retry_min: spec.driver_retry_min,
                retry_max: spec.driver_retry_max,
            });
        }
        platform.speed = spec.speed.model();
        if let Some(reconfigure) = spec.mig_reconfigure {
            platform.pool_default.reconfigure = reconfigure;
        }
        // MIG was checked to be possible in every pool; elsewhere there is nothing that could not be.
        let sharing = |model: &str, own| spec.sharing_on(model, own).unwrap_or_default();
        platform.pool_default.sharing = sharing("", None);
        for (pool, id) in self.pools.iter().zip(0..) {
            let of_pool = sharing(&pool.gpu_model, pool.sharing);
            if of_pool != platform.pool_default.sharing {
                let mut settings = platform.pool_default.clone();
                settings.sharing = of_pool;
                platform.pools.push((PoolId(id), settings));
            }
        }
        platform.limit = spec.limit;
        platform.rdma = spec.rdma;
        platform.staff_per_hour = self.staff_per_hour(spec);
        platform.control_plane_per_hour = spec.control_plane_usd_per_hour;
        platform
    }

    /// What the people cost per hour of the run.
    fn staff_per_hour(&self, spec: &PlatformSpec) -> MicroDollars {
        let fixed = spec.staff_usd_per_hour.unwrap_or(self.staff.usd_per_hour);
        let per_gpu = spec
            .staff_usd_per_gpu_hour
            .unwrap_or(self.staff.usd_per_gpu_hour);
        MicroDollars(
            fixed
                .0
                .saturating_add(per_gpu.0.saturating_mul(self.gpu_count())),
        )
    }
}

impl Pool {
    /// As given, else as its hardware has; zero is not known.
    fn gpu_memory(&self) -> Bytes {
        let own = self
            .gpu_memory_gb
            .map(|gb| Bytes(u64::from(gb) * 1_000_000_000));
        let model = self
            .model
            .as_ref()
            .map(|hardware| hardware.topology().gpu_memory());
        own.or(model).unwrap_or(Bytes(0))
    }

    fn spec(&self) -> PoolSpec {
        let model = NodeModel {
            name: match &self.model {
                Some(hardware) => hardware.name.clone(),
                None => format!("{}x-{}", self.gpus_per_node, self.gpu_model),
            },
            gpu_model: self.gpu_model.clone(),
            gpus: self.gpus_per_node,
            cpu: MilliCores(self.cores.saturating_mul(1_000)),
            memory: Bytes(u64::from(self.memory_gib) << 30),
            gpu_memory: self.gpu_memory(),
            topology: self
                .model
                .as_ref()
                .map(|hardware| Arc::clone(hardware.topology())),
        };
        let mut price = Price {
            per_node_hour: self.usd_per_node_hour,
            ..Price::default()
        };
        let tenure = match &self.rented {
            None => Tenure::Owned {
                nodes: self.nodes.unwrap_or(0),
            },
            Some(rented) => {
                price.granularity = rented.billing_granularity;
                price.minimum = rented.billing_minimum;
                Tenure::Rented(Elastic {
                    min: rented.min,
                    max: rented.max,
                    request_delay: rented.request_delay,
                    boot_delay: rented.boot_delay,
                })
            }
        };
        PoolSpec {
            name: self.name.clone(),
            model,
            tenure,
            price,
            layout: Layout {
                nodes_per_domain: self.nodes_per_domain,
                nodes_per_rack: self.nodes_per_rack,
            },
        }
    }
}
