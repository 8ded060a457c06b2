//! Why a call goes where it goes.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::{Answer, CANARY};
use crate::support::Fault;
use crate::world::{MAIN, TestApp};

const TESTER: &str = "+4930123456";

async fn ask(app: &TestApp, question: Value) -> Answer {
    let path = format!("/v1/environments/{MAIN}/explain");
    app.admin("POST", &path).json(&question).send().await
}

async fn explained(app: &TestApp, question: Value) -> Value {
    ask(app, question).await.ok().json()
}

/// Which rule gives the call to which slot, and what the first two rules looked at.
fn in_short(explanation: &Value) -> String {
    let text = |pointer: &str| {
        let value = explanation.pointer(pointer).expect("a member");
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let overrides = explanation["override"]["overrides"].as_array();
    let outcomes: Vec<_> = overrides
        .expect("overrides")
        .iter()
        .map(|one| one["outcome"].as_str().expect("an outcome"))
        .collect();
    format!(
        "{} by {} at revision {}; overrides {outcomes:?}; version {}",
        text("/decision/slot"),
        text("/decision/reason"),
        text("/revision"),
        text("/affinity/outcome"),
    )
}

#[tokio::test]
async fn an_explanation_says_of_each_rule_what_it_looked_at() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let add = json!({ "calls": { "ani": TESTER }, "to": "green", "owner": "anna" });
    app.ask(MAIN, "add_override", add).await.ok();
    app.set_weight(MAIN, 5.0).await;
    // The salt is drawn, so the bucket is another one in every run.
    let mut answer = explained(
        &app,
        json!({ "conversation_id": "c", "flow_version": "v1" }),
    )
    .await;
    let bucket = answer["weighted"]["bucket"].take();
    let bucket = bucket.as_u64().expect("a bucket");
    assert!(bucket < 10_000);
    let slot = answer["weighted"]["slot"].take();
    assert_eq!(slot, if bucket < 500 { "green" } else { "blue" });
    assert_snapshot!(format!("{answer:#}"), @r#"
    {
      "active": {
        "applies": false,
        "slot": "blue"
      },
      "affinity": {
        "applies": true,
        "outcome": "applies",
        "slot": "blue"
      },
      "age_ms": 0,
      "at": "2026-01-05T08:00:00Z",
      "decision": {
        "flow": {
          "id": "flow-blue",
          "name": "Main IVR Blue"
        },
        "flow_version": "v1",
        "flow_version_known": true,
        "interface": 0,
        "reason": "affinity",
        "slot": "blue"
      },
      "environment": "Main_IVR",
      "fault": null,
      "override": {
        "ani": "absent",
        "applies": false,
        "dnis": "absent",
        "overrides": [
          {
            "calls": {
              "ani": "+4930123456"
            },
            "expires_at": "2026-01-05T09:00:00Z",
            "outcome": "other_number",
            "owner": "anna",
            "to": "green"
          }
        ],
        "slot": null
      },
      "revision": 4,
      "stale": false,
      "weighted": {
        "applies": true,
        "bucket": null,
        "drawn": false,
        "slot": null,
        "weight": 5
      }
    }
    "#);
}

#[tokio::test]
async fn an_explanation_is_that_of_the_decision_that_the_call_gets() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let add = json!({ "calls": { "dnis": "0800" }, "to": "green", "owner": "anna" });
    app.ask(MAIN, "add_override", add).await.ok();
    app.set_weight(MAIN, 50.0).await;
    for n in 0..50 {
        let id = format!("call-{n}");
        for (flow_version, dnis) in [("", ""), ("v1", ""), ("v2", "0801"), ("v3", "tel:0800")] {
            let call = json!({ "Conversation_ID": id, "Flow_Version": flow_version, "DNIS": dnis });
            let decided = app.decide(MAIN, call).await.ok().json();
            let question =
                json!({ "conversation_id": id, "flow_version": flow_version, "dnis": dnis });
            let told = explained(&app, question).await["decision"].take();
            assert_eq!(
                [
                    &told["slot"],
                    &told["reason"],
                    &told["flow"]["id"],
                    &told["flow_version"],
                    &told["flow_version_known"],
                    &told["interface"]
                ],
                [
                    &decided["Slot"],
                    &decided["Reason"],
                    &decided["Active_Flow_ID"],
                    &decided["Flow_Version"],
                    &decided["Flow_Version_Known"],
                    &decided["Schema_Version"]
                ],
                "{id}, {flow_version}, {dnis}"
            );
        }
    }
}

