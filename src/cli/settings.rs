//! `settings repair`.

use clap::Subcommand;

use super::api::SettingsWritten;
use super::failure::Failure;
use super::freeze;
use super::output::Output;
use super::receipt;
use super::repair::RepairArgs;
use crate::domain::ids::AggregateKey;

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Bring back a state where the last one cannot be read: the last that could be, unless another is named.
    Repair(RepairArgs),
}

impl Settings {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Repair(args) = self;
        let answer = args
            .send(&AggregateKey::Settings, &["v1", "settings", "repair"])
            .await?;
        receipt::print(output, &answer, describe)
    }
}

/// What came of a change of the settings, and what holds now.
pub(super) fn describe(written: SettingsWritten) -> String {
    let because = written
        .because
        .as_deref()
        .map(|because| because.replace('-', " "));
    let done = match (written.outcome.as_str(), because) {
        ("committed", _) => "done".to_owned(),
        ("unchanged", Some(because)) => format!("nothing to change: {because}"),
        (outcome, _) => format!(
            "{outcome}: the settings are at revision {}",
            written.revision
        ),
    };
    if written.freezes.is_empty() {
        return done;
    }
    format!("{done}\n\n{}", freeze::describe(&written.freezes))
}
