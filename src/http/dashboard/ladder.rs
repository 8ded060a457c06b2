//! A rollout as a ladder: its steps, where it stands, and what it waits for.

use std::time::Duration;

use jiff::Timestamp;

use super::chapter::Chapter;
use super::words::{Moment, since, span};
use crate::domain::Environment;
use crate::domain::ids::Revision;
use crate::domain::rollout::plan::Gate;
use crate::domain::rollout::{Promotion, Rollout, Status};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// A rollout.
#[derive(Debug)]
pub(super) struct Ladder {
    pub(super) candidate: Slot,
    pub(super) version: String,
    /// `running`, `paused`, `finished` or `aborted`.
    pub(super) kind: &'static str,
    /// Where it stands, in words.
    pub(super) status: String,
    pub(super) going_since: Moment,
    pub(super) rungs: Vec<Rung>,
}

/// A step.
#[derive(Debug)]
pub(super) struct Rung {
    pub(super) number: usize,
    pub(super) weight: Weight,
    pub(super) bake: String,
    pub(super) minimum_calls: u32,
    pub(super) has_gate: bool,
    /// `done`, `now`, `next`, or `stopped` where the rollout was given up.
    pub(super) place: &'static str,
    pub(super) bake_left: Option<Countdown>,
}

/// The rest of a bake time.
#[derive(Debug)]
pub(super) struct Countdown {
    pub(super) text: String,
    /// How much of it has passed, in percent.
    pub(super) progress: u8,
}

/// How long the rollout has been in its step, by the time of the commit that entered it.
pub(super) fn in_step(rollout: &Rollout, chapter: Option<&Chapter>, now: Timestamp) -> Duration {
    let entered = |entered: Revision| {
        let mut entries = chapter?.entries.iter();
        entries
            .find(|entry| entry.revision == entered)
            .map(|entry| entry.at)
    };
    let entered = entered(rollout.entered()).unwrap_or(rollout.going_since);
    since(entered, now)
}

/// The step that a rollout was in before it was given up: a state says only that it was.
fn last_step(chapter: &Chapter) -> Option<usize> {
    let mut states = chapter
        .entries
        .iter()
        .filter_map(|entry| entry.state.as_ref());
    states.find_map(|state| match state.rollout.as_deref()?.status {
        Status::Running { step, .. } | Status::Paused { step, .. } => Some(step),
        Status::Finished | Status::Aborted(_) => None,
    })
}

impl Ladder {
    pub(super) fn of(
        environment: &Environment,
        rollout: &Rollout,
        chapter: Option<&Chapter>,
        in_step: Duration,
        now: Timestamp,
    ) -> Self {
        let steps = rollout.plan.steps.len();
        let (kind, status, at) = match &rollout.status {
            Status::Running { step, promotion } => {
                let agreed = match promotion {
                    Some(Promotion::WhenReady) => "; a person has agreed to the next",
                    Some(Promotion::Now) => "; a person wants the next at once",
                    None => "",
                };
                let text = format!("in step {} of {steps}{agreed}", step + 1);
                ("running", text, Some(*step))
            }
            Status::Paused { step, cause, .. } => {
                let text = format!("paused in step {} of {steps}: {cause}", step + 1);
                ("paused", text, Some(*step))
            }
            Status::Finished => (
                "finished",
                "finished: the candidate became active".to_owned(),
                None,
            ),
            Status::Aborted(cause) => {
                let step = chapter.and_then(last_step);
                let place = step.map(|step| format!(" in step {} of {steps}", step + 1));
                let text = format!("aborted{}: {cause}", place.unwrap_or_default());
                ("aborted", text, step)
            }
        };
        let version = environment.slots[rollout.candidate].version.as_ref();
        let rung = |index: usize| {
            let step = &rollout.plan.steps[index];
            let place = match at {
                Some(at) if index == at && kind == "aborted" => "stopped",
                Some(at) if index == at => "now",
                Some(at) if index > at => "next",
                None if kind == "aborted" => "next",
                Some(_) | None => "done",
            };
            let is_counting = place == "now" && kind == "running";
            Rung {
                number: index + 1,
                weight: rollout.plan.weight(index),
                bake: span(step.bake()),
                minimum_calls: step.minimum_calls,
                has_gate: step.gate == Gate::Manual,
                place,
                bake_left: is_counting.then(|| Countdown::of(step.bake(), in_step, now)),
            }
        };
        Self {
            candidate: rollout.candidate,
            version: version
                .map_or("nothing", |version| version.label.as_str())
                .to_owned(),
            kind,
            status,
            going_since: Moment::new(rollout.going_since, now),
            rungs: (0..steps).map(rung).collect(),
        }
    }
}

impl Countdown {
    fn of(bake: Duration, passed: Duration, now: Timestamp) -> Self {
        let left = bake.saturating_sub(passed);
        if left.is_zero() {
            return Self {
                text: "bake time is over".to_owned(),
                progress: 100,
            };
        }
        let until = now.checked_add(left).unwrap_or(Timestamp::MAX);
        let progress = passed.as_secs_f64() / bake.as_secs_f64().max(1.0);
        Self {
            text: format!(
                "{} min of bake time left, until {} UTC",
                left.as_secs().div_ceil(60),
                Moment::new(until, now).text
            ),
            progress: (progress.clamp(0.0, 1.0) * 100.0) as u8,
        }
    }
}
