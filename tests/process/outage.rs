//! What callers get while the store is away, and how fresh an answer is when they insist.

use serde_json::json;

use crate::client::{Change, MAIN};
use crate::world::{Cluster, until};

#[tokio::test]
async fn a_no_cache_decision_holds_what_another_process_has_just_acknowledged() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let (a, b) = (a.client(&cluster.token), b.client(&cluster.token));
    a.create_with_candidate(MAIN).await;
    let mut validated = 0;
    for round in 1..=50 {
        let acknowledged = a.change(MAIN, Change::weight(round)).await["revision"]
            .as_u64()
            .expect("a revision");
        let answer = b.decide_afresh(MAIN).await;
        // A budget that runs out on a busy machine is said, and promises nothing.
        if answer["Source"] == "validated" {
            validated += 1;
            assert!(
                answer["Revision"].as_u64() >= Some(acknowledged),
                "{answer} after {acknowledged} was acknowledged"
            );
        }
    }
    assert!(validated > 0, "no answer was validated");
    assert_eq!(b.decide(MAIN).await["Source"], "live");
}

#[tokio::test]
async fn calls_are_answered_while_the_store_is_away_and_writes_are_refused() {
    let mut cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let acknowledged = client.change(MAIN, Change::cutover()).await;

    cluster.lose_store();

    let refused = client.ask(MAIN, Change::weight(5)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["type"]),
        (503, &json!("urn:traffic-cop:problem:store-unavailable"))
    );
    for answer in [client.decide(MAIN).await, client.decide_afresh(MAIN).await] {
        assert_eq!(
            (&answer["Slot"], &answer["Revision"], &answer["Source"]),
            (&json!("green"), &acknowledged["revision"], &json!("live"))
        );
    }
    assert_eq!(client.show(MAIN).await["stale"], true);
}

#[tokio::test]
async fn a_process_killed_and_restarted_during_an_outage_serves_what_it_acknowledged() {
    let mut cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let acknowledged = client.change(MAIN, Change::cutover()).await;

    cluster.lose_store();
    service.kill().await;
    let service = cluster.join("a");

    let client = service.client(&cluster.token);
    assert_eq!(client.is_ready().await, Some(true));
    let answer = client.decide(MAIN).await;
    assert_eq!(
        (&answer["Slot"], &answer["Revision"], &answer["Source"]),
        (
            &json!("green"),
            &acknowledged["revision"],
            &json!("last-good")
        )
    );

    cluster.find_store();

    until("the journal is followed again", async || {
        (client.decide(MAIN).await["Source"] == "live").then_some(())
    })
    .await;
    let next = client.change(MAIN, Change::weight(5)).await;
    assert_eq!(
        next["revision"].as_u64(),
        acknowledged["revision"]
            .as_u64()
            .map(|revision| revision + 1)
    );
    client.assert_journal_is_sound().await;
}
