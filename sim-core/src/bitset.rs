//! Sets of small numbers, in which the next member is found without looking at those in between.
//!
//! Free capacity is kept in such sets, one per kind of node: "the first node at or after this one that
//! is free enough" is a question of a few words, not of a scan over the cluster.

/// A hierarchical set of the numbers below a fixed length.
///
/// The lowest level has one bit per number. Each bit of a higher level says whether a word of 64 bits in
/// the level below has any bit set; the highest level is one word. Three levels hold 262,144 numbers.
///
/// # Complexity
/// In L levels (⌈log₆₄ length⌉, at least 1): `insert`, `remove`, `first` and `next_at_or_after` take O(L),
/// `contains`, `count` and `is_empty` constant time. Memory is 65/64 bits per number.
///
/// # Examples
/// ```
/// use windtunnel_core::bitset::BitSet;
///
/// let mut free = BitSet::new(100_000);
/// for node in [7, 4_242, 99_999] {
///     free.insert(node);
/// }
/// assert_eq!(free.next_at_or_after(8), Some(4_242));
/// assert_eq!(free.iter().collect::<Vec<_>>(), [7, 4_242, 99_999]);
///
/// let mut fast = BitSet::new(100_000);
/// fast.insert(99_999);
/// assert_eq!(free.next_and(&fast, 0), Some(99_999));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitSet {
    /// Words of each level, lowest first; the highest has one word.
    levels: Vec<Vec<u64>>,
    len: u32,
    count: u32,
}

impl BitSet {
    /// Returns the empty set of numbers below `len`.
    #[must_use]
    pub fn new(len: u32) -> Self {
        let mut levels = Vec::new();
        let mut words = len;
        loop {
            words = words.div_ceil(64).max(1);
            levels.push(vec![0; words as usize]);
            if words == 1 {
                return Self {
                    levels,
                    len,
                    count: 0,
                };
            }
        }
    }

    /// Adds a number; returns whether it is new.
    ///
    /// # Panics
    /// If `index` is not below the length.
    pub fn insert(&mut self, index: u32) -> bool {
        assert!(index < self.len, "{index} in a set below {}", self.len);
        if self.contains(index) {
            return false;
        }
        self.count += 1;
        let mut at = index;
        for level in &mut self.levels {
            let word = &mut level[(at / 64) as usize];
            let had_any = *word != 0;
            *word |= 1 << (at % 64);
            if had_any {
                break;
            }
            at /= 64;
        }
        true
    }

    /// Takes a number out; returns whether it was there.
    ///
    /// # Panics
    /// If `index` is not below the length.
    pub fn remove(&mut self, index: u32) -> bool {
        assert!(index < self.len, "{index} in a set below {}", self.len);
        if !self.contains(index) {
            return false;
        }
        self.count -= 1;
        let mut at = index;
        for level in &mut self.levels {
            let word = &mut level[(at / 64) as usize];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                break;
            }
            at /= 64;
        }
        true
    }

    /// Returns whether a number is in the set; one that is not below the length never is.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.levels[0]
            .get((index / 64) as usize)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Returns the least member.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.next_at_or_after(0)
    }

    /// Returns the least member that is not below `from`.
    ///
    /// ```
    /// use windtunnel_core::bitset::BitSet;
    /// let mut set = BitSet::new(10);
    /// set.insert(3);
    /// assert_eq!(set.next_at_or_after(3), Some(3));
    /// assert_eq!(set.next_at_or_after(4), None);
    /// ```
    #[must_use]
    pub fn next_at_or_after(&self, from: u32) -> Option<u32> {
        self.search(from, |level, word| self.levels[level][word])
    }

    /// Returns the least number not below `from` that is in both sets.
    ///
    /// Skips whatever is empty in either set. In the worst case (both sets have members in the same words
    /// but share none) it looks at one word in 64 numbers.
    ///
    /// # Panics
    /// If the sets differ in length.
    #[must_use]
    pub fn next_and(&self, other: &Self, from: u32) -> Option<u32> {
        assert_eq!(self.len, other.len, "sets of different lengths");
        self.search(from, |level, word| {
            self.levels[level][word] & other.levels[level][word]
        })
    }

    /// Returns the number of members.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes out all members. Linear in the length, unless the set is empty.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.levels.iter_mut().for_each(|level| level.fill(0));
            self.count = 0;
        }
    }

    /// Returns the members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        ascending(|from| self.next_at_or_after(from))
    }

    /// Returns the numbers that are in both sets, in ascending order.
    ///
    /// # Panics
    /// If the sets differ in length.
    ///
    /// ```
    /// use windtunnel_core::bitset::BitSet;
    /// let (mut even, mut small) = (BitSet::new(10), BitSet::new(10));
    /// for n in 0..5 {
    ///     even.insert(2 * n);
    ///     small.insert(n);
    /// }
    /// assert_eq!(even.iter_and(&small).collect::<Vec<_>>(), [0, 2, 4]);
    /// ```
    pub fn iter_and(&self, other: &Self) -> impl Iterator<Item = u32> {
        ascending(|from| self.next_and(other, from))
    }

    /// Finds the first bit set at or after `from`, where `words` gives the words of each level.
    ///
    /// Walks up while there is nothing to the right, and down again to the first bit found. A bit of a
    /// higher level may promise too much (both words below have a bit, but not the same); then it walks
    /// up again.
    #[inline]
    fn search(&self, from: u32, words: impl Fn(usize, usize) -> u64) -> Option<u32> {
        let mut level = 0;
        let mut at = from;
        loop {
            let word = at / 64;
            if word as usize >= self.levels[level].len() {
                return None;
            }
            let rest = words(level, word as usize) & (u64::MAX << (at % 64));
            if rest != 0 {
                at = word * 64 + rest.trailing_zeros();
                if level == 0 {
                    return Some(at);
                }
                level -= 1;
                at *= 64;
            } else {
                level += 1;
                at = word + 1;
                if level == self.levels.len() {
                    return None;
                }
            }
        }
    }
}

