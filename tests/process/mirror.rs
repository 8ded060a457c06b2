//! The data table in Genesys Cloud, kept by real processes.

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::{Change, MAIN};
use crate::genesys::data_tables::COLUMNS;
use crate::genesys::{Fault, Genesys};
use crate::world::{Cluster, Service, run, until};

const TABLE: &str = "0c7d2b1e-6a55-4a0c-9a43-5d2f8f1b7e60";

/// Waits until the row says this, among other things.
async fn until_row_says(genesys: &Genesys, members: Value) {
    let members = members.as_object().expect("members");
    until("the row", async || {
        let row = genesys.row(TABLE, MAIN)?;
        let mut members = members.iter();
        members
            .all(|(name, value)| row[name] == *value)
            .then_some(())
    })
    .await;
}

/// It takes as long as a lease lasts whose holder is dead: ten seconds.
#[tokio::test]
async fn the_row_follows_across_a_power_cut_in_the_middle_of_changes() {
    let cluster = Cluster::start().await;
    let genesys = Genesys::start().await;
    genesys.has_table(TABLE, &COLUMNS);
    let mut serve = cluster.service("a");
    serve
        .args(genesys.arguments(&cluster.path("genesys-secret")))
        .args(["--genesys-datatable-id", TABLE])
        .arg("--genesys-datatable-add-rows");
    let service = Service::of(&mut serve);
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    until_row_says(&genesys, json!({ "Active_Slot": "blue", "Revision": 2 })).await;
    client.change(MAIN, Change::cutover()).await;
    until_row_says(&genesys, json!({ "Active_Slot": "green", "Revision": 3 })).await;

    genesys.fails(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    client.change(MAIN, Change::weight(1_250)).await;
    service.kill().await;
    genesys.fails(None);
    let service = Service::of(&mut serve);
    let percent = json!({ "Active_Slot": "green", "Traffic_Weight": 12.5, "Revision": 4 });
    until_row_says(&genesys, percent).await;

    let shown = until("what the command says", async || {
        let mut show = cluster.operator(&service);
        show.args(["genesys", "mirror"]);
        let shown = run(&mut show).await;
        shown.contains("current").then_some(shown)
    })
    .await;
    assert!(shown.contains(TABLE) && shown.contains(MAIN), "{shown}");
}
