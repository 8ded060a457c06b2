//! Why a call goes where it goes, now or then.

mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rand::RngExt as _;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, environment_name};
use super::history;
use super::moment::Moment;
use crate::domain::Environment;
use crate::domain::access::Scope;
use crate::domain::decision::{self, Bucket, Compiled};
use crate::domain::ids::EnvironmentName;
use crate::http::problem::{Problem, ProblemSchema};
use crate::http::{Listener, body};
use view::ExplanationView;

/// A call to explain. Every member may be left out, empty or null, as in a decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// Id of the conversation. Without one the bucket is drawn, as in a decision.
    #[schema(example = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e")]
    conversation_id: Option<String>,
    /// Label of the flow version the call has already been in.
    flow_version: Option<String>,
    /// The caller's number. Compared with the overrides, never kept.
    #[schema(example = "+4930123456")]
    ani: Option<String>,
    /// The dialled number, likewise.
    dnis: Option<String>,
    /// A revision, or a time (RFC 3339); now if left out. Overrides are judged at that time, or at that of the revision.
    #[schema(example = "2026-01-31T12:00:00Z")]
    at: Option<Moment>,
}

impl Question {
    fn call(&self) -> decision::Request<'_> {
        decision::Request {
            conversation_id: self.conversation_id.as_deref().unwrap_or_default(),
            flow_version: self.flow_version.as_deref().unwrap_or_default(),
            ani: self.ani.as_deref().unwrap_or_default(),
            dnis: self.dnis.as_deref().unwrap_or_default(),
        }
    }
}

/// What a call is decided by.
struct Basis {
    environment: Environment,
    compiled: Compiled,
    time: Timestamp,
    fault: Option<String>,
}

/// Explains a decision. Nothing is decided or counted.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/explain",
    tag = "environments",
    summary = "Why a call goes where it goes, rule by rule",
    params(("environment" = EnvironmentName, Path)),
    request_body = Question,
    responses(
        (status = 200, description = "What each rule says of the call", body = ExplanationView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn explain(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let question: Question = body::parse(&body)?;
    let freshness = freshen(&listener).await?;
    let basis = match question.at {
        Some(moment) => then(&listener, name, moment).await?,
        None => now(&listener, &name)?,
    };
    let draw = Bucket::of(rand::rng().random());
    let explanation = decision::explain(&basis.compiled, &question.call(), basis.time, draw);
    Ok(Json(ExplanationView::new(&basis, &explanation, freshness)).into_response())
}

fn now(listener: &Listener, name: &EnvironmentName) -> Result<Basis, Problem> {
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot
        .environments
        .get(name)
        .ok_or_else(Problem::no_environment)?;
    Ok(Basis {
        environment: served.environment.clone(),
        compiled: served.compiled.clone(),
        time: listener.clock.now(),
        fault: served.fault.clone(),
    })
}

async fn then(
    listener: &Listener,
    name: EnvironmentName,
    moment: Moment,
) -> Result<Basis, Problem> {
    let past = history::at(listener, &name, moment).await?;
    Ok(Basis {
        compiled: Compiled::new(name, past.revision, &past.environment),
        environment: past.environment,
        time: match moment {
            Moment::Revision(_) => past.committed_at,
            Moment::Time(time) => time,
        },
        fault: None,
    })
}
