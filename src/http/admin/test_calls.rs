//! What became of test calls: decisions by an override, and how those calls ended.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, Query, environment_name};
use super::history;
use super::moment::Moment;
use crate::domain::access::Scope;
use crate::domain::conversation::Conversation;
use crate::domain::ids::{EnvironmentName, Revision, VersionLabel};
use crate::domain::judge::evidence::{ConversationHash, Outcome};
use crate::domain::judge::metric::Metric;
use crate::domain::slot::Slot;
use crate::domain::test_calls::{TestCall, TestCalls};
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::replica::Served;
use crate::store::StoreError;

/// How far back to look unless the caller says so.
const LOOKED_AT: SignedDuration = SignedDuration::from_mins(15);
/// How far back to look at the most: as long as an override may last.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// Most calls in one answer, the latest: who tests has a few.
const MOST: usize = 100;

/// What to look at.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Window {
    /// Only calls since then (RFC 3339), at most a day ago; the last quarter of an hour if left out.
    #[param(value_type = Option<Timestamp>)]
    since: Option<String>,
    /// Id of a conversation that nobody decided, such as that of a call to a number which leads to the candidate's flow directly:
    /// `direct` is how it ended.
    conversation_id: Option<String>,
}

/// Test calls of an environment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TestCallList {
    /// The environment.
    environment: EnvironmentName,
    /// The beginning of what was looked at.
    since: Timestamp,
    /// The calls that an override gave to a slot since then, the latest last; at most 100. About a second after they were decided.
    calls: Vec<TestCallView>,
    /// How the conversation that was asked for ended; null if nothing was reported or none was asked for.
    direct: Option<TestOutcomeView>,
}

/// A call that an override gave to a slot.
#[derive(Debug, Serialize, ToSchema)]
struct TestCallView {
    /// When it was decided.
    at: Timestamp,
    /// The override, by the calls that it is for; null if there is none for them any more.
    calls: Option<TestCalls>,
    /// The slot that took the call.
    slot: Slot,
    /// The version there; null if that is not known any more.
    flow_version: Option<VersionLabel>,
    /// The revision decided by.
    revision: Revision,
    /// Whether the call had an id, without which nobody can say how it ended.
    has_conversation_id: bool,
    /// How it ended; null if nothing was reported yet.
    outcome: Option<TestOutcomeView>,
}

/// How a call ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TestOutcomeView {
    /// When, by the reporter's clock.
    at: Timestamp,
    /// In which ways it ended badly; empty if it ended well.
    bad: Vec<Metric>,
}

/// Shows what became of test calls.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/test-calls",
    operation_id = "list_test_calls",
    tag = "environments",
    summary = "The calls that overrides gave to a slot lately, and how they ended",
    params(("environment" = EnvironmentName, Path), Window),
    responses(
        (status = 200, description = "The calls", body = TestCallList),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let now = listener.clock.now();
    let since = since(window.since.as_deref(), now)?;
    freshen(&listener).await?;
    let served = {
        let snapshot = listener.replica.snapshot();
        let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
        let served = snapshot.environments.get(&name);
        Arc::clone(served.ok_or_else(Problem::no_environment)?)
    };
    let direct = window.conversation_id.filter(|id| !id.is_empty());
    let direct = direct.map(|id| Conversation::of(&id).hash(&served.environment.salt));
    let calls = calls(&listener, &name, since, now).await?;
    let earliest = calls.first().map(|call| call.at);
    let from = direct.map_or(earliest, |_| Some(since));
    let wanted = calls.iter().filter_map(|call| call.conversation);
    let wanted: Vec<_> = wanted.chain(direct).collect();
    let ends = match from {
        Some(from) => ends(&listener, &name, from, now, &wanted).await?,
        None => HashMap::new(),
    };
    let mut views = Vec::new();
    for call in calls {
        let flow_version = version(&listener, &name, &served, &call).await;
        views.push(TestCallView::new(&call, flow_version, &served, &ends));
    }
    let direct = direct.and_then(|hash| ends.get(&hash).cloned());
    Ok(Json(TestCallList {
        environment: name,
        since,
        calls: views,
        direct,
    })
    .into_response())
}

