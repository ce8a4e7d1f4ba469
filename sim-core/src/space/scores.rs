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

/// The index of one shape, if it was asked about. What fits nowhere is known without looking there.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoreSlot {
    /// Position in the log at which it fitted nowhere.
    nowhere: Option<u64>,
    index: Option<Box<ScoreIndex>>,
}

impl ScoreSlot {
    /// The node with the least score, then the lowest id.
    pub(super) fn best<S: Scorer>(
        &mut self,
        nodes: Nodes<'_>,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> Option<NodeId> {
        if self.nowhere.is_some_and(|at| log.only_took_since(at)) {
            return None;
        }
        let index = self.index.as_mut();
        let is_current = index.is_some_and(|index| index.catch_up::<S>(nodes, log, request));
        if !is_current {
            self.index = Some(Box::new(ScoreIndex::new::<S>(nodes, log, request)));
        }
        let best = self.index.as_ref().and_then(|index| index.best);
        self.nowhere = best.is_none().then_some(log.end());
        best
    }
}

/// Scores of all nodes for one shape.
#[derive(Clone, Debug)]
struct ScoreIndex {
    /// Position in the log up to which scores are current.
    cursor: u64,
    /// By node; meaningless where the shape does not fit.
    scores: Vec<Score>,
    blocks: Vec<Block>,
    /// The best node at `cursor`.
    best: Option<NodeId>,
}

/// What is known of some nodes without looking at their scores, which are far apart in memory.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Nodes where the shape fits, one bit each.
    fits: u64,
    /// The least score among them.
    least: Score,
    /// Whether `least` has to be found anew.
    is_stale: bool,
}

impl ScoreIndex {
    fn new<S: Scorer>(nodes: Nodes<'_>, log: &TouchLog, request: &TaskRequest) -> Self {
        let count = nodes.free.len();
        let empty = Block {
            fits: 0,
            least: NOWHERE,
            is_stale: false,
        };
        let mut index = Self {
            cursor: log.end(),
            scores: vec![NOWHERE; count],
            blocks: vec![empty; count.div_ceil(BLOCK)],
            best: None,
        };
        for node in nodes.ids() {
            index.set(node, score::<S>(nodes, node, request));
        }
        index.find();
        index
    }

    /// Brings the index up to date; `false` if it had better be made anew.
    #[inline]
    fn catch_up<S: Scorer>(
        &mut self,
        nodes: Nodes<'_>,
        log: &TouchLog,
        request: &TaskRequest,
    ) -> bool {
        if self.cursor == log.end() {
            return true;
        }
        let only_took = log.only_took_since(self.cursor);
        let Some(touched) = log.since(self.cursor) else {
            return false;
        };
        for node in touched {
            let fits = self.blocks[node.index() / BLOCK].fits >> (node.index() % BLOCK) & 1 == 1;
            if fits || !only_took {
                self.set(node, score::<S>(nodes, node, request));
            }
        }
        self.cursor = log.end();
        self.find();
        true
    }

    #[inline]
    fn set(&mut self, node: NodeId, score: Score) {
        let block = &mut self.blocks[node.index() / BLOCK];
        let bit = 1 << (node.index() % BLOCK);
        let place = &mut self.scores[node.index()];
        let had_least = block.fits & bit != 0 && *place == block.least;
        if score == NOWHERE {
            block.fits &= !bit;
        } else {
            block.fits |= bit;
            *place = score;
        }
        if score <= block.least {
            block.least = score;
        } else if had_least {
            block.is_stale = true;
        }
    }

    fn find(&mut self) {
        let mut least = NOWHERE;
        let mut found = 0;
        for (place, block) in self.blocks.iter_mut().enumerate() {
            if std::mem::take(&mut block.is_stale) {
                let scores = &self.scores[place * BLOCK..];
                let fitting = members(block.fits).map(|member| scores[member]);
                block.least = fitting.min().unwrap_or(NOWHERE);
            }
            if block.least < least {
                (least, found) = (block.least, place);
            }
        }
        self.best = None;
        if least < NOWHERE {
            let start = found * BLOCK;
            let mut members = members(self.blocks[found].fits);
            let first = members.find(|member| self.scores[start + member] == least);
            let node = first.and_then(|member| u32::try_from(start + member).ok());
            self.best = node.map(NodeId);
        }
    }
}

/// Places of the bits that are set, ascending.
fn members(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let member = bits.trailing_zeros() as usize;
        let some = bits != 0;
        bits &= bits.wrapping_sub(1);
        some.then_some(member)
    })
}

fn score<S: Scorer>(nodes: Nodes<'_>, node: NodeId, request: &TaskRequest) -> Score {
    let (pool, free) = (nodes.pool(node), &nodes.free[node.index()]);
    if !pool.accepts(request) || !free.fits(request, pool.sharing) {
        return NOWHERE;
    }
    S::score(free, request).min(NOWHERE - 1)
}
