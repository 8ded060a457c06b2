//! Every way in which a caller can say who it is, and what it is told if it cannot be believed.

use std::time::Duration;

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderName};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::{Ask, CANARY};
use crate::world::{MAIN, TestApp, because};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn basic(user: &str, password: &str) -> String {
    let pair = BASE64.encode(format!("{user}:{password}").as_bytes());
    format!("Basic {pair}")
}

/// A token named `genesys` that may ask for decisions: its id and text.
async fn genesys(app: &TestApp) -> (String, String) {
    let members = json!({ "name": "genesys", "scopes": ["decide", "read"] });
    let made = app.admin("POST", "/v1/tokens").json(&because(members));
    let made = made.send().await.ok().json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("id"), text("token"))
}

/// What a decision and a look at the environment come to, each with these headers and no others.
async fn told(app: &TestApp, headers: &[(HeaderName, String)]) -> [String; 2] {
    let show = app.admin("GET", &format!("/v1/environments/{MAIN}"));
    let with = |ask: Ask| {
        headers.iter().fold(ask.by_nobody(), |ask, (name, value)| {
            ask.header(name.clone(), value)
        })
    };
    let decided = with(app.call(MAIN).json(&json!({}))).send().await;
    let shown = with(show).send().await;
    [decided.line(), shown.line()]
}

#[tokio::test]
async fn a_token_opens_both_listeners_however_it_is_presented() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let (id, text) = genesys(&app).await;
    for headers in [
        (AUTHORIZATION, format!("Bearer {text}")),
        (AUTHORIZATION, format!("bearer  {text}")),
        (AUTHORIZATION, basic("genesys", &text)),
        (AUTHORIZATION, basic(&id, &text)),
        (X_API_KEY, text.clone()),
    ] {
        // The second time it is remembered.
        for _ in 0..2 {
            assert_eq!(
                told(&app, std::slice::from_ref(&headers)).await,
                ["200", "200"],
                "{headers:?}"
            );
        }
    }
    let revoke = app.admin("DELETE", &format!("/v1/tokens/{id}?reason=r"));
    revoke.send().await.ok();
    for headers in [
        (AUTHORIZATION, format!("Bearer {text}")),
        (AUTHORIZATION, basic("genesys", &text)),
        (X_API_KEY, text.clone()),
    ] {
        for line in told(&app, &[headers]).await {
            assert!(line.starts_with("401"), "{line}");
        }
    }
}

#[tokio::test]
async fn what_lets_nobody_in_is_told_clearly_and_is_never_taken_for_a_stranger() {
    // Strangers may ask for decisions here: whoever presents something is not one of them.
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let (_, text) = genesys(&app).await;
    let bearer = || (AUTHORIZATION, format!("Bearer {text}"));
    let mut lines = Vec::new();
    for headers in [
        vec![bearer(), bearer()],
        vec![bearer(), (X_API_KEY, text.clone())],
        vec![(X_API_KEY, text.clone()), (X_API_KEY, text.clone())],
        vec![
            (AUTHORIZATION, basic("genesys", &text)),
            (X_API_KEY, text.clone()),
        ],
        vec![(AUTHORIZATION, text.clone())],
        vec![(AUTHORIZATION, format!("Digest {CANARY}"))],
        vec![(AUTHORIZATION, String::new())],
        vec![(AUTHORIZATION, "Bearer ".to_owned())],
        vec![(AUTHORIZATION, format!("Bearer {CANARY}"))],
        vec![(AUTHORIZATION, format!("Bearer {text}0"))],
        vec![(AUTHORIZATION, format!("Basic {CANARY}"))],
        vec![(AUTHORIZATION, basic("another", &text))],
        vec![(AUTHORIZATION, basic("genesys", CANARY))],
        vec![(AUTHORIZATION, basic("first-admin", &text))],
        vec![(
            AUTHORIZATION,
            format!("Bearer {}", &basic("genesys", &text)[6..]),
        )],
        vec![(X_API_KEY, String::new())],
        vec![(X_API_KEY, CANARY.to_owned())],
        vec![(X_API_KEY, format!("Bearer {text}"))],
    ] {
        let [decided, shown] = told(&app, &headers).await;
        assert_eq!(decided, shown, "{headers:?}");
        lines.push(decided);
    }
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @"
    401 unauthenticated: the request carries several credentials; send exactly one
    401 unauthenticated: the Authorization header does not read; send `Bearer` and a token, or `Basic` and a token's name and text
    401 unauthenticated: the credential is not valid: it is unknown, has expired or was revoked
    ");
}

#[tokio::test]
async fn the_first_admin_comes_in_with_every_kind_of_credential_too() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let text = app.first_admin_text();
    for header in [
        (AUTHORIZATION, format!("Bearer {text}")),
        (AUTHORIZATION, basic("first-admin", &text)),
        (X_API_KEY, text.clone()),
    ] {
        assert_eq!(told(&app, &[header]).await, ["200", "200"]);
    }
    let [decided, _] = told(&app, &[(AUTHORIZATION, basic("admin", &text))]).await;
    assert!(decided.starts_with("401"), "{decided}");
}

#[tokio::test]
async fn an_expired_token_is_out_however_it_is_presented() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let members = json!({ "name": "brief", "scopes": ["decide", "read"], "expires_at": "2026-01-05T09:00:00Z" });
    let made = app.admin("POST", "/v1/tokens").json(&because(members));
    let made: Value = made.send().await.ok().json();
    let text = made["token"].as_str().expect("a text");
    let headers = [
        (AUTHORIZATION, format!("Bearer {text}")),
        (AUTHORIZATION, basic("brief", text)),
        (X_API_KEY, text.to_owned()),
    ];
    for header in &headers {
        assert_eq!(
            told(&app, std::slice::from_ref(header)).await,
            ["200", "200"]
        );
    }
    app.advance(Duration::from_secs(60 * 60));
    for header in &headers {
        for line in told(&app, std::slice::from_ref(header)).await {
            assert!(line.starts_with("401"), "{line}");
        }
    }
}
