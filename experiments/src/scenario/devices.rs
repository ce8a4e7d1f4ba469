//! Who chooses devices inside a node, as a scenario file names it.

use windtunnel_core::{
    Alignment, Arbitrary, CountOnly, DeviceChooser, NvidiaPlugin, SlurmGres, TopologyManager,
};

use super::text::Words;

/// The agent that chooses devices inside the nodes of a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Devices {
    /// `count-only`: the lowest free indices.
    #[default]
    CountOnly,
    /// `arbitrary`: any free ones.
    Arbitrary,
    /// `nvidia-plugin`: by the pair scores of NVIDIA's device plugin.
    NvidiaPlugin,
    /// `kubelet-…`: the Topology Manager with one of its policies, and the static CPU manager.
    Kubelet(Alignment),
    /// `slurm-…`: gres.conf with or without `Cores=` and `Links=`.
    Slurm(SlurmGres),
}

const fn slurm(cores: bool, links: bool, enforce: bool) -> Devices {
    Devices::Slurm(SlurmGres {
        cores,
        links,
        enforce,
    })
}

/// The words of scenario files.
pub(crate) const DEVICES: Words<Devices> = &[
    ("count-only", Devices::CountOnly),
    ("arbitrary", Devices::Arbitrary),
    ("nvidia-plugin", Devices::NvidiaPlugin),
    ("kubelet-none", Devices::Kubelet(Alignment::None)),
    (
        "kubelet-best-effort",
        Devices::Kubelet(Alignment::BestEffort),
    ),
    (
        "kubelet-restricted",
        Devices::Kubelet(Alignment::Restricted),
    ),
    (
        "kubelet-single-numa-node",
        Devices::Kubelet(Alignment::SingleNumaNode),
    ),
    ("slurm-lowest", slurm(false, false, false)),
    ("slurm-links", slurm(false, true, false)),
    ("slurm-cores", slurm(true, false, false)),
    ("slurm-cores-links", slurm(true, true, false)),
    ("slurm-enforce-binding", slurm(true, true, true)),
];

impl Devices {
    /// The agent itself.
    #[must_use]
    pub fn chooser(self) -> Box<dyn DeviceChooser> {
        match self {
            Self::CountOnly => Box::new(CountOnly),
            Self::Arbitrary => Box::new(Arbitrary),
            Self::NvidiaPlugin => Box::new(NvidiaPlugin::default()),
            Self::Kubelet(alignment) => Box::new(TopologyManager::new(alignment).pair_scores()),
            Self::Slurm(gres) => Box::new(gres),
        }
    }
}

/// The words alone, for the schema.
pub(super) fn words() -> Vec<&'static str> {
    DEVICES.iter().map(|(word, _)| *word).collect()
}
