//! Supply: hardware that exists or can be rented, as plain data.

use std::sync::Arc;

use crate::device::MAX_DEVICES;
use crate::fabric::{Fabric, Layout};
use crate::fault::FaultModel;
use crate::fault::NoFaults;
use crate::ids::{PoolId, PoolSet};
use crate::time::SimDuration;
use crate::topology::Topology;
use crate::units::{Bytes, MicroDollars, MilliCores};

/// A model of node: what one server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeModel {
    /// Its name, for output.
    pub name: String,
    /// Model of its GPUs; jobs ask for it by this name.
    pub gpu_model: String,
    /// Number of GPUs, at most 16.
    pub gpus: u8,
    /// CPU cores \[thousandths\].
    pub cpu: MilliCores,
    /// Memory \[bytes\].
    pub memory: Bytes,
    /// Memory of each GPU; zero is not known, and then nothing runs out of it.
    pub gpu_memory: Bytes,
    /// How its parts are connected; without it, every set of GPUs is as good as another.
    pub topology: Option<Arc<Topology>>,
}

impl NodeModel {
    /// A node with `gpus` GPUs of `gpu_model`, no CPU and no memory to speak of: for workloads that
    /// ask for none.
    #[must_use]
    pub fn gpus_only(gpu_model: &str, gpus: u8) -> Self {
        Self {
            name: format!("{gpus}x-{gpu_model}"),
            gpu_model: gpu_model.to_owned(),
            gpus,
            cpu: MilliCores(0),
            memory: Bytes(0),
            gpu_memory: Bytes(0),
            topology: None,
        }
    }

    /// The same with `cores` whole CPU cores.
    #[must_use]
    pub fn with_cores(mut self, cores: u32) -> Self {
        self.cpu = MilliCores::cores(cores);
        self
    }

    /// The same with `memory`.
    #[must_use]
    pub fn with_memory(mut self, memory: Bytes) -> Self {
        self.memory = memory;
        self
    }

    /// The same with so much memory on each GPU.
    #[must_use]
    pub fn with_gpu_memory(mut self, memory: Bytes) -> Self {
        self.gpu_memory = memory;
        self
    }

    /// The same with its parts connected so.
    #[must_use]
    pub fn with_topology(mut self, topology: Arc<Topology>) -> Self {
        self.topology = Some(topology);
        self
    }
}

/// What a node of a pool costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Price [micro-dollars per node-hour].
    pub per_node_hour: MicroDollars,
    /// Rented time is billed in whole multiples of this; zero bills exactly.
    pub granularity: SimDuration,
    /// Rented time is billed at least this long.
    pub minimum: SimDuration,
}

/// How a pool grows and shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elastic {
    /// Nodes that are up from the start and never go.
    pub min: u32,
    /// Most nodes.
    pub max: u32,
    /// From the request to the start of the instance; unpaid.
    pub request_delay: SimDuration,
    /// From the start of the instance to a usable node: boot, driver, image. Paid.
    pub boot_delay: SimDuration,
}

/// Whether a pool is owned or rented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// Owned: this many nodes, paid from the start to the end of the run, failed or not.
    Owned {
        /// Number of nodes.
        nodes: u32,
    },
    /// Rented: paid from instance start to termination.
    Rented(Elastic),
}

/// Nodes of one model under one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name, unique in the supply.
    pub name: String,
    /// What each node is.
    pub model: NodeModel,
    /// Owned or rented, and how many.
    pub tenure: Tenure,
    /// What each node costs.
    pub price: Price,
    /// How its nodes stand, where that differs from the fabric.
    pub layout: Layout,
}

impl PoolSpec {
    /// `nodes` owned nodes of `model`, free of charge.
    #[must_use]
    pub fn owned(name: &str, model: NodeModel, nodes: u32) -> Self {
        Self {
            name: name.to_owned(),
            model,
            tenure: Tenure::Owned { nodes },
            price: Price::default(),
            layout: Layout::default(),
        }
    }

    /// A rented, elastic pool, free of charge.
    #[must_use]
    pub fn rented(name: &str, model: NodeModel, elastic: Elastic) -> Self {
        Self {
            name: name.to_owned(),
            model,
            tenure: Tenure::Rented(elastic),
            price: Price::default(),
            layout: Layout::default(),
        }
    }

    /// The same at `per_node_hour`, billed exactly.
    #[must_use]
    pub fn priced(mut self, per_node_hour: MicroDollars) -> Self {
        self.price.per_node_hour = per_node_hour;
        self
    }

