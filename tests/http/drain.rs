//! The drain meter: calls per slot across replicas, and what a claim makes of them.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::Answer;
use crate::support::caller::{Call, Caller};
use crate::support::{Ask, Fault};
use crate::world::{MAIN, TestApp};

const MINUTE: Duration = Duration::from_secs(60);

async fn drain(app: &TestApp, query: &str) -> Answer {
    app.admin("GET", &format!("/v1/environments/{MAIN}/drain{query}"))
        .send()
        .await
}

async fn claim(app: &TestApp) -> Answer {
    app.ask(MAIN, "claim", json!({ "flow_version": "v3" }))
        .await
}

/// A call that has been in version `v1`, which blue holds.
async fn returning_call(app: &TestApp) -> Value {
    let call = json!({ "Flow_Version": "v1" });
    app.decide(MAIN, call).await.ok().json()
}

#[tokio::test]
async fn calls_are_counted_by_slot_whatever_the_rule() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for _ in 0..3 {
        returning_call(&app).await;
    }
    app.process.beat().await;
    app.advance(10 * MINUTE);
    app.cut_over(MAIN).await;
    assert_eq!(returning_call(&app).await["Slot"], "blue");
    app.decide(MAIN, json!({})).await.ok();

    assert_snapshot!(drain(&app, "").await, @r#"
    200 OK
    {
      "active": "green",
      "drain_seconds": 1800,
      "environment": "Main_IVR",
      "minutes": 30,
      "revision": 3,
      "silent": [],
      "slots": {
        "blue": {
          "calls": 4,
          "drained_at": "2026-01-05T08:40:00Z",
          "last_call": "2026-01-05T08:10:00Z",
          "share_ended_at": "2026-01-05T08:10:00Z",
          "status": "draining"
        },
        "green": {
          "calls": 1,
          "drained_at": null,
          "last_call": "2026-01-05T08:10:00Z",
          "share_ended_at": null,
          "status": "takes_new_calls"
        }
      }
    }
    "#);
    let lately = drain(&app, "?minutes=10").await.ok().json();
    assert_eq!(lately["slots"]["blue"]["calls"], 1);
    for query in ["?minutes=0", "?minutes=61", "?minutes=c4N4rY"] {
        assert_eq!(drain(&app, query).await.problem(), "bad-request");
    }
    let nowhere = app.admin("GET", "/v1/environments/No_Such/drain").send();
    assert_eq!(nowhere.await.problem(), "environment-not-found");
}

#[tokio::test]
async fn a_claim_is_refused_while_calls_return_and_granted_when_they_have_drained() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    app.advance(29 * MINUTE);
    assert_eq!(returning_call(&app).await["Reason"], "affinity");
    app.process.beat().await;
    app.advance(29 * MINUTE);

    assert_snapshot!(claim(&app).await.line(), @"409 refused: a call was decided to slot blue as late as 2026-01-05T08:29:00Z, by affinity, an override or a replica that lagged; calls may still be inside it until 2026-01-05T08:59:00Z, try again then");
    app.advance(MINUTE);
    claim(&app).await.ok();
}

#[tokio::test]
async fn what_another_replica_decided_counts_even_if_it_is_gone() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    let other = app.world.process().await;
    app.advance(20 * MINUTE);
    let call = Call {
        flow_version: "v1",
        ..Call::default()
    };
    let decided = Caller::of(&other).ask(MAIN, call).await;
    assert_eq!(decided.reason, "affinity");
    other.beat().await;
    app.advance(15 * MINUTE);

    assert_eq!(claim(&app).await.problem(), "refused");
    app.advance(14 * MINUTE);
    let seen = drain(&app, "").await.ok().json();
    assert_eq!(seen["slots"]["blue"]["calls"], 1);
    assert_eq!(seen["silent"][0]["replica"], other.replica.id());
    assert_eq!(claim(&app).await.problem(), "refused");
    app.advance(MINUTE);
    claim(&app).await.ok();
}

#[tokio::test]
async fn without_heartbeats_nothing_is_claimed_and_nothing_else_is_held_up() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.catch_up().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    app.advance(60 * MINUTE);
    proxy.fail(Ask::Heartbeat, Fault::ServerError, usize::MAX);

    assert_snapshot!(claim(&app).await.line(), @"503 store-unavailable: the replicas' heartbeats cannot be read, so nobody knows whether calls are still decided to slot blue; try again in a moment");
    assert_eq!(drain(&app, "").await.problem(), "store-unavailable");
    app.cut_over(MAIN).await;
    app.cut_over(MAIN).await;
    proxy.heal();
    app.advance(60 * MINUTE);
    claim(&app).await.ok();
}
