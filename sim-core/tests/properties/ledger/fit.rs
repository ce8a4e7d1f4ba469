//! Whether a unit fits on what is free, and what it demands.

use windtunnel_core::{Advance, JobSpec, Level, PoolId, PoolSet, Sharing, TaskRequest};

use super::Naive;
use super::cluster::Place;
use super::room::{Room, granted_each};

/// Equal tasks of a unit, how many, and the level they must share, with which group if that is settled.
pub(crate) type Tasks = (TaskRequest, u32, Option<(Level, Option<u32>)>);

/// What one unit that waits needs: tasks of each kind, and where it may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) tasks: Vec<Tasks>,
    pub(crate) pools: PoolSet,
    /// Asked for once per task.
    pub(crate) each: bool,
}

impl Naive {
    /// Whether a unit of a job would fit on the supply at its largest, with nothing running.
    pub(super) fn could_ever(&self, spec: &JobSpec) -> bool {
        let mut places = Vec::new();
        for (pool, id) in self.case.supply().pools.iter().zip(0..) {
            let (cpu, memory) = (u64::from(pool.model.cpu.0), pool.model.memory.0);
            let room = Room::empty(self.case.sharing(PoolId(id)), pool.model.gpus, cpu, memory);
            for ordinal in 0..pool.max_nodes() {
                places.push(Place {
                    node: self.world.node_at(PoolId(id), ordinal).unwrap(),
                    pool: PoolId(id),
                    free: 0,
                    room: room.clone(),
                });
            }
        }
        let groups = spec.request.groups.iter();
        let tasks = match spec.request.advance {
            Advance::All => groups
                .map(|g| (g.request, g.count, g.level.map(|level| (level, None))))
                .collect(),
            Advance::Each => vec![(spec.request.groups[0].request, 1, None)],
            Advance::Between { min, .. } => vec![(spec.request.groups[0].request, min, None)],
        };
        let need = self.need(spec, tasks);
        self.fits(&need, places, false)
    }

    pub(super) fn need(&self, spec: &JobSpec, tasks: Vec<Tasks>) -> Need {
        Need {
            tasks,
            pools: self.case.pools_of(spec.request.queue),
            each: spec.request.advance == Advance::Each,
        }
    }

    fn accepts(&self, pool: PoolId, request: &TaskRequest) -> bool {
        // Models were named m0, m1, … in the order of their ids.
        let model = &self.case.supply().pools[pool.index()].model.gpu_model;
        let id: u32 = model[1..].parse().unwrap();
        request.models == 0 || request.models >> id & 1 == 1
    }

    /// The pools where any task of a unit may go.
    pub(super) fn accepted(&self, need: &Need) -> PoolSet {
        let any = |pool: &PoolId| {
            need.tasks
                .iter()
                .any(|(task, ..)| self.accepts(*pool, task))
        };
        need.pools.iter().filter(any).collect()
    }

    /// Tasks greedily in order, each on the lowest node where it fits; tasks that must share a level in
    /// its first group with room for all.
    pub(super) fn fits(&self, need: &Need, mut places: Vec<Place>, bare: bool) -> bool {
        if need.tasks.iter().any(|(.., level)| level.is_some()) {
            places.sort_by_key(|place| place.node);
        }
        need.tasks.iter().all(|tasks| {
            let candidates: Vec<Option<(Level, u32)>> = match tasks.2 {
                None => vec![None],
                Some((level, Some(home))) => vec![Some((level, home))],
                Some((level, None)) => {
                    let count = self.fabric.group_count(level);
                    (0..count).map(|group| Some((level, group))).collect()
                }
            };
            candidates.into_iter().any(|within| {
                let mut tried = places.clone();
                let fits = self.fill(need, tasks, &mut tried, within, bare);
                if fits {
                    places = tried;
                }
                fits
            })
        })
    }

    fn fill(
        &self,
        need: &Need,
        (request, count, _): &Tasks,
        places: &mut [Place],
        within: Option<(Level, u32)>,
        bare: bool,
    ) -> bool {
        for _ in 0..*count {
            let seat = places.iter_mut().find_map(|place| {
                let outside = within
                    .is_some_and(|(level, group)| self.fabric.group(place.node, level) != group);
                let mine = need.pools.contains(place.pool) && self.accepts(place.pool, request);
                if outside || !mine {
                    return None;
                }
                let parts = place.room.seat(request, bare)?;
                place.room.take(request, &parts, bare);
                Some(())
            });
            if seat.is_none() {
                return false;
            }
        }
        true
    }

    /// GPUs of one unit as they would be granted in its first accepted pool [milli].
    pub(super) fn milli(&self, need: &Need) -> u64 {
        let first = self.accepted(need).iter().next();
        let sharing = first.map_or(Sharing::Exclusive, |pool| self.case.sharing(pool));
        let milli = |(task, count, _): &Tasks| {
            let each = granted_each(sharing, task.gpus);
            u64::from(task.gpus.devices() * each) * u64::from(*count)
        };
        need.tasks.iter().map(milli).sum()
    }
}
