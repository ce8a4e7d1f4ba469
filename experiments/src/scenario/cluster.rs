//! A cluster from a list of nodes.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use windtunnel_core::{MicroDollars, Supply};
use windtunnel_traces::openb::NodeList;

use super::text;
use crate::error::ExperimentError;

/// Owned nodes from a list, in place of pools: equal nodes are a pool, and all are numbered in the
/// order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Whose list: `openb`.
    #[schemars(extend("enum" = ["openb"]))]
    pub kind: String,
    /// The file, relative to the scenario file; plain, gzip or zstd.
    pub path: PathBuf,
    /// Price in $ per GPU and hour; nodes without GPUs are free.
    #[serde(serialize_with = "text::dollars")]
    #[schemars(with = "f64")]
    pub usd_per_gpu_hour: MicroDollars,
    /// What was read, once it was.
    #[serde(skip)]
    list: Option<Arc<NodeList>>,
}

impl Cluster {
    /// A cluster that is still to be read, free of charge.
    #[must_use]
    pub fn openb(path: impl Into<PathBuf>) -> Self {
        Self {
            kind: "openb".to_owned(),
            path: path.into(),
            usd_per_gpu_hour: MicroDollars::default(),
            list: None,
        }
    }

    /// Reads the list, unless it was.
    pub(super) fn read(&mut self) -> Result<(), ExperimentError> {
        if self.list.is_none() {
            self.list = Some(Arc::new(NodeList::open(&self.path)?));
        }
        Ok(())
    }

    /// The nodes; none before the list was read.
    pub(super) fn supply(&self) -> Supply {
        let Some(list) = &self.list else {
            return Supply::new(Vec::new());
        };
        let mut supply = list.supply();
        for pool in &mut supply.pools {
            let price = self.usd_per_gpu_hour.0;
            let per_node = price.saturating_mul(pool.model.gpus.into());
            pool.price.per_node_hour = MicroDollars(per_node);
        }
        supply
    }

    /// GPUs of each node; nothing before the list was read.
    pub(super) fn gpus(&self) -> impl Iterator<Item = u8> + '_ {
        let nodes = self.list.iter().flat_map(|list| &list.nodes);
        nodes.map(|node| node.model.gpus)
    }
}
