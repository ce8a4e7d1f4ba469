//! Traces from outside: round trips, hand-made samples with the quirks of the public files, files
//! that are broken, and the public files themselves where they are at hand.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod broken;
mod helios;
mod native;
mod openb;
mod philly;
mod published;
mod support;
mod swf;
mod synthetic;
