//! Flows: what is published of each, and who is at work on it.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::page::Page;
use super::{Genesys, Shared, locked, not_found};

type Store = State<Arc<Mutex<Shared>>>;

impl Genesys {
    /// There is a flow of this id, with this version of it published and nobody at work on it.
    pub(crate) fn has_flow(&self, id: &str, name: &str, version: &str) {
        let flow = flow(id, name, version);
        self.locked().flows.insert(id.to_owned(), flow);
    }

    /// The flow has these members in place of those that it had.
    pub(crate) fn changes_flow(&self, id: &str, members: &Value) {
        let mut shared = self.locked();
        let flow = shared.flows.get_mut(id).and_then(Value::as_object_mut);
        let members = members.as_object().expect("members").clone();
        flow.expect("such a flow").extend(members);
    }

    /// There is no flow of this id any more.
    pub(crate) fn loses_flow(&self, id: &str) {
        self.locked().flows.remove(id);
    }
}

/// A published flow (`Flow`, `FlowVersion`, `Operation`).
fn flow(id: &str, name: &str, version: &str) -> Value {
    json!({
        "id": id,
        "name": name,
        "type": "INBOUNDCALL",
        "active": true,
        "system": false,
        "deleted": false,
        "publishedVersion": {
            "id": version,
            "name": version,
            "commitVersion": version,
            "configurationVersion": version,
            "type": "PUBLISH",
            "datePublished": "2026-01-05T08:00:00.000Z",
        },
        "currentOperation": {
            "id": "0c1f7c0e-0000-4000-8000-000000000000",
            "complete": true,
            "actionName": "PUBLISH",
            "actionStatus": "SUCCESS",
        },
        "selfUri": format!("/api/v2/flows/{id}"),
    })
}

/// Somebody has opened the flow to edit it (`lockedUser`).
pub(crate) fn locked_by(name: &str) -> Value {
    let id = "5f0c9a52-0000-4000-8000-000000000000";
    json!({ "lockedUser": { "id": id, "name": name, "selfUri": format!("/api/v2/users/{id}") } })
}

/// The flow is being published (`currentOperation`).
pub(crate) fn being_published() -> Value {
    json!({
        "currentOperation": {
            "id": "0c1f7c0e-0000-4000-8000-000000000001",
            "complete": false,
            "actionName": "PUBLISH",
            "actionStatus": "PENDING_GENERATION",
        },
    })
}

/// `GET /api/v2/flows/{id}`.
pub(super) async fn show(State(shared): Store, Path(id): Path<String>) -> Response {
    locked(&shared)
        .flows
        .get(&id)
        .map_or_else(not_found, |flow| Json(flow).into_response())
}

/// `GET /api/v2/flows`, by name.
pub(super) async fn search(State(shared): Store, Query(page): Query<Page>) -> Response {
    let found: Vec<_> = locked(&shared)
        .flows
        .values()
        .filter(|flow| page.name.as_deref().is_none_or(|name| flow["name"] == name))
        .cloned()
        .collect();
    page.of(&found)
}
