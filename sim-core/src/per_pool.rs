//! Small sums kept per pool.

use std::ops::AddAssign;

use crate::ids::PoolId;

/// An amount per pool; the first one is held inline, as nearly always there is no other.
#[derive(Clone, Debug)]
pub(crate) struct PerPool<V> {
    first: Option<(PoolId, V)>,
    more: Vec<(PoolId, V)>,
}

impl<V> Default for PerPool<V> {
    fn default() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }
}

impl<V: AddAssign + Copy> PerPool<V> {
    #[inline]
    pub(crate) fn add(&mut self, pool: PoolId, amount: V) {
        match &mut self.first {
            None => self.first = Some((pool, amount)),
            Some((known, sum)) if *known == pool => *sum += amount,
            Some(_) => self.add_further(pool, amount),
        }
    }

    #[cold]
    fn add_further(&mut self, pool: PoolId, amount: V) {
        match self.more.iter_mut().find(|(known, _)| *known == pool) {
            Some((_, sum)) => *sum += amount,
            None => self.more.push((pool, amount)),
        }
    }

    /// Pools and their sums, in the order in which they came.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PoolId, V)> {
        self.first.iter().chain(&self.more).copied()
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.more.clear();
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
