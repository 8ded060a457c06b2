//! `audit export` and `audit verify`: the journal as a file, and the proof of it without a server.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use reqwest::Response;

use super::api::Verification;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::journal::{describe, entry_hash, judge};
use super::output::Output;
use crate::store::audit;
use crate::store::record::RecordHash;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Write the whole journal to a file, one entry a line, and verify it. It holds the hashes of tokens, reasons and numbers.
    Export(Export),
    /// Prove an exported journal: that nothing in it was changed, dropped, swapped or inserted. Asks no server.
    Verify(Verify),
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where to write it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The exported journal.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Hash of an entry that was told earlier as the last one, by the log, a metric or a verification: the file must hold it.
    #[arg(long, value_name = "HASH", value_parser = entry_hash)]
    head: Option<RecordHash>,
}

impl Audit {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Export(export) => export.run(output).await,
            Self::Verify(verify) => print_verification(&verify.file, verify.head, output),
        }
    }
}

impl Export {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let url = client.url(&["v1", "journal", "export"]);
        let request = client.unlimited_request(Method::GET, url);
        let response = client.send(request).await?;
        if !response.status().is_success() {
            let status = response.status();
            let text = response.text().await;
            let text = text.map_err(|error| client.no_answer(&error))?;
            return client.judge(status, text).map(drop);
        }
        self.write(response).await?;
        print_verification(&self.file, None, output)
    }

    /// Beside, then in place: a file of that name is a whole one.
    async fn write(&self, mut response: Response) -> anyhow::Result<()> {
        let mut unfinished = self.file.clone().into_os_string();
        unfinished.push(".unfinished");
        let cannot_write = || format!("cannot write {}", self.file.display());
        let mut file = BufWriter::new(File::create(&unfinished).with_context(cannot_write)?);
        while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
            file.write_all(&chunk).with_context(cannot_write)?;
        }
        file.flush()
            .and_then(|()| fs::rename(&unfinished, &self.file))
            .with_context(cannot_write)
    }
}

fn print_verification(
    file: &Path,
    head: Option<RecordHash>,
    output: Output,
) -> Result<(), Failure> {
    let verify = || audit::verify(BufReader::new(File::open(file)?), head);
    let found = verify().with_context(|| format!("cannot read {}", file.display()))?;
    let verification = Verification::from(&found);
    output.print_own(&found, &describe(&verification))?;
    judge(&verification)
}
