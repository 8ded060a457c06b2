//! Freeze windows: setting them, and what they hold up.

use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::{Answer, CANARY};
use crate::world::{MAIN, TestApp, because};

/// From half past eight to nine; it is eight.
fn window() -> Value {
    json!({ "start": "2026-01-05T09:30:00+01:00", "end": "2026-01-05T09:00:00Z" })
}

async fn app() -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app
}

async fn listed(app: &TestApp) -> Value {
    let path = format!("/v1/environments/{MAIN}/freezes");
    let list = app.admin("GET", &path).send().await.ok().json();
    list["freezes"].clone()
}

async fn remove(app: &TestApp, number: &str) -> Answer {
    let path = format!("/v1/environments/{MAIN}/freezes/{number}?reason=r");
    app.admin("DELETE", &path).if_match("*").send().await
}

/// It is a quarter to nine, in a window that began at half past eight.
async fn frozen() -> TestApp {
    let app = app().await;
    app.ask(MAIN, "freezes", window()).await.ok();
    app.advance(Duration::from_secs(45 * 60));
    app
}

#[tokio::test]
async fn a_window_is_set_listed_and_removed() {
    let app = app().await;
    let set = app.ask(MAIN, "freezes", window()).await.ok().json();
    assert_eq!(set["revision"], 3);
    assert_snapshot!(set["state"]["freezes"].to_string(), @r#"[{"end":"2026-01-05T09:00:00Z","number":3,"reason":"a test","start":"2026-01-05T08:30:00Z","status":"scheduled"}]"#);
    assert_eq!(listed(&app).await, set["state"]["freezes"]);
    app.advance(Duration::from_secs(30 * 60));
    assert_eq!(listed(&app).await[0]["status"], "in_force");
    app.advance(Duration::from_secs(30 * 60));
    assert_eq!(listed(&app).await[0]["status"], "ended");
    app.set_weight(MAIN, 5.0).await;
    assert_eq!(
        listed(&app).await,
        json!([]),
        "the next change took it along"
    );

    app.ask(MAIN, "freezes", json!({ "end": "2026-01-05T10:00:00Z" }))
        .await
        .ok();
    assert_eq!(listed(&app).await[0]["start"], "2026-01-05T09:00:00Z");
    let removed = remove(&app, "5").await.ok().json();
    assert_eq!(removed["outcome"], "committed");
    let again = remove(&app, "5").await.ok().json();
    assert_eq!(
        (&again["outcome"], &again["because"]),
        (&"unchanged".into(), &"no-such-freeze".into())
    );
    assert_eq!(remove(&app, "x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn while_it_is_in_force_callers_are_only_taken_back() {
    let app = frozen().await;
    let refused = app.ask(MAIN, "cutover", json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_snapshot!(refused.text(), @r#"{"detail":"freeze window 3 until 2026-01-05T09:00:00Z (a test) lets no callers be moved to the candidate; wait, or remove it. Rollback, abort and pause work as ever","freeze":3,"place":"environment","status":409,"title":"A freeze window is in force","type":"urn:traffic-cop:problem:frozen","until":"2026-01-05T09:00:00Z"}"#);
    for (command, members) in [("weight", json!({ "weight": 1 })), ("rollout", json!({}))] {
        let refused = app.ask(MAIN, command, members).await;
        assert_eq!(
            refused.json()["type"],
            "urn:traffic-cop:problem:frozen",
            "{command}"
        );
    }
    app.advance(Duration::from_secs(15 * 60));
    app.cut_over(MAIN).await;
    app.ask(MAIN, "freezes", json!({ "end": "2026-01-05T12:00:00Z" }))
        .await
        .ok();
    let back = app.ask(MAIN, "rollback", json!({})).await.ok().json();
    assert_eq!(back["state"]["active"], "blue");
}

#[tokio::test]
async fn a_rollout_says_which_window_it_waits_for_and_can_be_paused_and_aborted() {
    let app = app().await;
    app.ask(MAIN, "rollout", json!({})).await.ok();
    let path = format!("/v1/environments/{MAIN}/rollout");
    let look = async |path: String| app.admin("GET", &path).send().await.ok().json();
    assert_eq!(look(path.clone()).await["frozen"], Value::Null);
    app.ask(MAIN, "freezes", json!({ "end": "2026-01-05T09:00:00Z" }))
        .await
        .ok();
    let frozen = json!({ "place": "environment", "number": 4, "until": "2026-01-05T09:00:00Z", "reason": "a test" });
    assert_eq!(look(path.clone()).await["frozen"], frozen);
    let evidence = look(format!("{path}/evidence")).await;
    assert_eq!(evidence["frozen"], frozen);
    let waits = evidence["waits"].as_array().expect("a list");
    assert_eq!(
        waits.last().expect("something"),
        "the end of freeze window 4 until 2026-01-05T09:00:00Z (a test)"
    );
    assert_eq!(evidence["needs_a_person"], false);
    let now = app
        .ask(MAIN, "rollout/promote", json!({ "when": "now" }))
        .await;
    assert_eq!(now.json()["type"], "urn:traffic-cop:problem:frozen");
    app.ask(MAIN, "rollout/pause", json!({})).await.ok();
    let resumed = app.ask(MAIN, "rollout/resume", json!({})).await;
    assert_eq!(resumed.json()["type"], "urn:traffic-cop:problem:frozen");
    app.ask(MAIN, "rollout/abort", json!({})).await.ok();
    assert_eq!(look(path).await["frozen"], Value::Null, "it is over");
}

#[tokio::test]
async fn what_is_no_window_is_refused() {
    let app = app().await;
    for (members, status) in [
        (json!({}), 400),
        (json!({ "end": CANARY }), 400),
        (json!({ "end": "2026-01-05T09:00:00" }), 400),
        (json!({ "end": null }), 400),
        (
            json!({ "start": CANARY, "end": "2026-01-05T09:00:00Z" }),
            400,
        ),
        (json!({ "end": "2026-01-05T09:00:00Z", "until": 1 }), 400),
        (json!({ "end": "2026-01-05T08:00:00Z" }), 422),
        (
            json!({ "start": "2026-01-05T10:00:00Z", "end": "2026-01-05T09:00:00Z" }),
            422,
        ),
    ] {
        let answer = app.ask(MAIN, "freezes", members.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{members}");
    }
    let path = format!("/v1/environments/{MAIN}/freezes");
    let ask = app.admin("POST", &path).json(&because(window()));
    assert_eq!(ask.send().await.status.as_u16(), 428);
    let nowhere = app.admin("GET", "/v1/environments/Nowhere/freezes");
    assert_eq!(nowhere.send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn a_window_set_twice_under_one_name_is_set_once() {
    let app = app().await;
    let path = format!("/v1/environments/{MAIN}/freezes");
    let set = async || {
        let ask = app.admin("POST", &path).if_match("2").key("k");
        ask.json(&because(window())).send().await.ok().json()
    };
    assert_eq!(set().await["outcome"], "committed");
    assert_eq!(set().await["outcome"], "repeated");
    assert_eq!(listed(&app).await.as_array().expect("a list").len(), 1);
}

/// Sets a window of the deployment, whatever comes of it.
async fn freeze_all(app: &TestApp, members: Value) -> Answer {
    let ask = app.admin("POST", "/v1/freezes").json(&because(members));
    ask.send().await
}

#[tokio::test]
async fn a_window_of_the_deployment_holds_in_every_environment() {
    let app = app().await;
    app.create_with_candidate("Other_IVR").await;
    app.ask(MAIN, "rollout", json!({})).await.ok();
    let set = freeze_all(&app, json!({ "end": "2026-01-05T09:00:00Z" })).await;
    let mut set = set.ok().json();
    set["sequence"].take();
    assert_snapshot!(set.to_string(), @r#"{"because":null,"freezes":[{"end":"2026-01-05T09:00:00Z","number":1,"reason":"a test","start":"2026-01-05T08:00:00Z","status":"in_force"}],"outcome":"committed","revision":1,"sequence":null}"#);
    let refused = app.ask("Other_IVR", "cutover", json!({})).await;
    assert_snapshot!(refused.text(), @r#"{"detail":"freeze window 1 of the deployment until 2026-01-05T09:00:00Z (a test) lets no callers be moved to the candidate; wait, or remove it. Rollback, abort and pause work as ever","freeze":1,"place":"deployment","status":409,"title":"A freeze window is in force","type":"urn:traffic-cop:problem:frozen","until":"2026-01-05T09:00:00Z"}"#);
    let path = format!("/v1/environments/{MAIN}/rollout");
    let rollout = app.admin("GET", &path).send().await.ok().json();
    assert_eq!(rollout["frozen"]["place"], "deployment");
    let path = format!("/v1/environments/{MAIN}/freezes");
    let list = app.admin("GET", &path).send().await.ok().json();
    assert_eq!(
        (&list["freezes"], &list["deployment"]),
        (&json!([]), &set["freezes"])
    );
    app.ask(MAIN, "rollout/abort", json!({})).await.ok();

    let remove = || {
        let ask = app.admin("DELETE", "/v1/freezes/1?reason=r");
        async { ask.send().await.ok().json()["outcome"].clone() }
    };
    assert_eq!(remove().await, "committed");
    assert_eq!(remove().await, "unchanged");
    let list = app.admin("GET", "/v1/freezes").send().await.ok();
    assert_eq!(list.header(http::header::ETAG), Some("\"2\""));
    assert_eq!(list.json()["freezes"], json!([]));
    app.cut_over("Other_IVR").await;
    let over = freeze_all(&app, json!({ "end": "2026-01-05T07:00:00Z" })).await;
    assert_eq!(over.status, StatusCode::UNPROCESSABLE_ENTITY);
}
