//! Access tokens for client credentials, as the credential type "User Defined (OAuth)" of Genesys Cloud asks for them.

use std::time::Duration;

use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::access::oauth::SigningKeys;

use crate::ask::{Answer, Ask, CANARY};
use crate::world::{MAIN, TestApp, because, new_signing_key};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=client_credentials";

/// A client: the id and the text of a token.
struct Client {
    id: String,
    text: String,
}

async fn client(app: &TestApp, mut members: Value) -> Client {
    members["name"] = "genesys".into();
    let made = app.admin("POST", "/v1/tokens").json(&because(members));
    let made = made.send().await.ok().json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Client {
        id: text("id"),
        text: text("token"),
    }
}

/// What the Custom Auth action of Genesys sends.
fn ask(app: &TestApp, id: &str, secret: &str) -> Ask {
    ask_without_body(app, id, secret).body(FORM, GRANT)
}

fn ask_without_body(app: &TestApp, id: &str, secret: &str) -> Ask {
    let pair = BASE64.encode(format!("{id}:{secret}").as_bytes());
    app.decisions("POST", "/oauth/token")
        .header(AUTHORIZATION, &format!("Basic {pair}"))
}

async fn access_token(app: &TestApp, client: &Client) -> String {
    let issued = ask(app, "genesys", &client.text).send().await.ok().json();
    issued["access_token"].as_str().expect("a token").to_owned()
}

/// What a decision comes to.
async fn decide(app: &TestApp, token: &str) -> String {
    let answer = app.call(MAIN).by(token).json(&json!({})).send().await;
    answer
        .line()
        .split(':')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_client_gets_an_access_token_that_opens_what_its_own_text_opens() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let client = client(
        &app,
        json!({ "scopes": ["decide", "read"], "environments": [MAIN] }),
    )
    .await;

    let issued: Answer = ask(&app, "genesys", &client.text).send().await.ok();

    let mut shown = issued.json();
    let token = shown["access_token"].as_str().expect("a token").to_owned();
    shown["access_token"] = "[token]".into();
    assert_snapshot!(shown, @r#"{"access_token":"[token]","expires_in":3600,"scope":"decide read","token_type":"Bearer"}"#);
    for _ in 0..2 {
        assert_eq!(decide(&app, &token).await, "200");
    }
    let show = |name: &str| {
        app.admin("GET", &format!("/v1/environments/{name}"))
            .by(&token)
    };
    assert_eq!(show(MAIN).send().await.line(), "200");
    assert_eq!(show("Other").send().await.problem(), "forbidden");
    let key = app.call(MAIN).header("x-api-key", &token).json(&json!({}));
    assert_eq!(key.send().await.line(), "200");
    // The id does as well as the name, and other parameters are no matter.
    let by_id =
        ask_without_body(&app, &client.id, &client.text).body(FORM, format!("scope=admin&{GRANT}"));
    assert_eq!(by_id.send().await.ok().json()["scope"], "decide read");
}

#[tokio::test]
async fn a_client_may_form_encode_its_name_and_secret() {
    let app = TestApp::start().await;
    let members = because(json!({ "name": "Ops, 100%", "scopes": ["decide"] }));
    let made = app.admin("POST", "/v1/tokens").json(&members);
    let made = made.send().await.ok().json();
    let text = made["token"].as_str().expect("a text");
    for id in ["Ops, 100%", "Ops%2C+100%25"] {
        ask(&app, id, text).send().await.ok();
    }
}

#[tokio::test]
async fn what_is_no_request_for_an_access_token_is_told_in_the_words_of_oauth() {
    let app = TestApp::start().await;
    let client = client(&app, json!({ "scopes": ["decide"] })).await;
    let good = || ask_without_body(&app, "genesys", &client.text);
    let anonymous = || app.decisions("POST", "/oauth/token");
    let mut lines = Vec::new();
    for ask in [
        good().body("application/json", "{}"),
        good().unlabelled(GRANT),
        good().body(FORM, ""),
        good().body(FORM, format!("grant_type={CANARY}")),
        good().body(FORM, "grant_type=authorization_code"),
        good().body(FORM, format!("{GRANT}&{GRANT}")),
        good().body(FORM, format!("{GRANT}&{CANARY}=1&{CANARY}=2")),
        good().body(FORM, format!("{GRANT}&client_secret={CANARY}")),
        good().body(FORM, format!("{GRANT}&x={}", "x".repeat(5_000))),
        good().body(FORM, GRANT).header("x-api-key", &client.text),
        anonymous().body(FORM, GRANT),
        anonymous().by(&client.text).body(FORM, GRANT),
        ask(&app, "genesys", CANARY),
        ask(&app, CANARY, &client.text),
        ask(&app, "first-admin", &app.first_admin_text()),
        ask(&app, "", ""),
    ] {
        let answer = ask.send().await;
        let error = answer.json();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let (error, why) = (text("error"), text("error_description"));
        lines.push(format!("{} {error}: {why}", answer.status.as_u16()));
    }
    assert_snapshot!(lines.join("\n"), @"
    400 invalid_request: send the header `Content-Type: application/x-www-form-urlencoded`
    400 invalid_request: send the header `Content-Type: application/x-www-form-urlencoded`
    400 invalid_request: the parameter grant_type is missing
    400 unsupported_grant_type: only grant_type=client_credentials is supported
    400 unsupported_grant_type: only grant_type=client_credentials is supported
    400 invalid_request: a parameter stands twice
    400 invalid_request: a parameter stands twice
    400 invalid_request: send the client's id and secret with HTTP Basic, not in the body
    413 invalid_request: the body may hold at most 4096 bytes
    400 invalid_request: the request carries several credentials
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    401 invalid_client: the client is unknown, its secret is wrong, or it has expired
    ");
    let mut other = anonymous().send().await;
    assert_eq!(other.status.as_u16(), 401);
    other = app.decisions("GET", "/oauth/token").send().await;
    assert_eq!(other.problem(), "method-not-allowed");
}

#[tokio::test]
async fn an_access_token_ends_after_an_hour_or_with_the_text_it_was_issued_for() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let client = client(
        &app,
        json!({ "scopes": ["decide"], "expires_at": "2026-01-05T09:30:00Z" }),
    )
    .await;
    let minutes = |minutes: u64| app.advance(Duration::from_secs(60 * minutes));
    let token = access_token(&app, &client).await;
    minutes(59);
    assert_eq!(decide(&app, &token).await, "200");
    minutes(2);
    assert_eq!(decide(&app, &token).await, "401 unauthenticated");

    let last = ask(&app, "genesys", &client.text).send().await.ok().json();
    assert_eq!(last["expires_in"], 29 * 60, "no longer than its client");
    let last = last["access_token"].as_str().expect("a token");
    assert_eq!(decide(&app, last).await, "200");
    minutes(29);
    assert_eq!(
        decide(&app, last).await,
        "401 unauthenticated",
        "to the second"
    );
    assert_eq!(ask(&app, "genesys", &client.text).send().await.status, 401);
}

#[tokio::test]
async fn a_revoked_client_has_no_access_token_left() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let client = client(&app, json!({ "scopes": ["decide"] })).await;
    let token = access_token(&app, &client).await;
    assert_eq!(decide(&app, &token).await, "200");

    let revoke = app.admin("DELETE", &format!("/v1/tokens/{}?reason=r", client.id));
    revoke.send().await.ok();

    assert_eq!(decide(&app, &token).await, "401 unauthenticated");
    assert_eq!(ask(&app, "genesys", &client.text).send().await.status, 401);
}

