use std::convert::Infallible;
use std::pin::pin;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use tokio::io::duplex;

use super::*;

/// Longer than anything here takes; paused clocks skip it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer once the body is there.
async fn answer(request: Request<Body>) -> Result<Response, Infallible> {
    let is_whole = request.into_body().collect().await.is_ok();
    Ok(is_whole.to_string().into_response())
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_came_at_the_last_moment_is_answered_and_is_the_last() {
    let watched = Arc::new(Watched::new(Arc::default(), Phase::Fresh));
    let builder = builder(&ConnectionLimits::default());
    let (mut peer, stream) = duplex(4096);
    let service = service_fn(|request| Box::pin(answer(request)));
    let mut conversation = pin!(converse(stream, service, &builder, &watched));
    let (half, rest) = (
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{",
        "}",
    );
    peer.write_all(half.as_bytes()).await.unwrap();
    assert!(conversation.as_mut().now_or_never().is_none());
    assert_eq!(watched.phase().0, Phase::Body);

    // The clock runs out, and before anybody looks the rest is there.
    watched.end(Cause::Body);
    peer.write_all(rest.as_bytes()).await.unwrap();

    let ended = tokio::time::timeout(PATIENCE, conversation).await;
    let (end, stream) = ended.expect("an end");
    assert!(matches!(end, End::Forced(Cause::Body)), "{end:?}");
    part(stream, &end, &watched).await;
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("true"), "{answer}");
}
