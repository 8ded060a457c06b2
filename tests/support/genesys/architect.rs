//! The rows of data tables.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Shared, locked, problem};

type Store = State<Arc<Mutex<Shared>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    page_number: Option<usize>,
    page_size: Option<usize>,
    pub(super) name: Option<String>,
}

/// `GET …/rows`.
pub(super) async fn rows(
    State(shared): Store,
    Path(table): Path<String>,
    Query(page): Query<Page>,
) -> Response {
    let rows: Vec<_> = locked(&shared)
        .rows
        .iter()
        .filter(|((of, _), _)| *of == table)
        .map(|(_, row)| Value::Object(row.clone()))
        .collect();
    page.of(&rows)
}

/// `POST …/rows`: the key is in the body.
pub(super) async fn add_row(
    State(shared): Store,
    Path(table): Path<String>,
    Json(row): Json<Map<String, Value>>,
) -> Response {
    let Some(key) = row.get("key").and_then(Value::as_str) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "flows.datatables.syntax.error",
            "key",
        );
    };
    let (place, mut shared) = ((table, key.to_owned()), locked(&shared));
    if shared.rows.contains_key(&place) {
        let code = "flows.datatables.rowkey.conflict";
        return problem(StatusCode::CONFLICT, code, "there is such a row");
    }
    shared.rows.insert(place, row.clone());
    Json(row).into_response()
}

/// `GET …/rows/{row}`.
pub(super) async fn row(State(shared): Store, Path(place): Path<(String, String)>) -> Response {
    locked(&shared)
        .rows
        .get(&place)
        .map_or_else(not_found, |row| Json(row).into_response())
}

/// `PUT …/rows/{row}`: of a row that is there.
pub(super) async fn put_row(
    State(shared): Store,
    Path(place): Path<(String, String)>,
    Json(row): Json<Map<String, Value>>,
) -> Response {
    match locked(&shared).rows.get_mut(&place) {
        Some(known) => {
            known.clone_from(&row);
            Json(row).into_response()
        }
        None => not_found(),
    }
}

/// `DELETE …/rows/{row}`.
pub(super) async fn remove_row(
    State(shared): Store,
    Path(place): Path<(String, String)>,
) -> Response {
    match locked(&shared).rows.remove(&place) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => not_found(),
    }
}

pub(super) fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "not.found", "there is none")
}

impl Page {
    pub(super) fn of(&self, all: &[Value]) -> Response {
        let (size, number) = (
            self.page_size.unwrap_or(25).max(1),
            self.page_number.unwrap_or(1).max(1),
        );
        let entities: Vec<_> = all.iter().skip((number - 1) * size).take(size).collect();
        Json(json!({
            "entities": entities,
            "pageSize": size,
            "pageNumber": number,
            "total": all.len(),
            "pageCount": all.len().div_ceil(size),
        }))
        .into_response()
    }
}
