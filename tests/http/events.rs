//! Changes as they come: who is sent what, from where on, and when it ends.

use axum::body::Body;
use http_body_util::BodyExt as _;
use insta::assert_json_snapshot;
use serde_json::json;

use crate::support::commands;
use crate::support::event_stream::{Event, take};
use crate::support::process::asked;
use crate::world::{MAIN, TestApp};

/// A client that follows changes.
struct Client {
    body: Body,
    text: String,
}

impl Client {
    /// Follows with what is asked for, and passes over the mark at the beginning.
    async fn follow(app: &TestApp, query: &str) -> Self {
        let mut client = Self::open(app.admin("GET", &format!("/v1/events{query}"))).await;
        let mark = client.next().await.expect("a mark");
        assert_eq!(mark.name, "", "{mark:?}");
        client
    }

    async fn open(ask: crate::ask::Ask) -> Self {
        Self {
            body: ask.open().await,
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = take(&mut self.text) {
                return Some(event);
            }
            let frame = self.body.frame().await?.expect("a frame");
            let bytes = frame.into_data().expect("data");
            self.text += std::str::from_utf8(&bytes).expect("text");
        }
    }

    /// The ids of the next `count` events.
    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let event = self.next().await.expect("an event");
            assert_eq!(event.name, "change", "{event:?}");
            assert_eq!(event.data["sequence"].as_u64(), event.id);
            ids.push(event.id.expect("an id"));
        }
        ids
    }
}

