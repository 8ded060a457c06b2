//! Freeze windows of the deployment: they hold in every environment.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Span, SpanBody, freeze_number};
use crate::control::Answer;
use crate::domain::Unchanged;
use crate::domain::access::Scope;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::ids::{AggregateKey, FreezeNumber, Revision, Sequence};
use crate::domain::settings::{Settings, SettingsCommand};
use crate::http::Listener;
use crate::http::admin::caller::Caller;
use crate::http::admin::commands::Because;
use crate::http::admin::environments::freshen;
use crate::http::admin::extract::{Path, Query};
use crate::http::admin::receipt::{self, FreeWriteParams, ReceiptView};
use crate::http::admin::view::{FreezeView, Freshness, parts, with_etag};
use crate::http::admin::webhooks::WebhookView;
use crate::http::body::{self, Write};
use crate::http::problem::{Problem, ProblemSchema};

/// The freeze windows of the deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct DeploymentFreezes {
    /// The windows in the order in which they were added.
    freezes: Vec<FreezeView>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// What became of a change of the settings.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct SettingsWriteView {
    /// `committed`, `repeated` (this very write was committed before) or `unchanged`.
    outcome: &'static str,
    /// Why nothing had to change.
    because: Option<Unchanged>,
    /// Where the record is in the journal.
    sequence: Option<Sequence>,
    /// The revision of the settings afterwards; also the ETag.
    revision: Revision,
    /// The freeze windows of the deployment afterwards.
    freezes: Vec<FreezeView>,
    /// The webhooks afterwards, after a repair.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Vec<WebhookView>>,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

/// Lists the windows of the deployment.
#[utoipa::path(
    get,
    path = "/v1/freezes",
    operation_id = "list_deployment_freezes",
    tag = "freezes",
    summary = "When nobody moves callers in any environment",
    responses(
        (status = 200, description = "The windows", body = DeploymentFreezes),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(in crate::http::admin) async fn list_deployment(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require_somewhere(Scope::Read)?;
    let freshness = freshen(&listener).await?;
    let now = listener.clock.now();
    let found = listener.replica.look(|follower| {
        let settings = follower.settings();
        let freezes = settings.state().map(|settings| &settings.freezes);
        let views = freezes.map(|freezes| FreezeView::all(freezes, now));
        (settings.revision, views.unwrap_or_default())
    });
    let (revision, freezes) = found.ok_or_else(Problem::not_ready)?;
    let list = DeploymentFreezes { freezes, freshness };
    Ok(with_etag(revision, Json(list).into_response()))
}

/// Adds a window to the deployment.
#[utoipa::path(
    post,
    path = "/v1/freezes",
    operation_id = "add_deployment_freeze",
    tag = "freezes",
    summary = "Let nobody move callers towards a candidate in any environment for a while; rollback, abort and pause work as ever",
    params(FreeWriteParams),
    request_body = SpanBody,
    responses(
        (status = 200, description = "Done", body = SettingsWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(in crate::http::admin) async fn add_deployment(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    caller.require(Scope::Operate, None)?;
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<Span>::parse(&body)?;
    let write = Write {
        members: SettingsCommand::AddFreeze(AddFreeze {
            start: members.start,
            end: members.end,
            reason: reason.clone(),
        }),
        reason,
    };
    execute(&listener, &caller, &head.headers, write).await
}

/// Removes a window of the deployment.
#[utoipa::path(
    delete,
    path = "/v1/freezes/{number}",
    operation_id = "remove_deployment_freeze",
    tag = "freezes",
    summary = "Remove a freeze window of the deployment, whether it has begun or not",
    params(("number" = FreezeNumber, Path), FreeWriteParams, Because),
    responses(
        (status = 200, description = "Done, or nothing to do", body = SettingsWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(in crate::http::admin) async fn remove_deployment(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(number): Path<String>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Operate, None)?;
    let write = Write {
        reason: because.reason()?,
        members: SettingsCommand::RemoveFreeze(RemoveFreeze {
            number: freeze_number(&number)?,
        }),
    };
    execute(&listener, &caller, &headers, write).await
}

async fn execute(
    listener: &Listener,
    caller: &Caller,
    headers: &HeaderMap,
    write: Write<SettingsCommand>,
) -> Result<Response, Problem> {
    let request = caller.request(headers, write.reason)?;
    let answer = listener
        .control
        .execute::<Settings>(&AggregateKey::Settings, &write.members, &request)
        .await?;
    let view = SettingsWriteView::new(listener, &answer);
    Ok(view.into_response())
}

impl SettingsWriteView {
    /// What a change of the freeze windows came to.
    fn new(listener: &Listener, answer: &Answer<Settings>) -> Self {
        let (outcome, because, sequence) = parts(answer.outcome);
        let settings = answer.state.as_ref();
        let freezes =
            settings.map(|settings| FreezeView::all(&settings.freezes, listener.clock.now()));
        Self {
            outcome,
            because,
            sequence,
            revision: answer.revision,
            freezes: freezes.unwrap_or_default(),
            webhooks: None,
            saved: receipt::saved(answer),
            receipt: answer.receipt.as_ref().map(ReceiptView::new),
        }
    }

    /// What a repair came to: whoever may do that may see the webhooks.
    pub(in crate::http::admin) fn of_repair(
        listener: &Listener,
        answer: &Answer<Settings>,
    ) -> Self {
        let settings = answer.state.as_ref();
        Self {
            webhooks: Some(settings.map(WebhookView::all).unwrap_or_default()),
            ..Self::new(listener, answer)
        }
    }

    pub(in crate::http::admin) fn into_response(self) -> Response {
        with_etag(self.revision, Json(self).into_response())
    }
}
