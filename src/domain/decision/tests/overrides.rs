//! The calls that smoke-test overrides take, and those that they do not.

use jiff::{SignedDuration, ToSpan as _};

use super::*;
use crate::domain::environment::Override;

const TESTER: &str = "+4930123456";
const HOTLINE: &str = "0800";

pub(super) fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub(super) fn ani(number: &str) -> TestCalls {
    TestCalls::Ani(number.parse().unwrap())
}

pub(super) fn dnis(number: &str) -> TestCalls {
    TestCalls::Dnis(number.parse().unwrap())
}

/// An override until one minute past noon.
pub(super) fn leading(calls: TestCalls, to: Slot) -> Override {
    Override {
        calls,
        to,
        owner: "a tester".parse().unwrap(),
        expires_at: noon() + SignedDuration::from_mins(1),
    }
}

fn with(overrides: impl Into<Vec<Override>>) -> Environment {
    Environment {
        overrides: overrides.into(),
        ..environment()
    }
}

fn from(ani: &str) -> Request<'_> {
    Request {
        ani,
        ..Request::default()
    }
}

fn to(dnis: &str) -> Request<'_> {
    Request {
        dnis,
        ..Request::default()
    }
}

/// The decision at noon about a call for which nothing is drawn.
fn at_noon(environment: &Environment, request: &Request<'_>) -> (Slot, Reason) {
    let decision = decide(&compiled(environment), request, noon, || panic!("a draw"));
    (decision.slot, decision.reason)
}

#[test]
fn an_override_takes_the_calls_from_its_number_or_to_it_and_no_others() {
    let caller = with([leading(ani(TESTER), Green)]);
    let dialled = with([leading(dnis(HOTLINE), Green)]);
    let taken = (Green, Reason::Override);
    let others = (Blue, Reason::Active);
    assert_eq!(at_noon(&caller, &from(TESTER)), taken);
    assert_eq!(at_noon(&caller, &from("tel:+49 30 123-456")), taken);
    assert_eq!(at_noon(&caller, &to(TESTER)), others);
    assert_eq!(at_noon(&dialled, &to("sip:0800@trunk.example.com")), taken);
    assert_eq!(at_noon(&dialled, &from(HOTLINE)), others);
    for number in ["", "+4930123457", "4930123456", "sip:anna@example.com"] {
        assert_eq!(at_noon(&caller, &from(number)), others, "{number}");
    }
}

#[test]
fn an_override_comes_before_affinity_and_the_weight() {
    let environment = Environment {
        weight: Weight::FULL,
        ..with([leading(ani(TESTER), Blue)])
    };
    let request = Request {
        conversation_id: UUID,
        flow_version: "v2",
        ani: TESTER,
        dnis: HOTLINE,
    };
    let decision = decide(&compiled(&environment), &request, noon, || panic!("a draw"));
    let expected = Decision {
        slot: Blue,
        reason: Reason::Override,
        flow_version_known: true,
        interface: InterfaceNumber(2),
        exposed: None,
    };
    assert_eq!(
        decision, expected,
        "what the caller's version is stays true"
    );
}

#[test]
fn the_callers_number_comes_before_the_dialled_one() {
    let both = [leading(dnis(HOTLINE), Green), leading(ani(TESTER), Blue)];
    let request = Request {
        ani: TESTER,
        dnis: HOTLINE,
        ..Request::default()
    };
    let expected = (Blue, Reason::Override);
    assert_eq!(at_noon(&with(both.clone()), &request), expected);
    // But an override that does not lead anywhere is in nobody's way.
    let mut expired = both;
    expired[1].expires_at = noon();
    let expected = (Green, Reason::Override);
    assert_eq!(at_noon(&with(expired), &request), expected);
}

#[test]
fn an_override_ends_the_moment_it_expires() {
    let environment = compiled(&with([leading(ani(TESTER), Green)]));
    let expiry = noon() + SignedDuration::from_mins(1);
    let reason_at = |now| decide(&environment, &from(TESTER), || now, || panic!("a draw")).reason;
    assert_eq!(reason_at(expiry - 1.nanosecond()), Reason::Override);
    assert_eq!(reason_at(expiry), Reason::Active);
    assert_eq!(reason_at(Timestamp::MAX), Reason::Active);
}

#[test]
fn an_override_leads_to_a_version_that_was_rolled_back() {
    let mut environment = with([leading(ani(TESTER), Green)]);
    let version = environment.slots.green.version.as_mut().unwrap();
    version.standing = Standing::RolledBack { keep_calls: false };
    assert_eq!(
        at_noon(&environment, &from(TESTER)),
        (Green, Reason::Override)
    );
}

#[test]
fn no_override_leads_to_a_slot_of_which_nobody_knows_what_it_holds() {
    let overridden = with([leading(ani(TESTER), Green)]);
    let mut empty = overridden.clone();
    empty.slots.green.version = None;
    let mut barred = vec![empty];
    for expires_at in [Timestamp::MIN, Timestamp::MAX] {
        let mut claimed = overridden.clone();
        claimed.slots.green.claim = Some(SlotClaim {
            flow_version: "v3".parse().unwrap(),
            expires_at,
        });
        barred.push(claimed);
    }
    for environment in barred {
        let decision = at_noon(&environment, &from(TESTER));
        assert_eq!(decision, (Blue, Reason::Active), "{environment:?}");
    }
}

#[test]
fn the_clock_is_read_only_for_a_call_under_test() {
    let environment = compiled(&with([
        leading(ani(TESTER), Green),
        leading(dnis(TESTER), Green),
    ]));
    let readings = Cell::new(0);
    let decide_call = |request: &Request<'_>| {
        let clock = || {
            readings.set(readings.get() + 1);
            noon()
        };
        decide(&environment, request, clock, || panic!("a draw"))
    };
    decide_call(&from(HOTLINE));
    decide_call(&Request::default());
    assert_eq!(readings.get(), 0);
    decide_call(&Request {
        dnis: TESTER,
        ..from(TESTER)
    });
    assert_eq!(readings.get(), 1);
}
