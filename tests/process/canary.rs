//! Secrets go through every route of a real process, at the loudest log level, and come out nowhere: in no answer, no line of
//! the log, no metric and no file.
//!
//! A secret is what lets somebody in, what somebody sends in its place, and what tells one call from another. What an operator
//! writes into a valid change is no secret.

use std::path::Path;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use traffic_cop::access::oauth::generate;
use traffic_cop::clock::{Clock, SystemClock};

use crate::client::{Change, MAIN};
use crate::issuer::Issuer;
use crate::world::{Cluster, Service, failure_of, traffic_cop, until};

/// What stands in hostile input.
const CANARY: &str = "c4N4rY";
const CALLER: &str = "+4915550001234";

/// Someone who looks for secrets in whatever they get to see.
struct Watch {
    secrets: Vec<String>,
}

impl Watch {
    fn check(&self, what: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for secret in &self.secrets {
            assert!(!text.contains(secret), "{what} holds the secret {secret}");
        }
    }

    /// The answer to `request`, which may say anything but a secret.
    async fn send(&self, what: &str, request: RequestBuilder) {
        let response = request.send().await.expect("an answer");
        self.check(what, format!("{:?}", response.headers()).as_bytes());
        self.check(what, &response.bytes().await.expect("a whole answer"));
    }

    /// Every file below `directory`.
    fn check_files(&self, directory: &Path, but: &[&str]) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.check_files(&path, but);
            } else if !but.iter().any(|name| path.ends_with(name)) {
                let bytes = std::fs::read(&path).expect("a file");
                self.check(&path.display().to_string(), &bytes);
            }
        }
    }
}

