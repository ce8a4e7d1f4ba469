//! Plain losses by how far apart a job's GPUs are: where no step time is known.

use super::behaviour::BehaviourError;
use crate::fabric::Level;
use crate::units::{PPM, Ppm};

/// How far apart the GPUs of a unit are; nearer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// One GPU, or all linked by NVLink.
    Linked,
    /// On one socket, not all linked by NVLink.
    Socket,
    /// On several sockets of a node, not all linked by NVLink.
    Node,
    /// On several nodes of a rack.
    Rack,
    /// Beyond a rack.
    Beyond,
}

impl Reach {
    /// The reach of several nodes by the lowest level that holds them; `None` is the spine.
    pub(super) fn of(level: Option<Level>) -> Self {
        match level {
            Some(Level::Node | Level::Domain) => Self::Linked,
            Some(Level::Rack) => Self::Rack,
            _ => Self::Beyond,
        }
    }
}

/// Share of the speed that a job loses by how far apart its GPUs are. A loss counts from its reach on
/// outwards, unless a farther one is larger.
///
/// ```
/// use windtunnel_core::{Ppm, Reach, Sensitivity};
/// let vgg = Sensitivity { nodes: Ppm(500_000), ..Sensitivity::default() };
/// assert_eq!(vgg.loss(Reach::Node), Ppm(0));
/// assert_eq!(vgg.loss(Reach::Beyond), Ppm(500_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensitivity {
    /// On one socket, not all linked by NVLink.
    pub islands: Ppm,
    /// On several sockets of a node, not all linked by NVLink.
    pub sockets: Ppm,
    /// On several nodes of a rack.
    pub nodes: Ppm,
    /// Beyond a rack.
    pub racks: Ppm,
}

impl Default for Sensitivity {
    /// No losses.
    fn default() -> Self {
        Self {
            islands: Ppm::ZERO,
            sockets: Ppm::ZERO,
            nodes: Ppm::ZERO,
            racks: Ppm::ZERO,
        }
    }
}

impl Sensitivity {
    /// The loss at a reach.
    #[must_use]
    pub fn loss(&self, reach: Reach) -> Ppm {
        let losses = [
            (Reach::Socket, self.islands),
            (Reach::Node, self.sockets),
            (Reach::Rack, self.nodes),
            (Reach::Beyond, self.racks),
        ];
        let within = losses.into_iter().filter(|(from, _)| *from <= reach);
        within.map(|(_, loss)| loss).max().unwrap_or(Ppm::ZERO)
    }

    /// What is left of the speed.
    pub(super) fn left(&self, reach: Reach) -> f64 {
        f64::from(PPM - self.loss(reach).0) / f64::from(PPM)
    }

    pub(super) fn check(&self) -> Result<(), BehaviourError> {
        if self.loss(Reach::Beyond) >= Ppm::ONE {
            return Err(BehaviourError::AllLost);
        }
        Ok(())
    }
}
