//! Tokens of issuers elsewhere: who is let in by them, and how their keys are had.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::access::Keyring;
use traffic_cop::access::oidc::issuers::Issuers;
use traffic_cop::telemetry::Alarm;

use crate::ask::{Answer, CANARY};
use crate::support::issuer::{self, Issuer, Key, unsigned};
use crate::world::{MAIN, TestApp, because};

/// The app's clock, in seconds.
const NOW: i64 = 1_767_600_000;
const SUBJECT: &str = "repo:acme/ivr:environment:production";

/// Members of an entry named `name` about `issuer`.
fn entry(name: &str, issuer: &Issuer) -> Value {
    json!({
        "name": name,
        "url": issuer.url(),
        "audience": "traffic-cop",
        "claims": { "repository": "acme/ivr", "ref": "refs/heads/*" },
        "scopes": ["operate"],
        "environments": [MAIN],
    })
}

async fn add(app: &TestApp, members: Value) -> Answer {
    let ask = app.admin("POST", "/v1/issuers").json(&because(members));
    ask.send().await
}

async fn remove(app: &TestApp, name: &str) -> Answer {
    let path = format!("/v1/issuers/{name}?reason=r");
    app.admin("DELETE", &path).send().await
}

/// What the pipeline's tokens say.
fn pipeline() -> Value {
    json!({
        "sub": SUBJECT, "repository": "acme/ivr", "ref": "refs/heads/main", "environment": "production",
    })
}

/// An app that wants a token of everyone and trusts an issuer's pipelines with `MAIN`, and a token of one.
async fn trusting() -> (TestApp, Issuer, String) {
    let (app, issuer) = (
        TestApp::start_for_known_callers().await,
        Issuer::start().await,
    );
    app.create_with_candidate(MAIN).await;
    app.create("Other_IVR").await;
    add(&app, entry("pipelines", &issuer)).await.ok();
    app.refresh_issuers().await;
    let token = issuer.token(NOW, pipeline());
    (app, issuer, token)
}

