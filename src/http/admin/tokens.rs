//! Tokens: making them, listing them, giving them another text, revoking them.

mod rotate;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::commands::Because;
use super::environments::freshen;
use super::extract::{Path, Query};
use super::receipt::{self, FreeWriteParams, ReceiptView};
use super::time;
use super::view::parts;
use crate::access::token::TokenText;
use crate::control::{Answer, Outcome};
use crate::domain::access::{Access, AccessCommand, Grant, Scope, Token, TokenId};
use crate::domain::ids::{Actor, AggregateKey, EnvironmentName, Revision};
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Problem, ProblemSchema};

pub(super) use rotate::{__path_rotate, rotate};

/// Told when a text was made before and is not at hand.
const SHOWN_ONCE: &str = "this text was made before; it was shown then and is kept nowhere. Rotate the token if it is lost";

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Its id.
    id: TokenId,
    /// The name under which it acts.
    name: Actor,
    /// What it may do.
    scopes: BTreeSet<Scope>,
    /// Where; null is everywhere.
    environments: Option<BTreeSet<EnvironmentName>>,
    /// When it was made.
    created_at: Timestamp,
    /// When it stops working; null is never.
    expires_at: Option<Timestamp>,
    /// When its earlier texts stop working, those that still work.
    retiring: Vec<Timestamp>,
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// The tokens.
    tokens: Vec<TokenView>,
}

/// What a new token may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Token)]
pub(super) struct TokenMembers {
    /// The name under which it acts; one token has it at a time.
    name: Actor,
    /// What it may do.
    #[schema(min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// Where; everywhere if left out.
    #[serde(default)]
    environments: Option<BTreeSet<EnvironmentName>>,
    /// When it stops working; never if left out.
    #[serde(default, deserialize_with = "time::optional")]
    expires_at: Option<Timestamp>,
}

/// A new token, and why.
type TokenBody = WriteBody<TokenMembers>;

/// What became of a request about a token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenWriteView {
    /// `committed`, `repeated` or `unchanged`.
    outcome: &'static str,
    /// The revision of access afterwards.
    revision: Revision,
    /// The token's id.
    id: TokenId,
    /// The token's text, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// What else there is to know.
    notice: Option<&'static str>,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

/// Lists the tokens.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    operation_id = "list_tokens",
    tag = "access",
    summary = "All tokens, without their texts",
    responses(
        (status = 200, description = "The tokens", body = TokenList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    freshen(&listener).await?;
    let tokens = listener.replica.look(|follower| {
        let tokens = follower.access().state().map(|access| &access.tokens);
        tokens
            .into_iter()
            .flatten()
            .map(|(id, token)| TokenView::new(id, token))
            .collect()
    });
    Ok(Json(TokenList {
        tokens: tokens.ok_or_else(Problem::not_ready)?,
    })
    .into_response())
}

/// Makes a token.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    operation_id = "create_token",
    tag = "access",
    summary = "Make a token; its text is shown this once",
    params(FreeWriteParams),
    request_body = TokenBody,
    responses(
        (status = 201, description = "Made", body = TokenWriteView),
        (status = 200, description = "Made before, by this very request", body = TokenWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn create(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<TokenMembers>::parse(&body)?;
    let text = TokenText::draw();
    let name = members.name.clone();
    let command = AccessCommand::CreateToken {
        name: members.name,
        hash: text.hash(),
        grant: Grant {
            scopes: members.scopes,
            reach: members.environments.into(),
        },
        expires_at: members.expires_at,
    };
    let request = caller.request(&head.headers, reason)?;
    let answer = listener
        .control
        .execute::<Access>(&AggregateKey::Access, &command, &request)
        .await?;
    let mut tokens = answer.state.iter().flat_map(|access| &access.tokens);
    let made = tokens.find(|(_, token)| token.name == name);
    let id = made.map_or_else(|| text.hash().id(), |(id, _)| id.clone());
    let status = match answer.outcome {
        Outcome::Committed(_) => StatusCode::CREATED,
        Outcome::Repeated(_) | Outcome::Unchanged(_) => StatusCode::OK,
    };
    let view = TokenWriteView::with_text(id, &answer, &text);
    Ok((status, Json(view)).into_response())
}

/// Revokes a token.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    operation_id = "revoke_token",
    tag = "access",
    summary = "Revoke a token",
    params(("id" = TokenId, Path), FreeWriteParams, Because),
    responses(
        (status = 200, description = "Revoked", body = TokenWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn revoke(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(id): Path<TokenId>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let request = caller.request(&headers, because.reason()?)?;
    let command = AccessCommand::RevokeToken(id.clone());
    let answer = listener
        .control
        .execute::<Access>(&AggregateKey::Access, &command, &request)
        .await?;
    let (outcome, ..) = parts(answer.outcome);
    Ok(Json(TokenWriteView {
        outcome,
        revision: answer.revision,
        id,
        token: None,
        notice: None,
        saved: receipt::saved(&answer),
        receipt: answer.receipt.as_ref().map(ReceiptView::new),
    })
    .into_response())
}

impl TokenWriteView {
    /// What became of a request that drew `text`. Under a repeated key the record may be of an earlier request, which drew
    /// another one.
    fn with_text(id: TokenId, answer: &Answer<Access>, text: &TokenText) -> Self {
        let token = answer
            .state
            .as_ref()
            .and_then(|access| access.tokens.get(&id));
        let is_ours = token.is_some_and(|token| token.hash == text.hash());
        Self {
            outcome: parts(answer.outcome).0,
            revision: answer.revision,
            id,
            token: is_ours.then(|| text.reveal().to_owned()),
            notice: (!is_ours).then_some(SHOWN_ONCE),
            saved: receipt::saved(answer),
            receipt: answer.receipt.as_ref().map(ReceiptView::new),
        }
    }
}

impl TokenView {
    pub(super) fn new(id: &TokenId, token: &Token) -> Self {
        Self {
            id: id.clone(),
            name: token.name.clone(),
            scopes: token.grant.scopes.clone(),
            environments: token.grant.reach.environments().cloned(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            retiring: token.retiring.iter().map(|text| text.until).collect(),
        }
    }
}
