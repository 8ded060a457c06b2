//! The past of an environment.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::{MAIN, TestApp};

async fn page(app: &TestApp, query: &str) -> Value {
    app.admin("GET", &format!("/v1/environments/{MAIN}/history{query}"))
        .send()
        .await
        .ok()
        .json()
}

fn revisions(page: &Value) -> Vec<u64> {
    let entries = page["entries"].as_array().expect("entries");
    entries
        .iter()
        .map(|entry| entry["revision"].as_u64().expect("a revision"))
        .collect()
}

#[tokio::test]
async fn the_history_says_who_changed_what_when_and_why() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.create("Other_IVR").await;
    let pipeline = app
        .new_token(json!({ "scopes": ["operate"], "environments": [MAIN] }))
        .await;
    app.advance(Duration::from_secs(60));
    let register = app
        .change(MAIN, "register")
        .by(&pipeline)
        .json(&json!({ "flow_version": "v2", "reason": "release 2" }));
    register.send().await.ok();
    app.delete(MAIN).await;

    let mut history = page(&app, "").await;
    let states: Vec<_> = history["entries"]
        .as_array_mut()
        .expect("entries")
        .iter_mut()
        .map(|entry| entry["state"].take())
        .collect();
    let actor = history["entries"][1]["actor"].take();
    assert!(
        actor
            .as_str()
            .is_some_and(|name| name.starts_with("token-")),
        "{actor}"
    );
    assert_snapshot!(format!("{history:#}"), @r#"
    {
      "entries": [
        {
          "action": "delete",
          "actor": "first-admin",
          "at": "2026-01-05T08:01:00Z",
          "reason": "a test",
          "revision": 3,
          "sequence": 5,
          "state": null
        },
        {
          "action": "register",
          "actor": null,
          "at": "2026-01-05T08:01:00Z",
          "reason": "release 2",
          "revision": 2,
          "sequence": 4,
          "state": null
        },
        {
          "action": "create",
          "actor": "first-admin",
          "at": "2026-01-05T08:00:00Z",
          "reason": "a test",
          "revision": 1,
          "sequence": 1,
          "state": null
        }
      ],
      "next_before": null
    }
    "#);
    assert_eq!(states[0], Value::Null, "it was deleted");
    assert_eq!(
        (
            &states[1]["revision"],
            &states[1]["slots"]["green"]["flow_version"]["label"]
        ),
        (&json!(2), &json!("v2"))
    );
    assert_eq!(states[2]["slots"]["green"]["status"], "empty");
}

#[tokio::test]
async fn the_pages_of_a_history_follow_each_other_without_gap_or_repeat() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for n in 3_u8..=7 {
        app.set_weight(MAIN, n.into()).await;
    }
    assert_eq!(revisions(&page(&app, "").await), [7, 6, 5, 4, 3, 2, 1]);
    let mut seen = Vec::new();
    let mut before = String::new();
    loop {
        let page = page(&app, &format!("?limit=3{before}")).await;
        seen.push(revisions(&page));
        let Some(next) = page["next_before"].as_u64() else {
            break;
        };
        before = format!("&before={next}");
    }
    assert_eq!(seen, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    assert_eq!(revisions(&page(&app, "?before=3").await), [2, 1]);
    assert_eq!(revisions(&page(&app, "?before=1").await), Vec::<u64>::new());
    assert_eq!(
        page(&app, "?limit=7").await["next_before"],
        Value::Null,
        "nothing follows the first change"
    );
}

#[tokio::test]
async fn a_page_holds_fifty_changes_at_the_most() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for n in 3_u32..=52 {
        app.set_weight(MAIN, f64::from(n) / 100.0).await;
    }
    for query in ["", "?limit=50", "?limit=51", "?limit=100000"] {
        let page = page(&app, query).await;
        assert_eq!(
            (revisions(&page).len(), &page["next_before"]),
            (50, &json!(3)),
            "{query}"
        );
    }
    assert_eq!(revisions(&page(&app, "?limit=0").await), [52]);
}

#[tokio::test]
async fn nobody_walks_back_further_than_the_limit() {
    let app = TestApp::start_with_longest_walk(4).await;
    app.create_with_candidate(MAIN).await;
    for n in 3_u8..=6 {
        app.set_weight(MAIN, n.into()).await;
    }
    let last = page(&app, "?before=5").await;
    assert_eq!(revisions(&last), [4, 3]);
    assert_eq!(last["next_before"], 3, "there is more");
    let beyond = format!("/v1/environments/{MAIN}/history?before=3");
    assert_snapshot!(
        app.admin("GET", &beyond).send().await.line(),
        @"404 revision-not-found: it is more than 4 changes ago; GET /v1/events?after=0 goes back to the first"
    );
    assert_eq!(app.show_at(MAIN, "3").await.ok().json()["revision"], 3);
    assert_eq!(app.show_at(MAIN, "2").await.problem(), "revision-not-found");
}

#[tokio::test]
async fn the_history_goes_on_after_deletion_and_another_creation() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.delete(MAIN).await;
    assert_eq!(revisions(&page(&app, "").await), [2, 1]);
    app.create(MAIN).await;
    assert_eq!(revisions(&page(&app, "").await), [3, 2, 1]);
}

#[tokio::test]
async fn pages_that_make_no_sense_are_bad_requests() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let mut lines = Vec::new();
    for query in [
        "limit=x",
        "limit=-1",
        "before=x",
        "before=",
        "limit=1&limit=2",
        "limit=%FF",
    ] {
        let answer = app
            .admin("GET", &format!("/v1/environments/{MAIN}/history?{query}"))
            .send()
            .await;
        lines.push(format!("{query} → {}", answer.line()));
    }
    assert_snapshot!(lines.join("\n"), @"
    limit=x → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    limit=-1 → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    before=x → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    before= → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    limit=1&limit=2 → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    limit=%FF → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    ");
    let nowhere = app
        .admin("GET", "/v1/environments/No_Such/history")
        .send()
        .await;
    assert_eq!(nowhere.problem(), "environment-not-found");
}
