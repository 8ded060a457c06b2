//! `rollback`. It works with nothing but the environment's name: at two in the morning it must not fail for want of a flag.

use clap::Args;

use super::change::Change;
use super::failure::Failure;
use super::output::Output;
use crate::domain::command;

/// Arguments of `rollback`.
#[derive(Debug, Args)]
#[command(mut_arg("reason", |reason| reason.required(false).default_value("rollback")))]
#[command(mut_arg("if_match", |revision| {
    revision.help("Revision that the rollback is meant for; another one refuses it. Any revision if left out")
}))]
pub(super) struct Rollback {
    #[command(flatten)]
    change: Change,
    /// Let calls that are inside the version left return to it.
    #[arg(long)]
    keep_calls: bool,
}

impl Rollback {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let rollback = command::Rollback {
            keep_calls: self.keep_calls,
        };
        self.change.execute(rollback.into(), output).await
    }
}
