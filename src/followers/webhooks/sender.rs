//! Sending an event: one request, one verdict.
//!
//! Redirects are not followed: whoever registered the webhook has said where its events may go. Nothing of an answer counts but
//! its status and how long it wants to be left alone; its body is not read.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, StatusCode};

use super::event::{self, Message};
use super::signature::{SigningSecret, signatures};
use crate::domain::ids::WebhookUrl;
use crate::telemetry::spans;
use crate::telemetry::trace_context::TRACEPARENT;

/// How long an attempt may take: connection, request, and the head of the answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// Who sends events.
#[derive(Debug)]
pub struct Sender {
    elsewhere: Client,
    here: Client,
    answer_time: Duration,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The answer is no success; a redirect is none.
    #[error("it answers with status {}", status.as_u16())]
    Refused {
        /// The answer.
        status: StatusCode,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// There is no answer.
    #[error("it does not answer: {0}")]
    Unanswered(String),
}

impl Sender {
    /// One that waits so long for an answer.
    ///
    /// # Errors
    /// The host's trust store cannot be read.
    pub fn new(answer_time: Duration) -> Result<Self, reqwest::Error> {
        // An error means that the process has a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || -> ClientBuilder {
            Client::builder()
                .user_agent(concat!("traffic-cop/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIME)
                .redirect(Policy::none())
        };
        Ok(Self {
            elsewhere: builder().https_only(true).build()?,
            here: builder().no_proxy().tls_certs_only([]).build()?,
            answer_time,
        })
    }

    /// Sends `message` at `now`, signed with all of `secrets`.
    pub(super) async fn send(
        &self,
        url: &WebhookUrl,
        message: &Message,
        secrets: &[SigningSecret],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let client = if url.is_on_this_host() {
            &self.here
        } else {
            &self.elsewhere
        };
        let Message { id, body, .. } = message;
        let timestamp = now.as_second();
        let mut request = client
            .post(url.as_str())
            .header(CONTENT_TYPE, event::CONTENT_TYPE)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                signatures(secrets, id, timestamp, body),
            )
            .body(body.clone());
        if let Some(parent) = spans::current() {
            request = request.header(TRACEPARENT, parent.to_string());
        }
        let answer = match tokio::time::timeout(self.answer_time, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Failure::Unanswered(innermost(&error))),
            Err(_) => {
                let why = format!("nothing within {:?}", self.answer_time);
                return Err(Failure::Unanswered(why));
            }
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(Failure::Refused {
            status,
            retry_after: retry_after(status, answer.headers()),
        })
    }
}

impl Failure {
    /// How it is counted.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unanswered(_) => "unanswered",
        }
    }

    /// How long the other side wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unanswered(_) => None,
        }
    }

    /// Whether the other side says that it is gone for good.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::GONE)
    }
}

/// In seconds, of answers that it goes with (RFC 9110, section 10.2.3). A date says no more than our own pauses.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let is_busy = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status);
    let seconds = headers.get(RETRY_AFTER).filter(|_| is_busy)?;
    let seconds = seconds.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The innermost cause says what happened; the layers above it say that something did, and name the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
