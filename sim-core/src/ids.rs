//! Typed ids: dense, assigned in insertion order, printed as `job-17`.
//!
//! Ids of one kind never mix with another; ties everywhere break by them.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The id as an index into a dense table.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!(concat!($prefix, "-{}"), self.0))
            }
        }
    };
}

id!(
    /// A job, by the order of its submission: orders and prints, but does not index.
    JobId(u32), "job"
);
id!(
    /// A node, over all pools: pool 0's nodes first.
    NodeId(u32), "node"
);
id!(
    /// A pool of nodes of one model.
    PoolId(u8), "pool"
);
id!(
    /// A hold: capacity promised without a task on it.
    HoldId(u32), "hold"
);
id!(
    /// A distinct task request (GPUs, model, CPU, memory), interned.
    ShapeId(u32), "shape"
);
id!(
    /// A distinct unit shape: what a unit that waits needs to start (task shapes × counts × pools), interned.
    DemandId(u32), "demand"
);
id!(
    /// An interned, sorted list of attributes; `AttrId(0)` is the empty list.
    AttrId(u32), "attrs"
);
id!(
    /// Who pays; `TenantId(0)` is the default tenant.
    TenantId(u32), "tenant"
);
id!(
    /// A queue of jobs; `QueueId(0)` is the default queue.
    QueueId(u16), "queue"
);
id!(
    /// A controller of a platform, by its place in the platform's list.
    ControllerId(u8), "controller"
);
id!(
    /// A scheduler of a platform, by its place in the platform's list.
    SchedulerId(u8), "scheduler"
);
id!(
    /// A GPU model that something asked for or offers, by first mention (at most 64).
    GpuModelId(u8), "gpu-model"
);

/// A live job: an index into the table of live jobs, with the id that proves it is still the same.
///
/// Slots are reused once every component has had the news of a job's end; a stale reference is
/// recognised by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobRef {
    /// Index into the table of live jobs.
    pub slot: u32,
    /// The job's ordinal.
    pub id: JobId,
}

impl PartialOrd for JobRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for JobRef {
    /// By id: slots are an implementation detail and must not decide anything.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id).then(self.slot.cmp(&other.slot))
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// One incarnation of a task: (job, group, index) is its identity, `attempt` the incarnation.
///
/// A policy that keys by `TaskRef` treats a recreated pod as a stranger, as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    /// The job it belongs to.
    pub job: JobRef,
    /// Which task group of the job.
    pub group: u16,
    /// Which task of the group.
    pub index: u32,
    /// Which incarnation, from 0.
    pub attempt: u32,
}

impl fmt::Display for TaskRef {
    /// `job-3/0.1#2`: job 3, group 0, task 1, third attempt; the attempt is left out when it is the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.job.id, self.group, self.index)?;
        if self.attempt > 0 {
            write!(f, "#{}", self.attempt)?;
        }
        Ok(())
    }
}

/// A set of pools, as a bit mask (a supply has at most 64).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolSet(pub u64);

impl PoolSet {
    /// No pool.
    pub const EMPTY: Self = Self(0);
    /// Every pool.
    pub const ALL: Self = Self(u64::MAX);

    /// The set of one pool.
    #[must_use]
    pub const fn one(pool: PoolId) -> Self {
        Self(1 << pool.0)
    }

    /// Whether `pool` is in the set.
    #[must_use]
    pub const fn contains(self, pool: PoolId) -> bool {
        self.0 >> pool.0 & 1 == 1
    }

    /// The set with `pool` added.
    #[must_use]
    pub const fn with(self, pool: PoolId) -> Self {
        Self(self.0 | 1 << pool.0)
    }

    /// Pools in both sets.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Number of pools.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether the set has no pool.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The only pool of the set, if it has no other: the common case.
    pub(crate) const fn single(self) -> Option<PoolId> {
        if self.0 == 0 || self.0 & (self.0 - 1) != 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        Some(PoolId(self.0.trailing_zeros() as u8))
    }

    /// The pools in ascending order.
    pub fn iter(self) -> impl Iterator<Item = PoolId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "below 64")]
            let pool = PoolId(rest.trailing_zeros() as u8);
            rest &= rest - 1;
            Some(pool)
        })
    }
}

impl FromIterator<PoolId> for PoolSet {
    fn from_iter<I: IntoIterator<Item = PoolId>>(pools: I) -> Self {
        pools.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_they_are_typed() {
        assert_eq!(JobId(17).to_string(), "job-17");
        let job = JobRef {
            slot: 3,
            id: JobId(2),
        };
        assert_eq!(
            TaskRef {
                job,
                group: 0,
                index: 1,
                attempt: 0
            }
            .to_string(),
            "job-2/0.1"
        );
        assert_eq!(
            TaskRef {
                job,
                group: 0,
                index: 1,
                attempt: 2
            }
            .to_string(),
            "job-2/0.1#2"
        );
    }

    #[test]
    fn pool_sets_iterate_in_order() {
        let set: PoolSet = [PoolId(5), PoolId(0), PoolId(63)].into_iter().collect();
        assert_eq!(set.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(set.len(), 3);
        assert_eq!((set.single(), PoolSet::EMPTY.single()), (None, None));
        assert_eq!(PoolSet::EMPTY.with(PoolId(63)).single(), Some(PoolId(63)));
    }
}
