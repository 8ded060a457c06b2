//! Taking along what a replica knows: to ship it with a deployment, or to recover a journal from.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::extract::Query;
use crate::domain::access::Scope;
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::replica::follower::Follower;

/// What will do.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Freshness {
    /// Whether what this replica remembers will do if the journal cannot be read to its end; false if left out.
    #[serde(default)]
    stale: bool,
}

/// Exports a snapshot.
#[utoipa::path(
    get,
    path = "/v1/snapshot",
    operation_id = "export_snapshot",
    tag = "operations",
    summary = "Everything that decisions are made from, token hashes included, as a file",
    description = "The file is what `serve --default-snapshot` and `journal recover --from` take.",
    params(Freshness),
    responses(
        (status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn export(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Query(Freshness { stale }): Query<Freshness>,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let position = listener.replica.catch_up().await;
    if !stale {
        position?;
    }
    let saved = listener.replica.look(Follower::save);
    let saved = saved.ok_or_else(Problem::not_ready)?;
    // Megabytes of JSON and their hash would hold up the calls that share this thread.
    let bytes = tokio::task::spawn_blocking(move || saved.to_bytes()).await;
    let bytes = bytes.map_err(|error| {
        tracing::error!(%error, "a snapshot could not be exported");
        Problem::new(
            Kind::Internal,
            "the snapshot could not be made; the log says why",
        )
    })?;
    let media_type = HeaderValue::from_static("application/octet-stream");
    Ok(([(CONTENT_TYPE, media_type)], bytes).into_response())
}
