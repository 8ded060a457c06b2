//! What a history says that a change did.

use super::*;
use crate::domain::command::{AddFreeze, AddOverride, RemoveFreeze, RemoveOverride};
use crate::domain::rollout::command::PauseRollout;

/// The lines about `command`, done to `world`.
#[track_caller]
fn lines(world: &World, command: impl Into<Command>) -> Vec<String> {
    let before = world.state.clone();
    let after = world.clone().after(command).state.expect("an environment");
    after.differences(before.as_ref())
}

#[test]
fn a_creation_says_who_takes_calls() {
    let lines = lines(&World::empty(), create());
    assert_eq!(lines, ["blue takes every call with flow version v1"]);
}

#[test]
fn a_change_says_what_became_of_callers() {
    let world = World::released();
    let weight = |percent: &str| SetWeight {
        weight: percent.parse().unwrap(),
        force_incompatible: false,
    };
    assert_eq!(lines(&world, weight("12.5")), ["weight: 0 % → 12.5 %"]);
    assert_eq!(lines(&world, Cutover::default()), ["active: blue → green"]);
    let cut_over = world.after(Cutover::default());
    let back = lines(&cut_over, Rollback::default());
    assert_eq!(back, ["active: green → blue", "green v2 is rolled back"]);
}

#[test]
fn a_change_says_what_a_slot_holds() {
    let world = World::created();
    let registered = lines(&world, register("v2"));
    assert_eq!(registered, ["green holds flow version: none → v2"]);
    let claim = Claim {
        slot: None,
        flow_version: "v2".parse().unwrap(),
        expires_in_minutes: 60,
    };
    let expected = "green is claimed for flow version v2 until 2026-11-23T13:00:00Z";
    assert_eq!(lines(&world, claim.clone()), [expected]);
    let claimed = world.after(claim);
    let registered = lines(&claimed, register("v2"));
    assert_eq!(
        registered,
        [
            "green holds flow version: none → v2",
            "green is no longer claimed"
        ]
    );
}

#[test]
fn a_change_says_how_far_a_rollout_is() {
    let world = World::released();
    let started = lines(&world, StartRollout::default());
    let expected = ["weight: 0 % → 5 %", "rollout: none → step 1 of 4"];
    assert_eq!(started, expected);
    let world = world.after(StartRollout::default());
    let paused = lines(&world, PauseRollout {});
    assert_eq!(
        paused,
        ["rollout: step 1 of 4 → paused in step 1 of 4 (asked for)"]
    );
}

#[test]
fn a_change_says_what_else_was_set_and_removed() {
    let world = World::released();
    let freeze = AddFreeze {
        start: None,
        end: "2026-11-24T00:00:00Z".parse().unwrap(),
        reason: "a holiday".parse().unwrap(),
    };
    let frozen = world.clone().after(freeze.clone());
    let number = frozen
        .state
        .as_ref()
        .expect("a state")
        .freezes
        .iter()
        .next();
    let (number, _) = number.expect("a window");
    let expected = format!("freeze window {number}: 2026-11-23T12:00:00Z to 2026-11-24T00:00:00Z");
    assert_eq!(lines(&world, freeze), [expected]);
    let gone = lines(&frozen, RemoveFreeze { number });
    assert_eq!(gone, [format!("freeze window {number} is gone")]);

    let calls: crate::domain::test_calls::TestCalls =
        serde_json::from_str(r#"{"ani":"+4930123456"}"#).unwrap();
    let add = AddOverride {
        calls,
        to: Green,
        expires_in_minutes: 30,
        owner: "a tester".parse().unwrap(),
    };
    let added = lines(&world, add.clone());
    let expected = "override: calls of a tester go to green until 2026-11-23T12:30:00Z";
    assert_eq!(added, [expected], "and no number is told again");
    let gone = lines(&world.after(add), RemoveOverride { calls });
    assert_eq!(gone, ["override of a tester ended"]);
}
