//! Printing: tables for people, the server's JSON for programs.

use std::io::{self, Write};
use std::ops::ControlFlow;

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::{LineStyle, TableStyle};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::client::Answer;
use super::failure::Failure;
use super::json;

/// One rule under the header and nothing else: it reads well and copies cleanly into a ticket.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Tables and sentences for people.
    Table,
    /// The server's JSON, laid out; errors as problem documents.
    Json,
}

impl Output {
    /// Prints an answer of the server; `describe` is its form for people.
    pub(super) fn print<T: DeserializeOwned>(
        self,
        answer: &Answer,
        describe: impl FnOnce(T) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => print(&describe(answer.read()?)),
            Self::Json => {
                answer.read::<IgnoredAny>()?;
                print(&json::lay_out(&answer.text))
            }
        }
    }

    /// Prints a result of our own; `description` is its form for people.
    pub(super) fn print_own(
        self,
        result: &impl Serialize,
        description: &str,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => print(description),
            Self::Json => print(
                &serde_json::to_string_pretty(result).context("cannot write the result as JSON")?,
            ),
        }
    }

    /// Prints what went wrong on standard error.
    pub(super) fn print_failure(self, failure: &Failure) {
        let mut stderr = io::stderr().lock();
        // If standard error is closed, nobody is left to tell; the exit code still says it.
        let _ = match self {
            Self::Table => {
                let hint = failure.hint.iter().map(|hint| format!("\nhint: {hint}"));
                let hint: String = hint.collect();
                writeln!(stderr, "error: {}{hint}", failure.problem.message())
            }
            Self::Json => serde_json::to_string_pretty(&failure.problem)
                .map_err(io::Error::from)
                .and_then(|document| writeln!(stderr, "{document}")),
        };
    }
}

/// Prints `text` and a line end. A reader that has seen enough, as in `… | head`, is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_for(text).map(|_| ())
}

/// The same where there is more to come: says whether somebody still reads.
pub(super) fn print_for(text: &str) -> Result<ControlFlow<()>, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("cannot write to standard output")?,
    }
}

/// A table with these columns. Without rows it says so, rather than leaving a reader to wonder.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(STYLE).set_header(header).add_rows(rows);
    if table.is_empty() {
        "none".to_owned()
    } else {
        table.trim_fmt()
    }
}

/// A value of a table's cell: a text without its quotes, anything else as JSON has it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_header_a_rule_and_no_trailing_blanks() {
        let rows = [["Main_IVR", "3"], ["x", "12"]].map(|row| row.map(str::to_owned));
        insta::assert_snapshot!(table(["environment", "revision"], rows), @"
         environment   revision
        ────────────────────────
         Main_IVR      3
         x             12
        ");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(table(["environment"], []), "none");
    }
}
