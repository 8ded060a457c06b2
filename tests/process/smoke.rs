//! `smoke`: the real command line against a real service.

use std::process::Command;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::MAIN;
use crate::world::{Process, Service, traffic_cop};

const TESTER: &str = "+4930123456";

fn smoke(service: &Service, data: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = traffic_cop();
    let url = |address| format!("http://{address}");
    command
        .args(["--output", "json", "smoke", MAIN, "--caller", TESTER])
        .args([
            "--server",
            &url(service.admin),
            "--decisions-server",
            &url(service.decisions),
        ])
        .arg("--data-dir")
        .arg(data)
        .args(arguments);
    command
}

/// Runs it to its end: the exit code and what it printed.
async fn end(process: &mut Process) -> (Option<i32>, Value) {
    let status = process.end().await;
    let printed = process.rest();
    let printed = serde_json::from_str(&printed)
        .unwrap_or_else(|_| panic!("{status}: {printed} {}", process.errors()));
    (status.code(), printed)
}

#[tokio::test]
async fn a_test_ends_with_the_call_with_the_time_and_with_a_signal_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());
    let token = crate::world::admin_token(data.path());
    let client = service.client(&token);
    let overrides = async || client.show(MAIN).await["overrides"].clone();

    let mut simulated = Process::start(&mut smoke(&service, data.path(), &["--simulate"]));
    let (code, ended) = end(&mut simulated).await;
    assert_eq!(
        (code, &ended["outcome"]),
        (Some(0), &"ended_well".into()),
        "{ended}"
    );
    assert_eq!(ended["call"]["slot"], "green");
    assert_eq!(ended["override_removed"], true);
    assert_eq!(overrides().await, json!([]));

    let mut in_vain = Process::start(&mut smoke(&service, data.path(), &["--timeout", "0"]));
    let (code, ended) = end(&mut in_vain).await;
    assert_eq!(
        (code, &ended["outcome"]),
        (Some(7), &"no_call".into()),
        "{ended}"
    );
    assert_eq!(overrides().await, json!([]));

    let mut interrupted = Process::start(&mut smoke(&service, data.path(), &[]));
    crate::world::until("its override", async || {
        (overrides().await != json!([])).then_some(())
    })
    .await;
    interrupted.send(Signal::SIGINT);
    let (code, ended) = end(&mut interrupted).await;
    assert_eq!(
        (code, &ended["outcome"]),
        (Some(7), &"interrupted".into()),
        "{ended}"
    );
    assert_eq!(overrides().await, json!([]));
    service.stop().await;
}

#[tokio::test]
async fn a_test_outlasts_its_token_where_another_is_put_in_its_place() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());
    let client = service.client(&crate::world::admin_token(data.path()));
    let token = async |name: &str| {
        let token = json!({ "name": name, "scopes": ["operate"], "reason": "a test" });
        let made = client.send(Method::POST, "/v1/tokens", &token).await.ok();
        ["id", "token"].map(|member| made[member].as_str().expect("a text").to_owned())
    };
    let ([id, first], [_, second]) = (token("first").await, token("second").await);
    let file = data.path().join("token");
    std::fs::write(&file, first).expect("a file");
    let file_argument = file.to_str().expect("a readable path");
    let mut smoke = smoke(&service, data.path(), &["--token-file", file_argument]);
    let mut test = Process::start(&mut smoke);
    crate::world::until("its override", async || {
        (client.show(MAIN).await["overrides"] != json!([])).then_some(())
    })
    .await;
    std::fs::write(&file, second).expect("a file");
    let path = format!("/v1/tokens/{id}?reason=a%20test");
    client.send(Method::DELETE, &path, &json!({})).await.ok();
    let call = json!({ "Conversation_ID": "the test call", "ANI": TESTER });
    client.decide_about(MAIN, call).await;
    client.report(MAIN, "the test call", false).await;
    let (code, ended) = end(&mut test).await;
    assert_eq!(
        (code, &ended["outcome"]),
        (Some(0), &"ended_well".into()),
        "{ended}"
    );
    assert_eq!(ended["override_removed"], true);
    let history = client.history(MAIN).await;
    assert_eq!(history[0]["actor"], "second");
    service.stop().await;
}
