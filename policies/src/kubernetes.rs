//! kube-scheduler: one pod at a time, filter and score, no head of line, no gangs.
//!
//! [`KubeDefault`] is the stock scheduler as far as it matters to clusters of equal, untainted nodes
//! without affinity, images or spreading. Its parts:
//!
//! | part | here | in kubernetes/kubernetes |
//! | --- | --- | --- |
//! | activeQ, backoffQ, unschedulable map | `queue` | `pkg/scheduler/backend/queue` |
//! | plugin interfaces, profile | [`NodeFilter`], [`NodeScore`], [`Profile`] | `pkg/scheduler/framework` |
//! | plugins | [`plugins`] | `pkg/scheduler/framework/plugins` |
//! | one scheduling cycle | [`KubeDefault`] | `pkg/scheduler/schedule_one.go` |
//!
//! Not here: preemption, affinity, taints, spreading, volumes, nominated pods, bind latency. A plugin
//! of your own joins the profile:
//!
//! ```
//! use windtunnel_policies::kubernetes::plugins::NodeResourcesFit;
//! use windtunnel_policies::kubernetes::{Config, KubeDefault, NodeInfo, NodeScore, PodInfo, Profile};
//!
//! /// The highest-numbered node is the best.
//! #[derive(Debug)]
//! struct Highest;
//! impl NodeScore for Highest {
//!     fn name(&self) -> &'static str { "Highest" }
//!     fn score(&self, _: &PodInfo, node: &NodeInfo) -> i64 { i64::from(node.id.0.min(100)) }
//! }
//! let profile = Profile::new().filter(NodeResourcesFit).score(Highest, 1);
//! let scheduler = KubeDefault::with_profile(Config::default(), profile);
//! # let _ = scheduler;
//! ```

mod cycle;
mod framework;
mod nodes;
pub mod plugins;
mod queue;
mod reasons;
mod select;

use std::collections::BTreeMap;

use windtunnel_core::{
    AttrId, Decisions, Explanation, Grants, JobNews, JobRef, Level, News, Plan, Policy, PoolSet,
    ShapeId, SimTime, TaskRef, TaskState, TaskView, View,
};

pub use framework::{
    Amounts, MAX_SCORE, NONZERO_CPU, NONZERO_MEMORY, NodeFilter, NodeInfo, NodeScore, PodInfo,
    Profile,
};
pub use select::{Tie, nodes_needed};

use cycle::Cycle;
use nodes::Nodes;
use plugins::{BalancedAllocation, BalancedFormula, LeastAllocated, NodeResourcesFit};
use queue::Queue;
use reasons::Reasons;

/// Whose rules apply: queue timing and formulas of scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// v1.20: backoff ends at a flush every second; formulas of v1.20.
    V1_20,
    /// 1.36: pods are popped from backoffQ while activeQ is empty; formulas of 1.36.
    #[default]
    V1_36,
}

/// Which events bring unschedulable pods back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requeue {
    /// The end of any pod; a node that opens, for pods that fit what is free there: the queueing hints
    /// of the Fit plugin.
    #[default]
    Fit,
    /// The end of any pod; any change of a node: v1.20.
    All,
}

/// Parameters of [`KubeDefault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whose rules apply.
    pub version: Version,
    /// Who wins among nodes of equal score.
    pub tie: Tie,
    /// Which events bring unschedulable pods back.
    pub requeue: Requeue,
    /// Percentage of nodes to score: 1 to 100, or 0 for the adaptive default of Kubernetes.
    pub percentage: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::default(),
            tie: Tie::default(),
            requeue: Requeue::default(),
            percentage: 100,
        }
    }
}

