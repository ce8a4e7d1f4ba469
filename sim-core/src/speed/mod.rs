//! How fast a unit advances, and what its GPUs do meanwhile.

mod behaviour;
mod best;
mod co_located;
mod cycle;
mod front;
mod limits;
mod links;
mod neighbours;
mod placement;
mod reference;
mod scaling;
mod sensitivity;
pub mod sharing;
mod situation;
mod slices;
mod step;
mod topology;

pub use behaviour::{Behaviour, BehaviourError, Traffic};
pub use co_located::{Shares, shares, use_of};
pub use cycle::{Clock, Cycle, DutyPhase};
pub(crate) use front::Front;
pub use limits::{Footprint, Limits, NodeLimits, SpeedByNode};
pub(crate) use neighbours::requested_each;
pub use neighbours::{Neighbours, Sharer};
pub use placement::{NodePart, PlacedTask, Placement};
pub use reference::ReferenceSpeed;
pub use scaling::{Curve, Efficiency};
pub use sensitivity::{Reach, Sensitivity};
pub use slices::Slices;
pub use step::{Algorithm, Exchange, FittedExchange, Pipe, Spread, StepTime};
pub use topology::TopologySpeed;

use std::sync::Arc;

use crate::job::JobProfile;
use crate::supply::Supply;
use crate::time::SimDuration;

/// When a speed must be asked for again although nothing changed around the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After this much time.
    After(SimDuration),
    /// Once it has done this much work in all, as run time at the reference rate.
    Progress(SimDuration),
}

/// The answer of a speed model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Progress per time, in parts per 10⁹ of the reference rate. Zero stands still.
    pub rate: u64,
    /// What the GPUs do.
    pub slices: Slices,
    /// When to ask again.
    pub until: Option<Until>,
}

/// How fast a unit advances: a pure function of what it is given.
pub trait SpeedModel: Send + Sync + std::fmt::Debug {
    /// Speed of a unit all of whose needed tasks run. `done` is the work it has behind it, as run
    /// time at the reference rate.
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed;

    /// Whether an answer depends on what runs beside the unit: then units are asked again when their
    /// neighbours come, go, start to advance or stand still.
    fn minds_neighbours(&self) -> bool {
        false
    }

    /// The model as one that answers node by node, if it can. A model that wraps another passes it on if
    /// it leaves answers as they are.
    fn by_node(&self) -> Option<&dyn SpeedByNode> {
        None
    }

    /// The model for runs on a supply, if it wants to know its hardware beforehand: called once when a
    /// run is built. A model that wraps another passes it on.
    fn bound(&self, _supply: &Supply) -> Option<Arc<dyn SpeedModel>> {
        None
    }
}
