//! `token generate`, `token create`, `token list`, `token rotate`, `token revoke` and `token repair`.

mod rotate;

use clap::{Args, Subcommand};
use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::api::{self, AccessWritten, NewToken, TokenWritten, Tokens};
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use super::receipt;
use super::repair::RepairArgs;
use super::write::{Write, WriteArgs};
use crate::access::token::TokenText;
use crate::domain::access::Scope;
use crate::domain::ids::{Actor, AggregateKey, EnvironmentName};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Draw the text of a first admin token, to be given to `serve`. Nothing is sent and nothing is kept.
    Generate,
    /// Make a token. Its text is shown once and kept nowhere.
    Create(Create),
    /// List the tokens, without their texts.
    List(List),
    /// Give a token another text, while the present one goes on for a while. The new text is shown once and kept nowhere.
    Rotate(rotate::Rotate),
    /// Let a token in no longer.
    Revoke(Revoke),
    /// Bring back the tokens where their last state cannot be read: the last that could be, unless another is named.
    Repair(RepairArgs),
}

/// Arguments of `token create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name under which it acts; the history shows it.
    #[arg(value_name = "NAME")]
    name: Actor,
    /// What it may do: decide, report, read, operate or admin; several with commas.
    #[arg(
        long = "scope",
        required = true,
        value_delimiter = ',',
        value_name = "SCOPE"
    )]
    scopes: Vec<Scope>,
    /// The environments where it may; several with commas, all if left out.
    #[arg(
        long = "environment",
        value_delimiter = ',',
        value_name = "ENVIRONMENT"
    )]
    environments: Option<Vec<EnvironmentName>>,
    /// When it stops working, such as 2027-01-01T00:00:00Z; never if left out.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `token list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `token revoke`.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Id of the token, as `token list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Token {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Generate => generate(output),
            Self::Create(create) => create.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Rotate(rotate) => rotate.run(output).await,
            Self::Revoke(revoke) => revoke.run(output).await,
            Self::Repair(args) => repair(args, output).await,
        }
    }
}

fn generate(output: Output) -> Result<(), Failure> {
    let text = TokenText::draw();
    output.print_own(&json!({ "token": text.reveal() }), text.reveal())
}

impl Create {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let body = json!({
            "name": self.name,
            "scopes": self.scopes,
            "environments": self.environments,
            "expires_at": self.expires_at,
            "reason": self.write.reason,
        });
        let write = Write {
            method: Method::POST,
            url: client.url(&["v1", "tokens"]),
            body: Some(body),
            if_match: None,
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, |made| describe_new(&self.name, &made))
    }
}

impl List {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(client.url(&["v1", "tokens"])).await?;
        output.print(&answer, |all: Tokens| {
            let header = [
                "id",
                "name",
                "scopes",
                "environments",
                "created",
                "expires",
                "old texts until",
            ];
            table(header, all.tokens.iter().map(row))
        })
    }
}

impl Revoke {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "tokens", &self.id]);
        url.query_pairs_mut()
            .append_pair("reason", self.write.reason.as_str());
        let write = Write {
            method: Method::DELETE,
            url,
            body: None,
            if_match: None,
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, |written: TokenWritten| {
            let done = match written.outcome.as_str() {
                "committed" => format!("token {} is revoked", self.id),
                outcome => format!("token {}: {outcome}", self.id),
            };
            with_notice(done, written.notice.as_deref())
        })
    }
}

async fn repair(args: RepairArgs, output: Output) -> Result<(), Failure> {
    let answer = args
        .send(&AggregateKey::Access, &["v1", "access", "repair"])
        .await?;
    receipt::print(output, &answer, |written: AccessWritten| {
        let done = match written.outcome.as_str() {
            "committed" => "done".to_owned(),
            outcome => outcome.to_owned(),
        };
        let (revision, count) = (written.revision, written.tokens.len());
        format!("{done}: access is at revision {revision}, tokens: {count}")
    })
}

fn describe_new(name: &Actor, made: &NewToken) -> String {
    let id = &made.id;
    let text = match &made.token {
        Some(text) => {
            format!(
                "token {name} ({id}) is made; keep its text now, it is not shown again:\n{text}"
            )
        }
        None => format!("token {name} ({id}) was made before"),
    };
    with_notice(text, made.notice.as_deref())
}

fn with_notice(text: String, notice: Option<&str>) -> String {
    match notice {
        Some(notice) => format!("{text}\nnote: {notice}"),
        None => text,
    }
}

fn row(token: &api::Token) -> [String; 7] {
    [
        token.id.clone(),
        token.name.clone(),
        token.scopes.join(", "),
        token
            .environments
            .as_ref()
            .map_or_else(|| "all".to_owned(), |names| names.join(", ")),
        token.created_at.clone(),
        token
            .expires_at
            .clone()
            .unwrap_or_else(|| "never".to_owned()),
        token.retiring.join(", "),
    ]
}