/// The default kube-scheduler.
///
/// Schedules pods, which are tasks: it never looks at a job as a whole, so it can start half a gang and
/// let it hold its GPUs for ever. The batch controller's `gang_timeout` is the usual way out.
///
/// # Decision rule
/// 1. A new pod enters activeQ. Pods are popped by priority, then by the time they were last put into
///    the queue, then in the order in which they were put there.
/// 2. Nodes are visited by id from a rotating start; those that pass every filter are feasible
///    ([`NodeResourcesFit`]). The pass stops once [`nodes_needed`] were found and another one is met.
/// 3. Without a feasible node the pod is unschedulable, and the next one is tried: no head of line.
/// 4. With several, the highest sum of [`LeastAllocated`] and [`BalancedAllocation`] wins (equal
///    weights), ties by [`Tie`]; with one, that one. The pod is bound at once.
/// 5. An event ([`Requeue`]) brings unschedulable pods to activeQ, or to backoffQ while they back off:
///    1, 2, 4, 8, 10, 10, … s after the 1st, 2nd, … failure.
/// 6. v1.20: at every whole second, pods whose backoff is over go to activeQ. 1.36: the end of a backoff
///    is cut to whole seconds, and while activeQ is empty pods are popped from backoffQ anyway, by end
///    of backoff, priority, time; so backoff delays nothing here.
///
/// A recreated pod is a stranger: it has no past failures.
///
/// # Knowledge
/// Nothing.
///
/// # Parameters
/// | name | values | default | |
/// | --- | --- | --- | --- |
/// | `version` | `1.20`, `1.36` | `1.36` | see [`Version`] |
/// | `tie` | `lowest-index`, `upstream` | `lowest-index` | see [`Tie`] |
/// | `requeue` | `fit`, `all` | `fit` | see [`Requeue`] |
/// | `percentage` | 0 to 100 | 100 | nodes to score; 0 is adaptive |
///
/// # Complexity
/// O(feasible nodes) per pod that is bound; O(1) per pod whose request found no node since capacity was
/// last freed. Sorting what an event moves is linear, since it comes in few sorted runs.
///
/// # Differences
/// - All cycles of an instant take no time and happen in one call; binding takes no time.
/// - Nodes are visited in order of id, without zones; filtering is sequential.
/// - The flush of left-over pods (every 30 s, those unschedulable for 60 s or 5 min) is computed, not
///   simulated: since every event that frees capacity moves pods, it can only refresh their place in
///   the queue and their count of failures.
/// - In 1.36 a taint change retries every pod in vain; here only nodes that open count.
/// - Pods that must share a rack, say, are placed one by one like all others: the first goes where it
///   scores best, and the others wait for room beside it, as with a required pod affinity. So a job
///   may hold half a rack that never has room for the rest; that is what happens without a gang layer.
/// - An elastic job is that many pods: it starts at its minimum and grows when something is free.
/// - It says why jobs wait: `backoff` (v1.20) if a pod would fit and sits out its backoff, `gang` for a
///   gang of which some pods are bound, else whatever keeps them from fitting.
///
/// # Reference
/// kubernetes/kubernetes v1.20.5 and v1.36.3, `pkg/scheduler`.
///
/// # Examples
/// Two gangs of two pods on three GPUs: the first starts, the second is bound by half and waits for a
/// GPU, holding one.
/// ```
/// use windtunnel_core::{Bucket, JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime};
/// use windtunnel_core::{Simulation, Supply, TaskRequest};
/// use windtunnel_policies::KubeDefault;
///
/// let gang = || {
///     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(1), SimDuration::from_secs(10)).tasks(2)
/// };
/// let supply = Supply::uniform(NodeModel::gpus_only("h100", 3), 1);
/// let jobs = JobList::new(vec![gang(), gang()]);
/// let policy = KubeDefault::default();
/// let report = Simulation::new(supply, jobs, policy, RunOptions::default())?.run()?;
/// let ledger = report.ledger.ok_or("no ledger")?;
/// assert_eq!(ledger.gpu_seconds(Bucket::AllocatedWaiting), 10, "half a gang does nothing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KubeDefault {
    config: Config,
    profile: Profile,
    queue: Queue,
    nodes: Nodes,
    cycle: Cycle,
    reasons: Reasons,
    classes: BTreeMap<(ShapeId, PoolSet, AttrId, Option<Level>), u32>,
    /// Per class, the value of `changes` at which it last found no node.
    failed_at: Vec<u64>,
    /// Per class, whether its pods must share a level of the fabric with others of their group: then
    /// each is looked at by itself.
    apart: Vec<bool>,
    /// Counts events that may have freed capacity.
    changes: u64,
    /// The wake-up that was asked for.
    wake: Option<SimTime>,
}

