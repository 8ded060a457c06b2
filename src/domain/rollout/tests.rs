//! Plans, transitions, and what a verdict makes of them.

mod plan;
mod promoted;
mod steps;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::judge::metric::Metric;

fn at(revision: u64, minutes: i64) -> Commit {
    Commit {
        revision: Revision(revision),
        now: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes),
    }
}

fn canary() -> Rollout {
    Rollout::start(Plan::default(), Slot::Green, at(1, 0))
}

/// A rollout in every state there is.
fn in_every_state() -> Vec<Rollout> {
    let last = (0..3).fold(canary(), |rollout, step| {
        rollout.advance(at(2 + step, 30)).unwrap()
    });
    vec![
        canary(),
        canary().pause(PauseCause::Operator).unwrap(),
        canary().pause(PauseCause::Harm(Metric::Error)).unwrap(),
        last.clone(),
        last.clone().finish().unwrap(),
        last.abort(AbortCause::Stale).unwrap(),
    ]
}

/// Everything that can be asked of a rollout.
fn all_requests(rollout: &Rollout) -> Vec<(&'static str, Result<Rollout, Refusal>)> {
    vec![
        ("pause", rollout.clone().pause(PauseCause::Operator)),
        ("resume", rollout.clone().resume(at(9, 60))),
        ("promote", rollout.clone().promote(Promotion::Now)),
        ("advance", rollout.clone().advance(at(9, 60))),
        ("finish", rollout.clone().finish()),
        ("abort", rollout.clone().abort(AbortCause::Operator)),
    ]
}

#[test]
fn each_state_takes_what_it_should_and_refuses_the_rest() {
    let accepted = |rollout: &Rollout| -> Vec<&'static str> {
        all_requests(rollout)
            .into_iter()
            .filter(|(_, result)| result.is_ok())
            .map(|(name, _)| name)
            .collect()
    };
    let expected = [
        vec!["pause", "promote", "advance", "abort"],
        vec!["resume", "abort"],
        vec!["resume", "abort"],
        vec!["pause", "promote", "finish", "abort"],
        vec![],
        vec!["abort"],
    ];
    let states = in_every_state();
    for (rollout, expected) in states.iter().zip(expected) {
        assert_eq!(accepted(rollout), expected, "{:?}", rollout.status);
    }
}

#[test]
fn aborting_is_for_good_and_keeps_its_first_cause() {
    let aborted = canary().abort(AbortCause::FastLane).unwrap();
    assert_eq!(
        aborted.clone().abort(AbortCause::Operator).unwrap(),
        aborted
    );
    assert_eq!(
        aborted.clone().resume(at(9, 60)),
        Err(Refusal::Over(End::Aborted))
    );
    assert_eq!(aborted.weight(), Weight::ZERO);
}

#[test]
fn the_weight_follows_the_state() {
    let weights = in_every_state()
        .iter()
        .map(|rollout| rollout.weight().to_string())
        .collect::<Vec<_>>();
    assert_eq!(weights, ["5", "5", "0", "100", "0", "0"]);
}

#[test]
fn a_held_back_share_stays_with_the_active_version_to_the_end() {
    let mut terms = Plan::default().into_terms();
    terms.hold_back_percent = "5".parse().unwrap();
    let plan = Plan::new(terms).unwrap();
    let weights: Vec<String> = (0..4).map(|step| plan.weight(step).to_string()).collect();
    assert_eq!(weights, ["5", "25", "50", "95"]);
}

#[test]
fn resuming_begins_the_step_again() {
    let paused = canary()
        .advance(at(2, 30))
        .unwrap()
        .pause(PauseCause::Split)
        .unwrap();
    let resumed = paused.resume(at(4, 90)).unwrap();
    assert_eq!(
        resumed.status,
        Status::Running {
            step: 1,
            promotion: None
        }
    );
    assert_eq!(resumed.entered(), Revision(4));
    assert_eq!(resumed.going_since, at(4, 90).now);
}

#[test]
fn consent_is_for_one_step_and_only_where_there_is_a_gate() {
    assert_eq!(
        canary().promote(Promotion::WhenReady),
        Err(Refusal::NoGate(0))
    );
    let advanced = canary()
        .promote(Promotion::Now)
        .unwrap()
        .advance(at(2, 1))
        .unwrap();
    assert_eq!(
        advanced.status,
        Status::Running {
            step: 1,
            promotion: None
        }
    );
}

#[test]
fn every_state_survives_storage() {
    for rollout in in_every_state() {
        let json = serde_json::to_string(&rollout).unwrap();
        assert_eq!(
            serde_json::from_str::<Rollout>(&json).unwrap(),
            rollout,
            "{json}"
        );
    }
}

#[test]
fn refusals_say_what_to_do() {
    let refusals: Vec<String> = in_every_state()
        .iter()
        .flat_map(all_requests)
        .filter_map(|(name, result)| Some(format!("{name}: {}", result.err()?)))
        .collect();
    for expected in [
        "pause: the rollout is paused already",
        "advance: the rollout is paused; resume it first",
        "finish: the rollout is in step 1 of 4; it finishes from the last",
        "advance: the rollout is in its last step; it can only finish",
        "resume: the rollout is finished; start a new one",
    ] {
        assert!(
            refusals.iter().any(|refusal| refusal == expected),
            "{expected}: {refusals:#?}"
        );
    }
}
