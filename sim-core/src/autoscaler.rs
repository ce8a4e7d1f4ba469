//! Autoscalers: grow and shrink pools. A fixed supply needs none.

use crate::ids::{NodeId, PoolId, TaskRef};
use crate::news::News;
use crate::policy::NodeTemplate;
use crate::time::{SimDuration, SimTime};
use crate::view::View;

/// What an autoscaler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingCommand {
    /// Requests nodes; what exceeds the pool's maximum or a cloud quota is refused silently, as
    /// [`View`] shows afterwards.
    Grow {
        /// Which pool.
        pool: PoolId,
        /// How many nodes.
        nodes: u32,
    },
    /// Gives an idle node back (a busy one is refused silently).
    Shrink {
        /// Which node.
        node: NodeId,
    },
    /// Closes a node for new tasks, or opens it again.
    Cordon {
        /// Which node.
        node: NodeId,
        /// Whether it is closed.
        closed: bool,
    },
    /// Switches an idle node off: it stays paid, and is closed until switched on again.
    PowerOff {
        /// Which node.
        node: NodeId,
    },
    /// Switches a node on that is off.
    PowerOn {
        /// Which node.
        node: NodeId,
        /// How long it boots.
        boot: SimDuration,
    },
    /// Asks to be woken. Only one is kept, the last.
    WakeAt(SimTime),
}

/// The commands of one call, in order.
#[derive(Clone, Debug, Default)]
pub struct Scaling {
    pub(crate) list: Vec<ScalingCommand>,
}

impl Scaling {
    /// Requests nodes.
    pub fn grow(&mut self, pool: PoolId, nodes: u32) {
        self.list.push(ScalingCommand::Grow { pool, nodes });
    }

    /// Gives an idle node back.
    pub fn shrink(&mut self, node: NodeId) {
        self.list.push(ScalingCommand::Shrink { node });
    }

    /// Asks to be woken. Only one is kept, the last: in a loop over jobs pass the minimum.
    pub fn wake_at(&mut self, at: SimTime) {
        self.list.push(ScalingCommand::WakeAt(at));
    }

    /// Adds any command.
    pub fn push(&mut self, command: ScalingCommand) {
        self.list.push(command);
    }
}

/// Asks the scheduler of a task whether it would use a new node.
pub trait WouldFit {
    /// Whether the task would fit on a new, empty node.
    fn would_fit(&self, task: TaskRef, node: &NodeTemplate) -> bool;
    /// A node of a pool with nothing on it.
    fn template(&self, pool: PoolId) -> NodeTemplate;
    /// Nodes of a pool that could still be requested, within its maximum and the cloud quotas.
    fn room(&self, pool: PoolId) -> u32;
}

/// Grows and shrinks pools.
///
/// # Contract
/// `scale` is called in a decision round, after the schedulers, whenever a scheduler called a job
/// unschedulable ([`JobNews::Unschedulable`](crate::JobNews::Unschedulable)), a job ended, a node
/// became idle, busy, ready or lost, or its wake-up is due.
pub trait Autoscaler: Send + AutoscalerClone {
    /// Stable kebab-case name.
    fn name(&self) -> &str;
    /// Decides.
    fn scale(&mut self, view: &View<'_>, news: &News<'_>, fit: &dyn WouldFit, out: &mut Scaling);
}

/// Clones a boxed autoscaler; implemented for every `Clone` one.
pub trait AutoscalerClone {
    /// A boxed copy.
    fn clone_autoscaler(&self) -> Box<dyn Autoscaler>;
}

impl<T: Autoscaler + Clone + 'static> AutoscalerClone for T {
    fn clone_autoscaler(&self) -> Box<dyn Autoscaler> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Autoscaler> {
    fn clone(&self) -> Self {
        (**self).clone_autoscaler()
    }
}

impl std::fmt::Debug for dyn Autoscaler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Autoscaler({})", self.name())
    }
}
