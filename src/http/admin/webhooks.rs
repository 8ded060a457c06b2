//! Webhooks: who is told of changes, and how far each has been told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::commands::Because;
use super::environments::freshen;
use super::extract::{Path, Query};
use super::receipt::{self, FreeWriteParams, ReceiptView};
use super::view::{Freshness, HeldUpView, parts, with_etag};
use crate::control::{Answer, Outcome};
use crate::domain::Unchanged;
use crate::domain::access::Scope;
use crate::domain::ids::{
    ActionName, AggregateKey, EnvironmentName, Revision, SecretName, Sequence, WebhookName,
    WebhookUrl,
};
use crate::domain::settings::{Settings, SettingsCommand};
use crate::domain::webhook::{AddWebhook, Webhook};
use crate::followers::webhooks::{KIND, cursor_name};
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::store::cursors::Cursor;

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct WebhookView {
    /// Its name.
    name: WebhookName,
    /// Where events are sent.
    url: WebhookUrl,
    /// The name of the secret that they are signed with.
    secret: SecretName,
    /// The environments whose changes it is told of; null is all changes.
    environments: Option<BTreeSet<EnvironmentName>>,
    /// The kinds of change that it is told of; null is all.
    actions: Option<BTreeSet<ActionName>>,
    /// The journal entry that added it. It is told of what comes after.
    after: Sequence,
    /// How far it has been told; null if nobody has begun to, or if that cannot be read.
    delivery: Option<DeliveryView>,
}

/// How far a webhook has been told.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryView {
    /// The last journal entry that is dealt with: taken, or not for this webhook.
    through: Sequence,
    /// Journal entries after that. It may lag by a minute where there is nothing for this webhook.
    behind: u64,
    /// When it last took an event; null if it never has.
    taken_at: Option<Timestamp>,
    /// What holds it up; null if nothing does.
    held_up: Option<HeldUpView>,
}

/// All webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// The webhooks in the order of their names.
    webhooks: Vec<WebhookView>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// A new webhook, and why.
type WebhookBody = WriteBody<AddWebhook>;

/// What became of a request about a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookWriteView {
    /// `committed`, `repeated` (this very write was committed before) or `unchanged`.
    outcome: &'static str,
    /// Why nothing had to change.
    because: Option<Unchanged>,
    /// Where the record is in the journal.
    sequence: Option<Sequence>,
    /// The revision of the settings afterwards; also the ETag.
    revision: Revision,
    /// The name of the webhook.
    name: WebhookName,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

/// Lists the webhooks.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    operation_id = "list_webhooks",
    tag = "webhooks",
    summary = "Who is told of changes, and how far each has been told",
    responses(
        (status = 200, description = "The webhooks", body = WebhookList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let freshness = freshen(&listener).await?;
    let cursors = listener.replica.store().cursors(KIND).await;
    let cursors = cursors.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read how far webhooks have been told");
        BTreeMap::new()
    });
    let found = listener.replica.look(|follower| {
        let settings = follower.settings();
        let end = follower.position.last;
        let webhooks = settings.state().into_iter();
        let webhooks = webhooks.flat_map(|settings| settings.webhooks.iter());
        let views = webhooks.map(|(name, webhook)| {
            let cursor = cursors.get(&cursor_name(name, webhook));
            WebhookView::new(name, webhook, cursor, end)
        });
        (settings.revision, views.collect())
    });
    let (revision, webhooks) = found.ok_or_else(Problem::not_ready)?;
    let list = WebhookList {
        webhooks,
        freshness,
    };
    Ok(with_etag(revision, Json(list).into_response()))
}

/// Adds a webhook.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    operation_id = "add_webhook",
    tag = "webhooks",
    summary = "Tell somebody of every change from now on",
    params(FreeWriteParams),
    request_body = WebhookBody,
    responses(
        (status = 201, description = "Added", body = WebhookWriteView),
        (status = 200, description = "Added before, by this very request", body = WebhookWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn add(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<AddWebhook>::parse(&body)?;
    let name = members.name.clone();
    let write = Write {
        reason,
        members: SettingsCommand::AddWebhook(members),
    };
    execute(&listener, &caller, &head.headers, name, write).await
}

/// Removes a webhook.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{name}",
    operation_id = "remove_webhook",
    tag = "webhooks",
    summary = "Tell it of no more changes, those included that it was not told of yet",
    params(("name" = WebhookName, Path), FreeWriteParams, Because),
    responses(
        (status = 200, description = "Removed, or nothing to do", body = WebhookWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn remove(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let reason = because.reason()?;
    let name: WebhookName = name
        .parse()
        .map_err(|_| Problem::new(Kind::NotFound, "no webhook can have this name"))?;
    let write = Write {
        reason,
        members: SettingsCommand::RemoveWebhook(name.clone()),
    };
    execute(&listener, &caller, &headers, name, write).await
}

async fn execute(
    listener: &Listener,
    caller: &Caller,
    headers: &HeaderMap,
    name: WebhookName,
    write: Write<SettingsCommand>,
) -> Result<Response, Problem> {
    let request = caller.request(headers, write.reason)?;
    let answer = listener
        .control
        .execute::<Settings>(&AggregateKey::Settings, &write.members, &request)
        .await?;
    let is_new = matches!(write.members, SettingsCommand::AddWebhook(_))
        && matches!(answer.outcome, Outcome::Committed(_));
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let view = WebhookWriteView::new(name, &answer);
    let response = (status, Json(view)).into_response();
    Ok(with_etag(answer.revision, response))
}

impl WebhookWriteView {
    fn new(name: WebhookName, answer: &Answer<Settings>) -> Self {
        let (outcome, because, sequence) = parts(answer.outcome);
        Self {
            outcome,
            because,
            sequence,
            revision: answer.revision,
            name,
            saved: receipt::saved(answer),
            receipt: answer.receipt.as_ref().map(ReceiptView::new),
        }
    }
}

impl WebhookView {
    /// The webhooks of `settings`, without a word on how far they have been told.
    pub(in crate::http::admin) fn all(settings: &Settings) -> Vec<Self> {
        let webhooks = settings.webhooks.iter();
        webhooks
            .map(|(name, webhook)| Self::new(name, webhook, None, Sequence(0)))
            .collect()
    }

    fn new(name: &WebhookName, webhook: &Webhook, cursor: Option<&Cursor>, end: Sequence) -> Self {
        Self {
            name: name.clone(),
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            environments: webhook.environments.clone(),
            actions: webhook.actions.clone(),
            after: webhook.after,
            delivery: cursor.map(|cursor| DeliveryView::new(cursor, end)),
        }
    }
}

impl DeliveryView {
    fn new(cursor: &Cursor, end: Sequence) -> Self {
        Self {
            through: cursor.sequence,
            behind: end.0.saturating_sub(cursor.sequence.0),
            taken_at: cursor.taken_at,
            held_up: cursor.obstacle.as_ref().map(HeldUpView::new),
        }
    }
}
