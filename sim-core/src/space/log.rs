//! Which nodes were touched, in order, so that every index can catch up when it is asked.

use crate::ids::NodeId;

/// Touched nodes, oldest first; positions count all that ever were.
#[derive(Clone, Debug)]
pub(super) struct TouchLog {
    entries: Vec<NodeId>,
    /// Position of the first entry.
    start: u64,
    /// One past each node's latest position.
    latest: Vec<u64>,
    /// One past the latest position at which something was given back.
    gave: u64,
}

impl TouchLog {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            entries: Vec::new(),
            start: 0,
            latest: vec![0; nodes],
            gave: 0,
        }
    }

    /// The position that the next entry will have.
    pub(super) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// A node changed; whether something of it was given back.
    pub(super) fn push(&mut self, node: NodeId, gave: bool) {
        if self.entries.len() > 4 * self.latest.len() + 1_024 {
            self.start += self.entries.len() as u64;
            self.entries.clear();
        }
        self.entries.push(node);
        self.latest[node.index()] = self.end();
        if gave {
            self.gave = self.end();
        }
    }

    /// Whether nodes only lost capacity from a position on: what did not fit then does not fit now.
    pub(super) fn only_took_since(&self, position: u64) -> bool {
        self.gave <= position
    }

    /// The nodes touched from a position on, each once; `None` if they are no longer known, or so many
    /// that all nodes are fewer.
    pub(super) fn since(&self, position: u64) -> Option<impl Iterator<Item = NodeId> + '_> {
        let start = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let touched = self.entries.get(start..)?;
        if touched.len() > self.latest.len() {
            return None;
        }
        let is_latest = |(node, end): &(&NodeId, u64)| self.latest[node.index()] == *end;
        let touched = touched.iter().zip(position + 1..);
        Some(touched.filter(is_latest).map(|(node, _)| *node))
    }
}
