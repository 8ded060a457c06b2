//! The bytes of a connection, with an eye on when they come and go.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::refusal;
use super::watched::Watched;

/// A stream whose reads and writes move the connection's clocks, and on which refusals are problem documents.
#[derive(Debug)]
pub(super) struct WatchedStream<I> {
    inner: I,
    watched: Arc<Watched>,
    /// What is left to write of a problem document that goes out in place of the bytes at hand.
    refusal: Bytes,
}

impl<I> WatchedStream<I> {
    pub(super) fn new(inner: I, watched: Arc<Watched>) -> Self {
        Self {
            inner,
            watched,
            refusal: Bytes::new(),
        }
    }

    pub(super) fn into_inner(self) -> I {
        self.inner
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for WatchedStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watched.received();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> WatchedStream<I> {
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched.wrote(polled.is_pending());
        polled
    }

    /// Writes the problem document; `replaced` bytes count as written once it is out.
    fn write_refusal(&mut self, cx: &mut Context<'_>, replaced: usize) -> Poll<io::Result<usize>> {
        while self.refusal.has_remaining() {
            let rest = self.refusal.clone();
            match ready!(self.write(cx, &rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refusal.advance(written),
            }
        }
        Poll::Ready(Ok(replaced))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for WatchedStream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(problem) = refusal::in_place_of(bytes) {
            if self.refusal.is_empty() {
                self.refusal = refusal::answer(&problem);
            }
            return self.write_refusal(cx, bytes.len());
        }
        self.write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched.wrote(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
