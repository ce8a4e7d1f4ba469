//! Why work waits: a closed list, so that every output knows its columns before the first row.

/// Why a job waits. Closed on purpose; free text belongs to [`Policy::explain`](crate::Policy::explain).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// It needs more GPUs than are free in all.
    Insufficient = 0,
    /// Enough is free in sum, but not in shape.
    Fragmented = 1,
    /// It would fit but for CPU or memory.
    Stranded = 2,
    /// It could start and nobody says why it does not: decision and binding latency.
    Latency = 3,
    /// It waits behind a job that does not fit.
    HeadOfLine = 4,
    /// Others of higher priority come first.
    Priority = 5,
    /// Its tenant's quota or limit is used up.
    Quota = 6,
    /// It sits out a backoff or a requeue delay.
    Backoff = 7,
    /// It waits for the rest of its gang.
    Gang = 8,
    /// Capacity is reserved for others or not yet begun.
    Reservation = 9,
    /// It waits for victims of preemption to leave.
    Preemption = 10,
    /// Capacity was ordered and is not there yet.
    Provisioning = 11,
    /// A controller's gate.
    Gate = 12,
    /// The user's own hold, dependency or begin time; no demand.
    User = 13,
    /// It is suspended in favour of others.
    Suspended = 14,
    /// It is larger than the supply; no demand.
    NeverFits = 15,
    /// Something else; `explain` may say what.
    Other = 16,
    /// Nothing to add: the engine's own probe says whether it is insufficient, fragmented or
    /// stranded, or latency if it could start. Never in an output.
    DoesNotFit = 17,
}

/// Number of reasons that appear in outputs.
pub const REASONS: usize = 17;

/// What a reason means to an autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// No node serves it: more capacity might.
    Unschedulable,
    /// It waits for something that capacity does not change.
    Withheld,
}

impl Reason {
    /// Every reason that appears in outputs, in the order of columns.
    pub const ALL: [Self; REASONS] = [
        Self::Insufficient,
        Self::Fragmented,
        Self::Stranded,
        Self::Latency,
        Self::HeadOfLine,
        Self::Priority,
        Self::Quota,
        Self::Backoff,
        Self::Gang,
        Self::Reservation,
        Self::Preemption,
        Self::Provisioning,
        Self::Gate,
        Self::User,
        Self::Suspended,
        Self::NeverFits,
        Self::Other,
    ];

    /// Name in files and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Fragmented => "fragmented",
            Self::Stranded => "stranded",
            Self::Latency => "latency",
            Self::HeadOfLine => "head_of_line",
            Self::Priority => "priority",
            Self::Quota => "quota",
            Self::Backoff => "backoff",
            Self::Gang => "gang",
            Self::Reservation => "reservation",
            Self::Preemption => "preemption",
            Self::Provisioning => "provisioning",
            Self::Gate => "gate",
            Self::User => "user",
            Self::Suspended => "suspended",
            Self::NeverFits => "never_fits",
            Self::Other => "other",
            Self::DoesNotFit => "does_not_fit",
        }
    }

    /// What it means to an autoscaler.
    #[must_use]
    pub const fn class(self) -> ReasonClass {
        match self {
            Self::DoesNotFit | Self::Insufficient | Self::Fragmented | Self::Stranded => {
                ReasonClass::Unschedulable
            }
            _ => ReasonClass::Withheld,
        }
    }

    /// Index among [`Reason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_complete_and_in_order() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), place);
        }
        assert_eq!(Reason::DoesNotFit.index(), REASONS);
    }
}
