//! The reference speed: no matter where, and beside whom only where GPUs are shared.

use super::co_located::shares_on;
use super::{
    Limits, Neighbours, NodeLimits, NodePart, Placement, Shares, Slices, Speed, SpeedByNode,
    SpeedModel, shares,
};
use crate::job::{Checkpoint, JobProfile};
use crate::time::SimDuration;
use crate::units::{PPM, Ppm, RATE_ONE};

/// The reference speed: rate one (elastic jobs: × running ÷ nominal count), slowed by checkpoint
/// overhead and by the slowest node, for which all others wait; slices only underused (1 − duty),
/// checkpoint overhead and, on stragglers, stalled. Where a pool time-slices its GPUs or shares them
/// by MPS or MIG, by that, too ([`shares`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceSpeed;

impl SpeedModel for ReferenceSpeed {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        _done: SimDuration,
    ) -> Speed {
        Self::answer(profile, on, on.slowest(), shares(profile, on, beside))
    }

    fn by_node(&self) -> Option<&dyn SpeedByNode> {
        Some(self)
    }
}

impl SpeedByNode for ReferenceSpeed {
    fn limits(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        part: &NodePart,
    ) -> NodeLimits {
        NodeLimits {
            compute: on.health(part.node).slow,
            shares: shares_on(profile, on, beside, part.node),
            ..NodeLimits::NONE
        }
    }

    fn speed_within(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        limits: &Limits<'_>,
        _done: SimDuration,
    ) -> Speed {
        Self::answer(profile, on, limits.worst.compute, limits.worst.shares)
    }
}

impl ReferenceSpeed {
    #[inline]
    fn answer(profile: &JobProfile, on: &Placement<'_>, slowest: Ppm, shares: Shares) -> Speed {
        let mut rate = RATE_ONE;
        if on.running != on.nominal && on.nominal > 0 {
            rate = scaled(rate, u64::from(on.running), u64::from(on.nominal));
        }
        rate = checkpointed(rate, profile.checkpoint);
        if slowest != Ppm::ONE {
            rate = scaled(rate, slowest.0.into(), PPM.into());
        }
        let duty = match &profile.behaviour {
            // What it would do alone is what it uses of a GPU that others use, too.
            Some(behaviour) if profile.duty == Ppm::ONE && on.shares_gpus() => {
                behaviour.compute_use
            }
            _ => profile.duty,
        };
        if shares != Shares::ALL {
            for part in [shares.beside, shares.instance] {
                rate = scaled(rate, u64::from(part.0), u64::from(PPM));
            }
        } else if slowest == Ppm::ONE && duty == Ppm::ONE && profile.checkpoint.is_none() {
            return Speed {
                rate,
                slices: Slices::USEFUL,
                until: None,
            };
        }
        let slices = Slices::from_factors(slowest, shares.beside, duty, profile.checkpoint);
        Speed {
            rate,
            slices,
            until: None,
        }
    }
}

/// A rate less what saves cost: × T ÷ (T + c).
pub(super) fn checkpointed(rate: u64, checkpoint: Option<Checkpoint>) -> u64 {
    match checkpoint {
        Some(Checkpoint { interval, cost }) if !cost.is_zero() => scaled(
            rate,
            interval.as_nanos(),
            interval.as_nanos() + cost.as_nanos(),
        ),
        _ => rate,
    }
}

/// `rate × part ÷ whole`, rounded down, at least one.
#[expect(clippy::cast_possible_truncation, reason = "saturated")]
pub(super) fn scaled(rate: u64, part: u64, whole: u64) -> u64 {
    let value = u128::from(rate) * u128::from(part) / u128::from(whole);
    value.clamp(1, u128::from(u64::MAX)) as u64
}
