//! `journal verify` and `journal recover`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::api::Verification;
use super::confirm::Confirmation;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use crate::clock::{Clock as _, SystemClock};
use crate::config::StoreArgs;
use crate::domain::ids::{Actor, Reason};
use crate::replica::saved::Saved;
use crate::store::Store;
use crate::store::record::RecordHash;
use crate::store::recover::{Memory, Recovery};
use crate::telemetry::StoreRequests;

#[derive(Debug, Subcommand)]
pub(super) enum Journal {
    /// Read the whole journal and every row, and say what is wrong with them. May take minutes.
    Verify(Verify),
    /// Bring everything that is known back into a journal that lost its end, such as a table restored from a backup. Works
    /// on the store itself, also while no server runs.
    Recover(Recover),
}

/// Arguments of `journal verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Hash of an entry that was told earlier as the last one, by the log, a metric or a verification: the journal must hold it.
    #[arg(long, value_name = "HASH", value_parser = entry_hash)]
    head: Option<RecordHash>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `journal recover`.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Files to recover from besides the tables: the last-good files of replicas (`last-good.json` in their data directories)
    /// and exported snapshots, of this deployment only.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Why. It stays in the history for ever.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Who does it, for the history.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    actor: Actor,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    store: StoreArgs,
}

impl Journal {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(output).await,
            Self::Recover(recover) => recover.run(output).await,
        }
    }
}

impl Verify {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "journal", "verification"]);
        if let Some(head) = self.head {
            url.query_pairs_mut().append_pair("head", &head.to_string());
        }
        let answer = client
            .answer(client.unlimited_request(Method::GET, url))
            .await?;
        output.print(&answer, |verification| describe(&verification))?;
        judge(&answer.read()?)
    }
}

/// The hash of an entry, as the log, the metric and verifications tell it.
pub(super) fn entry_hash(text: &str) -> Result<RecordHash, &'static str> {
    text.parse()
        .map_err(|_| "expected 64 hexadecimal digits in lower case")
}

/// A failure if anything was found.
pub(super) fn judge(verification: &Verification) -> Result<(), Failure> {
    match verification.findings.len() {
        0 => Ok(()),
        findings => {
            Err(anyhow!("the journal is not in order; number of findings: {findings}").into())
        }
    }
}

/// What was found, for people.
pub(super) fn describe(verification: &Verification) -> String {
    let Verification {
        entries,
        head,
        head_hash,
        findings,
    } = verification;
    let summary = format!(
        "{entries} entries read, the last is {head} with hash {head_hash}\n\
         keep that hash elsewhere, and a journal that is cut short later shows\n"
    );
    if findings.is_empty() {
        return format!("{summary}\neverything is in order");
    }
    let findings = findings
        .iter()
        .map(|finding| [finding.sequence.to_string(), finding.problem.clone()]);
    format!("{summary}\n{}", table(["entry", "problem"], findings))
}

impl Recover {
    async fn run(self, output: Output) -> Result<(), Failure> {
        self.confirmation.obtain(
            "a recovery makes the highest known revisions the present ones, for every server on this store",
        )?;
        super::log_warnings();
        if !self.store.is_embedded() {
            return self.recover(None, output).await;
        }
        #[cfg(feature = "embedded")]
        {
            let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            let engine = crate::store::embedded::Embedded::start(&self.store.data_dir, any_port)?;
            self.recover(Some(engine.url()), output).await
        }
        #[cfg(not(feature = "embedded"))]
        Err(Failure::usage("this binary has no embedded store"))
    }

    async fn recover(&self, embedded: Option<String>, output: Output) -> Result<(), Failure> {
        let memories = self.from.iter().map(|file| remember(file));
        let memories = memories.collect::<anyhow::Result<_>>()?;
        let store = Store::connect(&self.store.endpoint(embedded), StoreRequests::default()).await;
        let now = SystemClock::start().now();
        let recovery = store
            .recover(memories, &self.actor, &self.reason, now)
            .await
            .context("the recovery did not come to its end; run it again")?;
        let (result, description) = report(&recovery);
        output.print_own(&result, &description)
    }
}

/// What a file holds. One that cannot be read stops the recovery: it was named because it is needed.
fn remember(file: &Path) -> anyhow::Result<Memory> {
    let read = || Saved::from_bytes(&fs::read(file)?)?.remember();
    read().with_context(|| format!("cannot recover from {}", file.display()))
}

fn report(recovery: &Recovery) -> (Value, String) {
    match recovery {
        Recovery::NothingLost { head } => (
            json!({ "outcome": "nothing-lost", "head": head }),
            format!(
                "nothing is lost: the journal ends at entry {head}, and nothing beyond it is known"
            ),
        ),
        Recovery::Recovered { bridge, aggregates } => {
            let recovered: Vec<_> = aggregates
                .iter()
                .map(|(aggregate, revision)| {
                    json!({ "aggregate": aggregate.to_string(), "revision": revision })
                })
                .collect();
            let rows = aggregates
                .iter()
                .map(|(aggregate, revision)| [aggregate.to_string(), revision.to_string()]);
            (
                json!({ "outcome": "recovered", "bridge": bridge, "aggregates": recovered }),
                format!(
                    "recovered; the bridge is entry {bridge}\n\n{}",
                    table(["aggregate", "revision"], rows)
                ),
            )
        }
    }
}
