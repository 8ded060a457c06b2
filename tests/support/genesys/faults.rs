//! Ways in which a request may fail.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};

use super::problem;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// 429 with so many seconds in `Retry-After`, or without.
    TooMany(Option<u64>),
    /// A status and an error body.
    Status(StatusCode),
    /// 200, and this text.
    Garbage(&'static str),
    /// 200, and more bytes than anyone should read.
    Huge,
    /// Another address.
    Redirect(String),
    /// It is carried out, and the connection breaks before the whole answer is there.
    LostReply,
    /// No answer at all.
    Silence,
    /// The head of an answer, and then nothing.
    Slow,
}

impl Fault {
    pub(super) async fn answer(self) -> Response {
        match self {
            Self::TooMany(retry_after) => {
                let mut answer = problem(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too.many.requests",
                    "Rate limit exceeded the maximum.",
                );
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                answer
            }
            Self::Status(status) => problem(status, "internal.server.error", "It failed."),
            Self::Garbage(text) => text.into_response(),
            Self::Huge => vec![b' '; 2 * 1024 * 1024].into_response(),
            Self::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
            // There is no other way not to answer before anything was done.
            Self::LostReply | Self::Silence => std::future::pending().await,
            Self::Slow => {
                let never = stream::pending::<Result<Bytes, std::io::Error>>();
                Body::from_stream(never).into_response()
            }
        }
    }
}

/// What is left of an answer on its way: its head.
pub(super) fn lost(answer: Response) -> Response {
    let (head, _) = answer.into_parts();
    let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the line is cut")) });
    let mut answer = Response::from_parts(head, Body::from_stream(broken));
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer
}
