//! How much was free where a job may run, kept up to date from events: O(events), not O(nodes).

use std::collections::BTreeMap;

use windtunnel_core::{Event, EventKind, GpuRequest, JobRef, JobView, NodeId, TaskRequest, View};

use crate::words::Measure;

/// What was free while a job waited, on the nodes it may run on.
///
/// Only GPUs count, or only cores for a job without GPUs; what a hold set aside is not free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What is counted.
    pub measure: Measure,
    /// GPUs or cores free in sum, least and most \[milli\].
    pub free_milli: (u64, u64),
    /// Wholly free GPUs on the node that had most of them, least and most.
    pub block: (u32, u32),
    /// Tasks like the job's first that would have fit at once, least and most: by their GPUs alone, or,
    /// without any, by CPU and memory.
    pub slots: (u64, u64),
}

impl Room {
    /// At one moment.
    fn now(measure: Measure, free_milli: u64, block: u32, slots: u64) -> Self {
        Self {
            measure,
            free_milli: (free_milli, free_milli),
            block: (block, block),
            slots: (slots, slots),
        }
    }

    /// Over both times.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn span<T: Ord>(a: (T, T), b: (T, T)) -> (T, T) {
            (a.0.min(b.0), a.1.max(b.1))
        }
        Self {
            measure: self.measure,
            free_milli: span(self.free_milli, other.free_milli),
            block: span(self.block, other.block),
            slots: span(self.slots, other.slots),
        }
    }
}

/// GPUs of a node: so many of them are wholly free at most.
const WHOLE_MAX: usize = windtunnel_core::MAX_DEVICES;

/// Free GPUs of the nodes that a job may run on.
pub(super) struct Tally {
    request: TaskRequest,
    measure: Measure,
    /// By node: counted at all, free milli, whole GPUs, slots.
    nodes: Vec<Option<(u32, u32, u32)>>,
    milli: u64,
    slots: u64,
    /// Number of nodes by wholly free GPUs.
    by_whole: [u32; WHOLE_MAX + 1],
    /// Where each task is that holds a place: its end does not say.
    places: BTreeMap<(JobRef, u16, u32), NodeId>,
    dirty: Vec<NodeId>,
    all_dirty: bool,
}

impl Tally {
    /// Of a job that waits. O(nodes).
    pub(super) fn new(view: &View<'_>, job: JobView<'_>) -> Self {
        let pools = job.accepting_pools();
        let request = job
            .groups()
            .first()
            .map(|group| group.request)
            .unwrap_or_default();
        let mut tally = Self {
            request,
            measure: match request.gpus {
                GpuRequest::None => Measure::Cores,
                _ => Measure::Gpus,
            },
            nodes: vec![None; view.node_count()],
            milli: 0,
            slots: 0,
            by_whole: [0; WHOLE_MAX + 1],
            places: BTreeMap::new(),
            dirty: Vec::new(),
            all_dirty: true,
        };
        for pool in pools.iter() {
            for node in view.nodes_of(pool) {
                tally.nodes[node.id().index()] = Some((0, 0, 0));
                tally.by_whole[0] += 1;
                for task in node.tasks() {
                    let id = task.id();
                    tally.places.insert((id.job, id.group, id.index), node.id());
                }
            }
        }
        tally
    }

    /// Notes which nodes an event touched.
    pub(super) fn note(&mut self, event: &Event) {
        match event.kind {
            EventKind::Task { task, node, .. } => {
                let key = (task.job, task.group, task.index);
                let before = match node {
                    Some(node) => self.places.insert(key, node),
                    None => self.places.remove(&key),
                };
                self.dirty.extend([node, before].into_iter().flatten());
            }
            EventKind::Node { node, .. } => self.dirty.push(node),
            EventKind::HoldMade { .. }
            | EventKind::HoldCommitted { .. }
            | EventKind::HoldEnded { .. } => {
                self.all_dirty = true;
            }
            _ => {}
        }
    }

    /// What is free now.
    pub(super) fn room(&mut self, view: &View<'_>) -> Room {
        if std::mem::take(&mut self.all_dirty) {
            self.dirty.clear();
            for place in 0..self.nodes.len() {
                self.look(view, NodeId(u32::try_from(place).unwrap_or(u32::MAX)));
            }
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for node in dirty.drain(..) {
            self.look(view, node);
        }
        self.dirty = dirty;
        let block = self.by_whole.iter().rposition(|nodes| *nodes > 0);
        let block = u32::try_from(block.unwrap_or(0)).unwrap_or(u32::MAX);
        Room::now(self.measure, self.milli, block, self.slots)
    }

    fn look(&mut self, view: &View<'_>, node: NodeId) {
        let Some((milli, whole, slots)) = &mut self.nodes[node.index()] else {
            return;
        };
        let node = view.node(node);
        let free = node.free();
        let (request, sharing) = (&self.request, node.sharing());
        let now = match self.measure {
            _ if !node.is_open() => (0, 0, 0),
            Measure::Gpus => (free.milli, free.whole(), free.gpu_slots(request, sharing)),
            Measure::Cores => (free.cpu, 0, free.slots(request, sharing)),
        };
        self.by_whole[*whole as usize] -= 1;
        self.by_whole[now.1 as usize] += 1;
        self.milli = self.milli + u64::from(now.0) - u64::from(*milli);
        self.slots = self.slots + u64::from(now.2) - u64::from(*slots);
        (*milli, *whole, *slots) = now;
    }
}
