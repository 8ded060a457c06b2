//! What callers get from a process that starts, or goes on, without the store that it knew.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{Change, Client, MAIN};
use crate::world::{Cluster, Service, run, traffic_cop, until};

/// The slot, revision and source of an answer.
fn essence(answer: &Value) -> (&Value, &Value, &Value) {
    (&answer["Slot"], &answer["Revision"], &answer["Source"])
}

async fn until_live(client: &Client) {
    until("the journal is followed", async || {
        let answer = client.ask_for_decision(MAIN).await;
        (answer.json["Source"] == "live").then_some(())
    })
    .await;
}

pub(crate) async fn until_alarms(client: &Client, expected: &[&str]) {
    until(&format!("the alarms {expected:?}"), async || {
        (client.alarms().await == expected).then_some(())
    })
    .await;
}

/// How often the log of `service` tells that an alarm was raised or cleared.
fn told(service: &Service, what: &str, condition: &str) -> usize {
    let condition = format!("condition=\"{condition}\"");
    let log = service.process.errors();
    let lines = log.lines().filter(|line| line.contains(what));
    lines.filter(|line| line.contains(&condition)).count()
}

/// Writes a snapshot of what `service` knows to a file.
async fn export(cluster: &Cluster, service: &Service) -> String {
    let file = cluster.path("default.snapshot");
    let server = format!("http://{}", service.admin);
    let export = [
        "snapshot",
        "export",
        &file,
        "--server",
        &server,
        "--token-file",
    ];
    let said = run(traffic_cop().args(export).arg(cluster.path("token"))).await;
    assert!(said.contains(&file), "{said}");
    file
}

#[tokio::test]
async fn a_process_without_store_or_file_answers_from_the_default_snapshot() {
    let mut cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let default = export(&cluster, &service).await;
    client.change(MAIN, Change::cutover()).await;
    cluster.lose_store();

    let service = cluster.join_with("b", &["--default-snapshot", &default]);

    let client = service.client(&cluster.token);
    assert_eq!(client.is_ready().await, Some(true));
    let answer = client.decide(MAIN).await;
    assert_eq!(
        essence(&answer),
        (&json!("blue"), &json!(2), &json!("default"))
    );
    assert_eq!(client.show(MAIN).await["age_ms"], json!(null));
    until_alarms(&client, &["default_snapshot_in_use", "store_away"]).await;
    let refused = client.ask(MAIN, Change::weight(5)).await;
    assert_eq!(refused.status, 503);

    cluster.find_store();

    until_live(&client).await;
    let answer = client.decide(MAIN).await;
    assert_eq!(
        essence(&answer),
        (&json!("green"), &json!(3), &json!("live"))
    );
    until_alarms(&client, &[]).await;
    for condition in ["store_away", "default_snapshot_in_use"] {
        assert_eq!(told(&service, "alarm raised", condition), 1, "{condition}");
        assert_eq!(told(&service, "alarm cleared", condition), 1, "{condition}");
    }
    client.change(MAIN, Change::weight(5)).await;
    client.assert_journal_is_sound().await;
}

#[tokio::test]
async fn a_process_with_nothing_to_serve_stays_up_and_calls_no_token_unknown() {
    let mut cluster = Cluster::start().await;
    let service = cluster.join("a");
    service
        .client(&cluster.token)
        .create_with_candidate(MAIN)
        .await;
    let damaged = export(&cluster, &service).await;
    let mut bytes = std::fs::read(&damaged).expect("a snapshot");
    bytes[100] ^= 1;
    std::fs::write(&damaged, bytes).expect("a file to damage");
    cluster.lose_store();

    let service = cluster.join_with("b", &["--default-snapshot", &damaged]);

    let client = service.client(&cluster.token);
    assert_eq!(client.is_ready().await, Some(false));
    let stranger = service.client("tc_unknown");
    for answer in [
        client.ask_for_decision(MAIN).await,
        stranger.ask_for_decision(MAIN).await,
        client.decide_as_stranger(MAIN).await,
    ] {
        assert_eq!(
            (answer.status.as_u16(), &answer.json["type"]),
            (503, &json!("urn:traffic-cop:problem:not-ready"))
        );
    }
    until_alarms(&client, &["default_snapshot_unusable", "store_away"]).await;

    cluster.find_store();

    until_live(&client).await;
    assert_eq!(client.decide_as_stranger(MAIN).await.status, 401);
}