/// What a look at an environment comes to.
async fn shown(app: &TestApp, token: &str, environment: &str) -> u16 {
    let path = format!("/v1/environments/{environment}");
    let answer = app.admin("GET", &path).by(token).send().await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_pipeline_acts_under_its_own_name_where_its_entry_lets_it() {
    let (app, issuer, token) = trusting().await;
    let rollback = format!("/v1/environments/{MAIN}/cutover");
    let ask = app.admin("POST", &rollback).by(&token).if_match("*");
    ask.json(&because(json!({}))).send().await.ok();
    let history = app.admin("GET", &format!("/v1/environments/{MAIN}/history"));
    let history = history.send().await.ok().json();
    assert_eq!(history["entries"][0]["actor"], issuer.actors() + SUBJECT);

    assert_eq!(shown(&app, &token, MAIN).await, 200);
    assert_eq!(shown(&app, &token, "Other_IVR").await, 403);
    let decide = app.call(MAIN).by(&token).json(&json!({})).send().await;
    assert_eq!(decide.status, StatusCode::FORBIDDEN, "no decide");
    let key = app.admin("GET", &format!("/v1/environments/{MAIN}"));
    let key = key.by_nobody().header("x-api-key", &token).send().await;
    assert_eq!(key.status, StatusCode::OK);
}

#[tokio::test]
async fn entries_that_fit_add_up_and_end_when_they_are_removed() {
    let (app, issuer, token) = trusting().await;
    let mut reading = entry("reading", &issuer);
    reading["claims"] = json!({ "sub": "repo:acme/*" });
    (reading["scopes"], reading["environments"]) = (json!(["read", "decide"]), Value::Null);
    add(&app, reading).await.ok();
    let may = async || {
        let decide = app.call(MAIN).by(&token).json(&json!({})).send().await;
        let claim = app.change(MAIN, "claim").by(&token).raw("{}").send().await;
        [
            decide.status.as_u16(),
            shown(&app, &token, "Other_IVR").await,
            claim.status.as_u16(),
        ]
    };
    assert_eq!(may().await, [200, 200, 400], "what it asks for is no claim");
    remove(&app, "pipelines").await.ok();
    assert_eq!(may().await, [200, 200, 403]);
    remove(&app, "reading").await.ok();
    assert_eq!(may().await, [401, 401, 401]);
}

#[tokio::test]
async fn what_is_not_proved_or_does_not_fit_lets_nobody_in() {
    let (app, issuer, token) = trusting().await;
    assert_eq!(shown(&app, &token, MAIN).await, 200);
    let with = |name: &str, value: Value| {
        let mut claims = pipeline();
        claims[name] = value;
        issuer.token(NOW, claims)
    };
    let [header, claims, signature]: [&str; 3] = token
        .split('.')
        .collect::<Vec<_>>()
        .try_into()
        .expect("three parts");
    let other = issuer.claims(
        NOW,
        json!({ "sub": SUBJECT, "repository": "acme/ivr", "ref": "refs/heads/x" }),
    );
    let forged = |header: Value| unsigned(&header, &other);
    let rsa = json!({ "alg": "RS256", "kid": "rsa" });
    // The public key as the secret of a symmetric algorithm: the oldest trick.
    let modulus = Key::Rsa.public()["n"]
        .as_str()
        .expect("a modulus")
        .to_owned();
    let symmetric = forged(json!({ "alg": "HS256", "kid": "rsa" }));
    let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, modulus.as_bytes());
    let mac = ring::hmac::sign(&mac, symmetric.as_bytes());
    let mac = data_encoding::BASE64URL_NOPAD.encode(mac.as_ref());
    let stranger = Key::ec().sign(&issuer.claims(NOW, pipeline()));
    for (what, token) in [
        ("another repository", with("repository", json!("acme/ivr2"))),
        ("another kind of ref", with("ref", json!("refs/tags/1"))),
        ("no ref", with("ref", Value::Null)),
        (
            "for somebody else",
            with("aud", json!("https://github.com/acme")),
        ),
        ("for nobody", with("aud", json!([]))),
        (
            "of another issuer",
            with("iss", json!("https://token.actions.githubusercontent.com")),
        ),
        ("of us", with("iss", json!("urn:traffic-cop"))),
        ("of nobody", with("iss", Value::Null)),
        ("about nobody", with("sub", Value::Null)),
        ("over", with("exp", json!(NOW - 61))),
        ("without an end", with("exp", Value::Null)),
        ("not yet begun", with("nbf", json!(NOW + 61))),
        ("from the future", with("iat", json!(NOW + 61))),
        (
            "other claims",
            format!(
                "{header}.{}.{signature}",
                forged(rsa.clone()).split_once('.').expect("two").1
            ),
        ),
        ("no signature", format!("{header}.{claims}.")),
        ("nothing signed", forged(json!({ "alg": "none" })) + "."),
        ("symmetric", format!("{symmetric}.{mac}")),
        (
            "another algorithm",
            format!(
                "{}.{signature}",
                forged(json!({ "alg": "RS512", "kid": "rsa" }))
            ),
        ),
        ("another key", stranger),
        ("too long", with("padding", json!("x".repeat(8 * 1024)))),
    ] {
        assert_eq!(shown(&app, &token, MAIN).await, 401, "{what}");
    }
    for (what, token) in [
        ("over for a moment", with("exp", json!(NOW - 59))),
        ("for several", with("aud", json!(["x", "traffic-cop"]))),
        ("in fractions", with("nbf", json!(NOW as f64 + 0.5))),
    ] {
        assert_eq!(shown(&app, &token, MAIN).await, 200, "{what}");
    }
    app.advance(Duration::from_secs(3_660));
    assert_eq!(shown(&app, &token, MAIN).await, 401, "remembered and over");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_fetched_but_not_for_every_token() {
    let (app, issuer, old) = trusting().await;
    let asked = ["/.well-known/openid-configuration", "/keys"];
    assert_eq!(issuer.take_asked(), asked);
    app.refresh_issuers().await;
    assert_eq!(issuer.take_asked(), [""; 0], "they are new");

    issuer.rotate(Key::ec());
    let new = issuer.token(NOW, pipeline());
    assert_eq!(shown(&app, &new, MAIN).await, 401);
    app.refresh_issuers().await;
    assert_eq!(issuer.take_asked(), [""; 0], "it was asked a moment ago");
    app.advance(Duration::from_secs(15));
    app.refresh_issuers().await;
    assert_eq!(issuer.take_asked(), asked);
    assert_eq!(shown(&app, &new, MAIN).await, 200, "with ES256");

    app.advance(Duration::from_secs(599));
    app.refresh_issuers().await;
    assert_eq!(issuer.take_asked(), [""; 0]);
    app.advance(Duration::from_secs(1));
    app.refresh_issuers().await;
    assert_eq!(issuer.take_asked(), asked, "they are old");
    assert_eq!(shown(&app, &old, MAIN).await, 401, "its key is gone");
}

#[tokio::test]
async fn the_last_known_keys_go_on_while_the_issuer_is_away_also_after_a_restart() {
    let (app, mut issuer, token) = trusting().await;
    issuer.go_away();
    app.advance(Duration::from_secs(600));
    app.refresh_issuers().await;
    assert_eq!(shown(&app, &token, MAIN).await, 200);
    let alarm = app.process.metrics.alarms.raised();
    assert_eq!(alarm.len(), 1, "{alarm:?}");
    assert_eq!(alarm[0].0, Alarm::IssuerKeys);
    assert!(alarm[0].1.starts_with(&issuer.url()), "{alarm:?}");

    // A process that has known the keys, and one that starts where it was.
    let directory = tempfile::tempdir().expect("a directory");
    let keeper = |keyring: &Arc<Keyring>| {
        let clock = app.listener.clock.clone();
        let metrics = app.process.metrics.clone();
        Issuers::new(keyring.clone(), clock, metrics, Some(directory.path()))
    };
    let url = issuer.url();
    let named = || [url.parse().expect("an issuer")].into();
    issuer.come_back().await;
    keeper(&Arc::default()).refresh(named()).await;
    issuer.go_away();
    keeper(&app.keyring).refresh(named()).await;
    assert_eq!(shown(&app, &token, MAIN).await, 200);
    let file = directory.path().join("issuer-keys.json");
    std::fs::write(file, "{").expect("a file");
    keeper(&app.keyring).refresh(named()).await;
    assert_eq!(
        shown(&app, &token, MAIN).await,
        401,
        "a broken file is none"
    );

    issuer.come_back().await;
    app.advance(Duration::from_secs(15));
    app.refresh_issuers().await;
    assert_eq!(app.process.metrics.alarms.raised(), []);
}

#[tokio::test]
async fn keys_are_written_down_when_they_are_others() {
    let (app, issuer, _) = trusting().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("issuer-keys.json");
    let keeper = || {
        let (keyring, clock) = (app.keyring.clone(), app.listener.clock.clone());
        let metrics = app.process.metrics.clone();
        Issuers::new(keyring, clock, metrics, Some(directory.path()))
    };
    let named = || [issuer.url().parse().expect("an issuer")].into();
    keeper().refresh(named()).await;
    let first = std::fs::read_to_string(&file).expect("a file");

    // Whatever is written from here on can be told.
    let restarted = keeper();
    std::fs::remove_file(&file).expect("a file");
    issuer.take_asked();
    restarted.refresh(named()).await;
    app.advance(Duration::from_secs(600));
    restarted.refresh(named()).await;
    assert_eq!(issuer.take_asked().len(), 4, "the keys were fetched twice");
    assert!(!file.exists(), "they are the same");

    issuer.rotate(Key::ec());
    app.advance(Duration::from_secs(600));
    restarted.refresh(named()).await;
    assert_ne!(std::fs::read_to_string(&file).expect("a file"), first);
    restarted.refresh([].into()).await;
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "{}");
}

