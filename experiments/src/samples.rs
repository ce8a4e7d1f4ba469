//! Fragmentation sampled at regular times while a run goes on.

use std::sync::Arc;

use windtunnel_core::{
    Fragmentation, FragmentationMeter, MigBlocked, SimDuration, SimTime, Simulation, SlotMeter,
    SlotsLeft, Targets,
};

/// Fragmentation at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When: after the instant at this time, if there was one.
    pub at: SimTime,
    /// What was free then, and in which shapes.
    pub fragmentation: Fragmentation,
    /// How many jobs of so many GPUs could be placed within a rack, say.
    pub slots: SlotsLeft,
    /// Slices of GPUs shared by MIG that no further instance can have.
    pub blocked: MigBlocked,
}

/// Takes a sample every so often, from 0 on.
///
/// A sample costs O(nodes) comparisons, and a measurement of each node that changed since the last
/// one, of nodes with GPUs shared by MIG a look at their tasks; nothing is paid per event.
pub(crate) struct Sampler {
    meter: FragmentationMeter,
    slots: SlotMeter,
    every: SimDuration,
    next: SimTime,
    samples: Vec<Sample>,
}

impl Sampler {
    /// Without targets F and stranded are undefined.
    pub(crate) fn new(every: SimDuration, targets: Option<Arc<Targets>>) -> Self {
        Self {
            meter: FragmentationMeter::new(targets.unwrap_or_default()),
            slots: SlotMeter::default(),
            every,
            next: SimTime::ZERO,
            samples: Vec::new(),
        }
    }

    /// Takes every sample that is due before an instant, which has not been taken yet.
    pub(crate) fn before(&mut self, instant: SimTime, simulation: &mut Simulation) {
        if self.next < instant {
            self.take(instant, simulation);
        }
    }

    /// Takes every sample that is due up to the end of the run.
    pub(crate) fn finish(mut self, simulation: &mut Simulation) -> Vec<Sample> {
        let end = simulation.now().saturating_add(SimDuration::from_nanos(1));
        self.before(end, simulation);
        self.samples
    }

    fn take(&mut self, before: SimTime, simulation: &mut Simulation) {
        self.meter.refresh(&simulation.view());
        let fragmentation = *self.meter.now();
        self.slots.refresh(&simulation.view());
        let slots = *self.slots.now();
        let blocked = MigBlocked::of(&simulation.view());
        while self.next < before {
            let at = self.next;
            self.samples.push(Sample {
                at,
                fragmentation,
                slots,
                blocked,
            });
            self.next = at.saturating_add(self.every);
        }
    }
}
