//! What pages load besides themselves, all of it from this binary.

use std::sync::Arc;

use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use http::header::CONTENT_TYPE;

use crate::http::Listener;

/// Where they are, and what they are.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<Listener>>); 3] {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text).into_response() })
    };
    [
        (
            "/dashboard/style.css",
            asset("text/css; charset=utf-8", include_str!("assets/style.css")),
        ),
        (
            "/dashboard/live.js",
            asset(
                "text/javascript; charset=utf-8",
                include_str!("assets/live.js"),
            ),
        ),
        (
            "/dashboard/icon.svg",
            asset("image/svg+xml", include_str!("assets/icon.svg")),
        ),
    ]
}
