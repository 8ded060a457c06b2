//! Who sent a request, and what it asks for besides the command.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri};

use super::receipt;
use super::refusals::Asker;
use crate::access::{Principal, Unauthenticated};
use crate::control;
use crate::domain::access::Scope;
use crate::domain::ids::{Actor, IdempotencyKey, Reason, Revision};
use crate::http::Listener;
use crate::http::problem::{Kind, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An authenticated caller, and where its request leads.
pub(in crate::http) struct Caller {
    principal: Arc<Principal>,
    uri: Uri,
}

impl FromRequestParts<Arc<Listener>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        listener: &Arc<Listener>,
    ) -> Result<Self, Problem> {
        let caller = Self::of(listener, &parts.headers, &parts.uri)?;
        if let Some(asker) = parts.extensions.get::<Asker>() {
            asker.is(&caller.principal.actor);
        }
        Ok(caller)
    }
}

impl Caller {
    /// Who sends a request with `headers` to `uri`, as of now.
    pub(super) fn of(listener: &Listener, headers: &HeaderMap, uri: &Uri) -> Result<Self, Problem> {
        let snapshot = listener.replica.snapshot();
        let access = snapshot.as_ref().map(|snapshot| &*snapshot.access);
        let found = listener
            .authenticator
            .authenticate_known(headers, access, &*listener.clock);
        match found {
            Ok(principal) => Ok(Self {
                principal,
                uri: uri.clone(),
            }),
            // Before the first load a good token cannot be told from a bad one.
            Err(Unauthenticated::Invalid) if snapshot.is_none() => Err(Problem::not_ready()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where their request leads.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Somebody who is known already, as by a session.
    pub(in crate::http) fn holding(principal: Arc<Principal>) -> Self {
        Self {
            principal,
            uri: Uri::default(),
        }
    }

    /// The name under which their changes are recorded.
    pub(in crate::http) fn actor(&self) -> &Actor {
        &self.principal.actor
    }

    /// Whether they may do what asks for `scope` in `environment`; `None` is the deployment as a whole.
    pub(in crate::http) fn may(&self, scope: Scope, environment: Option<&str>) -> bool {
        self.principal.may(scope, environment)
    }

    /// Refuses callers who may not.
    pub(in crate::http) fn require(
        &self,
        scope: Scope,
        environment: Option<&str>,
    ) -> Result<(), Problem> {
        if self.may(scope, environment) {
            return Ok(());
        }
        let place = if environment.is_some() {
            "in this environment"
        } else {
            "for the whole deployment"
        };
        Err(Problem::new(
            Kind::Forbidden,
            format!("this needs the scope {scope} {place}"),
        ))
    }

    /// Refuses callers who may not do what asks for `scope` in any environment.
    pub(in crate::http) fn require_somewhere(&self, scope: Scope) -> Result<(), Problem> {
        if self.principal.may_somewhere(scope) {
            return Ok(());
        }
        let detail = format!("this needs the scope {scope} in some environment");
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// What comes with a command of theirs.
    pub(super) fn request(
        &self,
        headers: &HeaderMap,
        reason: Reason,
    ) -> Result<control::Request, Problem> {
        Ok(control::Request {
            actor: self.principal.actor.clone(),
            reason,
            key: idempotency_key(headers)?,
            expected: expected_revision(headers)?,
            wait: receipt::wait(&self.uri)?,
        })
    }
}

/// The text of a header that may stand once; what stands twice, or is no text, reads as an empty one, which nothing takes.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let is_only = values.next().is_none();
    Some(value.to_str().ok().filter(|_| is_only).unwrap_or_default())
}

/// A header's text without quotes around it: shells tend to lose them.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

/// The caller's name for the write, with or without the quotes that the header's draft standard asks for.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(text) = only(headers, IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = unquoted(text).parse().map_err(|error| {
        Problem::new(Kind::BadRequest, format!("header Idempotency-Key: {error}"))
    })?;
    Ok(Some(key))
}

/// The revision named by `If-Match`; `*` is whatever there is.
fn expected_revision(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let Some(text) = only(headers, IF_MATCH) else {
        return Ok(None);
    };
    let text = text.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = unquoted(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number);
    let number = number.ok_or_else(|| {
        Problem::new(
            Kind::BadRequest,
            "header If-Match: expected an ETag such as \"7\", or *",
        )
    })?;
    Ok(Some(Revision(number)))
}

/// Refuses writes that do not say what they have seen.
pub(super) fn require_if_match(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(IF_MATCH) {
        return Ok(());
    }
    let detail = "send the ETag of the state you have seen as If-Match, or * for whatever there is";
    Err(Problem::new(Kind::PreconditionRequired, detail))
}
