//! Test calls: what is seen of a call that an override gave to a slot, and of its end.

use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::store::evidence::MOST_BATCHES;

use crate::world::{MAIN, TestApp};

const TESTER: &str = "+4930123456";
const CALL: &str = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e";

async fn app() -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    add(&app, json!({ "ani": TESTER }), "green").await;
    app
}

async fn add(app: &TestApp, calls: Value, to: &str) {
    add_in(app, MAIN, calls, to).await;
}

async fn add_in(app: &TestApp, name: &str, calls: Value, to: &str) {
    let members = json!({ "calls": calls, "to": to, "expires_in_minutes": 30, "owner": "anna" });
    app.ask(name, "add_override", members).await.ok();
}

async fn seen(app: &TestApp, query: &str) -> Value {
    seen_in(app, MAIN, query).await
}

async fn seen_in(app: &TestApp, name: &str, query: &str) -> Value {
    app.process.write_test_calls().await;
    let path = format!("/v1/environments/{name}/test-calls{query}");
    app.admin("GET", &path).send().await.ok().json()
}

async fn report(app: &TestApp, members: Value) {
    let token = app.token(&["report"], None).await;
    let path = format!("/v1/environments/{MAIN}/outcomes");
    let ask = app.decisions("POST", &path).by(&token);
    ask.json(&members).send().await.ok();
}

#[tokio::test]
async fn a_test_call_is_seen_with_its_version_and_its_end() {
    let app = app().await;
    assert_eq!(seen(&app, "").await["calls"], json!([]));
    let others = [
        json!({ "Conversation_ID": "another", "ANI": "+4930123457" }),
        json!({ "Conversation_ID": "another" }),
    ];
    for call in others {
        app.decide(MAIN, call).await.ok();
    }
    app.decide(
        MAIN,
        json!({ "Conversation_ID": CALL, "ANI": "tel:+49 30 123456" }),
    )
    .await
    .ok();
    report(&app, json!({ "Conversation_ID": "another" })).await;
    assert_snapshot!(seen(&app, "").await.to_string(), @r#"{"calls":[{"at":"2026-01-05T08:00:00Z","calls":{"ani":"+4930123456"},"flow_version":"v2","has_conversation_id":true,"outcome":null,"revision":3,"slot":"green"}],"direct":null,"environment":"Main_IVR","since":"2026-01-05T07:45:00Z"}"#);
    report(&app, json!({ "Conversation_ID": CALL.to_uppercase() })).await;
    let call = &seen(&app, "").await["calls"][0];
    assert_eq!(
        call["outcome"],
        json!({ "at": "2026-01-05T08:00:00Z", "bad": [] })
    );
    report(&app, json!({ "Conversation_ID": CALL, "Error": "true" })).await;
    let call = &seen(&app, "").await["calls"][0];
    assert_eq!(call["outcome"]["bad"], json!(["error"]), "a bad end counts");
}

#[tokio::test]
async fn what_took_a_call_then_is_told_also_when_everything_has_changed_since() {
    let app = app().await;
    app.decide(MAIN, json!({ "ANI": TESTER })).await.ok();
    app.ask(
        MAIN,
        "remove_override",
        json!({ "calls": { "ani": TESTER } }),
    )
    .await
    .ok();
    app.register(MAIN, "v3").await;
    let seen = seen(&app, "").await;
    assert_snapshot!(seen["calls"].to_string(), @r#"[{"at":"2026-01-05T08:00:00Z","calls":null,"flow_version":"v2","has_conversation_id":false,"outcome":null,"revision":3,"slot":"green"}]"#);
}

#[tokio::test]
async fn the_calls_of_two_testers_are_told_apart() {
    let app = app().await;
    add(&app, json!({ "dnis": "0800" }), "blue").await;
    app.decide(MAIN, json!({ "DNIS": "0800" })).await.ok();
    app.decide(MAIN, json!({ "ANI": TESTER, "DNIS": "0800" }))
        .await
        .ok();
    let seen = seen(&app, "").await;
    let calls: Vec<_> = (0..2).map(|place| &seen["calls"][place]["calls"]).collect();
    assert_eq!(
        calls,
        [&json!({ "dnis": "0800" }), &json!({ "ani": TESTER })],
        "the caller's number comes first"
    );
}

#[tokio::test]
async fn only_what_was_since_then_is_shown() {
    let app = app().await;
    app.decide(MAIN, json!({ "ANI": TESTER })).await.ok();
    app.process.write_test_calls().await;
    app.advance(Duration::from_secs(16 * 60));
    assert_eq!(seen(&app, "").await["calls"], json!([]));
    let all = seen(&app, "?since=2026-01-05T08:00:00Z").await;
    assert_eq!(all["calls"].as_array().map(Vec::len), Some(1));
    let later = seen(&app, "?since=2026-01-06T08:00:00Z").await;
    assert_eq!(later["calls"], json!([]));
    for (odd, status) in [("yesterday", 400), ("", 400), ("2026-01-04T08:00:00Z", 422)] {
        let path = format!("/v1/environments/{MAIN}/test-calls?since={odd}");
        let refused = app.admin("GET", &path).send().await;
        assert_eq!(refused.status.as_u16(), status, "{odd}");
    }
    let nowhere = app.admin("GET", "/v1/environments/Nowhere/test-calls");
    assert_eq!(nowhere.send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_call_that_nobody_decided_is_known_by_its_id() {
    let app = app().await;
    let query = format!("?conversation_id={CALL}");
    assert_eq!(seen(&app, &query).await["direct"], Value::Null);
    report(&app, json!({ "Conversation_ID": CALL, "Abandon": "true" })).await;
    assert_eq!(
        seen(&app, &query).await["direct"]["bad"],
        json!(["abandon"])
    );
    assert_eq!(
        seen(&app, "?conversation_id=x").await["direct"],
        Value::Null
    );
}

#[tokio::test]
async fn neither_numbers_nor_ids_of_calls_are_stored() {
    let app = app().await;
    app.decide(MAIN, json!({ "Conversation_ID": CALL, "ANI": TESTER }))
        .await
        .ok();
    app.process.write_test_calls().await;
    let items = app
        .world
        .tables
        .evidence(&format!("test_calls/{MAIN}"))
        .await;
    assert_eq!(items.len(), 1);
    let stored = format!("{items:?}");
    assert!(
        !stored.contains("30123456") && !stored.contains(CALL),
        "{stored}"
    );
}

#[tokio::test]
async fn calls_in_more_environments_than_three_requests_hold_are_all_seen() {
    let app = TestApp::start().await;
    let names: Vec<_> = (0..3 * MOST_BATCHES + 1)
        .map(|number| format!("E_{number:03}"))
        .collect();
    for name in &names {
        app.create_with_candidate(name).await;
        add_in(&app, name, json!({ "ani": TESTER }), "green").await;
        app.decide(name, json!({ "ANI": TESTER })).await.ok();
    }
    for name in [&names[0], &names[3 * MOST_BATCHES]] {
        let seen = seen_in(&app, name, "").await;
        assert_eq!(seen["calls"][0]["slot"], "green", "{name}: {seen}");
    }
}
