//! What callers are told while the store goes away and comes back, or the process itself stands still. They check every
//! answer themselves: only 200s, no revision below one seen before, and `validated` only where it can be true (`load`).

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::client::{Change, Client, MAIN};
use crate::load::{Facts, Load};
use crate::world::{Cluster, Service, until};

/// Answers of each kind that make a load.
const SOME: usize = 20;
/// Answers of each kind in an outage: many more than wait for a store before it is known to be away.
const MANY: usize = 100;
/// A process on a store that answers within half a second, which on a busy machine is not much.
const PATIENT: [&str; 4] = [
    "--validation-budget-ms",
    "500",
    "--decision-deadline-ms",
    "1000",
];

/// Two processes that serve an environment, and everything that is known of it.
async fn two_processes(cluster: &Cluster) -> ([Service; 2], [Client; 2], Arc<Facts>) {
    let services = ["a", "b"].map(|name| cluster.join_with(name, &PATIENT));
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    let facts = Arc::new(Facts::default());
    let answer = clients[0].change(MAIN, Change::weight(100)).await;
    // A restart of either would serve it.
    until("two replicas that acknowledge it", async || {
        let replicas = clients[0].live_replicas().await;
        let acknowledge = replicas
            .iter()
            .filter(|replica| replica["sequence"] == answer["sequence"]);
        (acknowledge.count() == 2).then_some(())
    })
    .await;
    (services, clients, facts)
}

/// Makes a change: its revision.
async fn change(client: &Client, change: Change, facts: &Facts) -> u64 {
    let revision = client.change(MAIN, change).await["revision"].as_u64();
    let revision = revision.expect("a revision");
    facts.acknowledge(revision);
    revision
}

async fn outage_under_load(take_away: impl Fn(&mut Cluster), bring_back: impl Fn(&mut Cluster)) {
    let mut cluster = Cluster::start().await;
    let (_services, clients, facts) = two_processes(&cluster).await;
    let mut loads = clients.each_ref().map(|client| Load::on(client, &facts));
    for load in &mut loads {
        load.goes_on_for(SOME).await;
        load.is_validated(SOME).await;
    }

    take_away(&mut cluster);
    facts.store_is_away();
    for load in &mut loads {
        load.goes_on_for(MANY).await;
    }
    for client in &clients {
        until("nobody waits for the store", async || {
            let metrics = client.metrics().await;
            metrics
                .contains("traffic_cop_validation_breaker_open 1\n")
                .then_some(())
        })
        .await;
    }

    facts.store_may_be_back();
    bring_back(&mut cluster);
    for load in &mut loads {
        load.is_validated(SOME).await;
    }
    let revision = change(&clients[0], Change::cutover(), &facts).await;
    for load in &mut loads {
        load.until("the last change", |told| told.revision == revision)
            .await;
        load.is_validated(SOME).await;
    }
    for load in loads {
        load.end().await;
    }
    clients[0].assert_journal_is_sound().await;
}

#[tokio::test]
async fn callers_notice_nothing_but_the_source_while_the_store_is_gone() {
    outage_under_load(Cluster::lose_store, Cluster::find_store).await;
}

/// It takes connections and says nothing, which is worse than to be gone.
#[tokio::test]
async fn callers_notice_nothing_but_the_source_while_the_store_stands_still() {
    outage_under_load(
        |cluster| cluster.pause_store(),
        |cluster| cluster.resume_store(),
    )
    .await;
}

#[tokio::test]
async fn processes_killed_under_load_and_restarted_in_an_outage_serve_what_they_acknowledged() {
    let mut cluster = Cluster::start().await;
    let (services, clients, facts) = two_processes(&cluster).await;
    let mut loads = clients.each_ref().map(|client| Load::on(client, &facts));
    for load in &mut loads {
        load.is_validated(SOME).await;
    }
    // One process acknowledges the last change to an operator, the other may never hear of it.
    let last = change(&clients[0], Change::cutover(), &facts).await;
    cluster.lose_store();
    facts.store_is_away();
    for mut load in loads {
        load.goes_on_for(SOME).await;
        load.end().await;
    }
    for service in services {
        service.kill().await;
    }

    let services = ["a", "b"].map(|name| cluster.join_with(name, &PATIENT));
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    let mut firsts = Vec::new();
    for client in &clients {
        let answer = client.decide_afresh(MAIN).await;
        assert_eq!(answer["Source"], "last-good", "{answer}");
        firsts.push(answer["Revision"].as_u64().expect("a revision"));
    }
    assert_eq!(firsts[0], last, "it was acknowledged here");
    assert!(
        (last - 1..=last).contains(&firsts[1]),
        "{firsts:?} of {last}"
    );
    let mut loads = clients.each_ref().map(|client| Load::on(client, &facts));
    for load in &mut loads {
        load.goes_on_for(SOME).await;
        assert_eq!(load.told().validated, 0);
    }

    facts.store_may_be_back();
    cluster.find_store();
    for mut load in loads {
        load.is_validated(SOME).await;
        assert_eq!(load.end().await.revision, last);
    }
    clients[0].assert_journal_is_sound().await;
}

#[tokio::test]
async fn a_process_that_stood_still_claims_nothing_from_before() {
    let cluster = Cluster::start().await;
    let ([_a, b], [client, caller], facts) = two_processes(&cluster).await;
    until("a validated answer", async || {
        let answer = caller.decide_afresh(MAIN).await;
        (answer["Source"] == "validated").then_some(())
    })
    .await;

    b.process.pause();
    let mut calls = JoinSet::new();
    let mut call = |acknowledged: u64| {
        let caller = caller.clone();
        calls.spawn(async move { (acknowledged, caller.decide_afresh(MAIN).await) });
    };
    for bps in 0..10 {
        call(change(&client, Change::weight(200 + bps), &facts).await);
    }
    until("it counts as gone", async || {
        (client.live_replicas().await.len() == 1).then_some(())
    })
    .await;
    for bps in 0..10 {
        call(change(&client, Change::weight(300 + bps), &facts).await);
    }
    b.process.resume();

    for (acknowledged, answer) in calls.join_all().await {
        let revision = answer["Revision"].as_u64().expect("a revision");
        let is_true = answer["Source"] != "validated" || revision >= acknowledged;
        assert!(is_true, "{answer} after {acknowledged} was acknowledged");
    }
    let mut load = Load::on(&caller, &facts);
    load.is_validated(SOME).await;
    load.end().await;
}
