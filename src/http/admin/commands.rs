//! The routes that change an environment: one per command, all through [`execute`].

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::caller::{Caller, require_if_match};
use super::extract::{Path, Query, environment_name};
use super::preflight::{self, CheckedWriteParams};
use super::receipt::{FreeWriteParams, WriteParams};
use super::view::WriteView;
use crate::control::Outcome;
use crate::domain::Environment;
use crate::domain::access::Scope;
use crate::domain::command::{
    AddOverride, Claim, Command, Create, Cutover, Delete, Rebind, Register, Release,
    RemoveOverride, Rollback, SetVariables, SetWeight,
};
use crate::domain::ids::{AggregateKey, EnvironmentName, Reason};
use crate::domain::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout,
};
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Kind, Problem, ProblemSchema};

/// Told after a slot is bound to another flow.
const REEXPORT: &str = "the transfer in the Traffic Cop flow still names the old flow: export the Traffic Cop flow again and publish it";

/// Names the body of each command in the description.
macro_rules! described {
    ($($name:ident: $members:ident),*) => {
        $(
            #[doc = concat!("The members of `", stringify!($members), "`, and why.")]
            pub(super) type $name = WriteBody<$members>;
        )*
    };
}

described!(
    CreateBody: Create, RegisterBody: Register, ClaimBody: Claim, ReleaseBody: Release, RebindBody: Rebind,
    CutoverBody: Cutover, RollbackBody: Rollback, WeightBody: SetWeight,
    AddOverrideBody: AddOverride, RemoveOverrideBody: RemoveOverride, VariablesBody: SetVariables,
    StartRolloutBody: StartRollout, PauseRolloutBody: PauseRollout, ResumeRolloutBody: ResumeRollout,
    PromoteRolloutBody: PromoteRollout, AbortRolloutBody: AbortRollout
);

/// Defines the handler of a command whose members are the body.
macro_rules! command {
    ($method:ident, $handler:ident, $path:literal, $members:ident as $body:ident, IfMatch::Required, $summary:literal $(, $tag:literal)?) => {
        command!(@ $method, $handler, $path, $members, $body, IfMatch::Required, WriteParams, $summary, [$($tag)?],);
    };
    ($method:ident, $handler:ident, $path:literal, $members:ident as $body:ident, IfMatch::Required, preflight, $summary:literal $(, $tag:literal)?) => {
        command!(@ $method, $handler, $path, $members, $body, IfMatch::Required, CheckedWriteParams, $summary, [$($tag)?],);
    };
    ($method:ident, $handler:ident, $path:literal, $members:ident as $body:ident, IfMatch::Optional, $summary:literal $(, $tag:literal)?) => {
        command!(@ $method, $handler, $path, $members, $body, IfMatch::Optional, FreeWriteParams, $summary, [$($tag)?],);
    };
    ($method:ident, $handler:ident, $path:literal, $members:ident as $body:ident, IfMatch::Optional, $summary:literal, $response:tt) => {
        command!(@ $method, $handler, $path, $members, $body, IfMatch::Optional, FreeWriteParams, $summary, [], $response,);
    };
    (@ $method:ident, $handler:ident, $path:literal, $members:ident, $body:ident, $precondition:expr, $params:ident, $summary:literal, [], $($response:tt,)?) => {
        command!(@ $method, $handler, $path, $members, $body, $precondition, $params, $summary, ["environments"], $($response,)?);
    };
    (@ $method:ident, $handler:ident, $path:literal, $members:ident, $body:ident, $precondition:expr, $params:ident, $summary:literal, [$tag:literal], $($response:tt,)?) => {
        #[utoipa::path(
            $method,
            path = $path,
            tag = $tag,
            summary = $summary,
            params(("environment" = EnvironmentName, Path), $params),
            request_body = $body,
            responses(
                $($response,)?
                (status = 200, description = "Done, or nothing to do", body = WriteView),
                (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
            ),
            security(("token" = [])),
        )]
        pub(super) async fn $handler(
            State(listener): State<Arc<Listener>>,
            caller: Caller,
            Path(name): Path<String>,
            request: Request,
        ) -> Result<Response, Problem> {
            let (head, body) = request.into_parts();
            from_body::<$members>(&listener, &caller, &name, &head.headers, body, $precondition).await
        }
    };
}

/// Whether a write has to say which revision it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfMatch {
    /// It has to.
    Required,
    /// It may.
    Optional,
}

