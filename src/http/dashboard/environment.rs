//! One environment: what its callers get, and everything behind that.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::actions::Actions;
use super::evidence::Evidence;
use super::frame::Frame;
use super::history::Row;
use super::ladder::{Ladder, in_step};
use super::outcome::{Attempted, Outcome};
use super::overview::{Badge, badges};
use super::page;
use super::picture::CallsPicture;
use super::session::Visitor;
use super::shares::Shares;
use super::slots::SlotCard;
use super::surroundings::{Freshness, ReplicaRow, Window, is_stale};
use super::words::span;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::http::Listener;
use crate::http::admin::extract::{Path, environment_name};
use crate::http::problem::Problem;
use crate::store::heartbeats::MINUTES;

#[derive(Template)]
#[template(path = "environment.html")]
pub(super) struct EnvironmentPage {
    frame: Frame,
    freshness: Freshness,
    name: EnvironmentName,
    revision: Revision,
    /// Why a later state is not the one that is served.
    fault: Option<String>,
    badges: Vec<Badge>,
    shares: Shares,
    outcome: Option<Outcome>,
    actions: Option<Actions>,
    slots: [SlotCard; 2],
    drain_time: String,
    silent: usize,
    calls: CallsPicture,
    ladder: Option<Ladder>,
    evidence: Option<Evidence>,
    windows: Vec<Window>,
    replicas: Option<Vec<ReplicaRow>>,
    /// The last changes, if they can be read.
    history: Option<Vec<Row>>,
    has_more_history: bool,
}

impl EnvironmentPage {
    /// The page of the environment `name`, after what was `attempted` there.
    pub(super) async fn of(
        listener: &Listener,
        visitor: &Visitor,
        name: &EnvironmentName,
        attempted: Option<Attempted>,
    ) -> Result<Self, Problem> {
        visitor.require_read(name.as_str())?;
        let served = {
            let snapshot = listener.replica.snapshot();
            let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
            let served = snapshot.environments.get(name).cloned();
            served.ok_or_else(Problem::no_environment)?
        };
        let now = listener.clock.now();
        let environment = &served.environment;
        // Not asked for while the store is known to be away: a page does not wait for what will not come.
        let chapter = if is_stale(listener) {
            None
        } else {
            let chapters = &listener.dashboard.chapters;
            chapters.of(listener, name, &served).await.ok()
        };
        let chapter = chapter.as_deref();
        let rollout = environment.rollout.as_deref();
        let in_step = rollout.map(|rollout| in_step(rollout, chapter, now));
        let rollout = rollout.zip(in_step);
        let evidence = match rollout {
            Some((rollout, in_step)) => {
                Some(Evidence::of(listener, name, &served, rollout, chapter, in_step).await)
            }
            None => None,
        };
        let drain_time = listener.control.drain_time();
        let minutes = drain_time.as_secs().div_ceil(60).clamp(1, MINUTES.into());
        let minutes = u16::try_from(minutes).unwrap_or(MINUTES);
        let known = listener.replica.known_calls();
        let reported = known.of(name, minutes);
        let history = chapter.map(|chapter| Row::last(&chapter.entries, now));
        let (form, outcome) = attempted.map_or((None, None), Attempted::into_parts);
        Ok(Self {
            frame: Frame::of(listener, visitor),
            freshness: Freshness::of(listener, visitor),
            name: name.clone(),
            revision: served.revision,
            fault: served.fault.clone(),
            badges: badges(listener, &served, now),
            shares: Shares::of(&known, name, &served, now),
            outcome,
            actions: Actions::of(listener, visitor, name, &served, form.as_ref()),
            slots: SlotCard::both(environment, &reported, drain_time, now),
            drain_time: span(drain_time),
            silent: reported.silent.len(),
            calls: CallsPicture::of(&known.by_minute(name)),
            ladder: rollout
                .map(|(rollout, in_step)| Ladder::of(environment, rollout, chapter, in_step, now)),
            evidence,
            windows: Window::all(listener, &served, now),
            replicas: ReplicaRow::all(listener, visitor, &served, chapter),
            has_more_history: history.as_ref().is_some_and(|(_, has_more)| *has_more),
            history: history.map(|(rows, _)| rows),
        })
    }
}

/// Shows an environment.
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    visitor.require_read(&name)?;
    let name = environment_name(&name)?;
    page(&EnvironmentPage::of(&listener, &visitor, &name, None).await?)
}
