//! `freeze add`, `freeze list` and `freeze remove`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::api::{self, Freezes};
use super::change::Change;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use super::write::WriteArgs;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::ids::{EnvironmentName, FreezeNumber};

#[derive(Debug, Subcommand)]
pub(super) enum Freeze {
    /// Let nobody move callers towards the candidate for a while. Rollback, abort and pause work as ever.
    Add(Add),
    /// List the freeze windows.
    List(List),
    /// Remove a freeze window, whether it has begun or not.
    Remove(Remove),
}

/// Arguments of `freeze add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// When it begins, such as 2026-12-23T18:00:00Z; at once if left out.
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// When it ends: the first moment that is free again.
    #[arg(long, value_name = "TIME")]
    end: Timestamp,
    #[command(flatten)]
    change: Windows,
}

/// Arguments of `freeze list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The environment that they are of.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `freeze remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its number, as `freeze list` shows it.
    #[arg(value_name = "NUMBER")]
    number: u64,
    #[command(flatten)]
    change: Windows,
}

/// Whose windows to change, and by what right.
#[derive(Debug, Args)]
struct Windows {
    /// The environment that they are of.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// Revision that the change is meant for; another one refuses it. Read just before if left out.
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Freeze {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Add(args) => {
                let add = AddFreeze {
                    start: args.start,
                    end: args.end,
                    reason: args.change.write.reason.clone(),
                };
                args.change.change().execute(add.into(), output).await
            }
            Self::List(args) => {
                let client = args.admin.client()?;
                let name = args.environment.as_str();
                let url = client.url(&["v1", "environments", name, "freezes"]);
                output.print(&client.get(url).await?, |all: Freezes| {
                    describe(&all.freezes)
                })
            }
            Self::Remove(args) => {
                let remove = RemoveFreeze {
                    number: FreezeNumber(args.number),
                };
                args.change.change().execute(remove.into(), output).await
            }
        }
    }
}

impl Windows {
    fn change(self) -> Change {
        Change::of(self.environment, self.if_match, self.write, self.admin)
    }
}

/// The windows, one a line.
pub(super) fn describe(freezes: &[api::Freeze]) -> String {
    let rows = freezes.iter().map(|one| {
        [
            one.number.to_string(),
            one.start.clone(),
            one.end.clone(),
            one.status.replace('_', " "),
            one.reason.clone(),
        ]
    });
    table(["number", "start", "end", "status", "reason"], rows)
}
