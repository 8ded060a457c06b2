//! The beginning of a TLS connection, under its clock.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::http::listener::conversation::{End, part};
use crate::http::listener::refusal;
use crate::http::listener::watched::{Cause, Phase, Watched};
use crate::http::problem::{Kind, Problem};

/// How a TLS record of a handshake begins (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Why there is no TLS on a connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::http::listener) enum NoTls {
    /// It had to end.
    #[error("{}", .0.name())]
    Ended(Cause),
    /// The peer speaks HTTP without it.
    #[error("plain HTTP")]
    Plain,
    /// The peer went away, or the two could not agree.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl NoTls {
    /// The label of the metric.
    pub(in crate::http::listener) fn name(&self) -> &'static str {
        match self {
            Self::Ended(cause) => cause.name(),
            Self::Plain => "plain_http",
            Self::Failed(_) => "handshake_failed",
        }
    }
}

/// Agrees on TLS with whoever is on the other side of `stream`. Otherwise the connection is over: the peer was told why, as
/// far as it may be.
pub(in crate::http::listener) async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    watched: &Arc<Watched>,
) -> Result<TlsStream<TcpStream>, NoTls> {
    let mut first = [0];
    let begun = watched.unless_ended(stream.peek(&mut first)).await;
    if begun.map_err(NoTls::Ended)?? == 1 && first != [HANDSHAKE] && first[0].is_ascii_uppercase() {
        refuse_plain(stream, watched).await;
        return Err(NoTls::Plain);
    }
    let accept = tls.acceptor().accept(stream).into_fallible();
    match watched.unless_ended(accept).await.map_err(NoTls::Ended)? {
        Ok(stream) => {
            watched.enter(Phase::Fresh);
            Ok(stream)
        }
        Err((error, stream)) => {
            // An alert is on its way and should arrive.
            watched.leave_unread();
            part(stream, &End::Orderly, watched).await;
            Err(error.into())
        }
    }
}

/// Tells a peer that begins with the method of a request what is spoken here.
async fn refuse_plain(mut stream: TcpStream, watched: &Watched) {
    let detail = "this listener speaks TLS; send the request to its https address";
    let problem = Problem::new(Kind::BadRequest, detail);
    // No clock runs any more: a few bytes fit into the system's buffer, and `part` has a limit.
    watched.enter(Phase::Answer);
    let _ = stream.try_write(&refusal::answer(&problem));
    let _ = stream.flush().await;
    watched.leave_unread();
    part(stream, &End::Orderly, watched).await;
}
