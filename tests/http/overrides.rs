//! Smoke tests: calls that go to one slot, known by a number.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::CANARY;
use crate::world::{MAIN, TestApp, because};

const TESTER: &str = "+4930123456";

async fn add(app: &TestApp, calls: Value, to: &str) {
    let members = json!({ "calls": calls, "to": to, "expires_in_minutes": 30, "owner": "anna" });
    app.ask(MAIN, "add_override", members).await.ok();
}

/// Slot and rule of the decision about a call.
async fn decided(app: &TestApp, call: Value) -> (String, String) {
    let answer = app.decide(MAIN, call).await.ok().json();
    let text = |member: &str| answer[member].as_str().expect("a text").to_owned();
    (text("Slot"), text("Reason"))
}

fn to(slot: &str, reason: &str) -> (String, String) {
    (slot.to_owned(), reason.to_owned())
}

/// The override that stands first, or null.
async fn shown(app: &TestApp) -> Value {
    let environment = app.show(MAIN).await.ok().json();
    environment["overrides"].get(0).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_tester_reaches_the_candidate_before_any_customer_does() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": "tel:+49 30 123456" }), "green").await;

    for ani in [
        TESTER,
        "tel:+4930123456",
        "sip:+4930123456@trunk.example.com;user=phone",
    ] {
        assert_eq!(
            decided(&app, json!({ "Conversation_ID": "c", "ANI": ani })).await,
            to("green", "override"),
            "{ani}"
        );
    }
    for others in [
        json!({}),
        json!({ "ANI": "+4930123457", "DNIS": TESTER }),
        json!({ "ANI": "sip:anonymous@anonymous.invalid" }),
        json!({ "ANI": null }),
    ] {
        assert_eq!(decided(&app, others).await, to("blue", "active"));
    }
    app.advance(Duration::from_secs(30 * 60 - 1));
    let call = || json!({ "ANI": TESTER });
    assert_eq!(decided(&app, call()).await, to("green", "override"));
    app.advance(Duration::from_secs(1));
    assert_eq!(decided(&app, call()).await, to("blue", "active"));
}

#[tokio::test]
async fn a_dialled_number_leads_to_a_slot_whoever_calls() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "dnis": "0800 1" }), "green").await;
    app.cut_over(MAIN).await;
    app.ask(MAIN, "rollback", json!({})).await.ok();

    let call = json!({ "DNIS": "sip:08001@trunk.example.com", "Flow_Version": "v1" });
    assert_eq!(
        decided(&app, call).await,
        to("green", "override"),
        "even to what was rolled back"
    );
}

#[tokio::test]
async fn an_override_is_shown_until_the_change_after_its_expiry() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": "+49-30-123456" }), "green").await;

    assert_snapshot!(shown(&app).await.to_string(), @r#"{"calls":{"ani":"+4930123456"},"expires_at":"2026-01-05T08:30:00Z","owner":"anna","status":"in_force","to":"green"}"#);
    app.ask(MAIN, "claim", json!({ "flow_version": "v3" }))
        .await
        .ok();
    assert_eq!(shown(&app).await["status"], "paused");
    assert_eq!(
        decided(&app, json!({ "ANI": TESTER })).await,
        to("blue", "active"),
        "what green will hold in a minute nobody knows"
    );
    app.register(MAIN, "v3").await;
    assert_eq!(shown(&app).await["status"], "in_force");
    app.advance(Duration::from_secs(30 * 60));
    assert_eq!(shown(&app).await["status"], "expired");
    app.set_weight(MAIN, 5.0).await;
    assert_eq!(shown(&app).await, Value::Null);
}

#[tokio::test]
async fn removing_an_override_that_is_not_there_changes_nothing() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": TESTER }), "green").await;
    let remove = async |calls: Value| {
        let answer = app
            .ask(MAIN, "remove_override", json!({ "calls": calls }))
            .await;
        let answer = answer.ok().json();
        (answer["outcome"].clone(), answer["because"].clone())
    };

    let nothing = (json!("unchanged"), json!("no-such-override"));
    assert_eq!(remove(json!({ "dnis": TESTER })).await, nothing);
    assert_eq!(
        remove(json!({ "ani": "+49 30 123456" })).await,
        (json!("committed"), Value::Null)
    );
    assert_eq!(remove(json!({ "ani": TESTER })).await, nothing);
    assert_eq!(
        decided(&app, json!({ "ANI": TESTER })).await,
        to("blue", "active")
    );
}