    /// The same with its nodes standing otherwise than the fabric says.
    #[must_use]
    pub const fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Nodes of one NVLink domain, at least one: as laid out, else as the model of node says.
    #[must_use]
    pub fn nodes_per_domain(&self) -> u32 {
        let by_model = self.model.topology.as_ref();
        let by_model = by_model.map_or(1, |topology| topology.nvlink_domain_nodes());
        self.layout.nodes_per_domain.unwrap_or(by_model).max(1)
    }

    /// Nodes under one leaf switch; zero if they are in the rack that all such pools share.
    #[must_use]
    pub fn nodes_per_rack(&self, fabric: &Fabric) -> u32 {
        self.layout.nodes_per_rack.unwrap_or(fabric.nodes_per_rack)
    }

    /// Most nodes the pool can have.
    #[must_use]
    pub const fn max_nodes(&self) -> u32 {
        match self.tenure {
            Tenure::Owned { nodes } => nodes,
            Tenure::Rented(elastic) => elastic.max,
        }
    }
}

/// A cloud quota: a limit on the nodes of a group of pools, requested ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudQuota {
    /// The pools it spans.
    pub pools: PoolSet,
    /// Most nodes over all of them.
    pub max_nodes: u32,
}

/// All hardware of a scenario.
///
/// ```
/// use windtunnel_core::{NodeModel, Supply};
/// let supply = Supply::uniform(NodeModel::gpus_only("v100", 8), 16);
/// assert_eq!(supply.gpu_count(), 128);
/// ```
#[derive(Clone, Debug)]
pub struct Supply {
    /// The pools, at most 64; a pool's place in the list is its [`PoolId`](crate::PoolId).
    pub pools: Vec<PoolSpec>,
    /// The pool of each node, in the order in which nodes are numbered; empty numbers them pool
    /// after pool. Within a pool nodes keep their order.
    ///
    /// Ties between nodes go to the lower number nearly everywhere, so a list of mixed nodes should
    /// keep its order; see [`in_order`](Self::in_order).
    pub order: Vec<PoolId>,
    /// Cloud quotas.
    pub quotas: Vec<CloudQuota>,
    /// What lies between the nodes.
    pub fabric: Fabric,
    /// The faults that befall the nodes.
    pub faults: Box<dyn FaultModel>,
}

impl Supply {
    /// Pools without quotas and without faults.
    #[must_use]
    pub fn new(pools: Vec<PoolSpec>) -> Self {
        Self {
            pools,
            order: Vec::new(),
            quotas: Vec::new(),
            fabric: Fabric::default(),
            faults: Box::new(NoFaults),
        }
    }

    /// One owned pool of `nodes` equal nodes, free of charge.
    #[must_use]
    pub fn uniform(model: NodeModel, nodes: u32) -> Self {
        Self::new(vec![PoolSpec::owned("default", model, nodes)])
    }

    /// The same with its nodes numbered in the order of a list: the pool of each.
    ///
    /// ```
    /// use windtunnel_core::{NodeModel, PoolId, PoolSpec, Supply, World};
    /// let pool = |name, gpus| PoolSpec::owned(name, NodeModel::gpus_only(name, gpus), 2);
    /// let (a, b) = (PoolId(0), PoolId(1));
    /// let supply = Supply::new(vec![pool("a100", 8), pool("t4", 1)]).in_order(vec![b, a, a, b]);
    /// let mut world = World::new(&supply)?;
    /// let pools: Vec<PoolId> = world.view().nodes().map(|node| node.pool()).collect();
    /// assert_eq!(pools, [b, a, a, b]);
    /// # Ok::<(), windtunnel_core::BuildError>(())
    /// ```
    #[must_use]
    pub fn in_order(mut self, order: Vec<PoolId>) -> Self {
        self.order = order;
        self
    }

    /// The same with a fabric between its nodes.
    #[must_use]
    pub const fn with_fabric(mut self, fabric: Fabric) -> Self {
        self.fabric = fabric;
        self
    }

    /// The same with faults.
    #[must_use]
    pub fn with_faults(mut self, faults: impl FaultModel + 'static) -> Self {
        self.faults = Box::new(faults);
        self
    }

    /// GPUs when every pool is at its largest.
    #[must_use]
    pub fn gpu_count(&self) -> u64 {
        self.pools
            .iter()
            .map(|p| u64::from(p.max_nodes()) * u64::from(p.model.gpus))
            .sum()
    }

