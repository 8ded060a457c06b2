//! Issuers of tokens elsewhere: which holders of their tokens are let in, and what those may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::caller::Caller;
use super::commands::Because;
use super::environments::freshen;
use super::extract::{Path, Query};
use super::receipt::{self, ReceiptView, WriteParams};
use super::view::parts;
use crate::control::{Answer, Outcome};
use crate::domain::access::{Access, AccessCommand, Grant, Issuer, Scope};
use crate::domain::ids::{
    AggregateKey, Audience, ClaimName, ClaimPattern, EnvironmentName, IssuerName, IssuerUrl,
    Revision,
};
use crate::http::Listener;
use crate::http::body::{self, Write, WriteBody};
use crate::http::problem::{Problem, ProblemSchema};

/// An entry about an issuer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IssuerView {
    /// Its name.
    name: IssuerName,
    /// The issuer.
    url: IssuerUrl,
    /// Whom tokens have to be for.
    audience: Audience,
    /// What tokens have to say.
    claims: BTreeMap<ClaimName, ClaimPattern>,
    /// What their holders may do.
    scopes: BTreeSet<Scope>,
    /// Where; null is everywhere.
    environments: Option<BTreeSet<EnvironmentName>>,
    /// Keys of the issuer that this replica has. With none, nobody is let in.
    keys: usize,
}

/// All entries about issuers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IssuerList {
    /// The entries, in the order of their names.
    issuers: Vec<IssuerView>,
}

/// Which holders of an issuer's tokens are let in, and what they may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerMembers {
    /// Name of the entry. Several may be about one issuer: their holders may do what all that fit them allow.
    name: IssuerName,
    /// The issuer, as tokens name it in `iss`.
    url: IssuerUrl,
    /// Whom a token has to be for: one of its `aud`.
    audience: Audience,
    /// What a token has to say: claims by name, each exactly so or, with `*` at the end, beginning so. 1 to 16 of them.
    #[serde(deserialize_with = "claims")]
    claims: BTreeMap<ClaimName, ClaimPattern>,
    /// What its holder may do.
    #[schema(min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// Where; everywhere if left out.
    #[serde(default)]
    environments: Option<BTreeSet<EnvironmentName>>,
}

/// Claims by name. Read as they are, an error would name the claim that it is about, which is input.
fn claims<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<ClaimName, ClaimPattern>, D::Error> {
    let claims = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let claims = claims.into_iter().map(|(name, value)| {
        let value = value.as_str();
        let value =
            value.ok_or_else(|| D::Error::custom("wrong type or value; expected a text"))?;
        let value = value.parse().map_err(D::Error::custom)?;
        Ok((name.parse().map_err(D::Error::custom)?, value))
    });
    claims.collect()
}

/// A new entry, and why.
type IssuerBody = WriteBody<IssuerMembers>;

/// What became of a request about an issuer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IssuerWriteView {
    /// `committed`, `repeated` or `unchanged`.
    outcome: &'static str,
    /// The revision of access afterwards.
    revision: Revision,
    /// The name of the entry.
    name: IssuerName,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

/// Lists the entries.
#[utoipa::path(
    get,
    path = "/v1/issuers",
    operation_id = "list_issuers",
    tag = "access",
    summary = "Whose tokens from elsewhere are taken",
    responses(
        (status = 200, description = "The entries", body = IssuerList),
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
    let keyring = listener.authenticator.keyring();
    let issuers = listener.replica.look(|follower| {
        let issuers = follower.access().state().map(|access| &access.issuers);
        let issuers = issuers.into_iter().flatten();
        issuers
            .map(|(name, issuer)| IssuerView::new(name, issuer, keyring.count_keys(&issuer.url)))
            .collect()
    });
    Ok(Json(IssuerList {
        issuers: issuers.ok_or_else(Problem::not_ready)?,
    })
    .into_response())
}

/// Adds an entry.
#[utoipa::path(
    post,
    path = "/v1/issuers",
    operation_id = "add_issuer",
    tag = "access",
    summary = "Let in holders of an issuer's tokens that say something",
    params(WriteParams),
    request_body = IssuerBody,
    responses(
        (status = 201, description = "Added", body = IssuerWriteView),
        (status = 200, description = "Added before, by this very request", body = IssuerWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn add(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, listener.limits.admin_body_bytes).await?;
    let Write { reason, members } = Write::<IssuerMembers>::parse(&body)?;
    let name = members.name;
    let command = AccessCommand::AddIssuer {
        name: name.clone(),
        issuer: Issuer {
            url: members.url,
            audience: members.audience,
            claims: members.claims,
            grant: Grant {
                scopes: members.scopes,
                reach: members.environments.into(),
            },
        },
    };
    let request = caller.request(&head.headers, reason)?;
    let answer = listener
        .control
        .execute::<Access>(&AggregateKey::Access, &command, &request)
        .await?;
    let status = match answer.outcome {
        Outcome::Committed(_) => StatusCode::CREATED,
        Outcome::Repeated(_) | Outcome::Unchanged(_) => StatusCode::OK,
    };
    Ok((status, Json(IssuerWriteView::new(name, &answer))).into_response())
}

/// Removes an entry.
#[utoipa::path(
    delete,
    path = "/v1/issuers/{name}",
    operation_id = "remove_issuer",
    tag = "access",
    summary = "Let in those holders no longer",
    params(("name" = IssuerName, Path), WriteParams, Because),
    responses(
        (status = 200, description = "Removed", body = IssuerWriteView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn remove(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(because): Query<Because>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let request = caller.request(&headers, because.reason()?)?;
    let name: IssuerName = name
        .parse()
        .map_err(|_| Problem::from(crate::domain::Refusal::IssuerMissing))?;
    let command = AccessCommand::RemoveIssuer(name.clone());
    let answer = listener
        .control
        .execute::<Access>(&AggregateKey::Access, &command, &request)
        .await?;
    Ok(Json(IssuerWriteView::new(name, &answer)).into_response())
}

impl IssuerWriteView {
    fn new(name: IssuerName, answer: &Answer<Access>) -> Self {
        Self {
            outcome: parts(answer.outcome).0,
            revision: answer.revision,
            name,
            saved: receipt::saved(answer),
            receipt: answer.receipt.as_ref().map(ReceiptView::new),
        }
    }
}

impl IssuerView {
    fn new(name: &IssuerName, issuer: &Issuer, keys: usize) -> Self {
        Self {
            name: name.clone(),
            url: issuer.url.clone(),
            audience: issuer.audience.clone(),
            claims: issuer.claims.clone(),
            scopes: issuer.grant.scopes.clone(),
            environments: issuer.grant.reach.environments().cloned(),
            keys,
        }
    }
}
