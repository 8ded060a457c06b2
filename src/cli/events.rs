//! `events`.

pub(super) mod stream;

use clap::Args;

use super::api::Event;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::glance;
use super::output::{Output, print_for};
use crate::domain::ids::EnvironmentName;
use stream::{Block, Follower};

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// The environment; all that the token may read, if left out.
    #[arg(value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
    /// Begin after this journal entry; 0 begins with the first. With what comes next if left out.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Events {
    /// Prints a line per change until somebody ends it. A stream that breaks off is followed again where it ended.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut changes = Follower::start(client, self.environment, self.after).await?;
        while print_for(&shown(&changes.next().await?, output))?.is_continue() {}
        Ok(())
    }
}

fn shown(block: &Block, output: Output) -> String {
    match output {
        Output::Json => block.data.clone(),
        Output::Table => match (block.name.as_str(), serde_json::from_str(&block.data)) {
            ("change", Ok(event)) => describe(&event),
            (name, _) => format!("{name}: {}", block.data),
        },
    }
}

fn describe(event: &Event) -> String {
    let Event {
        sequence,
        aggregate,
        environment,
        change,
    } = event;
    let what = environment.as_ref().unwrap_or(aggregate);
    let calls = change.state.as_ref().map(glance::shares);
    let calls = calls.map(|calls| format!(" ({calls})")).unwrap_or_default();
    format!(
        "{sequence}  {}  {what} revision {}: {} by {}: {}{calls}",
        change.at,
        change.revision,
        change.action.replace('_', " "),
        change.actor,
        change.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let event = r#"{"aggregate":"access","environment":null,"sequence":7,"revision":3,"action":"create_token",
            "actor":"admin","reason":"a pipeline","at":"2026-01-05T08:00:00Z","state":null}"#;
        assert_eq!(
            describe(&serde_json::from_str(event).unwrap()),
            "7  2026-01-05T08:00:00Z  access revision 3: create token by admin: a pipeline"
        );
    }
}
