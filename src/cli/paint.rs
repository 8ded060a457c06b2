//! Colour, on terminals that show it and for people who want it (<https://no-color.org>).

use std::io;

use crate::config::may_colour;

/// What a colour stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paint {
    /// As it should be.
    Good,
    /// Not quite.
    Doubtful,
    /// Not at all.
    Bad,
    /// Of no importance.
    Faint,
}

/// `text` in the colour of `paint`, if standard output is a terminal.
pub(super) fn paint(paint: Paint, text: &str) -> String {
    if !may_colour(&io::stdout()) {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Good => 32,
        Paint::Doubtful => 33,
        Paint::Bad => 31,
        Paint::Faint => 2,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
