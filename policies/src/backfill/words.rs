//! Promises in words, for `explain`.

use windtunnel_core::{NodeId, SimTime};

/// Nodes that are named one by one.
const NAMED: usize = 8;

/// `promised d2 14:03:00 on nodes 13, 18, 37`; nodes by id, each once.
pub(super) fn promised(at: SimTime, mut nodes: Vec<NodeId>) -> String {
    nodes.sort_unstable();
    nodes.dedup();
    let named = nodes.iter().take(NAMED).map(|node| node.0.to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    let more = match nodes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("promised {} on {word} {named}{more}", at.clock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_up_to_a_point() {
        let at = SimTime::from_secs(86_400 + 14 * 3_600 + 180);
        let on = |nodes: &[u32]| promised(at, nodes.iter().copied().map(NodeId).collect());
        assert_eq!(on(&[7, 7]), "promised d2 14:03:00 on node 7");
        assert_eq!(
            on(&[37, 13, 18]),
            "promised d2 14:03:00 on nodes 13, 18, 37"
        );
        let many: Vec<u32> = (0..10).collect();
        let text = "promised d2 14:03:00 on nodes 0, 1, 2, 3, 4, 5, 6, 7 and 2 more";
        assert_eq!(on(&many), text);
    }
}
