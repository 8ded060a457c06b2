//! `override add`, `override list` and `override remove`.

use clap::{Args, Subcommand};

use super::api::{self, Environment};
use super::change::Change;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use crate::domain::command::{AddOverride, RemoveOverride};
use crate::domain::ids::{EnvironmentName, Owner};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;

#[derive(Debug, Subcommand)]
pub(super) enum Override {
    /// Send the calls from a number, or to one, to one slot for a while. Renews an override for the same calls.
    Add(Add),
    /// List the overrides of an environment.
    List(List),
    /// End an override before its time.
    Remove(Remove),
}

/// Arguments of `override add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    calls: Calls,
    /// The slot that takes these calls, blue or green. It has to hold a flow version.
    #[arg(long, value_name = "SLOT")]
    to: Slot,
    /// Minutes after which the override expires, 1 to 1440.
    #[arg(long, visible_alias = "minutes", default_value_t = 60, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..=1440))]
    expires_in_minutes: u16,
    /// Who answers for it: a name or an extension, for whoever wonders.
    #[arg(long, value_name = "TEXT")]
    owner: Owner,
}

/// Arguments of `override list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `override remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    calls: Calls,
}

/// One number. It stays in the history of the environment.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Calls {
    /// Calls from this number, such as +4930123456.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    ani: Option<PhoneNumber>,
    /// Calls to this number.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    dnis: Option<PhoneNumber>,
}

impl Calls {
    fn test_calls(&self) -> TestCalls {
        match (self.ani, self.dnis) {
            (Some(number), _) => TestCalls::Ani(number),
            (None, Some(number)) => TestCalls::Dnis(number),
            (None, None) => unreachable!("clap asks for one of them"),
        }
    }
}

impl Override {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Add(args) => {
                let add = AddOverride {
                    calls: args.calls.test_calls(),
                    to: args.to,
                    expires_in_minutes: args.expires_in_minutes,
                    owner: args.owner,
                };
                args.change.execute(add.into(), output).await
            }
            Self::List(args) => {
                let client = args.admin.client()?;
                let url = client.url(&["v1", "environments", args.environment.as_str()]);
                output.print(&client.get(url).await?, |environment: Environment| {
                    describe(&environment.overrides)
                })
            }
            Self::Remove(args) => {
                let remove = RemoveOverride {
                    calls: args.calls.test_calls(),
                };
                args.change.execute(remove.into(), output).await
            }
        }
    }
}

/// The overrides, one a line.
pub(super) fn describe(overrides: &[api::Override]) -> String {
    let rows = overrides.iter().map(|one| {
        [
            one.calls.to_string(),
            one.to.clone(),
            one.status.replace('_', " "),
            one.expires_at.clone(),
            one.owner.clone(),
        ]
    });
    table(["calls", "to", "status", "expires", "owner"], rows)
}
