//! The mirror: how far the rows of the data table in Genesys Cloud have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::environments::freshen;
use super::view::{Freshness, HeldUpView};
use crate::domain::access::Scope;
use crate::domain::ids::{DataTableId, EnvironmentName, Sequence};
use crate::followers::mirror::{KIND, cursor_name};
use crate::http::Listener;
use crate::http::problem::{Problem, ProblemSchema};
use crate::store::cursors::Cursor;

/// The data table that the Traffic Cop flow falls back to, and its rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MirrorView {
    /// Its id; null if the settings of this replica name none.
    data_table: Option<DataTableId>,
    /// A row for each environment, in the order of their names; none without a table.
    rows: Vec<MirroredRowView>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// The row of an environment.
#[derive(Debug, Serialize, ToSchema)]
struct MirroredRowView {
    /// The environment.
    environment: EnvironmentName,
    /// Its last journal entry.
    sequence: Sequence,
    /// How far its row has come; null if nobody has looked yet, or if that cannot be read.
    row: Option<RowStateView>,
}

/// How far a row has come.
#[derive(Debug, Serialize, ToSchema)]
struct RowStateView {
    /// Whether it was last seen to say what the environment is.
    current: bool,
    /// The last journal entry that it was seen to show; 0 if none.
    sequence: Sequence,
    /// When that was last seen; null if never. It is looked at every ten minutes.
    seen_at: Option<Timestamp>,
    /// What is in the way; null if nothing is.
    held_up: Option<HeldUpView>,
}

/// Shows the mirror.
#[utoipa::path(
    get,
    path = "/v1/mirror",
    operation_id = "show_mirror",
    tag = "operations",
    summary = "How far the rows of the data table in Genesys Cloud have come",
    responses(
        (status = 200, description = "The rows, as whoever mirrors has found them", body = MirrorView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, None)?;
    let freshness = freshen(&listener).await?;
    let data_table = listener.data_table.clone();
    let rows = match &data_table {
        Some(table) => rows(&listener, table).await,
        None => Vec::new(),
    };
    let view = MirrorView {
        data_table,
        rows,
        freshness,
    };
    Ok(Json(view).into_response())
}

async fn rows(listener: &Listener, table: &DataTableId) -> Vec<MirroredRowView> {
    let cursors = listener.replica.store().cursors(KIND).await;
    let cursors = cursors.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read how far the rows of the data table have come");
        BTreeMap::new()
    });
    let found = listener.replica.look(|follower| {
        let existing = follower
            .environments()
            .filter(|(_, tracked)| tracked.state().is_some());
        let views = existing.map(|(name, tracked)| {
            let sequence = tracked.sequence;
            let cursor = cursors.get(&cursor_name(table, name));
            MirroredRowView {
                environment: name.clone(),
                sequence,
                row: cursor.map(|cursor| RowStateView::new(cursor, sequence)),
            }
        });
        views.collect()
    });
    found.unwrap_or_default()
}

impl RowStateView {
    fn new(cursor: &Cursor, last: Sequence) -> Self {
        Self {
            current: cursor.sequence >= last,
            sequence: cursor.sequence,
            seen_at: cursor.taken_at,
            held_up: cursor.obstacle.as_ref().map(HeldUpView::new),
        }
    }
}
