//! The past of an environment: who changed what and why, and what it was at any revision or time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, Query, environment_name};
use super::moment::Moment;
use super::view::EnvironmentView;
use crate::domain::Environment;
use crate::domain::access::Scope;
use crate::domain::ids::{AggregateKey, EnvironmentName, Revision, Sequence};
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::store::format::Document;
use crate::store::record::Record;
use crate::store::walk::Walk;

/// Entries in one answer unless the caller asks for fewer.
const PAGE: usize = 50;

/// A page of an environment's history, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// The changes.
    entries: Vec<HistoryEntry>,
    /// Pass as `before` for the next page; null at the beginning of the history.
    next_before: Option<Revision>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryEntry {
    /// The revision it made.
    revision: Revision,
    /// Where its record is in the journal.
    sequence: Sequence,
    /// The command.
    action: String,
    /// Who.
    actor: String,
    /// Why.
    reason: String,
    /// When.
    at: Timestamp,
    /// The environment afterwards; null if it was deleted, or if the state cannot be read.
    state: Option<EnvironmentView>,
}

/// Which page of the history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many entries, 1 to 50.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<usize>,
    /// Only revisions below this one.
    before: Option<u64>,
}

/// Lists changes.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/history",
    operation_id = "list_history",
    tag = "environments",
    summary = "Who changed what, when and why",
    params(("environment" = EnvironmentName, Path), Page),
    responses(
        (status = 200, description = "A page of changes, newest first", body = History),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn list(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(Page { limit, before }): Query<Page>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    freshen(&listener).await?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
    let before = Revision(before.unwrap_or(u64::MAX));
    let (records, is_whole) = records_before(&listener, &name, before, limit).await?;
    let now = listener.clock.now();
    let entries: Vec<_> = records
        .iter()
        .map(|record| HistoryEntry::new(Some(&name), record, now))
        .collect();
    let next_before = entries
        .last()
        .map(|entry| entry.revision)
        .filter(|_| !is_whole);
    Ok(Json(History {
        entries,
        next_before,
    })
    .into_response())
}

impl HistoryEntry {
    /// The change of `record`, of the environment `name` or of something that has no view.
    pub(super) fn new(name: Option<&EnvironmentName>, record: &Record, now: Timestamp) -> Self {
        let change = &record.change;
        Self {
            revision: change.revision,
            sequence: record.sequence,
            action: change.action.clone(),
            actor: change.actor.to_string(),
            reason: change.reason.to_string(),
            at: change.at,
            state: name.zip(state(record)).map(|(name, environment)| {
                EnvironmentView::new(name.clone(), change.revision, &environment, now)
            }),
        }
    }
}

/// The environment that a record made, if it can be read.
pub(in crate::http) fn state(record: &Record) -> Option<Environment> {
    Document::read(record.change.format, &record.change.state)
        .ok()?
        .state
}

/// An environment as it was.
pub(super) struct Past {
    /// The revision it had.
    pub(super) revision: Revision,
    /// Its state.
    pub(super) environment: Environment,
    /// When it came to be so.
    pub(super) committed_at: Timestamp,
}

/// The environment as it was at a revision, or at a time.
pub(super) async fn at(
    listener: &Listener,
    name: &EnvironmentName,
    wanted: Moment,
) -> Result<Past, Problem> {
    let not_found = || {
        Problem::new(
            Kind::RevisionNotFound,
            "the environment did not exist then, or the record is lost",
        )
    };
    let mut walk = walk_back(listener, name)?;
    for _ in 0..listener.limits.longest_walk {
        let record = walk.next().await?.ok_or_else(not_found)?;
        if wanted.is_reached(&record) {
            let environment = state(&record)
                .filter(|_| wanted.is_met(&record))
                .ok_or_else(not_found)?;
            return Ok(Past {
                revision: record.change.revision,
                environment,
                committed_at: record.change.at,
            });
        }
    }
    Err(too_long_ago(listener))
}

fn too_long_ago(listener: &Listener) -> Problem {
    let most = listener.limits.longest_walk;
    let detail = format!(
        "it is more than {most} changes ago; GET /v1/events?after=0 goes back to the first"
    );
    Problem::new(Kind::RevisionNotFound, detail)
}

/// Records of revisions below `before`, the newest first, `most` of them at the most; and whether there are none before those.
pub(in crate::http) async fn records_before(
    listener: &Listener,
    name: &EnvironmentName,
    before: Revision,
    most: usize,
) -> Result<(Vec<Box<Record>>, bool), Problem> {
    let mut walk = walk_back(listener, name)?;
    let mut records = Vec::new();
    for _ in 0..listener.limits.longest_walk {
        if records.len() == most {
            break;
        }
        let Some(record) = walk.next().await? else {
            break;
        };
        if record.change.revision < before {
            records.push(record);
        }
    }
    let is_whole = walk.is_at_beginning();
    if records.is_empty() && !is_whole {
        return Err(too_long_ago(listener));
    }
    Ok((records, is_whole))
}

/// The way back from the environment's last record.
pub(in crate::http) fn walk_back<'a>(
    listener: &'a Listener,
    name: &EnvironmentName,
) -> Result<Walk<'a>, Problem> {
    let replica = &listener.replica;
    let last = replica.look(|follower| follower.environment(name).map(|known| known.sequence));
    let last = last.flatten().ok_or_else(Problem::no_environment)?;
    let key = AggregateKey::Environment(name.clone());
    Ok(replica.store().walk_back(key, last))
}
