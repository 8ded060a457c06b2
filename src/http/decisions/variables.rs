//! `POST /v1/environments/{environment}/variables`: what a flow that runs already gets to read. Routes nobody, and counts as no
//! call.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use utoipa::ToSchema;

use super::{DecisionParams, DecisionRequest, answer, asked, json};
use crate::domain::ids::{InterfaceNumber, VariableName};
use crate::domain::interface::VariableValue;
use crate::http::Listener;
use crate::http::problem::{Problem, ProblemSchema};

/// Looks up the variables of the caller's interface.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/variables",
    operation_id = "look_up_variables",
    tag = "decisions",
    summary = "The variables that a flow reads, without a decision",
    params(("environment" = crate::domain::ids::EnvironmentName, Path), DecisionParams),
    request_body(content = DecisionRequest, description = "As for a decision; only `Flow_Version` counts"),
    responses(
        (status = 200, description = "The variables", body = VariablesAnswer),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security((), ("token" = [])),
)]
pub async fn look_up(
    State(listener): State<Arc<Listener>>,
    request: Request,
) -> Result<Response, Problem> {
    let body = asked::answer(&listener, request, "/variables", |asked| {
        let environment = &asked.served.compiled;
        let caller = environment.caller(&asked.input.flow_version);
        let interface = asked.interface(caller.interface);
        answer::render_variables(environment, caller, interface, asked.source)
    })
    .await?;
    Ok(json(body))
}

/// The variables of an interface. One flat object, every member always there and never null.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `answer::render_variables` writes")]
struct VariablesAnswer {
    /// Whether the caller's `Flow_Version` was recognised; true if it was empty.
    #[schema(rename = "Flow_Version_Known")]
    flow_version_known: bool,
    /// How fresh the revision is known to be: `validated`, `live` or `last-good`.
    #[schema(rename = "Source")]
    source: String,
    /// The interface whose variables follow; 0 means none.
    #[schema(rename = "Schema_Version")]
    schema_version: InterfaceNumber,
    /// The revision that the values are from.
    #[schema(rename = "Revision")]
    revision: u64,
    /// Every variable of that interface.
    #[serde(flatten)]
    variables: BTreeMap<VariableName, VariableValue>,
}
