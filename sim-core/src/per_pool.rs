//! Small sums kept per pool.

use std::ops::AddAssign;

use crate::ids::PoolId;

/// An amount per pool; the first one is held inline, as nearly always there is no other.
///
/// Every live job has three of these, so they are kept small.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerPool<V> {
    pool: Option<PoolId>,
    sum: V,
    #[expect(clippy::box_collection, reason = "a word instead of three")]
    more: Option<Box<Vec<(PoolId, V)>>>,
}

impl<V: AddAssign + Copy + Default> PerPool<V> {
    #[inline]
    pub(crate) fn add(&mut self, pool: PoolId, amount: V) {
        if self.pool == Some(pool) {
            self.sum += amount;
        } else if self.pool.is_none() {
            (self.pool, self.sum) = (Some(pool), amount);
        } else {
            self.add_further(pool, amount);
        }
    }

    #[cold]
    fn add_further(&mut self, pool: PoolId, amount: V) {
        let more = self.more.get_or_insert_default();
        match more.iter_mut().find(|(known, _)| *known == pool) {
            Some((_, sum)) => *sum += amount,
            None => more.push((pool, amount)),
        }
    }

    /// Pools and their sums, in the order in which they came.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PoolId, V)> {
        let first = self.pool.map(|pool| (pool, self.sum));
        let more = self.more.iter().flat_map(|more| more.iter().copied());
        first.into_iter().chain(more)
    }

    /// Does something with every pool and its sum, in the order in which they came.
    #[inline]
    pub(crate) fn each(&self, mut act: impl FnMut(PoolId, V)) {
        let Some(pool) = self.pool else { return };
        act(pool, self.sum);
        if let Some(more) = &self.more {
            for (pool, amount) in more.iter() {
                act(*pool, *amount);
            }
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.pool = None;
        self.more = None;
    }
}

impl PerPool<u64> {
    /// Takes some of what was added away again.
    ///
    /// # Panics
    /// If there is less.
    pub(crate) fn lower(&mut self, pool: PoolId, amount: u64) {
        let mut more = self.more.iter_mut().flat_map(|more| more.iter_mut());
        let sum = if self.pool == Some(pool) {
            Some(&mut self.sum)
        } else {
            more.find(|(known, _)| *known == pool).map(|(_, sum)| sum)
        };
        let left = sum.and_then(|sum| {
            *sum = sum.checked_sub(amount)?;
            Some(())
        });
        left.expect("taken away what was never added");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_kept_apart_by_pool() {
        let mut sums = PerPool::default();
        for (pool, amount) in [(3, 1_u64), (1, 10), (3, 2), (1, 20), (0, 5)] {
            sums.add(PoolId(pool), amount);
        }
        let all: Vec<_> = sums.iter().map(|(pool, sum)| (pool.0, sum)).collect();
        assert_eq!(all, [(3, 3), (1, 30), (0, 5)]);
        sums.clear();
        assert_eq!(sums.iter().count(), 0);
    }
}
