//! Who changed what, when and why, and what that did.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::chapter::{Entry, SHOWN};
use super::frame::Frame;
use super::page;
use super::session::Visitor;
use super::words::Moment;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::http::Listener;
use crate::http::admin::extract::{Path, Query, environment_name};
use crate::http::admin::history::records_before;
use crate::http::problem::Problem;

/// Changes on a page of history.
const PAGE: usize = 40;

/// A change.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) revision: Revision,
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) reason: String,
    /// What it did, a line each.
    pub(super) did: Vec<String>,
}

impl Row {
    /// The changes in `entries`, the newest first, of which the last may only tell what was before.
    pub(super) fn all(entries: &[Entry], most: usize, is_whole: bool, now: Timestamp) -> Vec<Self> {
        let shown = entries.iter().enumerate().take(most);
        let rows = shown.map(|(place, entry)| {
            let before = entries.get(place + 1);
            let did = match (&entry.state, before) {
                (None, _) if entry.action == "delete" => {
                    vec!["the environment was deleted".to_owned()]
                }
                (None, _) => vec!["the state cannot be read".to_owned()],
                (Some(state), Some(before)) => state.differences(before.state.as_ref()),
                (Some(state), None) if is_whole => state.differences(None),
                (Some(_), None) => Vec::new(),
            };
            Self {
                revision: entry.revision,
                at: Moment::new(entry.at, now),
                actor: entry.actor.clone(),
                action: entry.action.replace('_', " "),
                reason: entry.reason.clone(),
                did,
            }
        });
        rows.collect()
    }

    /// The last changes, and whether there are more.
    pub(super) fn last(entries: &[Entry], now: Timestamp) -> (Vec<Self>, bool) {
        (Self::all(entries, SHOWN, true, now), entries.len() > SHOWN)
    }
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    frame: Frame,
    name: EnvironmentName,
    rows: Vec<Row>,
    /// Where the next page begins.
    before: Option<Revision>,
}

/// Where to begin.
#[derive(Deserialize)]
pub(super) struct Start {
    before: Option<u64>,
}

/// A page of an environment's history.
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Start { before }): Query<Start>,
) -> Result<Response, Problem> {
    visitor.require_read(&name)?;
    let name = environment_name(&name)?;
    let before = Revision(before.unwrap_or(u64::MAX));
    let (records, is_whole) = records_before(&listener, &name, before, PAGE + 1).await?;
    let entries: Vec<_> = records.iter().map(|record| Entry::of(record)).collect();
    let rows = Row::all(&entries, PAGE, is_whole, listener.clock.now());
    let last = rows.last().map(|row| row.revision);
    page(&HistoryPage {
        frame: Frame::of(&listener, &visitor),
        name,
        before: last.filter(|_| entries.len() > PAGE),
        rows,
    })
}