/// Writes weights until no answer comes, and tells the revision of each that was acknowledged.
async fn write(client: Client, acknowledged: watch::Sender<u64>) {
    for bps in 1.. {
        match client.try_change(MAIN, Change::weight(bps)).await {
            Ok(answer) if answer.status.is_success() => {
                acknowledged.send_replace(answer.revision());
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Store and process are killed at some moment in a stream of writes, in either order.
#[tokio::test]
async fn a_process_killed_at_any_moment_starts_no_lower_than_it_acknowledged() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await;
    cluster
        .join("other")
        .client(&cluster.token)
        .create_with_candidate(MAIN)
        .await;
    for round in 0..4 {
        let writes = random.random_range(1..30);
        let pause = Duration::from_micros(random.random_range(0..5_000));
        println!("seed {seed}, round {round}: killed after {writes} writes and {pause:?}");
        let service = cluster.join("a");
        let client = service.client(&cluster.token);
        until_live(&client).await;
        let before = client.decide(MAIN).await["Revision"]
            .as_u64()
            .expect("a revision");
        let (tell, mut acknowledged) = watch::channel(before);
        let writer = tokio::spawn(write(client, tell));
        let enough = |revision: &u64| *revision >= before + writes;
        acknowledged.wait_for(enough).await.expect("a writer");
        // Not to wait for anything: to hit a write at any of its stages.
        tokio::time::sleep(pause).await;
        if round % 2 == 0 {
            cluster.lose_store();
            service.kill().await;
        } else {
            service.kill().await;
            cluster.lose_store();
        }
        writer.await.expect("a writer that ends");
        let acknowledged = *acknowledged.borrow();

        let service = cluster.join("a");
        let client = service.client(&cluster.token);
        let answer = client.decide(MAIN).await;
        assert_eq!(answer["Source"], "last-good", "{answer}");
        let served = answer["Revision"].as_u64().expect("a revision");
        assert!(
            (acknowledged..=acknowledged + 1).contains(&served),
            "{served} is served, {acknowledged} was acknowledged"
        );
        cluster.find_store();
        until_live(&client).await;
        client.assert_journal_is_sound().await;
        service.stop().await;
    }
}

#[tokio::test]
async fn a_process_that_starts_while_the_store_hangs_serves_what_it_knows() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let acknowledged = client.change(MAIN, Change::cutover()).await;
    let default = export(&cluster, &service).await;
    service.kill().await;
    cluster.freeze_store();

    let (restarted, new) = (
        cluster.join("a"),
        cluster.join_with("b", &["--default-snapshot", &default]),
    );

    for (service, source) in [(&restarted, "last-good"), (&new, "default")] {
        let client = service.client(&cluster.token);
        let answer = client.decide(MAIN).await;
        assert_eq!(
            essence(&answer),
            (&json!("green"), &acknowledged["revision"], &json!(source))
        );
    }
}

#[tokio::test]
async fn an_emptied_table_costs_no_call_and_is_filled_again_from_a_file() {
    let mut cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let acknowledged = client.change(MAIN, Change::cutover()).await;
    let acknowledged = acknowledged["revision"].as_u64().expect("a revision");

    cluster.empty_store().await;

    until_alarms(&client, &["journal_rewound"]).await;
    let refused = client.ask(MAIN, Change::weight(5)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["type"]),
        (503, &json!("urn:traffic-cop:problem:journal-refused"))
    );
    // Also a restart goes on with what it knew.
    service.kill().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    let answer = client.decide(MAIN).await;
    assert_eq!(
        (&answer["Slot"], &answer["Revision"]),
        (&json!("green"), &json!(acknowledged))
    );
    until_alarms(&client, &["journal_rewound"]).await;

    let file = cluster.path("a/last-good.json");
    let recover = [
        "journal",
        "recover",
        "--yes",
        "--reason",
        "the table was emptied",
    ];
    let store = ["--endpoint-url", &cluster.url, "--from", &file];
    let said = run(traffic_cop().args(recover).args(store)).await;
    assert!(said.contains("environment/Main_IVR"), "{said}");

    until_live(&client).await;
    let answer = client.decide(MAIN).await;
    assert_eq!(
        (&answer["Slot"], &answer["Revision"]),
        (&json!("green"), &json!(acknowledged + 1))
    );
    until_alarms(&client, &[]).await;
    assert_eq!(told(&service, "alarm raised", "journal_rewound"), 1);
    assert_eq!(told(&service, "alarm cleared", "journal_rewound"), 1);
    let new = cluster.join("new");
    let new = new.client(&cluster.token);
    let next = new.change(MAIN, Change::weight(5)).await;
    assert_eq!(next["revision"], acknowledged + 2);
    new.assert_journal_is_sound().await;
}
