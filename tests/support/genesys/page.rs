//! Lists, a page at a time.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    page_number: Option<usize>,
    page_size: Option<usize>,
    pub(super) name: Option<String>,
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
