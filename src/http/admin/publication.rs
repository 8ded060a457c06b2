//! What is published of a slot's flow, so that whoever registers a version can name it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, Query, environment_name};
use super::view::with_etag;
use crate::domain::access::Scope;
use crate::domain::command::Flow;
use crate::domain::ids::{EnvironmentName, PublishedVersion, Revision};
use crate::domain::slot::Slot;
use crate::http::Listener;
use crate::http::preflight::Published;
use crate::http::problem::{Kind, Problem, ProblemSchema};

/// Of which flow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The slot whose flow it is; the candidate if left out.
    #[param(inline, value_type = Option<Slot>)]
    slot: Option<String>,
}

/// What is published of a flow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublicationView {
    /// The environment.
    environment: EnvironmentName,
    /// Its revision; also the ETag.
    revision: Revision,
    /// The slot.
    slot: Slot,
    /// Its flow.
    flow: Flow,
    /// Whether that is known.
    outcome: OutcomeName,
    /// The published version as Genesys Cloud calls it; null unless it is known.
    published_version: Option<PublishedVersion>,
    /// Why there is none; null otherwise.
    because: Option<String>,
}

/// The outcome's name.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = PublicationOutcome)]
#[serde(rename_all = "snake_case")]
enum OutcomeName {
    /// It is.
    Known,
    /// Nothing is published.
    None,
    /// Genesys Cloud was asked in vain.
    Unknown,
    /// It was not asked.
    Skipped,
}

/// Says what is published.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/publication",
    operation_id = "show_publication",
    tag = "environments",
    summary = "Ask Genesys Cloud which version of a slot's flow is published",
    params(("environment" = EnvironmentName, Path), Of),
    responses(
        (status = 200, description = "What is published, or why that is not known", body = PublicationView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(Of { slot }): Query<Of>,
) -> Result<Response, Problem> {
    // It spends of what may be asked of Genesys Cloud, which rollouts need too.
    caller.require(Scope::Operate, Some(&name))?;
    let name = environment_name(&name)?;
    let slot = slot.map(|slot| parse_slot(&slot)).transpose()?;
    freshen(&listener).await?;
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot
        .environments
        .get(&name)
        .ok_or_else(Problem::no_environment)?;
    let slot = slot.unwrap_or(served.environment.candidate());
    let flow = served.environment.slots[slot].flow.clone();
    let published = listener.preflight.published(&flow.id).await;
    let view = PublicationView {
        environment: name,
        revision: served.revision,
        slot,
        flow,
        outcome: match &published {
            Published::Known(_) => OutcomeName::Known,
            Published::None(_) => OutcomeName::None,
            Published::Unknown(_) => OutcomeName::Unknown,
            Published::Skipped(_) => OutcomeName::Skipped,
        },
        because: published.because(),
        published_version: published.version(),
    };
    Ok(with_etag(served.revision, Json(view).into_response()))
}

fn parse_slot(text: &str) -> Result<Slot, Problem> {
    text.parse()
        .map_err(|_| Problem::new(Kind::BadRequest, "parameter slot: expected blue or green"))
}
