//! Every kind of problem: its name, status and title.

use http::{HeaderValue, StatusCode};

/// Every kind of problem, stable for programs to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request does not read as HTTP or JSON of the shape asked for.
    BadRequest,
    /// No valid credentials.
    Unauthenticated,
    /// Valid credentials without the scope.
    Forbidden,
    /// No such resource.
    NotFound,
    /// No such environment.
    EnvironmentNotFound,
    /// No such token.
    TokenNotFound,
    /// No such entry about an issuer.
    IssuerNotFound,
    /// No such revision.
    RevisionNotFound,
    /// No such interface.
    InterfaceNotFound,
    /// No rollout.
    RolloutNotFound,
    /// The resource has no such method.
    MethodNotAllowed,
    /// The resource exists already.
    AlreadyExists,
    /// The state does not allow the command.
    Refused,
    /// A freeze window is in force.
    Frozen,
    /// Genesys Cloud says that the flow is not fit to get callers.
    FlowUnfit,
    /// There is nothing to roll back to.
    NoRollbackTarget,
    /// Flows would miss variables of the interface that they were written for.
    IncompatibleInterface,
    /// The state cannot be read.
    StateCorrupt,
    /// The state can be read.
    NothingToRepair,
    /// No state that can be read is known.
    NoGoodState,
    /// The state has a format that this binary does not know.
    NewerFormat,
    /// The record of a repeated write is lost.
    RecordLost,
    /// The named revision is not the present one.
    Stale,
    /// The body is too large.
    TooLarge,
    /// The address is too long.
    UriTooLong,
    /// The head is too large, or has too many fields.
    HeadTooLarge,
    /// The request took too long to come in.
    RequestTimeout,
    /// The body is no JSON.
    UnsupportedMediaType,
    /// The request contradicts itself, or asks for something that is over or taken.
    Unprocessable,
    /// The idempotency key was used for something else.
    KeyReused,
    /// The request needs an `If-Match`.
    PreconditionRequired,
    /// Something here broke.
    Internal,
    /// The journal is not in order.
    JournalRefused,
    /// The store does not answer.
    StoreUnavailable,
    /// Genesys Cloud cannot be asked whether a flow is fit to get callers.
    PreflightUnknown,
    /// There is too much to do, and this has to wait.
    Overloaded,
    /// Nothing is loaded yet, or the process is on its way out.
    NotReady,
    /// The outcome of a write is not known.
    OutcomeUnknown,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 38] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::EnvironmentNotFound,
        Self::TokenNotFound,
        Self::IssuerNotFound,
        Self::RevisionNotFound,
        Self::InterfaceNotFound,
        Self::RolloutNotFound,
        Self::MethodNotAllowed,
        Self::AlreadyExists,
        Self::Refused,
        Self::Frozen,
        Self::FlowUnfit,
        Self::NoRollbackTarget,
        Self::IncompatibleInterface,
        Self::StateCorrupt,
        Self::NothingToRepair,
        Self::NoGoodState,
        Self::NewerFormat,
        Self::RecordLost,
        Self::Stale,
        Self::TooLarge,
        Self::UriTooLong,
        Self::HeadTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::KeyReused,
        Self::PreconditionRequired,
        Self::Internal,
        Self::JournalRefused,
        Self::StoreUnavailable,
        Self::PreflightUnknown,
        Self::Overloaded,
        Self::NotReady,
        Self::OutcomeUnknown,
    ];

    /// Name, status and title.
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => (
                "bad-request",
                StatusCode::BAD_REQUEST,
                "The request is malformed",
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                StatusCode::UNAUTHORIZED,
                "A valid token is needed",
            ),
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                "The token does not allow this",
            ),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing here"),
            Self::EnvironmentNotFound => (
                "environment-not-found",
                StatusCode::NOT_FOUND,
                "There is no such environment",
            ),
            Self::IssuerNotFound => (
                "issuer-not-found",
                StatusCode::NOT_FOUND,
                "There is no such issuer entry",
            ),
            Self::TokenNotFound => (
                "token-not-found",
                StatusCode::NOT_FOUND,
                "There is no such token",
            ),
            Self::RevisionNotFound => (
                "revision-not-found",
                StatusCode::NOT_FOUND,
                "There is no such revision",
            ),
            Self::InterfaceNotFound => (
                "interface-not-found",
                StatusCode::NOT_FOUND,
                "There is no such interface",
            ),
            Self::RolloutNotFound => (
                "rollout-not-found",
                StatusCode::NOT_FOUND,
                "There is no rollout",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "This method is not allowed here",
            ),
            Self::AlreadyExists => ("already-exists", StatusCode::CONFLICT, "It exists already"),
            Self::Refused => (
                "refused",
                StatusCode::CONFLICT,
                "The present state does not allow this",
            ),
            Self::Frozen => (
                "frozen",
                StatusCode::CONFLICT,
                "A freeze window is in force",
            ),
            Self::FlowUnfit => (
                "flow-unfit",
                StatusCode::CONFLICT,
                "The flow is not fit to get callers",
            ),
            Self::NoRollbackTarget => (
                "no-rollback-target",
                StatusCode::CONFLICT,
                "There is nothing to roll back to",
            ),
            Self::IncompatibleInterface => (
                "incompatible-interface",
                StatusCode::CONFLICT,
                "The interface is not compatible with that in use",
            ),
            Self::StateCorrupt => (
                "state-corrupt",
                StatusCode::CONFLICT,
                "The state cannot be read",
            ),
            Self::NothingToRepair => (
                "nothing-to-repair",
                StatusCode::CONFLICT,
                "The state can be read",
            ),
            Self::NoGoodState => (
                "no-good-state",
                StatusCode::CONFLICT,
                "There is no state to go back to",
            ),
            Self::NewerFormat => (
                "newer-format",
                StatusCode::CONFLICT,
                "The state was written by a newer version",
            ),
            Self::RecordLost => (
                "record-lost",
                StatusCode::CONFLICT,
                "The record of this change is lost",
            ),
            Self::Stale => (
                "stale",
                StatusCode::PRECONDITION_FAILED,
                "The state has changed since",
            ),
            Self::TooLarge => (
                "too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The request or its result is too large",
            ),
            Self::UriTooLong => (
                "uri-too-long",
                StatusCode::URI_TOO_LONG,
                "The address is too long",
            ),
            Self::HeadTooLarge => (
                "head-too-large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The head of the request is too large",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The request took too long to come in",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/json",
            ),
            Self::Unprocessable => (
                "unprocessable",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request is well-formed and asks for what cannot be",
            ),
            Self::KeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key belongs to another request",
            ),
            Self::PreconditionRequired => (
                "precondition-required",
                StatusCode::PRECONDITION_REQUIRED,
                "Name the revision you have seen",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something broke here",
            ),
            Self::JournalRefused => (
                "journal-refused",
                StatusCode::SERVICE_UNAVAILABLE,
                "The journal is not in order",
            ),
            Self::StoreUnavailable => (
                "store-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The store does not answer",
            ),
            Self::PreflightUnknown => (
                "preflight-unknown",
                StatusCode::SERVICE_UNAVAILABLE,
                "Whether the flow is fit to get callers is not known",
            ),
            Self::Overloaded => (
                "overloaded",
                StatusCode::SERVICE_UNAVAILABLE,
                "There is too much to do",
            ),
            Self::NotReady => ("not-ready", StatusCode::SERVICE_UNAVAILABLE, "Not ready"),
            Self::OutcomeUnknown => (
                "outcome-unknown",
                StatusCode::GATEWAY_TIMEOUT,
                "The outcome is not known",
            ),
        }
    }

    /// Short name, the last part of the type URI and the label of the metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The URI that tells this kind from the others.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("urn:traffic-cop:problem:{}", self.name())
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// The kind in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// Seconds after which trying again makes sense.
    pub(super) fn retry_after(self) -> Option<HeaderValue> {
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Some(HeaderValue::from_static("1"))
            }
            _ => None,
        }
    }
}
