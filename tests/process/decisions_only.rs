//! A process that answers decisions and nothing else.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Change, Client, MAIN};
use crate::fault_proxy::{Ask, FaultProxy};
use crate::world::{Cluster, Process, failure_of, run, traffic_cop, until};

/// Where a line of a process says that it listens.
fn address(line: &str, listener: &str) -> Option<SocketAddr> {
    let url = line.strip_prefix(listener)?.split_whitespace().next()?;
    let address = url.strip_prefix("http://")?.split('/').next()?;
    address.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_decides_and_follows_and_writes_nothing_but_evidence() {
    let cluster = Cluster::start().await;
    let writer = cluster.join("writer");
    let operator = writer.client(&cluster.token);
    operator.create_with_candidate(MAIN).await;
    let token = json!({ "name": "genesys", "scopes": ["decide"], "reason": "a test" });
    let token = operator.send(Method::POST, "/v1/tokens", &token).await.ok();
    let token = token["token"].as_str().expect("a text").to_owned();
    let proxy = FaultProxy::before(&cluster.url).await;
    let mut serve = traffic_cop();
    serve
        .args(["serve", "--decisions-only", "--decisions", "127.0.0.1:0"])
        .args(["--metrics", "127.0.0.1:0", "--endpoint-url", &proxy.url()])
        .args(["--data-dir", &cluster.path("decider")]);

    let mut process = Process::start(&mut serve);
    let decisions = process.wait_for("where it decides", |line| address(line, "decisions"));
    let metrics = process.wait_for("where its metrics are", |line| address(line, "metrics"));
    let client = Client::new(decisions, metrics, &token);
    assert_eq!(client.decide(MAIN).await["Traffic_Weight"], 0);
    assert_eq!(client.decide_as_stranger(MAIN).await.status, 401);
    // The receipt waits for it as for any other replica.
    until("both replicas", async || {
        (operator.live_replicas().await.len() == 2).then_some(())
    })
    .await;
    let weight = operator
        .change(MAIN, Change::weight(5_000).waiting(10_000))
        .await;
    assert_eq!(weight["receipt"]["status"], "all", "{weight:#}");
    assert_eq!(client.decide(MAIN).await["Traffic_Weight"], 50);
    proxy.arrived(Ask::Exposures, 1).await;
    proxy.arrived(Ask::Heartbeat, 1).await;

    for (method, path) in [
        (Method::GET, "/v1/environments"),
        (Method::POST, "/v1/environments/Main_IVR/rollback"),
        (Method::GET, "/openapi.json"),
    ] {
        let answer = client.send(method, path, &Value::Null).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert!(
        client
            .metrics()
            .await
            .contains("traffic_cop_replica_sequence 4")
    );
    process.send(nix::sys::signal::Signal::SIGTERM);
    assert!(process.end().await.success(), "{}", process.errors());
    assert_eq!(proxy.writes_to("Deployment_Control"), [""; 0]);
    assert_ne!(proxy.writes_to("Deployment_Evidence"), [""; 0]);
}

#[tokio::test]
async fn it_wants_a_store_that_others_write_to_and_no_admin_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let serve = |arguments: &[&str]| {
        let mut serve = traffic_cop();
        serve.args(["serve", "--decisions-only"]).args(arguments);
        serve.current_dir(directory.path());
        serve
    };
    let embedded = failure_of(&mut serve(&[])).await;
    assert!(
        embedded.contains("a store that others write to"),
        "{embedded}"
    );
    for arguments in [
        ["--admin", "127.0.0.1:0"],
        ["--admin-token-file", "token"],
        ["--admin-token", "token"],
    ] {
        let conflict = failure_of(&mut serve(&arguments)).await;
        assert!(conflict.contains("cannot be used with"), "{conflict}");
    }
    let help = run(traffic_cop().args(["serve", "--help"])).await;
    assert!(help.contains("--decisions-only"), "{help}");
}

#[tokio::test]
async fn it_waits_for_the_first_token_instead_of_giving_up() {
    let cluster = Cluster::start().await;
    let mut serve = traffic_cop();
    serve
        .args(["serve", "--decisions-only", "--decisions", "127.0.0.1:0"])
        .args(["--endpoint-url", &cluster.url])
        .args(["--data-dir", &cluster.path("decider")]);
    let mut process = Process::start(&mut serve);
    let decisions = process.wait_for("where it decides", |line| address(line, "decisions"));
    let writer = cluster.join("writer");
    let operator = writer.client(&cluster.token);
    operator.create_with_candidate(MAIN).await;
    let token = json!({ "name": "genesys", "scopes": ["decide"], "reason": "a test" });
    let token = operator.send(Method::POST, "/v1/tokens", &token).await.ok();
    let text = token["token"].as_str().expect("a text");
    let client = Client::new(decisions, decisions, text);
    until("a decision", async || {
        let answer = client.ask_for_decision(MAIN).await;
        answer.status.is_success().then_some(())
    })
    .await;
}
