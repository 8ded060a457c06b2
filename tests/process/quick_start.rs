//! What a newcomer does first.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Change, MAIN};
use crate::world::{Service, admin_token, failure_of, traffic_cop};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The arguments of `cargo run` in the first block of shell commands under "Quick start".
fn first_command_of_the_readme() -> Vec<String> {
    let readme = std::fs::read_to_string(README).expect("a README");
    let section = readme
        .split_once("\n## Quick start")
        .expect("a section for newcomers")
        .1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let block = section
        .split_once("\n```sh\n")
        .expect("a block of commands")
        .1;
    let line = block.lines().next().expect("a command");
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let at = words
        .iter()
        .position(|word| word == "--")
        .unwrap_or_else(|| panic!("`cargo run … -- …`, not {line}"));
    assert_eq!(words[..2], ["cargo", "run"], "{line}");
    words[at + 1..].to_vec()
}

/// Runs the line that the service prints, exactly as it is printed.
fn run_curl_line(service: &mut Service) -> Value {
    let line = service.curl_line();
    let output = Command::new("sh")
        .args(["-c", &line])
        .output()
        .expect("a shell");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{line}` failed (is curl installed?): {} {errors}",
        output.status
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn assert_is_whole(decision: &Value) {
    let mut members: Vec<_> = decision
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    let expected = [
        "Active_Flow_ID",
        "Active_Flow_Name",
        "Flow_Version",
        "Flow_Version_Known",
        "Reason",
        "Revision",
        "Schema_Version",
        "Slot",
        "Source",
        "Traffic_Weight",
    ];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn the_first_command_of_the_readme_leads_to_a_first_decision() {
    let home = tempfile::tempdir().expect("a directory");
    // The command as it stands, but for the ports, which may be taken here.
    let mut command = traffic_cop();
    command
        .args(first_command_of_the_readme())
        .current_dir(home.path());
    command.envs([
        ("TRAFFIC_COP_DECISIONS", "127.0.0.1:0"),
        ("TRAFFIC_COP_ADMIN", "127.0.0.1:0"),
    ]);

    let mut service = Service::of(&mut command);

    let decision = run_curl_line(&mut service);
    assert_is_whole(&decision);
    assert_eq!(
        (&decision["Slot"], &decision["Reason"]),
        (&json!("blue"), &json!("active"))
    );
    assert!(
        home.path().join("data/admin-token").is_file(),
        "the README says where the token is"
    );
}

#[tokio::test]
async fn a_restart_on_the_same_data_keeps_everything() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());
    let token = admin_token(data.path());
    let client = service.client(&token);
    client.change(MAIN, Change::cutover()).await;
    let before = client.show(MAIN).await;
    service.stop().await;

    let mut service = Service::embedded(data.path());

    assert_eq!(admin_token(data.path()), token, "the token is the same");
    let client = service.client(&token);
    assert_eq!(client.show(MAIN).await, before, "no second sample either");
    assert_eq!(run_curl_line(&mut service)["Slot"], "green");
    client.assert_journal_is_sound().await;
}

#[tokio::test]
async fn the_admin_token_is_for_its_owner_alone() {
    let data = tempfile::tempdir().expect("a directory");
    let _service = Service::embedded(data.path());
    let file = std::fs::metadata(data.path().join("admin-token")).expect("the token");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_service_on_the_same_data_is_told_so() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());

    let ports = ["--decisions", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let second = failure_of(
        traffic_cop()
            .arg("serve")
            .args(ports)
            .arg("--data-dir")
            .arg(data.path()),
    )
    .await;

    assert!(
        second.contains("in use by another traffic-cop process"),
        "{second}"
    );
    let path: &Path = data.path();
    assert!(
        second.contains(path.to_str().expect("a readable path")),
        "{second}"
    );
    assert_eq!(
        service.client("").is_ready().await,
        Some(true),
        "the first one is not disturbed"
    );
}
