//! Laws that must hold whatever the input.

mod queue;
