//! Health in detail: what an operator is told of one replica.

use insta::assert_snapshot;
use serde_json::json;
use traffic_cop::store::item::text;

use crate::ask::Answer;
use crate::support::tables::set;
use crate::support::{Ask as Asked, Fault};
use crate::world::{MAIN, TestApp};

async fn detail(app: &TestApp) -> Answer {
    app.admin("GET", "/v1/health/detail").send().await.ok()
}

#[tokio::test]
async fn a_healthy_replica_says_what_it_answers_from() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.process.replica.look_around().await.expect("heartbeats");

    let healthy = detail(&app).await;
    assert_snapshot!(healthy.to_string().replace(env!("CARGO_PKG_VERSION"), "[version]"), @r#"
    200 OK
    {
      "alarms": [],
      "draining": false,
      "faults": [],
      "last_good": null,
      "mirror": [],
      "peers": {
        "live": 1,
        "silent": 0
      },
      "ready": true,
      "replica": "[id of a replica]",
      "sequence": 1,
      "source": "live",
      "started_at": "2026-01-05T08:00:00Z",
      "store": {
        "age_ms": 0,
        "journal_fault": null,
        "validating": true
      },
      "version": "[version]",
      "webhooks": []
    }
    "#);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.join().await;
    app.create_with_candidate(MAIN).await;
    let elsewhere = app.world.process().await;
    let sequence = {
        elsewhere.cutover(MAIN).await;
        elsewhere.position().0
    };
    let change = text("another reason");
    app.world
        .tables
        .tamper(sequence, set("reason", change))
        .await;
    app.process.catch_up().await;
    proxy.fail(Asked::Poll, Fault::Refuse, usize::MAX);
    app.advance(std::time::Duration::from_secs(3));
    app.process
        .replica
        .catch_up()
        .await
        .expect_err("the store is away");

    let told = detail(&app).await.json();
    assert_eq!(
        told["faults"],
        json!([{
            "aggregate": format!("environment/{MAIN}"),
            "revision": 3,
            "served_revision": 2,
            "why": "record 3 was changed after it was written",
        }])
    );
    assert_eq!(
        (&told["ready"], &told["source"], &told["sequence"]),
        (&json!(true), &json!("live"), &json!(3))
    );
    assert_eq!(
        told["store"],
        json!({ "age_ms": 3000, "validating": false, "journal_fault": null })
    );
    let alarms = told["alarms"].as_array().expect("alarms").iter();
    let alarms: Vec<_> = alarms.map(|alarm| &alarm["condition"]).collect();
    assert_eq!(alarms, ["unreadable_state", "store_away"]);
}

#[tokio::test]
async fn a_replica_that_has_loaded_nothing_says_so_to_whoever_can_be_known() {
    let app = TestApp::start_without_a_snapshot().await;
    let told = detail(&app).await.json();
    assert_eq!(
        (&told["ready"], &told["source"], &told["sequence"]),
        (&json!(false), &json!(null), &json!(null))
    );
}

#[tokio::test]
async fn it_is_not_for_readers_of_one_environment() {
    let app = TestApp::start().await;
    let token = app.token(&["read"], Some(&[MAIN])).await;
    let refused = app
        .admin("GET", "/v1/health/detail")
        .by(&token)
        .send()
        .await;
    assert_eq!(refused.problem(), "forbidden");
}
