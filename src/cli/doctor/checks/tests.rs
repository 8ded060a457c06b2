//! Answers of servers in all states of health.

use serde_json::{Value, json};

use super::*;
use crate::cli::doctor::Status;

fn answer(status: u16, body: Value) -> Answer {
    Ok(Asked {
        status: StatusCode::from_u16(status).unwrap(),
        body,
        took: Duration::from_millis(2),
        ahead: Some(0),
        not_after: None,
        is_encrypted: false,
    })
}

fn silence() -> Answer {
    Err("http://127.0.0.1:8081 did not answer: refused".to_owned())
}

fn with(change: impl FnOnce(&mut Asked)) -> Answer {
    let mut answer = answer(200, json!({}));
    if let Ok(asked) = &mut answer {
        change(asked);
    }
    answer
}

fn now() -> Timestamp {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

fn health() -> Value {
    json!({
        "replica": "a", "ready": true, "source": "live", "store": { "journal_fault": null }, "faults": [], "alarms": [],
    })
}

#[test]
fn who_does_not_answer_and_who_may_not_look_are_told_apart() {
    assert_eq!(admin(&silence()).status, Status::Failed);
    assert_eq!(decisions(&silence()).status, Status::Failed);
    assert_eq!(decisions(&answer(200, json!({}))).status, Status::Ok);
    let not_ready = answer(503, json!({ "detail": "on its way out" }));
    assert!(decisions(&not_ready).detail.contains("on its way out"));
    for status in [401, 403] {
        let refused = answer(status, json!({}));
        assert_eq!(tokens(&refused, now()).status, Status::Skipped);
        assert_eq!(replica(&refused).status, Status::Skipped);
        assert_eq!(genesys(&refused).status, Status::Skipped);
        assert_eq!(
            validation(&[answer(status, json!({}))]).status,
            Status::Skipped
        );
    }
}

#[test]
fn clocks_may_be_a_little_apart() {
    let apart = |seconds| clock(&with(|asked| asked.ahead = Some(seconds)));
    assert_eq!(apart(-5).status, Status::Ok);
    assert_eq!(apart(6).status, Status::Warning);
    assert!(apart(-90).detail.contains("90 s behind"));
    assert_eq!(
        clock(&with(|asked| asked.ahead = None)).status,
        Status::Skipped
    );
}

#[test]
fn certificates_are_renewed_two_weeks_before_their_end() {
    let ends = |days: i64| {
        let end = now() + SignedDuration::from_hours(24 * days);
        let tls = with(|asked| (asked.is_encrypted, asked.not_after) = (true, Some(end)));
        certificate("c", &tls, now()).status
    };
    assert_eq!(
        (ends(15), ends(13), ends(-1)),
        (Status::Ok, Status::Warning, Status::Warning)
    );
    assert_eq!(
        certificate("c", &with(|_| ()), now()).status,
        Status::Skipped
    );
}

#[test]
fn a_replica_answers_from_the_journal_or_something_is_wrong() {
    let of = |change: &dyn Fn(&mut Value)| {
        let mut health = health();
        change(&mut health);
        replica(&answer(200, health))
    };
    assert_eq!(of(&|_| ()).status, Status::Ok);
    let bad: [&dyn Fn(&mut Value); 4] = [
        &|health| health["source"] = "last-good".into(),
        &|health| health["ready"] = false.into(),
        &|health| health["store"]["journal_fault"] = "rewound".into(),
        &|health| health["faults"] = json!([{ "aggregate": "environment/x", "why": "hash" }]),
    ];
    for change in bad {
        let check = of(change);
        assert_eq!(check.status, Status::Failed, "{check:?}");
        assert!(check.fix.is_some());
    }
}

#[test]
fn each_alarm_is_a_line() {
    let raised = |alarms: Value| {
        let mut health = health();
        health["alarms"] = alarms;
        alarms_of(&health)
    };
    assert_eq!(raised(json!([])), [Status::Ok]);
    let two = json!([{ "condition": "a", "why": "x" }, { "condition": "b", "why": "y" }]);
    assert_eq!(raised(two), [Status::Failed, Status::Failed]);
}

fn alarms_of(health: &Value) -> Vec<Status> {
    let checks = alarms(&answer(200, health.clone()));
    checks.iter().map(|check| check.status).collect()
}

#[test]
fn a_store_that_is_away_or_far_shows() {
    let list = |stale: bool| json!({ "environments": [], "stale": stale, "age_ms": 0 });
    let reads = |stale, ms| {
        let mut asked = answer(200, list(stale)).unwrap_or_else(|_| unreachable!());
        asked.took = Duration::from_millis(ms);
        store_reads(&Ok(asked), Duration::from_millis(1)).status
    };
    assert_eq!(reads(false, 10), Status::Ok);
    assert_eq!(reads(false, 52), Status::Warning);
    assert_eq!(reads(true, 10), Status::Failed);
}

fn replicas(list: Value) -> Answer {
    answer(200, json!({ "head": 7, "replicas": list }))
}

fn one(replica: &str, live: bool, lag: u64, age_ms: u64) -> Value {
    json!({ "replica": replica, "live": live, "lag": lag, "age_ms": age_ms, "version": "0.1.0" })
}

#[test]
fn heartbeats_tell_whether_the_server_may_write() {
    let writes = |list: Value| store_writes(&answer(200, health()), &replicas(list)).status;
    assert_eq!(writes(json!([one("a", true, 0, 900)])), Status::Ok);
    assert_eq!(writes(json!([one("a", true, 0, 60_000)])), Status::Failed);
    assert_eq!(writes(json!([one("b", true, 0, 900)])), Status::Failed);
}

#[test]
fn replicas_that_are_silent_behind_or_of_another_version_are_noticed() {
    let of = |list: Value| peers(&replicas(list)).status;
    assert_eq!(
        of(json!([one("a", true, 0, 1), one("b", true, 0, 1)])),
        Status::Ok
    );
    assert_eq!(
        of(json!([one("a", true, 0, 1), one("b", false, 0, 1)])),
        Status::Warning
    );
    assert_eq!(of(json!([one("a", true, 3, 1)])), Status::Warning);
    let mut other = one("b", true, 0, 1);
    other["version"] = "0.2.0".into();
    assert_eq!(of(json!([one("a", true, 0, 1), other])), Status::Warning);
}

#[test]
fn answers_are_proved_always_sometimes_or_never() {
    let of = |sources: &[&str]| {
        let answers = sources
            .iter()
            .map(|source| answer(200, json!({ "Source": source })));
        validation(&answers.collect::<Vec<_>>()).status
    };
    assert_eq!(of(&["validated", "validated"]), Status::Ok);
    assert_eq!(of(&["validated", "live"]), Status::Warning);
    assert_eq!(of(&["live", "live"]), Status::Failed);
}

#[test]
fn tokens_that_end_soon_are_named() {
    let of = |end: Option<&str>| {
        let token = json!({
            "id": "1", "name": "ci", "scopes": [], "environments": null, "created_at": "x", "expires_at": end,
        });
        tokens(&answer(200, json!({ "tokens": [token] })), now())
    };
    assert_eq!(of(None).status, Status::Ok);
    assert_eq!(of(Some("2026-03-01T00:00:00Z")).status, Status::Ok);
    assert_eq!(
        of(Some("2026-01-07T00:00:00Z")).detail,
        "ci expires on 2026-01-07T00:00:00Z"
    );
    assert!(
        of(Some("2026-01-01T00:00:00Z"))
            .detail
            .contains("has expired")
    );
}

#[test]
fn genesys_cloud_answers_or_the_reason_is_told() {
    let of = |outcome: &str, because: Option<&str>| {
        let flow = json!({ "id": "f", "name": "Main IVR Green" });
        genesys(&answer(
            200,
            json!({ "outcome": outcome, "because": because, "flow": flow, "findings": [] }),
        ))
    };
    assert_eq!(of("fit", None).status, Status::Ok);
    assert_eq!(of("unfit", None).status, Status::Warning);
    assert_eq!(of("skipped", Some("no access")).detail, "no access");
    assert_eq!(of("unknown", Some("it is slow")).status, Status::Failed);
    assert_eq!(genesys(&answer(409, json!({}))).status, Status::Skipped);
}
