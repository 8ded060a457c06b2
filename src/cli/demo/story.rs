//! What is told of a demonstration, and how it ends. Everything told is a change that the service has sent to whoever follows.

use super::crowd::Tally;
use super::stage::Part;
use crate::cli::api::{Environment, Event};
use crate::cli::glance;
use crate::domain::slot::Slot;

/// Who takes the steps of rollouts.
const CONTROLLER: &str = "traffic-cop";

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The version on trial takes every call.
    Promoted,
    /// It takes none any more.
    Stopped,
    /// It waits for a person.
    Held,
}

impl End {
    /// What `event` means for the rollout of `part`; `None` if it goes on.
    pub(super) fn of(event: &Event, part: &Part) -> Option<Self> {
        match event.change.action.as_str() {
            "finish_rollout" => Some(Self::Promoted),
            "abort_rollout" => Some(Self::Stopped),
            // A paused rollout is aborted by further evidence, as long as callers bring some.
            "pause_rollout" => {
                let goes_on = part.is_harmful && event.change.state.as_ref().is_some_and(is_shared);
                (!goes_on).then_some(Self::Held)
            }
            _ => None,
        }
    }

    /// Whether it is the end that `part` deserves.
    pub(super) fn is_deserved(self, part: &Part) -> bool {
        match part.is_harmful {
            true => self == Self::Stopped,
            false => self == Self::Promoted,
        }
    }
}

/// Whether both versions get new calls.
fn is_shared(environment: &Environment) -> bool {
    let shares = environment.slots.iter();
    shares
        .filter_map(|(_, slot)| slot.share.as_f64())
        .all(|share| share > 0.0)
}

/// A change, as somebody at the console is told of it.
pub(super) fn tell(event: &Event) -> String {
    let change = &event.change;
    let what = event.environment.as_ref().unwrap_or(&event.aggregate);
    let state = change.state.as_ref();
    let reason = &change.reason;
    let by_controller = change.actor == CONTROLLER;
    match (change.action.as_str(), state) {
        ("advance_rollout", Some(state)) if by_controller => {
            let step = state.rollout.as_ref().map(glance::rollout);
            let step = step.unwrap_or_default();
            format!("{what}, {step}: {}. {reason}", glance::shares(state))
        }
        ("finish_rollout", Some(state)) if by_controller => {
            let version = version(state, state.active);
            format!("{what}: PROMOTED. Every new call goes to {version}. {reason}")
        }
        ("pause_rollout", Some(state)) if by_controller => {
            format!("{what}: PAUSED. {}. {reason}", glance::shares(state))
        }
        ("abort_rollout", Some(state)) if by_controller => {
            let version = version(state, state.active);
            format!("{what}: STOPPED. Every new call goes back to {version}. {reason}")
        }
        (action, state) => {
            let action = action.replace('_', " ");
            let shares = state.map(|state| format!(" ({})", glance::shares(state)));
            let (actor, shares) = (&change.actor, shares.unwrap_or_default());
            format!("{what}: {action} by {actor}: {reason}{shares}")
        }
    }
}

/// What it has cost to find out.
pub(super) fn tell_cost(part: &Part, tally: Tally) -> String {
    let (name, version) = (part.name, Part::ON_TRIAL);
    let Tally { calls, harmed } = tally;
    format!(
        "{name}: {calls} callers have met {version}; {harmed} of them hung up who would have stayed in {}",
        Part::USUAL
    )
}

fn version(environment: &Environment, slot: Slot) -> String {
    match &environment.slots[slot].flow_version {
        Some(version) => format!("{slot} {}", version.label),
        None => slot.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::demo::stage::CAST;

    fn event(action: &str, actor: &str, shares: [u8; 2], rollout: Value) -> Event {
        let slot = |label: &str, share: u8| {
            json!({
                "flow": { "id": "f", "name": "F" }, "status": "version", "share": share, "claim": null, "share_ended_at": null,
                "flow_version": { "label": label, "interface": 0, "registered_at": "x" },
            })
        };
        let active = if shares[0] > 0 { "blue" } else { "green" };
        let event = json!({
            "sequence": 9, "aggregate": "environment/Main_IVR", "environment": "Main_IVR", "revision": 5, "action": action,
            "actor": actor, "reason": "abandon: E = 0.2 of 20", "at": "2026-11-30T10:00:00Z",
            "state": {
                "environment": "Main_IVR", "revision": 5, "active": active, "previously_active": null, "rollout": rollout,
                "slots": { "blue": slot("1.0", shares[0]), "green": slot("2.0", shares[1]) }, "fault": null,
            },
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn each_step_is_a_line_and_whoever_else_acts_is_named() {
        let step = json!({ "step": 2, "steps": 4, "paused": null });
        let paused = json!({ "step": 2, "steps": 4, "paused": "evidence of harm: abandon" });
        let told = [
            event("advance_rollout", CONTROLLER, [75, 25], step.clone()),
            event("pause_rollout", CONTROLLER, [75, 25], paused),
            event("abort_rollout", CONTROLLER, [100, 0], Value::Null),
            event("finish_rollout", CONTROLLER, [0, 100], Value::Null),
            event("start_rollout", "first-admin", [95, 5], step),
            event("rollback", "first-admin", [100, 0], Value::Null),
        ];
        insta::assert_snapshot!(told.each_ref().map(tell).join("\n"), @"
        Main_IVR, rollout: step 2 of 4: blue 75 %, green 25 %. abandon: E = 0.2 of 20
        Main_IVR: PAUSED. blue 75 %, green 25 %. abandon: E = 0.2 of 20
        Main_IVR: STOPPED. Every new call goes back to blue 1.0. abandon: E = 0.2 of 20
        Main_IVR: PROMOTED. Every new call goes to green 2.0. abandon: E = 0.2 of 20
        Main_IVR: start rollout by first-admin: abandon: E = 0.2 of 20 (blue 95 %, green 5 %)
        Main_IVR: rollback by first-admin: abandon: E = 0.2 of 20 (blue 100 %, green 0 %)
        ");
    }

    #[test]
    fn each_rollout_has_the_end_that_it_deserves_or_another() {
        let [healthy, harmful] = &CAST;
        let end = |action: &str, shares, part| {
            End::of(&event(action, CONTROLLER, shares, Value::Null), part)
        };
        assert_eq!(end("advance_rollout", [75, 25], healthy), None);
        let promoted = end("finish_rollout", [0, 100], healthy).unwrap();
        assert!(promoted.is_deserved(healthy) && !promoted.is_deserved(harmful));
        let stopped = end("abort_rollout", [100, 0], harmful).unwrap();
        assert!(stopped.is_deserved(harmful) && !stopped.is_deserved(healthy));
        // More evidence comes, as long as callers do.
        assert_eq!(end("pause_rollout", [75, 25], harmful), None);
        let held = end("pause_rollout", [100, 0], harmful).unwrap();
        assert!(!held.is_deserved(harmful));
        assert_eq!(end("pause_rollout", [75, 25], healthy), Some(End::Held));
    }

    #[test]
    fn the_cost_is_told_in_callers() {
        let tally = Tally {
            calls: 187,
            harmed: 41,
        };
        assert_eq!(
            tell_cost(&CAST[1], tally),
            "Payments_IVR: 187 callers have met 2.0; 41 of them hung up who would have stayed in 1.0"
        );
    }
}
