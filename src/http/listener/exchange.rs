//! One request and its answer, between hyper and the service behind the listener: where the phases change.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::service::Service;

use super::Answers;
use super::watched::{Cause, Phase, Watched};

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Exchanges<S> {
    service: S,
    watched: Arc<Watched>,
}

impl<S> Exchanges<S> {
    pub(super) fn new(service: S, watched: Arc<Watched>) -> Self {
        Self { service, watched }
    }
}

impl<S: Answers> Service<Request<Incoming>> for Exchanges<S> {
    type Response = http::Response<AnswerBody>;
    type Error = Infallible;
    type Future = Exchange<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let request = if request.body().is_end_stream() {
            self.watched.enter(Phase::Answer);
            request.map(|_| Body::empty())
        } else {
            self.watched.enter(Phase::Body);
            request.map(|incoming| {
                Body::new(RequestBody {
                    incoming,
                    is_whole: false,
                    watched: Arc::clone(&self.watched),
                })
            })
        };
        Exchange {
            answer: self.service.call(request),
            watched: Arc::clone(&self.watched),
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange<F> {
    answer: F,
    watched: Arc<Watched>,
}

impl<F> Future for Exchange<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<http::Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(answer) = ready!(Pin::new(&mut self.answer).poll(cx));
        let watched = Arc::clone(&self.watched);
        Poll::Ready(Ok(answer.map(|body| AnswerBody { body, watched })))
    }
}

/// Why the body of a request did not come whole.
#[derive(Debug)]
pub enum BodyFault {
    /// It took too long.
    Late,
    /// It broke off, or does not read as a body.
    Broken(hyper::Error),
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "the body took too long",
            Self::Broken(_) => "the body broke off",
        })
    }
}

impl std::error::Error for BodyFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Late => None,
            Self::Broken(error) => Some(error),
        }
    }
}

/// The body of a request, under its clock.
struct RequestBody {
    incoming: Incoming,
    /// Whether its end was read.
    is_whole: bool,
    watched: Arc<Watched>,
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending() && self.watched.cause() == Some(Cause::Body) {
            return Poll::Ready(Some(Err(BodyFault::Late)));
        }
        self.is_whole |= matches!(polled, Poll::Ready(None));
        polled.map_err(BodyFault::Broken)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_whole && !self.incoming.is_end_stream() {
            self.watched.leave_unread();
        }
        self.watched.enter(Phase::Answer);
    }
}

/// The body of an answer. With its end the connection waits for the next request.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    watched: Arc<Watched>,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.watched.enter(Phase::Idle);
    }
}
