//! How far something has come, for whoever waits at a terminal.

use std::io::{IsTerminal as _, Write as _};

/// One line on a terminal that is written over and gone in the end. Nothing where nobody looks.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// Shown if somebody looks at standard error.
    pub(super) fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    /// Writes `line` over what stood there.
    pub(super) fn show(&self, line: &str) {
        if self.is_shown {
            let mut stderr = std::io::stderr().lock();
            // A progress line that cannot be written is no reason to stop.
            let _ = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
        }
    }

    /// Leaves nothing behind.
    pub(super) fn clear(&self) {
        self.show("");
    }
}
