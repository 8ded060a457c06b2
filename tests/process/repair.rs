//! Repair by an operator at a terminal.

use serde_json::json;
use traffic_cop::store::Store;
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::record::Entry;
use traffic_cop::telemetry::StoreRequests;

use crate::client::{Change, MAIN};
use crate::stability::until_alarms;
use crate::world::{Cluster, PATIENCE, failure_of, run};

/// Puts a record after the last one, which is of the environment, with a state that nobody can read.
async fn poison(cluster: &Cluster) {
    let endpoint = Endpoint {
        url: Some(cluster.url.clone()),
        region: None,
        control_table: "Deployment_Control".to_owned(),
        evidence_table: "Deployment_Evidence".to_owned(),
    };
    let store = Store::connect(&endpoint, StoreRequests::default()).await;
    let head = store.head().await.expect("an answer").expect("an entry");
    let position = head.position();
    let Entry::Record(last) = head else {
        panic!("no record: {head:?}")
    };
    let mut draft = last.change;
    draft.revision = draft.revision.next();
    draft.previous = last.sequence;
    draft.operation.0[0] ^= 0xff;
    draft.state = b"{\"oops".to_vec();
    let soon = tokio::time::Instant::now() + PATIENCE;
    let committed = store.commit(draft, &position, soon).await;
    committed.expect("a commit");
}

#[tokio::test]
async fn an_operator_brings_an_environment_back() {
    let cluster = Cluster::start().await;
    let (one, other) = (cluster.join("one"), cluster.join("other"));
    let clients = [one.client(&cluster.token), other.client(&cluster.token)];
    let client = &clients[0];
    client.create_with_candidate(MAIN).await;
    let snapshot = cluster.path("a.snapshot");
    run(cluster
        .operator(&one)
        .args(["snapshot", "export", &snapshot]))
    .await;
    client.change(MAIN, Change::cutover()).await;
    poison(&cluster).await;
    for client in &clients {
        until_alarms(client, &["unreadable_state"]).await;
        assert_eq!(client.decide_afresh(MAIN).await["Slot"], "green");
    }
    // What is refused says what to do, and that works on whichever replica.
    let because = ["--reason", "a bad write"];
    let weight = ["weight", MAIN, "5"];
    let refused = failure_of(cluster.operator(&one).args(weight).args(because)).await;
    let remedy = "traffic-cop env repair Main_IVR";
    assert!(refused.contains(remedy), "{refused}");
    let repair = ["env", "repair", MAIN];
    let said = run(cluster.operator(&other).args(repair).args(because)).await;
    assert!(said.contains("Main_IVR at revision 5"), "{said}");
    for client in &clients {
        until_alarms(client, &[]).await;
        let answer = client.decide_afresh(MAIN).await;
        assert_eq!(
            (&answer["Slot"], &answer["Revision"]),
            (&json!("green"), &json!(5))
        );
    }
    let nothing = failure_of(cluster.operator(&one).args(repair).args(because)).await;
    assert!(nothing.contains("nothing to repair"), "{nothing}");
    // By a revision, and by a file.
    for (form, slot) in [
        (["--revision", "3"], "green"),
        (["--state", &snapshot], "blue"),
    ] {
        poison(&cluster).await;
        until_alarms(client, &["unreadable_state"]).await;
        run(cluster.operator(&one).args(repair).args(form).args(because)).await;
        assert_eq!(client.decide_afresh(MAIN).await["Slot"], slot, "{form:?}");
    }
    client.assert_journal_is_sound().await;
}
