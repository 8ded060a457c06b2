//! `doctor`, `status` and `man`: the real command line against a real service.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::client::MAIN;
use crate::world::{Process, Service, admin_token, run, traffic_cop, until};

fn cli(service: &Service, data: &Path, arguments: &[&str]) -> Command {
    let mut command = traffic_cop();
    command
        .args(arguments)
        .arg("--server")
        .arg(format!("http://{}", service.admin))
        .arg("--data-dir")
        .arg(data);
    command
}

fn doctor(service: &Service, data: &Path) -> Command {
    let mut command = cli(service, data, &["doctor", "--json"]);
    let decisions = format!("http://{}", service.decisions);
    command.args(["--decisions-server", &decisions]);
    command
}

/// The status of a check.
fn status<'a>(checks: &'a Value, name: &str) -> &'a str {
    let checks = checks.as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no check {name}: {checks:?}"));
    check["status"].as_str().expect("a status")
}

#[tokio::test]
async fn a_new_service_is_found_well_and_one_that_has_ended_is_not() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());
    let client = service.client(&admin_token(data.path()));
    until("its heartbeat", async || {
        let replicas = client.replicas().await;
        replicas.first().filter(|one| one["lag"] == 0).map(|_| ())
    })
    .await;
    let glance = run(&mut cli(&service, data.path(), &["status"])).await;
    assert!(
        glance.contains(MAIN) && glance.contains("live, has every change"),
        "{glance}"
    );

    let mut looks = Process::start(&mut doctor(&service, data.path()));
    looks.end().await;
    let checks: Value = serde_json::from_str(&looks.rest()).expect("JSON");
    for name in [
        "admin listener",
        "decisions listener",
        "clock",
        "replica",
        "alarms",
        "writes to the store",
        "replicas",
        "tokens",
    ] {
        assert_eq!(status(&checks, name), "ok", "{name}: {checks:#}");
    }
    for name in [
        "certificate of the admin listener",
        "access to Genesys Cloud",
    ] {
        assert_eq!(status(&checks, name), "skipped", "{name}");
    }
    // A debug build on a busy machine may be slower than the budget.
    assert_ne!(status(&checks, "no-cache"), "skipped");

    let mut in_vain = doctor(&service, data.path());
    service.stop().await;
    let mut looks = Process::start(&mut in_vain);
    assert_eq!(looks.end().await.code(), Some(1));
    let checks: Value = serde_json::from_str(&looks.rest()).expect("JSON");
    assert_eq!(status(&checks, "admin listener"), "failed");
    assert_eq!(status(&checks, "decisions listener"), "failed");
}
