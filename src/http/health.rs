//! Liveness, readiness and metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::problem::{Kind, Problem};
use super::{Listener, NO_STORE};

/// The health routes, on both listeners.
pub(super) fn router() -> Router<Arc<Listener>> {
    Router::new()
        .route("/v1/health/live", get(live))
        .route("/v1/health/ready", get(ready))
}

/// The process answers. Says nothing about the store: a restart would not bring it back.
async fn live() -> Response {
    (
        [(CACHE_CONTROL, NO_STORE), (CONTENT_TYPE, JSON)],
        "{\"live\":true}",
    )
        .into_response()
}

/// Calls should be sent here: something is loaded, the other replicas can know, and the process is not on its way out.
async fn ready(State(listener): State<Arc<Listener>>) -> Response {
    if listener.is_ready() {
        (
            [(CACHE_CONTROL, NO_STORE), (CONTENT_TYPE, JSON)],
            "{\"ready\":true}",
        )
            .into_response()
    } else if listener.draining.is_cancelled() {
        Problem::new(Kind::NotReady, "this process is on its way out").into_response()
    } else {
        Problem::not_ready().into_response()
    }
}

/// Every metric, in OpenMetrics text.
pub(super) async fn metrics(State(listener): State<Arc<Listener>>) -> Response {
    let content_type = http::HeaderValue::from_static(
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    (
        [(CONTENT_TYPE, content_type)],
        listener.metrics.exposition(),
    )
        .into_response()
}

const JSON: http::HeaderValue = http::HeaderValue::from_static("application/json");
