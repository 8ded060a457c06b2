//! One connection, from its first byte to a gentle end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::exchange::Exchanges;
use super::refusal;
use super::stream::WatchedStream;
use super::watched::{Cause, Phase, Watched};
use super::{Answers, ConnectionLimits};
use crate::http::problem::{Kind, Problem};

/// How long what the peer still sends is read and thrown away after our last answer.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes of it.
const LINGER_BYTES: u64 = 256 * 1024;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// In good order.
    Orderly,
    /// It had to.
    Forced(Cause),
    /// What came did not read as HTTP, the peer broke off, or the network did.
    Broken(hyper::Error),
}

/// hyper's settings for these limits.
pub(super) fn builder(limits: &ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The clocks are ours: hyper's runs while a connection idles, too. No flushing of pipelined answers together: an answer
    // would be kept back while half of another request waits behind it. Answers are small, so they are written in one piece.
    builder
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes)
        .writev(false);
    builder
}

/// Answers requests on `stream` with `service` until the connection ends; what is left is to [`part`].
pub(super) async fn converse<I, S>(
    stream: I,
    service: S,
    builder: &http1::Builder,
    watched: &Arc<Watched>,
) -> (End, I)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Answers,
{
    let stream = TokioIo::new(WatchedStream::new(stream, Arc::clone(watched)));
    let exchanges = Exchanges::new(service, Arc::clone(watched));
    let mut connection = builder.serve_connection(stream, exchanges);
    let mut is_told_to_stop = false;
    let end = poll_fn(|cx| {
        watched.register(cx.waker());
        let is_last = match watched.cause() {
            None => watched.is_stopping(),
            // Whoever waits for the body answers the request, also if the rest of it comes at the last moment.
            Some(Cause::Body) => true,
            Some(cause) => return Poll::Ready(End::Forced(cause)),
        };
        if is_last && !is_told_to_stop {
            is_told_to_stop = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx).map(|end| match end {
            Ok(()) => watched.cause().map_or(End::Orderly, End::Forced),
            Err(error) => End::Broken(error),
        })
    })
    .await;
    // From here on no clock runs but those of `part`.
    watched.enter(Phase::Goodbye);
    let stream = connection.into_parts().io.into_inner().into_inner();
    (end, stream)
}

/// Ends a connection so that the last answer arrives: closing while bytes wait to be read would reset the connection, and the
/// peer's system would throw away what the peer has not read yet.
pub(super) async fn part<I: AsyncRead + AsyncWrite + Unpin>(
    mut stream: I,
    end: &End,
    watched: &Watched,
) {
    let goodbye = async {
        if let End::Forced(Cause::Head) = end {
            let problem = Problem::new(
                Kind::RequestTimeout,
                "the head of the request took too long; the connection is closed",
            );
            stream.write_all(&refusal::answer(&problem)).await?;
        }
        stream.shutdown().await?;
        let is_gentle = watched.has_unread_input()
            || matches!(end, End::Broken(_) | End::Forced(Cause::Head | Cause::Body));
        if is_gentle {
            let mut rest = stream.take(LINGER_BYTES);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        }
        std::io::Result::Ok(())
    };
    // Nobody is left to tell of a failure.
    let _ = tokio::time::timeout(LINGER, watched.unless_cut(goodbye)).await;
}

#[cfg(test)]
mod tests;