#[tokio::test]
async fn a_change_is_sent_with_who_what_why_when_and_the_state_after_it() {
    let app = TestApp::start().await;
    let mut client = Client::follow(&app, "").await;
    app.create(MAIN).await;
    app.delete(MAIN).await;

    let created = client.next().await.expect("an event");
    let deleted = client.next().await.expect("an event");

    assert_eq!((created.name.as_str(), created.id), ("change", Some(1)));
    assert_eq!(created.data["state"]["active"], "blue");
    assert_eq!(created.data["state"]["revision"], 1);
    assert_eq!(deleted.id, Some(2));
    assert_json_snapshot!(deleted.data, @r#"
    {
      "action": "delete",
      "actor": "first-admin",
      "aggregate": "environment/Main_IVR",
      "at": "2026-01-05T08:00:00Z",
      "environment": "Main_IVR",
      "reason": "a test",
      "revision": 2,
      "sequence": 2,
      "state": null
    }
    "#);
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_right_after_what_it_saw() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    assert_eq!(
        Client::follow(&app, "?after=0").await.ids(3).await,
        [1, 2, 3]
    );
    assert_eq!(Client::follow(&app, "?after=2").await.ids(1).await, [3]);
    let resume = app
        .admin("GET", "/v1/events?after=0")
        .header("last-event-id", "1");
    let mut client = Client::open(resume).await;
    assert_eq!(client.next().await.expect("a mark").id, Some(1));
    assert_eq!(client.ids(2).await, [2, 3]);
    app.cut_over(MAIN).await;
    assert_eq!(client.ids(1).await, [4]);
}

#[tokio::test]
async fn a_client_that_is_slow_loses_nothing() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let mut slow = Client::follow(&app, "").await;
    for _ in 0..150 {
        app.process.cutover(MAIN).await;
    }
    let ids = slow.ids(150).await;
    assert_eq!(ids, (3..=152).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_is_sent_what_its_token_may_read_and_nothing_else() {
    let app = TestApp::start().await;
    let limited = app.token(&["read"], Some(&["Mine"])).await;
    let everywhere = app.token(&["operate"], None).await;
    for name in ["Other", "Mine", "Another"] {
        app.create(name).await;
    }
    let follow = async |token: &str, query: &str| {
        let ask = app.admin("GET", &format!("/v1/events?after=0{query}"));
        let mut client = Client::open(ask.by(token)).await;
        client.next().await.expect("a mark");
        client
    };
    // The two tokens are entries 1 and 2.
    assert_eq!(follow(&limited, "").await.ids(1).await, [4]);
    assert_eq!(follow(&everywhere, "").await.ids(3).await, [3, 4, 5]);
    let only = follow(&everywhere, "&environment=Another").await;
    assert_eq!({ only }.ids(1).await, [5]);
    let mut all = Client::follow(&app, "?after=0").await;
    let access = all.next().await.expect("an event");
    assert_eq!(access.data["aggregate"], "access");
    assert_eq!(access.data["state"], json!(null), "no hashes of tokens");
    assert_eq!(all.ids(4).await, [2, 3, 4, 5]);
    let refused = app
        .admin("GET", "/v1/events?environment=Other")
        .by(&limited)
        .send()
        .await;
    assert_eq!(refused.problem(), "forbidden");
    let decide = app.token(&["decide"], None).await;
    let refused = app.admin("GET", "/v1/events").by(&decide).send().await;
    assert_eq!(refused.problem(), "forbidden");
}

#[tokio::test]
async fn an_id_that_the_journal_does_not_hold_is_told_and_the_stream_goes_on_from_the_end() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let mut client = Client::open(app.admin("GET", "/v1/events?after=70")).await;
    let reset = client.next().await.expect("an event");
    assert_eq!((reset.name.as_str(), reset.id), ("reset", Some(2)));
    assert_eq!(
        (&reset.data["after"], &reset.data["resumed_after"]),
        (&json!(70), &json!(2))
    );
    app.cut_over(MAIN).await;
    assert_eq!(client.ids(1).await, [3]);
    for query in ["?after=-1", "?after=c4N4rY", "?after="] {
        let refused = app.admin("GET", &format!("/v1/events{query}")).send().await;
        assert_eq!(refused.problem(), "bad-request", "{query}");
    }
}

#[tokio::test]
async fn an_id_that_another_replica_has_sent_is_no_surprise() {
    let app = TestApp::start().await;
    let other = app.world.process().await;
    other.create_with_candidate(MAIN).await;
    let mut client = Client::follow(&app, "?after=1").await;
    assert_eq!(client.ids(1).await, [2]);
}

#[tokio::test]
async fn entries_that_are_gone_are_told() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    // More than a replica keeps at hand.
    for _ in 0..150 {
        app.process.cutover(MAIN).await;
    }
    app.world.tables.drop_entry(5).await;
    let mut client = Client::follow(&app, "?after=3").await;
    assert_eq!(client.ids(1).await, [4]);
    let reset = client.next().await.expect("an event");
    assert_eq!((reset.name.as_str(), reset.id), ("reset", Some(5)));
    assert_eq!(client.ids(147).await, (6..=152).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_end_when_the_process_is_on_its_way_out() {
    let app = TestApp::start().await;
    let mut client = Client::follow(&app, "").await;
    app.start_draining();
    assert_eq!(client.next().await, None);
    let refused = app.admin("GET", "/v1/events").send().await;
    assert_eq!(refused.problem(), "not-ready");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let app = TestApp::start().await;
    let token = app.token(&["read"], None).await;
    let mut client = Client::open(app.admin("GET", "/v1/events").by(&token)).await;
    client.next().await.expect("a mark");
    let tokens = app.admin("GET", "/v1/tokens").send().await.ok().json();
    let id = tokens["tokens"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/v1/tokens/{id}?reason=a%20test");
    app.admin("DELETE", &path).send().await.ok();
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_replica_has_room_for_so_many_clients_and_no_more() {
    let app = TestApp::start().await;
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(Client::follow(&app, "").await);
    }
    let refused = app.admin("GET", "/v1/events").send().await;
    assert_eq!(refused.problem(), "overloaded");
    clients.pop();
    clients.push(Client::follow(&app, "").await);
    let exposition = app.process.metrics.exposition();
    assert!(exposition.contains("traffic_cop_event_streams 64\n"));
    let change = app
        .process
        .change_access(commands::create_token("x", 1), asked());
    change.await.expect("a commit");
    for client in &mut clients {
        assert_eq!(client.ids(1).await, [1]);
    }
}
