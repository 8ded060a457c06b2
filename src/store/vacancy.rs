//! Whether a place in the journal is still empty: the read that proves decisions, and the most frequent one by far.
//!
//! What the SDK does for one read, from the endpoint to the signature, costs as much as ten decisions. But the same question,
//! signed a moment ago, is the same request byte for byte, and a signature is good for five minutes ([AWS Signature Version 4]).
//! So the SDK makes the request; it is kept as it went out, and sent again over the same connections while the question stays
//! the same. Any answer but a plain "nothing there" is left to the SDK, which is asked anew.
//!
//! [AWS Signature Version 4]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, HttpClient as _, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpConnector,
};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::connection::{CONNECT_TIMEOUT, Store};
use super::error::StoreError;
use crate::domain::ids::Sequence;
use crate::telemetry::StoreOperation;

/// How long a request is sent again: far less than its signature lasts, so that clocks may differ, and new credentials are
/// soon in use.
const REPEATED_FOR: Duration = Duration::from_secs(10);
/// More than any answer that says "nothing there".
const LONGEST_ANSWER: usize = 1024;

/// The last question, as it was sent.
#[derive(Clone, Default)]
pub(super) struct LastQuestion(Arc<Mutex<Option<Question>>>);

/// A signed request and the way that it took.
struct Question {
    sequence: Sequence,
    asked: Instant,
    request: HttpRequest,
    connector: SharedHttpConnector,
}

/// Without the request: it has credentials.
impl fmt::Debug for LastQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastQuestion").finish_non_exhaustive()
    }
}

impl LastQuestion {
    fn keep(&self, question: Option<Question>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = question;
    }

    /// The request to send again about `sequence`, if there is one that is young enough.
    fn about(
        &self,
        sequence: Sequence,
        now: Instant,
    ) -> Option<(HttpRequest, SharedHttpConnector)> {
        let question = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let question = question.as_ref()?;
        let is_good = question.sequence == sequence && now < question.asked + REPEATED_FOR;
        is_good.then_some(())?;
        Some((question.request.try_clone()?, question.connector.clone()))
    }
}

impl Store {
    /// Whether the journal's place `sequence` is empty, read consistently, in one attempt: for callers who would rather do
    /// without than wait, and who say for how long.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn is_vacant(&self, sequence: Sequence) -> Result<bool, StoreError> {
        self.is_vacant_at(sequence, Instant::now()).await
    }

    async fn is_vacant_at(&self, sequence: Sequence, now: Instant) -> Result<bool, StoreError> {
        if let Some((request, connector)) = self.last_question.about(sequence, now) {
            self.requests.of(StoreOperation::GetItem).inc();
            if says_nothing(request, &connector).await {
                return Ok(true);
            }
            self.last_question.keep(None);
        }
        let answer = self
            .ask_for(&self.prompt, sequence)
            .customize()
            .interceptor(KeepQuestion {
                sequence,
                last: self.last_question.clone(),
            })
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error));
        if answer.is_err() {
            self.last_question.keep(None);
        }
        Ok(answer?.item().is_none())
    }
}

/// Whether the answer says plainly that there is no item.
async fn says_nothing(request: HttpRequest, connector: &SharedHttpConnector) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        item: Option<IgnoredAny>,
    }
    let Ok(response) = connector.call(request).await else {
        return false;
    };
    if response.status().as_u16() != 200 {
        return false;
    }
    let Ok(body) = Limited::new(response.into_body(), LONGEST_ANSWER)
        .collect()
        .await
    else {
        return false;
    };
    serde_json::from_slice::<Answer>(&body.to_bytes()).is_ok_and(|answer| answer.item.is_none())
}

/// Keeps what the SDK sends.
#[derive(Debug)]
struct KeepQuestion {
    sequence: Sequence,
    last: LastQuestion,
}

impl Intercept for KeepQuestion {
    fn name(&self) -> &'static str {
        "KeepQuestion"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The settings that the SDK asks with, so that both share their connections.
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        let question = context.request().try_clone().zip(components.http_client());
        self.last.keep(question.map(|(request, client)| Question {
            sequence: self.sequence,
            asked: Instant::now(),
            request,
            connector: client.http_connector(&settings, components),
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
