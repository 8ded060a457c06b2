//! Looking at environments.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::store::item::Item;

use crate::support::Fault;
use crate::support::tables::seal;
use crate::world::{MAIN, TestApp};

/// The names in a list.
fn names(list: &Value) -> Vec<&str> {
    let environments = list["environments"].as_array().expect("a list");
    environments
        .iter()
        .map(|environment| environment["environment"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn an_environment_is_shown_with_its_revision_as_etag() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.advance(Duration::from_secs(60));
    app.cut_over(MAIN).await;
    app.ask(MAIN, "register", json!({ "flow_version": "v3" }))
        .await
        .ok();

    assert_snapshot!(app.show(MAIN).await, @r#"
    200 OK
    etag: "4"
    {
      "active": "green",
      "age_ms": 0,
      "candidate": "blue",
      "environment": "Main_IVR",
      "fault": null,
      "freezes": [],
      "interfaces": [],
      "overrides": [],
      "previously_active": null,
      "retired": [
        {
          "interface": 0,
          "label": "v1"
        }
      ],
      "revision": 4,
      "rollout": null,
      "slots": {
        "blue": {
          "claim": null,
          "flow": {
            "id": "flow-blue",
            "name": "Main IVR Blue"
          },
          "flow_version": {
            "admits_own_calls": true,
            "breaks": null,
            "interface": 0,
            "label": "v3",
            "published_version": null,
            "registered_at": "2026-01-05T08:01:00Z",
            "rolled_back": false
          },
          "share": 0,
          "share_ended_at": "2026-01-05T08:01:00Z",
          "status": "version"
        },
        "green": {
          "claim": null,
          "flow": {
            "id": "flow-green",
            "name": "Main IVR Green"
          },
          "flow_version": {
            "admits_own_calls": true,
            "breaks": null,
            "interface": 0,
            "label": "v2",
            "published_version": null,
            "registered_at": "2026-01-05T08:00:00Z",
            "rolled_back": false
          },
          "share": 100,
          "share_ended_at": null,
          "status": "version"
        }
      },
      "stale": false,
      "values": {},
      "weight": 0
    }
    "#);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let app = TestApp::start().await;
    assert_snapshot!(app.show("No_Such").await, @r#"
    404 Not Found
    {
      "detail": "no environment has this name; names are case-sensitive",
      "status": 404,
      "title": "There is no such environment",
      "type": "urn:traffic-cop:problem:environment-not-found"
    }
    "#);
    assert_snapshot!(app.show("..%2F%22").await, @r#"
    404 Not Found
    {
      "detail": "invalid environment name: expected 1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit",
      "status": 404,
      "title": "There is no such environment",
      "type": "urn:traffic-cop:problem:environment-not-found"
    }
    "#);
    app.create(MAIN).await;
    app.delete(MAIN).await;
    assert_eq!(app.show(MAIN).await.problem(), "environment-not-found");
}

#[tokio::test]
async fn a_list_holds_what_the_token_may_read_in_the_order_of_names() {
    let app = TestApp::start().await;
    for name in ["b", "a", "B"] {
        app.create(name).await;
    }
    let list = async |token: &str| {
        app.admin("GET", "/v1/environments")
            .by(token)
            .send()
            .await
            .ok()
            .json()
    };

    assert_eq!(
        names(&app.admin("GET", "/v1/environments").send().await.json()),
        ["B", "a", "b"]
    );
    assert_eq!(
        names(&list(&app.token(&["read"], None).await).await),
        ["B", "a", "b"]
    );
    assert_eq!(
        names(&list(&app.token(&["read"], Some(&["b", "gone"])).await).await),
        ["b"]
    );
    assert_eq!(
        names(&list(&app.token(&["operate"], Some(&["a"])).await).await),
        ["a"]
    );
    assert!(names(&list(&app.token(&["decide", "report"], None).await).await).is_empty());
    let whole = app
        .admin("GET", "/v1/environments")
        .by(&app.token(&["read"], Some(&["b"])).await)
        .send()
        .await;
    assert_snapshot!(whole, @r#"
    200 OK
    {
      "age_ms": 0,
      "environments": [
        {
          "active": "blue",
          "candidate": "green",
          "environment": "b",
          "fault": null,
          "freezes": [],
          "interfaces": [],
          "overrides": [],
          "previously_active": null,
          "retired": [],
          "revision": 1,
          "rollout": null,
          "slots": {
            "blue": {
              "claim": null,
              "flow": {
                "id": "flow-blue",
                "name": "Main IVR Blue"
              },
              "flow_version": {
                "admits_own_calls": true,
                "breaks": null,
                "interface": 0,
                "label": "v1",
                "published_version": null,
                "registered_at": "2026-01-05T08:00:00Z",
                "rolled_back": false
              },
              "share": 100,
              "share_ended_at": null,
              "status": "version"
            },
            "green": {
              "claim": null,
              "flow": {
                "id": "flow-green",
                "name": "Main IVR Green"
              },
              "flow_version": null,
              "share": 0,
              "share_ended_at": null,
              "status": "empty"
            }
          },
          "values": {},
          "weight": 0
        }
      ],
      "stale": false
    }
    "#);
}

#[tokio::test]
async fn the_past_is_shown_by_revision_and_by_time() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.advance(Duration::from_secs(60));
    app.register(MAIN, "v2").await;
    app.advance(Duration::from_secs(60));
    app.cut_over(MAIN).await;
    let seen = async |at: &str| {
        let shown = app.show_at(MAIN, at).await.ok();
        let state = shown.json();
        assert_eq!(shown.etag(), format!("\"{}\"", state["revision"]));
        let green = state["slots"]["green"]["flow_version"]["label"]
            .as_str()
            .map(str::to_owned);
        (
            state["revision"].as_u64().expect("a revision"),
            state["active"].as_str().expect("a slot").to_owned(),
            green,
        )
    };
    let green = || Some("v2".to_owned());

    assert_eq!(seen("1").await, (1, "blue".to_owned(), None));
    assert_eq!(seen("2").await, (2, "blue".to_owned(), green()));
    assert_eq!(seen("3").await, (3, "green".to_owned(), green()));
    assert_eq!(seen("2026-01-05T08:00:00Z").await.0, 1);
    assert_eq!(seen("2026-01-05T08:00:59.999Z").await.0, 1);
    assert_eq!(
        seen("2026-01-05T10:01:00%2B02:00").await.0,
        2,
        "at the moment of a change it has happened"
    );
    assert_eq!(seen("2030-01-01T00:00:00Z").await.0, 3);

    assert_snapshot!(app.show_at(MAIN, "4").await, @r#"
    404 Not Found
    {
      "detail": "the environment did not exist then, or the record is lost",
      "status": 404,
      "title": "There is no such revision",
      "type": "urn:traffic-cop:problem:revision-not-found"
    }
    "#);
    for before in ["0", "2026-01-05T07:59:59.999Z"] {
        assert_eq!(
            app.show_at(MAIN, before).await.problem(),
            "revision-not-found",
            "{before}"
        );
    }
    assert_snapshot!(app.show_at(MAIN, "yesterday").await, @r#"
    400 Bad Request
    {
      "detail": "parameter at: expected a revision, or a time such as 2026-01-31T12:00:00Z",
      "status": 400,
      "title": "The request is malformed",
      "type": "urn:traffic-cop:problem:bad-request"
    }
    "#);
    assert_eq!(
        app.show_at("No_Such", "1").await.problem(),
        "environment-not-found"
    );
}

#[tokio::test]
async fn the_past_of_a_deleted_environment_is_shown_too() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.delete(MAIN).await;

    assert_eq!(app.show_at(MAIN, "1").await.ok().json()["active"], "blue");
    assert_eq!(
        app.show_at(MAIN, "2").await.problem(),
        "revision-not-found",
        "it did not exist then"
    );
}

#[tokio::test]
async fn while_the_store_is_away_what_is_in_memory_is_shown_with_its_age() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create(MAIN).await;
    proxy.fail_all(Fault::Refuse);
    app.advance(Duration::from_millis(2_500));

    let shown = app.show(MAIN).await.ok().json();
    assert_eq!(
        (&shown["stale"], &shown["age_ms"], &shown["revision"]),
        (&json!(true), &json!(2_500), &json!(1))
    );
    let list = app
        .admin("GET", "/v1/environments")
        .send()
        .await
        .ok()
        .json();
    assert_eq!((&list["stale"], names(&list)), (&json!(true), vec![MAIN]));
    assert_snapshot!(app.show_at(MAIN, "1").await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "the store did not answer as it should; nothing was changed, and calls are answered from memory meanwhile",
      "status": 503,
      "title": "The store does not answer",
      "type": "urn:traffic-cop:problem:store-unavailable"
    }
    "#);

    proxy.heal();
    assert_eq!(app.show(MAIN).await.ok().json()["stale"], false);
}

#[tokio::test]
async fn a_read_shows_what_another_process_has_just_committed() {
    let app = TestApp::start().await;
    let other = app.world.process().await;
    other.create(MAIN).await;
    assert_eq!(app.revision(MAIN).await, 1);
    other.register(MAIN, "v2").await;
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn an_environment_whose_last_state_cannot_be_read_says_so() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.process.catch_up().await;
    let other = app.world.process().await;
    other.set_weight(MAIN, "5").await;
    let spoil = |item: &mut Item| {
        item.insert("state".to_owned(), AttributeValue::B(Blob::new("no state")));
        seal(item);
    };
    app.world.tables.tamper(3, spoil).await;

    let shown = app.show(MAIN).await.ok().json();
    assert!(shown["fault"].is_string(), "{shown:#}");
    assert_eq!(shown["revision"], 2, "the last good state is served");
    assert_eq!(app.decide(MAIN, json!({})).await.ok().json()["Revision"], 2);
    assert_eq!(
        app.ask(MAIN, "weight", json!({ "weight": 7 }))
            .await
            .problem(),
        "state-corrupt"
    );
}
