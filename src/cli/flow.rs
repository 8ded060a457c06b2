//! `flow register`, and how a flow is written on the command line.

use clap::{Args, Subcommand};

use super::change::Change;
use super::failure::Failure;
use super::interface::ForceIncompatible;
use super::output::Output;
use crate::domain::command;
use crate::domain::ids::{InterfaceNumber, PublishedVersion, VersionLabel};
use crate::domain::slot::Slot;

#[derive(Debug, Subcommand)]
pub(super) enum Flow {
    /// Say which flow version a slot now holds, after publishing it there. Releases the claim that names it.
    Register(Register),
}

/// Arguments of `flow register`.
#[derive(Debug, Args)]
pub(super) struct Register {
    #[command(flatten)]
    change: Change,
    /// Label of the version, which no version of this environment has or recently had.
    #[arg(long, value_name = "LABEL")]
    flow_version: VersionLabel,
    /// What Genesys Cloud calls the version that was published, such as 45.0, for a preflight to compare.
    #[arg(long, value_name = "VERSION")]
    published_version: Option<PublishedVersion>,
    /// The slot, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,
    /// Number of the version's interface; 0 is none.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    interface: u32,
    #[command(flatten)]
    force: ForceIncompatible,
}

impl Flow {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Register(args) = self;
        let register = command::Register {
            slot: args.slot,
            flow_version: args.flow_version,
            published_version: args.published_version,
            interface: InterfaceNumber(args.interface),
            force_incompatible: args.force.force_incompatible,
        };
        args.change.execute(register.into(), output).await
    }
}

/// Reads a flow written as `ID=NAME`.
pub(super) fn parse_flow(text: &str) -> Result<command::Flow, String> {
    let (id, name) = text
        .split_once('=')
        .ok_or("expected ID=NAME, the flow's id and its name in Architect")?;
    Ok(command::Flow {
        id: id.parse().map_err(|error| format!("{error}"))?,
        name: name.parse().map_err(|error| format!("{error}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_its_id_and_its_name() {
        let flow = parse_flow("5f0c9a52=Main IVR = Blue").unwrap();
        assert_eq!(flow.id.as_str(), "5f0c9a52");
        assert_eq!(flow.name.as_str(), "Main IVR = Blue");
        for bad in ["5f0c9a52", "=Main IVR", "5f0c9a52=", "5f 0c=x"] {
            assert!(parse_flow(bad).is_err(), "{bad}");
        }
    }
}
