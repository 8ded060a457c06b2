//! `interface define`, `interface list` and `interface remove`.

pub(super) mod definition;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::api::Environment;
use super::change::Change;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, cell, table};
use crate::domain::command;
use crate::domain::ids::{EnvironmentName, InterfaceNumber};

#[derive(Debug, Subcommand)]
pub(super) enum Interface {
    /// Say which variables an interface has. It stays as it is once a flow version names it.
    Define(Define),
    /// List the interfaces of an environment and their variables.
    List(List),
    /// Remove an interface that no flow version names.
    Remove(Remove),
}

/// Arguments of `interface define`.
#[derive(Debug, Args)]
pub(super) struct Define {
    #[command(flatten)]
    change: Change,
    /// Number of the interface, from 1.
    #[arg(value_name = "NUMBER")]
    number: u32,
    /// File that says which variables it has, in YAML or JSON: `variables: [{name: Callback_Offered, type: boolean, default:
    /// false}]`. Types are string, integer, number and boolean.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `interface list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `interface remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    change: Change,
    /// Number of the interface.
    #[arg(value_name = "NUMBER")]
    number: u32,
}

/// For commands that lead calls to a flow version.
#[derive(Debug, Args)]
pub(super) struct ForceIncompatible {
    /// Accept that the version's interface lacks variables of the one that calls rely on, or has other types for them. Say why
    /// in the reason.
    #[arg(long)]
    pub(super) force_incompatible: bool,
}

impl Interface {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Define(args) => {
                let define = command::DefineInterface {
                    number: InterfaceNumber(args.number),
                    variables: definition::load(&args.file)?,
                };
                args.change.execute(define.into(), output).await
            }
            Self::List(list) => list.run(output).await,
            Self::Remove(args) => {
                let remove = command::RemoveInterface {
                    number: InterfaceNumber(args.number),
                };
                args.change.execute(remove.into(), output).await
            }
        }
    }
}

impl List {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let url = client.url(&["v1", "environments", self.environment.as_str()]);
        let answer = client.get(url).await?;
        output.print(&answer, |environment: Environment| describe(&environment))
    }
}

fn describe(environment: &Environment) -> String {
    let rows = environment.interfaces.iter().flat_map(|interface| {
        let use_of = if interface.in_use {
            "in use"
        } else {
            "not in use"
        };
        interface.variables.iter().map(move |variable| {
            [
                interface.number.to_string(),
                use_of.to_owned(),
                variable.name.clone(),
                variable.kind.clone(),
                cell(&variable.default),
            ]
        })
    });
    table(["interface", "state", "variable", "type", "default"], rows)
}