#[tokio::test]
async fn overrides_that_make_no_sense_are_refused_without_repeating_them() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let good = json!({ "calls": { "ani": TESTER }, "to": "blue", "owner": "anna" });
    let changed = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body
    };
    let bodies = [
        changed("to", json!("green")),
        changed("to", json!(CANARY)),
        changed("calls", json!({ "ani": CANARY })),
        changed("calls", json!({ "ani": "+1234567890123456" })),
        changed("calls", json!({ "ani": 4930 })),
        changed("calls", json!({ "ani": "1", "dnis": "2" })),
        changed("calls", json!({})),
        changed("calls", json!("1")),
        changed("calls", json!({ CANARY: "1" })),
        changed("owner", json!("")),
        changed("owner", json!("two\nlines")),
        changed("owner", json!("x".repeat(65))),
        changed("expires_in_minutes", json!(0)),
        changed("expires_in_minutes", json!(1441)),
        changed("expires_in_minutes", json!("30")),
        changed(CANARY, json!(1)),
        json!({ "calls": { "ani": TESTER }, "to": "blue" }),
    ];
    let mut lines = Vec::new();
    for body in bodies {
        lines.push(app.ask(MAIN, "add_override", body).await.line());
    }
    assert_snapshot!(lines.join("\n"), @"
    409 refused: slot green holds no flow version; register one first
    400 bad-request: member to: unknown value; expected `blue` or `green`
    400 bad-request: member calls.ani: invalid phone number: expected 1 to 15 digits, with a + before them or not, such as +4930123456
    400 bad-request: member calls.ani: invalid phone number: expected 1 to 15 digits, with a + before them or not, such as +4930123456
    400 bad-request: member calls.ani: wrong type or value; expected a text
    400 bad-request: member calls: one number is needed, either ani or dnis
    400 bad-request: member calls: one number is needed, either ani or dnis
    400 bad-request: member calls: wrong type or value; expected an object
    400 bad-request: member calls: unknown member; expected `ani` or `dnis`
    400 bad-request: member owner: invalid owner: expected 1 to 64 characters on one line, no blank at either end
    400 bad-request: member owner: invalid owner: expected 1 to 64 characters on one line, no blank at either end
    400 bad-request: member owner: invalid owner: expected 1 to 64 characters on one line, no blank at either end
    400 bad-request: an override lasts 1 to 1440 minutes
    400 bad-request: an override lasts 1 to 1440 minutes
    400 bad-request: member expires_in_minutes: wrong type or value; expected a whole number, not too large and not negative
    400 bad-request: unknown member; expected one of `calls`, `to`, `expires_in_minutes`, `owner`
    400 bad-request: missing member `owner`
    ");
    let path = format!("/v1/environments/{MAIN}/add_override");
    let unconditional = app.admin("POST", &path).json(&because(good)).send().await;
    assert_eq!(unconditional.problem(), "precondition-required");
    assert_eq!(app.revision(MAIN).await, 1);
}

#[tokio::test]
async fn an_environment_holds_thirty_two_overrides() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    for n in 0..32 {
        add(&app, json!({ "ani": format!("+49{n}") }), "blue").await;
    }
    let one_more = || {
        let members = json!({ "calls": { "dnis": "1" }, "to": "blue", "owner": "anna" });
        app.ask(MAIN, "add_override", members)
    };
    assert_snapshot!(one_more().await.line(), @"409 refused: an environment holds at most 32 overrides; remove one first");
    add(&app, json!({ "ani": "+4931" }), "blue").await;
    app.advance(Duration::from_secs(30 * 60));
    one_more().await.ok();
    let left = app.show(MAIN).await.ok().json()["overrides"].take();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
}

#[tokio::test]
async fn the_time_of_day_is_asked_only_for_a_call_under_test() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": TESTER }), "green").await;

    app.break_clock();

    let others = json!({ "ANI": "+4930123457", "DNIS": TESTER });
    assert_eq!(decided(&app, others).await, to("blue", "active"));
    let tested = app.decide(MAIN, json!({ "ANI": TESTER })).await;
    assert_eq!(tested.problem(), "internal", "else this proves nothing");
}

#[tokio::test]
async fn no_number_of_a_caller_is_in_what_the_service_shows() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": TESTER }), "green").await;
    let call = json!({ "Conversation_ID": "c", "ANI": "+4930999888", "DNIS": "+4930777666" });

    let answer = app.decide(MAIN, call).await.ok();
    let metrics = app.admin("GET", "/metrics").send().await.ok();

    for text in [answer.text(), metrics.text()] {
        assert!(
            !text.contains("999888") && !text.contains("777666"),
            "{text}"
        );
    }
}
