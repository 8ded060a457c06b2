//! Calls, as they come in at the decisions listener of one process, without its socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Request, StatusCode, request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use traffic_cop::access::Authenticator;
use traffic_cop::control::Control;
use traffic_cop::genesys::flow_end::FlowEnds;
use traffic_cop::http::dashboard::Dashboard;
use traffic_cop::http::preflight::Preflight;
use traffic_cop::http::{Listener, RequestLimits, decisions_router};

use super::Process;
use super::world::DRAIN_TIME;

/// Someone who has calls decided by one process.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Router);

/// What a call says about itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) conversation: &'a str,
    pub(crate) flow_version: &'a str,
}

/// What is decided about it, as far as tests look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) flow_version: String,
    pub(crate) reason: String,
    pub(crate) revision: u64,
    pub(crate) source: String,
}

impl Decided {
    /// Whether it holds every change acknowledged before the call.
    pub(crate) fn is_validated(&self) -> bool {
        self.source == "validated"
    }
}

impl Caller {
    pub(crate) fn of(process: &Process) -> Self {
        let control = Control::new(
            process.replica.clone(),
            process.clock.clone(),
            process.metrics.clone(),
            DRAIN_TIME,
        );
        let listener = Listener {
            replica: process.replica.clone(),
            control: Arc::new(control),
            authenticator: Authenticator::default().with_anonymous_decisions(),
            clock: process.clock.clone(),
            metrics: process.metrics.clone(),
            dashboard: Dashboard::default(),
            limits: RequestLimits::default(),
            load: Arc::default(),
            exposures: process.exposures.clone(),
            test_calls: process.test_calls.clone(),
            reports: process.reports.clone(),
            flow_ends: FlowEnds::default(),
            data_table: None,
            preflight: Preflight::default(),
            draining: CancellationToken::new(),
        };
        Self(decisions_router(Arc::new(listener)))
    }

    /// The answer from memory.
    pub(crate) async fn ask(&self, name: &str, call: Call<'_>) -> Decided {
        self.send(Request::builder(), name, call).await
    }

    /// The answer to a request that wants none from before it.
    pub(crate) async fn ask_afresh(&self, name: &str, call: Call<'_>) -> Decided {
        let head = Request::builder().header(CACHE_CONTROL, "no-cache");
        self.send(head, name, call).await
    }

    async fn send(&self, head: request::Builder, name: &str, call: Call<'_>) -> Decided {
        let body = json!({
            "Conversation_ID": call.conversation,
            "Flow_Version": call.flow_version,
        });
        let request = head
            .method("POST")
            .uri(format!("/v1/environments/{name}/decisions"))
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let Ok(response) = self.0.clone().oneshot(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.expect("a whole body");
        let answer: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert_eq!(status, StatusCode::OK, "{answer}");
        let text = |member: &str| answer[member].as_str().expect("a text").to_owned();
        Decided {
            flow_version: text("Flow_Version"),
            reason: text("Reason"),
            revision: answer["Revision"].as_u64().expect("a revision"),
            source: text("Source"),
        }
    }
}
