//! Faults from a list: for tests, and for replaying a log.

use std::collections::VecDeque;

use super::{Fault, FaultKind, FaultModel, FaultStream, Site};
use crate::ids::PoolId;
use crate::rng::Seed;
use crate::time::SimTime;

/// Where a fault of the list is: the pool, the node's place in it.
type Place = (PoolId, u32);

/// Faults from a list: (pool, the node's place in it, fault), in any order.
///
/// For tests and for replaying a log. Faults of one node may overlap if they are of different kinds, or
/// of different GPUs and links; whole-node failures are put off to the end of the repair before them.
///
/// ```
/// use windtunnel_core::rng::Seed;
/// use windtunnel_core::{Fault, FaultModel, ListedFaults, PoolId, SimDuration, SimTime, Site};
/// let fault = |at| Fault::node(SimTime::from_secs(at), SimDuration::from_secs(5));
/// let list = vec![(PoolId(0), 7, fault(90)), (PoolId(0), 7, fault(20)), (PoolId(1), 7, fault(10))];
/// let site = Site { pool: PoolId(0), ordinal: 7, gpus: 8 };
/// let mut streams = ListedFaults::new(list).streams(Seed(1), site);
/// assert_eq!(streams[0].next(SimTime::ZERO), Some(fault(20)));
/// assert_eq!(streams[0].next(SimTime::from_secs(25)), Some(fault(90)));
/// assert_eq!(streams[0].next(SimTime::from_secs(95)), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedFaults {
    /// By place and beginning; of equals as they were listed.
    faults: Vec<(PoolId, u32, Fault)>,
}

impl ListedFaults {
    /// Puts the list in order, once: O(length × log length).
    #[must_use]
    pub fn new(mut faults: Vec<(PoolId, u32, Fault)>) -> Self {
        faults.sort_by_key(|&(pool, ordinal, fault)| (pool, ordinal, fault.at));
        Self { faults }
    }

    /// The faults of one node, in the order of their beginnings. O(log length).
    fn of(&self, place: Place) -> &[(PoolId, u32, Fault)] {
        let is_before = |entry: &(PoolId, u32, Fault)| (entry.0, entry.1) < place;
        let is_here = |entry: &(PoolId, u32, Fault)| (entry.0, entry.1) == place;
        let own = &self.faults[self.faults.partition_point(is_before)..];
        &own[..own.partition_point(is_here)]
    }
}

#[derive(Clone, Debug)]
struct ListedStream {
    faults: VecDeque<Fault>,
    overlaps: bool,
}

impl FaultStream for ListedStream {
    fn next(&mut self, from: SimTime) -> Option<Fault> {
        let fault = self.faults.pop_front()?;
        Some(Fault {
            at: fault.at.max(from),
            ..fault
        })
    }

    fn overlaps(&self) -> bool {
        self.overlaps
    }

    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl FaultModel for ListedFaults {
    /// O(log length of the list + faults of the node) per node.
    fn streams(&self, _: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        let own = self.of((site.pool, site.ordinal)).iter();
        let (nodes, parts): (VecDeque<_>, VecDeque<_>) = own
            .map(|entry| entry.2)
            .partition(|fault| fault.what == FaultKind::Node);
        let mut streams: Vec<Box<dyn FaultStream>> = Vec::new();
        for (faults, overlaps) in [(nodes, false), (parts, true)] {
            if !faults.is_empty() {
                streams.push(Box::new(ListedStream { faults, overlaps }));
            }
        }
        streams
    }

    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(self.clone())
    }
}
