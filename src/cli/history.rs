//! `history`.

use clap::Args;

use super::api::{self, Entry};
use super::connection::AdminArgs;
use super::failure::Failure;
use super::glance;
use super::output::{Output, table};
use crate::domain::ids::EnvironmentName;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// At most so many changes.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: u32,
    /// Only changes before this revision.
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
    #[command(flatten)]
    admin: AdminArgs,
}

impl History {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "environments", self.environment.as_str(), "history"]);
        url.query_pairs_mut()
            .append_pair("limit", &self.limit.to_string());
        if let Some(before) = self.before {
            url.query_pairs_mut()
                .append_pair("before", &before.to_string());
        }
        let answer = client.get(url).await?;
        output.print(&answer, |history| describe(&history))
    }
}

fn describe(history: &api::History) -> String {
    let header = ["revision", "at", "action", "by", "reason", "new calls"];
    let changes = table(header, history.entries.iter().map(row));
    match history.next_before {
        Some(revision) => format!("{changes}\n\nearlier changes: --before {revision}"),
        None => changes,
    }
}

fn row(entry: &Entry) -> [String; 6] {
    [
        entry.revision.to_string(),
        entry.at.clone(),
        entry.action.replace('_', " "),
        entry.actor.clone(),
        entry.reason.clone(),
        entry
            .state
            .as_ref()
            .map_or_else(|| "–".to_owned(), glance::shares),
    ]
}