/// Method and path of every route that the service describes.
async fn routes(service: &Service) -> Vec<(Method, String)> {
    let url = format!("http://{}/openapi.json", service.admin);
    let description: Value = reqwest::get(url)
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            routes.push((method, path.clone()));
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

/// Where a route is served, with `name` for whatever its path names.
fn urls(service: &Service, path: &str, name: &str) -> [String; 2] {
    let parts = path.split('/').map(|part| match part {
        "{environment}" if name.is_empty() => MAIN,
        "{number}" if name.is_empty() => "1",
        part if part.starts_with('{') && name.is_empty() => "nothing",
        part if part.starts_with('{') => name,
        part => part,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    // Without an end, unless asked to begin nowhere.
    let query = if path.ends_with("/events") {
        "?after=nowhere"
    } else {
        ""
    };
    [service.decisions, service.admin].map(|address| format!("http://{address}{path}{query}"))
}

/// What somebody may send as a body, by mistake or on purpose.
fn bodies() -> Vec<(&'static str, String)> {
    let json = "application/json";
    vec![
        (json, String::new()),
        (json, CANARY.to_owned()),
        (json, format!("\"{CANARY}\"")),
        (json, json!({ CANARY: CANARY }).to_string()),
        (json, json!({ "reason": { CANARY: 1 }, "claims": { CANARY: [CANARY] }, "values": { CANARY: [CANARY] } }).to_string()),
        (json, json!({ "name": [CANARY], "scopes": [CANARY], "url": CANARY, "slot": CANARY, "weight": CANARY, "flow_version": [CANARY] }).to_string()),
        (json, json!({ "Conversation_ID": CANARY, "ANI": CALLER, "DNIS": CANARY, CANARY: CANARY }).to_string()),
        (json, json!({ "Conversation_ID": [CANARY] }).to_string()),
        (json, format!("{{\"reason\":\"{CANARY}\",\"reason\":\"{CANARY}\"}}")),
        (json, CANARY.repeat(12_000)),
        ("text/plain", CANARY.to_owned()),
        ("application/x-www-form-urlencoded", format!("grant_type={CANARY}&client_secret={CANARY}&scope={CANARY}")),
    ]
}

#[tokio::test]
async fn no_secret_comes_out_of_any_route_at_any_log_level() {
    let mut cluster = Cluster::start().await;
    let signing_key = cluster.path("signing.pem");
    let pem = generate().expect("random bytes");
    std::fs::write(&signing_key, &pem).expect("a key file");
    let issuer = Issuer::start().await;
    let mut service = cluster.join_with(
        "a",
        &["--oauth-signing-key", &signing_key, "--log", "trace"],
    );
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    client.change(MAIN, Change::weight(5_000)).await;
    let make = async |name: &str, scopes: Value| {
        let token = json!({ "name": name, "scopes": scopes, "reason": "a test" });
        let made = client.send(Method::POST, "/v1/tokens", &token).await.ok();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        (text("id"), text("token"))
    };
    let (id, first) = make("genesys", json!(["decide"])).await;
    let access_token = client.access_token("genesys", &first).await;
    let rotation = json!({ "reason": "a test" });
    let rotated = client
        .send(Method::POST, &format!("/v1/tokens/{id}/rotate"), &rotation)
        .await
        .ok();
    let second = rotated["token"].as_str().expect("a text").to_owned();
    let (_, reading) = make("reading", json!(["read"])).await;
    let entry = json!({
        "name": "pipelines", "url": issuer.url(), "audience": "traffic-cop", "claims": { "repository": "acme/ivr" },
        "scopes": ["read"], "reason": "a test",
    });
    client.send(Method::POST, "/v1/issuers", &entry).await.ok();
    until("the keys of the issuer", async || {
        let issuers = client.get("/v1/issuers").await;
        (issuers["issuers"][0]["keys"] == 1).then_some(())
    })
    .await;
    let now = SystemClock::start().now().as_second();
    let jwt = issuer.token(
        now,
        json!({ "sub": "repo:acme/ivr", "repository": "acme/ivr" }),
    );
    let forged = format!("{jwt}{CANARY}");
    let credentials = [
        cluster.token.clone(),
        first,
        second,
        access_token,
        reading,
        jwt,
        forged,
        format!("tc_{CANARY}"),
    ];
    let mut watch = Watch {
        secrets: credentials.to_vec(),
    };
    watch.secrets.extend([CANARY.to_owned(), CALLER.to_owned()]);
    // The seed of the signing key, as its file has it.
    let key_line = pem.lines().nth(1).expect("a line");
    watch.secrets.push(key_line.to_owned());

    // A connection each: one that was refused for what it sent is closed, and must not be taken for the next request.
    let http = reqwest::Client::builder().pool_max_idle_per_host(0);
    let http = http.build().expect("a client");
    let routes = routes(&service).await;
    for credential in &credentials {
        for (method, path) in &routes {
            for name in ["", CANARY] {
                for url in urls(&service, path, name) {
                    let what = format!("{method} {path}");
                    // A valid rollback, which is good for nobody: what has no reason is refused.
                    let request = http.request(method.clone(), &url).bearer_auth(credential);
                    watch.send(&what, request).await;
                }
            }
        }
    }
    for (method, path) in &routes {
        for (content_type, body) in bodies() {
            for url in urls(&service, path, "") {
                let request = http
                    .request(method.clone(), &url)
                    .bearer_auth(&cluster.token);
                let request = request
                    .header("content-type", content_type)
                    .body(body.clone());
                watch
                    .send(&format!("{method} {path} with {body:.40}"), request)
                    .await;
            }
        }
        let [_, url] = urls(&service, path, "");
        for (header, value) in [
            ("authorization", CANARY.to_owned()),
            ("authorization", format!("Basic {CANARY}")),
            ("x-api-key", CANARY.to_owned()),
            ("if-match", CANARY.to_owned()),
            ("idempotency-key", format!("{CANARY} {CANARY}")),
        ] {
            let mut request = http.request(method.clone(), &url).header(header, value);
            if !matches!(header, "authorization" | "x-api-key") {
                request = request.bearer_auth(&cluster.token);
            }
            watch
                .send(&format!("{method} {path} with {header}"), request)
                .await;
        }
        let request = http.request(
            method.clone(),
            format!("{url}?{CANARY}={CANARY}&reason={CANARY}%0A"),
        );
        watch
            .send(
                &format!("{method} {path} with a query"),
                request.bearer_auth(&cluster.token),
            )
            .await;
    }
    client
        .decide_about(MAIN, json!({ "Conversation_ID": CANARY, "ANI": CALLER }))
        .await;
    watch.check("the metrics", client.metrics().await.as_bytes());

    // Without the store the errors are others.
    cluster.lose_store();
    for (method, path) in &routes {
        let [_, url] = urls(&service, path, CANARY);
        let request = http
            .request(method.clone(), &url)
            .bearer_auth(&cluster.token);
        watch
            .send(&format!("{method} {path} without a store"), request)
            .await;
    }
    watch.check("the metrics", client.metrics().await.as_bytes());
    cluster.find_store();
    let mut wrong = cluster.operator(&service);
    wrong
        .env("TRAFFIC_COP_TOKEN", format!("tc_{CANARY}"))
        .args(["token", "list"]);
    watch.check("the command line", failure_of(&mut wrong).await.as_bytes());
    let mut unusable = traffic_cop();
    unusable
        .args(["serve", "--admin-token", CANARY])
        .current_dir(cluster.path(""));
    watch.check("a start", failure_of(&mut unusable).await.as_bytes());

    service.process.send(nix::sys::signal::Signal::SIGTERM);
    assert!(service.process.end().await.success());
    let log = service.process.errors();
    assert!(
        log.contains("TRACE") && log.contains("refused"),
        "it was listened to"
    );
    watch.check("the log", log.as_bytes());
    cluster.lose_store();
    watch.check_files(Path::new(&cluster.path("")), &["token", "signing.pem"]);
}
