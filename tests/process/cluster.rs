//! Two processes on one store.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Change, MAIN, weight_of};
use crate::world::{Cluster, until};

#[tokio::test]
async fn a_cutover_acknowledged_by_one_process_shows_in_the_other() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let (a, b) = (a.client(&cluster.token), b.client(&cluster.token));
    a.create_with_candidate(MAIN).await;

    let acknowledged = a.change(MAIN, Change::cutover()).await;

    let shown = b.show(MAIN).await;
    assert_eq!(
        (&shown["active"], &shown["revision"], &shown["stale"]),
        (&json!("green"), &acknowledged["revision"], &json!(false))
    );
    assert_eq!(
        a.decide(MAIN).await["Slot"],
        "green",
        "at once where it was acknowledged"
    );
    until("a decision by the new state", async || {
        (b.decide(MAIN).await["Slot"] == "green").then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_fifty_writers_who_have_seen_the_same_exactly_one_wins() {
    const WRITERS: u64 = 50;
    const ROUNDS: u64 = 4;
    let cluster = Cluster::start().await;
    let services = [cluster.join("a"), cluster.join("b")];
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    let mut winners = BTreeMap::new();
    for round in 0..ROUNDS {
        let seen = clients[0].show(MAIN).await["revision"]
            .as_u64()
            .expect("a revision");
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let client = clients[writer as usize % 2].clone();
                let bps = 1 + round * WRITERS + writer;
                tokio::spawn(
                    async move { (bps, client.ask(MAIN, Change::weight(bps).at(seen)).await) },
                )
            })
            .collect();
        let mut answers = Vec::new();
        for writer in writers {
            answers.push(writer.await.expect("a writer that ends"));
        }
        let (won, lost): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .partition(|(_, answer)| answer.status.is_success());
        let [(bps, answer)] = &won[..] else {
            panic!("one winner, not {won:#?}")
        };
        assert_eq!(answer.revision(), seen + 1);
        winners.insert(seen + 1, Some(*bps));
        for (_, answer) in lost {
            assert_eq!(
                (answer.status.as_u16(), &answer.json["type"]),
                (412, &json!("urn:traffic-cop:problem:stale"))
            );
        }
    }
    for client in &clients {
        let history = client.history(MAIN).await;
        let weights: BTreeMap<_, _> = history
            .iter()
            .filter(|entry| entry["action"] == "set_weight")
            .map(|entry| {
                (
                    entry["revision"].as_u64().expect("a revision"),
                    weight_of(entry),
                )
            })
            .collect();
        assert_eq!(
            weights, winners,
            "every winner, and nobody else, is in the history"
        );
        // The last row is finished by its committer, the others before the next commit: all are complete now.
        client.assert_journal_is_sound().await;
    }
}

#[tokio::test]
async fn writers_on_two_processes_who_do_not_look_all_get_their_turn() {
    let cluster = Cluster::start().await;
    let services = [cluster.join("a"), cluster.join("b")];
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    let writers: Vec<_> = (1..=20)
        .map(|bps| {
            let client = clients[bps as usize % 2].clone();
            tokio::spawn(async move {
                client.change(MAIN, Change::weight(bps)).await["revision"].clone()
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for writer in writers {
        revisions.push(
            writer
                .await
                .expect("a writer that ends")
                .as_u64()
                .expect("a revision"),
        );
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (3..=22).collect::<Vec<_>>());
    clients[1].assert_journal_is_sound().await;
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_on_another_process_and_after_a_restart() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let client = a.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let cutover = || Change::cutover().at(2).key("release-4711");
    let essence =
        |answer: &Value| ["revision", "sequence", "state"].map(|member| answer[member].clone());

    let first = client.change(MAIN, cutover()).await;
    client.change(MAIN, Change::weight(500)).await;

    let repeat = b.client(&cluster.token).change(MAIN, cutover()).await;
    assert_eq!(
        (&first["outcome"], &repeat["outcome"]),
        (&json!("committed"), &json!("repeated"))
    );
    assert_eq!(essence(&repeat), essence(&first), "on the other process");
    a.stop().await;
    let a = cluster.join("a");
    let repeat = a.client(&cluster.token).change(MAIN, cutover()).await;
    assert_eq!(
        (repeat["outcome"].as_str(), essence(&repeat)),
        (Some("repeated"), essence(&first)),
        "after a restart"
    );
    let other = b
        .client(&cluster.token)
        .ask(MAIN, Change::weight(700).key("release-4711"))
        .await;
    assert_eq!(other.status, 422);
}
