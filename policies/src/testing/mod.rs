//! Small schedulers that exist to be tested with.
//!
//! Two families. The *proofs* each carry one behaviour of a real system through the seams of the
//! core, in under a hundred lines: if a seam can't express it, the proof can't be written. The
//! [`adversary`] module holds schedulers that break the rules, each in one way.
//!
//! | part | what real behaviour it stands for |
//! | --- | --- |
//! | [`SlowBinder`] | kube-scheduler without a gang layer: one pod per cycle, asynchronous binding |
//! | [`GracefulPreemptor`] | kube-scheduler preemption: grace period and nominated node |
//! | [`RetryingController`] | batch/v1 Job: a failed pod is replaced by a new one, after a backoff |
//! | [`TwoLoops`] | slurmctld: the quick main loop and the backfill loop that yields |
//! | [`Alternator`] | Slurm gang scheduling: jobs take turns on the same GPUs |
//! | [`Rounds`] | Gavel and Shockwave: time-sharing in rounds, with checkpoints |
//! | [`Bundles`] | Ray placement groups: prepare, commit, then run inside |
//! | [`StaleView`] | a scheduler that works on a cached snapshot (Omega, a Ray raylet) |
//! | [`Greedy`] | whatever fits starts, in order of submission |
//! | [`ElasticFiller`] | Pollux, elastic Horovod: a job takes what is idle and gives it back |
//! | [`hybrid`] | services under one scheduler, training under another, a pool each |
//! | [`NodeProvisioner`] | Cluster Autoscaler: scan, grow within quota, shrink when unneeded |
//! | [`QuotaGate`] | Kueue: admit within quota, preempt by withdrawing admission |
//! | [`SmallestFirst`] | a "what if" policy to put into a fork |
//!
//! They leave out everything that the behaviour does not need; none is meant to be compared.

pub mod adversary;

mod alternator;
mod bundles;
mod elastic_filler;
mod graceful_preemptor;
mod greedy;
mod hybrid;
mod node_provisioner;
mod quota_gate;
mod retrying_controller;
mod rounds;
mod slow_binder;
mod smallest_first;
mod stale_view;
mod two_loops;

pub use alternator::Alternator;
pub use bundles::Bundles;
pub use elastic_filler::ElasticFiller;
pub use graceful_preemptor::GracefulPreemptor;
pub use greedy::{Greedy, Reclaimer};
pub use hybrid::{InOrder, hybrid};
pub use node_provisioner::NodeProvisioner;
pub use quota_gate::QuotaGate;
pub use retrying_controller::RetryingController;
pub use rounds::Rounds;
pub use slow_binder::SlowBinder;
pub use smallest_first::SmallestFirst;
pub use stale_view::StaleView;
pub use two_loops::TwoLoops;
