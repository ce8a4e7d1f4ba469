//! How many nodes are looked at, and which of the best is taken.

/// Who wins among nodes of equal total score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tie {
    /// The lowest-numbered one. Easy to predict and to compare with other policies.
    #[default]
    LowestIndex,
    /// As kube-scheduler 1.36 has it: the root of a heap built in place over the feasible nodes.
    Upstream,
}

/// How many feasible nodes are enough, of `nodes` in all.
///
/// `percentage` 0 is adaptive: 50 % less one point per 125 nodes, at least 5 %; never fewer than 100
/// nodes; all of them below 100 nodes or at 100 %.
///
/// ```
/// use windtunnel_policies::kubernetes::nodes_needed;
/// assert_eq!(nodes_needed(1_213, 0), 497, "41 %");
/// assert_eq!(nodes_needed(5_000, 0), 500, "10 %");
/// assert_eq!(nodes_needed(300, 0), 144);
/// assert_eq!(nodes_needed(150, 10), 100);
/// ```
#[must_use]
pub fn nodes_needed(nodes: usize, percentage: u8) -> usize {
    if nodes < 100 || percentage >= 100 {
        return nodes;
    }
    let percentage = match percentage {
        0 => 50_usize.saturating_sub(nodes / 125).max(5),
        given => usize::from(given),
    };
    (nodes * percentage / 100).max(100)
}

/// The place of the winner among `scores`, in visit order; `numbers` are the nodes' numbers.
pub(super) fn pick(
    tie: Tie,
    scores: &[i64],
    number: impl Fn(usize) -> u32,
    heap: &mut Vec<u32>,
) -> usize {
    match tie {
        Tie::LowestIndex => {
            let mut best = 0;
            for place in 1..scores.len() {
                let better = scores[place] > scores[best];
                let equal = scores[place] == scores[best];
                if better || (equal && number(place) < number(best)) {
                    best = place;
                }
            }
            best
        }
        Tie::Upstream => root_of_heap(scores, heap),
    }
}

/// Builds a max-heap bottom-up in place, comparing scores only, and returns what ends at its root.
fn root_of_heap(scores: &[i64], heap: &mut Vec<u32>) -> usize {
    heap.clear();
    heap.extend((0..scores.len()).map(|place| u32::try_from(place).unwrap_or(u32::MAX)));
    let score = |heap: &[u32], at: usize| scores[heap[at] as usize];
    for top in (0..heap.len() / 2).rev() {
        let mut at = top;
        loop {
            let mut child = 2 * at + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && score(heap, child + 1) > score(heap, child) {
                child += 1;
            }
            if score(heap, child) <= score(heap, at) {
                break;
            }
            heap.swap(at, child);
            at = child;
        }
    }
    heap.first().map_or(0, |&place| place as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(scores: &[i64]) -> usize {
        pick(Tie::Upstream, scores, |_| 0, &mut Vec::new())
    }

    #[test]
    fn the_heap_of_kube_scheduler_worked_by_hand() {
        // All equal: nothing moves.
        assert_eq!(upstream(&[7, 7, 7, 7]), 0);
        // Children of the root are 1 and 2; the left one wins among equals.
        assert_eq!(upstream(&[1, 7, 7]), 1);
        // Place 3 is lifted to 1 first (7 > 1), then loses to nobody: 1 and 2 tie, left first.
        assert_eq!(upstream(&[1, 1, 7, 7]), 3);
        // Place 4 goes up to 1; the root swaps with 1.
        assert_eq!(upstream(&[0, 3, 5, 2, 9]), 4);
        assert_eq!(upstream(&[5]), 0);
    }

    #[test]
    fn lowest_index_is_by_number_not_by_visit() {
        let numbers = [8, 9, 1, 2];
        let winner = pick(
            Tie::LowestIndex,
            &[5, 5, 4, 5],
            |place| numbers[place],
            &mut Vec::new(),
        );
        assert_eq!(winner, 3);
    }
}
