//! What lies between the nodes, as a scenario file has it.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use windtunnel_core::{Fabric, Transport};

use super::text;

/// Bandwidth into a switch over bandwidth out of it, at least 1; to the thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversubscription(u32);

impl Oversubscription {
    /// A ratio from 1 to 1,000; what is outside becomes the nearer end.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a million"
    )]
    pub fn of(ratio: f64) -> Self {
        Self((ratio.clamp(1.0, 1_000.0) * 1e3).round() as u32)
    }
}

impl Default for Oversubscription {
    /// Non-blocking.
    fn default() -> Self {
        Self(1_000)
    }
}

impl Serialize for Oversubscription {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_f64(f64::from(self.0) / 1e3)
    }
}

/// How nodes are grouped, and what carries the traffic between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FabricSpec {
    /// Nodes under one leaf switch; 0 puts all nodes into one rack.
    pub nodes_per_rack: u32,
    /// Racks of one pod; 0 puts all racks into one pod.
    pub racks_per_pod: u32,
    /// Bandwidth into a leaf switch over bandwidth out of it: 1 is non-blocking.
    #[schemars(with = "f64")]
    pub rack_oversubscription: Oversubscription,
    /// The same for what leaves a pod.
    #[schemars(with = "f64")]
    pub pod_oversubscription: Oversubscription,
    /// What carries the traffic: `infiniband`, `roce`, `efa` or `tcp`.
    #[serde(serialize_with = "text::transport")]
    #[schemars(with = "String", extend("enum" = ["infiniband", "roce", "efa", "tcp"]))]
    pub transport: Transport,
    /// Whether network cards read and write GPU memory by themselves; a platform may say otherwise.
    pub rdma: bool,
    /// Whether card i of every node hangs on leaf i.
    pub rail_optimised: bool,
}

impl Default for FabricSpec {
    /// One rack, one pod, non-blocking InfiniBand with RDMA.
    fn default() -> Self {
        let plain = Fabric::default();
        Self {
            nodes_per_rack: plain.nodes_per_rack,
            racks_per_pod: plain.racks_per_pod,
            rack_oversubscription: Oversubscription(plain.rack_oversubscription),
            pod_oversubscription: Oversubscription(plain.pod_oversubscription),
            transport: plain.transport,
            rdma: plain.rdma,
            rail_optimised: plain.rail_optimised,
        }
    }
}

impl FabricSpec {
    /// The engine's own type.
    #[must_use]
    pub const fn fabric(&self) -> Fabric {
        Fabric {
            nodes_per_rack: self.nodes_per_rack,
            racks_per_pod: self.racks_per_pod,
            rack_oversubscription: self.rack_oversubscription.0,
            pod_oversubscription: self.pod_oversubscription.0,
            transport: self.transport,
            rdma: self.rdma,
            rail_optimised: self.rail_optimised,
        }
    }
}
