//! Replicas, the journal, metrics, and what the admin listener says to requests for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use insta::assert_snapshot;
use serde_json::json;

use crate::ask::CANARY;
use crate::support::tables::set;
use crate::world::{MAIN, TestApp};

/// The samples of an OpenMetrics exposition by name and labels; fails on anything that is none.
fn samples(exposition: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut lines = exposition.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("# ") {
            let kind = comment.split(' ').next().unwrap_or_default();
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&kind), "{line}");
            assert_eq!(
                kind == "EOF",
                lines.peek().is_none(),
                "the end is marked, and only there"
            );
            continue;
        }
        let (name, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("no sample: {line}"));
        let value = value
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {line}"));
        let is_name = |name: &str| {
            name.starts_with("traffic_cop_")
                && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
        };
        assert!(
            is_name(name.split('{').next().unwrap_or_default()),
            "{line}"
        );
        assert_eq!(
            samples.insert(name.to_owned(), value),
            None,
            "twice: {line}"
        );
    }
    samples
}

async fn metrics(app: &TestApp) -> BTreeMap<String, f64> {
    let answer = app.admin("GET", "/metrics").by_nobody().send().await.ok();
    assert_eq!(
        answer.header(CONTENT_TYPE),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    samples(answer.text())
}

#[tokio::test]
async fn the_metrics_count_decisions_problems_writes_and_requests_to_the_store() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for _ in 0..3 {
        app.decide(MAIN, json!({})).await.ok();
    }
    app.decide(MAIN, json!({ "Flow_Version": "v2" })).await.ok();
    app.decide("No_Such", json!({})).await;
    app.show("No_Such").await;
    app.ask(MAIN, "cutover", json!({ "unknown": 1 })).await;

    let metrics = metrics(&app).await;

    let decisions = |slot: &str, reason: &str| {
        let name = format!(
            "traffic_cop_decisions_total{{environment=\"{MAIN}\",slot=\"{slot}\",reason=\"{reason}\",source=\"live\"}}"
        );
        metrics
            .get(&name)
            .copied()
            .unwrap_or_else(|| panic!("no {name} in {metrics:#?}"))
    };
    assert_eq!(
        (
            decisions("blue", "active"),
            decisions("green", "affinity"),
            decisions("green", "weighted")
        ),
        (3.0, 1.0, 0.0)
    );
    assert_eq!(
        metrics["traffic_cop_decision_duration_seconds_count"], 5.0,
        "an answer that is a problem takes time too"
    );
    assert_eq!(
        metrics["traffic_cop_problems_total{problem=\"environment-not-found\"}"], 2.0,
        "of both listeners"
    );
    assert_eq!(
        metrics["traffic_cop_problems_total{problem=\"bad-request\"}"],
        1.0
    );
    assert_eq!(
        metrics["traffic_cop_writes_total{action=\"create\",outcome=\"committed\"}"],
        1.0
    );
    assert_eq!(metrics["traffic_cop_replica_sequence"], 2.0);
    for operation in ["PutItem", "Query"] {
        let name = format!("traffic_cop_store_requests_total{{operation=\"{operation}\"}}");
        assert!(metrics[&name] > 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_panic_on_the_admin_listener_is_a_problem_that_is_counted() {
    let app = TestApp::start().await;
    app.create(MAIN).await;

    app.break_clock();
    let answer = app.show(MAIN).await;
    app.repair_clock();

    assert_snapshot!(answer, @r#"
    500 Internal Server Error
    {
      "detail": "the request could not be answered; the log of this replica says why",
      "status": 500,
      "title": "Something broke here",
      "type": "urn:traffic-cop:problem:internal"
    }
    "#);
    assert_eq!(
        metrics(&app).await["traffic_cop_problems_total{problem=\"internal\"}"],
        1.0
    );
    app.show(MAIN).await.ok();
}

#[tokio::test]
async fn replicas_are_listed_with_how_far_they_have_come() {
    let app = TestApp::start().await;
    let other = app.world.process().await;
    other.beat().await;
    app.create(MAIN).await;
    let ended = app.world.process().await;
    ended.replica.say_goodbye().await;
    // Two looks, six seconds apart: one replica beats before the second, one never again.
    app.process.replica.look_around().await.expect("heartbeats");
    app.advance(Duration::from_secs(6));
    app.process.beat().await;
    app.advance(Duration::from_millis(1_500));
    let replicas = app.admin("GET", "/v1/replicas").send().await;
    assert_snapshot!(replicas.to_string().replace(env!("CARGO_PKG_VERSION"), "[version]"), @r#"
    200 OK
    {
      "head": 1,
      "replicas": [
        {
          "age_ms": 1500,
          "alarms": [],
          "lag": 0,
          "live": true,
          "replica": "[id of a replica]",
          "sequence": 1,
          "started_at": "2026-01-05T08:00:00Z",
          "version": "[version]"
        },
        {
          "age_ms": 7500,
          "alarms": [],
          "lag": 1,
          "live": false,
          "replica": "[id of a replica]",
          "sequence": 0,
          "started_at": "2026-01-05T08:00:00Z",
          "version": "[version]"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn verification_names_what_is_wrong_with_the_journal() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 5.0).await;
    let verify = || app.admin("GET", "/v1/journal/verification").send();
    assert_snapshot!(verify().await, @r#"
    200 OK
    {
      "entries": 3,
      "findings": [],
      "head": 3,
      "head_hash": "[hash]"
    }
    "#);

    let other_reason = aws_sdk_dynamodb::types::AttributeValue::S("nobody's reason".to_owned());
    app.world
        .tables
        .tamper(2, set("reason", other_reason))
        .await;

    assert_snapshot!(verify().await, @r#"
    200 OK
    {
      "entries": 3,
      "findings": [
        {
          "problem": "the content is not what the hash was made of",
          "sequence": 2
        }
      ],
      "head": 3,
      "head_hash": "[hash]"
    }
    "#);
}

#[tokio::test]
async fn a_journal_that_was_rewound_takes_no_writes_and_costs_no_call() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.world.tables.rewind(1).await;

    assert_snapshot!(app.ask(MAIN, "cutover", json!({})).await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "the journal has lost or changed entry 2, which this replica has followed or a row shows; see `traffic-cop journal recover`",
      "status": 503,
      "title": "The journal is not in order",
      "type": "urn:traffic-cop:problem:journal-refused"
    }
    "#);
    assert_eq!(app.decide(MAIN, json!({})).await.ok().json()["Revision"], 2);
    assert_eq!(app.show(MAIN).await.ok().json()["stale"], true);
}

#[tokio::test]
async fn other_methods_and_paths_are_problems_that_say_so() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    for path in [
        "/v2",
        &format!("/{CANARY}"),
        "/v1/environments/",
        "/v1/environments/a/b",
        "/v1/environments/a/decisions",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = app.admin(method, path).send().await;
            assert_eq!(
                answer.status,
                http::StatusCode::NOT_FOUND,
                "{method} {path}: {answer}"
            );
        }
    }
    assert_eq!(
        app.admin("GET", "/docs/no-such-file")
            .send()
            .await
            .problem(),
        "not-found"
    );
    assert_snapshot!(app.admin("GET", "/v1/nothing").send().await, @r#"
    404 Not Found
    {
      "detail": "no resource has this path; GET /openapi.json on the admin listener lists them",
      "status": 404,
      "title": "There is nothing here",
      "type": "urn:traffic-cop:problem:not-found"
    }
    "#);
    assert_snapshot!(app.admin("POST", &format!("/v1/environments/{MAIN}")).send().await, @r#"
    405 Method Not Allowed
    allow: GET,HEAD,PUT,DELETE
    {
      "detail": "the resource has other methods; the Allow header names them",
      "status": 405,
      "title": "This method is not allowed here",
      "type": "urn:traffic-cop:problem:method-not-allowed"
    }
    "#);
    assert_snapshot!(app.admin("GET", &format!("/v1/environments/{MAIN}/cutover")).send().await, @r#"
    405 Method Not Allowed
    allow: POST
    {
      "detail": "the resource has other methods; the Allow header names them",
      "status": 405,
      "title": "This method is not allowed here",
      "type": "urn:traffic-cop:problem:method-not-allowed"
    }
    "#);
    for path in [
        "/v1/environments",
        "/v1/tokens/0123456789abcdef",
        "/v1/replicas",
        "/metrics",
        "/v1/health/live",
        "/openapi.json",
    ] {
        assert_eq!(
            app.admin("PATCH", path).send().await.problem(),
            "method-not-allowed",
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_admin_listener_that_has_loaded_nothing_asks_to_come_again() {
    let app = TestApp::start_without_a_snapshot().await;
    let unknown = app
        .admin("GET", "/v1/environments")
        .by("tc_00")
        .send()
        .await;
    assert_snapshot!(unknown, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "nothing has been loaded from the store yet; try again in a moment",
      "status": 503,
      "title": "Not ready",
      "type": "urn:traffic-cop:problem:not-ready"
    }
    "#);
    app.create(MAIN).await;
    assert_eq!(
        app.admin("GET", "/v1/environments")
            .by("tc_00")
            .send()
            .await
            .problem(),
        "unauthenticated"
    );
}
