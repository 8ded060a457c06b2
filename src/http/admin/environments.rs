//! Looking at environments.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::extract::{Path, Query, environment_name};
use super::history;
use super::moment::Moment;
use super::view::{EnvironmentView, Freshness, milliseconds, with_etag};
use crate::domain::access::Scope;
use crate::domain::ids::EnvironmentName;
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::replica::Served;

/// All environments that the caller may see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvironmentList {
    /// In the order of their names.
    environments: Vec<EnvironmentView>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// One environment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreshEnvironment {
    #[serde(flatten)]
    environment: EnvironmentView,
    #[serde(flatten)]
    freshness: Freshness,
}

/// Lists the environments.
#[utoipa::path(
    get,
    path = "/v1/environments",
    operation_id = "list_environments",
    tag = "environments",
    summary = "All environments that the token may read",
    responses(
        (status = 200, description = "The environments", body = EnvironmentList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    let freshness = freshen(&listener).await?;
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let visible = snapshot
        .environments
        .iter()
        .filter(|(name, _)| caller.may(Scope::Read, Some(name.as_str())));
    let mut visible: Vec<_> = visible.collect();
    visible.sort_by_key(|(name, _)| *name);
    let now = listener.clock.now();
    let environments = visible
        .into_iter()
        .map(|(name, served)| view(name, served, now))
        .collect();
    Ok(Json(EnvironmentList {
        environments,
        freshness,
    })
    .into_response())
}

/// When to look.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// A revision, or a time (RFC 3339); now if left out.
    #[param(value_type = Option<Moment>)]
    at: Option<String>,
}

/// Shows one environment, now or then.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}",
    operation_id = "show_environment",
    tag = "environments",
    summary = "One environment, as it is or as it was",
    params(("environment" = EnvironmentName, Path), At),
    responses(
        (status = 200, description = "The environment", body = FreshEnvironment),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(At { at }): Query<At>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let freshness = freshen(&listener).await?;
    let (revision, environment) = match at {
        Some(at) => {
            let moment = at.parse().map_err(|error| {
                Problem::new(Kind::BadRequest, format!("parameter at: {error}"))
            })?;
            let past = history::at(&listener, &name, moment).await?;
            let (revision, at) = (past.revision, past.committed_at);
            let then = EnvironmentView::new(name, revision, &past.environment, at);
            (revision, then)
        }
        None => {
            let snapshot = listener.replica.snapshot();
            let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
            let served = snapshot
                .environments
                .get(&name)
                .ok_or_else(Problem::no_environment)?;
            (served.revision, view(&name, served, listener.clock.now()))
        }
    };
    Ok(with_etag(
        revision,
        Json(FreshEnvironment {
            environment,
            freshness,
        })
        .into_response(),
    ))
}

fn view(name: &EnvironmentName, served: &Served, now: Timestamp) -> EnvironmentView {
    EnvironmentView::new(name.clone(), served.revision, &served.environment, now)
        .with_fault(served.fault.clone())
}

/// Reads the journal to its end, so that what is shown includes every change acknowledged before; if the store is away,
/// says how old what is shown is.
pub(super) async fn freshen(listener: &Listener) -> Result<Freshness, Problem> {
    match listener.replica.catch_up().await {
        Ok(_) => Ok(Freshness {
            stale: false,
            age_ms: Some(0),
        }),
        Err(error) if listener.replica.snapshot().is_none() => Err(error.into()),
        Err(_) => Ok(Freshness {
            stale: true,
            age_ms: listener.replica.age().map(milliseconds),
        }),
    }
}
