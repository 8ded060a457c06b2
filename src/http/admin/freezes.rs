//! Freeze windows: times in which nobody moves callers towards a candidate.

pub(super) mod deployment;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Caller, require_if_match};
use super::commands::{Because, execute};
use super::environments::freshen;
use super::extract::{Path, Query, environment_name};
use super::receipt::WriteParams;
use super::time;
use super::view::{FreezeView, Freshness, WriteView, with_etag};
use crate::domain::access::Scope;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::ids::{EnvironmentName, FreezeNumber};
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Kind, Problem, ProblemSchema};

/// When nobody moves callers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// When the window begins; at once if left out.
    #[serde(default, deserialize_with = "time::optional")]
    start: Option<Timestamp>,
    /// When it ends: the first moment that is free again.
    #[serde(deserialize_with = "time::required")]
    end: Timestamp,
}

/// The members of `Span`, and why.
pub(super) type SpanBody = WriteBody<Span>;

/// The freeze windows of an environment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreezeList {
    /// Its own windows, in the order in which they were added.
    freezes: Vec<FreezeView>,
    /// Those of the deployment, which hold here too.
    deployment: Vec<FreezeView>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// Lists the windows of an environment.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/freezes",
    operation_id = "list_freezes",
    tag = "freezes",
    summary = "When nobody moves callers in this environment",
    params(("environment" = EnvironmentName, Path)),
    responses(
        (status = 200, description = "The windows", body = FreezeList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let freshness = freshen(&listener).await?;
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot.environments.get(&name);
    let served = served.ok_or_else(Problem::no_environment)?;
    let now = listener.clock.now();
    let deployment = listener.replica.look(|follower| {
        let settings = follower.settings().state();
        settings.map(|settings| FreezeView::all(&settings.freezes, now))
    });
    let list = FreezeList {
        freezes: FreezeView::all(&served.environment.freezes, now),
        deployment: deployment.flatten().unwrap_or_default(),
        freshness,
    };
    Ok(with_etag(served.revision, Json(list).into_response()))
}

/// Adds a window to an environment.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/freezes",
    operation_id = "add_freeze",
    tag = "freezes",
    summary = "Let nobody move callers towards the candidate for a while; rollback, abort and pause work as ever",
    params(("environment" = EnvironmentName, Path), WriteParams),
    request_body = SpanBody,
    responses(
        (status = 200, description = "Done", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn add(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    caller.require(Scope::Operate, Some(&name))?;
    require_if_match(&head.headers)?;
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<Span>::parse(&body)?;
    let write = Write {
        members: AddFreeze {
            start: members.start,
            end: members.end,
            reason: reason.clone(),
        },
        reason,
    };
    execute(&listener, &caller, &name, &head.headers, write).await
}

/// Removes a window of an environment.
#[utoipa::path(
    delete,
    path = "/v1/environments/{environment}/freezes/{number}",
    operation_id = "remove_freeze",
    tag = "freezes",
    summary = "Remove a freeze window, whether it has begun or not",
    params(("environment" = EnvironmentName, Path), ("number" = FreezeNumber, Path), WriteParams, Because),
    responses(
        (status = 200, description = "Done, or nothing to do", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn remove(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path((name, number)): Path<(String, String)>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Operate, Some(&name))?;
    require_if_match(&headers)?;
    let write = Write {
        reason: because.reason()?,
        members: RemoveFreeze {
            number: freeze_number(&number)?,
        },
    };
    execute(&listener, &caller, &name, &headers, write).await
}

/// The number in a path; what is none names no window.
fn freeze_number(text: &str) -> Result<FreezeNumber, Problem> {
    let number = text.parse().map(FreezeNumber);
    number.map_err(|_| Problem::new(Kind::NotFound, "a freeze window has a whole number"))
}
