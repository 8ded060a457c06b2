//! `webhook add`, `webhook list`, `webhook remove` and `webhook secret`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use http::Method;
use reqwest::Url;
use serde_json::{Value, json};

use super::api::{self, WebhookWritten, Webhooks};
use super::client::Client;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, table};
use super::receipt;
use super::write::{Write, WriteArgs};
use crate::domain::ids::{
    ActionName, EnvironmentName, Revision, SecretName, WebhookName, WebhookUrl,
};
use crate::followers::webhooks::signature;

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Tell somebody of every change from now on: a CloudEvent for each, signed, and again until it is taken.
    Add(Add),
    /// List who is told, how far each has been told, and what holds it up.
    List(List),
    /// Tell it of no more changes, those included that it was not told of yet.
    Remove(Remove),
    /// Draw a secret to sign with. It goes into the file that `serve --webhook-secrets-file` names, and to the receiver; nothing
    /// is sent and nothing is kept.
    Secret,
}

/// Arguments of `webhook add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: WebhookName,
    /// Where events are sent: https, or http to this host.
    #[arg(long, value_name = "URL")]
    url: WebhookUrl,
    /// Name of the secret that they are signed with; that of the webhook if left out.
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretName>,
    /// Environments whose changes it is told of; several with commas. All changes if left out, those of tokens and settings too.
    #[arg(
        long = "environment",
        value_delimiter = ',',
        value_name = "ENVIRONMENT"
    )]
    environments: Option<Vec<EnvironmentName>>,
    /// Kinds of change that it is told of, such as rollback; several with commas. All if left out.
    #[arg(long = "action", value_delimiter = ',', value_name = "ACTION")]
    actions: Option<Vec<ActionName>>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `webhook list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `webhook remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its name, as `webhook list` shows it.
    #[arg(value_name = "NAME")]
    name: WebhookName,
    #[command(flatten)]
    place: Place,
}

/// By what right, and on what condition.
#[derive(Debug, Args)]
struct Place {
    /// Revision of the settings that the change is meant for; another one refuses it.
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Webhook {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(output).await,
            Self::List(list) => {
                let client = list.admin.client()?;
                let answer = client.get(client.url(&["v1", "webhooks"])).await?;
                output.print(&answer, |all: Webhooks| describe(&all.webhooks))
            }
            Self::Remove(remove) => remove.run(output).await,
            Self::Secret => {
                let secret = signature::draw();
                output.print_own(&json!({ "secret": secret }), &secret)
            }
        }
    }
}

impl Add {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.place.admin.client()?;
        let url = client.url(&["v1", "webhooks"]);
        let body = json!({
            "name": self.name,
            "url": self.url,
            "secret": self.secret,
            "environments": self.environments.map(BTreeSet::from_iter),
            "actions": self.actions.map(BTreeSet::from_iter),
            "reason": self.place.write.reason,
        });
        let done = "it is told of every change from now on";
        let place = self.place;
        place
            .send(&client, Method::POST, url, Some(body), done, output)
            .await
    }
}

impl Remove {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.place.admin.client()?;
        let mut url = client.url(&["v1", "webhooks", self.name.as_str()]);
        url.query_pairs_mut()
            .append_pair("reason", self.place.write.reason.as_str());
        let done = "it is told of nothing any more";
        let place = self.place;
        place
            .send(&client, Method::DELETE, url, None, done, output)
            .await
    }
}

impl Place {
    async fn send(
        &self,
        client: &Client,
        method: Method,
        url: Url,
        body: Option<Value>,
        done: &str,
        output: Output,
    ) -> Result<(), Failure> {
        let write = Write {
            method,
            url,
            body,
            if_match: self.if_match.map(Revision),
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, |written: WebhookWritten| {
            let name = &written.name;
            match (written.outcome.as_str(), &written.because) {
                ("committed", _) => format!("webhook {name}: {done}"),
                (outcome, None) => format!("webhook {name}: {outcome}"),
                (_, Some(because)) => {
                    let because = because.replace('-', " ");
                    format!("webhook {name}: nothing to change: {because}")
                }
            }
        })
    }
}

/// The webhooks, one a line.
fn describe(webhooks: &[api::Webhook]) -> String {
    let all = |names: &Option<Vec<String>>| {
        names
            .as_ref()
            .map_or_else(|| "all".to_owned(), |names| names.join(", "))
    };
    let rows = webhooks.iter().map(|one| {
        let delivery = one.delivery.as_ref();
        let behind = delivery.map_or_else(|| "?".to_owned(), |told| told.behind.to_string());
        let held_up = delivery.and_then(|told| told.held_up.as_ref());
        let held_up = held_up.map(|met| format!("since {}: {}", met.since, met.why));
        [
            one.name.clone(),
            one.url.clone(),
            one.secret.clone(),
            all(&one.environments),
            all(&one.actions),
            behind,
            held_up.unwrap_or_default(),
        ]
    });
    let header = [
        "name",
        "url",
        "secret",
        "environments",
        "actions",
        "behind",
        "held up",
    ];
    table(header, rows)
}
