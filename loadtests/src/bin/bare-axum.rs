//! The reference of every comparison: an axum server that reads a decision request as JSON and answers a constant as JSON.
//!
//! It looks nothing up, authenticates nobody and counts nothing, so what it costs is what the framework costs. It is kept
//! as lean as plain axum allows: no middleware, no path extraction, and an answer made of borrowed text.

use anyhow::Context as _;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The four optional members a decision request may have.
#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "decoding the members is what is measured; the answer does not depend on them"
)]
struct Question {
    #[serde(rename = "Conversation_ID")]
    conversation_id: Option<String>,
    #[serde(rename = "Flow_Version")]
    flow_version: Option<String>,
    #[serde(rename = "ANI")]
    ani: Option<String>,
    #[serde(rename = "DNIS")]
    dnis: Option<String>,
}

/// The members of a decision, with the names and types that traffic-cop gives them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "Active_Flow_ID")]
    active_flow_id: &'static str,
    #[serde(rename = "Active_Flow_Name")]
    active_flow_name: &'static str,
    slot: &'static str,
    #[serde(rename = "Flow_Version")]
    flow_version: &'static str,
    #[serde(rename = "Traffic_Weight")]
    traffic_weight: u32,
    #[serde(rename = "Schema_Version")]
    schema_version: u32,
    #[serde(rename = "Flow_Version_Known")]
    flow_version_known: bool,
    reason: &'static str,
    revision: u64,
    source: &'static str,
}

async fn decide(Json(_): Json<Question>) -> Json<Answer> {
    Json(Answer {
        active_flow_id: "0b7c7a52-94c0-4ae8-a1b5-4a4e3c1f9d10",
        active_flow_name: "Main_IVR_Blue",
        slot: "blue",
        flow_version: "2025-11-04.1",
        traffic_weight: 5,
        schema_version: 0,
        flow_version_known: true,
        reason: "weighted",
        revision: 4,
        source: "live",
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args()
        .nth(1)
        .context("usage: bare-axum ADDRESS, for example 127.0.0.1:9000")?;
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let router = Router::new().route("/v1/environments/{environment}/decisions", post(decide));
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    // Not axum's graceful shutdown: that watches for the signal on every connection, and the reference would pay for it.
    tokio::select! {
        served = axum::serve(listener, router) => served.context("the server stopped"),
        _ = terminate.recv() => Ok(()),
    }
}
