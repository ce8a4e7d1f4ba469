//! Interned task requests and unit shapes: what the engine compares instead of resources.

use smallvec::SmallVec;

use crate::hash::LookupMap;
use crate::ids::{DemandId, PoolSet, SchedulerId, ShapeId};
use crate::job::TaskRequest;
use crate::live::Job;
use crate::space::Bound;

/// Entries remembered as used lately.
const RECENT: usize = 64;

/// Task requests, by first mention.
#[derive(Clone, Debug)]
pub(crate) struct ShapeTable {
    requests: Vec<TaskRequest>,
    index: LookupMap<TaskRequest, ShapeId>,
    /// Shapes used lately, by a few bits of the request: most jobs ask for one of few shapes.
    recent: [ShapeId; RECENT],
}

impl Default for ShapeTable {
    fn default() -> Self {
        let (requests, index) = (Vec::new(), LookupMap::default());
        Self {
            requests,
            index,
            recent: [ShapeId(0); RECENT],
        }
    }
}

impl ShapeTable {
    pub(crate) fn intern(&mut self, request: TaskRequest) -> ShapeId {
        let bits = request.gpus.milli() / 125 + request.cpu.0 / 1_000;
        let place = bits as usize % RECENT;
        let recent = self.recent[place];
        if self.requests.get(recent.index()) == Some(&request) {
            return recent;
        }
        let id = self.look_up(request);
        self.recent[place] = id;
        id
    }

    fn look_up(&mut self, request: TaskRequest) -> ShapeId {
        if let Some(&id) = self.index.get(&request) {
            return id;
        }
        let id = ShapeId(u32::try_from(self.requests.len()).expect("fewer than 2^32 shapes"));
        self.requests.push(request);
        self.index.insert(request, id);
        id
    }

    pub(crate) fn request(&self, id: ShapeId) -> &TaskRequest {
        &self.requests[id.index()]
    }
}

/// Task shapes with counts: what a unit needs to start.
pub(crate) type Needs = SmallVec<[(ShapeId, u32); 1]>;

/// What the tasks of each of some needs must share.
pub(crate) type Bounds = SmallVec<[Option<Bound>; 1]>;

/// What identifies a unit shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DemandKey {
    pub(crate) scheduler: SchedulerId,
    pub(crate) pools: PoolSet,
    pub(crate) needs: Needs,
    /// Whether a job that waits for it needs it once per task (`each`) rather than once.
    pub(crate) each: bool,
    /// What the tasks of each need must share; empty if none must share anything.
    pub(crate) bounds: Bounds,
}

impl DemandKey {
    /// What the tasks of a need must share.
    pub(crate) fn bound(&self, need: usize) -> Option<Bound> {
        self.bounds.get(need).copied().flatten()
    }
}

/// A distinct unit shape and the jobs that are listed under it.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) key: DemandKey,
    /// Pools with nodes of a model it accepts.
    pub(crate) accepted: PoolSet,
    /// GPUs of one unit as they would be granted in its first accepted pool \[milli\].
    pub(crate) milli: u64,
    /// Whether every pool would grant it the same: whole GPUs, or a single pool.
    pub(crate) rigid: bool,
    /// If it is equal tasks of whole GPUs and nothing else: GPUs per task, and tasks.
    pub(crate) plain: Option<(usize, u64)>,
    /// Whether it needs CPU or memory too.
    pub(crate) bound_by_more: bool,
    /// Whether one unit would fit on the supply when empty, at its largest.
    pub(crate) can_ever: bool,
    /// First and last listed job.
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) listed: u32,
}

impl Demand {
    /// Whether no job that needs this can ever have it. What is left of several groups may be placed
    /// where the whole would not be, so of them it is only known job by job.
    pub(crate) fn is_hopeless(&self) -> bool {
        !self.can_ever && self.key.needs.len() == 1
    }
}

/// Unit shapes, by first mention.
#[derive(Clone, Debug)]
pub(crate) struct DemandTable {
    pub(crate) list: Vec<Demand>,
    index: LookupMap<DemandKey, DemandId>,
    /// Unit shapes used lately, by a few bits of what they need.
    recent: [DemandId; RECENT],
}

impl Default for DemandTable {
    fn default() -> Self {
        let (list, index) = (Vec::new(), LookupMap::default());
        Self {
            list,
            index,
            recent: [DemandId(0); RECENT],
        }
    }
}

/// Where a need is remembered as used lately.
fn recent_place((shape, count): &(ShapeId, u32)) -> usize {
    (shape.0.wrapping_mul(7) ^ count) as usize % RECENT
}

impl DemandTable {
    pub(crate) fn find(&mut self, key: &DemandKey) -> Option<DemandId> {
        let place = key.needs.first().map_or(0, recent_place);
        let recent = self.recent[place];
        if self
            .list
            .get(recent.index())
            .is_some_and(|known| known.key == *key)
        {
            return Some(recent);
        }
        let id = self.index.get(key).copied()?;
        self.recent[place] = id;
        Some(id)
    }

    /// The unit shape of a gang of one group that may go anywhere and of which so many tasks wait, if it
    /// was used lately: the same as [`find`](Self::find), without building a key.
    #[inline]
    pub(crate) fn find_plain(&self, job: &Job, waiting: u32) -> Option<DemandId> {
        let ([shape], [group]) = (&job.shapes[..], &job.spec.request.groups[..]) else {
            return None;
        };
        let need = (*shape, waiting);
        let id = self.recent[recent_place(&need)];
        let key = &self.list.get(id.index())?.key;
        let is_it = key.needs[..] == [need]
            && key.scheduler == job.scheduler
            && key.pools == job.pools
            && !key.each
            && key.bounds.is_empty()
            && group.level.is_none();
        is_it.then_some(id)
    }

    pub(crate) fn insert(&mut self, demand: Demand) -> DemandId {
        let id = DemandId(u32::try_from(self.list.len()).expect("fewer than 2^32 unit shapes"));
        self.index.insert(demand.key.clone(), id);
        self.list.push(demand);
        id
    }

    pub(crate) fn get(&self, id: DemandId) -> &Demand {
        &self.list[id.index()]
    }
}
