//! The engine's heart: an event queue with a total order. It knows time and nothing else.

mod ladder;
mod phase;
mod queue;

pub use phase::{EventKey, Phase};
pub use queue::{EventHandle, EventQueue};
