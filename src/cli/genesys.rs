//! `genesys export` and `genesys fill`: the way into an organisation of Genesys Cloud. `genesys mirror`: what is kept there.

mod export;
mod fill;
mod mirror;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Client;
use super::failure::Failure;
use super::output::Output;
use crate::domain::ids::EnvironmentName;

#[derive(Debug, Subcommand)]
pub(super) enum Genesys {
    /// Write the files that make an organisation ask here: data actions, the Traffic Cop flow, a flow to begin with. The same
    /// files for the same input, so they can be kept in version control.
    Export(Box<export::Export>),
    /// Make the flow of one slot out of the file that a team keeps for both: its name and its version are put in.
    Fill(Box<fill::Fill>),
    /// Show how far the rows of the data table have come that the Traffic Cop flow falls back to.
    Mirror(Box<mirror::Show>),
}

impl Genesys {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Export(export) => export.run(output).await,
            Self::Fill(fill) => fill.run(output).await,
            Self::Mirror(show) => show.run(output).await,
        }
    }
}

/// The environment, as the admin API shows it.
async fn show<T: serde::de::DeserializeOwned>(
    client: &Client,
    environment: &EnvironmentName,
) -> Result<T, Failure> {
    let url = client.url(&["v1", "environments", environment.as_str()]);
    client.get(url).await?.read()
}

/// Beside, then in place, so that a file is never half a flow.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".unfinished");
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A declaration of a variable without what the server tells besides.
fn declaration(variable: &Value) -> Value {
    let member = |name: &str| variable[name].clone();
    json!({ "name": member("name"), "type": member("type"), "default": member("default") })
}
