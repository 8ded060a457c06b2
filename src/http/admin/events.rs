//! Changes as they come: server-sent events (HTML Living Standard, section 9.2), one per journal entry, in its order.
//!
//! The id of an event is its sequence, so a client that comes back with the last one it saw (`Last-Event-ID`) goes on right
//! after it, on any replica and after any restart. An event is sent once this replica decides by the change. Nothing is
//! queued per client but a page of entries: whoever is slow is served from the journal.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderName, Uri};
use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::extract::{Query, environment_name};
use super::history::HistoryEntry;
use crate::domain::access::Scope;
use crate::domain::ids::{AggregateKey, EnvironmentName, Sequence};
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::store::StoreError;
use crate::store::record::{Entry, Record};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Time without an event after which a comment is sent, so that nobody in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pause before a page of the journal that could not be read is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where to begin, and what to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Start {
    /// Only changes of this environment; of all that the token may read, if left out.
    #[param(value_type = Option<EnvironmentName>)]
    environment: Option<String>,
    /// Begin after this journal entry; with what comes next, if left out. 0 begins with the first. `Last-Event-ID` goes first.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
}

/// Headers of the request.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `begin_after` reads")]
pub(super) struct ResumeHeaders {
    /// Id of the last event seen; the stream goes on after it.
    #[param(rename = "Last-Event-ID", required = false)]
    last_event_id: u64,
}

/// A change. Sent as `event: change`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeEvent {
    /// What was changed: `environment/` and its name, `access` or `settings`.
    aggregate: String,
    /// The environment's name; null if another aggregate was changed.
    environment: Option<EnvironmentName>,
    #[serde(flatten)]
    entry: HistoryEntry,
}

impl ChangeEvent {
    /// The change of `record`, as it is seen at `now`.
    pub(crate) fn new(record: &Record, now: Timestamp) -> Self {
        let aggregate = &record.change.aggregate;
        let environment = environment_of(aggregate);
        Self {
            aggregate: aggregate.to_string(),
            environment: environment.cloned(),
            entry: HistoryEntry::new(environment, record, now),
        }
    }
}

/// The environment that `aggregate` is, if it is one.
fn environment_of(aggregate: &AggregateKey) -> Option<&EnvironmentName> {
    match aggregate {
        AggregateKey::Environment(name) => Some(name),
        AggregateKey::Access | AggregateKey::Settings | AggregateKey::Other(_) => None,
    }
}

/// An entry that is not what its writer wrote. Sent as `event: unreadable`.
#[derive(Debug, Serialize)]
struct UnreadableEvent {
    sequence: Sequence,
}

/// Why the stream does not begin where it was asked to. Sent as `event: reset`.
#[derive(Debug, Serialize)]
struct ResetEvent {
    /// The entry that was asked for.
    after: Sequence,
    /// The entry after which the stream goes on.
    resumed_after: Sequence,
    detail: &'static str,
}

