//! Webhooks: registering and removing them, and seeing how far each has been told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::ETAG;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use traffic_cop::domain::webhook;
use traffic_cop::followers::Follower;
use traffic_cop::followers::webhooks::secrets::Secrets;
use traffic_cop::followers::webhooks::{Sender, Webhooks};

use crate::ask::{Answer, CANARY};
use crate::support::receiver::{Receiver, Reply, SECRET};
use crate::world::{MAIN, TestApp, because};

/// A webhook to nowhere, with these members beside its name and URL.
fn webhook(name: &str, members: Value) -> Value {
    let mut webhook = json!({ "name": name, "url": "https://chat.example.com/hooks/ivr" });
    let members = members.as_object().expect("members").clone();
    webhook.as_object_mut().expect("members").extend(members);
    webhook
}

async fn add(app: &TestApp, webhook: Value) -> Answer {
    let ask = app.admin("POST", "/v1/webhooks").json(&because(webhook));
    ask.send().await
}

async fn list(app: &TestApp) -> Answer {
    app.admin("GET", "/v1/webhooks").send().await.ok()
}

async fn remove(app: &TestApp, name: &str) -> Answer {
    let path = format!("/v1/webhooks/{name}?reason=r");
    app.admin("DELETE", &path).send().await
}

#[tokio::test]
async fn a_webhook_is_added_listed_and_removed() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let added = add(&app, webhook("chat", json!({}))).await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert_eq!(added.header(ETAG), Some("\"1\""));
    let members = json!({
        "secret": "ours", "environments": [MAIN, "Not_Yet"], "actions": ["rollback", "cutover"]
    });
    add(&app, webhook("a.2", members)).await.ok();
    let all = list(&app).await;
    assert_eq!(all.header(ETAG), Some("\"2\""));
    assert_json_snapshot!(all.json()["webhooks"], @r#"
    [
      {
        "actions": [
          "cutover",
          "rollback"
        ],
        "after": 3,
        "delivery": null,
        "environments": [
          "Main_IVR",
          "Not_Yet"
        ],
        "name": "a.2",
        "secret": "ours",
        "url": "https://chat.example.com/hooks/ivr"
      },
      {
        "actions": null,
        "after": 2,
        "delivery": null,
        "environments": null,
        "name": "chat",
        "secret": "chat",
        "url": "https://chat.example.com/hooks/ivr"
      }
    ]
    "#);

    let removed = remove(&app, "chat").await.ok().json();
    assert_eq!(removed["outcome"], "committed");
    let again = remove(&app, "chat").await.ok().json();
    assert_eq!(
        (&again["outcome"], &again["because"]),
        (&"unchanged".into(), &"no-such-webhook".into())
    );
    assert_eq!(remove(&app, "%20").await.status, StatusCode::NOT_FOUND);
    let left = list(&app).await.json();
    assert_eq!(left["webhooks"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn what_is_no_webhook_is_refused() {
    let app = TestApp::start().await;
    let url = |url: &str| json!({ "url": url });
    for (members, status) in [
        (url("http://chat.example.com"), 400),
        (url("https://user:secret@chat.example.com"), 400),
        (url("https://chat.example.com/?token=x"), 400),
        (url(CANARY), 400),
        (json!({ "name": CANARY.repeat(11) }), 400),
        (json!({ "secret": "whsec_ x" }), 400),
        (json!({ "environments": [] }), 400),
        (json!({ "environments": "Main_IVR" }), 400),
        (json!({ "actions": [] }), 400),
        (json!({ "actions": ["Rollback"] }), 400),
        (json!({ "actions": ["rolback"] }), 422),
        (json!({ "secrets": ["x"] }), 400),
    ] {
        let answer = add(&app, webhook("chat", members.clone())).await;
        assert_eq!(answer.status.as_u16(), status, "{members}");
    }
    let no_reason = app
        .admin("POST", "/v1/webhooks")
        .json(&webhook("chat", json!({})));
    assert_eq!(no_reason.send().await.status, StatusCode::BAD_REQUEST);
    add(&app, webhook("chat", json!({}))).await.ok();
    let twice = add(&app, webhook("chat", json!({}))).await;
    assert_eq!(twice.problem(), "already-exists");
    for number in 1..webhook::MAX_WEBHOOKS {
        add(&app, webhook(&format!("n{number}"), json!({})))
            .await
            .ok();
    }
    let one_more = add(&app, webhook("one-more", json!({}))).await;
    assert_eq!(one_more.problem(), "refused");
}

#[tokio::test]
async fn a_write_is_recognised_and_may_name_what_it_has_seen() {
    let app = TestApp::start().await;
    let write = async |etag: &str, key: &str| {
        let ask = app.admin("POST", "/v1/webhooks").if_match(etag).key(key);
        let ask = ask.json(&because(webhook("chat", json!({}))));
        ask.send().await
    };
    assert_eq!(write("*", "k").await.status, StatusCode::CREATED);
    let repeated = write("*", "k").await;
    assert_eq!(repeated.status, StatusCode::OK);
    assert_eq!(repeated.json()["outcome"], "repeated");
    assert_eq!(write("7", "other").await.problem(), "stale");
}

#[tokio::test]
async fn who_may_only_operate_learns_nothing_of_webhooks() {
    let app = TestApp::start().await;
    add(&app, webhook("chat", json!({}))).await.ok();
    let operator = app.token(&["operate"], None).await;
    let freeze = because(json!({ "end": "2026-01-05T09:00:00Z" }));
    let ask = app.admin("POST", "/v1/freezes").by(&operator).json(&freeze);
    let frozen = ask.send().await.ok();
    assert!(!frozen.text().contains("chat"), "{}", frozen.text());
    let refused = app.admin("GET", "/v1/webhooks").by(&operator).send().await;
    assert_eq!(refused.problem(), "forbidden");
}

#[tokio::test]
async fn the_list_and_the_health_say_how_far_a_webhook_has_been_told() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    add(&app, webhook("chat", json!({ "url": receiver.url() })))
        .await
        .ok();
    app.create(MAIN).await;
    app.register(MAIN, "v2").await;
    let process = &app.process;
    let secrets = json!({ "chat": SECRET }).to_string();
    let webhooks = Webhooks::new(
        process.replica.clone(),
        process.clock.clone(),
        process.metrics.clone(),
        Arc::new(Secrets::read(&secrets).expect("secrets")),
        Sender::new(Duration::from_secs(10)).expect("a sender"),
        "urn:traffic-cop".to_owned(),
    );
    let (replica, clock) = (process.replica.clone(), process.clock.clone());
    let mut teller = Follower::new(replica, clock, process.metrics.clone(), webhooks);
    receiver.replies(Reply::Status(200));
    receiver.replies(Reply::Status(401));
    teller.tick().await.expect("a look");
    for _ in 0..2 {
        teller.progress().await;
        teller.tick().await.expect("a look");
    }
    app.advance(Duration::from_millis(500));
    teller.tick().await.expect("a look");

    let listed = list(&app).await.json();
    assert_json_snapshot!(listed["webhooks"][0]["delivery"], @r#"
    {
      "behind": 1,
      "held_up": {
        "since": "2026-01-05T08:00:00Z",
        "why": "it answers with status 401"
      },
      "taken_at": "2026-01-05T08:00:00Z",
      "through": 2
    }
    "#);
    let health = app.admin("GET", "/v1/health/detail").send().await.ok();
    assert_json_snapshot!(health.json()["webhooks"], @r#"
    [
      {
        "behind": 1,
        "held_up": "it answers with status 401",
        "oldest_ms": 500,
        "webhook": "chat"
      }
    ]
    "#);
}

#[tokio::test]
async fn a_repair_says_which_webhooks_there_are() {
    let app = TestApp::start().await;
    add(&app, webhook("chat", json!({}))).await.ok();
    let key = traffic_cop::domain::ids::AggregateKey::Settings;
    crate::support::forgery::forge_of(&app.world, &app.process, &key, |draft| {
        draft.state = b"{\"oops".to_vec();
    })
    .await;
    app.process.catch_up().await;
    let ask = app.admin("POST", "/v1/settings/repair");
    let repaired = ask.json(&because(json!({}))).send().await.ok().json();
    assert_eq!(repaired["webhooks"][0]["name"], "chat");
}

#[test]
fn the_documentation_lists_every_kind_of_event() {
    let text = include_str!("../../docs/webhooks.md");
    let listed = text.split("traffic-cop.").skip(1).filter_map(|rest| {
        let kind = rest.split('`').next()?;
        let (what, action) = kind.split_once('.')?;
        let is_one = action.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        is_one.then_some((what, action))
    });
    let listed: BTreeSet<_> = listed.filter(|(what, _)| *what != "journal").collect();
    let all: BTreeSet<_> = webhook::kinds().collect();
    assert_eq!(listed, all);
}
