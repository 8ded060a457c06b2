//! Tokens: made, listed, revoked.

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::access::token::TokenText;
use traffic_cop::domain::access::TokenHash;

use crate::ask::{Answer, Ask, CANARY};
use crate::world::{MAIN, TestApp, because};

fn create(app: &TestApp, members: Value) -> Ask {
    app.admin("POST", "/v1/tokens").json(&because(members))
}

fn revoke(app: &TestApp, id: &str) -> Ask {
    app.admin("DELETE", &format!("/v1/tokens/{id}?reason=a%20test"))
}

async fn list(app: &TestApp) -> Answer {
    app.admin("GET", "/v1/tokens").send().await.ok()
}

fn pipeline() -> Value {
    json!({ "name": "pipeline", "scopes": ["operate", "decide"], "environments": [MAIN], "expires_at": "2026-02-01T00:00:00Z" })
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let app = TestApp::start().await;

    let made = create(&app, pipeline()).send().await;

    assert_snapshot!(made, @r#"
    201 Created
    {
      "id": "[id of a token]",
      "notice": null,
      "outcome": "committed",
      "revision": 1,
      "token": "[text of a token]"
    }
    "#);
    let made = made.json();
    let text: TokenText = made["token"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("a token");
    let TokenHash(hash) = text.hash();
    assert_eq!(made["id"], text.hash().id().to_string());
    let list = list(&app).await;
    assert_snapshot!(list, @r#"
    200 OK
    {
      "tokens": [
        {
          "created_at": "2026-01-05T08:00:00Z",
          "environments": [
            "Main_IVR"
          ],
          "expires_at": "2026-02-01T00:00:00Z",
          "id": "[id of a token]",
          "name": "pipeline",
          "retiring": [],
          "scopes": [
            "decide",
            "operate"
          ]
        }
      ]
    }
    "#);
    let hashes = [
        data_encoding::HEXLOWER.encode(&hash),
        data_encoding::BASE64.encode(&hash),
    ];
    for secret in hashes.iter().map(String::as_str).chain([text.reveal()]) {
        assert!(!list.text().contains(secret));
    }
}

#[tokio::test]
async fn a_repeated_creation_says_so_without_the_text() {
    let app = TestApp::start().await;
    let first = create(&app, pipeline()).key("k").send().await.ok().json();

    let repeat = create(&app, pipeline()).key("k").send().await;

    assert_snapshot!(repeat, @r#"
    200 OK
    {
      "id": "[id of a token]",
      "notice": "this text was made before; it was shown then and is kept nowhere. Rotate the token if it is lost",
      "outcome": "repeated",
      "revision": 1
    }
    "#);
    assert_eq!(repeat.json()["id"], first["id"]);
    let mut other = pipeline();
    other["scopes"] = json!(["admin"]);
    assert_eq!(
        create(&app, other).key("k").send().await.problem(),
        "idempotency-key-reused"
    );
    assert_eq!(
        list(&app).await.json()["tokens"].as_array().map(Vec::len),
        Some(1)
    );
    let text = first["token"].as_str().expect("a text");
    app.create(MAIN).await;
    assert_eq!(
        app.call(MAIN).by(text).json(&json!({})).send().await.line(),
        "200",
        "the first text still works"
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_token_at_a_time() {
    let app = TestApp::start().await;
    create(&app, pipeline()).send().await.ok();
    assert_snapshot!(create(&app, pipeline()).send().await, @r#"
    409 Conflict
    {
      "detail": "a token of this name or text exists; revoke it first, or choose another",
      "status": 409,
      "title": "It exists already",
      "type": "urn:traffic-cop:problem:already-exists"
    }
    "#);

    app.advance(std::time::Duration::from_secs(60 * 60 * 24 * 60));
    let mut later = pipeline();
    later["expires_at"] = Value::Null;
    assert_eq!(
        create(&app, later).send().await.status,
        StatusCode::CREATED,
        "the name of an expired token is free"
    );
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_not_made() {
    let app = TestApp::start().await;
    let with = |name: &str, value: Value| {
        let mut members = pipeline();
        members[name] = value;
        members
    };
    let mut lines = Vec::new();
    for members in [
        with("scopes", json!([])),
        with("scopes", json!([CANARY])),
        with("scopes", json!("admin")),
        with("environments", json!([format!("{CANARY}!")])),
        with("expires_at", json!("2026-01-05T08:00:00Z")),
        with("expires_at", json!(CANARY)),
        with("name", json!(format!("{CANARY}\n"))),
        with("name", Value::Null),
        with("name", json!("first-admin")),
        with("name", json!("ci:repo:a/b")),
        with(CANARY, json!(1)),
        json!({ "name": "x" }),
    ] {
        lines.push(create(&app, members).send().await.line());
    }
    lines.push(
        app.admin("POST", "/v1/tokens")
            .json(&pipeline())
            .send()
            .await
            .line(),
    );
    assert_snapshot!(lines.join("\n"), @"
    400 bad-request: name at least one scope
    400 bad-request: member scopes[0]: unknown value; expected one of `decide`, `report`, `read`, `operate`, `admin`
    400 bad-request: member scopes: wrong type or value; expected a list
    400 bad-request: member environments[0]: invalid environment name: expected 1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit
    422 unprocessable: the expiry 2026-01-05T08:00:00Z has passed; name a later time
    400 bad-request: member expires_at: invalid time: expected one such as 2027-01-31T12:00:00Z
    400 bad-request: member name: invalid actor: expected 1 to 256 characters on one line, no blank at either end
    400 bad-request: member name: wrong type or value; expected a text
    422 unprocessable: a token cannot have this name: first-admin, anonymous and traffic-cop are taken, and names with a colon are those of identity providers' subjects
    422 unprocessable: a token cannot have this name: first-admin, anonymous and traffic-cop are taken, and names with a colon are those of identity providers' subjects
    400 bad-request: unknown member; expected one of `name`, `scopes`, `environments`, `expires_at`
    400 bad-request: missing member `scopes`
    400 bad-request: member reason: missing; say why, in one line
    ");
    assert_eq!(list(&app).await.json()["tokens"], json!([]));
}

#[tokio::test]
async fn a_token_without_environments_named_may_act_nowhere() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let nowhere = app.token(&["decide"], Some(&[])).await;
    assert_eq!(
        app.call(MAIN)
            .by(&nowhere)
            .json(&json!({}))
            .send()
            .await
            .problem(),
        "forbidden"
    );
}

#[tokio::test]
async fn a_revoked_token_opens_neither_listener() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let made = create(&app, pipeline()).send().await.json();
    let (id, text) = (
        made["id"].as_str().expect("an id"),
        made["token"].as_str().expect("a text"),
    );
    let decide = || app.call(MAIN).by(text).json(&json!({})).send();
    let show = || {
        app.admin("GET", &format!("/v1/environments/{MAIN}"))
            .by(text)
            .send()
    };
    assert_eq!(
        (decide().await.line(), show().await.line()),
        ("200".to_owned(), "200".to_owned())
    );

    assert_snapshot!(revoke(&app, id).key("k").send().await, @r#"
    200 OK
    {
      "id": "[id of a token]",
      "notice": null,
      "outcome": "committed",
      "revision": 2
    }
    "#);

    assert_eq!(
        (decide().await.problem(), show().await.problem()),
        ("unauthenticated".to_owned(), "unauthenticated".to_owned())
    );
    assert_eq!(list(&app).await.json()["tokens"], json!([]));
    assert_eq!(
        revoke(&app, id).key("k").send().await.ok().json()["outcome"],
        "repeated"
    );
    assert_snapshot!(revoke(&app, id).send().await, @r#"
    404 Not Found
    {
      "detail": "there is no token with this id",
      "status": 404,
      "title": "There is no such token",
      "type": "urn:traffic-cop:problem:token-not-found"
    }
    "#);
}

fn rotate(app: &TestApp, id: &str, members: Value) -> Ask {
    app.admin("POST", &format!("/v1/tokens/{id}/rotate"))
        .json(&because(members))
}

/// Whether this text lets one ask for a decision.
async fn is_in(app: &TestApp, text: &str) -> bool {
    let answer = app.call(MAIN).by(text).json(&json!({})).send().await;
    if answer.status != StatusCode::UNAUTHORIZED {
        answer.clone().ok();
    }
    answer.status == StatusCode::OK
}

#[tokio::test]
async fn a_rotated_token_has_two_texts_until_the_old_one_ends() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let made = create(&app, pipeline()).send().await.ok().json();
    let (id, old) = (
        made["id"].as_str().expect("an id"),
        made["token"].as_str().expect("a text"),
    );
    let overlap = json!({ "old_until": "2026-01-05T09:00:00Z" });

    let rotated = rotate(&app, id, overlap.clone()).key("k").send().await;

    assert_snapshot!(rotated, @r#"
    200 OK
    {
      "id": "[id of a token]",
      "notice": null,
      "outcome": "committed",
      "revision": 2,
      "token": "[text of a token]"
    }
    "#);
    let rotated = rotated.json();
    assert_eq!(rotated["id"], made["id"], "it is the same token");
    let new = rotated["token"].as_str().expect("a text");
    assert_eq!(
        (is_in(&app, old).await, is_in(&app, new).await),
        (true, true)
    );
    let listed = list(&app).await.json();
    assert_eq!(
        listed["tokens"][0]["retiring"],
        json!(["2026-01-05T09:00:00Z"])
    );
    let repeat = rotate(&app, id, overlap).key("k").send().await.ok().json();
    assert_eq!(
        (&repeat["outcome"], &repeat["token"]),
        (&json!("repeated"), &Value::Null)
    );

    app.advance(std::time::Duration::from_secs(60 * 60));
    assert_eq!(
        (is_in(&app, old).await, is_in(&app, new).await),
        (false, true)
    );

    let newest = rotate(&app, id, json!({})).send().await.ok().json();
    let newest = newest["token"].as_str().expect("a text");
    assert_eq!(
        (is_in(&app, new).await, is_in(&app, newest).await),
        (false, true)
    );
    revoke(&app, id).send().await.ok();
    assert!(!is_in(&app, newest).await);
}

#[tokio::test]
async fn rotations_that_make_no_sense_are_refused() {
    let app = TestApp::start().await;
    let made = create(&app, pipeline()).send().await.ok().json();
    let id = made["id"].as_str().expect("an id");
    let mut lines = Vec::new();
    for (id, members) in [
        ("0123456789abcdef", json!({})),
        (CANARY, json!({})),
        (id, json!({ "old_until": CANARY })),
        (id, json!({ "expires_at": "2026-01-05T08:00:00Z" })),
        (id, json!({ CANARY: 1 })),
    ] {
        lines.push(rotate(&app, id, members).send().await.line());
    }
    let until = json!({ "old_until": "2026-01-06T00:00:00Z" });
    for _ in 0..3 {
        rotate(&app, id, until.clone()).send().await.ok();
    }
    lines.push(rotate(&app, id, until).send().await.line());
    assert_snapshot!(lines.join("\n"), @"
    404 token-not-found: there is no token with this id
    404 token-not-found: there is no token with this id
    400 bad-request: member old_until: invalid time: expected one such as 2027-01-31T12:00:00Z
    422 unprocessable: the expiry 2026-01-05T08:00:00Z has passed; name a later time
    400 bad-request: unknown member; expected `old_until` or `expires_at`
    409 refused: at most 3 earlier texts of a token go on beside its present one; wait until one has ended, or end the present one at once
    ");
}

#[tokio::test]
async fn a_token_that_another_process_revoked_is_out_after_the_next_poll() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let made = create(&app, pipeline()).send().await.json();
    let other = app.world.process().await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let revoke = traffic_cop::domain::access::AccessCommand::RevokeToken(
        traffic_cop::domain::access::TokenId(id),
    );
    other
        .change_access(revoke, crate::support::asked())
        .await
        .expect("a commit");

    app.process.catch_up().await;

    let text = made["token"].as_str().expect("a text");
    assert_eq!(
        app.call(MAIN)
            .by(text)
            .json(&json!({}))
            .send()
            .await
            .problem(),
        "unauthenticated"
    );
}

#[tokio::test]
async fn revoking_needs_a_reason_and_a_token_that_exists() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for path in [
        "0123456789abcdef?reason=r",
        "0123456789abcdef",
        &format!("{CANARY}?reason=r"),
        "%FF?reason=r",
        "x?reason=%FF",
    ] {
        lines.push(
            app.admin("DELETE", &format!("/v1/tokens/{path}"))
                .send()
                .await
                .line(),
        );
    }
    assert_snapshot!(lines.join("\n"), @"
    404 token-not-found: there is no token with this id
    400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    404 token-not-found: there is no token with this id
    404 not-found: the path does not read as UTF-8, so it names nothing
    404 token-not-found: there is no token with this id
    ");
}

#[tokio::test]
async fn the_actor_of_a_write_is_the_name_of_its_token() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let made = create(&app, pipeline()).send().await.json();
    let text = made["token"].as_str().expect("a text");
    app.change(MAIN, "register")
        .by(text)
        .json(&because(json!({ "flow_version": "v2" })))
        .send()
        .await
        .ok();
    let history = app
        .admin("GET", &format!("/v1/environments/{MAIN}/history"))
        .send()
        .await
        .json();
    assert_eq!(history["entries"][0]["actor"], "pipeline");
    assert_eq!(history["entries"][1]["actor"], "first-admin");
}