/// An event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `follow` sends")]
struct StreamedEvent {
    /// What it tells.
    event: EventName,
    /// Its place in the journal.
    #[schema(pattern = "^[0-9]+$")]
    id: String,
    /// A JSON object; of a `change`, a `ChangeEvent`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// What an event tells.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `follow` sends")]
enum EventName {
    /// A change.
    Change,
    /// The stream does not begin where it was asked to.
    Reset,
    /// An entry that cannot be read.
    Unreadable,
}

/// Follows changes.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "follow_events",
    tag = "operations",
    summary = "Changes as they come (server-sent events); the id of an event is its place in the journal",
    params(Start, ResumeHeaders),
    responses(
        (status = 200, description = "A stream without an end. `change`: a change, with the state after it. `reset`: the journal does not hold the entry asked for; look at the present state, the stream goes on from there. `unreadable`: an entry that cannot be read", body = StreamedEvent, content_type = "text/event-stream"),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn follow(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Query(start): Query<Start>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let only = start.environment.as_deref().map(environment_name);
    let only = only.transpose()?;
    match &only {
        Some(name) => caller.require(Scope::Read, Some(name.as_str()))?,
        None => caller.require_somewhere(Scope::Read)?,
    }
    if listener.draining.is_cancelled() {
        let detail = "this process is on its way out; follow another replica";
        return Err(Problem::new(Kind::NotReady, detail));
    }
    let asked = begin_after(&headers, start.after.as_deref())?;
    let served = listener.replica.served();
    let counted = Counted::new(&listener.metrics.event_streams);
    let (next, first) = beginning(&listener, asked).await?;
    let following = Following {
        listener,
        caller,
        headers,
        only,
        next,
        waiting: VecDeque::from([first]),
        served,
        _counted: counted,
    };
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    Ok(Sse::new(events).into_response())
}

/// The entry that the request wants to begin after; `None` is the last one there is.
fn begin_after(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<Sequence>, Problem> {
    let header = headers
        .get(LAST_EVENT_ID)
        .map(|value| (value.to_str().unwrap_or("?"), "header Last-Event-ID"));
    let parameter = parameter.map(|value| (value, "parameter after"));
    let Some((text, name)) = header.or(parameter) else {
        return Ok(None);
    };
    // More than any journal will ever hold is no id, although it is a number.
    let number = text
        .parse()
        .ok()
        .filter(|number| i64::try_from(*number).is_ok());
    let number = number.ok_or_else(|| {
        Problem::new(
            Kind::BadRequest,
            format!("{name}: expected the id of an event, a whole number"),
        )
    })?;
    Ok(Some(Sequence(number)))
}

/// The first entry of the stream, and what the client is told of it.
async fn beginning(
    listener: &Listener,
    asked: Option<Sequence>,
) -> Result<(Sequence, Event), Problem> {
    let replica = &listener.replica;
    let position = || {
        replica
            .look(|follower| follower.position)
            .ok_or_else(Problem::not_ready)
    };
    let end = position()?;
    let Some(asked) = asked.filter(|asked| *asked != end.last) else {
        return Ok((end.next, mark(end.last)));
    };
    if asked > end.last {
        // Another replica may have sent what this one has not followed yet.
        replica.catch_up().await?;
    }
    let end = position()?;
    let is_known = asked == Sequence(0) || asked <= end.last && replica.holds(asked).await?;
    if is_known {
        return Ok((asked.next(), mark(asked)));
    }
    let detail = "the journal holds no such change: it was recovered, or the id is of another deployment; look at the present state, what follows are the changes after it";
    Ok((end.next, reset(asked, end.last, detail)))
}

fn reset(after: Sequence, resumed_after: Sequence, detail: &'static str) -> Event {
    let data = ResetEvent {
        after,
        resumed_after,
        detail,
    };
    named("reset", resumed_after, &data)
}

/// A comment that moves the client's last event id to `sequence`, and is no event.
fn mark(sequence: Sequence) -> Event {
    Event::default()
        .comment("nothing new")
        .id(sequence.to_string())
}

fn named(name: &str, sequence: Sequence, data: &impl Serialize) -> Event {
    // Structs of texts and numbers: nothing that JSON cannot say.
    let data = serde_json::to_string(data).expect("an event as JSON");
    Event::default()
        .event(name)
        .id(sequence.to_string())
        .data(data)
}

/// A client that is counted while it is there. How many there may be is a matter of `http::overload`.
pub(in crate::http) struct Counted(Gauge);

impl Counted {
    pub(in crate::http) fn new(streams: &Gauge) -> Self {
        streams.inc();
        Self(streams.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One client's place in the journal.
struct Following {
    listener: Arc<Listener>,
    caller: Caller,
    /// The request's, with the credentials.
    headers: HeaderMap,
    only: Option<EnvironmentName>,
    /// The entry to be dealt with next.
    next: Sequence,
    waiting: VecDeque<Event>,
    /// The last entry that this replica decides by.
    served: watch::Receiver<Sequence>,
    _counted: Counted,
}

impl Following {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        let draining = self.listener.draining.clone();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.listener.metrics.events.inc();
                return Some(event);
            }
            if draining.is_cancelled() || !self.renew() {
                return None;
            }
            let end = *self.served.borrow_and_update();
            if self.next <= end {
                if let Err(error) = self.take_page(end).await {
                    tracing::debug!(%error, "cannot read the journal for a stream of events");
                    tokio::select! {
                        () = draining.cancelled() => {}
                        () = tokio::time::sleep(RETRY_PAUSE) => {}
                    }
                }
                continue;
            }
            tokio::select! {
                () = draining.cancelled() => return None,
                changed = self.served.changed() => changed.ok()?,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(mark(self.last())),
            }
        }
    }

    /// The last entry that was dealt with.
    fn last(&self) -> Sequence {
        Sequence(self.next.0.saturating_sub(1))
    }

    /// Asks anew who the caller is: a token may have been revoked, or have expired. Returns whether it is somebody.
    fn renew(&mut self) -> bool {
        match Caller::of(&self.listener, &self.headers, &Uri::default()) {
            Ok(caller) => {
                self.caller = caller;
                true
            }
            Err(_) => false,
        }
    }

    /// Takes some of the entries up to `end`, those that are not for this client included.
    async fn take_page(&mut self, end: Sequence) -> Result<(), StoreError> {
        const MISSING: &str = "entries of the journal are missing here, as after a recovery; look at the present state";
        let entries = self.listener.replica.entries(self.next, end).await?;
        if entries.is_empty() {
            self.waiting.push_back(reset(self.last(), end, MISSING));
            self.next = end.next();
        }
        let now = self.listener.clock.now();
        for entry in entries {
            if entry.sequence() < self.next {
                // A bridge led over it: nobody has followed it.
                continue;
            }
            if entry.sequence() > self.next {
                let resumed_after = Sequence(entry.sequence().0 - 1);
                let gap = reset(self.last(), resumed_after, MISSING);
                self.waiting.push_back(gap);
            }
            self.waiting.extend(self.event(&entry, now));
            self.next = match &*entry {
                Entry::Bridge(bridge) if bridge.is_intact => bridge.to,
                _ => entry.sequence().next(),
            };
        }
        Ok(())
    }

    /// What this client is told of `entry`.
    fn event(&self, entry: &Entry, now: Timestamp) -> Option<Event> {
        match entry {
            Entry::Record(record) if record.is_intact => {
                let change = self.change(record, now)?;
                Some(named("change", record.sequence, &change))
            }
            // Whose it was cannot be said.
            Entry::Record(_) | Entry::Unreadable(_) => {
                let sequence = entry.sequence();
                Some(named("unreadable", sequence, &UnreadableEvent { sequence }))
            }
            Entry::Bridge(_) => None,
        }
    }

    fn change(&self, record: &Record, now: Timestamp) -> Option<ChangeEvent> {
        let environment = environment_of(&record.change.aggregate);
        let is_wanted = self.only.is_none() || self.only.as_ref() == environment;
        let may_see = match environment {
            Some(name) => self.caller.may(Scope::Read, Some(name.as_str())),
            None => self.caller.may(Scope::Admin, None),
        };
        (is_wanted && may_see).then(|| ChangeEvent::new(record, now))
    }
}
