//! Faults from a list: for tests, and for replaying a log.

use std::collections::VecDeque;

use super::{Fault, FaultKind, FaultModel, FaultStream, Site};
use crate::ids::PoolId;
use crate::rng::Seed;
use crate::time::SimTime;

/// Faults from a list: (pool, the node's place in it, fault), in any order.
///
/// For tests and for replaying a log. Faults of one node may overlap if they are of different kinds, or
/// of different GPUs and links; whole-node failures are put off to the end of the repair before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedFaults(pub Vec<(PoolId, u32, Fault)>);

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
    /// O(length of the list) per node.
    fn streams(&self, _: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        let here = |entry: &&(PoolId, u32, Fault)| entry.0 == site.pool && entry.1 == site.ordinal;
        let mut own: Vec<Fault> = self.0.iter().filter(here).map(|entry| entry.2).collect();
        own.sort_by_key(|fault| fault.at);
        let (nodes, parts): (VecDeque<_>, VecDeque<_>) = own
            .into_iter()
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
