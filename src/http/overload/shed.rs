//! The layers of the admin router that put requests off and end those that take too long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::Class;
use crate::http::Listener;
use crate::http::problem::{Kind, Problem};

/// Lets a request through if there is time and a place for its class. It keeps the place until its answer has been sent.
pub(crate) async fn shed(
    State(listener): State<Arc<Listener>>,
    request: Request,
    next: Next,
) -> Response {
    let class = Class::of(&request);
    match listener.load.admit(class) {
        Ok(place) => next.run(request).await.map(|body| match place {
            Some(place) => Body::new(Held {
                body,
                _place: place,
            }),
            None => body,
        }),
        Err(problem) => {
            listener.metrics.edge.put_off(class.name());
            problem.into_response()
        }
    }
}

/// Ends a look at something that takes too long. Changes have a deadline of their own, which says what became of them; what
/// reads the whole journal takes as long as it takes; and a stream has begun to answer at once.
pub(crate) async fn in_time(
    State(listener): State<Arc<Listener>>,
    request: Request,
    next: Next,
) -> Response {
    let is_limited = matches!(Class::of(&request), Class::View | Class::Read)
        && request.uri().path() != "/v1/journal/verification";
    if !is_limited {
        return next.run(request).await;
    }
    let deadline = listener.limits.read_deadline;
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "this took too long; ask for less at a time, or try again later";
            Problem::new(Kind::Overloaded, detail).into_response()
        }
    }
}

/// An answer that holds its place.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Held {
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
