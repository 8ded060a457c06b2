//! What can go wrong between us and the tables.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A request to the store that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No usable answer: we could not ask, or the store could not say. The request may have taken effect.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// A clear no: the request had no effect and repeating it would not help.
    #[error("the store refused {operation}: {code}: {message}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// The store's error code.
        code: String,
        /// The store's explanation.
        message: String,
    },
    /// The condition of a write did not hold.
    #[error("the condition of the write did not hold")]
    ConditionFailed,
}

/// Codes that say "not now" although they arrive as an answer.
const TRANSIENT: [&str; 9] = [
    "InternalServerError",
    "InternalFailure",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    // Of tables that are replicated to other Regions, strongly consistent: another Region writes the same item.
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
];

impl StoreError {
    /// Sorts an SDK error by what it says about the effect of the request.
    pub(super) fn from_sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let is_server_fault = error
            .raw_response()
            .is_some_and(|response| response.status().as_u16() >= 500);
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code)
            .map(str::to_owned);
        match code {
            Some(code) if code == "ConditionalCheckFailedException" => Self::ConditionFailed,
            Some(code) if !is_server_fault && !TRANSIENT.contains(&code.as_str()) => {
                let message = error
                    .as_service_error()
                    .and_then(ProvideErrorMetadata::message)
                    .unwrap_or("no message");
                Self::Refused {
                    operation,
                    code,
                    message: message.to_owned(),
                }
            }
            _ => Self::Unavailable(format!("{operation}: {}", chain(&error))),
        }
    }
}

/// An error with its causes: the outermost alone says no more than that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
