//! What happens first when several things happen at once.

use crate::time::SimTime;

/// The order of events at one instant. All of them are applied before anybody decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Work done, startups, binds and grace periods over.
    Completions = 0,
    /// Nodes fail, failures are noticed.
    Failures = 1,
    /// Nodes are repaired or become ready.
    Repairs = 2,
    /// Jobs are submitted.
    Submissions = 3,
    /// Wake-ups, gates, starts and ends of holds.
    Timers = 4,
}

/// The total order of events: earlier time, then phase, then insertion. No two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// When.
    pub time: SimTime,
    /// Which phase of the instant.
    pub phase: Phase,
    /// Insertion order.
    pub seq: u64,
}
