//! Sending a write until there is an answer.
//!
//! A write carries an idempotency key, so it can be sent again when its answer is lost: the server recognises the repeat and
//! gives the first answer. If no answer comes at all, the outcome is unknown, and whoever asked gets the key to find out.

use std::time::Duration;

use clap::Args;
use http::header::IF_MATCH;
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use uuid::Uuid;

use super::client::{Answer, Client, REQUEST_TIMEOUT, Silence};
use super::failure::Failure;
use crate::domain::ids::{IdempotencyKey, Reason, Revision};

/// How often a write is sent before its outcome counts as unknown.
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What every write carries.
#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    /// Why. It stays in the history for ever.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Reason,
    /// Name of this write, under which a repeat is recognised and changes nothing. A fresh one if left out.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
    /// Wait until every live replica decides by the change, 2000 milliseconds or as long as it says, and say which do.
    #[arg(
        long,
        value_name = "MS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2000",
        value_parser = clap::value_parser!(u16).range(1..=10_000)
    )]
    pub(super) wait: Option<u16>,
}

impl WriteArgs {
    /// The key that was given, or a fresh one.
    pub(super) fn key(&self) -> IdempotencyKey {
        self.idempotency_key.clone().unwrap_or_else(fresh_key)
    }
}

/// A key that no other write has.
pub(super) fn fresh_key() -> IdempotencyKey {
    let key = Uuid::new_v4().to_string();
    // A UUID is 36 hexadecimal digits and hyphens, as the grammar wants.
    key.parse().expect("a UUID is a key")
}

/// A write, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Write {
    /// The HTTP method.
    pub(super) method: Method,
    /// The resource.
    pub(super) url: Url,
    /// The body, if the method has one.
    pub(super) body: Option<Value>,
    /// The revision that the caller has seen.
    pub(super) if_match: Option<Revision>,
    /// Its name.
    pub(super) key: IdempotencyKey,
    /// Milliseconds to wait for a receipt; `None` asks for none.
    pub(super) wait: Option<u16>,
}

impl Client {
    /// Sends `write`, again under the same key if the answer is lost.
    pub(super) async fn write(&self, write: &Write) -> Result<Answer, Failure> {
        self.write_with_pause(write, FIRST_PAUSE).await
    }

    async fn write_with_pause(
        &self,
        write: &Write,
        mut pause: Duration,
    ) -> Result<Answer, Failure> {
        let mut may_have_arrived = false;
        for attempt in 1.. {
            let silence = match self.attempt(write).await {
                Ok(verdict) => return verdict,
                Err(silence) => silence,
            };
            may_have_arrived |= matches!(silence, Silence::Unknown(_));
            if attempt == ATTEMPTS {
                let failure = Failure::from(silence);
                return Err(if may_have_arrived {
                    failure.with_unknown_outcome(&write.key)
                } else {
                    failure
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    /// One attempt: the server's verdict, or none.
    async fn attempt(&self, write: &Write) -> Result<Result<Answer, Failure>, Silence> {
        match self.exchange(self.prepare(write)).await {
            // Ours means that the server does not know; a gateway's, that the gateway does not.
            Ok((StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT, text)) => Err(
                Silence::Unknown(Failure::from_answer(StatusCode::GATEWAY_TIMEOUT, &text)),
            ),
            Ok((status, text)) => Ok(self.judge(status, text)),
            Err(silence) => Err(silence),
        }
    }

    fn prepare(&self, write: &Write) -> RequestBuilder {
        let (mut url, mut time) = (write.url.clone(), REQUEST_TIMEOUT);
        if let Some(ms) = write.wait {
            url.query_pairs_mut()
                .append_pair("wait", "all")
                .append_pair("timeout_ms", &ms.to_string());
            time += Duration::from_millis(ms.into());
        }
        let mut request = self
            .unlimited_request(write.method.clone(), url)
            .timeout(time)
            .header("idempotency-key", write.key.as_str());
        if let Some(revision) = write.if_match {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        if let Some(body) = &write.body {
            request = request.json(body);
        }
        request
    }
}

#[cfg(test)]
mod tests;
