//! What it means for a row that Genesys Cloud could not be asked, or answered with something else.

use std::time::Duration;

use http::StatusCode;

use crate::genesys::client::AskError;

/// A write was answered with a row that does not say what was written.
pub(super) const OTHER_ROW: &str = "what was written is answered with another row";

/// In words, for whoever may give the client `permission`.
pub(super) fn why(error: &AskError, permission: &str) -> String {
    match error {
        AskError::Forbidden => format!("the client needs the permission {permission}"),
        AskError::Status(StatusCode::BAD_REQUEST) => {
            format!("{error}: the table's columns do not take the row")
        }
        other => other.to_string(),
    }
}

/// Whether trying again will not do.
pub(super) fn needs_a_person(error: &AskError) -> bool {
    match error {
        AskError::NoSecret(_) | AskError::LoginRefused(_) | AskError::Forbidden => true,
        // A redirect is a wrong host. Of a row that is gone, or there already, the next reading tells.
        AskError::Status(status) => {
            status.is_redirection()
                || status.is_client_error()
                    && ![
                        StatusCode::NOT_FOUND,
                        StatusCode::REQUEST_TIMEOUT,
                        StatusCode::CONFLICT,
                    ]
                    .contains(status)
        }
        AskError::NotNow
        | AskError::NoAnswer(_)
        | AskError::Unauthenticated
        | AskError::Throttled(_)
        | AskError::TooLarge
        | AskError::Invalid(_)
        | AskError::ClocksApart(_) => false,
    }
}

/// Whether a write may have been carried out, or may be yet.
pub(super) fn may_have_happened(error: &AskError) -> bool {
    match error {
        AskError::NoAnswer(_) | AskError::TooLarge | AskError::Invalid(_) => true,
        AskError::Status(status) => status.is_server_error(),
        AskError::NotNow
        | AskError::NoSecret(_)
        | AskError::LoginRefused(_)
        | AskError::Unauthenticated
        | AskError::Forbidden
        | AskError::Throttled(_)
        | AskError::ClocksApart(_) => false,
    }
}

/// Whether it is that there is no such thing.
pub(super) fn is_not_found(error: &AskError) -> bool {
    matches!(error, AskError::Status(StatusCode::NOT_FOUND))
}

/// How long it wants to be left alone.
pub(super) fn retry_after(error: &AskError) -> Option<Duration> {
    match error {
        AskError::Throttled(pause) => Some(*pause),
        _ => None,
    }
}

/// How a request is counted that came to this.
pub(super) fn outcome(error: &AskError) -> &'static str {
    match error {
        AskError::NotNow => "put_off",
        AskError::Throttled(_) => "throttled",
        AskError::NoSecret(_)
        | AskError::LoginRefused(_)
        | AskError::Unauthenticated
        | AskError::Forbidden => "refused",
        AskError::Status(status) if status.is_client_error() => "refused",
        AskError::NoAnswer(_)
        | AskError::Status(_)
        | AskError::TooLarge
        | AskError::Invalid(_)
        | AskError::ClocksApart(_) => "failed",
    }
}
