//! Requests that belong to a trace. What is logged of one names it (`request{trace_id=…}`), a problem document does too, and if spans
//! are exported a change has one, below the span of its caller.
//!
//! Decisions are no part of this: they pay nothing for it. Only one that cannot be made looks whether it belongs to a trace.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Answering;
use super::problem::{Kind, Problem};
use crate::telemetry::spans;
use crate::telemetry::trace_context::{TraceId, TraceParent};

tokio::task_local! {
    /// The trace of the request that is being answered.
    static TRACE: TraceId;
}

/// Whether requests to a listener have spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spans {
    /// Those that may change something.
    OfChanges,
    /// None has: there are too many.
    None,
}

/// The span of a request, for the layer that knows its route.
#[derive(Debug, Clone)]
struct Exported(Span);

/// The trace of the request that is being answered, if it belongs to one.
pub(super) fn current() -> Option<TraceId> {
    TRACE.try_with(|trace| *trace).ok()
}

/// Answers `request` as a part of its trace.
pub(super) fn answer(
    mut request: http::Request<Body>,
    spans: Spans,
    service: impl FnOnce(http::Request<Body>) -> Answering,
) -> Answering {
    let parent = TraceParent::of(request.headers());
    let has_span = spans == Spans::OfChanges && !request.method().is_safe() && spans::are_made();
    let span = has_span.then(|| begin(&request, parent));
    let of_span = span.as_ref().and_then(spans::trace_of);
    let Some(trace) = of_span.or(parent.map(TraceParent::trace)) else {
        return service(request);
    };
    let logged = tracing::info_span!("request", trace_id = %trace);
    let Some(span) = span else {
        return Box::pin(TRACE.scope(trace, service(request)).instrument(logged));
    };
    request.extensions_mut().insert(Exported(span.clone()));
    let answering = TRACE.scope(trace, service(request)).instrument(logged);
    let answering = async move {
        let Ok(response) = answering.await;
        let (span, status) = (Span::current(), response.status());
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        Ok(response)
    };
    Box::pin(answering.instrument(span))
}

/// The span of a request, named as OpenTelemetry names those of HTTP servers.
fn begin(request: &http::Request<Body>, parent: Option<TraceParent>) -> Span {
    let span = tracing::debug_span!(
        target: spans::TARGET,
        "request",
        "otel.kind" = "server",
        "otel.name" = %request.method(),
        "otel.status_code" = Empty,
        "http.request.method" = %request.method(),
        "http.route" = Empty,
        "http.response.status_code" = Empty,
        "url.path" = request.uri().path(),
    );
    if let Some(parent) = parent {
        spans::adopt(&span, parent);
    }
    span
}

/// The layer that names the span of a request by its route, which the router has found.
pub(super) async fn name_span(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(Exported(span)), Some(route)) = (extensions.get(), extensions.get::<MatchedPath>())
    {
        spans::rename(span, format!("{} {}", request.method(), route.as_str()));
        span.record("http.route", route.as_str());
    }
    next.run(request).await
}

/// A decision's `problem`, told to a caller with these headers: under its trace, if it names one. The log says so too if the caller
/// records the trace; strangers write nothing into it.
pub(super) fn told(headers: &HeaderMap, problem: Problem) -> Problem {
    let Some(parent) = TraceParent::of(headers) else {
        return problem;
    };
    let (trace_id, kind) = (parent.trace(), problem.kind());
    if parent.is_sampled() && kind != Kind::Unauthenticated {
        tracing::info!(%trace_id, problem = kind.name(), "a call got no answer");
    }
    problem.of_trace(trace_id)
}
