//! HTTP byte by byte, for what no client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take that should be a matter of moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// Its header fields in lower case, a line each.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    /// The value of a header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    }

    /// The short name of the problem that it is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(
            self.header("cache-control"),
            Some("no-store, no-cache"),
            "{self:?}"
        );
        let document: serde_json::Value = serde_json::from_str(&self.body).expect("a document");
        assert_eq!(document["status"], self.status, "{document}");
        let name = document["type"]
            .as_str()
            .and_then(|uri| uri.strip_prefix("urn:traffic-cop:problem:"));
        name.unwrap_or_else(|| panic!("no problem: {document}"))
            .to_owned()
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Raw<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// What it goes over.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Sends bytes. Whether the other side still takes them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next answer; `None` if the connection ends before one has begun.
    pub(crate) async fn answer(&mut self) -> Option<RawAnswer> {
        loop {
            if let Some((answer, length)) = parse(&self.received) {
                self.received.drain(..length);
                return Some(answer);
            }
            if !self.receive().await {
                let rest = String::from_utf8_lossy(&self.received);
                assert!(rest.is_empty(), "the connection ended within: {rest}");
                return None;
            }
        }
    }

    /// All answers until the other side ends the connection.
    pub(crate) async fn answers(&mut self) -> Vec<RawAnswer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        answers
    }

    /// Sends one request and takes its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> RawAnswer {
        self.send(request).await;
        self.answer().await.expect("an answer")
    }

    /// Whether more came; not if the connection ended, in whatever way.
    async fn receive(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.received);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for bytes or an end"))
            .is_ok_and(|count| count > 0)
    }
}

/// The answer at the beginning of `bytes` and its length, once it is whole.
fn parse(bytes: &[u8]) -> Option<(RawAnswer, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("text");
    let (status, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {head}"));
    let mut answer = RawAnswer {
        status,
        head: head.to_ascii_lowercase(),
        body: String::new(),
    };
    if status == 100 {
        return Some((answer, end + 4));
    }
    let length: usize = answer
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or_else(|| panic!("no length: {answer:?}"));
    let body = bytes.get(end + 4..end + 4 + length)?;
    answer.body = String::from_utf8_lossy(body).into_owned();
    Some((answer, end + 4 + length))
}
