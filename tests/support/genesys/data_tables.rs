//! Data tables and their rows.
//!
//! Where the platform is not known to be lenient it is strict here: a row is its key alone unless `showbrief=false` is asked for, a
//! member that is no column is refused, and a column that is left out of a write is empty afterwards.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::page::Page;
use super::{Genesys, Shared, locked, not_found, problem};

type Store = State<Arc<Mutex<Shared>>>;
/// A row, as requests and answers have it.
pub(crate) type Row = Map<String, Value>;

/// The columns that the kit's table has, and their types.
pub(crate) const COLUMNS: [(&str, &str); 5] = [
    ("key", "string"),
    ("Active_Flow_ID", "string"),
    ("Active_Slot", "string"),
    ("Revision", "integer"),
    ("Traffic_Weight", "number"),
];

impl Genesys {
    /// There is a table of this id with these columns, without rows.
    pub(crate) fn has_table(&self, id: &str, columns: &[(&str, &str)]) {
        let columns = columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind, "title": name })));
        let mut shared = self.locked();
        shared.tables.insert(id.to_owned(), columns.collect());
    }

    /// There is no table of this id any more, nor its rows.
    pub(crate) fn loses_table(&self, id: &str) {
        let mut shared = self.locked();
        shared.tables.remove(id);
        shared.rows.retain(|(table, _), _| table != id);
    }

    /// Somebody puts these members into a row, or makes it of them.
    pub(crate) fn edits_row(&self, table: &str, key: &str, members: &Value) {
        let members = members.as_object().expect("members").clone();
        let mut shared = self.locked();
        let place = (table.to_owned(), key.to_owned());
        let row = shared.rows.entry(place).or_default();
        row.insert("key".to_owned(), key.into());
        row.extend(members);
    }

    /// Somebody removes a row.
    pub(crate) fn loses_row(&self, table: &str, key: &str) {
        let place = (table.to_owned(), key.to_owned());
        self.locked().rows.remove(&place);
    }

    /// What a row says.
    pub(crate) fn row(&self, table: &str, key: &str) -> Option<Value> {
        let place = (table.to_owned(), key.to_owned());
        self.locked().rows.get(&place).cloned().map(Value::Object)
    }
}

#[derive(Deserialize)]
pub(super) struct Brief {
    showbrief: Option<bool>,
}

impl Brief {
    fn of(&self, row: &Row) -> Value {
        if self.showbrief.unwrap_or(true) {
            json!({ "key": row["key"] })
        } else {
            Value::Object(row.clone())
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Expand {
    expand: Option<String>,
}

/// `GET /api/v2/flows/datatables/{table}`.
pub(super) async fn table(
    State(shared): Store,
    Path(id): Path<String>,
    Query(wanted): Query<Expand>,
) -> Response {
    let shared = locked(&shared);
    let Some(columns) = shared.tables.get(&id) else {
        return not_found();
    };
    let mut table = json!({
        "id": id,
        "name": "Deployment_Control",
        "division": { "id": "0b1f7c0e-0000-4000-8000-000000000000", "name": "Home" },
        "selfUri": format!("/api/v2/flows/datatables/{id}"),
    });
    if wanted.expand.as_deref() == Some("schema") {
        table["schema"] = json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "required": ["key"],
            "properties": columns,
            "additionalProperties": false,
        });
    }
    Json(table).into_response()
}

/// `GET …/rows`.
pub(super) async fn rows(
    State(shared): Store,
    Path(table): Path<String>,
    Query(brief): Query<Brief>,
    Query(page): Query<Page>,
) -> Response {
    let shared = locked(&shared);
    if !shared.tables.contains_key(&table) {
        return not_found();
    }
    let rows = shared.rows.iter().filter(|((of, _), _)| *of == table);
    let rows: Vec<_> = rows.map(|(_, row)| brief.of(row)).collect();
    page.of(&rows)
}

/// `POST …/rows`: the key is in the body.
pub(super) async fn add_row(
    State(shared): Store,
    Path(table): Path<String>,
    Json(row): Json<Row>,
) -> Response {
    let mut shared = locked(&shared);
    let Some(columns) = shared.tables.get(&table) else {
        return not_found();
    };
    let key = row.get("key").and_then(Value::as_str);
    let Some(key) = key.filter(|_| fits(&row, columns)) else {
        return unfit();
    };
    let place = (table, key.to_owned());
    if shared.rows.contains_key(&place) {
        return problem(StatusCode::CONFLICT, "conflict", "there is such a row");
    }
    shared.rows.insert(place, row.clone());
    Json(row).into_response()
}

/// `GET …/rows/{row}`.
pub(super) async fn row(
    State(shared): Store,
    Path(place): Path<(String, String)>,
    Query(brief): Query<Brief>,
) -> Response {
    locked(&shared)
        .rows
        .get(&place)
        .map_or_else(not_found, |row| Json(brief.of(row)).into_response())
}

/// `PUT …/rows/{row}`: of a row that is there.
pub(super) async fn put_row(
    State(shared): Store,
    Path(place): Path<(String, String)>,
    Json(row): Json<Row>,
) -> Response {
    let mut shared = locked(&shared);
    let Some(columns) = shared.tables.get(&place.0) else {
        return not_found();
    };
    if row.get("key").and_then(Value::as_str) != Some(&place.1) || !fits(&row, columns) {
        return unfit();
    }
    match shared.rows.get_mut(&place) {
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

fn unfit() -> Response {
    problem(
        StatusCode::BAD_REQUEST,
        "bad.request",
        "the row does not fit the table's schema",
    )
}

/// Whether every member is a column and of its type.
fn fits(row: &Row, columns: &Map<String, Value>) -> bool {
    row.iter().all(|(name, value)| {
        let kind = columns.get(name).and_then(|column| column["type"].as_str());
        match kind {
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_u64() || value.is_i64(),
            Some("number") => value.is_number(),
            _ => false,
        }
    })
}
