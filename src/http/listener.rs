//! Accepting connections, and letting go of them in an orderly way.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long requests that are being answered may take to finish once the process is on its way out.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `service` on `listener` until `stop`. Then nothing new is accepted, idle connections are closed, requests under way
/// get `DRAIN_TIME` to finish, and what is left is cut.
pub async fn serve<S>(listener: TcpListener, service: S, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut connections = http1::Builder::new();
    connections.timer(TokioTimer::new()).pipeline_flush(true);
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(service.clone());
        serve_connection(stream, &connections, service, &graceful);
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("cutting connections that did not finish within {DRAIN_TIME:?}");
    }
}

fn serve_connection<S>(
    stream: TcpStream,
    connections: &http1::Builder,
    service: TowerToHyperService<S>,
    graceful: &GracefulShutdown,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // Answers are one small write each; waiting to fill a packet would only add latency. A socket that cannot be set is
    // about to fail anyway.
    let _ = stream.set_nodelay(true);
    let connection = graceful.watch(connections.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
    });
}
