//! `slot claim`, `slot release`, `slot rebind`, `slot drain` and `slot idle`.

mod drain;

use clap::{Args, Subcommand};
use serde_json::json;

use super::api::Environment;
use super::change::Change;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::flow::parse_flow;
use super::output::Output;
use crate::domain::command;
use crate::domain::ids::{EnvironmentName, VersionLabel};

#[derive(Debug, Subcommand)]
pub(super) enum Slot {
    /// Reserve a slot for a flow version, before publishing it there.
    Claim(Claim),
    /// Give a claim back.
    Release(Release),
    /// Bind a slot to another Architect flow. Export the Traffic Cop flow again afterwards: its transfer names the flow.
    Rebind(Rebind),
    /// Say which slot still gets calls, and whether the candidate has drained: exit code 0 if so, 7 if not yet.
    Drain(drain::DrainArgs),
    /// Print which slot the next release goes to, blue or green: the candidate.
    Idle(Idle),
}

/// Arguments of `slot claim`.
#[derive(Debug, Args)]
pub(super) struct Claim {
    #[command(flatten)]
    change: Change,
    /// Label of the version that will be registered.
    #[arg(long, value_name = "LABEL")]
    flow_version: VersionLabel,
    /// The slot, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<crate::domain::slot::Slot>,
    /// Minutes after which the claim expires, 1 to 1440.
    #[arg(long, default_value_t = 60, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..=1440))]
    expires_in_minutes: u16,
}

/// Arguments of `slot release`.
#[derive(Debug, Args)]
pub(super) struct Release {
    #[command(flatten)]
    change: Change,
    /// The slot, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<crate::domain::slot::Slot>,
    /// Vouch that nothing was published since the slot's version was registered: that version is restored.
    #[arg(long)]
    nothing_published: bool,
}

/// Arguments of `slot rebind`.
#[derive(Debug, Args)]
pub(super) struct Rebind {
    #[command(flatten)]
    change: Change,
    /// The slot, blue or green. It must take no calls, and is empty afterwards.
    #[arg(long, value_name = "SLOT")]
    slot: crate::domain::slot::Slot,
    /// The flow it is bound to from now on.
    #[arg(long, value_name = "ID=NAME", value_parser = parse_flow)]
    flow: command::Flow,
}

/// Arguments of `slot idle`.
#[derive(Debug, Args)]
pub(super) struct Idle {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Idle {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let url = client.url(&["v1", "environments", self.environment.as_str()]);
        let environment: Environment = client.get(url).await?.read()?;
        let slot = environment.active.other();
        output.print_own(&json!({ "slot": slot }), slot.as_str())
    }
}

impl Slot {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Claim(args) => {
                let claim = command::Claim {
                    slot: args.slot,
                    flow_version: args.flow_version,
                    expires_in_minutes: args.expires_in_minutes,
                };
                args.change.execute(claim.into(), output).await
            }
            Self::Drain(args) => args.run(output).await,
            Self::Idle(args) => args.run(output).await,
            Self::Release(args) => {
                let release = command::Release {
                    slot: args.slot,
                    nothing_published: args.nothing_published,
                };
                args.change.execute(release.into(), output).await
            }
            Self::Rebind(args) => {
                let rebind = command::Rebind {
                    slot: args.slot,
                    flow: args.flow,
                };
                args.change.execute(rebind.into(), output).await
            }
        }
    }
}
