//! The buckets, in the order in which ties are broken and outputs are written.

/// Where a paid GPU-nanosecond can go. Exactly one bucket takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Bucket {
    /// Paid, node not yet usable: boot, driver, image.
    Provisioning = 0,
    /// Failed, from the true failure on, noticed or not; in repair; cordoned and free.
    Down = 1,
    /// Free, and nothing pending could use it.
    IdleNoDemand = 2,
    /// Free, but the pending work it could serve needs more GPUs than are free in all.
    IdleInsufficient = 3,
    /// Free, enough in sum but not in shape.
    IdleFragmented = 4,
    /// Free, but another resource of the node is exhausted.
    IdleStranded = 5,
    /// Free, kept by a hold or a reserved task, or work could start and the policy does not let it.
    IdleHeld = 6,
    /// Starting and ending: image pull, init, restore, grace.
    AllocatedStartup = 7,
    /// Bound, but its unit does not advance.
    AllocatedWaiting = 8,
    /// Granted beyond the request.
    AllocatedRounding = 9,
    /// Waiting on slow links and far cores, against the best placement of that size.
    AllocatedStalled = 10,
    /// Lost to co-located jobs.
    AllocatedInterference = 11,
    /// The job's own duty cycle below one.
    AllocatedUnderused = 12,
    /// Progress thrown away, and checkpoint overhead.
    AllocatedLost = 13,
    /// What remains: goodput.
    AllocatedUseful = 14,
}

/// Number of buckets.
pub const BUCKETS: usize = 15;

impl Bucket {
    /// All buckets, in order.
    pub const ALL: [Self; BUCKETS] = [
        Self::Provisioning,
        Self::Down,
        Self::IdleNoDemand,
        Self::IdleInsufficient,
        Self::IdleFragmented,
        Self::IdleStranded,
        Self::IdleHeld,
        Self::AllocatedStartup,
        Self::AllocatedWaiting,
        Self::AllocatedRounding,
        Self::AllocatedStalled,
        Self::AllocatedInterference,
        Self::AllocatedUnderused,
        Self::AllocatedLost,
        Self::AllocatedUseful,
    ];

    /// Name in files and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Down => "down",
            Self::IdleNoDemand => "idle.no_demand",
            Self::IdleInsufficient => "idle.insufficient",
            Self::IdleFragmented => "idle.fragmented",
            Self::IdleStranded => "idle.stranded",
            Self::IdleHeld => "idle.held",
            Self::AllocatedStartup => "allocated.startup",
            Self::AllocatedWaiting => "allocated.waiting",
            Self::AllocatedRounding => "allocated.rounding",
            Self::AllocatedStalled => "allocated.stalled",
            Self::AllocatedInterference => "allocated.interference",
            Self::AllocatedUnderused => "allocated.underused",
            Self::AllocatedLost => "allocated.lost",
            Self::AllocatedUseful => "allocated.useful",
        }
    }

    /// Index among [`Bucket::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the GPU is assigned to a task.
    #[must_use]
    pub const fn is_allocated(self) -> bool {
        self as u8 >= Self::AllocatedStartup as u8
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_complete_and_in_order() {
        for (place, bucket) in Bucket::ALL.into_iter().enumerate() {
            assert_eq!(bucket.index(), place);
            assert_eq!(
                bucket.is_allocated(),
                bucket.name().starts_with("allocated.")
            );
        }
    }
}