#[tokio::test]
async fn keys_are_taken_only_from_where_the_issuer_says_that_they_are() {
    let (app, issuer, _) = trusting().await;
    let url = issuer.url();
    let discovery = |issuer: &str, keys: &str| {
        issuer::Answer::Json(json!({ "issuer": issuer, "jwks_uri": keys }))
    };
    let good = discovery(&url, &format!("{url}/keys"));
    let mut whys = Vec::new();
    let mut why = async || {
        app.advance(Duration::from_secs(600));
        app.refresh_issuers().await;
        let alarm = app.process.metrics.alarms.raised().pop().expect("an alarm");
        whys.push(alarm.1.replace(&url, "[issuer]"));
    };
    for answer in [
        discovery("https://elsewhere.example", &format!("{url}/keys")),
        discovery(&url, "http://elsewhere.example/keys"),
        discovery(&url, "ftp://127.0.0.1/keys"),
        issuer::Answer::Redirect(format!("{url}/elsewhere")),
        issuer::Answer::Status(StatusCode::INTERNAL_SERVER_ERROR),
        issuer::Answer::Text(CANARY.to_owned()),
        issuer::Answer::Text(" ".repeat(64 * 1024 + 1)),
        issuer::Answer::Json(json!({ "issuer": url })),
    ] {
        issuer.discovers(answer);
        why().await;
    }
    issuer.discovers(good);
    let symmetric = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "rsa", "alg": "HS256" });
    let mut for_encryption = Key::Rsa.public();
    for_encryption["use"] = "enc".into();
    for keys in [
        json!([]),
        json!(null),
        json!([symmetric, for_encryption, { "kty": "new" }, 7]),
    ] {
        issuer.has_keys(issuer::Answer::Json(json!({ "keys": keys })));
        why().await;
    }
    whys.dedup();
    assert_snapshot!(whys.join("\n"), @"
        [issuer]: its discovery document is that of another issuer
        [issuer]: its discovery document names a key set that is not at an https URL
        [issuer]: it answered with status 302 Found
        [issuer]: it answered with status 500 Internal Server Error
        [issuer]: its answer is no JSON of the shape expected
        [issuer]: its answer is larger than 65536 bytes
        [issuer]: its answer is no JSON of the shape expected
        [issuer]: no key set with a key that signs with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA
        ");
    let mut others = json!([symmetric, for_encryption, { "kty": "new" }, 7]);
    others
        .as_array_mut()
        .expect("a list")
        .push(Key::Rsa.public());
    issuer.has_keys(issuer::Answer::Json(json!({ "keys": others })));
    app.advance(Duration::from_secs(600));
    app.refresh_issuers().await;
    assert_eq!(
        app.process.metrics.alarms.raised(),
        [],
        "a key among others will do"
    );
}

