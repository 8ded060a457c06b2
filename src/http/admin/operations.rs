//! Looking at the deployment: its replicas, its journal.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use crate::domain::access::Scope;
use crate::domain::ids::Sequence;
use crate::http::Listener;
use crate::http::problem::{Problem, ProblemSchema};
use crate::store::verify::Verification;

/// The replicas that are alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplicaList {
    /// In the order of their ids.
    replicas: Vec<ReplicaView>,
}

/// A replica, as its last heartbeat has it.
#[derive(Debug, Serialize, ToSchema)]
struct ReplicaView {
    /// Its id, new at every start.
    replica: String,
    /// The last journal entry it had applied.
    sequence: Sequence,
    /// Version of its binary.
    version: String,
    /// When it started.
    started_at: Timestamp,
}

/// Lists the replicas.
#[utoipa::path(
    get,
    path = "/v1/replicas",
    operation_id = "list_replicas",
    tag = "operations",
    summary = "The replicas that are alive",
    responses(
        (status = 200, description = "The replicas", body = ReplicaList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn replicas(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, None)?;
    let replicas = listener
        .replica
        .live_replicas()
        .into_iter()
        .map(|heartbeat| ReplicaView {
            replica: heartbeat.replica,
            sequence: heartbeat.sequence,
            version: heartbeat.version,
            started_at: heartbeat.started_at,
        });
    Ok(Json(ReplicaList {
        replicas: replicas.collect(),
    })
    .into_response())
}

/// Verifies the journal.
#[utoipa::path(
    get,
    path = "/v1/journal/verification",
    operation_id = "verify_journal",
    tag = "operations",
    summary = "Read the whole journal and say what is wrong with it; may take minutes",
    responses(
        (status = 200, description = "What was found", body = Verification),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn verify(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    Ok(Json(listener.replica.store().verify().await?).into_response())
}
