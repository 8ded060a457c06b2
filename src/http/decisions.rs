//! `POST /v1/environments/{environment}/decisions`: which slot takes this call.
//!
//! The hot path. It takes the request whole instead of through extractors, authenticates and counts in place instead of in
//! layers, and writes its answer into one buffer: each of those layers would cost as much as the decision.

mod answer;
mod asked;
mod input;
pub mod outcomes;
#[cfg(test)]
mod tests;
pub mod variables;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use rand::RngExt;
use utoipa::{IntoParams, ToSchema};

use super::overload::Class;
use super::problem::{Problem, ProblemSchema};
use super::{Listener, NO_STORE};
use crate::domain::decision::{Bucket, Reason, Request as Call, decide};
use crate::domain::ids::{InterfaceNumber, VariableName};
use crate::domain::interface::VariableValue;
use asked::Asked;

/// How the path of this resource ends, after the environment's name.
const DECISIONS: &str = "/decisions";

/// Decides one call.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/decisions",
    tag = "decisions",
    summary = "Which flow takes this call",
    params(("environment" = crate::domain::ids::EnvironmentName, Path), DecisionParams),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "The flow that takes the call", body = DecisionAnswer),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security((), ("token" = [])),
)]
pub async fn decide_call(State(listener): State<Arc<Listener>>, request: Request) -> Response {
    let started = listener.clock.monotonic();
    // Caught here and not in a layer, which would cost a tenth of the whole answer.
    let answer = AssertUnwindSafe(answer_call(&listener, request)).catch_unwind();
    let response = match answer
        .await
        .unwrap_or_else(|cause| Err(super::broken(&*cause)))
    {
        Ok(body) => json(body),
        Err(problem) => problem.into_response(),
    };
    listener
        .metrics
        .decision_duration
        .observe(listener.clock.monotonic().saturating_sub(started));
    response
}

async fn answer_call(listener: &Listener, request: Request) -> Result<Vec<u8>, Problem> {
    if listener.load.is_too_late() {
        listener.metrics.edge.put_off(Class::Decision.name());
        return Err(Problem::overloaded());
    }
    asked::answer(listener, request, DECISIONS, |asked| {
        let Asked {
            served,
            input,
            source,
            ..
        } = asked;
        let call = Call {
            conversation_id: &input.conversation_id,
            flow_version: &input.flow_version,
            ani: &input.ani,
            dnis: &input.dnis,
        };
        let decision = decide(
            &served.compiled,
            &call,
            || listener.clock.now(),
            || Bucket::of(rand::rng().random()),
        );
        served.count(&decision, *source);
        listener.exposures.note(served, &decision);
        if decision.reason == Reason::Override {
            listener.test_calls.note(served, &call, decision.slot);
        }
        let interface = asked.interface(decision.interface);
        answer::render(&served.compiled, &decision, interface, *source)
    })
    .await
}

/// The header fields of every answer, made once: to copy them costs half of what it costs to put them together.
static FIELDS: LazyLock<HeaderMap> = LazyLock::new(|| {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, NO_STORE),
    ])
});

/// An answer with this JSON object.
fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = FIELDS.clone();
    response
}

/// Whether this is a request for a decision: what [`super::DecisionsService`] takes past the router.
pub(super) fn is_decision<B>(request: &http::Request<B>) -> bool {
    request.method() == Method::POST
        && !asked::environment_name(request.uri(), DECISIONS).is_empty()
}

/// Parameters of a decision.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `asked::answer` reads")]
struct DecisionParams {
    /// The interface whose variables follow; without it, and for a number that is not defined, that of the caller's
    /// `Flow_Version`.
    interface: Option<InterfaceNumber>,
}

/// What a caller says about its call. Every member may be left out, empty or null; unknown members are ignored.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `input::parse` reads")]
struct DecisionRequest {
    /// Id of the conversation; the same id gets the same answer while the weight does not cross it.
    #[schema(
        rename = "Conversation_ID",
        example = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e"
    )]
    conversation_id: Option<String>,
    /// Label of the flow version the call has already been in.
    #[schema(rename = "Flow_Version", example = "")]
    flow_version: Option<String>,
    /// The caller's number; `tel:` and `sip:` addresses are read too. Compared with the overrides, never kept.
    #[schema(rename = "ANI", example = "+4930123456")]
    ani: Option<String>,
    /// The dialled number, likewise.
    #[schema(rename = "DNIS", example = "+4930654321")]
    dnis: Option<String>,
}

/// Where the call goes. One flat object, every member always there and never null.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `answer::render` writes")]
struct DecisionAnswer {
    /// Id of the flow that takes this call.
    #[schema(rename = "Active_Flow_ID")]
    active_flow_id: String,
    /// Name of the flow that takes this call.
    #[schema(rename = "Active_Flow_Name")]
    active_flow_name: String,
    /// The same as the token that the Traffic Cop flow switches on.
    #[schema(rename = "Slot")]
    slot: crate::domain::slot::Slot,
    /// Label of the version in that slot.
    #[schema(rename = "Flow_Version")]
    flow_version: String,
    /// Percent of new calls that go to the candidate now.
    #[schema(rename = "Traffic_Weight")]
    traffic_weight: crate::domain::weight::Weight,
    /// The interface whose variables follow; 0 means none.
    #[schema(rename = "Schema_Version")]
    schema_version: InterfaceNumber,
    /// Whether the caller's `Flow_Version` was recognised; true if it was empty.
    #[schema(rename = "Flow_Version_Known")]
    flow_version_known: bool,
    /// The rule that decided: `override`, `affinity`, `weighted` or `active`.
    #[schema(rename = "Reason")]
    reason: String,
    /// The revision decided by.
    #[schema(rename = "Revision")]
    revision: u64,
    /// How fresh that revision is known to be: `validated`, `live`, `last-good` or `default`.
    #[schema(rename = "Source")]
    source: String,
    /// Every variable of the interface that `Schema_Version` names.
    #[serde(flatten)]
    variables: BTreeMap<VariableName, VariableValue>,
}
