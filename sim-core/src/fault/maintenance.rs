//! Planned maintenance: a calendar of windows.

use std::ops::Range;

use super::{Fault, FaultKind, FaultModel, FaultStream, Site};
use crate::ids::PoolSet;
use crate::rng::Seed;
use crate::time::{SimDuration, SimTime};

/// Maintenance windows of some nodes, once or again and again.
///
/// From `lead` before a window the nodes take no new tasks (they drain); what still runs when it opens
/// is ended and loses what it had not saved; when it closes they take tasks again. Windows follow the
/// calendar whatever else happens to the nodes. A lead that would begin before the window before it has
/// closed is shortened; a window that would open before that is left out.
///
/// ```
/// use windtunnel_core::rng::Seed;
/// use windtunnel_core::{FaultModel, MaintenanceWindows, PoolId, SimDuration, SimTime, Site};
/// let nightly = MaintenanceWindows {
///     lead: SimDuration::from_hours(4),
///     ..MaintenanceWindows::once(SimTime::from_secs(22 * 3_600), SimDuration::from_hours(2))
/// };
/// let nightly = nightly.every(SimDuration::from_days(1));
/// let site = Site { pool: PoolId(0), ordinal: 0, gpus: 8 };
/// let mut windows = nightly.streams(Seed(1), site).remove(0);
/// let first = windows.next(SimTime::ZERO).unwrap();
/// assert_eq!((first.at, first.repair), (SimTime::from_secs(18 * 3_600), SimDuration::from_hours(6)));
/// let second = windows.next(first.at + first.repair).unwrap();
/// assert_eq!(second.at, SimTime::from_secs(42 * 3_600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceWindows {
    /// When the first window opens.
    pub start: SimTime,
    /// How long a window is open.
    pub length: SimDuration,
    /// From one opening to the next; `None`: there is one window.
    pub every: Option<SimDuration>,
    /// How long before it opens nodes begin to drain.
    pub lead: SimDuration,
    /// The pools it is for.
    pub pools: PoolSet,
    /// The nodes it is for, by their places in their pools.
    pub nodes: Range<u32>,
}

impl MaintenanceWindows {
    /// One window for every node, without a lead.
    #[must_use]
    pub const fn once(start: SimTime, length: SimDuration) -> Self {
        Self {
            start,
            length,
            every: None,
            lead: SimDuration::ZERO,
            pools: PoolSet::ALL,
            nodes: 0..u32::MAX,
        }
    }

    /// The same again and again.
    #[must_use]
    pub fn every(mut self, period: SimDuration) -> Self {
        self.every = Some(period);
        self
    }
}

/// Windows still to come.
#[derive(Clone, Debug)]
struct WindowStream {
    /// When the next window opens; `None`: no more.
    opens: Option<SimTime>,
    length: SimDuration,
    every: Option<SimDuration>,
    lead: SimDuration,
}

impl FaultStream for WindowStream {
    fn next(&mut self, from: SimTime) -> Option<Fault> {
        let mut opens = self.opens?;
        let period = self.every.filter(|every| !every.is_zero());
        if opens < from {
            let late = from.since(opens).as_nanos();
            let periods = late.div_ceil(period?.as_nanos());
            opens = opens.checked_add(period?.saturating_mul(periods))?;
        }
        self.opens = period.and_then(|every| opens.checked_add(every));
        let lead = self.lead.min(opens.since(from));
        Some(Fault {
            at: opens - lead,
            repair: lead.checked_add(self.length).unwrap_or(SimDuration::MAX),
            what: FaultKind::Drain { lead },
        })
    }

    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl FaultModel for MaintenanceWindows {
    fn streams(&self, _: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        if !self.pools.contains(site.pool) || !self.nodes.contains(&site.ordinal) {
            return Vec::new();
        }
        vec![Box::new(WindowStream {
            opens: Some(self.start),
            length: self.length,
            every: self.every,
            lead: self.lead,
        })]
    }

    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(self.clone())
    }
}