impl Default for KubeDefault {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl KubeDefault {
    /// The stock scheduler.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let formula = match config.version {
            Version::V1_20 => BalancedFormula::V1_20,
            Version::V1_36 => BalancedFormula::V1_36,
        };
        let profile = Profile::new()
            .filter(NodeResourcesFit)
            .score(LeastAllocated(config.version), 1)
            .score(BalancedAllocation(formula), 1);
        Self::with_profile(config, profile)
    }

    /// The same queue and cycle with other plugins.
    #[must_use]
    pub fn with_profile(config: Config, profile: Profile) -> Self {
        Self {
            config,
            profile,
            queue: Queue::new(config.version),
            nodes: Nodes::default(),
            cycle: Cycle::default(),
            reasons: Reasons::default(),
            classes: BTreeMap::new(),
            failed_at: Vec::new(),
            apart: Vec::new(),
            changes: 1,
            wake: None,
        }
    }

    /// A pod appears.
    fn enqueue(&mut self, view: &View<'_>, task: TaskRef) {
        let Some((found, job)) = view.task(task).zip(view.job(task.job)) else {
            return;
        };
        if found.state() != TaskState::Pending || job.withheld().is_some() {
            return;
        }
        let class = self.class(found, job.pools());
        self.queue.add(task, job.priority(), class, view.now());
    }

    /// Which pods are equal to the scheduler: same request, pools, attributes and level.
    fn class(&mut self, task: TaskView<'_>, pools: PoolSet) -> u32 {
        let next = u32::try_from(self.failed_at.len()).expect("fewer than 2^32 kinds of pods");
        let key = (task.shape(), pools, task.attrs(), task.level());
        let class = *self.classes.entry(key).or_insert(next);
        if class == next {
            self.failed_at.push(0);
            self.apart.push(task.level().is_some());
        }
        class
    }

    /// Whether pods of a class found no node since anything changed, and so no other will. Where the
    /// pods of a job must share a rack, say, what holds for one job does not hold for another.
    fn has_failed(&self, class: usize) -> bool {
        self.failed_at[class] == self.changes && !self.apart[class]
    }

    /// Every pending pod of a job appears; those that are known first go if `anew`.
    fn enqueue_job(&mut self, view: &View<'_>, job: JobRef, anew: bool) {
        let Some(found) = view.job(job) else { return };
        for task in found.tasks().filter(|t| t.state() == TaskState::Pending) {
            if anew {
                self.queue.remove(task.id());
            } else if self.queue.find(task.id()).is_some() {
                return; // The news of its tasks came first.
            }
            self.enqueue(view, task.id());
        }
    }

    /// Reads the news; returns whether a pod that had a node ended.
    fn read(&mut self, view: &View<'_>, news: &News<'_>) -> bool {
        let mut freed = false;
        for change in news.tasks {
            let task = change.task;
            match change.now {
                TaskState::Pending => {
                    // A task that was requeued is told as its next attempt only.
                    if let Some(attempt) = task.attempt.checked_sub(1) {
                        self.nodes.over(TaskRef { attempt, ..task });
                    }
                    self.enqueue(view, task);
                }
                TaskState::Over => {
                    freed |= !self.queue.remove(task);
                    self.nodes.over(task);
                }
                TaskState::Gated => {
                    self.queue.remove(task);
                }
                _ => {}
            }
        }
        for change in news.jobs {
            match change.what {
                JobNews::Created => self.enqueue_job(view, change.job, false),
                JobNews::Admitted => self.enqueue_job(view, change.job, true),
                JobNews::Withheld(_) => {
                    let tasks = view.job(change.job).into_iter().flat_map(|job| job.tasks());
                    for task in tasks {
                        self.queue.remove(task.id());
                    }
                }
                _ => {}
            }
        }
        for &(task, _) in news.refused {
            let Some((found, job)) = view.task(task).zip(view.job(task.job)) else {
                continue;
            };
            let class = self.class(found, job.pools());
            self.queue
                .add_failed(task, job.priority(), class, view.now());
        }
        for &node in news.nodes {
            self.nodes.changed(view.node(node));
        }
        freed
    }

    /// Brings pods back that an event concerns.
    fn requeue(&mut self, view: &View<'_>, plan: &Plan<'_>, news: &News<'_>, freed: bool) {
        let now = view.now();
        let opened = || news.nodes.iter().filter(|node| view.node(**node).is_open());
        if freed || opened().next().is_some() {
            self.changes += 1;
        }
        if freed || (self.config.requeue == Requeue::All && !news.nodes.is_empty()) {
            self.queue.move_on_event(now, |_| true);
        } else if opened().next().is_some() {
            let mut fits = vec![None; self.failed_at.len()];
            self.queue.move_on_event(now, |pod| {
                let fits_now = || {
                    let task = view.task(pod.task);
                    task.is_some_and(|task| opened().any(|node| plan.fits(task, *node)))
                };
                let class = pod.class as usize;
                if self.apart[class] {
                    return fits_now();
                }
                *fits[class].get_or_insert_with(fits_now)
            });
        }
        self.queue.flush_backoff(now);
    }

    /// Says who waits for the end of a backoff alone.
    fn explain_backoff(&mut self, view: &View<'_>, plan: &mut Plan<'_>) {
        if self.queue.backing_off().is_empty() {
            return;
        }
        let failed = |class: usize| self.has_failed(class).then_some(false);
        let mut fits: Vec<Option<bool>> = (0..self.failed_at.len()).map(failed).collect();
        self.reasons.backing_off(&mut self.queue, |pod| {
            let mut fits_now = || {
                let task = view.task(pod.task);
                task.is_some_and(|task| plan.slots(task) > 0)
            };
            let class = pod.class as usize;
            if self.apart[class] {
                return fits_now();
            }
            *fits[class].get_or_insert_with(fits_now)
        });
    }

    /// Tries every pod whose turn it is.
    fn schedule(&mut self, view: &View<'_>, plan: &mut Plan<'_>, out: &mut Decisions) {
        let now = view.now();
        let binding_may_help = self.profile.binding_may_help();
        self.queue.sort();
        while let Some(id) = self.queue.pop() {
            let class = self.queue.pod(id).class as usize;
            if self.has_failed(class) {
                self.reasons.unschedulable(self.queue.fail(id, now));
                continue;
            }
            let task = self.queue.pod(id).task;
            let found = view
                .task(task)
                .filter(|task| task.state() == TaskState::Pending);
            let Some(found) = found else {
                self.queue.bound(id); // it is gone; whoever ended it told us or will
                continue;
            };
            let (config, profile) = (&self.config, &self.profile);
            let chosen = self
                .cycle
                .run(config, profile, &self.nodes, view, plan, found);
            let Some(node) = chosen else {
                self.failed_at[class] = self.changes;
                self.reasons.unschedulable(self.queue.fail(id, now));
                continue;
            };
            assert!(plan.take(found, node), "{task} does not fit on {node}");
            self.nodes.bound(task, found.request(), view.node(node));
            self.queue.bound(id);
            self.reasons.bound(task.job);
            if binding_may_help {
                self.changes += 1;
            }
            out.place(task, [node.into()]);
        }
    }
}

impl Policy for KubeDefault {
    fn name(&self) -> &str {
        "kube-default"
    }

    fn begin(&mut self, view: &View<'_>, _grants: Grants) {
        self.nodes.begin(view);
    }

    fn decide(&mut self, view: &View<'_>, news: &News<'_>, out: &mut Decisions) {
        let freed = self.read(view, news);
        let mut plan = view.plan();
        self.requeue(view, &plan, news, freed);
        self.schedule(view, &mut plan, out);
        self.explain_backoff(view, &mut plan);
        self.reasons.say(view, out);
        if let Some(at) = self.queue.next_flush()
            && self.wake.is_none_or(|asked| asked != at)
        {
            out.wake_at(at);
            self.wake = Some(at);
        }
    }

    fn explain(&self, task: TaskRef, view: &View<'_>) -> Option<Explanation> {
        let pod = self.queue.find(task)?;
        let (nodes, attempts) = (self.nodes.present().len(), pod.attempts);
        let text = match attempts {
            0 => format!("{task} was not tried yet"),
            _ => format!(
                "0/{nodes} nodes were available for {task} at {}; failed attempts: {attempts}",
                pod.since.clock()
            ),
        };
        view.task(task).map(|_| Explanation { text })
    }
}
