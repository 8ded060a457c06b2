//! One keep-alive HTTP/1.1 connection that asks one question at a time.
//!
//! Far from a general client, on purpose: it must cost less than the servers it measures. It understands answers with a
//! `Content-Length` and refuses all others.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any answer here; a longer one is an error.
const CAPACITY: usize = 8 * 1024;

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; borrows the connection's buffer.
pub(crate) struct Response<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body, whole.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects to `address`.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self {
            stream,
            buffer: vec![0; CAPACITY],
        })
    }

    /// Sends `request`, which must be a whole request, and waits for the whole answer.
    ///
    /// # Errors
    /// If the connection fails or closes, or the answer is not one this client understands. The connection is then useless.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Response<'_>> {
        self.stream
            .write_all(request)
            .await
            .context("cannot send a request")?;
        let mut filled = 0;
        let (head, body) = loop {
            ensure!(filled < CAPACITY, "answer is longer than {CAPACITY} bytes");
            let read = self
                .stream
                .read(&mut self.buffer[filled..])
                .await
                .context("cannot read an answer")?;
            ensure!(
                read > 0,
                "the server closed the connection in the middle of an exchange"
            );
            filled += read;
            if let Some((head_length, body_length)) = lengths(&self.buffer[..filled])?
                && filled >= head_length + body_length
            {
                ensure!(
                    filled == head_length + body_length,
                    "answer is longer than its content-length"
                );
                break self.buffer[..filled].split_at(head_length);
            }
        };
        Ok(Response {
            status: status(head)?,
            body,
        })
    }
}

/// Lengths of head and body, as soon as the head is there.
fn lengths(received: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = find(received, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = &received[..end];
    let Some(length) = head.split(|byte| *byte == b'\n').find_map(content_length) else {
        bail!(
            "answer has no content-length: {}",
            String::from_utf8_lossy(head)
        );
    };
    Ok(Some((end + 4, length)))
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    str::from_utf8(value).ok()?.trim().parse().ok()
}

fn status(head: &[u8]) -> anyhow::Result<u16> {
    head.strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
        .with_context(|| format!("answer has no status: {}", String::from_utf8_lossy(head)))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_known_once_the_head_is_whole() -> anyhow::Result<()> {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\ndate: x\r\n\r\n{";
        assert_eq!(lengths(&answer[..30])?, None);
        assert_eq!(lengths(answer)?, Some((answer.len() - 1, 12)));
        assert_eq!(status(answer)?, 200);
        Ok(())
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(lengths(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
