//! The engine's heart: an event queue with a total order. It knows time and nothing else.

mod phase;

pub use phase::{EventKey, Phase};
