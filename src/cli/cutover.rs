//! `cutover`.

use clap::Args;

use super::change::Change;
use super::failure::Failure;
use super::interface::ForceIncompatible;
use super::output::Output;
use super::preflight::SkipPreflight;
use crate::domain::command;
use crate::domain::slot::Slot;

/// Arguments of `cutover`.
#[derive(Debug, Args)]
pub(super) struct Cutover {
    #[command(flatten)]
    change: Change,
    /// The slot to end up active, blue or green; the candidate if left out. Naming it makes a repeat harmless.
    #[arg(long, value_name = "SLOT")]
    to: Option<Slot>,
    #[command(flatten)]
    force: ForceIncompatible,
    #[command(flatten)]
    skip: SkipPreflight,
}

impl Cutover {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let cutover = command::Cutover {
            to: self.to,
            force_incompatible: self.force.force_incompatible,
        };
        let change = self.change.with(self.skip);
        change.execute(cutover.into(), output).await
    }
}
