//! `env create`, `env list`, `env show`, `env repair` and `env delete`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::api::{Environment, Environments, Written};
use super::change::{Change, Target, describe};
use super::confirm::Confirmation;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::flow::parse_flow;
use super::glance;
use super::interface::definition;
use super::moment::Moment;
use super::output::Output;
use super::receipt;
use super::repair::RepairArgs;
use crate::domain::command;
use crate::domain::ids::{AggregateKey, EnvironmentName, InterfaceNumber, VersionLabel};
use crate::domain::slot::{BySlot, Slot};

#[derive(Debug, Subcommand)]
pub(super) enum Env {
    /// Bring an environment into being, with one slot active and the other empty.
    Create(Box<Create>),
    /// List every environment.
    List(List),
    /// Show what callers of an environment get, and why.
    Show(Show),
    /// Bring back a state where the last one cannot be read: the last that could be, unless another is named.
    Repair(Repair),
    /// Remove an environment. Its history stays.
    Delete(Delete),
}

/// Arguments of `env create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    target: Target,
    /// The flow that the blue slot is bound to.
    #[arg(long, value_name = "ID=NAME", value_parser = parse_flow)]
    blue_flow: command::Flow,
    /// The flow that the green slot is bound to.
    #[arg(long, value_name = "ID=NAME", value_parser = parse_flow)]
    green_flow: command::Flow,
    /// Label of the flow version that the active slot holds.
    #[arg(long, value_name = "LABEL")]
    flow_version: VersionLabel,
    /// The slot that takes calls from the start, blue or green.
    #[arg(long, default_value_t = Slot::Blue, value_name = "SLOT")]
    active: Slot,
    /// Number of that version's interface; 0 is none.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    interface: u32,
    /// File that says which variables that interface has, in YAML or JSON.
    #[arg(long, value_name = "FILE", requires = "interface")]
    interface_file: Option<PathBuf>,
}

/// Arguments of `env list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `env show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// As it was at this revision, or at this time, such as 2026-11-23T02:00:00Z.
    #[arg(long, value_name = "REVISION|TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `env repair`.
#[derive(Debug, Args)]
pub(super) struct Repair {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    repair: RepairArgs,
}

/// Arguments of `env delete`.
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    confirmation: Confirmation,
}

impl Env {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Show(show) => show.run(output).await,
            Self::Repair(repair) => repair.run(output).await,
            Self::Delete(delete) => delete.run(output).await,
        }
    }
}

impl Create {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let definition = self.interface_file.as_deref().map(definition::load);
        let create = command::Create {
            flows: BySlot {
                blue: self.blue_flow,
                green: self.green_flow,
            },
            active: self.active,
            flow_version: self.flow_version,
            interface: InterfaceNumber(self.interface),
            variables: definition.transpose()?,
        };
        self.target.execute(create.into(), output).await
    }
}

impl List {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(client.url(&["v1", "environments"])).await?;
        output.print(&answer, |all: Environments| glance::environments(&all))
    }
}

impl Show {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "environments", self.environment.as_str()]);
        if let Some(moment) = self.at {
            url.query_pairs_mut().append_pair("at", &moment.to_string());
        }
        let answer = client.get(url).await?;
        output.print(&answer, |environment: Environment| {
            glance::environment(&environment)
        })
    }
}

impl Repair {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            environment,
            repair,
        } = self;
        let path = ["v1", "environments", environment.as_str(), "repair"];
        let answer = repair
            .send(&AggregateKey::Environment(environment.clone()), &path)
            .await?;
        receipt::print(output, &answer, |written: Written| {
            describe(&environment, &written)
        })
    }
}

impl Delete {
    async fn run(self, output: Output) -> Result<(), Failure> {
        self.confirmation.obtain(&format!(
            "deleting {} leaves its callers without decisions",
            self.change.target.environment
        ))?;
        let delete = command::Delete {};
        self.change.execute(delete.into(), output).await
    }
}
