//! GPUs of which many tasks have the whole, or a slot, at once: who has how much of what they yield.

use std::collections::BTreeMap;

use windtunnel_core::units::{MILLI_PER_GPU, PPM};
use windtunnel_core::{Bucket, JobRef, NodeView, Reason, TaskView};

use super::Naive;
use super::job::Job;
use super::tasks::Does;

/// What one GPU yields [milli-GPU·ppm].
const WHOLE: u128 = MILLI_PER_GPU as u128 * PPM as u128;

/// One of those who hold a GPU, and what it has of it [milli-GPU·ppm].
struct Holder {
    unit: (JobRef, usize),
    does: Does,
    grant: u128,
    useful: u128,
    /// Saving.
    lost: u128,
    /// What it would execute alone beyond what it does.
    misses: u128,
    interference: u128,
    underused: u128,
}

impl Naive {
    /// Books the GPUs of a node that works.
    pub(super) fn book_crowd(&mut self, live: &mut BTreeMap<JobRef, Job>, node: &NodeView<'_>) {
        let broken = self.broken(node.id());
        let tasks: Vec<TaskView<'_>> = node.tasks().collect();
        for device in (0..16).filter(|device| !broken.contains(*device)) {
            let on = tasks.iter().filter(|task| {
                let grant = task.grant().unwrap_or_default();
                grant.milli_each > 0 && grant.devices.contains(device)
            });
            let holders = on.filter_map(|task| self.holder(live, task));
            let mut holders: Vec<Holder> = holders.collect();
            if holders.is_empty() {
                continue;
            }
            split(&mut holders);
            for holder in &holders {
                self.book_holder(live, node, holder);
            }
        }
    }

    fn holder(&self, live: &BTreeMap<JobRef, Job>, task: &TaskView<'_>) -> Option<Holder> {
        let unit = self.unit_at(task.id());
        let job = &live[&unit.0];
        let pace = job.units[unit.1].advance.as_ref();
        let does = self.does(task, pace.is_some())?;
        let mut holder = Holder {
            unit,
            does,
            grant: task.grant()?.milli_each.into(),
            useful: 0,
            lost: 0,
            misses: 0,
            interference: 0,
            underused: 0,
        };
        if let (Does::Advancing, Some(pace)) = (does, pace) {
            let gpus = task.request().gpus;
            // A behaviour speaks of the whole GPU, a duty of what was asked for.
            let size = match job.spec.profile.behaviour {
                Some(_) => u128::from(MILLI_PER_GPU),
                None => u128::from(gpus.milli() / gpus.devices()),
            };
            let slices = pace.slices;
            holder.useful = size * u128::from(slices.useful);
            holder.lost = size * u128::from(slices.lost);
            let alone = u128::from(PPM - slices.stalled);
            let beside = alone - u128::from(slices.interference);
            let executes = holder.useful + holder.lost;
            holder.misses = match beside {
                0 => size * alone,
                _ => executes * alone / beside - executes,
            };
        }
        Some(holder)
    }

    fn book_holder(
        &mut self,
        live: &mut BTreeMap<JobRef, Job>,
        node: &NodeView<'_>,
        holder: &Holder,
    ) {
        let pool = node.pool();
        let rest = holder.interference + holder.underused;
        match holder.does {
            Does::Held => self.book_level(pool, Bucket::IdleHeld, Some(Reason::Latency), rest),
            Does::Startup => self.book_level(pool, Bucket::AllocatedStartup, None, rest),
            Does::Waiting => self.book_level(pool, Bucket::AllocatedWaiting, None, rest),
            Does::Advancing => {
                for (bucket, level) in [
                    (Bucket::AllocatedUseful, holder.useful),
                    (Bucket::AllocatedLost, holder.lost),
                    (Bucket::AllocatedInterference, holder.interference),
                    (Bucket::AllocatedUnderused, holder.underused),
                ] {
                    self.book_level(pool, bucket, None, level);
                }
                let job = live.get_mut(&holder.unit.0).unwrap();
                let pace = job.units[holder.unit.1].advance.as_mut().unwrap();
                *pace.useful.entry(pool).or_default() += holder.useful;
            }
        }
    }
}

/// Splits what a GPU yields among those who hold it.
fn split(holders: &mut [Holder]) {
    let executed = |holders: &[Holder]| holders.iter().map(|h| h.useful + h.lost).sum::<u128>();
    let all = executed(holders);
    assert!(all <= WHOLE, "more is executed than there is");
    let rest = WHOLE - all;
    let missed: u128 = holders.iter().map(|holder| holder.misses).sum();
    let interference = missed.min(rest);
    let grants: Vec<u128> = holders.iter().map(|holder| holder.grant).collect();
    let both = by_grant(interference, &grants)
        .into_iter()
        .zip(by_grant(rest - interference, &grants));
    for (holder, (interference, underused)) in holders.iter_mut().zip(both) {
        (holder.interference, holder.underused) = (interference, underused);
    }
}

/// By largest remainder, then who came first.
fn by_grant(amount: u128, grants: &[u128]) -> Vec<u128> {
    let all: u128 = grants.iter().sum();
    let mut shares: Vec<u128> = grants.iter().map(|grant| amount * grant / all).collect();
    let mut order: Vec<usize> = (0..grants.len()).collect();
    order.sort_by_key(|place| (all - amount * grants[*place] % all, *place));
    let left = amount - shares.iter().sum::<u128>();
    for place in &order[..usize::try_from(left).unwrap()] {
        shares[*place] += 1;
    }
    shares
}
