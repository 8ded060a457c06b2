//! Receipts across processes: who is named, and what it is worth.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::client::{Change, Client, MAIN};
use crate::world::{Cluster, PATIENCE, Service, until};

/// Long enough for any replica that is alive.
const AMPLE_MS: u64 = 10_000;

/// How many replicas have each status in a receipt, in order.
fn tally(receipt: &Value) -> Vec<&str> {
    let replicas = receipt["replicas"].as_array().expect("replicas");
    let mut statuses: Vec<_> = replicas
        .iter()
        .map(|replica| replica["status"].as_str().expect("a status"))
        .collect();
    statuses.sort_unstable();
    statuses
}

/// The replicas of this status in a receipt.
fn of_status(receipt: &Value, status: &str) -> Vec<Value> {
    let replicas = receipt["replicas"].as_array().expect("replicas");
    let named = replicas.iter().filter(|named| named["status"] == status);
    named.map(|named| named["replica"].clone()).collect()
}

/// Waits until `client` knows of so many replicas: their ids.
async fn until_known(client: &Client, count: usize) -> Vec<Value> {
    until("so many replicas", async || {
        let replicas = client.replicas().await;
        let ids = replicas.iter().map(|replica| replica["replica"].clone());
        (replicas.len() == count).then(|| ids.collect())
    })
    .await
}

async fn assert_nobody_is_behind(clients: &[Client], revision: u64) {
    for client in clients {
        let decided = client.decide(MAIN).await["Revision"].as_u64();
        assert!(decided >= Some(revision), "{decided:?} after {revision}");
    }
}

#[tokio::test]
async fn a_receipt_names_all_three_and_nobody_decides_by_anything_older() {
    let cluster = Cluster::start().await;
    let services = ["a", "b", "c"].map(|name| cluster.join(name));
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    for round in 0..20 {
        let writer = &clients[round % 3];
        let written = writer
            .change(MAIN, Change::cutover().waiting(AMPLE_MS))
            .await;
        let receipt = &written["receipt"];
        assert_eq!(receipt["status"], "all", "{receipt:#}");
        assert_eq!(tally(receipt), ["acknowledged"; 3]);
        let revision = written["revision"].as_u64().expect("a revision");
        assert_nobody_is_behind(&clients, revision).await;
    }
}

#[tokio::test]
async fn a_process_that_stands_still_is_named_and_the_write_stands() {
    let cluster = Cluster::start().await;
    let services = ["a", "b", "c"].map(|name| cluster.join(name));
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(MAIN).await;
    let before = clients[0]
        .change(MAIN, Change::weight(1).waiting(AMPLE_MS))
        .await;
    assert_eq!(tally(&before["receipt"]), ["acknowledged"; 3]);

    services[2].process.send(Signal::SIGSTOP);
    let written = clients[0]
        .change(MAIN, Change::weight(2).waiting(3_000))
        .await;

    let receipt = &written["receipt"];
    assert_eq!(written["outcome"], "committed");
    assert_eq!(receipt["status"], "unconfirmed");
    assert_eq!(
        tally(receipt),
        ["acknowledged", "acknowledged", "unconfirmed"]
    );
    let revision = written["revision"].as_u64().expect("a revision");
    assert_nobody_is_behind(&clients[..2], revision).await;
    assert_eq!(clients[1].show(MAIN).await["weight"], json!(0.02));

    services[2].process.send(Signal::SIGCONT);
    let again = clients[0]
        .change(MAIN, Change::weight(3).waiting(AMPLE_MS))
        .await;
    assert_eq!(tally(&again["receipt"]), ["acknowledged"; 3]);
}

#[tokio::test]
async fn a_process_that_is_killed_holds_up_no_write_for_long_and_is_named_from_then_on() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let client = a.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let ids = until_known(&client, 2).await;
    b.kill().await;

    let written = client
        .change(MAIN, Change::weight(1).waiting(AMPLE_MS))
        .await;
    let lost = of_status(&written["receipt"], "unconfirmed");
    assert_eq!(lost.len(), 1, "{written:#}");
    assert!(ids.contains(&lost[0]));
    let written = client
        .change(MAIN, Change::weight(2).waiting(AMPLE_MS))
        .await;
    let receipt = &written["receipt"];
    assert_eq!(receipt["status"], "all", "nobody alive lacks it");
    assert_eq!(of_status(receipt, "silent"), lost);
}

#[tokio::test]
async fn a_process_that_ends_in_good_order_is_not_waited_for() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let client = a.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    until_known(&client, 2).await;
    b.stop().await;

    let written = client
        .change(MAIN, Change::weight(1).waiting(AMPLE_MS))
        .await;

    let receipt = &written["receipt"];
    assert_eq!(tally(receipt), ["acknowledged"], "{receipt:#}");
    assert_eq!(until_known(&client, 1).await.len(), 1);
}

/// Whoever gets ready while changes go on decides by each one whose receipt came before the call.
#[tokio::test]
async fn a_process_that_starts_meanwhile_is_never_behind_a_receipt() {
    let cluster = Cluster::start().await;
    let a = cluster.join("a");
    let mut clients = vec![a.client(&cluster.token)];
    clients[0].create_with_candidate(MAIN).await;
    let mut services: Vec<Service> = Vec::new();
    for name in ["b", "c", "d"] {
        let mut serve = cluster.service(name);
        let joining = spawn_blocking(move || Service::of(&mut serve));
        let mut round = 0;
        while !joining.is_finished() || round < 5 {
            round += 1;
            let change = Change::cutover().waiting(AMPLE_MS);
            let written = clients[0].change(MAIN, change).await;
            assert_eq!(written["receipt"]["status"], "all", "{written:#}");
            let revision = written["revision"].as_u64().expect("a revision");
            assert_nobody_is_behind(&clients, revision).await;
        }
        let service = joining.await.expect("a service");
        let newcomer = service.client(&cluster.token);
        assert_eq!(newcomer.is_ready().await, Some(true));
        clients.push(newcomer);
        services.push(service);
    }
}

#[tokio::test]
async fn an_operator_who_waits_is_told_who_has_the_change_and_by_the_exit_code_whether_all_do() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let client = a.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let ids = until_known(&client, 2).await;
    let weight = async |percent: &str, wait: &str| {
        let mut weight = cluster.operator(&a);
        weight.args(["weight", MAIN, percent, wait, "--reason", "a test"]);
        let output = spawn_blocking(move || weight.output().expect("an end"));
        let output = tokio::time::timeout(PATIENCE, output).await;
        output.expect("an end in time").expect("its output")
    };

    let all = weight("5", "--wait=10000").await;
    let said = String::from_utf8_lossy(&all.stdout).into_owned();
    assert_eq!(all.status.code(), Some(0), "{all:?}");
    for id in &ids {
        let id = id.as_str().expect("an id");
        let line = said.lines().find(|line| line.contains(id));
        let line = line.unwrap_or_else(|| panic!("{id} in {said}"));
        assert!(line.contains("ms at the most"), "{line}");
    }

    b.process.send(Signal::SIGSTOP);
    let some = weight("6", "--wait=2000").await;
    b.process.send(Signal::SIGCONT);
    assert_eq!(some.status.code(), Some(7), "{some:?}");
    let errors = String::from_utf8_lossy(&some.stderr);
    assert!(errors.contains("the change is made"), "{errors}");
    assert!(
        ids.iter()
            .any(|id| errors.contains(id.as_str().expect("an id"))),
        "{errors}"
    );
    assert_eq!(client.show(MAIN).await["weight"], 6);
}
