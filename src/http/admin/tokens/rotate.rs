//! Giving a token another text, while the present one goes on for those who still use it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokenWriteView;
use crate::access::token::TokenText;
use crate::domain::access::{Access, AccessCommand, Scope, TokenId};
use crate::domain::ids::AggregateKey;
use crate::http::Listener;
use crate::http::admin::caller::Caller;
use crate::http::admin::extract::Path;
use crate::http::admin::receipt::FreeWriteParams;
use crate::http::admin::time;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Problem, ProblemSchema};

/// How the texts of a token follow each other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation)]
pub(in crate::http::admin) struct RotationMembers {
    /// How long the present text goes on; it ends at once if left out, and when the token expires at the latest.
    #[serde(default, deserialize_with = "time::optional")]
    old_until: Option<Timestamp>,
    /// When the new text stops working; as the token did before if left out.
    #[serde(default, deserialize_with = "time::optional")]
    expires_at: Option<Timestamp>,
}

/// A rotation, and why.
type RotationBody = WriteBody<RotationMembers>;

/// Gives a token another text.
#[utoipa::path(
    post,
    path = "/v1/tokens/{id}/rotate",
    operation_id = "rotate_token",
    tag = "access",
    summary = "Give a token another text; it is shown this once",
    params(("id" = TokenId, Path), FreeWriteParams),
    request_body = RotationBody,
    responses(
        (status = 200, description = "Done, or done before by this very request", body = TokenWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(in crate::http::admin) async fn rotate(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(id): Path<TokenId>,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<RotationMembers>::parse(&body)?;
    let text = TokenText::draw();
    let command = AccessCommand::RotateToken {
        id: id.clone(),
        hash: text.hash(),
        old_until: members.old_until,
        expires_at: members.expires_at,
    };
    let request = caller.request(&head.headers, reason)?;
    let answer = listener
        .control
        .execute::<Access>(&AggregateKey::Access, &command, &request)
        .await?;
    Ok(Json(TokenWriteView::with_text(id, &answer, &text)).into_response())
}
