//! `freeze add`, `freeze list` and `freeze remove`.

use clap::{Args, Subcommand};
use http::Method;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};

use super::api::{self, Freezes};
use super::change::Change;
use super::client::Client;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use super::receipt;
use super::settings;
use super::write::{Write, WriteArgs};
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::ids::{EnvironmentName, FreezeNumber, Revision};

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
    windows: Windows,
}

/// Arguments of `freeze list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The environment that they are of; those of the deployment, which hold in every one, if left out.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
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
    windows: Windows,
}

/// Whose windows to change, and by what right.
#[derive(Debug, Args)]
struct Windows {
    /// The environment that they are of; the deployment, with all its environments, if left out.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
    /// Revision that the change is meant for; another one refuses it. Read just before if left out, and not needed without an
    /// environment.
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
                    reason: args.windows.write.reason.clone(),
                };
                args.windows.add(add, output).await
            }
            Self::List(args) => {
                let client = args.admin.client()?;
                let url = match &args.environment {
                    Some(name) => client.url(&["v1", "environments", name.as_str(), "freezes"]),
                    None => client.url(&["v1", "freezes"]),
                };
                output.print(&client.get(url).await?, |all: Freezes| describe_all(&all))
            }
            Self::Remove(args) => {
                let number = FreezeNumber(args.number);
                args.windows.remove(RemoveFreeze { number }, output).await
            }
        }
    }
}

impl Windows {
    async fn add(self, add: AddFreeze, output: Output) -> Result<(), Failure> {
        match self.environment {
            Some(name) => {
                let change = Change::of(name, self.if_match, self.write, self.admin);
                change.execute(add.into(), output).await
            }
            None => {
                let client = self.admin.client()?;
                let url = client.url(&["v1", "freezes"]);
                let body = json!({ "start": add.start, "end": add.end, "reason": add.reason });
                self.send(&client, Method::POST, url, Some(body), output)
                    .await
            }
        }
    }

    async fn remove(self, remove: RemoveFreeze, output: Output) -> Result<(), Failure> {
        match self.environment {
            Some(name) => {
                let change = Change::of(name, self.if_match, self.write, self.admin);
                change.execute(remove.into(), output).await
            }
            None => {
                let client = self.admin.client()?;
                let mut url = client.url(&["v1", "freezes", &remove.number.to_string()]);
                url.query_pairs_mut()
                    .append_pair("reason", self.write.reason.as_str());
                self.send(&client, Method::DELETE, url, None, output).await
            }
        }
    }

    /// Sends a change of the deployment's windows.
    async fn send(
        &self,
        client: &Client,
        method: Method,
        url: Url,
        body: Option<Value>,
        output: Output,
    ) -> Result<(), Failure> {
        let write = Write {
            method,
            url,
            body,
            if_match: self.if_match.map(Revision),
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, settings::describe)
    }
}

/// The windows of a place, and those of the deployment below.
fn describe_all(all: &Freezes) -> String {
    let own = describe(&all.freezes);
    if all.deployment.is_empty() {
        return own;
    }
    let deployment = describe(&all.deployment);
    format!("{own}\n\nof the deployment\n\n{deployment}")
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