#[tokio::test]
async fn a_call_is_explained_by_any_revision_or_time_of_the_past() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let add = json!({ "calls": { "ani": TESTER }, "to": "green", "owner": "anna", "expires_in_minutes": 5 });
    app.ask(MAIN, "add_override", add).await.ok();
    app.advance(Duration::from_secs(600));
    app.cut_over(MAIN).await;
    app.advance(Duration::from_secs(600));
    app.ask(MAIN, "rollback", json!({})).await.ok();

    let mut lines = Vec::new();
    for at in [
        Value::Null,
        json!(5),
        json!("4"),
        json!(3),
        json!("2026-01-05T08:04:59Z"),
        json!("2026-01-05T08:05:00Z"),
        json!("2026-01-05T08:10:00Z"),
        json!("2026-01-05T09:19:59+01:00"),
        json!("2026-01-05T08:20:00Z"),
        json!(2),
        json!(1),
    ] {
        let answer = explained(
            &app,
            json!({ "ani": TESTER, "flow_version": "v2", "at": at }),
        )
        .await;
        let judged_at = &answer["at"];
        lines.push(format!("{at} ({judged_at}): {}", in_short(&answer)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    null ("2026-01-05T08:20:00Z"): blue by active at revision 5; overrides []; version rolled_back
    5 ("2026-01-05T08:20:00Z"): blue by active at revision 5; overrides []; version rolled_back
    "4" ("2026-01-05T08:10:00Z"): green by affinity at revision 4; overrides []; version applies
    3 ("2026-01-05T08:00:00Z"): green by override at revision 3; overrides ["applies"]; version applies
    "2026-01-05T08:04:59Z" ("2026-01-05T08:04:59Z"): green by override at revision 3; overrides ["applies"]; version applies
    "2026-01-05T08:05:00Z" ("2026-01-05T08:05:00Z"): green by affinity at revision 3; overrides ["expired"]; version applies
    "2026-01-05T08:10:00Z" ("2026-01-05T08:10:00Z"): green by affinity at revision 4; overrides []; version applies
    "2026-01-05T09:19:59+01:00" ("2026-01-05T08:19:59Z"): green by affinity at revision 4; overrides []; version applies
    "2026-01-05T08:20:00Z" ("2026-01-05T08:20:00Z"): blue by active at revision 5; overrides []; version rolled_back
    2 ("2026-01-05T08:00:00Z"): green by affinity at revision 2; overrides []; version applies
    1 ("2026-01-05T08:00:00Z"): blue by active at revision 1; overrides []; version unknown_version
    "#);
}

#[tokio::test]
async fn a_call_without_a_conversation_id_is_explained_by_a_bucket_that_is_drawn() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 50.0).await;
    let mut buckets = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = explained(&app, json!({ "conversation_id": "" })).await;
        assert_eq!(answer["weighted"]["drawn"], true);
        buckets.insert(answer["weighted"]["bucket"].as_u64());
    }
    // Twenty times the same of 10,000: once in 10^76 runs.
    assert!(buckets.len() > 1);
    assert_eq!(
        explained(&app, json!({ "conversation_id": "c" })).await["weighted"]["drawn"],
        false
    );
}

#[tokio::test]
async fn numbers_are_told_apart_without_being_repeated() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let question = json!({ "ani": format!("sip:{CANARY}@example.com"), "dnis": "+4930999888" });
    let answer = ask(&app, question).await.ok();
    assert!(!answer.text().contains(CANARY) && !answer.text().contains("999888"));
    let rule = answer.json()["override"].take();
    assert_eq!(
        (&rule["ani"], &rule["dnis"]),
        (&json!("no_number"), &json!("number"))
    );
    let rule = explained(&app, json!({ "ani": "" })).await["override"].take();
    assert_eq!(
        (&rule["ani"], &rule["dnis"]),
        (&json!("absent"), &json!("absent"))
    );
}

#[tokio::test]
async fn an_explanation_while_the_store_is_away_says_how_old_it_is() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create(MAIN).await;
    proxy.fail_all(Fault::Refuse);
    app.advance(Duration::from_secs(3));

    let answer = explained(&app, json!({})).await;

    assert_eq!(
        (&answer["stale"], &answer["age_ms"]),
        (&json!(true), &json!(3_000))
    );
    assert_eq!(answer["decision"]["slot"], "blue");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_without_repeating_them() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let mut lines = Vec::new();
    for question in [
        json!([]),
        json!({ "conversation_id": 1 }),
        json!({ "Conversation_ID": CANARY }),
        json!({ CANARY: "" }),
        json!({ "at": CANARY }),
        json!({ "at": -1 }),
        json!({ "at": 2 }),
        json!({ "at": "2026-01-05T07:59:59Z" }),
    ] {
        lines.push(ask(&app, question).await.line());
    }
    let nowhere = app.admin("POST", "/v1/environments/No_Such/explain");
    lines.push(nowhere.json(&json!({})).send().await.line());
    assert_snapshot!(lines.join("\n"), @"
    400 bad-request: the body must be one JSON object
    400 bad-request: member conversation_id: wrong type or value; expected a text
    400 bad-request: unknown member; expected one of `conversation_id`, `flow_version`, `ani`, `dnis`, `at`
    400 bad-request: unknown member; expected one of `conversation_id`, `flow_version`, `ani`, `dnis`, `at`
    400 bad-request: member at: expected a revision, or a time such as 2026-01-31T12:00:00Z
    400 bad-request: member at: wrong type or value; expected a revision, or a time such as 2026-01-31T12:00:00Z
    404 revision-not-found: the environment did not exist then, or the record is lost
    404 revision-not-found: the environment did not exist then, or the record is lost
    404 environment-not-found: no environment has this name; names are case-sensitive
    ");
}
