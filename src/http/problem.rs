//! Problem documents (RFC 9457): the one place where an error becomes a status and a body.
//!
//! A detail helps the caller to act. It never repeats input, names a parser, or carries a cause from inside: those go to the
//! log.

mod kind;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

pub use kind::Kind;

use super::{NO_STORE, trace};
use crate::access::Unauthenticated;
use crate::control::WriteError;
use crate::domain::refusal::Incompatibility;
use crate::domain::{Refusal, repair, rollout};
use crate::replica::CatchUpError;
use crate::store::StoreError;
use crate::telemetry::trace_context::TraceId;

/// A problem document.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    extensions: Map<String, Value>,
}

/// The members of a problem document, as the API description shows them.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub struct ProblemSchema {
    /// The kind of problem: `urn:traffic-cop:problem:` and a name.
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do about it.
    pub detail: String,
}

impl Problem {
    /// A problem of this kind; `detail` helps the caller to act.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            extensions: Map::new(),
        }
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(member.to_owned(), value.into());
        self
    }

    /// With the trace that the request belongs to.
    #[must_use]
    pub fn of_trace(self, trace: TraceId) -> Self {
        self.with("trace_id", trace.to_string())
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened here and what to do about it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// A request for an environment that does not exist.
    #[must_use]
    pub fn no_environment() -> Self {
        Self::new(
            Kind::EnvironmentNotFound,
            "no environment has this name; names are case-sensitive",
        )
    }

    /// A request whose address is too long.
    #[must_use]
    pub fn uri_too_long() -> Self {
        Self::new(
            Kind::UriTooLong,
            "no resource here has an address of this length",
        )
    }

    /// A request whose head is too large.
    #[must_use]
    pub fn head_too_large() -> Self {
        Self::new(
            Kind::HeadTooLarge,
            "send fewer or shorter header fields; cookies are of no use here",
        )
    }

    /// A request before the first load.
    #[must_use]
    pub fn not_ready() -> Self {
        Self::new(
            Kind::NotReady,
            "nothing has been loaded from the store yet; try again in a moment",
        )
    }
}

