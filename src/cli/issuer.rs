//! `issuer add`, `issuer list` and `issuer remove`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::api::{self, IssuerWritten, Issuers};
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use super::receipt;
use super::write::{Write, WriteArgs};
use crate::domain::access::Scope;
use crate::domain::ids::{
    Audience, ClaimName, ClaimPattern, EnvironmentName, IssuerName, IssuerUrl,
};

#[derive(Debug, Subcommand)]
pub(super) enum Issuer {
    /// Let in pipelines that present a token of an issuer, such as GitHub Actions, which says what is named here.
    Add(Add),
    /// List whose tokens are taken, and whether their keys are at hand.
    List(List),
    /// Let those pipelines in no longer.
    Remove(Remove),
}

/// Arguments of `issuer add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the entry. Several entries may be about one issuer.
    #[arg(value_name = "NAME")]
    name: IssuerName,
    /// The issuer, as its tokens name it in `iss`.
    #[arg(long, value_name = "URL")]
    url: IssuerUrl,
    /// Whom a token has to be for: its `aud`.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Audience,
    /// What a token has to say, as in `repository=acme/ivr`; with `*` at the end, how that begins. May be given again.
    #[arg(long = "claim", required = true, value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(ClaimName, ClaimPattern)>,
    /// What its holder may do: decide, report, read, operate or admin; several with commas.
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
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `issuer list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `issuer remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the entry, as `issuer list` shows it.
    #[arg(value_name = "NAME")]
    name: IssuerName,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Issuer {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Remove(remove) => remove.run(output).await,
        }
    }
}

fn claim(text: &str) -> Result<(ClaimName, ClaimPattern), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let value = value.parse().map_err(|error| format!("{error}"))?;
    Ok((name, value))
}

impl Add {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let mut claims = BTreeMap::new();
        for (name, value) in self.claims {
            if claims.insert(name, value).is_some() {
                return Err(Failure::usage(
                    "a claim is named twice; one entry asks for one value each",
                ));
            }
        }
        let client = self.admin.client()?;
        let body = json!({
            "name": self.name,
            "url": self.url,
            "audience": self.audience,
            "claims": claims,
            "scopes": self.scopes,
            "environments": self.environments,
            "reason": self.write.reason,
        });
        let write = Write {
            method: Method::POST,
            url: client.url(&["v1", "issuers"]),
            body: Some(body),
            if_match: None,
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        let url = self.url;
        receipt::print(output, &answer, |written| {
            told(
                &self.name,
                &written,
                &format!("tokens of {url} that fit it are taken"),
            )
        })
    }
}

impl List {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(client.url(&["v1", "issuers"])).await?;
        output.print(&answer, |all: Issuers| {
            let header = [
                "name",
                "issuer",
                "audience",
                "claims",
                "scopes",
                "environments",
                "keys",
            ];
            table(header, all.issuers.iter().map(row))
        })
    }
}

impl Remove {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut url = client.url(&["v1", "issuers", self.name.as_str()]);
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
        receipt::print(output, &answer, |written| {
            told(&self.name, &written, "it lets nobody in any more")
        })
    }
}

fn told(name: &IssuerName, written: &IssuerWritten, done: &str) -> String {
    match written.outcome.as_str() {
        "committed" => format!("issuer {name}: {done}"),
        outcome => format!("issuer {name}: {outcome}"),
    }
}

fn row(issuer: &api::Issuer) -> [String; 7] {
    let claims = issuer.claims.iter();
    let claims: Vec<_> = claims
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    [
        issuer.name.clone(),
        issuer.url.clone(),
        issuer.audience.clone(),
        claims.join(", "),
        issuer.scopes.join(", "),
        issuer
            .environments
            .as_ref()
            .map_or_else(|| "all".to_owned(), |names| names.join(", ")),
        issuer.keys.to_string(),
    ]
}
