//! What a comparison says: figures per platform with their intervals, and what made the difference.
//!
//! Everything is computed from the ledgers and summaries, in the order of the scenario; figures of
//! two platforms are compared seed by seed.

use windtunnel_core::{BUCKETS, Bucket, LedgerReport, REASONS, Reason};

use crate::output::number::{GPU_HOUR, scaled};
use crate::output::summary::cost_per_useful;
use crate::stats::Estimate;
use crate::sweep::{Comparison, RunResult};

/// The figures of one platform, means over seeds.
#[derive(Clone, Debug)]
pub struct PlatformFigures {
    /// Its place in the scenario.
    pub platform: usize,
    /// What a useful GPU-hour takes; `None` if a seed has no useful time or the ledger was off.
    pub per_useful_hour: Option<Estimate>,
    /// GPU time assigned to tasks ÷ paid.
    pub gpu_allocation: Option<Estimate>,
    /// CPU time held by tasks ÷ CPU time of the nodes that were paid; `None` without cores.
    pub cpu_allocation: Option<Estimate>,
    /// Busy ÷ allocated.
    pub gpu_utilization: Option<Estimate>,
    /// Median wait in seconds.
    pub wait_p50: Option<Estimate>,
    /// 95th percentile of the wait in seconds.
    pub wait_p95: Option<Estimate>,
    /// Jobs that ended as in the truth ÷ jobs submitted.
    pub jobs_done: Option<Estimate>,
    /// Mean share of paid GPU time in each bucket, indexed by [`Bucket`].
    pub shares: [f64; BUCKETS],
    /// Paid GPU-hours.
    pub paid_gpu_hours: Option<Estimate>,
}

impl PlatformFigures {
    /// Of the platform at a place.
    #[must_use]
    pub fn of(comparison: &Comparison, platform: usize) -> Self {
        let price = Price::of(comparison);
        let runs = comparison.of_platform(platform);
        let over = |figure: &dyn Fn(&RunResult) -> Option<f64>| {
            let values: Option<Vec<f64>> = runs.iter().map(figure).collect();
            Estimate::of(&values?)
        };
        let seconds = |q: f64| {
            let wait = |run: &RunResult| Some(run.report.summary.wait.quantile(q)?.as_secs_f64());
            let values: Option<Vec<f64>> = runs.iter().map(wait).collect();
            values.and_then(|values| Estimate::of(&values))
        };
        let mut shares = [0.0; BUCKETS];
        for bucket in Bucket::ALL {
            let values: Vec<f64> = runs.iter().filter_map(|run| share(run, bucket)).collect();
            shares[bucket.index()] = Estimate::of(&values).map_or(0.0, |estimate| estimate.mean);
        }
        Self {
            platform,
            per_useful_hour: over(&|run| price.figure(run)),
            gpu_allocation: over(&|run| run.report.gpu_allocation()),
            cpu_allocation: over(&|run| run.report.cpu_allocation()),
            gpu_utilization: over(&|run| run.report.gpu_utilization()),
            wait_p50: seconds(0.5),
            wait_p95: seconds(0.95),
            jobs_done: over(&done),
            shares,
            paid_gpu_hours: over(&|run| Some(gpu_hours(ledger(run)?.paid()))),
        }
    }
}

fn ledger(run: &RunResult) -> Option<&LedgerReport> {
    run.report.ledger.as_ref()
}

/// Millionths, as a number for statistics.
#[expect(clippy::cast_precision_loss, reason = "for statistics and display")]
fn from_micro(micro: u128) -> f64 {
    micro as f64 / 1e6
}

fn gpu_hours(amount: u128) -> f64 {
    scaled(amount, 1_000_000, GPU_HOUR).map_or(0.0, from_micro)
}

/// What a useful GPU-hour takes: the figure by which platforms are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Dollars, all costs included.
    Dollars,
    /// Paid GPU-hours, of a scenario in which nothing has a price.
    GpuHours,
}

impl Price {
    /// Dollars if anything has a price.
    #[must_use]
    pub fn of(comparison: &Comparison) -> Self {
        let mut ledgers = comparison.runs.iter().filter_map(ledger);
        if ledgers.any(|ledger| ledger.total_cost().0 > 0) {
            Self::Dollars
        } else {
            Self::GpuHours
        }
    }

    fn figure(self, run: &RunResult) -> Option<f64> {
        let ledger = ledger(run)?;
        let micro = match self {
            Self::Dollars => cost_per_useful(ledger),
            Self::GpuHours => scaled(
                ledger.paid(),
                1_000_000,
                ledger.amount(Bucket::AllocatedUseful),
            ),
        };
        micro.map(from_micro)
    }
}

fn done(run: &RunResult) -> Option<f64> {
    let summary = &run.report.summary;
    let (completed, submitted) = (summary.completed(), summary.submitted);
    scaled(completed.into(), 1_000_000, submitted.into()).map(from_micro)
}

/// Share of paid GPU time in a bucket.
fn share(run: &RunResult, bucket: Bucket) -> Option<f64> {
    let ledger = ledger(run)?;
    scaled(ledger.amount(bucket), 1_000_000_000, ledger.paid())
        .map(|billionths| from_micro(billionths) / 1e3)
}

