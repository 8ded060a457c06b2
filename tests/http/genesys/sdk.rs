//! The stand-in for Genesys Cloud, asked with the official Python SDK: `.ci/genesys-sdk` installs that and runs this.

use std::process::Command;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use traffic_cop::clock::SystemClock;
use traffic_cop::domain::ids::Revision;
use traffic_cop::domain::slot::Slot;
use traffic_cop::genesys::client::Client;
use traffic_cop::genesys::data_table::Entry;

use crate::support::engine::environment_variable;
use crate::support::genesys::data_tables::COLUMNS;
use crate::support::genesys::flows::{being_published, locked_by};
use crate::support::genesys::{Asked, CLIENT_ID, CLIENT_SECRET, Ended, Genesys};

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
    genesys.has_table("table", &COLUMNS);
    let mirrored = mirror_requests(&genesys).await;
    genesys.has_table("sdk", &[&COLUMNS[..], &[("Note", "string")]].concat());
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
    assert_eq!(requests_about(&genesys, "sdk"), mirrored, "the SDK's");
}

/// Asks as the mirror does, from the table to a row that is added, read and written: what was asked.
async fn mirror_requests(genesys: &Genesys) -> Vec<Asked> {
    let columns = [&COLUMNS[..], &[("Note", "string")]].concat();
    genesys.has_table("mirrored", &columns);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    let settings = genesys.settings(CLIENT_SECRET, &file, 100);
    let client = Client::new(settings, Arc::new(SystemClock::start())).expect("a client");
    let table = "mirrored".parse().expect("an id");
    let entry = Entry {
        environment: "Main_IVR".parse().expect("a name"),
        flow: "5f0c9a52".parse().expect("an id"),
        slot: Slot::Green,
        weight: "12.5".parse().expect("a weight"),
        revision: Revision(8),
    };
    let key = &entry.environment;
    let found = client.data_table(&table).await.expect("an answer");
    assert_eq!(found.expect("a table").wrong, []);
    let row = client.row(&table, key).await.expect("an answer");
    assert_eq!(row, None);
    let row = entry.within(None);
    let added = client.add_row(&table, key, &row).await.expect("a row");
    assert!(entry.is_in(&added));
    genesys.edits_row("mirrored", "Main_IVR", &json!({ "Note": "ask Anna" }));
    let row = client.row(&table, key).await.expect("an answer");
    let row = entry.within(row.as_ref());
    let put = client.put_row(&table, key, &row).await.expect("a row");
    assert!(entry.is_in(&put));
    requests_about(genesys, "mirrored")
}

/// The requests since the last look that were about a table, as if its id were another.
fn requests_about(genesys: &Genesys, table: &str) -> Vec<Asked> {
    let segment = format!("/datatables/{table}");
    let asked = genesys.take_requests().into_iter();
    asked
        .filter(|asked| asked.path.contains(&segment))
        .map(|mut asked| {
            asked.path = asked.path.replace(&segment, "/datatables/x");
            asked
        })
        .collect()
}