    /// Checks what the engine relies on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), SupplyError> {
        if self.pools.is_empty() {
            return Err(SupplyError::NoPools);
        }
        if self.pools.len() > 64 {
            return Err(SupplyError::TooManyPools {
                count: self.pools.len(),
            });
        }
        let mut nodes: u64 = 0;
        for (place, pool) in self.pools.iter().enumerate() {
            nodes += u64::from(pool.max_nodes());
            if usize::from(pool.model.gpus) > MAX_DEVICES {
                return Err(SupplyError::TooManyGpus {
                    pool: pool.name.clone(),
                    gpus: pool.model.gpus,
                });
            }
            if let Tenure::Rented(elastic) = pool.tenure
                && elastic.min > elastic.max
            {
                return Err(SupplyError::ElasticRange {
                    pool: pool.name.clone(),
                });
            }
            if self.pools[..place]
                .iter()
                .any(|other| other.name == pool.name)
            {
                return Err(SupplyError::DuplicatePool {
                    pool: pool.name.clone(),
                });
            }
        }
        self.check_fabric()?;
        if nodes > 10_000_000 {
            return Err(SupplyError::TooManyNodes { count: nodes });
        }
        self.check_order()
    }

    /// Levels must nest: a rack has whole NVLink domains.
    fn check_fabric(&self) -> Result<(), SupplyError> {
        for pool in &self.pools {
            let (domain, rack) = (pool.nodes_per_domain(), pool.nodes_per_rack(&self.fabric));
            if rack % domain != 0 {
                return Err(SupplyError::CutDomain {
                    pool: pool.name.clone(),
                    domain,
                    rack,
                });
            }
        }
        Ok(())
    }

    /// Every node of every pool must be in the order once.
    fn check_order(&self) -> Result<(), SupplyError> {
        if self.order.is_empty() {
            return Ok(());
        }
        let mut left: Vec<u32> = self.pools.iter().map(PoolSpec::max_nodes).collect();
        for (place, pool) in self.order.iter().enumerate() {
            match left.get_mut(pool.index()) {
                Some(left) if *left > 0 => *left -= 1,
                _ => return Err(SupplyError::Order { place }),
            }
        }
        if left.iter().any(|&left| left > 0) {
            let place = self.order.len();
            return Err(SupplyError::Order { place });
        }
        Ok(())
    }

    /// The pool of each node, in the order in which nodes are numbered.
    pub(crate) fn node_pools(&self) -> Vec<PoolId> {
        if !self.order.is_empty() {
            return self.order.clone();
        }
        let pools = self.pools.iter().zip(0..);
        pools
            .flat_map(|(pool, id)| std::iter::repeat_n(PoolId(id), pool.max_nodes() as usize))
            .collect()
    }
}

/// What is wrong with a supply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// No pool at all.
    #[error("a supply needs at least one pool")]
    NoPools,
    /// More than 64 pools.
    #[error("{count} pools are more than the 64 a supply may have")]
    TooManyPools {
        /// Number of pools.
        count: usize,
    },
    /// More than ten million nodes.
    #[error("{count} nodes are more than the 10,000,000 a supply may have")]
    TooManyNodes {
        /// Number of nodes.
        count: u64,
    },
    /// More GPUs on a node than the engine models.
    #[error("pool `{pool}`: {gpus} GPUs per node are more than the {MAX_DEVICES} a node may have")]
    TooManyGpus {
        /// The pool.
        pool: String,
        /// GPUs per node.
        gpus: u8,
    },
    /// min above max.
    #[error("pool `{pool}`: min is above max")]
    ElasticRange {
        /// The pool.
        pool: String,
    },
    /// Two pools of one name.
    #[error("two pools are called `{pool}`")]
    DuplicatePool {
        /// The pool.
        pool: String,
    },
    /// Racks that do not hold whole NVLink domains.
    #[error(
        "pool `{pool}`: NVLink domains of {domain} nodes do not fill racks of {rack}; let nodes_per_rack be a multiple of {domain}"
    )]
    CutDomain {
        /// The pool.
        pool: String,
        /// Nodes of one domain.
        domain: u32,
        /// Nodes of one rack.
        rack: u32,
    },
    /// An order of nodes that has not as many of each pool as the pool.
    #[error("the order of nodes does not match the pools at place {place}")]
    Order {
        /// The first entry that is too many, or the length if some are missing.
        place: usize,
    },
    /// A pool to be shared by MIG whose nodes have too many GPUs.
    #[error(
        "pool `{pool}`: {gpus} GPUs per node are more than the {} that can be shared by MIG",
        crate::NodeFree::MIG_DEVICES
    )]
    TooManyMigGpus {
        /// The pool.
        pool: String,
        /// GPUs per node.
        gpus: u8,
    },
    /// A pool whose GPUs are to be time-sliced into no slot or too many.
    #[error(
        "pool `{pool}`: {slots} slots per GPU; 1 to {} are possible",
        crate::Sharing::MAX_SLOTS
    )]
    Slots {
        /// The pool.
        pool: String,
        /// Slots per GPU.
        slots: u8,
    },
    /// More than 64 GPU models over supply and jobs.
    #[error("more than 64 GPU models")]
    TooManyGpuModels,
}