/// The figures of every platform, the one that takes least per useful GPU-hour first; those without one last.
#[must_use]
pub fn ranked(comparison: &Comparison) -> Vec<PlatformFigures> {
    let places = 0..comparison.scenario.platforms.len();
    let mut figures: Vec<_> = places
        .map(|at| PlatformFigures::of(comparison, at))
        .collect();
    let key = |figures: &PlatformFigures| {
        figures
            .per_useful_hour
            .map_or(f64::INFINITY, |estimate| estimate.mean)
    };
    figures.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.platform.cmp(&b.platform)));
    figures
}

/// A bucket that takes another share of the paid GPU time than on the platform compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketDifference {
    /// The bucket.
    pub bucket: Bucket,
    /// Its share minus the other's, paired by seed.
    pub share: Estimate,
    /// For `idle.held`: the reason that grew most.
    pub reason: Option<Reason>,
    /// Of the reason that goes with the bucket: jobs that waited for it, and how many
    /// seconds on average.
    pub waits: Option<(f64, f64)>,
}

/// How a platform differs from another, paired by seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its place in the scenario.
    pub platform: usize,
    /// What a useful GPU-hour takes, minus the other's.
    pub per_useful_hour: Option<Estimate>,
    /// Buckets other than useful that take more here, largest first; only those whose interval
    /// leaves zero out. With one seed there is no interval: then all of them, and none is proven.
    pub more: Vec<BucketDifference>,
    /// The same that take less.
    pub less: Vec<BucketDifference>,
}

/// Least difference of shares that is worth a line.
const SHARE_MIN: f64 = 0.0005;

impl Difference {
    /// Of the platform at a place against another.
    #[must_use]
    pub fn between(comparison: &Comparison, platform: usize, against: usize) -> Self {
        let price = Price::of(comparison);
        let (here, there) = (
            comparison.of_platform(platform),
            comparison.of_platform(against),
        );
        let paired = |figure: &dyn Fn(&RunResult) -> Option<f64>| {
            let values = |runs: &[RunResult]| runs.iter().map(figure).collect::<Vec<_>>();
            Estimate::of_differences(&values(here), &values(there))
        };
        let (mut more, mut less) = (Vec::new(), Vec::new());
        for bucket in Bucket::ALL {
            let Some(difference) = paired(&|run| share(run, bucket)) else {
                continue;
            };
            let is_told = difference.excludes_zero() || difference.half_width.is_none();
            let matters = is_told && difference.mean.abs() >= SHARE_MIN;
            if bucket == Bucket::AllocatedUseful || !matters {
                continue;
            }
            let reason = (bucket == Bucket::IdleHeld).then(|| held_reason(here, there));
            let entry = BucketDifference {
                bucket,
                share: difference,
                reason: reason.flatten(),
                waits: waits(here, reason.flatten().or_else(|| reason_of(bucket))),
            };
            if difference.mean > 0.0 {
                more.push(entry)
            } else {
                less.push(entry)
            }
        }
        for list in [&mut more, &mut less] {
            list.sort_by(|a, b| {
                b.share
                    .mean
                    .abs()
                    .total_cmp(&a.share.mean.abs())
                    .then(a.bucket.cmp(&b.bucket))
            });
        }
        Self {
            platform,
            per_useful_hour: paired(&|run| price.figure(run)),
            more,
            less,
        }
    }
}

/// The reason of waiting that a bucket goes with.
const fn reason_of(bucket: Bucket) -> Option<Reason> {
    match bucket {
        Bucket::IdleInsufficient => Some(Reason::Insufficient),
        Bucket::IdleFragmented => Some(Reason::Fragmented),
        Bucket::IdleStranded => Some(Reason::Stranded),
        Bucket::AllocatedWaiting => Some(Reason::Gang),
        _ => None,
    }
}

/// The reason whose `idle.held` grew most in sum over the seeds.
fn held_reason(here: &[RunResult], there: &[RunResult]) -> Option<Reason> {
    let held = |runs: &[RunResult], reason: Reason| -> u128 {
        let rows = runs
            .iter()
            .filter_map(ledger)
            .flat_map(|ledger| &ledger.rows);
        rows.filter(|row| row.reason == Some(reason))
            .map(|row| row.amount)
            .sum()
    };
    let growth = |reason: Reason| {
        let growth = held(here, reason).saturating_sub(held(there, reason));
        (growth > 0).then_some((growth, reason))
    };
    // Ties go to the first reason.
    let best = Reason::ALL.into_iter().filter_map(growth);
    best.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, reason)| reason)
}

/// Jobs per seed that waited for a reason, and how many
/// seconds on average.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn waits(runs: &[RunResult], reason: Option<Reason>) -> Option<(f64, f64)> {
    let place = reason?.index();
    debug_assert!(place < REASONS);
    let jobs: u64 = runs.iter().map(|run| run.waits.jobs[place]).sum();
    let nanos: u128 = runs.iter().map(|run| run.waits.nanos[place]).sum();
    let mean = scaled(nanos, 1, u128::from(jobs))? as f64 / 1e9;
    Some((jobs as f64 / runs.len() as f64, mean))
}
