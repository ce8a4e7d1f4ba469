//! Colour: better or worse, and nothing else; on terminals only.

use std::io::IsTerminal;

/// Whether and how to paint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    /// On if standard output is a terminal and nobody set `NO_COLOR`.
    pub(super) fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_on: !refused && std::io::stdout().is_terminal(),
        }
    }

    pub(super) fn better(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn worse(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
