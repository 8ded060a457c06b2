//! `POST /oauth/token`: access tokens for client credentials (RFC 6749, section 4.4), on the decisions listener.
//!
//! What goes wrong here is told as that RFC wants it (section 5.2) and not as a problem document: whoever calls is an OAuth
//! client that knows nothing of us.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::problem::Problem;
use super::{Listener, NO_STORE};
use crate::access::oauth::{AccessToken, NotIssued};

/// Most bytes of a request's body: the grant type, and what else a client may say.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// The route.
pub(super) fn router() -> Router<Arc<Listener>> {
    Router::new().route("/oauth/token", post(token))
}

/// What a client asks for. The client authenticates itself with HTTP Basic: the name or id of a token, and its text.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `ask_for_grant` reads")]
struct TokenRequest {
    /// What the client has to show.
    grant_type: GrantType,
    /// Not looked at: what a client may do is said by its token.
    #[schema(required = false)]
    scope: String,
    /// Not looked at; none may stand twice.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// What a client has to show.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `ask_for_grant` reads")]
enum GrantType {
    /// Its own credentials.
    ClientCredentials,
}

/// An access token.
#[derive(Serialize, ToSchema)]
struct Issued {
    /// The access token, to be sent as `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until it ends.
    expires_in: u64,
    /// What the client may do at present.
    scope: String,
}

/// Why there is no access token (RFC 6749, section 5.2).
#[derive(Debug, Serialize, ToSchema)]
struct Refused {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type` or `temporarily_unavailable`.
    error: &'static str,
    /// The reason in words.
    error_description: String,
    #[serde(skip)]
    status: StatusCode,
}

/// Issues an access token.
#[utoipa::path(
    post,
    path = "/oauth/token",
    operation_id = "issue_access_token",
    tag = "access",
    summary = "An access token for client credentials; served by the decisions listener",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "An access token", body = Issued),
        (status = "default", description = "An error of OAuth 2.0", body = Refused),
    ),
    security(("basic" = [])),
)]
pub(super) async fn token(State(listener): State<Arc<Listener>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let outcome = grant(&listener, &head.headers, body).await;
    let label = outcome
        .as_ref()
        .map_or_else(|refused| refused.error, |_| "issued");
    listener.metrics.access_token(label);
    let mut response = outcome.map_or_else(Refused::into_response, |issued| {
        Json(issued).into_response()
    });
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    // Section 5.1 wants both.
    response
        .headers_mut()
        .insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Who the client is comes first: a stranger's body is not waited for.
async fn grant(listener: &Listener, headers: &HeaderMap, form: Body) -> Result<Issued, Refused> {
    let issued = issue(listener, headers)?;
    if !body::is_form(headers) {
        return Err(Refused::request(
            "send the header `Content-Type: application/x-www-form-urlencoded`",
        ));
    }
    ask_for_grant(&body::whole(form, MAX_BODY_BYTES).await?)?;
    Ok(issued)
}

/// Whether the form asks for what is given here. No parameter may stand twice (section 3.2).
fn ask_for_grant(form: &[u8]) -> Result<(), Refused> {
    let mut seen = Vec::new();
    let mut grant_type = None;
    for (name, value) in form_urlencoded::parse(form) {
        if name == "client_secret" {
            return Err(Refused::request(
                "send the client's id and secret with HTTP Basic, not in the body",
            ));
        }
        if name == "grant_type" {
            grant_type = Some(value);
        }
        if seen.contains(&name) {
            return Err(Refused::request("a parameter stands twice"));
        }
        seen.push(name);
    }
    match grant_type.as_deref() {
        Some("client_credentials") => Ok(()),
        Some(_) => Err(Refused::grant_type(
            "only grant_type=client_credentials is supported",
        )),
        None => Err(Refused::request("the parameter grant_type is missing")),
    }
}

fn issue(listener: &Listener, headers: &HeaderMap) -> Result<Issued, Refused> {
    let snapshot = listener.replica.snapshot();
    let access = snapshot.as_ref().map(|snapshot| &*snapshot.access);
    let AccessToken {
        text,
        lifetime,
        scope,
    } = listener
        .authenticator
        .issue(headers, access, &*listener.clock)?;
    Ok(Issued {
        access_token: text,
        token_type: "Bearer",
        expires_in: lifetime.as_secs(),
        scope,
    })
}

impl Refused {
    fn request(why: &str) -> Self {
        Self {
            error: "invalid_request",
            error_description: why.to_owned(),
            status: StatusCode::BAD_REQUEST,
        }
    }

    fn grant_type(why: impl Into<String>) -> Self {
        Self {
            error: "unsupported_grant_type",
            error_description: why.into(),
            status: StatusCode::BAD_REQUEST,
        }
    }
}

/// A body that is too large, takes too long or breaks off.
impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.kind().status(),
            ..Self::request(problem.detail())
        }
    }
}

impl From<NotIssued> for Refused {
    fn from(error: NotIssued) -> Self {
        let why = error.to_string();
        match error {
            NotIssued::SeveralCredentials => Self::request(&why),
            NotIssued::NoKey => Self::grant_type(why),
            NotIssued::InvalidClient => Self {
                error: "invalid_client",
                error_description: why,
                status: StatusCode::UNAUTHORIZED,
            },
            // The RFC knows this error for another endpoint; a status says the same to whoever does not know it here.
            NotIssued::NotReady => Self {
                error: "temporarily_unavailable",
                error_description: why,
                status: StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"traffic-cop\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}
