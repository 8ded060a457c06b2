//! Snapshots: exported, and served as a default.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use traffic_cop::access::oidc::issuers::Issuers;
use traffic_cop::app::issuers;
use traffic_cop::replica::follower::Follower;
use traffic_cop::replica::saved::Saved;

use crate::ask::{Answer, Ask};
use crate::support::issuer::Issuer;
use crate::support::{Ask as Asked, Fault};
use crate::world::{MAIN, TestApp, because};

fn export(app: &TestApp, query: &str) -> Ask {
    app.admin("GET", &format!("/v1/snapshot{query}"))
}

fn restored(answer: &Answer) -> Follower {
    let saved = Saved::from_bytes(answer.text().as_bytes()).expect("a file");
    saved.restore().expect("states that can be read")
}

#[tokio::test]
async fn a_snapshot_holds_every_environment_and_every_token() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.token(&["decide"], None).await;

    let file = export(&app, "").send().await.ok();

    assert_eq!(file.header(CONTENT_TYPE), Some("application/octet-stream"));
    let follower = restored(&file);
    assert_eq!(follower.position.last.0, 3);
    assert_eq!(follower.environments().count(), 1);
    let access = follower.access().state().expect("tokens");
    assert_eq!(access.tokens.len(), 1);
}

#[tokio::test]
async fn a_snapshot_of_everything_is_not_for_an_administrator_of_one_environment() {
    let app = TestApp::start().await;
    let token = app.token(&["admin"], Some(&[MAIN])).await;
    let refused = export(&app, "").by(&token).send().await;
    assert_eq!(refused.problem(), "forbidden");
}

#[tokio::test]
async fn a_snapshot_that_may_not_be_the_latest_has_to_be_asked_for() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create_with_candidate(MAIN).await;
    proxy.fail(Asked::Poll, Fault::Refuse, usize::MAX);

    let refused = export(&app, "").send().await;
    assert_eq!(refused.problem(), "store-unavailable");
    let file = export(&app, "?stale=true").send().await.ok();

    assert_eq!(restored(&file).position.last.0, 2);
}

#[tokio::test]
async fn calls_are_answered_from_a_default_snapshot_while_there_is_nothing_better() {
    let origin = TestApp::start().await;
    origin.create_with_candidate(MAIN).await;
    let token = origin.token(&["decide"], None).await;
    let default = restored(&export(&origin, "").send().await.ok());

    let app = TestApp::start_without_a_snapshot().await;
    app.world.tables.delete().await;
    let ready = || app.decisions("GET", "/v1/health/ready").send();
    let call = || app.call(MAIN).json(&json!({})).by(&token).send();
    assert_eq!(ready().await.problem(), "not-ready");
    assert_eq!(
        call().await.problem(),
        "not-ready",
        "and never that a token is unknown"
    );

    app.process.replica.serve_default(default);

    ready().await.ok();
    let answer = call().await.ok().json();
    assert_eq!(
        (&answer["Slot"], &answer["Revision"], &answer["Source"]),
        (&json!("blue"), &json!(2), &json!("default"))
    );
    let shown = app.show(MAIN).await.ok().json();
    assert_eq!(
        (&shown["stale"], &shown["age_ms"], &shown["revision"]),
        (&json!(true), &json!(null), &json!(2))
    );
    assert_eq!(
        export(&app, "?stale=true").send().await.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "what was exported elsewhere is not exported again"
    );
}

#[tokio::test]
async fn a_default_snapshot_lets_in_whom_its_issuers_vouch_for_by_the_keys_of_before_a_restart() {
    let (origin, mut issuer) = (TestApp::start().await, Issuer::start().await);
    origin.create(MAIN).await;
    let entry = json!({
        "name": "pipelines", "url": issuer.url(), "audience": "traffic-cop", "claims": { "sub": "a-pipeline" },
        "scopes": ["decide"],
    });
    let added = origin.admin("POST", "/v1/issuers").json(&because(entry));
    added.send().await.ok();
    let default = restored(&export(&origin, "").send().await.ok());
    let now = origin.listener.clock.now().as_second();
    let token = issuer.token(now, json!({ "sub": "a-pipeline" }));
    let directory = tempfile::tempdir().expect("a directory");
    let keeper = |app: &TestApp| {
        let metrics = app.process.metrics.clone();
        let clock = app.listener.clock.clone();
        Issuers::new(app.keyring.clone(), clock, metrics, Some(directory.path()))
    };
    let named = [issuer.url().parse().expect("an issuer")];
    keeper(&origin).refresh(named.into()).await;
    issuer.go_away();

    let app = TestApp::start_without_a_snapshot().await;
    app.world.tables.delete().await;
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let (keyring, replica) = (app.keyring.clone(), app.process.replica.clone());
    let mut keeps = Box::pin(issuers::keep(keeper(&app), keyring, replica, stop));
    assert!(
        (&mut keeps).now_or_never().is_none(),
        "it looks before there is anything to look at"
    );
    tokio::spawn(keeps);
    app.process.replica.serve_default(default);

    let call = || app.call(MAIN).json(&json!({})).by(&token).send();
    let answered = async {
        loop {
            let answer = call().await;
            if answer.status != StatusCode::UNAUTHORIZED {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), answered)
        .await
        .expect("the keys are had in time");
    assert_eq!(answer.ok().json()["Source"], "default");
}
