//! Repair: bringing back a state where the last one cannot be read. No `If-Match` is needed: what is repaired is what nobody
//! could have seen, and a second repair finds nothing to do.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::caller::Caller;
use super::extract::{Path, environment_name};
use super::freezes::deployment::SettingsWriteView;
use super::receipt::{self, FreeWriteParams, ReceiptView};
use super::tokens::TokenView;
use super::view::{WriteView, parts, with_etag};
use crate::control::Answer;
use crate::domain::Environment;
use crate::domain::access::{Access, Scope};
use crate::domain::ids::{AggregateKey, EnvironmentName, Reason, Revision, Sequence};
use crate::domain::repair::{Repair, Target};
use crate::domain::settings::Settings;
use crate::http::Listener;
use crate::http::body::{self, Write};
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::replica::follower::{Follower, Tracks};
use crate::store::format::{self, FormatError, Stored};

/// The state to go on with; the last one that could be read if neither is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepairMembers<W> {
    revision: Option<Revision>,
    state: Option<W>,
    #[serde(default)]
    discard_newer_format: bool,
}

/// The state to go on with, and why.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `Write::parse` reads")]
struct RepairBody {
    /// Go on with the state of this earlier revision; with the last one that could be read if neither this nor `state` is given.
    #[schema(required = false)]
    revision: Option<Revision>,
    /// Go on with this state, as it is stored and as exported snapshots have it, whole: nothing may contradict itself, and no
    /// member be unknown.
    #[schema(value_type = Option<Object>, required = false)]
    state: Option<Value>,
    /// Whether a state may be given up that only a newer version can read. The reason should say why.
    #[schema(required = false)]
    discard_newer_format: bool,
    /// Why, in one line.
    reason: Reason,
}

/// What a repair of the tokens came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessView {
    /// `committed`, or `repeated` (this very repair was committed before).
    outcome: &'static str,
    /// Where the record is in the journal.
    sequence: Option<Sequence>,
    /// The revision of access afterwards; also the ETag.
    revision: Revision,
    /// The tokens afterwards, without their texts.
    tokens: Vec<TokenView>,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

/// Repairs an environment.
#[utoipa::path(
    post,
    path = "/v1/environments/{environment}/repair",
    operation_id = "repair_environment",
    tag = "environments",
    summary = "Bring back a state where the last one cannot be read",
    params(("environment" = EnvironmentName, Path), FreeWriteParams),
    request_body = RepairBody,
    responses(
        (status = 200, description = "Done", body = WriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn environment(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, Some(&name))?;
    let name = environment_name(&name)?;
    let key = AggregateKey::Environment(name.clone());
    let (head, body) = request.into_parts();
    let answer = repair::<Environment>(&listener, &caller, &key, &head.headers, body).await?;
    let view = WriteView::new(name, &answer, listener.clock.now());
    Ok(view.into_response(StatusCode::OK))
}

/// Repairs access.
#[utoipa::path(
    post,
    path = "/v1/access/repair",
    operation_id = "repair_access",
    tag = "access",
    summary = "Bring back the tokens where their last state cannot be read",
    params(FreeWriteParams),
    request_body = RepairBody,
    responses(
        (status = 200, description = "Done", body = AccessView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn access(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let key = AggregateKey::Access;
    let answer = repair::<Access>(&listener, &caller, &key, &head.headers, body).await?;
    let (outcome, _, sequence) = parts(answer.outcome);
    let tokens = answer.state.iter().flat_map(|access| &access.tokens);
    let view = AccessView {
        outcome,
        sequence,
        revision: answer.revision,
        tokens: tokens
            .map(|(id, token)| TokenView::new(id, token))
            .collect(),
        saved: receipt::saved(&answer),
        receipt: answer.receipt.as_ref().map(ReceiptView::new),
    };
    Ok(with_etag(answer.revision, Json(view).into_response()))
}

/// Repairs the settings.
#[utoipa::path(
    post,
    path = "/v1/settings/repair",
    operation_id = "repair_settings",
    tag = "operations",
    summary = "Bring back the settings where their last state cannot be read",
    params(FreeWriteParams),
    request_body = RepairBody,
    responses(
        (status = 200, description = "Done", body = SettingsWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn settings(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let key = AggregateKey::Settings;
    let answer = repair::<Settings>(&listener, &caller, &key, &head.headers, body).await?;
    Ok(SettingsWriteView::of_repair(&listener, &answer).into_response())
}

async fn repair<A: Stored>(
    listener: &Listener,
    caller: &Caller,
    key: &AggregateKey,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer<A>, Problem>
where
    Follower: Tracks<A>,
{
    // A whole state, spaces between its members included, has to find room.
    let limit = listener.limits.admin_body_bytes.max(2 * A::MAX_STATE_BYTES);
    let body = body::read(headers, body, limit).await?;
    let (reason, repair) = read::<A>(&body)?;
    let request = caller.request(headers, reason)?;
    Ok(listener.control.repair(key, &repair, &request).await?)
}

fn read<A: Stored>(body: &[u8]) -> Result<(Reason, Repair<A>), Problem> {
    let Write { reason, members } = Write::<RepairMembers<A::Wire>>::parse(body)?;
    let to = match (members.revision, members.state) {
        (None, None) => Target::LastGood,
        (Some(revision), None) => Target::Revision(revision),
        (None, Some(wire)) => {
            let given = Write::<RepairMembers<Value>>::parse(body)?.members.state;
            let state = format::given(wire, &given.unwrap_or_default());
            Target::State(state.map_err(|error| unusable(&error))?)
        }
        (Some(_), Some(_)) => {
            let detail = "give a revision or a state, not both; neither is the last state that could be read";
            return Err(Problem::new(Kind::BadRequest, detail));
        }
    };
    let repair = Repair {
        to,
        discard_newer_format: members.discard_newer_format,
    };
    Ok((reason, repair))
}

/// What to tell of a state that is none.
fn unusable(error: &FormatError) -> Problem {
    let detail = match error {
        // All but the rollout, a document of its own, is read with the body.
        FormatError::Malformed { .. } => "member state: its rollout is none",
        FormatError::Inconsistent(what) => &format!("member state: {what}"),
        FormatError::Meaningless => {
            "member state: it has members that mean nothing here; give it as it is stored, in the newest format that this version \
             writes"
        }
    };
    Problem::new(Kind::BadRequest, detail)
}
