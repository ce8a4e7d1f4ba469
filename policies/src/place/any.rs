//! A placer chosen by name.

use windtunnel_core::{Fit, JobView, Plan, View};

use super::{BestFit, FirstFit, Placer, RandomFit, WorstFit};

/// One of the placers, for where a parameter says which.
#[derive(Clone, Copy, Debug)]
pub enum AnyPlacer {
    /// [`FirstFit`].
    First(FirstFit),
    /// [`BestFit`].
    Best(BestFit),
    /// [`WorstFit`].
    Worst(WorstFit),
    /// [`RandomFit`].
    Random(RandomFit),
}

impl Placer for AnyPlacer {
    fn name(&self) -> &'static str {
        match self {
            Self::First(placer) => placer.name(),
            Self::Best(placer) => placer.name(),
            Self::Worst(placer) => placer.name(),
            Self::Random(placer) => placer.name(),
        }
    }

    fn begin(&mut self, view: &View<'_>) {
        if let Self::Random(placer) = self {
            placer.begin(view);
        }
    }

    fn may_fit(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> bool {
        match self {
            Self::First(placer) => placer.may_fit(job, plan),
            Self::Best(placer) => placer.may_fit(job, plan),
            Self::Worst(placer) => placer.may_fit(job, plan),
            Self::Random(placer) => placer.may_fit(job, plan),
        }
    }

    fn place(&self, job: JobView<'_>, plan: &mut Plan<'_>) -> Fit {
        match self {
            Self::First(placer) => placer.place(job, plan),
            Self::Best(placer) => placer.place(job, plan),
            Self::Worst(placer) => placer.place(job, plan),
            Self::Random(placer) => placer.place(job, plan),
        }
    }
}
