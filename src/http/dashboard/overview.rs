//! All environments at a glance.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use super::frame::Frame;
use super::page;
use super::session::Visitor;
use super::shares::Shares;
use super::surroundings::Freshness;
use super::words::Moment;
use crate::domain::access::Scope;
use crate::domain::environment::Content;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::rollout::Status;
use crate::domain::slot::Slot;
use crate::http::Listener;
use crate::http::problem::Problem;
use crate::replica::Served;

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    frame: Frame,
    freshness: Freshness,
    cards: Vec<Card>,
}

/// An environment at a glance.
#[derive(Debug)]
struct Card {
    name: EnvironmentName,
    revision: Revision,
    shares: Shares,
    badges: Vec<Badge>,
}

/// Something that stands out.
#[derive(Debug)]
pub(super) struct Badge {
    /// `good`, `note`, `warning` or `alarm`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Overview {
    pub(super) fn of(listener: &Listener, visitor: &Visitor) -> Result<Self, Problem> {
        visitor.caller.require_somewhere(Scope::Read)?;
        let snapshot = listener.replica.snapshot();
        let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
        let visible = snapshot.environments.iter();
        let mut visible: Vec<_> = visible
            .filter(|(name, _)| visitor.caller.may(Scope::Read, Some(name.as_str())))
            .collect();
        visible.sort_by_key(|(name, _)| *name);
        let now = listener.clock.now();
        let known = listener.replica.known_calls();
        let cards = visible.into_iter().map(|(name, served)| Card {
            name: name.clone(),
            revision: served.revision,
            shares: Shares::of(&known, name, served, now),
            badges: badges(listener, served, now),
        });
        Ok(Self {
            frame: Frame::of(listener, visitor),
            freshness: Freshness::of(listener, visitor),
            cards: cards.collect(),
        })
    }
}

/// What stands out about an environment, the gravest first.
pub(super) fn badges(listener: &Listener, served: &Served, now: Timestamp) -> Vec<Badge> {
    let environment = &served.environment;
    let badge = |kind, text: String| Badge { kind, text };
    let mut badges = Vec::new();
    if served.fault.is_some() {
        badges.push(badge("alarm", "last state unreadable".to_owned()));
    }
    if let Some(rollout) = environment.rollout.as_deref() {
        let steps = rollout.plan.steps.len();
        badges.push(match &rollout.status {
            Status::Running { step, .. } => {
                badge("note", format!("rollout: step {} of {steps}", step + 1))
            }
            Status::Paused { step, .. } => badge(
                "warning",
                format!("rollout paused in step {} of {steps}", step + 1),
            ),
            Status::Finished => badge("good", "rollout finished".to_owned()),
            Status::Aborted(_) => badge("warning", "rollout aborted".to_owned()),
        });
    }
    if let Some(frozen) = listener.replica.frozen(served, now) {
        let until = Moment::new(frozen.until, now);
        badges.push(badge("warning", format!("frozen until {} UTC", until.text)));
    }
    for slot in Slot::BOTH {
        match environment.slots[slot].content(now) {
            Content::Claimed(claim) => badges.push(badge(
                "note",
                format!("{slot} claimed for {}", claim.flow_version),
            )),
            Content::Unknown(_) => {
                badges.push(badge("warning", format!("what {slot} holds is unknown")));
            }
            Content::Version(version) if version.is_rolled_back() => {
                badges.push(badge(
                    "warning",
                    format!("{slot} {} was rolled back", version.label),
                ));
            }
            Content::Version(_) | Content::Empty => {}
        }
    }
    badges
}

/// Shows all environments that the visitor may see.
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    page(&Overview::of(&listener, &visitor)?)
}