command!(
    post,
    register,
    "/v1/environments/{environment}/register",
    Register as RegisterBody,
    IfMatch::Required,
    "Register the flow version that a slot now holds"
);
command!(
    post,
    claim,
    "/v1/environments/{environment}/claim",
    Claim as ClaimBody,
    IfMatch::Required,
    "Claim a slot before publishing to its flow"
);
command!(
    post,
    release,
    "/v1/environments/{environment}/release",
    Release as ReleaseBody,
    IfMatch::Required,
    "Give a claim back"
);
command!(
    post,
    rebind,
    "/v1/environments/{environment}/rebind",
    Rebind as RebindBody,
    IfMatch::Required,
    "Bind a slot to another flow"
);
command!(
    post,
    cutover,
    "/v1/environments/{environment}/cutover",
    Cutover as CutoverBody,
    IfMatch::Required,
    preflight,
    "Make the candidate active"
);
command!(
    post,
    rollback,
    "/v1/environments/{environment}/rollback",
    Rollback as RollbackBody,
    IfMatch::Optional,
    "Take new calls away from the version that should not have them"
);
command!(
    post,
    weight,
    "/v1/environments/{environment}/weight",
    SetWeight as WeightBody,
    IfMatch::Required,
    preflight,
    "Set the share of new calls that goes to the candidate"
);
command!(
    post,
    add_override,
    "/v1/environments/{environment}/add_override",
    AddOverride as AddOverrideBody,
    IfMatch::Required,
    "Send a tester's calls to one slot for a while"
);
command!(
    post,
    remove_override,
    "/v1/environments/{environment}/remove_override",
    RemoveOverride as RemoveOverrideBody,
    IfMatch::Required,
    "End a smoke-test override before its time"
);
command!(
    patch,
    set_variables,
    "/v1/environments/{environment}/variables",
    SetVariables as VariablesBody,
    IfMatch::Required,
    "Give variables values; those that are not named keep theirs"
);
command!(
    post,
    start_rollout,
    "/v1/environments/{environment}/rollout",
    StartRollout as StartRolloutBody,
    IfMatch::Required,
    preflight,
    "Start to ramp the candidate up by a plan",
    "rollouts"
);
command!(
    post,
    pause_rollout,
    "/v1/environments/{environment}/rollout/pause",
    PauseRollout as PauseRolloutBody,
    IfMatch::Optional,
    "Stop in the present step until somebody resumes",
    "rollouts"
);
command!(
    post,
    resume_rollout,
    "/v1/environments/{environment}/rollout/resume",
    ResumeRollout as ResumeRolloutBody,
    IfMatch::Required,
    "Go on in the step that was paused, from its beginning",
    "rollouts"
);
command!(
    post,
    promote_rollout,
    "/v1/environments/{environment}/rollout/promote",
    PromoteRollout as PromoteRolloutBody,
    IfMatch::Required,
    "Agree to leave the present step",
    "rollouts"
);
command!(
    post,
    abort_rollout,
    "/v1/environments/{environment}/rollout/abort",
    AbortRollout as AbortRolloutBody,
    IfMatch::Optional,
    "Give the candidate up: it takes no new calls",
    "rollouts"
);
command!(
    put,
    create,
    "/v1/environments/{environment}",
    Create as CreateBody,
    IfMatch::Optional,
    "Create an environment",
    (status = 201, description = "Created", body = WriteView)
);

/// Why, where there is no body to say it in.
#[derive(serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Because {
    /// Why, in one line.
    #[param(value_type = Reason)]
    reason: Option<String>,
}

impl Because {
    pub(super) fn reason(self) -> Result<Reason, Problem> {
        let text = self.reason.unwrap_or_default();
        text.parse()
            .map_err(|error| Problem::new(Kind::BadRequest, format!("parameter reason: {error}")))
    }
}

/// Deletes an environment.
#[utoipa::path(
    delete,
    path = "/v1/environments/{environment}",
    operation_id = "delete_environment",
    tag = "environments",
    summary = "Delete an environment; its history stays",
    params(("environment" = EnvironmentName, Path), WriteParams, Because),
    responses(
        (status = 200, description = "Done", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn delete(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Operate, Some(&name))?;
    require_if_match(&headers)?;
    let write = Write {
        reason: because.reason()?,
        members: Delete {},
    };
    execute(&listener, &caller, &name, &headers, write).await
}

async fn from_body<C: Into<Command> + DeserializeOwned>(
    listener: &Listener,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    precondition: IfMatch,
) -> Result<Response, Problem> {
    caller.require(Scope::Operate, Some(name))?;
    if precondition == IfMatch::Required {
        require_if_match(headers)?;
    }
    let body = body::read(headers, body, listener.limits.admin_body_bytes).await?;
    execute(listener, caller, name, headers, Write::<C>::parse(&body)?).await
}

/// Carries out the command that a write makes.
pub(super) async fn execute<C: Into<Command>>(
    listener: &Listener,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    write: Write<C>,
) -> Result<Response, Problem> {
    let name = environment_name(name)?;
    let command = write.members.into();
    let request = caller.request(headers, write.reason)?;
    let preflight = preflight::before(listener, caller, &name, &command, &request).await?;
    let key = AggregateKey::Environment(name.clone());
    let answer = listener
        .control
        .execute::<Environment>(&key, &command, &request)
        .await?;
    let is_new = matches!(
        (&command, answer.outcome),
        (Command::Create(_), Outcome::Committed(_))
    );
    let notice = matches!(command, Command::Rebind(_)).then_some(REEXPORT);
    let view = WriteView::new(name, &answer, listener.clock.now()).with_notice(notice);
    let view = view.with_preflight(preflight);
    Ok(view.into_response(if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    }))
}
