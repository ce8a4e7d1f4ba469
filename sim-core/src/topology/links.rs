//! What the kinds of link carry: effective bandwidth and latency.
//!
//! Bandwidths are what NCCL plans with (`src/graph/topo.h` and `topo.cc` at 5067397): effective, not
//! signalling rates, so 80 % of it or so. Latencies are general knowledge.

use super::graph::{Link, LinkKind};

/// A family of CPUs: what links its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cpu {
    /// Intel up to Broadwell: QPI.
    Broadwell,
    /// Intel Skylake to Ice Lake: UPI.
    Skylake,
    /// Intel Sapphire Rapids: UPI 2.
    SapphireRapids,
    /// Intel Emerald Rapids and later.
    EmeraldRapids,
    /// AMD: xGMI.
    Amd,
    /// Arm.
    Arm,
    /// IBM POWER9.
    Power9,
    /// NVIDIA Grace: NVLink-C2C.
    Grace,
}

impl Cpu {
    /// Every family with its word in files and the name of the link between its sockets.
    pub const ALL: &[(&str, Self, &str)] = &[
        ("broadwell", Self::Broadwell, "QPI"),
        ("skylake", Self::Skylake, "UPI"),
        ("sapphire-rapids", Self::SapphireRapids, "UPI"),
        ("emerald-rapids", Self::EmeraldRapids, "UPI"),
        ("amd", Self::Amd, "xGMI"),
        ("arm", Self::Arm, "socket link"),
        ("power9", Self::Power9, "X-bus"),
        ("grace", Self::Grace, "NVLink-C2C"),
    ];

    /// Whether traffic between two GPUs over PCIe costs a root complex of it 6/5.
    #[must_use]
    pub const fn is_intel(self) -> bool {
        matches!(
            self,
            Self::Broadwell | Self::Skylake | Self::SapphireRapids | Self::EmeraldRapids
        )
    }

    /// The link between its sockets, and between NUMA nodes of one socket: bandwidth \[MB/s\] and
    /// latency \[ns\].
    const fn socket(self) -> (u32, u32) {
        match self {
            Self::Broadwell => (6_000, 600),
            Self::Skylake => (10_000, 500),
            Self::SapphireRapids => (22_000, 500),
            Self::EmeraldRapids => (40_000, 500),
            Self::Amd => (16_000, 500),
            Self::Arm => (6_000, 500),
            Self::Power9 => (32_000, 500),
            Self::Grace => (400_000, 500),
        }
    }
}

impl Link {
    /// `links` bonded NVLinks of a generation from 1 to 5; of a later one, as of 5.
    #[must_use]
    pub const fn nvlink(generation: u8, links: u8) -> Self {
        let (each, latency) = match generation {
            0 | 1 => (18_000, 1_800),
            2 => (20_000, 1_700),
            3 => (20_000, 1_900),
            4 => (20_600, 1_600),
            _ => (40_100, 1_500),
        };
        Self {
            kind: LinkKind::NvLink { links },
            bandwidth: each * links as u32,
            latency,
        }
    }

    /// PCIe of a generation from 3 to 6 with 16 lanes; of an earlier one as of 3, of a later as of 6.
    #[must_use]
    pub const fn pcie(generation: u8) -> Self {
        let (bandwidth, latency) = match generation {
            0..=3 => (12_000, 1_300),
            4 => (24_000, 1_200),
            5 => (48_000, 1_100),
            _ => (96_000, 1_000),
        };
        Self {
            kind: LinkKind::Pcie { generation },
            bandwidth,
            latency,
        }
    }

    /// Between two sockets.
    #[must_use]
    pub const fn socket(cpu: Cpu) -> Self {
        let (bandwidth, latency) = cpu.socket();
        Self {
            kind: LinkKind::Socket,
            bandwidth,
            latency,
        }
    }

    /// From one of several NUMA nodes of a socket to the others: NCCL plans with the same figure as
    /// between sockets.
    #[must_use]
    pub const fn mesh(cpu: Cpu) -> Self {
        let (bandwidth, latency) = cpu.socket();
        Self {
            kind: LinkKind::Mesh,
            bandwidth,
            latency,
        }
    }

    /// Inside a CPU, from a host bridge to its NUMA node, or from the only NUMA node of a socket:
    /// as fast as memory (`LOC_BW`), and never what limits.
    #[must_use]
    pub const fn inside() -> Self {
        Self {
            kind: LinkKind::Inside,
            bandwidth: 5_000_000,
            latency: 0,
        }
    }

    /// NVLink-C2C from a GPU to a Grace CPU.
    #[must_use]
    pub const fn c2c() -> Self {
        Self {
            kind: LinkKind::C2c,
            bandwidth: 400_000,
            latency: 500,
        }
    }
}
