//! The best node for the tasks of one shape, by a score that depends on the node and the shape alone.
//!
//! Scores are kept per node and brought up to date for nodes that were touched; the least one of every
//! block of nodes is kept, too, so that the least of all is found without looking at all.

use super::log::TouchLog;
use super::shapes::Nodes;
use crate::ids::NodeId;
use crate::job::TaskRequest;
use crate::plan::{Score, Scorer};

/// Nodes in a block.
const BLOCK: usize = 64;
/// The score of a node where the shape does not fit.
const NOWHERE: Score = Score::MAX;

/// Scores of all nodes for one shape.
#[derive(Clone, Debug)]
pub(super) struct ScoreIndex {
    /// Position in the log up to which scores are current.
    cursor: u64,
    scores: Vec<Score>,
    /// The least of each block, where it is not stale.
    least: Vec<Score>,
    is_stale: Vec<bool>,
    /// The best node at `cursor`.
    best: Option<NodeId>,
}

impl ScoreIndex {
    pub(super) fn new<S: Scorer>(nodes: Nodes<'_>, log: &TouchLog, request: &TaskRequest) -> Self {
        let scores = nodes.ids().map(|node| score::<S>(nodes, node, request));
        let scores: Vec<Score> = scores.collect();
        let blocks = scores.len().div_ceil(BLOCK);
        let mut index = Self {
            cursor: log.end(),
            scores,
            least: vec![NOWHERE; blocks],
            is_stale: vec![true; blocks],
            best: None,
        };
        index.find();
        index
    }

    /// Brings the index up to date; `false` if it had better be made anew.
    #[inline]
    pub(super) fn catch_up<S: Scorer>(
        &mut self,
        nodes: Nodes<'_>,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> bool {
        if self.cursor == log.end() {
            return true;
        }
        let only_took = log.only_took_since(self.cursor);
        if only_took && self.best.is_none() {
            return true;
        }
        let Some(touched) = log.since(self.cursor) else {
            return false;
        };
        for node in touched {
            let old = self.scores[node.index()];
            if only_took && old == NOWHERE {
                continue;
            }
            let new = score::<S>(nodes, node, request);
            if old != new {
                self.scores[node.index()] = new;
                self.is_stale[node.index() / BLOCK] = true;
            }
        }
        self.cursor = log.end();
        self.find();
        true
    }

    /// The node with the least score, then the lowest id.
    pub(super) fn best(&self) -> Option<NodeId> {
        self.best
    }

    fn find(&mut self) {
        let mut least = NOWHERE;
        let mut block = 0;
        for place in 0..self.least.len() {
            if std::mem::take(&mut self.is_stale[place]) {
                let start = place * BLOCK;
                let end = self.scores.len().min(start + BLOCK);
                let scores = &self.scores[start..end];
                self.least[place] = scores.iter().fold(NOWHERE, |a, &b| a.min(b));
            }
            if self.least[place] < least {
                (least, block) = (self.least[place], place);
            }
        }
        self.best = None;
        if least < NOWHERE {
            let start = block * BLOCK;
            let found = self.scores[start..].iter().position(|&s| s == least);
            let node = found.and_then(|place| u32::try_from(start + place).ok());
            self.best = node.map(NodeId);
        }
    }
}

fn score<S: Scorer>(nodes: Nodes<'_>, node: NodeId, request: &TaskRequest) -> Score {
    let (pool, free) = (nodes.pool(node), &nodes.free[node.index()]);
    if !pool.accepts(request) || !free.fits(request, pool.sharing) {
        return NOWHERE;
    }
    S::score(free, request).min(NOWHERE - 1)
}