/// Iterates by asking for the next number at or after the one behind the last.
fn ascending(next: impl Fn(u32) -> Option<u32>) -> impl Iterator<Item = u32> {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let found = next(from?);
        from = found.and_then(|index| index.checked_add(1));
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(len: u32, members: impl IntoIterator<Item = u32>) -> BitSet {
        let mut set = BitSet::new(len);
        for index in members {
            set.insert(index);
        }
        set
    }

    #[test]
    fn the_number_of_levels_follows_from_the_length() {
        let lengths = [
            (0, 1),
            (1, 1),
            (64, 1),
            (65, 2),
            (4_096, 2),
            (4_097, 3),
            (262_144, 3),
            (262_145, 4),
        ];
        for (len, levels) in lengths {
            assert_eq!(BitSet::new(len).levels.len(), levels, "{len}");
        }
    }

    #[test]
    fn members_at_the_edges_of_words_are_found() {
        let edges = [0, 63, 64, 4_095, 4_096, 262_143, 262_144, 299_999];
        let set = set(300_000, edges);
        assert_eq!(set.iter().collect::<Vec<_>>(), edges);
        for pair in edges.windows(2) {
            assert_eq!(set.next_at_or_after(pair[0] + 1), Some(pair[1]));
        }
        assert_eq!(set.next_at_or_after(300_000), None);
        assert_eq!(set.next_at_or_after(u32::MAX), None);
    }

    #[test]
    fn an_empty_set_has_nothing() {
        for len in [0, 1, 64, 100_000] {
            let set = BitSet::new(len);
            assert!(set.is_empty());
            assert_eq!(set.first(), None);
            assert_eq!(set.iter().count(), 0);
            assert!(!set.contains(len));
        }
    }

    #[test]
    fn adding_and_removing_twice_changes_nothing() {
        let mut set = BitSet::new(200);
        assert!(set.insert(150));
        assert!(!set.insert(150));
        assert_eq!(set.count(), 1);
        assert!(set.remove(150));
        assert!(!set.remove(150));
        assert_eq!(set, BitSet::new(200));
    }

    #[test]
    fn clearing_makes_it_new() {
        let mut set = set(5_000, (0..5_000).step_by(3));
        set.clear();
        assert_eq!(set, BitSet::new(5_000));
    }

    #[test]
    fn sets_without_a_common_member_have_no_next() {
        let even = set(100_000, (0..100_000).step_by(2));
        let odd = set(100_000, (1..100_000).step_by(2));
        assert_eq!(even.next_and(&odd, 0), None);
        assert_eq!(even.iter_and(&even).count(), 50_000);
    }

    #[test]
    #[should_panic(expected = "10 in a set below 10")]
    fn a_number_not_below_the_length_is_a_bug() {
        BitSet::new(10).insert(10);
    }

    #[test]
    #[should_panic(expected = "sets of different lengths")]
    fn sets_of_different_lengths_do_not_meet() {
        let _ = BitSet::new(10).next_and(&BitSet::new(11), 0);
    }
}
