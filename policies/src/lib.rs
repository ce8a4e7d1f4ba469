//! Scheduling policies for Windtunnel.
//!
//! A policy looks at what is pending and what is free, and returns decisions as data. This crate holds
//! the ones that need no introduction, and the parts that others are made of. Read it front to back, or
//! take a policy by name:
//!
//! ```
//! use windtunnel_core::{JobList, JobSpec, NodeModel, RunOptions, SimDuration, SimTime, Simulation};
//! use windtunnel_core::{Supply, TaskRequest};
//!
//! // Two nodes of 4 GPUs: one job takes a node, the second needs 3 GPUs on each, the third 2 anywhere.
//! let job = |gpus| {
//!     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), SimDuration::from_secs(10))
//! };
//! let jobs = vec![job(4), job(3).tasks(2), job(2)];
//! let mut ends = Vec::new();
//! for name in ["fifo", "first-fit", "kube-default"] {
//!     let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 2);
//!     let policy = windtunnel_policies::policy(name)?;
//!     let jobs = JobList::new(jobs.clone());
//!     let report = Simulation::new(supply, jobs, policy, RunOptions::default())?.run()?;
//!     ends.push(report.end.as_nanos() / 1_000_000_000);
//! }
//! assert_eq!(ends, [30, 20, 30]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # 1. Who goes first
//!
//! - [`Fifo`]: strictly by submission. A job that does not fit blocks all behind it: fair, predictable,
//!   and the free GPUs behind the head are the price (30 s above).
//! - [`Greedy`]: by submission, but whoever fits goes (20 s above). No GPU idles that somebody could use
//!   now; a large job may wait for ever behind a stream of small ones.
//! - [`KubeDefault`]: pods, not jobs, by priority and time in the queue. Whatever fits is bound, half a
//!   gang too: above, one of the second job's two pods takes its GPUs at once and idles on them until
//!   the first job ends.
//!
//! None of these knows how long a job runs, so none can backfill without delaying the head. Those
//! that do declare so, and the report prints it:
//!
//! - [`EasyBackfill`]: the first job that does not fit is promised a start; a later one may start at
//!   once if, by its estimate, it is gone by then or uses what the first leaves over.
//! - [`ConservativeBackfill`]: every job is promised a start when it is submitted.
//! - [`Sjf`]: the shortest first, by estimate or by oracle; one that does not fit blocks the rest.
//!
//! Two more are for comparisons: [`Priority`] takes capacity away from lower priorities, [`Replay`]
//! starts each job when and where its log says it did.
//!
//! # 2. Where it goes
//!
//! A [`Placer`] finds nodes for one job: [`FirstFit`] takes the lowest-numbered nodes, [`BestFit`] those
//! that it leaves with least CPU and GPU, [`WorstFit`] those that it leaves with most, [`RandomFit`]
//! any. Who goes first and where it goes are independent: `easy-backfill{placer=best-fit}`. In Kubernetes, [`plugins`](kubernetes::plugins) filter and
//! score nodes for one pod; the default ones spread.
//!
//! # 3. What it costs
//!
//! A decision may not cost more than its outcome needs. A blocked [`Fifo`] compares two counters. Jobs
//! of one shape fit or fail together, so [`Greedy`] drops a whole shape at its first failure; 100,000
//! pending jobs cost it no more than the number of their shapes. [`EasyBackfill`] computes its
//! promise anew only when something came otherwise than expected, and finds the next job that is short
//! enough without looking at those in between. [`KubeDefault`] has to give each pod
//! its attempt, because an attempt moves the pod in the queue; an attempt that must fail takes tens of
//! nanoseconds (`examples/retry_cost.rs` measures it).
//!
//! # 4. Your own
//!
//! A first policy is one screen. `cargo run --release -p windtunnel-policies --example my_policy`:
//!
//! ```no_run
#![doc = include_str!("../examples/my_policy.rs")]
//! ```
//!
//! Three rules keep a policy honest: every order ends with an id; it looks at requests, never at the
//! truth (unless it declares [`Knowledge`](windtunnel_core::Knowledge)); it keeps no state that the
//! [`News`](windtunnel_core::News) does not keep up to date.
//!
//! A policy that uses run times asks [`RunTimes`] for them and declares so, both in one line each; to
//! forget the second is a panic at the start, not a policy that silently knows nothing:
//!
//! ```
//! use windtunnel_core::{Decisions, Fit, Grants, JobList, JobLog, JobSpec, Knowledge, News, NodeModel};
//! use windtunnel_core::{Policy, RunOptions, SimDuration, SimTime, Simulation, Supply, TaskRequest, View};
//! use windtunnel_policies::{By, RunTimes};
//!
//! /// The least GPU time by estimate first; jobs of which nobody knows how long they run come last.
//! #[derive(Clone, Debug)]
//! struct LeastArea {
//!     run_times: RunTimes,
//! }
//!
//! impl Policy for LeastArea {
//!     fn name(&self) -> &str {
//!         "least-area"
//!     }
//!     fn knowledge(&self) -> Knowledge {
//!         self.run_times.knowledge()
//!     }
//!     fn begin(&mut self, _view: &View<'_>, grants: Grants) {
//!         self.run_times.begin(grants);
//!     }
//!     fn decide(&mut self, view: &View<'_>, _news: &News<'_>, out: &mut Decisions) {
//!         let mut jobs: Vec<_> = view.pending_jobs().collect();
//!         jobs.sort_by_key(|job| {
//!             let run = self.run_times.of(view, *job).map_or(u64::MAX, SimDuration::as_nanos);
//!             (u128::from(job.gpu_milli()) * u128::from(run), job.job_id())
//!         });
//!         let mut plan = view.plan();
//!         for job in jobs {
//!             match plan.first_fit(job) {
//!                 Fit::Now(spots) => out.place(job.id(), spots),
//!                 Fit::Never => out.reject(job.id()),
//!                 Fit::NotNow => {}
//!             }
//!         }
//!     }
//! }
//!
//! // On one node of 4 GPUs: 40 GPU-seconds, 20, and 8.
//! let job = |gpus, secs| {
//!     let run = SimDuration::from_secs(secs);
//!     JobSpec::new(SimTime::ZERO, TaskRequest::gpus(gpus), run).estimate(run)
//! };
//! let jobs = JobList::new(vec![job(4, 10), job(4, 5), job(4, 2)]);
//! let supply = Supply::uniform(NodeModel::gpus_only("h100", 4), 1);
//! let policy = LeastArea { run_times: RunTimes::new(By::Estimate) };
//! let mut log = JobLog::default();
//! let report = Simulation::new(supply, jobs, policy, RunOptions::default())?.run_with(&mut log)?;
//! log.records.sort_by_key(|record| record.job);
//! let starts: Vec<_> = log.records.iter().filter_map(|record| record.start).collect();
//! assert_eq!(starts, [7, 2, 0].map(SimTime::from_secs));
//! assert_eq!(report.knowledge, Knowledge::Estimate, "the report says what it knew");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # By name
//!
//! [`registry`] resolves `name{param=value}`; [`known()`] lists every policy with its parameters.
//! [`testing`] holds policies that misbehave, and small ones that prove what the engine can carry.

pub mod kubernetes;
pub mod place;
pub mod registry;
pub mod testing;

mod backfill;
mod fifo;
mod greedy;
mod order;
mod priority;
mod replay;
mod run_time;
mod sjf;
mod table;

pub use backfill::{ConservativeBackfill, EasyBackfill};
pub use fifo::{Fifo, Never};
pub use greedy::Greedy;
pub use kubernetes::KubeDefault;
pub use order::{Key, Order};
pub use place::{AnyPlacer, BestFit, FirstFit, Placer, RandomFit, WorstFit};
pub use priority::Priority;
pub use registry::{ParamInfo, PolicyInfo, RegistryError, known, policy};
pub use replay::{Replay, Unrecorded};
pub use run_time::{By, RunTimes};
pub use sjf::Sjf;
