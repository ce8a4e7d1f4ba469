//! Times by reason, where most reasons have none.

use smallvec::SmallVec;

use crate::reason::REASONS;

/// A time per reason \[ns\]; only those that are not zero take room. A job waits for a few of the many
/// reasons, and thousands of jobs wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByReason {
    /// Bit `i`: reason `i` has a value.
    mask: u32,
    /// The values of the reasons in `mask`, ascending.
    values: SmallVec<[u64; 3]>,
}

impl ByReason {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.mask = 0;
        self.values.clear();
    }

    /// Takes over the values of the reasons in `mask`, all others being zero.
    #[inline]
    pub(crate) fn copy(&mut self, all: &[u64; REASONS], mask: u32) {
        self.mask = mask;
        self.values.clear();
        self.values.extend(bits(mask).map(|at| all[at]));
    }

    #[cfg(test)]
    pub(crate) fn get(&self, at: usize) -> u64 {
        if self.mask >> at & 1 == 0 {
            return 0;
        }
        self.values[self.place(at)]
    }

    /// By how much each of the reasons in `mask` grew since they were as here; those that have a value
    /// here must be among them.
    #[inline]
    pub(crate) fn growth(
        &self,
        now: &[u64; REASONS],
        mask: u32,
    ) -> impl Iterator<Item = (usize, u64)> {
        debug_assert_eq!(self.mask & !mask, 0, "a reason is gone");
        let mut known = self.values.iter();
        bits(mask).map(move |at| {
            let is_known = self.mask >> at & 1 == 1;
            let before = if is_known { known.next() } else { None };
            (at, now[at] - before.copied().unwrap_or(0))
        })
    }

    #[inline]
    pub(crate) fn add(&mut self, at: usize, amount: u64) {
        let place = self.place(at);
        if self.mask >> at & 1 == 0 {
            self.mask |= 1 << at;
            self.values.insert(place, 0);
        }
        self.values[place] += amount;
    }

    #[inline]
    pub(crate) fn sum(&self) -> u64 {
        self.values.iter().sum()
    }

    /// Every reason's value.
    pub(crate) fn all(&self) -> [u64; REASONS] {
        let mut all = [0; REASONS];
        for (at, value) in bits(self.mask).zip(&self.values) {
            all[at] = *value;
        }
        all
    }

    fn place(&self, at: usize) -> usize {
        (self.mask & ((1 << at) - 1)).count_ones() as usize
    }
}

/// The bits that are set, ascending.
#[inline]
pub(crate) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros() as usize;
        let found = mask != 0;
        mask &= mask.wrapping_sub(1);
        found.then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_array_of_which_little_is_kept() {
        let mut sparse = ByReason::default();
        let mut plain = [0; REASONS];
        for (at, amount) in [(5, 7), (0, 1), (16, 4), (5, 3), (2, 0), (9, 8)] {
            sparse.add(at, amount);
            plain[at] += amount;
            assert_eq!(sparse.all(), plain);
            assert_eq!(sparse.sum(), plain.iter().sum::<u64>());
            assert!((0..REASONS).all(|at| sparse.get(at) == plain[at]));
            let mut later = plain;
            (later[1], later[5], later[16]) = (3, plain[5] + 1, plain[16] + 9);
            for (at, grown) in sparse.growth(&later, (1 << REASONS) - 1) {
                assert_eq!(grown, later[at] - plain[at], "reason {at}");
            }
        }
        sparse.copy(&plain, 0b10_0001);
        assert_eq!((sparse.get(5), sparse.get(0), sparse.get(16)), (10, 1, 0));
        sparse.clear();
        assert_eq!(sparse.all(), [0; REASONS]);
    }
}
