//! The drain meter: which slot still gets calls, and when one counts as drained.

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
use crate::domain::access::Scope;
use crate::domain::drain::Drain;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::slot::{BySlot, Slot};
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::store::heartbeats::MINUTES;

/// How far back to count.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// Minutes, 1 to 60; the drain time if left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 60)]
    minutes: Option<String>,
}

/// The calls decided to the slots of an environment, as all replicas report.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DrainView {
    /// Its name.
    environment: EnvironmentName,
    /// The revision that this is of.
    revision: Revision,
    /// The slot that takes new calls by default.
    active: Slot,
    /// Minutes that calls are counted over, the present one included.
    minutes: u16,
    /// Seconds without calls after which a slot counts as drained.
    drain_seconds: u64,
    /// The slots.
    slots: BySlot<SlotDrainView>,
    /// Replicas that fell silent without a word. One that runs on decides calls that nobody knows of.
    silent: Vec<SilentView>,
}

/// The calls of a slot.
#[derive(Debug, Serialize, ToSchema)]
struct SlotDrainView {
    /// Calls decided to it.
    calls: u64,
    /// When the last one was, up to two seconds late; null if there was none in 24 hours.
    last_call: Option<Timestamp>,
    /// When it last stopped taking new calls; null if it takes some or never did.
    share_ended_at: Option<Timestamp>,
    /// Whether calls may still be inside.
    status: DrainStatus,
    /// When it counts as drained, if no more calls follow; null unless it is draining.
    drained_at: Option<Timestamp>,
}

/// Whether calls may still be inside a slot.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DrainStatus {
    /// It takes new calls.
    TakesNewCalls,
    /// They may be.
    Draining,
    /// They are not.
    Drained,
}

/// A replica that fell silent.
#[derive(Debug, Serialize, ToSchema)]
struct SilentView {
    /// Its id.
    replica: String,
    /// When it last reported.
    reported_at: Timestamp,
}

/// Shows whether the slots have drained.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/drain",
    operation_id = "show_drain",
    tag = "environments",
    summary = "Calls per slot lately, across replicas, and whether each slot has drained",
    params(("environment" = EnvironmentName, Path), Since),
    responses(
        (status = 200, description = "The calls", body = DrainView),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(Since { minutes }): Query<Since>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let drain_time = listener.control.drain_time();
    let minutes = match minutes {
        Some(text) => parse_minutes(&text)?,
        None => {
            let minutes = drain_time.as_secs().div_ceil(60).clamp(1, MINUTES.into());
            u16::try_from(minutes).unwrap_or(MINUTES)
        }
    };
    freshen(&listener).await?;
    let reported = listener.replica.reported_calls(&name, minutes).await?;
    let snapshot = listener.replica.snapshot();
    let served = snapshot
        .as_ref()
        .ok_or_else(Problem::not_ready)?
        .environments
        .get(&name)
        .ok_or_else(Problem::no_environment)?;
    let environment = &served.environment;
    let now = listener.clock.now();
    let slots = BySlot::from_fn(|slot| {
        let drain = environment.drain(slot, &reported.last, drain_time, now);
        let (status, drained_at) = match drain {
            Drain::TakesNewCalls => (DrainStatus::TakesNewCalls, None),
            Drain::Until { drained_at, .. } => (DrainStatus::Draining, Some(drained_at)),
            Drain::Drained => (DrainStatus::Drained, None),
        };
        SlotDrainView {
            calls: reported.calls[slot],
            last_call: reported.last[slot],
            share_ended_at: environment.slots[slot].share_ended_at,
            status,
            drained_at,
        }
    });
    let silent = reported.silent.into_iter();
    let view = DrainView {
        environment: name.clone(),
        revision: served.revision,
        active: environment.active,
        minutes,
        drain_seconds: drain_time.as_secs(),
        slots,
        silent: silent
            .map(|(replica, reported_at)| SilentView {
                replica,
                reported_at,
            })
            .collect(),
    };
    Ok(Json(view).into_response())
}

fn parse_minutes(text: &str) -> Result<u16, Problem> {
    let minutes = text.parse().ok();
    minutes
        .filter(|minutes| (1..=MINUTES).contains(minutes))
        .ok_or_else(|| {
            Problem::new(
                Kind::BadRequest,
                "parameter minutes: expected a whole number, 1 to 60",
            )
        })
}
