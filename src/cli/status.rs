//! `status`: every environment and every replica at a glance.

use clap::Args;

use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::Output;
use super::overview::Overview;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    admin: AdminArgs,
}

impl Status {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let overview = Overview::look(&self.admin.client()?, None).await?;
        output.print_own(overview.raw(), &overview.describe())
    }
}
