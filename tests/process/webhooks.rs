//! Webhooks of real processes.

use std::collections::BTreeSet;

use serde_json::json;

use crate::client::{Change, MAIN};
use crate::receiver::{Receiver, Reply, SECRET};
use crate::world::{Cluster, run, until};

/// Changes before the power cut, and after.
const CHANGES: u64 = 30;

/// It takes as long as a lease lasts whose holder is dead: ten seconds.
#[tokio::test]
async fn a_power_cut_loses_no_event() {
    let cluster = Cluster::start().await;
    let receiver = Receiver::start().await;
    let secrets = cluster.path("secrets.json");
    let text = json!({ "chat": SECRET }).to_string();
    std::fs::write(&secrets, text).expect("a file");
    let arguments = ["--webhook-secrets-file", &secrets];
    let service = cluster.join_with("a", &arguments);
    let client = service.client(&cluster.token);
    let url = receiver.url();
    let mut add = cluster.operator(&service);
    add.args(["webhook", "add", "chat", "--url", &url, "--reason", "r"]);
    let added = run(&mut add).await;
    assert!(added.contains("every change from now on"), "{added}");

    client.create_with_candidate(MAIN).await;
    for bps in 1..=CHANGES {
        client.change(MAIN, Change::weight(bps)).await;
    }
    until("some events", async || {
        (receiver.taken().len() >= 3).then_some(())
    })
    .await;
    receiver.always(Reply::Status(500));
    service.kill().await;
    receiver.always(Reply::Status(200));

    let service = cluster.join_with("a", &arguments);
    let client = service.client(&cluster.token);
    for bps in 1..=CHANGES {
        client.change(MAIN, Change::weight(CHANGES + bps)).await;
    }
    let all: Vec<_> = (2..=3 + 2 * CHANGES).map(|id| id.to_string()).collect();
    let taken = until("all events", async || {
        let taken = receiver.taken();
        let known: BTreeSet<_> = taken.iter().collect();
        all.iter().all(|id| known.contains(id)).then_some(taken)
    })
    .await;
    let mut seen = Vec::new();
    for id in taken {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    assert_eq!(seen, all, "in order, and none besides");
    for delivery in receiver.received() {
        delivery.assert_signed_with(SECRET);
    }

    let mut list = cluster.operator(&service);
    list.args(["webhook", "list"]);
    let listed = run(&mut list).await;
    assert!(
        listed.contains("chat") && listed.contains("all"),
        "{listed}"
    );
    let mut remove = cluster.operator(&service);
    remove.args(["webhook", "remove", "chat", "--reason", "r"]);
    let removed = run(&mut remove).await;
    assert!(removed.contains("told of nothing any more"), "{removed}");
    client.assert_journal_is_sound().await;
}

#[tokio::test]
async fn secrets_that_cannot_be_used_stop_the_start_and_are_not_shown() {
    let cluster = Cluster::start().await;
    let secrets = cluster.path("secrets.json");
    std::fs::write(&secrets, r#"{"chat": "whsec_hush"}"#).expect("a file");
    let mut serve = cluster.service("a");
    serve.args(["--webhook-secrets-file", &secrets]);
    let errors = crate::world::failure_of(&mut serve).await;
    assert!(errors.contains("chat: expected whsec_"), "{errors}");
    assert!(!errors.contains("hush"), "{errors}");
}

#[tokio::test]
async fn a_secret_is_drawn_without_a_server() {
    let mut draw = crate::world::traffic_cop();
    draw.args(["--output", "json", "webhook", "secret"]);
    let drawn: serde_json::Value = serde_json::from_str(&run(&mut draw).await).expect("JSON");
    let secret = drawn["secret"].as_str().expect("a text");
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
}
