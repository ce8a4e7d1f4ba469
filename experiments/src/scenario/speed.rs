//! Which speed model a platform runs with, as a scenario file names it.

use std::sync::Arc;

use windtunnel_core::{ReferenceSpeed, SpeedModel, TopologySpeed};

use super::text::Words;

/// The speed model of a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpeedWord {
    /// `reference`: jobs run as fast everywhere.
    #[default]
    Reference,
    /// `topology`: by links, GPU models, neighbours and phases.
    Topology,
}

/// The words of scenario files.
pub(crate) const SPEED: Words<SpeedWord> = &[
    ("reference", SpeedWord::Reference),
    ("topology", SpeedWord::Topology),
];

impl SpeedWord {
    /// The model itself.
    #[must_use]
    pub fn model(self) -> Arc<dyn SpeedModel> {
        match self {
            Self::Reference => Arc::new(ReferenceSpeed),
            Self::Topology => Arc::new(TopologySpeed::default()),
        }
    }
}
