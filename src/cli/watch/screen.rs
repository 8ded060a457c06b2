//! A terminal that is drawn anew, and given back as it was.
//!
//! Lines are put at their places and never end in a line break, and the terminal is told to cut what is too long. So nothing scrolls
//! and nobody has to know how large it is: on one that is too low the last line stays in sight and those before it do not.

use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Another page than the one people work on, no cursor, no wrapping, everything cleared.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// All of that undone.
const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Standard output as a screen. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    pub(super) fn open() -> Self {
        put(OPEN);
        Self(())
    }

    /// Shows `text` and nothing else.
    pub(super) fn draw(&self, text: &str) {
        put(&frame(text));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        put(CLOSE);
    }
}

/// A terminal that is gone has nobody in front of it: the signal that says so ends the process.
fn put(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

fn frame(text: &str) -> String {
    let mut frame = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((place, line)) = lines.next() {
        // Cleared before it is written, since a line as wide as the terminal leaves the cursor on its last letter; with the last
        // one, everything below.
        let clear = if lines.peek().is_some() {
            "\x1b[2K"
        } else {
            "\x1b[J"
        };
        // Writing to a text cannot fail.
        let _ = write!(frame, "\x1b[{};1H{clear}{line}", place + 1);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_place_and_clears_it_before() {
        assert_eq!(
            frame("a\n\nb"),
            "\x1b[1;1H\x1b[2Ka\x1b[2;1H\x1b[2K\x1b[3;1H\x1b[Jb"
        );
    }

    #[test]
    fn what_was_opened_is_closed() {
        for mode in ["?1049", "?25", "?7"] {
            let set = |text: &str| text.contains(&format!("\x1b[{mode}h"));
            assert_ne!(set(OPEN), set(CLOSE), "{mode}");
        }
    }
}
