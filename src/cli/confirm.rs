//! Asking before something that is hard to undo.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context as _;
use clap::Args;

use super::failure::Failure;

/// Whether the caller has thought about it.
#[derive(Debug, Args)]
pub(super) struct Confirmation {
    /// Do it without asking. Needed where nobody can be asked.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Asks the person at the terminal, unless `--yes` has answered already. `consequence` says what will happen.
    pub(super) fn obtain(&self, consequence: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            let detail = format!("{consequence}; confirm it with --yes");
            return Err(Failure::usage(detail));
        }
        if is_yes(&ask(consequence).context("cannot ask at the terminal")?) {
            Ok(())
        } else {
            Err(Failure::usage("not confirmed; nothing was done"))
        }
    }
}

fn ask(consequence: &str) -> io::Result<String> {
    write!(io::stderr(), "{consequence}; type yes to go ahead: ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

fn is_yes(answer: &str) -> bool {
    answer.trim().eq_ignore_ascii_case("yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_confirms() {
        for yes in ["yes\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "y\n", "yess\n", "no\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
