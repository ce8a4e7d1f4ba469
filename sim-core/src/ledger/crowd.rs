//! The books of GPUs that are over-committed: what they are booked under, node by node.
//!
//! What one holder has of a GPU depends on all the others, so a node is booked anew as a whole when a
//! holder comes, goes, or changes what it does or how fast: once per instant and node, O(tasks on the
//! node × its GPUs). Nodes of other pools are not in here and cost nothing.

use super::split::{Holder, split};
use crate::ids::NodeId;
use crate::live::{JobTable, Mode};
use crate::speed::requested_each;
use crate::world::cluster::{Cluster, Node};

/// Thousandths of a whole GPU.
const WHOLE: u16 = 1_000;

/// What a node's GPUs are booked under [milli-GPU·ppm].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crowded {
    pub(crate) held: u64,
    pub(crate) startup: u64,
    pub(crate) waiting: u64,
    pub(crate) useful: u64,
    pub(crate) lost: u64,
    pub(crate) interference: u64,
    pub(crate) underused: u64,
}

/// What a task has of its GPUs that is useful [milli-GPU·ppm].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Useful {
    pub(crate) slot: u32,
    pub(crate) task: u32,
    pub(crate) level: u64,
}

/// What a node was booked under and is from now on, and what of it was and is useful to whom.
#[derive(Clone, Debug)]
pub(crate) struct Rebooked {
    pub(crate) levels: (Crowded, Crowded),
    pub(crate) was_useful: Vec<Useful>,
    pub(crate) useful: Vec<Useful>,
}

#[derive(Clone, Debug, Default)]
struct NodeBook {
    booked: Crowded,
    useful: Vec<Useful>,
    dirty: bool,
}

/// The books of all nodes whose GPUs are over-committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowds {
    /// By node; empty if no pool is over-committed.
    nodes: Vec<NodeBook>,
    dirty: Vec<NodeId>,
}

impl Crowds {
    pub(crate) fn for_cluster(cluster: &Cluster) -> Self {
        let mut pools = cluster.pools.iter();
        let any = pools.any(|pool| pool.info.sharing.overcommits());
        let nodes = if any { cluster.nodes.len() } else { 0 };
        Self {
            nodes: vec![NodeBook::default(); nodes],
            dirty: Vec::new(),
        }
    }

    /// Whether some pool is over-committed.
    pub(crate) fn is_needed(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// What a node is booked under may have changed.
    pub(crate) fn mark(&mut self, node: NodeId) {
        if !std::mem::replace(&mut self.nodes[node.index()].dirty, true) {
            self.dirty.push(node);
        }
    }

    /// Whether no node is to be booked anew.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    /// A node to be booked anew.
    pub(crate) fn next(&mut self) -> Option<NodeId> {
        let node = self.dirty.pop()?;
        self.nodes[node.index()].dirty = false;
        Some(node)
    }

    /// Books a node anew: returns what it was booked under and is from now on, and what of it was
    /// useful to whom.
    pub(crate) fn rebook(&mut self, id: NodeId, node: &Node, jobs: &JobTable) -> Rebooked {
        let mut booked = Crowded::default();
        let mut useful: Vec<Useful> = Vec::with_capacity(node.tasks.len());
        let holds = |mode: Mode| mode != Mode::None;
        for &(slot, task) in &node.tasks {
            if holds(jobs.slot(slot).tasks[task as usize].mode) {
                let level = 0;
                useful.push(Useful { slot, task, level });
            }
        }
        let mut on: Vec<(usize, Mode)> = Vec::new();
        let mut holders: Vec<Holder> = Vec::new();
        // What has failed is the node's to book.
        let works = |device: &usize| !node.health.gpus.contains(*device);
        for device in (0..usize::from(node.free.devices)).filter(works) {
            on.clear();
            holders.clear();
            for (place, entry) in useful.iter().enumerate() {
                let job = jobs.slot(entry.slot);
                let task = &job.tasks[entry.task as usize];
                if !task.grant.devices.contains(device) {
                    continue;
                }
                let slices = job.units[job.unit_of(entry.task as usize)].slices;
                on.push((place, task.mode));
                // A behaviour speaks of the whole GPU, a duty of what was asked for.
                let size = match job.spec.profile.behaviour {
                    Some(_) => WHOLE,
                    None => requested_each(job, task.group),
                };
                holders.push(Holder {
                    grant: task.grant.milli_each,
                    size,
                    slices: (task.mode == Mode::Advancing).then_some(slices),
                });
            }
            if holders.is_empty() {
                continue;
            }
            for (&(place, mode), part) in on.iter().zip(split(&holders)) {
                useful[place].level += part.useful;
                booked.add(mode, part);
            }
        }
        useful.retain(|entry| entry.level > 0);
        let book = &mut self.nodes[id.index()];
        let before = std::mem::replace(&mut book.booked, booked);
        let was_useful = std::mem::replace(&mut book.useful, useful);
        Rebooked {
            levels: (before, booked),
            was_useful,
            useful: book.useful.clone(),
        }
    }
}

impl Crowded {
    fn add(&mut self, mode: Mode, part: super::split::Part) {
        let rest = part.interference + part.underused;
        match mode {
            Mode::None => {}
            Mode::Held => self.held += rest,
            Mode::Startup => self.startup += rest,
            Mode::Waiting => self.waiting += rest,
            Mode::Advancing => {
                self.useful += part.useful;
                self.lost += part.lost;
                self.interference += part.interference;
                self.underused += part.underused;
            }
        }
    }
}
