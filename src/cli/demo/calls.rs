//! The calls of a crowd, made as flows make them: a request for a decision each, and a report of how it ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::crowd::{Call, Crowd, Ended};
use crate::cli::api::Decision;
use crate::cli::client::{Answer, Client};
use crate::cli::failure::Failure;
use crate::clock::Clock;
use crate::domain::ids::EnvironmentName;

/// Time between two looks at who calls and whose call has ended; of the visitor's.
const BEAT: Duration = Duration::from_millis(100);
/// Most requests under way at a time. Each takes a connection.
const AT_ONCE: usize = 8;
/// Most outcomes in one report, as the API has it.
const MOST_OUTCOMES: usize = 500;

/// The calls to one environment.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) decisions: Client,
    pub(super) environment: EnvironmentName,
    /// Label of the version that callers do not fare in as they do in every other.
    pub(super) on_trial: &'static str,
    pub(super) crowd: Arc<Mutex<Crowd>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Calls {
    /// Makes them, for as long as somebody polls.
    pub(super) async fn make(self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unheard = Vec::new();
        loop {
            beat.tick().await;
            let coming = self.crowd().coming(self.clock.plan_time());
            stream::iter(coming)
                .for_each_concurrent(AT_ONCE, |call| self.call(call))
                .await;
            unheard.extend(self.crowd().ended(self.clock.plan_time()));
            self.report(&mut unheard).await;
        }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        // Short critical sections, never held across an await.
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, call: Call) {
        // A call that gets no decision is lost. The service is on its way out then.
        if let Ok(decision) = self.decide(&call.conversation).await {
            let is_on_trial = decision.flow_version == self.on_trial;
            let now = self.clock.plan_time();
            self.crowd().take(call, is_on_trial, now);
        }
    }

    async fn decide(&self, conversation: &str) -> Result<Decision, Failure> {
        let body = json!({ "Conversation_ID": conversation });
        self.post("decisions", &body).await?.read()
    }

    /// Reports what has not been heard yet. Anything but an answer means: the same again, later.
    async fn report(&self, unheard: &mut Vec<Ended>) {
        let most = unheard.len().min(MOST_OUTCOMES);
        if most == 0 {
            return;
        }
        let (now, plan_time) = (self.clock.now(), self.clock.plan_time());
        let outcomes = unheard[..most].iter();
        let outcomes = outcomes.map(|ended| outcome(ended, plan_time, now));
        let body = json!({ "Outcomes": outcomes.collect::<Vec<_>>() });
        if self.post("outcomes", &body).await.is_ok() {
            unheard.drain(..most);
        }
    }

    async fn post(&self, resource: &str, body: &Value) -> Result<Answer, Failure> {
        let client = &self.decisions;
        let path = ["v1", "environments", self.environment.as_str(), resource];
        let request = client.request(Method::POST, client.url(&path)).json(body);
        client.answer(request).await
    }
}

/// How a call ended, as its flow says it at `now`, which is `plan_time` after the start.
fn outcome(ended: &Ended, plan_time: Duration, now: Timestamp) -> Value {
    let ago = plan_time.saturating_sub(ended.at);
    json!({
        "Conversation_ID": ended.conversation,
        "Abandon": ended.has_hung_up,
        "Time": now.checked_sub(ago).unwrap_or(now).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_says_when_its_call_ended_and_whether_the_caller_hung_up() {
        let ended = Ended {
            conversation: "c".to_owned(),
            has_hung_up: true,
            at: Duration::from_secs(90),
        };
        let now = "2026-11-30T10:02:00Z".parse().unwrap();
        let said = outcome(&ended, Duration::from_secs(100), now);
        let expected =
            json!({ "Conversation_ID": "c", "Abandon": true, "Time": "2026-11-30T10:01:50Z" });
        assert_eq!(said, expected);
    }
}
