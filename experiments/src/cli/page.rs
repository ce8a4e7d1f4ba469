//! Text for 80 columns.

use std::io::Write;

pub(super) use windtunnel::words::{WIDTH, hanging, paragraph, parts};

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
