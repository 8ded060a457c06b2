//! Accepting connections, keeping each to its time and room, and letting go of them in an orderly way.
//!
//! Everyone may connect, so nothing that a caller does or leaves undone may hold what others need. Two clocks run on every
//! connection: one for the first byte of a request, longer than balancers keep idle connections, and a short one from then
//! on, for the head and again for the body. A third runs while the peer does not take an answer. When all places are taken,
//! whoever has been of no use for longest makes room; while all are busy, new connections wait in the system's queue.

mod connections;
mod conversation;
mod exchange;
mod limits;
mod refusal;
mod stream;
pub mod tls;
mod watched;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use exchange::BodyFault;
pub use limits::ConnectionLimits;

use crate::http::overload::Load;
use crate::telemetry::Metrics;
use connections::{Connections, Place};
use conversation::{End, converse, part};
use tls::{Tls, shake_hands};
use watched::Phase;

/// How long requests that are being answered may take to finish once the process is on its way out.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at whether there is time for newcomers.
const LOOK_FOR_TIME: Duration = Duration::from_millis(10);

/// What can stand behind a listener.
pub trait Answers:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send + Unpin>
    + Clone
    + Send
    + Sync
    + Unpin
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send + Unpin>
        + Clone
        + Send
        + Sync
        + Unpin
        + 'static
{
}

/// Where connections come in.
#[derive(Debug)]
pub struct Door {
    /// `decisions` or `admin`, as in the metrics.
    pub name: &'static str,
    /// The socket that listens.
    pub socket: TcpListener,
    /// What each connection gets.
    pub limits: ConnectionLimits,
    /// Where it is counted.
    pub metrics: Metrics,
    /// With what TLS is spoken; without it plain HTTP is.
    pub tls: Option<Arc<Tls>>,
    /// What says that newcomers had better wait in the system's queue; without one they never do.
    pub load: Option<Arc<Load>>,
}

/// Serves `service` at `door` until `stop`. Then nothing new is accepted, idle connections are closed, requests under way get
/// `DRAIN_TIME` to finish, and what is left is cut.
pub async fn serve<S: Answers>(door: Door, service: S, stop: CancellationToken) {
    let builder = conversation::builder(&door.limits);
    let connections = Arc::new(Connections::new(
        door.limits.clone(),
        door.metrics.edge.of(door.name),
    ));
    let watch = Arc::clone(&connections);
    let _watch = AbortOnDropHandle::new(tokio::spawn(async move { watch.watch().await }));
    tokio::select! {
        () = accept(&door, &connections, &service, &builder) => {}
        () = stop.cancelled() => {}
    }
    drop(door.socket);
    if !connections.finish(DRAIN_TIME).await {
        tracing::warn!("cut connections that did not finish within {DRAIN_TIME:?}");
    }
}

async fn accept<S: Answers>(
    door: &Door,
    connections: &Arc<Connections>,
    service: &S,
    builder: &http1::Builder,
) {
    loop {
        // Each one that is let in makes all others wait longer; in the queue it costs nothing.
        while door.load.as_ref().is_some_and(|load| load.is_full()) {
            tokio::time::sleep(LOOK_FOR_TIME).await;
        }
        match door.socket.accept().await {
            Ok((stream, _)) => {
                // Answers are one small write each; waiting to fill a packet would only add latency. A socket that cannot be
                // set is about to fail anyway.
                let _ = stream.set_nodelay(true);
                let (service, builder) = (service.clone(), builder.clone());
                match &door.tls {
                    None => {
                        let place = connections.admit(Phase::Fresh).await;
                        tokio::spawn(attend(stream, place, service, builder));
                    }
                    Some(tls) => {
                        let place = connections.admit(Phase::Handshake).await;
                        let tls = Arc::clone(tls);
                        tokio::spawn(attend_encrypted(stream, tls, place, service, builder));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sees one connection through to its end, with TLS inside it. Not a case of [`attend`]: what TLS remembers of a connection
/// would take its room in plain ones, too.
async fn attend_encrypted<S: Answers>(
    stream: TcpStream,
    tls: Arc<Tls>,
    place: Place,
    service: S,
    builder: http1::Builder,
) {
    match shake_hands(stream, &tls, &place.watched).await {
        Ok(stream) => attend(stream, place, service, builder).await,
        Err(error) => {
            tracing::debug!(%error, "no TLS on a connection");
            place.count(error.name());
        }
    }
}

/// Sees one connection through to its end.
async fn attend<I, S>(stream: I, place: Place, service: S, builder: http1::Builder)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Answers,
{
    let (end, stream) = converse(stream, service, &builder, &place.watched).await;
    match &end {
        End::Orderly => {}
        End::Forced(cause) => place.count(cause.name()),
        End::Broken(error) => {
            tracing::debug!(%error, "a connection ended badly");
            if error.is_parse() {
                place.count("unreadable_head");
            }
        }
    }
    part(stream, &end, &place.watched).await;
}
