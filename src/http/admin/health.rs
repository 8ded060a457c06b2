//! The health of this replica in detail, for the person who looks into it. Nothing here decides whether calls are sent to it:
//! that is what liveness and readiness are for.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::view::milliseconds;
use crate::domain::access::Scope;
use crate::domain::ids::{Revision, Sequence};
use crate::http::Listener;
use crate::http::problem::{Problem, ProblemSchema};
use crate::replica::Replica;
use crate::replica::follower::{Follower, Known};
use crate::store::heartbeats::{Peer, Presence};
use crate::telemetry::{Alarm, Metrics};

/// One replica: what it answers calls from, and what stands behind that.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthView {
    /// Its id, new at every start.
    replica: String,
    /// Version of its binary.
    version: &'static str,
    /// When it started.
    started_at: Timestamp,
    /// Whether calls should be sent to it.
    ready: bool,
    /// Whether it is on its way out.
    draining: bool,
    /// What calls are answered from: `live` is the journal, `last-good` and `default` are files; null if nothing is loaded.
    source: Option<&'static str>,
    /// The last journal entry applied; null if nothing is loaded.
    sequence: Option<Sequence>,
    /// What it knows of the store.
    store: StoreView,
    /// The file that a restart without the store would begin from; null if none is kept.
    last_good: Option<LastGoodView>,
    /// Aggregates that are not served as their last record has them, or that a newer binary wrote.
    faults: Vec<FaultView>,
    /// The replicas of the last 24 hours, this one among them.
    peers: PeersView,
    /// The webhooks that this replica tells of changes, while it is the one that does.
    webhooks: Vec<BacklogView>,
    /// The rows of the data table in Genesys Cloud, while this replica is the one that keeps them.
    mirror: Vec<RowLagView>,
    /// The alarms that this replica raises, in the order of docs/operations.md. `/v1/replicas` names those of the others.
    alarms: Vec<AlarmView>,
}

/// What a replica knows of the store.
#[derive(Debug, Serialize, ToSchema)]
struct StoreView {
    /// Milliseconds since the beginning of the last poll that found the journal in order; null if there was none.
    age_ms: Option<u64>,
    /// Whether calls that ask to be validated wait for it. While it does not answer in time they do not.
    validating: bool,
    /// What is wrong with the journal, so that writes are refused; null if nothing is.
    journal_fault: Option<String>,
}

/// The last-good file.
#[derive(Debug, Serialize, ToSchema)]
struct LastGoodView {
    /// The last journal entry in it.
    sequence: Sequence,
    /// Whether that is the last one applied.
    current: bool,
}

/// An aggregate that needs a person.
#[derive(Debug, Serialize, ToSchema)]
struct FaultView {
    /// `environment/` and its name, or `access`.
    aggregate: String,
    /// Revision of its last record.
    revision: Revision,
    /// Revision of the state that is served; null if none could be read.
    served_revision: Option<Revision>,
    /// What is wrong.
    why: String,
}

/// How many replicas there are.
#[derive(Debug, Default, Serialize, ToSchema)]
struct PeersView {
    /// Their heartbeats moved in the last 6 seconds.
    live: usize,
    /// Their heartbeats stopped without a word.
    silent: usize,
}

/// What a webhook has not been told.
#[derive(Debug, Serialize, ToSchema)]
struct BacklogView {
    /// Its name.
    webhook: String,
    /// Journal entries behind the last that was dealt with.
    behind: u64,
    /// Milliseconds since the oldest change that it has to be told of; 0 if there is none.
    oldest_ms: u64,
    /// What holds it up; null if nothing does.
    held_up: Option<String>,
}

/// How the row of an environment stands.
#[derive(Debug, Serialize, ToSchema)]
struct RowLagView {
    /// The environment.
    environment: String,
    /// Milliseconds for which it has been known not to say what the journal says; 0 if it does.
    behind_ms: u64,
    /// What is in the way; null if nothing is.
    held_up: Option<String>,
}

/// An alarm that is raised.
#[derive(Debug, Serialize, ToSchema)]
struct AlarmView {
    /// Its name, as in the metric and in docs/operations.md.
    condition: &'static str,
    /// Why it is raised.
    why: String,
}

/// Shows the health of this replica in detail.
#[utoipa::path(
    get,
    path = "/v1/health/detail",
    operation_id = "show_health",
    tag = "operations",
    summary = "What this replica answers calls from, and everything that is wrong with what stands behind it",
    responses(
        (status = 200, description = "The replica's health, good or bad", body = HealthView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn detail(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, None)?;
    Ok(Json(HealthView::new(&listener)).into_response())
}

impl HealthView {
    fn new(listener: &Listener) -> Self {
        let Listener { replica, .. } = listener;
        let sequence = replica.look(|follower| follower.position.last);
        let source = replica.snapshot().as_ref().map(|loaded| loaded.source);
        Self {
            replica: replica.id().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: replica.started_at(),
            ready: listener.is_ready(),
            draining: listener.draining.is_cancelled(),
            source: source.map(|source| source.as_str()),
            sequence,
            store: StoreView::new(replica),
            last_good: replica.saved().map(|saved| LastGoodView {
                sequence: saved,
                current: sequence.is_none_or(|sequence| saved >= sequence),
            }),
            faults: replica.look(faults).unwrap_or_default(),
            peers: PeersView::new(&replica.peers(), listener.clock.monotonic()),
            webhooks: backlogs(&listener.metrics),
            mirror: lags(&listener.metrics),
            alarms: raised(&listener.metrics),
        }
    }
}

impl StoreView {
    fn new(replica: &Replica) -> Self {
        Self {
            age_ms: replica.age().map(milliseconds),
            validating: replica.is_validating(),
            journal_fault: replica.doubt().map(|fault| fault.to_string()),
        }
    }
}

impl PeersView {
    fn new(peers: &[Peer], now: Duration) -> Self {
        let count = |presence| {
            let found = peers.iter().filter(|peer| peer.presence(now) == presence);
            found.count()
        };
        Self {
            live: count(Presence::Live),
            silent: count(Presence::Silent),
        }
    }
}

fn faults(follower: &Follower) -> Vec<FaultView> {
    let fault = |known: Known<'_>| {
        let why = known.fault.map(str::to_owned);
        let why = why.or_else(|| known.newer_format())?;
        Some(FaultView {
            aggregate: known.key.to_string(),
            revision: known.revision,
            served_revision: known.good_revision,
            why,
        })
    };
    follower.aggregates().filter_map(fault).collect()
}

fn backlogs(metrics: &Metrics) -> Vec<BacklogView> {
    let backlogs = metrics.followers.webhooks().into_iter();
    let views = backlogs.map(|(webhook, backlog)| BacklogView {
        webhook,
        behind: backlog.entries,
        oldest_ms: milliseconds(backlog.age),
        held_up: backlog.obstacle,
    });
    views.collect()
}

fn lags(metrics: &Metrics) -> Vec<RowLagView> {
    let lags = metrics.followers.rows().into_iter();
    let views = lags.map(|(environment, lag)| RowLagView {
        environment,
        behind_ms: milliseconds(lag.behind),
        held_up: lag.obstacle,
    });
    views.collect()
}

fn raised(metrics: &Metrics) -> Vec<AlarmView> {
    let view = |(alarm, why): (Alarm, String)| AlarmView {
        condition: alarm.as_str(),
        why,
    };
    metrics.alarms.raised().into_iter().map(view).collect()
}
