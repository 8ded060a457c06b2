//! `POST /v1/environments/{environment}/outcomes`: how calls ended. Acknowledged once it is stored.

mod report;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{asked, json};
use crate::domain::access::Scope;
use crate::evidence::{MOST_OUTCOMES, NotStored};
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::http::{Listener, body};
use crate::telemetry::OutcomeLabels;
use report::{OutcomesRequest, Report};

/// Room for as many outcomes as may come at once. One with every member takes some 200 bytes, or twice that with each member on a
/// line of its own.
const ROOM: usize = 512 * MOST_OUTCOMES;

/// Takes in how calls ended.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/outcomes",
    operation_id = "report_outcomes",
    tag = "decisions",
    summary = "How calls ended; answered once it is stored",
    params(("environment" = crate::domain::ids::EnvironmentName, Path)),
    request_body = OutcomesRequest,
    responses(
        (status = 200, description = "Stored", body = OutcomesAnswer),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub async fn report(
    State(listener): State<Arc<Listener>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let name = asked::environment_name(&head.uri, "/outcomes");
    asked::require(&listener, &head.headers, Scope::Report, name)?;
    let answer = store(&listener, name, &head.headers, body).await?;
    // A struct of numbers: nothing that JSON cannot say.
    Ok(json(serde_json::to_vec(&answer).unwrap_or_default()))
}

async fn store(
    listener: &Listener,
    name: &str,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<OutcomesAnswer, Problem> {
    let limit = listener.limits.admin_body_bytes.max(ROOM);
    let body = body::read(headers, body, limit).await?;
    let report = Report::parse(&body)?;
    let served = {
        let snapshot = listener.replica.snapshot();
        let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
        let served = snapshot.environments.get(name);
        Arc::clone(served.ok_or_else(Problem::no_environment)?)
    };
    let all = report.len();
    let outcomes = report.outcomes(
        &served.environment,
        &listener.flow_ends,
        listener.clock.now(),
    );
    let stored = outcomes.len();
    let ignored = all - stored;
    listener
        .metrics
        .outcomes
        .get_or_create(&OutcomeLabels { outcome: "ignored" })
        .inc_by(ignored as u64);
    listener.reports.store(served, outcomes).await?;
    Ok(OutcomesAnswer { stored, ignored })
}

impl From<NotStored> for Problem {
    fn from(error: NotStored) -> Self {
        let kind = match error {
            NotStored::Full => Kind::Overloaded,
            NotStored::Away => Kind::StoreUnavailable,
        };
        let detail = format!("{error}; report the same again, which counts once");
        Self::new(kind, detail)
    }
}

/// What became of a report. One flat object, every member always there and never null.
#[derive(Serialize, ToSchema)]
struct OutcomesAnswer {
    /// How many outcomes are stored.
    #[serde(rename = "Stored")]
    stored: usize,
    /// How many were not of interest: events of another kind, and good ends of flows that no slot is bound to.
    #[serde(rename = "Ignored")]
    ignored: usize,
}
