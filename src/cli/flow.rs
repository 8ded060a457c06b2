//! `flow register`, and how a flow is written on the command line.

use std::io::{self, Write as _};
use std::str::FromStr;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::api::{self, Publication};
use super::change::Change;
use super::client::Client;
use super::failure::Failure;
use super::interface::ForceIncompatible;
use super::output::Output;
use crate::domain::command;
use crate::domain::ids::{
    EnvironmentName, InterfaceNumber, InvalidText, PublishedVersion, VersionLabel,
};
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
    /// What Genesys Cloud calls the version that was published, such as 45.0, for a preflight to compare; current has the service ask
    /// it; current-if-known does too, and goes without if nobody can say.
    #[arg(long, value_name = "VERSION")]
    published_version: Option<Published>,
    /// The slot, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,
    /// Number of the version's interface; 0 is none.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    interface: u32,
    #[command(flatten)]
    force: ForceIncompatible,
}

/// How the published version is named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Published {
    /// By this text.
    This(PublishedVersion),
    /// It is what is published now.
    Current,
    /// The same, or not at all where that is not known.
    CurrentIfKnown,
}

impl FromStr for Published {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        match text {
            "current" => Ok(Self::Current),
            "current-if-known" => Ok(Self::CurrentIfKnown),
            text => text.parse().map(Self::This),
        }
    }
}

impl Published {
    /// The version that is meant, of the flow of `slot`, or of the candidate.
    async fn resolve(
        self,
        client: &Client,
        environment: &EnvironmentName,
        slot: Option<Slot>,
    ) -> Result<Option<PublishedVersion>, Failure> {
        let is_needed = match self {
            Self::This(version) => return Ok(Some(version)),
            Self::Current => true,
            Self::CurrentIfKnown => false,
        };
        let mut url = client.url(&["v1", "environments", environment.as_str(), "publication"]);
        if let Some(slot) = slot {
            url.query_pairs_mut().append_pair("slot", slot.as_str());
        }
        let found: Publication = client.get(url).await?.read()?;
        let api::Flow { id, name } = &found.flow;
        let because = found.because.as_deref().unwrap_or("no reason given");
        match (found.outcome.as_str(), found.published_version) {
            ("known", Some(version)) => Ok(Some(version)),
            ("none", _) => Err(Failure::refused(format!(
                "nothing is published of the flow {name} ({id}): {because}"
            ))),
            _ if is_needed => Err(Failure::from(anyhow!(
                "nobody knows what is published of the flow {name} ({id}): {because}; name it, or leave \
                 --published-version out"
            ))),
            _ => {
                // Standard error is closed if nobody wants to know.
                let _ = writeln!(
                    io::stderr().lock(),
                    "note: registered without its published version, which a preflight would compare: {because}"
                );
                Ok(None)
            }
        }
    }
}

impl Flow {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Register(args) = self;
        let client = args.change.client()?;
        let environment = &args.change.target.environment;
        let published_version = match args.published_version {
            Some(published) => published.resolve(&client, environment, args.slot).await?,
            None => None,
        };
        let register = command::Register {
            slot: args.slot,
            flow_version: args.flow_version,
            published_version,
            interface: InterfaceNumber(args.interface),
            force_incompatible: args.force.force_incompatible,
        };
        args.change
            .execute_by(&client, register.into(), output)
            .await
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
    use crate::cli::connection::AdminArgs;
    use crate::cli::exit::Exit;
    use crate::cli::stand_in::StandIn;

    /// What `text` comes to where the server says this of what is published.
    async fn resolved(text: &str, outcome: &str, version: &str) -> Result<Option<String>, Failure> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            admin: AdminArgs,
        }
        let answer = format!(
            r#"{{"flow":{{"id":"2222-g","name":"Main IVR Green"}},"outcome":"{outcome}","published_version":{version},"because":"it says so"}}"#
        );
        let server = StandIn::start(&[(200, &answer)]).await;
        let line: Line = clap::Parser::try_parse_from(["x", "--server", &server.url]).unwrap();
        let published: Published = text.parse().unwrap();
        let environment = "Main_IVR".parse().unwrap();
        let client = line.admin.client().unwrap();
        let version = published.resolve(&client, &environment, None).await?;
        Ok(version.map(|version| version.to_string()))
    }

    #[tokio::test]
    async fn the_published_version_is_what_was_typed_or_what_the_service_finds() {
        let known = Some("45.0".to_owned());
        let typed = resolved("45.0", "unknown", "null").await;
        assert_eq!(typed.unwrap(), known);
        for asked in ["current", "current-if-known"] {
            let found = resolved(asked, "known", "\"45.0\"").await;
            assert_eq!(found.unwrap(), known);
            let failure = resolved(asked, "none", "null").await.unwrap_err();
            assert_eq!(failure.exit, Exit::Refused, "{asked}");
        }
        for outcome in ["unknown", "skipped", "something_new"] {
            let found = resolved("current-if-known", outcome, "null").await;
            assert_eq!(found.unwrap(), None);
            let failure = resolved("current", outcome, "null").await.unwrap_err();
            assert_eq!(
                failure.problem.message(),
                "nobody knows what is published of the flow Main IVR Green (2222-g): it says so; name it, or leave \
                 --published-version out"
            );
        }
    }

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
