//! Exposures of real processes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use traffic_cop::domain::judge::evidence::Exposure;
use traffic_cop::store::Store;
use traffic_cop::store::connection::Endpoint;
use traffic_cop::telemetry::StoreRequests;

use crate::client::{Change, MAIN};
use crate::world::{Cluster, until};

/// What the processes of `cluster` have stored.
async fn stored(cluster: &Cluster) -> Vec<Exposure> {
    let endpoint = Endpoint {
        url: Some(cluster.url.clone()),
        region: None,
        control_table: "Deployment_Control".to_owned(),
        evidence_table: "Deployment_Evidence".to_owned(),
    };
    let store = Store::connect(&endpoint, StoreRequests::default()).await;
    let name = MAIN.parse().expect("a name");
    let mut pages = store.exposures(&name, Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let mut exposures = Vec::new();
    while let Some(page) = pages.next().await.expect("an answer") {
        exposures.extend(page.into_calls());
    }
    exposures
}

#[tokio::test]
async fn every_call_is_stored_by_the_time_its_process_has_ended_in_good_order() {
    const CALLS: usize = 200;
    let cluster = Cluster::start().await;
    let services = [cluster.join("a"), cluster.join("b")];
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    let revision = clients[0].change(MAIN, Change::weight(500)).await["revision"].clone();
    // Reading the state reads the journal to its end: from here on the other process knows the environment.
    clients[1].show(MAIN).await;
    until("both processes at one revision", async || {
        let seen = clients[1].decide(MAIN).await["Revision"].clone();
        (seen == revision).then_some(())
    })
    .await;

    for n in 0..CALLS {
        let call = json!({ "Conversation_ID": format!("call-{n}") });
        clients[n % 2].decide_about(MAIN, call).await;
    }
    // While they run, they write by themselves.
    until("the first exposures", async || {
        (!stored(&cluster).await.is_empty()).then_some(())
    })
    .await;
    let last = json!({ "Conversation_ID": "the last call" });
    clients[0].decide_about(MAIN, last).await;
    for service in services {
        service.stop().await;
    }

    let exposures = stored(&cluster).await;
    let at_this_revision: BTreeSet<_> = exposures
        .iter()
        .filter(|exposure| revision == exposure.revision.0 && exposure.is_randomised)
        .map(|exposure| exposure.conversation)
        .collect();
    // And the one that told that both processes were there.
    assert_eq!(at_this_revision.len(), CALLS + 2);
}
