//! `weight`.

use clap::Args;

use super::change::Change;
use super::failure::Failure;
use super::interface::ForceIncompatible;
use super::output::Output;
use super::preflight::SkipPreflight;
use crate::domain::command;
use crate::domain::weight::Weight;

/// Arguments of `weight`.
#[derive(Debug, Args)]
pub(super) struct SetWeight {
    #[command(flatten)]
    change: Change,
    /// Percent of new calls for the candidate, 0 to 100, at most two decimals.
    #[arg(value_name = "PERCENT")]
    weight: Weight,
    #[command(flatten)]
    force: ForceIncompatible,
    #[command(flatten)]
    skip: SkipPreflight,
}

impl SetWeight {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let weight = command::SetWeight {
            weight: self.weight,
            force_incompatible: self.force.force_incompatible,
        };
        let change = self.change.with(self.skip);
        change.execute(weight.into(), output).await
    }
}
