//! The stand-in for Genesys Cloud, asked with the official Python SDK: `.ci/genesys-sdk` installs that and runs this.

use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::support::engine::environment_variable;
use crate::support::genesys::flows::{being_published, locked_by};
use crate::support::genesys::{CLIENT_ID, CLIENT_SECRET, Ended, Genesys};

#[tokio::test]
#[ignore = "needs the official Python SDK: .ci/genesys-sdk"]
async fn the_official_sdk_takes_the_stand_in_for_genesys_cloud() {
    let python = environment_variable("TRAFFIC_COP_TEST_GENESYS_SDK");
    let python = python.expect("a Python with the SDK: run .ci/genesys-sdk");
    let genesys = Genesys::start().await;
    genesys.has_flow("blue", "Main IVR Blue", "45.0");
    genesys.has_flow("green", "Main IVR Green", "46.0");
    genesys.changes_flow("green", &locked_by("Anna"));
    genesys.changes_flow("green", &being_published());
    let start: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a time");
    for (minute, flow, version, exit_reason) in [
        (0, "blue", "45.0", "DISCONNECT"),
        (6, "blue", "45.0", "DISCONNECT"),
        (6, "green", "46.0", "TRANSFER"),
        (6, "another", "1.0", "TRANSFER"),
        (10, "green", "46.0", "TRANSFER"),
    ] {
        genesys.ends(Ended {
            at: start + SignedDuration::from_mins(minute),
            flow: flow.to_owned(),
            version: version.to_owned(),
            exit_reason,
            transfer_type: (exit_reason == "TRANSFER").then_some("ACD"),
        });
    }
    let mut sdk = Command::new(python);
    sdk.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/http/genesys/sdk.py"
    ))
    .args([&genesys.url(), CLIENT_ID, CLIENT_SECRET])
    .args(["2026-01-05T08:00:00.000Z", "2026-01-05T08:10:00.000Z"]);
    let ended = tokio::task::spawn_blocking(move || sdk.output())
        .await
        .expect("no panic")
        .expect("a process");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ended.status.success(), "{}", said(&ended.stderr));
    assert_eq!(said(&ended.stdout), "the SDK took every answer\n");
}
