//! `smoke`: the real command line against a real service.

use std::process::Command;

use nix::sys::signal::Signal;
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
