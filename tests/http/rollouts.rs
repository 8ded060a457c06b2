//! Rollouts by hand: what people may do to one, and what they are told about it.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{MAIN, TestApp, because};

async fn app() -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app
}

async fn started() -> TestApp {
    let app = app().await;
    app.ask(MAIN, "rollout", json!({})).await.ok();
    app
}

async fn look(app: &TestApp) -> Value {
    let path = format!("/v1/environments/{MAIN}/rollout");
    app.admin("GET", &path).send().await.ok().json()
}

async fn evidence(app: &TestApp) -> Value {
    let path = format!("/v1/environments/{MAIN}/rollout/evidence");
    app.admin("GET", &path).send().await.ok().json()
}

/// A call, and how it ended; the slot that took it.
async fn call(app: &TestApp, id: &str, abandon: bool) -> String {
    let decision = app
        .decide(MAIN, json!({ "Conversation_ID": id }))
        .await
        .ok()
        .json();
    app.decisions("POST", &format!("/v1/environments/{MAIN}/outcomes"))
        .by(&app.first_admin_text())
        .json(&json!({ "Conversation_ID": id, "Abandon": abandon }))
        .send()
        .await
        .ok();
    decision["Slot"].as_str().expect("a slot").to_owned()
}

#[tokio::test]
async fn a_rollout_starts_with_the_built_in_plan_or_with_one_of_ones_own() {
    let app = started().await;
    let rollout = look(&app).await;
    assert_eq!(rollout["status"], "running");
    assert_eq!(
        (&rollout["step"], &rollout["steps"]),
        (&1.into(), &4.into())
    );
    assert_eq!(rollout["weight"], 5);
    assert_eq!(rollout["candidate"], "green");
    assert_eq!(rollout["flow_version"], "v2");
    assert_eq!(rollout["plan"]["steps"][1]["weight"], 25);
    assert_eq!(app.show(MAIN).await.json()["weight"], 5);

    let own = self::app().await;
    let plan = json!({ "steps": [{ "weight": 12.5, "gate": "manual" }, { "weight": 100 }] });
    let answer = own.ask(MAIN, "rollout", json!({ "plan": plan })).await.ok();
    assert_eq!(answer.json()["state"]["weight"], 12.5);
    assert_eq!(look(&own).await["steps"], 2);
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused_by_the_name_of_its_member() {
    let app = app().await;
    let plan = json!({ "steps": [{ "weight": 50 }, { "weight": 20 }] });
    let answer = app.ask(MAIN, "rollout", json!({ "plan": plan })).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let detail = answer.json()["detail"]
        .as_str()
        .expect("a detail")
        .to_owned();
    assert!(detail.contains("steps[1].weight"), "{detail}");
    let answer = app
        .ask(MAIN, "rollout", json!({ "plan": { "stpes": [] } }))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn people_pause_resume_promote_and_abort() {
    let app = started().await;
    app.ask(MAIN, "rollout/pause", json!({})).await.ok();
    let paused = look(&app).await;
    assert_eq!(
        (&paused["status"], &paused["cause"]),
        (&"paused".into(), &"asked for".into())
    );
    assert_eq!(paused["weight"], 5, "the plan says hold");
    let again = app.ask(MAIN, "rollout/pause", json!({})).await.ok().json();
    assert_eq!(again["because"], "already-paused");

    app.ask(MAIN, "rollout/resume", json!({})).await.ok();
    let answer = app.ask(MAIN, "rollout/promote", json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "its gate is automatic");
    app.ask(MAIN, "rollout/promote", json!({ "when": "now" }))
        .await
        .ok();
    assert_eq!(look(&app).await["promotion"], "now");
    let glance = json!({ "step": 1, "steps": 4, "paused": null });
    assert_eq!(app.show(MAIN).await.json()["rollout"], glance);

    app.ask(MAIN, "rollout/abort", json!({})).await.ok();
    let aborted = look(&app).await;
    assert_eq!(aborted["status"], "aborted");
    assert_eq!(
        (&aborted["step"], &aborted["weight"]),
        (&Value::Null, &0.into())
    );
    assert_eq!(app.show(MAIN).await.json()["rollout"], Value::Null);
    let again = app.ask(MAIN, "rollout/abort", json!({})).await.ok().json();
    assert_eq!(again["because"], "already-aborted");
    let answer = app.ask(MAIN, "rollout/resume", json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_change_names_what_it_has_seen_unless_it_makes_callers_safer() {
    let app = app().await;
    for (command, status) in [
        ("rollout", 428),
        ("rollout/resume", 428),
        ("rollout/promote", 428),
        ("rollout/pause", 404),
        ("rollout/abort", 404),
    ] {
        let path = format!("/v1/environments/{MAIN}/{command}");
        let answer = app
            .admin("POST", &path)
            .json(&because(json!({})))
            .send()
            .await;
        assert_eq!(answer.status.as_u16(), status, "{command}");
    }
    let stale = app
        .admin("POST", &format!("/v1/environments/{MAIN}/rollout"))
        .if_match("\"1\"")
        .json(&because(json!({})))
        .send()
        .await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_start_is_repeated_under_its_key_and_made_once() {
    let app = app().await;
    let start = || {
        app.change(MAIN, "rollout")
            .key("build-4711")
            .json(&because(json!({})))
    };
    assert_eq!(start().send().await.ok().json()["outcome"], "committed");
    assert_eq!(start().send().await.ok().json()["outcome"], "repeated");
    let another = app.ask(MAIN, "rollout", json!({})).await;
    assert_eq!(another.status, StatusCode::CONFLICT, "one is under way");
}

#[tokio::test]
async fn without_a_rollout_there_is_nothing_to_see() {
    let app = app().await;
    for path in ["rollout", "rollout/evidence"] {
        let path = format!("/v1/environments/{MAIN}/{path}");
        let answer = app.admin("GET", &path).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(
            answer.json()["type"],
            "urn:traffic-cop:problem:rollout-not-found"
        );
    }
}

#[tokio::test]
async fn the_evidence_is_told_by_any_replica_and_the_last_half_hour_is_an_observation() {
    let app = app().await;
    let plan = json!({ "steps": [{ "weight": 50 }, { "weight": 100 }] });
    app.ask(MAIN, "rollout", json!({ "plan": plan })).await.ok();
    let mut green = 0;
    for n in 0..40 {
        app.advance(Duration::from_secs(1));
        let slot = call(&app, &format!("call-{n}"), n % 4 == 0).await;
        green += u64::from(slot == "green");
    }
    app.process.write_exposures().await.expect("a write");

    // Nothing has matured, and all of it is seen.
    let early = evidence(&app).await;
    let seen = &early["verdict"]["metrics"][0]["seen"];
    assert_eq!(seen["candidate"]["calls"], 0);
    let observed = &early["observation"];
    assert_eq!(observed["minutes"], 30);
    assert_eq!(
        observed["label"],
        "an observation; nothing is decided by it"
    );
    assert_eq!(observed["calls"]["abandon"]["candidate"]["calls"], green);
    let bad = |arm: &str| {
        observed["calls"]["abandon"][arm]["bad"]
            .as_u64()
            .expect("a count")
    };
    assert_eq!(bad("candidate") + bad("active"), 10);
    let waits = early["waits"].to_string();
    assert!(waits.contains("30 minutes of bake time left"), "{waits}");

    app.advance(Duration::from_secs(12 * 60));
    let late = evidence(&app).await;
    let seen = &late["verdict"]["metrics"][0]["seen"];
    assert_eq!(seen["candidate"]["calls"], green);
    assert_eq!(seen["active"]["calls"], 40 - green);
    assert_eq!(late["verdict"]["calls"]["reported"]["candidate"], green);
    assert_eq!(late["needs_a_person"], false);
    let summary = late["summary"].as_str().expect("a summary");
    assert!(
        summary.contains(&format!("of {green} green calls bad")),
        "{summary}"
    );

    app.ask(MAIN, "rollout/pause", json!({})).await.ok();
    assert_eq!(evidence(&app).await["needs_a_person"], true);
    app.ask(MAIN, "rollout/abort", json!({})).await.ok();
    let over = evidence(&app).await;
    assert_eq!(over["waits"], json!(["the rollout is over"]));
}