#[tokio::test]
async fn entries_are_listed_with_their_keys_and_refused_if_they_would_trust_too_much() {
    let (app, issuer, _) = trusting().await;
    let mut lines = Vec::new();
    for (name, value) in [
        ("claims", json!({})),
        ("claims", json!({ "sub": "*" })),
        ("claims", json!({ "": "x" })),
        ("claims", json!({ CANARY: "a*b" })),
        ("claims", json!({ CANARY: 7 })),
        ("url", json!("http://token.actions.githubusercontent.com")),
        ("url", json!("https://c4N4rY@example.com")),
        ("audience", json!("")),
        ("scopes", json!([])),
        ("scopes", json!(["everything"])),
        ("name", json!("a:b")),
        ("name", json!("pipelines")),
        ("unknown", json!(1)),
    ] {
        let mut members = entry("another", &issuer);
        members[name] = value;
        lines.push(add(&app, members).await.line());
    }
    lines.push(remove(&app, "nobody").await.line());
    lines.push(remove(&app, CANARY).await.line());
    lines.push(remove(&app, "a%3Ab").await.line());
    assert_snapshot!(lines.join("\n"), @"
        400 bad-request: name 1 to 16 claims that a token must have; an issuer may have tokens for everybody
        400 bad-request: member claims: invalid claim value: expected 1 to 256 characters on one line, no blank at either end; '*' only at its end, behind what the value begins with
        400 bad-request: member claims: invalid claim: expected 1 to 128 characters on one line, no blank at either end
        400 bad-request: member claims: invalid claim value: expected 1 to 256 characters on one line, no blank at either end; '*' only at its end, behind what the value begins with
        400 bad-request: member claims: wrong type or value; expected a text
        400 bad-request: member url: invalid issuer: expected an https URL of at most 256 characters without user, query or fragment; http only for 127.0.0.1 and localhost
        400 bad-request: member url: invalid issuer: expected an https URL of at most 256 characters without user, query or fragment; http only for 127.0.0.1 and localhost
        400 bad-request: member audience: invalid audience: expected 1 to 256 characters on one line, no blank at either end
        400 bad-request: name at least one scope
        400 bad-request: member scopes[0]: unknown value; expected one of `decide`, `report`, `read`, `operate`, `admin`
        400 bad-request: member name: invalid issuer name: expected 1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit
        409 already-exists: an issuer entry of this name exists; remove it first, or choose another name
        400 bad-request: unknown member; expected one of `name`, `url`, `audience`, `claims`, `scopes`, `environments`
        404 issuer-not-found: there is no issuer entry of this name
        404 issuer-not-found: there is no issuer entry of this name
        404 issuer-not-found: there is no issuer entry of this name
        ");
    let list = app.admin("GET", "/v1/issuers").send().await.ok();
    let list = list.text().replace(&issuer.url(), "[issuer]");
    assert_snapshot!(list, @r#"{"issuers":[{"name":"pipelines","url":"[issuer]","audience":"traffic-cop","claims":{"ref":"refs/heads/*","repository":"acme/ivr"},"scopes":["operate"],"environments":["Main_IVR"],"keys":1}]}"#);
}

#[tokio::test]
async fn a_repeated_addition_is_recognised() {
    let (app, issuer, _) = trusting().await;
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let ask = app.admin("POST", "/v1/issuers").key("once");
        let ask = ask.json(&because(entry("another", &issuer)));
        outcomes.push(ask.send().await.ok().text().to_owned());
    }
    assert_snapshot!(outcomes.join("\n"), @r#"
        {"outcome":"committed","revision":2,"name":"another"}
        {"outcome":"repeated","revision":2,"name":"another"}
        "#);
}
