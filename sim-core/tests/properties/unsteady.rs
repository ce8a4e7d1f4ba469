//! A speed model that answers anything legal: rates and slices that change with progress, neighbours
//! and by themselves.

use windtunnel_core::hash::finalize;
use windtunnel_core::units::PPM;
use windtunnel_core::{
    JobProfile, Neighbours, Placement, Ppm, SimDuration, Slices, Speed, SpeedModel, Until, Work,
};

/// Never the same for long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsteady {
    pub(crate) seed: u64,
    /// Nanoseconds in a tick.
    pub(crate) tick: u64,
}

impl SpeedModel for Unsteady {
    fn speed(
        &self,
        profile: &JobProfile,
        on: &Placement<'_>,
        beside: &Neighbours<'_>,
        done: SimDuration,
    ) -> Speed {
        let parts = on.parts();
        let crowd = parts.iter().map(|part| {
            let sharers = part
                .devices
                .iter()
                .map(|gpu| beside.on(part.node, gpu).count());
            sharers.sum::<usize>() as u64 + u64::from(beside.across(part.node))
        });
        let mut state = self.seed ^ done.as_nanos() ^ crowd.sum::<u64>() << 40;
        let mut dice = |sides: u64| {
            state = finalize(state.wrapping_add(0x9E37_79B9_7F4A_7C15));
            u32::try_from(state % sides).unwrap()
        };
        let part = |of: u32| Ppm(if of > PPM { PPM } else { of });
        let more = u64::from(PPM) + u64::from(PPM) / 2;
        let slices = Slices::from_factors(
            part(dice(more)),
            part(dice(more)),
            part(dice(more)),
            profile.checkpoint,
        );
        let ticks = SimDuration::from_nanos(self.tick * u64::from(1 + dice(9)));
        // What never ends would be asked for ever.
        let endless = profile.work == Work::Endless;
        let until = match dice(3) {
            0 if !endless => Some(Until::After(ticks)),
            1 if !endless => Some(Until::Progress(done + ticks)),
            _ => None,
        };
        // It never stands still, nor crawls: the answer to the same question is the same for ever.
        let rate = 200_000_000 + u64::from(dice(2_000_000_000));
        Speed {
            rate,
            slices,
            until,
        }
    }

    fn minds_neighbours(&self) -> bool {
        true
    }
}
