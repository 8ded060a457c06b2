//! `snapshot export`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::Output;
use crate::replica::saved::Saved;

#[derive(Debug, Subcommand)]
pub(super) enum Snapshot {
    /// Write what decisions are made from to a file, to be shipped with a deployment (`serve --default-snapshot`) or kept for
    /// a recovery (`journal recover --from`). It holds the hashes of tokens.
    Export(Export),
}

/// Arguments of `snapshot export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where to write it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take what the server remembers if it cannot read the journal to its end, as while the store is away.
    #[arg(long)]
    stale: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Snapshot {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Export(export) = self;
        export.run(output).await
    }
}

impl Export {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "snapshot"]);
        if self.stale {
            url.query_pairs_mut().append_pair("stale", "true");
        }
        let text = client.get(url).await?.text;
        let saved = Saved::from_bytes(text.as_bytes())
            .context("the answer is no snapshot; is this a traffic-cop's admin listener?")?;
        let sequence = saved.sequence();
        let environments = saved
            .restore()
            .context("this binary is older than the server; use one that is not")?
            .environments()
            .filter(|(_, known)| known.state().is_some())
            .count();
        self.write(&text)?;
        let file = self.file.display();
        output.print_own(
            &json!({ "file": file.to_string(), "sequence": sequence, "environments": environments }),
            &format!("{file}: as of journal entry {sequence}, environments: {environments}"),
        )
    }

    /// Beside, then in place: whoever reads the file meanwhile reads the old one or the new one.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        let mut unfinished = self.file.clone().into_os_string();
        unfinished.push(".unfinished");
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &self.file))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}
