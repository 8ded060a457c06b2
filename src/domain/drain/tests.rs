use super::*;
use crate::domain::command::{Claim, Command, Create, Cutover, Register};
use crate::domain::ids::Revision;
use crate::domain::{Aggregate as _, Change, Context, Refusal};

const DRAIN_TIME: Duration = Duration::from_secs(30 * 60);

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

fn context(minutes: i64, last_calls: Option<LastCalls>) -> Context {
    Context {
        frozen: None,
        now: at(minutes),
        revision: Revision(1),
        sequence: Default::default(),
        draw: [7; 16],
        drain_time: DRAIN_TIME,
        others: 0,
        last_calls,
    }
}

fn apply(state: Option<&Environment>, command: impl Into<Command>, minutes: i64) -> Environment {
    let context = context(minutes, Some(LastCalls::default()));
    match Environment::apply(state, &command.into(), &context) {
        Ok(Change::To(Some(environment))) => environment,
        other => panic!("{other:?}"),
    }
}

/// Blue took every new call until the minute 100, green takes them since.
fn cut_over() -> Environment {
    let create: Create = serde_json::from_value(serde_json::json!({
        "flows": { "blue": { "id": "b", "name": "Blue" }, "green": { "id": "g", "name": "Green" } },
        "flow_version": "v1",
    }))
    .expect("a command");
    let register: Register =
        serde_json::from_value(serde_json::json!({ "flow_version": "v2" })).expect("a command");
    let created = apply(None, create, 0);
    let registered = apply(Some(&created), register, 1);
    apply(Some(&registered), Cutover::default(), 100)
}

fn blue_at(minute: Option<i64>) -> LastCalls {
    BySlot {
        blue: minute.map(at),
        green: Some(at(1_000)),
    }
}

fn claim(minutes: i64, last_calls: Option<LastCalls>) -> Result<(), Refusal> {
    let claim = Claim {
        slot: None,
        flow_version: "v3".parse().expect("a label"),
        expires_in_minutes: 60,
    };
    let context = context(minutes, last_calls);
    Environment::apply(Some(&cut_over()), &claim.into(), &context).map(|_| ())
}

#[test]
fn a_slot_drains_after_its_share_or_its_last_call_whichever_was_later() {
    let environment = cut_over();
    let until = |since, cause| Drain::Until {
        since: at(since),
        cause,
        drained_at: at(since + 30),
    };
    for (last_call, now, expected) in [
        (None, 129, until(100, Cause::Share)),
        (None, 130, Drain::Drained),
        (Some(90), 129, until(100, Cause::Share)),
        (Some(100), 129, until(100, Cause::Share)),
        (Some(120), 149, until(120, Cause::Call)),
        (Some(120), 150, Drain::Drained),
    ] {
        let drain = environment.drain(Slot::Blue, &blue_at(last_call), DRAIN_TIME, at(now));
        assert_eq!(drain, expected, "last call {last_call:?}, now {now}");
    }
    assert_eq!(
        environment.drain(Slot::Green, &blue_at(None), DRAIN_TIME, at(5_000)),
        Drain::TakesNewCalls
    );
}

#[test]
fn a_claim_is_refused_while_calls_come_without_a_share() {
    assert_eq!(
        claim(149, Some(blue_at(Some(120)))),
        Err(Refusal::SlotCalled {
            slot: Slot::Blue,
            last_call: at(120),
            drained_at: at(150),
        })
    );
    assert_eq!(claim(150, Some(blue_at(Some(120)))), Ok(()));
    assert_eq!(claim(130, Some(blue_at(None))), Ok(()));
}

#[test]
fn a_claim_is_refused_while_nobody_knows_of_calls() {
    assert_eq!(
        claim(5_000, None),
        Err(Refusal::LastCallsUnknown(Slot::Blue))
    );
}
