//! Every kind of credential on real replicas: without the store and without its issuer, and after it was revoked.

use data_encoding::BASE64;
use reqwest::Method;
use serde_json::json;
use traffic_cop::access::oauth::generate;
use traffic_cop::clock::{Clock, SystemClock};

use crate::client::{Client, Header, MAIN};
use crate::issuer::Issuer;
use crate::world::{Cluster, Service, until};

/// A deployment that knows a token, which is an OAuth client too, and an issuer.
struct World {
    cluster: Cluster,
    issuer: Issuer,
    signing_key: String,
}

/// How to present what lets its holder ask for decisions.
struct Credentials {
    token_id: String,
    /// Of the token: bearer, key, Basic, access token.
    of_token: Vec<Header>,
    /// Of the issuer.
    jwt: Header,
}

impl World {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let signing_key = cluster.path("signing.pem");
        let key = generate().expect("random bytes");
        std::fs::write(&signing_key, key).expect("a key file");
        let issuer = Issuer::start().await;
        Self {
            cluster,
            issuer,
            signing_key,
        }
    }

    fn join(&self, name: &str) -> Service {
        let key = ["--oauth-signing-key", &self.signing_key];
        self.cluster.join_with(name, &key)
    }

    /// Creates an environment and whoever may ask for decisions about it.
    async fn populate(&self, client: &Client) -> Credentials {
        client.create_with_candidate(MAIN).await;
        let token = json!({ "name": "genesys", "scopes": ["decide"], "reason": "a test" });
        let token = client.send(Method::POST, "/v1/tokens", &token).await.ok();
        let text = token["token"].as_str().expect("a text");
        let access_token = client.access_token("genesys", text).await;
        let entry = json!({
            "name": "pipelines", "url": self.issuer.url(), "audience": "traffic-cop",
            "claims": { "repository": "acme/ivr" }, "scopes": ["decide"], "reason": "a test",
        });
        client.send(Method::POST, "/v1/issuers", &entry).await.ok();
        let now = SystemClock::start().now().as_second();
        let claims = json!({ "sub": "repo:acme/ivr", "repository": "acme/ivr" });
        let jwt = self.issuer.token(now, claims);
        let bearer = |text: &str| ("authorization", format!("Bearer {text}"));
        let pair = BASE64.encode(format!("genesys:{text}").as_bytes());
        Credentials {
            token_id: token["id"].as_str().expect("an id").to_owned(),
            of_token: vec![
                bearer(text),
                ("x-api-key", text.to_owned()),
                ("authorization", format!("Basic {pair}")),
                bearer(&access_token),
            ],
            jwt: bearer(&jwt),
        }
    }
}

/// Waits until a replica has the keys of the issuer.
async fn until_keys_are_there(client: &Client) {
    until("the keys of the issuer", async || {
        let issuers = client.get("/v1/issuers").await;
        (issuers["issuers"][0]["keys"] == 1).then_some(())
    })
    .await;
}

/// Fails unless a decision comes to `expected` with each of `headers`.
async fn assert_told(client: &Client, headers: impl IntoIterator<Item = &Header>, expected: u16) {
    for header in headers {
        let told = client.decision_status(MAIN, header).await;
        assert_eq!(told, expected, "{header:?}");
    }
}

#[tokio::test]
async fn every_credential_works_without_the_store_and_without_its_issuer() {
    let mut world = World::start().await;
    let service = world.join("a");
    let client = service.client(&world.cluster.token);
    let credentials = world.populate(&client).await;
    until_keys_are_there(&client).await;
    let all = || credentials.of_token.iter().chain([&credentials.jwt]);
    let wrong = [("authorization", "Bearer nobody".to_owned())];
    assert_told(&client, all(), 200).await;

    world.cluster.lose_store();
    world.issuer.go_away();
    assert_told(&client, all(), 200).await;
    assert_told(&client, &wrong, 401).await;

    service.kill().await;
    let service = world.join("a");
    let client = service.client(&world.cluster.token);
    assert_eq!(client.decide(MAIN).await["Source"], "last-good");
    assert_told(&client, all(), 200).await;
    assert_told(&client, &wrong, 401).await;
}

#[tokio::test]
async fn what_is_revoked_is_refused_by_every_replica_that_acknowledged_it() {
    let world = World::start().await;
    let services = ["a", "b", "c"].map(|name| world.join(name));
    let clients = services
        .each_ref()
        .map(|service| service.client(&world.cluster.token));
    let credentials = world.populate(&clients[0]).await;
    for client in &clients {
        until("all three", async || {
            (client.live_replicas().await.len() == 3).then_some(())
        })
        .await;
        until_keys_are_there(client).await;
        assert_told(client, &credentials.of_token, 200).await;
        assert_told(client, [&credentials.jwt], 200).await;
    }
    let revoke = async |resource: &str| {
        let path = format!("/v1/{resource}?reason=a%20test&wait=all&timeout_ms=10000");
        let revoked = clients[0]
            .send(Method::DELETE, &path, &json!({}))
            .await
            .ok();
        let receipt = &revoked["receipt"];
        assert_eq!(receipt["status"], "all", "{receipt:#}");
        // A poll is 200 ms, give or take a fifth; the receipt tells when each was heard of.
        println!("{resource}: {receipt}");
    };

    revoke(&format!("tokens/{}", credentials.token_id)).await;
    for client in &clients {
        assert_told(client, &credentials.of_token, 401).await;
        assert_told(client, [&credentials.jwt], 200).await;
    }
    revoke("issuers/pipelines").await;
    for client in &clients {
        assert_told(client, [&credentials.jwt], 401).await;
    }
}
