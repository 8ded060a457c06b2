//! `genesys fill`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{show, write};
use crate::cli::api::Environment;
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::domain::ids::{EnvironmentName, FlowName, VersionLabel};
use crate::domain::slot::Slot;
use crate::genesys::export;

/// Arguments of `genesys fill`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Fill {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// File with the flow of either slot. The flow's name and the label of its version go where "{{flow_name}}" and
    /// "{{flow_version}}" stand, each a whole value in double quotes.
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    /// Label of the version that the flow will be.
    #[arg(long, value_name = "LABEL")]
    flow_version: VersionLabel,
    /// The slot that it is for, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Fill {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let template = self.template.display();
        let text = fs::read_to_string(&self.template)
            .with_context(|| format!("cannot read the template {template}"))?;
        let environment: Environment = show(&self.admin.client()?, &self.environment).await?;
        let slot = self.slot.unwrap_or(environment.active.other());
        let name: FlowName = environment.slots[slot]
            .flow
            .name
            .parse()
            .context("the server names a flow that this binary does not take")?;
        let flow = export::fill(&text, &name, &self.flow_version)
            .map_err(|error| Failure::usage(format!("{template}: {error}")))?;
        write(&self.out, &flow)?;
        let (file, version) = (self.out.display(), &self.flow_version);
        output.print_own(
            &json!({ "file": file.to_string(), "slot": slot, "flow_name": name, "flow_version": version }),
            &format!("{file}: {name}, version {version}, for slot {slot}"),
        )
    }
}