impl Problem {
    /// The document itself.
    #[must_use]
    pub fn document(&self) -> String {
        let mut document = Map::new();
        document.insert("type".to_owned(), self.kind.type_uri().into());
        document.insert("title".to_owned(), self.kind.title().into());
        document.insert("status".to_owned(), self.kind.status().as_u16().into());
        document.insert("detail".to_owned(), self.detail.as_str().into());
        document.extend(self.extensions.clone());
        Value::Object(document).to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = match trace::current() {
            Some(trace) => self.of_trace(trace),
            None => self,
        };
        let mut response = (problem.kind.status(), problem.document()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(seconds) = problem.kind.retry_after() {
            headers.insert(RETRY_AFTER, seconds);
        }
        // Who is put off had better try another replica, over another connection.
        if matches!(problem.kind, Kind::RequestTimeout | Kind::Overloaded) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if problem.kind == Kind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(problem.kind);
        response
    }
}

impl From<Unauthenticated> for Problem {
    fn from(error: Unauthenticated) -> Self {
        Self::new(Kind::Unauthenticated, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed on the store");
        Self::new(
            Kind::StoreUnavailable,
            "the store did not answer as it should; nothing was changed, and calls are answered from memory meanwhile",
        )
    }
}

impl From<CatchUpError> for Problem {
    fn from(error: CatchUpError) -> Self {
        match error {
            CatchUpError::Store(error) => error.into(),
            CatchUpError::Journal(fault) => Self::new(Kind::JournalRefused, fault.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::EnvironmentMissing => return Self::no_environment(),
            Refusal::LastCallsUnknown(_) => Kind::StoreUnavailable,
            Refusal::TokenMissing => Kind::TokenNotFound,
            Refusal::IssuerMissing => Kind::IssuerNotFound,
            Refusal::EnvironmentExists
            | Refusal::TokenExists
            | Refusal::IssuerExists
            | Refusal::WebhookExists
            | Refusal::LabelInUse(_) => Kind::AlreadyExists,
            Refusal::NoRollbackTarget(_) => Kind::NoRollbackTarget,
            Refusal::Repair(refusal) => match refusal {
                repair::Refusal::NothingFaulty => Kind::NothingToRepair,
                repair::Refusal::NoGoodState => Kind::NoGoodState,
                repair::Refusal::NoSuchRevision(_) => Kind::RevisionNotFound,
                repair::Refusal::NewerFormat(_) => Kind::NewerFormat,
                repair::Refusal::BreaksWith(_) => Kind::Refused,
            },
            Refusal::InterfaceMissing(_) => Kind::InterfaceNotFound,
            Refusal::Rollout(rollout::Refusal::None) => Kind::RolloutNotFound,
            Refusal::IncompatibleInterface(incompatibility) => {
                let problem = Self::new(Kind::IncompatibleInterface, refusal.to_string());
                return problem.with("variables", missed(incompatibility));
            }
            Refusal::Frozen(frozen) => {
                let problem = Self::new(Kind::Frozen, refusal.to_string());
                return problem
                    .with("freeze", frozen.number.0)
                    .with("place", json!(frozen.place))
                    .with("until", frozen.until.to_string());
            }
            Refusal::ClaimLength
            | Refusal::OverrideLength
            | Refusal::TooManyVariables
            | Refusal::NoScope
            | Refusal::WebhookEnvironments
            | Refusal::WebhookActions
            | Refusal::ClaimCount => Kind::BadRequest,
            Refusal::SameFlowTwice(_)
            | Refusal::InterfaceZero
            | Refusal::TextTooLong(_)
            | Refusal::NameReserved
            | Refusal::FreezeSpan
            | Refusal::ActionUnknown(_)
            | Refusal::ExpiryPassed(_) => Kind::Unprocessable,
            Refusal::TooManyEnvironments
            | Refusal::TooManyFreezes
            | Refusal::TooManyWebhooks
            | Refusal::TooManyTokens
            | Refusal::TooManyIssuers
            | Refusal::TooManyOverrides
            | Refusal::TooManyTexts
            | Refusal::SlotEmpty(_)
            | Refusal::SlotClaimed { .. }
            | Refusal::SlotUnknown { .. }
            | Refusal::SlotTakesCalls(_)
            | Refusal::SlotNotDrained { .. }
            | Refusal::SlotCalled { .. }
            | Refusal::RolloutUnderWay
            | Refusal::Rollout(_)
            | Refusal::NotClaimed(_)
            | Refusal::InterfaceUndefined(_)
            | Refusal::InterfaceInUse { .. }
            | Refusal::UndeclaredVariables(_)
            | Refusal::MistypedValues(_) => Kind::Refused,
        };
        Self::new(kind, refusal.to_string())
    }
}

/// Each variable that flows would miss, for programs: its type, and its type now, null if it is gone.
fn missed(incompatibility: &Incompatibility) -> Vec<Value> {
    let breaks = incompatibility.breaks.iter();
    let missed = breaks.map(|missed| {
        json!({
            "variable": missed.variable.as_str(),
            "was": missed.was.to_string(),
            "is": missed.is.map(|is| is.to_string()),
        })
    });
    missed.collect()
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::Stale { current } => {
                Self::new(Kind::Stale, detail).with("revision", current.0)
            }
            WriteError::KeyReused => Self::new(Kind::KeyReused, detail),
            WriteError::RecordLost(revision) => {
                Self::new(Kind::RecordLost, detail).with("revision", revision.0)
            }
            WriteError::Corrupt { .. } => Self::new(Kind::StateCorrupt, detail),
            WriteError::NewerFormat(_) => Self::new(Kind::NewerFormat, detail),
            WriteError::TooLarge { .. } => Self::new(Kind::TooLarge, detail),
            WriteError::Journal(_) => Self::new(Kind::JournalRefused, detail),
            WriteError::Unavailable(error) => error.into(),
            WriteError::Contended => Self::new(Kind::StoreUnavailable, detail),
            WriteError::OutcomeUnknown { operation } => {
                Self::new(Kind::OutcomeUnknown, detail).with("operation", operation.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::StatusCode;

    use super::*;

    #[test]
    fn every_kind_has_its_own_type_and_an_error_status() {
        let types: HashSet<_> = Kind::ALL.iter().map(|kind| kind.type_uri()).collect();
        assert_eq!(types.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(
                kind.status().is_client_error() || kind.status().is_server_error(),
                "{kind:?}"
            );
            assert!(
                kind.type_uri().parse::<http::Uri>().is_ok() || kind.type_uri().starts_with("urn:")
            );
            let response = Problem::new(kind, "x").into_response();
            assert_eq!(response.headers()[CACHE_CONTROL], NO_STORE);
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                kind.status() == StatusCode::SERVICE_UNAVAILABLE
            );
        }
    }
}
