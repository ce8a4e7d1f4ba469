//! The hierarchical bit set against a sorted set.

use std::collections::BTreeSet;

use proptest::prelude::*;
use windtunnel_core::bitset::BitSet;

/// A length, and members below it: dense, sparse, or in a few clusters.
fn numbers() -> impl Strategy<Value = (u32, Vec<u32>, Vec<u32>)> {
    let len = prop_oneof![1..200_u32, 4_000..4_200_u32, 262_000..300_000_u32];
    len.prop_flat_map(|len| {
        let clustered =
            (0..4_u32, 0..150_u32).prop_map(move |(part, n)| (part * (len / 4) + n) % len);
        let number = prop_oneof![0..len, clustered];
        let members = prop::collection::vec(number, 0..300);
        (Just(len), members.clone(), members)
    })
}

fn both(len: u32, members: &[u32]) -> (BitSet, BTreeSet<u32>) {
    let mut set = BitSet::new(len);
    let mut model = BTreeSet::new();
    for &index in members {
        assert_eq!(set.insert(index), model.insert(index));
    }
    (set, model)
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_set((len, added, removed) in numbers(), froms in prop::collection::vec(0..300_000_u32, 20)) {
        let (mut set, mut model) = both(len, &added);
        for index in removed.into_iter().chain(added.into_iter().step_by(2)) {
            prop_assert_eq!(set.remove(index), model.remove(&index));
            prop_assert!(!set.contains(index));
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(set.next_at_or_after(index), model.range(index..).next().copied());
        }
        for from in froms {
            prop_assert_eq!(set.contains(from), model.contains(&from));
            prop_assert_eq!(set.next_at_or_after(from), model.range(from..).next().copied());
        }
        prop_assert_eq!(set.count() as usize, model.len());
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert!(set.iter().eq(model.iter().copied()));
    }

    #[test]
    fn both_is_the_intersection((len, ours, theirs) in numbers(), from in 0..300_000_u32) {
        let (ours, our_model) = both(len, &ours);
        let (theirs, their_model) = both(len, &theirs);
        let common: Vec<u32> = our_model.intersection(&their_model).copied().collect();
        prop_assert_eq!(ours.next_and(&theirs, from), common.iter().find(|n| **n >= from).copied());
        prop_assert!(theirs.iter_and(&ours).eq(common));
    }

    /// What was removed leaves no trace: equal members, equal sets.
    #[test]
    fn a_set_is_its_members((len, kept, passing) in numbers()) {
        let (expected, model) = both(len, &kept);
        let (mut set, _) = both(len, &[kept, passing].concat());
        for index in set.clone().iter().filter(|index| !model.contains(index)) {
            set.remove(index);
        }
        prop_assert_eq!(&set, &expected);
        set.clear();
        prop_assert_eq!(set, BitSet::new(len));
    }
}
