//! Looking at the deployment: its replicas.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::view::milliseconds;
use crate::domain::access::Scope;
use crate::domain::ids::Sequence;
use crate::http::Listener;
use crate::http::problem::{Problem, ProblemSchema};
use crate::store::heartbeats::{Peer, Presence};

/// The replicas of the last 24 hours that have not ended in good order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplicaList {
    /// The last journal entry that this replica has applied.
    head: Sequence,
    /// In the order of their ids.
    replicas: Vec<ReplicaView>,
}

/// A replica, as its last heartbeat has it.
#[derive(Debug, Serialize, ToSchema)]
struct ReplicaView {
    /// Its id, new at every start.
    replica: String,
    /// Whether its heartbeat moved in the last 6 seconds. If not, it was killed, or it is cut off and answers calls by what
    /// it knew.
    live: bool,
    /// The last journal entry that it has acknowledged: what it decides by, and what a restart without the store would serve.
    sequence: Sequence,
    /// How many journal entries it is behind `head`.
    lag: u64,
    /// Milliseconds since its heartbeat was last seen to move.
    age_ms: u64,
    /// Version of its binary.
    version: String,
    /// When it started.
    started_at: Timestamp,
    /// The alarms that it raised when it wrote the heartbeat; its own `/v1/health/detail` and its log say why.
    alarms: Vec<String>,
}

/// Lists the replicas.
#[utoipa::path(
    get,
    path = "/v1/replicas",
    operation_id = "list_replicas",
    tag = "operations",
    summary = "The replicas, and how far each has come",
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
    let replica = &listener.replica;
    let head = replica.look(|follower| follower.position.last);
    let head = head.ok_or_else(Problem::not_ready)?;
    let now = listener.clock.monotonic();
    let replicas = replica
        .peers()
        .into_iter()
        .filter_map(|peer| ReplicaView::new(peer, head, now))
        .collect();
    Ok(Json(ReplicaList { head, replicas }).into_response())
}

impl ReplicaView {
    /// `None` for one that has ended in good order.
    fn new(peer: Peer, head: Sequence, now: Duration) -> Option<Self> {
        let live = match peer.presence(now) {
            Presence::Live => true,
            Presence::Silent => false,
            Presence::Ended => return None,
        };
        let age = now.saturating_sub(peer.moved_at);
        let heartbeat = peer.heartbeat;
        Some(Self {
            replica: heartbeat.replica,
            live,
            sequence: heartbeat.sequence,
            lag: head.0.saturating_sub(heartbeat.sequence.0),
            age_ms: milliseconds(age),
            version: heartbeat.version,
            started_at: heartbeat.started_at,
            alarms: heartbeat.alarms,
        })
    }
}
