//! The journal as evidence: exported, proved elsewhere, and who was refused a change.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use insta::assert_snapshot;
use serde_json::json;
use traffic_cop::store::audit;

use crate::ask::CANARY;
use crate::support::Fault;
use crate::support::log::Log;
use crate::world::{MAIN, TestApp, because};

/// The journal as the API exports it.
async fn export(app: &TestApp) -> String {
    let answer = app.admin("GET", "/v1/journal/export").send().await.ok();
    assert_eq!(answer.header(CONTENT_TYPE), Some("application/x-ndjson"));
    answer.text().to_owned()
}

/// The end of the journal, as a verification tells it.
async fn head(app: &TestApp) -> String {
    let verified = app.admin("GET", "/v1/journal/verification").send().await;
    let verified = verified.ok().json();
    verified["head_hash"].as_str().expect("a hash").to_owned()
}

#[tokio::test]
async fn an_export_is_proved_without_the_store() {
    let app = TestApp::start().await;
    assert_eq!(export(&app).await, "");
    app.create_with_candidate(MAIN).await;
    app.token(&["decide"], None).await;
    let early = head(&app).await;
    app.cut_over(MAIN).await;
    let late = head(&app).await;

    let journal = export(&app).await;
    assert_eq!(journal.lines().count(), 4);
    for head in [&early, &late] {
        let head = Some(head.parse().expect("a hash"));
        let found = audit::verify(journal.as_bytes(), head).expect("text in memory");
        assert_eq!((found.findings, found.head_hash.as_str()), (vec![], &*late));
    }
    // The envelope is there to be read, by whatever reads JSON.
    let line = journal.lines().last().expect("a line");
    let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_snapshot!(
        format!("{} {} {}", entry["actor"], entry["action"], entry["aggregate"]),
        @r#"{"S":"first-admin"} {"S":"cutover"} {"S":"environment/Main_IVR"}"#
    );
}

#[tokio::test]
async fn a_journal_without_a_head_that_was_told_is_not_in_order() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let told = head(&app).await;
    app.cut_over(MAIN).await;
    let verify = async |head: &str| {
        let path = format!("/v1/journal/verification?head={head}");
        app.admin("GET", &path).send().await
    };
    assert_eq!(verify(&told).await.ok().json()["findings"], json!([]));
    let other = "0123456789abcdef".repeat(4);
    assert_snapshot!(
        verify(&other).await.ok().json()["findings"],
        @r#"[{"problem":"no entry has the hash that was told earlier: the end was cut off, or what leads to it was changed","sequence":3}]"#
    );
    let mut lines = Vec::new();
    for head in ["", CANARY, &told.to_uppercase()] {
        lines.push(verify(head).await.line());
    }
    lines.dedup();
    assert_snapshot!(
        lines.join("\n"),
        @"400 bad-request: parameter head: expected the hash of an entry, 64 hexadecimal digits in lower case"
    );
}

#[tokio::test]
async fn an_export_without_a_store_is_a_problem_and_no_empty_file() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.join().await;
    app.create(MAIN).await;
    proxy.fail_all(Fault::Refuse);
    let answer = app.admin("GET", "/v1/journal/export").send().await;
    assert!(
        answer.line().starts_with("503 store-unavailable"),
        "{}",
        answer.line()
    );
}

#[tokio::test]
async fn the_head_of_the_journal_is_told_to_log_and_metrics() {
    let app = TestApp::start().await;
    let log = Log::listen();
    let told = async || {
        app.process.replica.tell_head();
        let metrics = app.admin("GET", "/metrics").by_nobody().send().await.ok();
        let lines = metrics.text().lines();
        let lines = lines.filter(|line| line.starts_with("traffic_cop_journal_head{"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told().await, "", "an empty journal has no last entry");
    let mut logged = Vec::new();
    for _ in 0..2 {
        app.create(MAIN).await;
        let (sequence, hash) = (app.process.position(), head(&app).await);
        let expected = format!("traffic_cop_journal_head{{hash=\"{hash}\"}} {sequence}");
        assert_eq!(
            told().await,
            expected,
            "the one before is not told any more"
        );
        logged.push(format!(
            "head of the journal sequence={sequence} hash={hash}"
        ));
        app.delete(MAIN).await;
    }
    assert_eq!(log.lines("head of the journal"), logged);
}

#[tokio::test]
async fn who_was_refused_a_change_is_in_the_log_and_nothing_that_they_sent() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let made = app.admin("POST", "/v1/tokens");
    let members = json!({ "name": "watcher", "scopes": ["read"] });
    let made = made.json(&because(members)).send().await.ok().json();
    let watcher = made["token"].as_str().expect("a text");
    let log = Log::listen();

    let rollback = format!("/v1/environments/{MAIN}/rollback");
    app.admin("POST", &rollback).by(watcher).send().await;
    app.admin("POST", &rollback).by_nobody().send().await;
    let guess = app.admin("POST", &rollback).by_nobody();
    guess.header(AUTHORIZATION, CANARY).send().await;
    let unknown = format!("/v1/environments/{CANARY}/cutover");
    app.admin("POST", &unknown).by(watcher).send().await;
    app.admin("GET", "/v1/journal/export")
        .by(watcher)
        .send()
        .await;
    let revoke = format!("/v1/tokens/{CANARY}?reason={CANARY}");
    app.admin("DELETE", &revoke).by(watcher).send().await;
    // Looking is nothing to be recorded, and neither is what was allowed.
    app.admin("GET", "/v1/tokens").by_nobody().send().await;
    app.show(MAIN).await.ok();
    let unseen = app.admin("POST", &format!("/v1/environments/{MAIN}/cutover"));
    unseen.json(&because(json!({}))).send().await;
    // What the writer refuses, it records itself.
    app.ask(
        MAIN,
        "claim",
        json!({ "slot": "blue", "flow_version": "v3", "minutes": 5 }),
    )
    .await;

    assert_snapshot!(log.lines("refused").join("\n"), @r#"
    refused actor="watcher" method=POST route="/v1/environments/{environment}/rollback" environment="Main_IVR" why="forbidden"
    refused method=POST route="/v1/environments/{environment}/rollback" environment="Main_IVR" why="unauthenticated"
    refused method=POST route="/v1/environments/{environment}/rollback" environment="Main_IVR" why="unauthenticated"
    refused actor="watcher" method=POST route="/v1/environments/{environment}/cutover" why="forbidden"
    refused actor="watcher" method=GET route="/v1/journal/export" why="forbidden"
    refused actor="watcher" method=DELETE route="/v1/tokens/{id}" why="forbidden"
    refused actor="first-admin" method=POST route="/v1/environments/{environment}/cutover" environment="Main_IVR" why="precondition-required"
    "#);
    assert!(!log.text().contains(CANARY), "{}", log.text());
}
