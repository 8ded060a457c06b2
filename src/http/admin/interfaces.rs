//! Interfaces as resources of their environment.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::{Caller, require_if_match};
use super::commands::{Because, execute};
use super::extract::{Path, Query};
use super::receipt::WriteParams;
use super::view::WriteView;
use crate::domain::access::Scope;
use crate::domain::command::{DefineInterface, RemoveInterface};
use crate::domain::ids::{EnvironmentName, InterfaceNumber};
use crate::domain::interface::Interface;
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Kind, Problem, ProblemSchema};

/// What an interface is, but for its number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// Its variables.
    variables: Interface,
}

/// The members of `Definition`, and why.
pub(super) type DefinitionBody = WriteBody<Definition>;

/// Defines an interface.
#[utoipa::path(
    put,
    path = "/v1/environments/{environment}/interfaces/{number}",
    operation_id = "define_interface",
    tag = "interfaces",
    summary = "Say which variables an interface has; it stays as it is once a flow version names it",
    params(("environment" = EnvironmentName, Path), ("number" = InterfaceNumber, Path), WriteParams),
    request_body = DefinitionBody,
    responses(
        (status = 200, description = "Done, or nothing to do", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn define(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path((name, number)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    caller.require(Scope::Operate, Some(&name))?;
    require_if_match(&head.headers)?;
    let number = interface_number(&number)?;
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<Definition>::parse(&body)?;
    let write = Write {
        reason,
        members: DefineInterface {
            number,
            variables: members.variables,
        },
    };
    execute(&listener, &caller, &name, &head.headers, write).await
}

/// Removes an interface.
#[utoipa::path(
    delete,
    path = "/v1/environments/{environment}/interfaces/{number}",
    operation_id = "remove_interface",
    tag = "interfaces",
    summary = "Remove an interface that no flow version names",
    params(("environment" = EnvironmentName, Path), ("number" = InterfaceNumber, Path), WriteParams, Because),
    responses(
        (status = 200, description = "Done", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn remove(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path((name, number)): Path<(String, String)>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Operate, Some(&name))?;
    require_if_match(&headers)?;
    let write = Write {
        reason: because.reason()?,
        members: RemoveInterface {
            number: interface_number(&number)?,
        },
    };
    execute(&listener, &caller, &name, &headers, write).await
}

/// The number in a path; what is none names no interface.
fn interface_number(text: &str) -> Result<InterfaceNumber, Problem> {
    let detail = "an interface has a whole number from 1";
    let number = text.parse().ok().map(InterfaceNumber);
    number
        .filter(|number| *number != InterfaceNumber::NONE)
        .ok_or_else(|| Problem::new(Kind::InterfaceNotFound, detail))
}
