//! Why jobs wait, and what idle capacity is charged to them.

use std::collections::BTreeMap;

use windtunnel_core::units::PPM;
use windtunnel_core::{Advance, Bucket, JobView, Keeps, Level, PoolId, Reason, TaskState, View};

use super::Naive;
use super::cluster::Place;
use super::fit::{Need, Tasks};
use super::job::Job;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Startable,
    Stranded,
    Fragmented,
    Insufficient,
}

impl Naive {
    /// What a job that waits needs next, if anything: one unit of it, and how often.
    fn unmet(&self, job: &Job, seen: &JobView<'_>, gate: Option<Reason>) -> Option<(Need, u32)> {
        let demands = |task: &windtunnel_core::TaskView<'_>| match task.state() {
            TaskState::Pending => true,
            TaskState::Gated => gate != Some(Reason::User),
            TaskState::Suspended => task.suspended().unwrap().0 != Keeps::Everything,
            _ => false,
        };
        let groups = &job.spec.request.groups;
        let count = |group: usize| {
            let of = seen.tasks().filter(|t| usize::from(t.id().group) == group);
            u32::try_from(of.filter(demands).count()).unwrap()
        };
        let home = |level: Level, group: usize| {
            use TaskState::{Reserved, Running, Starting, Suspended};
            let mut of = seen.tasks().filter(|t| usize::from(t.id().group) == group);
            let placed = |state| matches!(state, Reserved | Starting | Running | Suspended);
            let first = of.find(|task| placed(task.state()))?;
            Some(self.fabric.group(first.node().unwrap(), level))
        };
        let (tasks, times) = match job.spec.request.advance {
            Advance::All => {
                let all = groups.iter().enumerate();
                let all = all.map(|(place, group)| {
                    let bound = group.level.map(|level| (level, home(level, place)));
                    (group.request, count(place), bound)
                });
                (all.filter(|(_, count, _)| *count > 0).collect(), 1)
            }
            Advance::Each => (vec![(groups[0].request, 1, None)], count(0)),
            Advance::Between { min, .. } => {
                let placed = seen.tasks().filter(|task| task.state().holds()).count();
                let missing = (min as usize).saturating_sub(placed);
                let missing = u32::try_from(missing).unwrap().min(count(0));
                (vec![(groups[0].request, missing, None)], missing.min(1))
            }
        };
        let some: u32 = tasks.iter().map(|(_, count, _): &Tasks| *count).sum();
        (some > 0 && times > 0).then(|| (self.need(&job.spec, tasks), times))
    }

    /// Why each job waits, and what of the free capacity is charged to it.
    pub(super) fn waits(
        &mut self,
        view: &View<'_>,
        places: &[Place],
        free: &mut BTreeMap<PoolId, u64>,
    ) {
        let mut demand: BTreeMap<(Status, u32, Vec<PoolId>, Reason), u64> = BTreeMap::new();
        let mut live = std::mem::take(&mut self.live);
        for (id, job) in &mut live {
            let seen = view.job(*id).unwrap();
            job.why = None;
            if !seen.is_queued() {
                continue;
            }
            let gated = seen.tasks_in(TaskState::Gated) > 0;
            let pending = seen.tasks_in(TaskState::Pending) > 0;
            // The only gates here are requeue delays and backoffs.
            let gate = gated.then_some(Reason::Backoff);
            let fixed = if pending {
                self.own.get(id).copied()
            } else {
                let released = |task: &windtunnel_core::TaskView<'_>| {
                    task.suspended()
                        .is_some_and(|kept| kept.0 != Keeps::Everything)
                };
                let own = self.own.get(id).copied();
                let suspended = seen.tasks().any(|task| released(&task));
                gate.or(own).or(suspended.then_some(Reason::Suspended))
            };
            if job.never {
                job.why = Some(Reason::NeverFits);
                continue;
            }
            let Some((need, times)) = self.unmet(job, &seen, gate) else {
                let why = fixed.filter(|why| *why != Reason::DoesNotFit);
                job.why = Some(why.unwrap_or(Reason::Latency));
                continue;
            };
            let said = fixed.or_else(|| {
                let shape = seen.shape();
                let known = self.shapes.entry(shape).or_insert_with(|| need.clone());
                assert_eq!(*known, need, "{shape} means two things");
                let queue = (seen.scheduler(), job.spec.request.queue);
                self.shape.get(&shape).or(self.queue.get(&queue)).copied()
            });
            let accepted = self.accepted(&need);
            let status = if self.fits(&need, places.to_vec(), false) {
                Status::Startable
            } else if self.fits(&need, places.to_vec(), true) {
                Status::Stranded
            } else {
                let there = accepted.iter().filter_map(|pool| free.get(&pool));
                if self.milli(&need) <= there.sum() {
                    Status::Fragmented
                } else {
                    Status::Insufficient
                }
            };
            let why = match (said.unwrap_or(Reason::DoesNotFit), status) {
                (Reason::DoesNotFit, Status::Startable) => Reason::Latency,
                (Reason::DoesNotFit, Status::Stranded) => Reason::Stranded,
                (Reason::DoesNotFit, Status::Fragmented) => Reason::Fragmented,
                (Reason::DoesNotFit, Status::Insufficient) => Reason::Insufficient,
                (said, _) => said,
            };
            job.why = Some(why);
            let pools = (accepted.len(), accepted.iter().collect());
            *demand.entry((status, pools.0, pools.1, why)).or_default() +=
                self.milli(&need) * u64::from(times);
        }
        self.live = live;
        // Sets of one status in order; within one, its pools, then reasons.
        let mut sets: Vec<_> = demand.keys().map(|k| (k.0, k.1, k.2.clone())).collect();
        sets.dedup();
        for set in sets {
            for pool in set.2.clone() {
                for why in Reason::ALL {
                    let key = (set.0, set.1, set.2.clone(), why);
                    let Some(wanted) = demand.get_mut(&key) else {
                        continue;
                    };
                    let there = free.entry(pool).or_default();
                    let taken = (*wanted).min(*there);
                    *wanted -= taken;
                    *there -= taken;
                    let (bucket, why) = match set.0 {
                        Status::Startable => (Bucket::IdleHeld, Some(why)),
                        Status::Stranded => (Bucket::IdleStranded, None),
                        Status::Fragmented => (Bucket::IdleFragmented, None),
                        Status::Insufficient => (Bucket::IdleInsufficient, None),
                    };
                    self.book(pool, bucket, why, taken, PPM);
                }
            }
        }
    }
}
