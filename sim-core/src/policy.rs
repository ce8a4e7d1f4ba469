//! Schedulers: what they see, what they may know, what they return.

use crate::decision::Decisions;
use crate::device::NodeFree;
use crate::ids::{PoolId, TaskRef};
use crate::news::News;
use crate::view::View;

/// What a policy declares it knows about jobs beyond their requests. The report prints it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Knowledge {
    /// Nothing.
    #[default]
    Nothing,
    /// The user's estimate of the run time.
    Estimate,
    /// The distribution of run times. No policy uses it yet.
    Distribution,
    /// Measured profiles of models on GPU types. No policy uses it yet.
    Profile,
    /// The truth.
    Oracle,
}

impl Knowledge {
    /// Name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Estimate => "estimate",
            Self::Distribution => "distribution",
            Self::Profile => "profile",
            Self::Oracle => "oracle",
        }
    }
}

/// Lets its holder read estimates. Only the engine makes one.
#[derive(Clone, Copy, Debug)]
pub struct EstimateGrant(());

/// Lets its holder read the truth. Only the engine makes one.
#[derive(Clone, Copy, Debug)]
pub struct OracleGrant(());

/// The grants for what a policy declared.
///
/// They cannot be made by hand, so accidental cheating does not compile:
///
/// ```compile_fail
/// let cheat = windtunnel_core::OracleGrant(());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Grants {
    /// For [`Knowledge::Estimate`] and above.
    pub estimate: Option<EstimateGrant>,
    /// For [`Knowledge::Oracle`].
    pub oracle: Option<OracleGrant>,
}

impl Grants {
    pub(crate) fn of(knowledge: Knowledge) -> Self {
        Self {
            estimate: (knowledge >= Knowledge::Estimate).then_some(EstimateGrant(())),
            oracle: (knowledge >= Knowledge::Oracle).then_some(OracleGrant(())),
        }
    }
}

/// A node that might be added: what an autoscaler asks a scheduler about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTemplate {
    /// The pool it would belong to.
    pub pool: PoolId,
    /// What it has, with nothing on it.
    pub free: NodeFree,
}

impl NodeTemplate {
    /// Whether a task would fit there by what the engine checks of any placement: the pool is one of the
    /// scheduler's, its GPU model is one that the task accepts, and GPUs, CPU and memory suffice.
    #[must_use]
    pub fn fits(&self, task: TaskRef, view: &View<'_>) -> bool {
        let Some(place) = view.world.find_task(task) else {
            return false;
        };
        let job = view.world.jobs.slot(task.job.slot);
        let request = &job.spec.request.groups[usize::from(job.tasks[place].group)].request;
        let info = view.world.cluster.pools[self.pool.index()].info;
        job.pools.contains(self.pool)
            && info.accepts(request)
            && self.free.fits(request, info.sharing)
    }
}

/// Free text on why a task waits, for [`explain`](Policy::explain): one sentence without a full stop,
/// as `job-269 is promised d2 14:03:00 on nodes 13, 18, 37`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The text, in words a user understands.
    pub text: String,
}

/// A scheduler.
///
/// # Contract
/// `decide` is called in a decision round whenever there is news for this scheduler (from anybody
/// but itself) or its wake-up is due, and never otherwise. All events of the instant have been
/// applied. Decisions apply in the order given, each against what the ones before left. The policy
/// must be a pure function of itself and its arguments: no clock, no entropy, no global state. For a
/// second look at the effects of its own decisions it asks for `wake_at(now)`. If it holds a job back
/// until a time, it asks for [`wake_at`](Decisions::wake_at) that time: nobody else will, and without
/// news it is not called. Only one request is kept, the last: of several times, the minimum.
pub trait Policy: Send + PolicyClone {
    /// Stable kebab-case name, as on the command line and in reports.
    fn name(&self) -> &str;

    /// What it is allowed to know about jobs.
    fn knowledge(&self) -> Knowledge {
        Knowledge::Nothing
    }

    /// Whether a task of its that goes from Starting to Running, by itself, is news to it. Most
    /// policies need not know, and a call costs time.
    fn wants_progress(&self) -> bool {
        false
    }

    /// Called once before the first event, with the grants it declared.
    fn begin(&mut self, _view: &View<'_>, _grants: Grants) {}

    /// Looks at the cluster and says what to do.
    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions);

    /// Whether a task would fit on a new, empty node, as this scheduler judges it.
    ///
    /// Autoscalers ask ([`WouldFit`](crate::WouldFit)) before they rent a node; without one nobody
    /// does. The default is [`NodeTemplate::fits`]; a policy with a rule of its own adds to it:
    /// ```
    /// use windtunnel_core::{Decisions, News, NodeTemplate, Policy, PoolId, TaskRef, View};
    /// #[derive(Clone)]
    /// struct KeepsOffPoolZero;
    /// impl Policy for KeepsOffPoolZero {
    ///     fn name(&self) -> &str {
    ///         "keeps-off-pool-zero"
    ///     }
    ///     fn decide(&mut self, _: &View<'_>, _: &News<'_>, _: &mut Decisions) {}
    ///     fn would_fit(&self, task: TaskRef, node: &NodeTemplate, view: &View<'_>) -> bool {
    ///         node.pool != PoolId(0) && node.fits(task, view)
    ///     }
    /// }
    /// ```
    fn would_fit(&self, task: TaskRef, node: &NodeTemplate, view: &View<'_>) -> bool {
        node.fits(task, view)
    }

    /// Why a task waits, in words, as of the last time it was asked to decide; `None` if there is
    /// nothing to add to its reasons of waiting.
    ///
    /// The engine never asks by itself. [`Simulation::explanation`](crate::Simulation::explanation)
    /// does, about the first pending task of a job and after the decisions of an instant;
    /// `windtunnel explain` when a spell of waiting begins, `windtunnel diff` for jobs that wait
    /// where two runs part. It may take its time: it is asked a few times per run.
    fn explain(&self, _task: TaskRef, _view: &View<'_>) -> Option<Explanation> {
        None
    }
}

/// Clones a boxed policy; implemented for every `Clone` one, so that simulations can fork.
pub trait PolicyClone {
    /// A boxed copy.
    fn clone_policy(&self) -> Box<dyn Policy>;
}

impl<T: Policy + Clone + 'static> PolicyClone for T {
    fn clone_policy(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Policy> {
    fn clone(&self) -> Self {
        (**self).clone_policy()
    }
}

impl std::fmt::Debug for dyn Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy({})", self.name())
    }
}

impl Policy for Box<dyn Policy> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn knowledge(&self) -> Knowledge {
        (**self).knowledge()
    }
    fn wants_progress(&self) -> bool {
        (**self).wants_progress()
    }
    fn begin(&mut self, view: &View<'_>, grants: Grants) {
        (**self).begin(view, grants);
    }
    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        (**self).decide(view, news, out);
    }
    fn would_fit(&self, task: TaskRef, node: &NodeTemplate, view: &View<'_>) -> bool {
        (**self).would_fit(task, node, view)
    }
    fn explain(&self, task: TaskRef, view: &View<'_>) -> Option<Explanation> {
        (**self).explain(task, view)
    }
}
