//! Sums by group, in which the first group that is large enough is found without looking at all.

use super::levels::Pick;

/// A list of sums with the largest of each half, quarter and so on above it.
///
/// Setting and finding the first take O(log groups); finding the tightest takes O(groups).
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// A binary heap of maxima: entry 1 is the largest of all, and entry `leaves + g` the sum of group
    /// `g`; those of groups that do not exist are zero.
    most: Vec<u64>,
    leaves: usize,
}

impl Sums {
    pub(super) fn new(groups: u32) -> Self {
        let leaves = (groups as usize).next_power_of_two();
        Self {
            most: vec![0; 2 * leaves],
            leaves,
        }
    }

    /// The sum of a group.
    pub(super) fn of(&self, group: u32) -> u64 {
        self.most[self.leaves + group as usize]
    }

    /// The largest sum.
    pub(super) fn largest(&self) -> u64 {
        self.most[1]
    }

    /// The sums of all groups, and zeros.
    pub(super) fn list(&self) -> &[u64] {
        &self.most[self.leaves..]
    }

    /// Replaces so much of a sum by so much.
    pub(super) fn replace(&mut self, group: u32, less: u64, more: u64) {
        let mut at = self.leaves + group as usize;
        let mut value = self.most[at] - less + more;
        self.most[at] = value;
        while at > 1 {
            value = value.max(self.most[at ^ 1]);
            at /= 2;
            if std::mem::replace(&mut self.most[at], value) == value {
                break;
            }
        }
    }

    /// The next group with at least `least`, which must not be zero, behind one that was found before,
    /// and its sum.
    pub(super) fn next(
        &self,
        pick: Pick,
        least: u64,
        after: Option<(u64, u32)>,
    ) -> Option<(u64, u32)> {
        if self.largest() < least {
            return None;
        }
        match pick {
            Pick::First => self.first(least, after.map_or(0, |(_, group)| group as usize + 1)),
            Pick::Tightest => {
                let sums = self.list().iter().copied().zip(0..);
                sums.filter(|found| found.0 >= least && after.is_none_or(|after| *found > after))
                    .min()
            }
        }
    }

    /// The first group at or after `from` with at least `least`.
    fn first(&self, least: u64, from: usize) -> Option<(u64, u32)> {
        let mut at = self.leaves + from;
        if from >= self.leaves {
            return None;
        }
        // Up until a subtree to the right has one, then down to its first.
        while self.most[at] < least {
            while at % 2 == 1 {
                at /= 2;
            }
            if at == 0 {
                return None;
            }
            at += 1;
        }
        while at < self.leaves {
            at *= 2;
            at += usize::from(self.most[at] < least);
        }
        let group = u32::try_from(at - self.leaves).ok()?;
        Some((self.most[at], group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain list, over lengths around powers of two.
    #[test]
    fn sums_find_what_a_scan_finds() {
        for len in [1_u32, 2, 3, 7, 8, 9, 100] {
            let mut sums = Sums::new(len);
            let mut list = vec![0_u64; len as usize];
            let mut state = u64::from(len) | 1 << 32;
            for _ in 0..300 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let group = u32::try_from(state >> 40).unwrap() % len;
                let value = state >> 20 & 15;
                sums.replace(group, list[group as usize], value);
                list[group as usize] = value;
                assert_eq!(sums.largest(), list.iter().copied().max().unwrap());
                for least in [1, 5, 15] {
                    let all = || list.iter().copied().zip(0_u32..);
                    let mut first: Vec<_> = all().filter(|found| found.0 >= least).collect();
                    assert_eq!(
                        walk(&sums, Pick::First, least),
                        first,
                        "{least} of {list:?}"
                    );
                    first.sort_unstable();
                    assert_eq!(walk(&sums, Pick::Tightest, least), first);
                }
            }
        }
    }

    fn walk(sums: &Sums, pick: Pick, least: u64) -> Vec<(u64, u32)> {
        let mut last = None;
        std::iter::from_fn(|| {
            last = sums.next(pick, least, last);
            last
        })
        .collect()
    }
}