fn since(text: Option<&str>, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(text) = text else {
        return Ok(now - LOOKED_AT);
    };
    let unreadable = "parameter since: expected a time, such as 2026-01-31T12:00:00Z";
    let since: Timestamp = text
        .parse()
        .map_err(|_| Problem::new(Kind::BadRequest, unreadable))?;
    if now.duration_since(since) > LONGEST {
        let over = "parameter since: test calls are told of for 24 hours";
        return Err(Problem::new(Kind::Unprocessable, over));
    }
    Ok(since.min(now))
}

/// A moment after everything that was stored until `now`, whichever replica's clock dated it.
fn end(now: Timestamp) -> Timestamp {
    now.saturating_add(SignedDuration::from_mins(2))
        .unwrap_or(Timestamp::MAX)
}

/// The test calls since `since`, the latest last.
async fn calls(
    listener: &Listener,
    name: &EnvironmentName,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<TestCall>, StoreError> {
    let store = listener.replica.store();
    let mut pages = store.evidence::<TestCall>(name, since, end(now));
    let mut calls = Vec::new();
    while let Some(page) = pages.next().await? {
        calls.extend(page.into_calls().filter(|call| call.at >= since));
    }
    calls.sort_by_key(|call| call.at);
    let surplus = calls.len().saturating_sub(MOST);
    calls.drain(..surplus);
    Ok(calls)
}

/// How each of the `wanted` conversations ended, as far as it was reported since `from`: in all ways that were.
async fn ends(
    listener: &Listener,
    name: &EnvironmentName,
    from: Timestamp,
    now: Timestamp,
    wanted: &[ConversationHash],
) -> Result<HashMap<ConversationHash, TestOutcomeView>, StoreError> {
    let mut pages = listener.replica.store().outcomes(name, from, end(now));
    let mut ends = HashMap::<ConversationHash, TestOutcomeView>::new();
    while let Some(page) = pages.next().await? {
        let reported = page
            .into_calls()
            .filter(|outcome| wanted.contains(&outcome.conversation));
        for outcome in reported {
            match ends.get_mut(&outcome.conversation) {
                Some(end) => end.also(&outcome),
                None => {
                    ends.insert(outcome.conversation, TestOutcomeView::new(&outcome));
                }
            }
        }
    }
    Ok(ends)
}

/// The version that took the call: what its slot held at the revision that it was decided by.
async fn version(
    listener: &Listener,
    name: &EnvironmentName,
    served: &Served,
    call: &TestCall,
) -> Option<VersionLabel> {
    let past;
    let environment = if served.revision == call.revision {
        &served.environment
    } else {
        let moment = Moment::Revision(call.revision);
        past = history::at(listener, name, moment).await.ok()?;
        &past.environment
    };
    let version = environment.slots[call.slot].version.as_ref();
    version.map(|version| version.label.clone())
}

impl TestCallView {
    fn new(
        call: &TestCall,
        flow_version: Option<VersionLabel>,
        served: &Served,
        ends: &HashMap<ConversationHash, TestOutcomeView>,
    ) -> Self {
        let environment = &served.environment;
        let overrides = environment.overrides.iter().map(|one| one.calls);
        let is_for = |calls: &TestCalls| calls.mark(&environment.salt) == call.mark;
        Self {
            at: call.at,
            calls: overrides.into_iter().find(is_for),
            slot: call.slot,
            flow_version,
            revision: call.revision,
            has_conversation_id: call.conversation.is_some(),
            outcome: call.conversation.and_then(|hash| ends.get(&hash).cloned()),
        }
    }
}

impl TestOutcomeView {
    fn new(outcome: &Outcome) -> Self {
        Self {
            at: outcome.at,
            bad: outcome.bad.iter().collect(),
        }
    }

    /// Takes note of another report about the same call.
    fn also(&mut self, outcome: &Outcome) {
        self.at = self.at.min(outcome.at);
        let bad = Metric::ALL.into_iter();
        let known = std::mem::take(&mut self.bad);
        self.bad = bad
            .filter(|metric| known.contains(metric) || outcome.bad.contains(*metric))
            .collect();
    }
}