#[tokio::test]
async fn an_access_token_of_a_retired_secret_ends_with_it() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let client = client(&app, json!({ "scopes": ["decide"] })).await;
    let rotate = app.admin("POST", &format!("/v1/tokens/{}/rotate", client.id));
    let members = json!({ "old_until": "2026-01-05T08:10:00Z" });
    let rotated = rotate.json(&because(members)).send().await.ok().json();
    let new = Client {
        id: client.id.clone(),
        text: rotated["token"].as_str().expect("a text").to_owned(),
    };
    let (of_old, of_new) = (
        access_token(&app, &client).await,
        access_token(&app, &new).await,
    );
    assert_eq!(
        (decide(&app, &of_old).await, decide(&app, &of_new).await),
        ("200".into(), "200".into())
    );
    app.advance(Duration::from_secs(10 * 60));
    assert_eq!(decide(&app, &of_old).await, "401 unauthenticated");
    assert_eq!(decide(&app, &of_new).await, "200");
}

#[tokio::test]
async fn a_key_that_is_gone_proves_nothing_any_more() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let client = client(&app, json!({ "scopes": ["decide"] })).await;
    let token = access_token(&app, &client).await;
    let keys = app.keyring.signing_keys();
    assert_eq!(decide(&app, &token).await, "200");

    app.keyring.set_signing_keys(new_signing_key());
    assert_eq!(decide(&app, &token).await, "401 unauthenticated");
    app.keyring.set_signing_keys(keys);
    assert_eq!(decide(&app, &token).await, "200");

    app.keyring.set_signing_keys(SigningKeys::default());
    let refused = ask(&app, "genesys", &client.text).send().await.json();
    assert_eq!(refused["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn before_the_first_load_nobody_is_told_that_its_credentials_are_bad() {
    let app = TestApp::start_without_a_snapshot().await;
    let refused = ask(&app, "genesys", "tc_1").send().await;
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    let token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ1cm46dHJhZmZpYy1jb3AifQ.AAAA";
    for answer in [
        app.call(MAIN).by(token).json(&json!({})).send().await,
        app.admin("GET", "/v1/environments").by(token).send().await,
    ] {
        assert_eq!(answer.problem(), "not-ready");
    }
}
