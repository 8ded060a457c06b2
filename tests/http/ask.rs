//! A request and its answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, LAST_MODIFIED, PRAGMA,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, Request, StatusCode, request};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;
use tower::ServiceExt;

/// Stands in hostile input, so that an answer that repeats it is noticed.
pub(crate) const CANARY: &str = "c4N4rY";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// A request on its way to one of the listeners.
pub(crate) struct Ask {
    router: Router,
    head: request::Builder,
    body: Body,
}

impl Ask {
    pub(crate) fn new(router: Router, method: &str, path: &str) -> Self {
        let head = Request::builder().method(method).uri(path);
        Self {
            router,
            head,
            body: Body::empty(),
        }
    }

    pub(crate) fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: &str,
    ) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// With this token instead of the one that the world gave.
    pub(crate) fn by(mut self, token: &str) -> Self {
        self = self.by_nobody();
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Without a token.
    pub(crate) fn by_nobody(mut self) -> Self {
        self.head
            .headers_mut()
            .expect("a request so far")
            .remove(AUTHORIZATION);
        self
    }

    pub(crate) fn if_match(self, etag: &str) -> Self {
        self.header(IF_MATCH, etag)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(JSON, body.to_string())
    }

    /// With these bytes, labelled as JSON whatever they are.
    pub(crate) fn raw(self, body: impl Into<Bytes>) -> Self {
        self.body(JSON, body)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.header(CONTENT_TYPE, content_type).unlabelled(body)
    }

    pub(crate) fn unlabelled(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::from(body.into());
        self
    }

    /// With a body of unknown length that comes in these pieces, labelled as JSON.
    pub(crate) fn pieces<P: Into<Bytes>>(
        mut self,
        pieces: impl IntoIterator<Item = io::Result<P>>,
    ) -> Self {
        self = self.header(CONTENT_TYPE, JSON);
        self.body = Body::new(Pieces(
            pieces
                .into_iter()
                .map(|piece| piece.map(Into::into))
                .collect(),
        ));
        self
    }

    /// The answer, which keeps what every answer promises.
    pub(crate) async fn send(self) -> Answer {
        let request = self.head.body(self.body).expect("a request");
        let what = format!("{} {}", request.method(), request.uri());
        let Ok(response) = self.router.oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            body,
        };
        answer.assert_keeps_every_promise(&what);
        answer
    }
}

impl Ask {
    /// The answer's body while it is still coming in; the answer must be a success.
    pub(crate) async fn open(self) -> Body {
        let request = self.head.body(self.body).expect("a request");
        let Ok(response) = self.router.oneshot(request).await;
        assert!(response.status().is_success(), "{response:?}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store, no-cache");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        response.into_body()
    }
}

/// A body that comes in pieces and may break off.
struct Pieces(VecDeque<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    fn assert_keeps_every_promise(&self, what: &str) {
        assert_eq!(
            self.header(CACHE_CONTROL),
            Some("no-store, no-cache"),
            "{what}"
        );
        assert_eq!(self.header(LAST_MODIFIED), None, "{what}");
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return;
        }
        if what.ends_with(" /oauth/token") && self.header(CONTENT_TYPE) == Some(JSON) {
            return self.assert_is_an_oauth_error(what);
        }
        assert_eq!(self.header(CONTENT_TYPE), Some(PROBLEM), "{what}: {self:?}");
        assert!(
            !self.text().contains(CANARY),
            "{what} repeats its input: {}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{what}");
        for member in ["type", "title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{what}: {member} in {problem}"
            );
        }
        let is_away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(self.headers.contains_key(RETRY_AFTER), is_away, "{what}");
        let is_unknown = self.status == StatusCode::UNAUTHORIZED;
        assert_eq!(
            self.headers.contains_key(WWW_AUTHENTICATE),
            is_unknown,
            "{what}"
        );
        let is_other_method = self.status == StatusCode::METHOD_NOT_ALLOWED;
        assert_eq!(self.headers.contains_key(ALLOW), is_other_method, "{what}");
    }

    /// What OAuth 2.0 wants of an error (RFC 6749, section 5.2).
    fn assert_is_an_oauth_error(&self, what: &str) {
        assert!(
            !self.text().contains(CANARY),
            "{what} repeats its input: {self:?}"
        );
        let error = self.json();
        let known = [
            "invalid_request",
            "invalid_client",
            "unsupported_grant_type",
            "temporarily_unavailable",
        ];
        assert!(
            known.iter().any(|known| error["error"] == *known),
            "{what}: {error}"
        );
        assert!(error["error_description"].is_string(), "{what}: {error}");
        assert_eq!(self.header(PRAGMA), Some("no-cache"), "{what}");
        let is_unknown = self.status == StatusCode::UNAUTHORIZED;
        assert_eq!(
            error["error"] == "invalid_client",
            is_unknown,
            "{what}: {error}"
        );
        assert_eq!(
            self.headers.contains_key(WWW_AUTHENTICATE),
            is_unknown,
            "{what}"
        );
        let is_away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(self.headers.contains_key(RETRY_AFTER), is_away, "{what}");
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert_eq!(values.next(), None, "a header stands twice");
        Some(value.to_str().expect("a readable header"))
    }

    pub(crate) fn etag(&self) -> &str {
        self.header(ETAG).expect("an ETag")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Fails unless it is a success.
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{self}");
        self
    }

    /// The short name of the problem that it is.
    pub(crate) fn problem(&self) -> String {
        let problem = self.json();
        let name = problem["type"]
            .as_str()
            .and_then(|uri| uri.strip_prefix("urn:traffic-cop:problem:"));
        name.unwrap_or_else(|| panic!("no problem: {self}"))
            .to_owned()
    }

    /// Status and, of a problem, name and detail: one line of a table of errors.
    pub(crate) fn line(&self) -> String {
        if self.status.is_success() {
            return self.status.as_u16().to_string();
        }
        let detail = self.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        format!("{} {}: {detail}", self.status.as_u16(), self.problem())
    }
}

/// Status, the headers that say something of their own, and the body, with random parts named instead of shown.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for name in [ETAG, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE] {
            if let Some(value) = self.headers.get(&name) {
                writeln!(f, "{name}: {}", value.to_str().unwrap_or_default())?;
            }
        }
        match serde_json::from_slice(&self.body) {
            Ok(mut json) => {
                redact(&mut json);
                write!(f, "{json:#}")
            }
            Err(_) => write!(f, "{}", String::from_utf8_lossy(&self.body)),
        }
    }
}

/// Puts names in place of what is drawn at random.
fn redact(json: &mut Value) {
    match json {
        Value::String(text) => {
            if let Some(name) = random_part(text) {
                *text = format!("[{name}]");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn random_part(text: &str) -> Option<&'static str> {
    let is_hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let version = uuid::Uuid::try_parse(text)
        .ok()
        .and_then(|uuid| uuid.get_version());
    match text.len() {
        _ if text
            .parse::<traffic_cop::access::token::TokenText>()
            .is_ok() =>
        {
            Some("text of a token")
        }
        16 if is_hex(text) => Some("id of a token"),
        64 if is_hex(text) => Some("hash"),
        36 if version == Some(uuid::Version::SortRand) => Some("id of a replica"),
        _ => None,
    }
}
