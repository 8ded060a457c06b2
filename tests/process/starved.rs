//! Processes whose machine gives out: no room on the disk, nowhere to write, no descriptors left, no turn on a processor. Calls are
//! answered all the same, and it shows.

use std::process::Command;

use serde_json::json;
use tokio::net::TcpStream;

use crate::client::{Change, MAIN};
use crate::receiver::{Receiver, SECRET};
use crate::stability::until_alarms;
use crate::world::{Cluster, Service, run, until};

/// What starts the same, under what a shell does before.
fn after(preparation: &str, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Sets a limit of a running process.
async fn limit(service: &Service, limit: &str) {
    let id = service.process.id().to_string();
    run(Command::new("prlimit").args(["--pid", &id, limit])).await;
}

#[tokio::test]
async fn a_full_disk_costs_no_call_and_no_change_and_is_told_until_there_is_room() {
    let cluster = Cluster::start().await;
    let mut command = after("trap '' XFSZ", &cluster.service("a"));
    let service = Service::of(&mut command);
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    until_alarms(&client, &[]).await;

    // No file grows any more, as on a disk without room.
    limit(&service, "--fsize=0:unlimited").await;
    let changed = client.change(MAIN, Change::cutover()).await;
    until_alarms(&client, &["last_good_file"]).await;
    let decided = client.decide_afresh(MAIN).await;
    assert_eq!(
        (&decided["Slot"], &decided["Revision"], &decided["Source"]),
        (&json!("green"), &changed["revision"], &json!("validated"))
    );

    limit(&service, "--fsize=unlimited").await;
    until_alarms(&client, &[]).await;
    service.kill().await;
    // What was written last is whole.
    let mut cluster = cluster;
    cluster.lose_store();
    let service = cluster.join("a");
    let decided = service.client(&cluster.token).decide(MAIN).await;
    assert_eq!(
        (&decided["Revision"], &decided["Source"]),
        (&changed["revision"], &json!("last-good"))
    );
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_costs_no_call() {
    let cluster = Cluster::start().await;
    let writer = cluster.join("a");
    writer
        .client(&cluster.token)
        .create_with_candidate(MAIN)
        .await;
    // An absolute path is where it says.
    let service = cluster.join("/proc/traffic-cop");
    let client = service.client(&cluster.token);
    until("a decision", async || {
        (client.is_ready().await == Some(true)).then_some(())
    })
    .await;
    client.change(MAIN, Change::cutover()).await;
    assert_eq!(client.decide_afresh(MAIN).await["Slot"], "green");
    assert_eq!(client.alarms().await, ["last_good_file"]);
    service.stop().await;
}

#[tokio::test]
async fn a_process_without_descriptors_goes_on_for_whoever_is_connected_and_recovers() {
    const DESCRIPTORS: usize = 64;
    let cluster = Cluster::start().await;
    let mut command = after(&format!("ulimit -n {DESCRIPTORS}"), &cluster.service("a"));
    let service = Service::of(&mut command);
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    client.decide(MAIN).await;

    let mut idle = Vec::new();
    for _ in 0..4 * DESCRIPTORS {
        // Those that are not taken in any more wait in the system's queue.
        idle.push(
            TcpStream::connect(service.decisions)
                .await
                .expect("a connection"),
        );
    }
    client.change(MAIN, Change::cutover()).await;
    assert_eq!(client.decide_afresh(MAIN).await["Slot"], "green");
    let rolled_back = client.change(MAIN, Change::rollback()).await;
    assert_eq!(rolled_back["state"]["active"], "blue", "{rolled_back:#}");

    drop(idle);
    // Over a connection of its own.
    let newcomer = service.client(&cluster.token);
    assert_eq!(newcomer.decide_afresh(MAIN).await["Slot"], "blue");
    service.stop().await;
}

/// It takes as long as a lease lasts: ten seconds.
#[tokio::test]
async fn a_leader_that_stands_still_is_followed_by_another_and_does_no_harm_when_it_goes_on() {
    const CHANGES: u64 = 20;
    let cluster = Cluster::start().await;
    let receiver = Receiver::start().await;
    let secrets = cluster.path("secrets.json");
    let text = json!({ "chat": SECRET }).to_string();
    std::fs::write(&secrets, text).expect("a file");
    let arguments = ["--webhook-secrets-file", &secrets];
    let leader = cluster.join_with("a", &arguments);
    let client = leader.client(&cluster.token);
    let mut add = cluster.operator(&leader);
    let url = receiver.url();
    add.args(["webhook", "add", "chat", "--url", &url, "--reason", "r"]);
    run(&mut add).await;
    client.create_with_candidate(MAIN).await;
    until("the first events", async || {
        (receiver.taken().len() >= 2).then_some(())
    })
    .await;
    let other = cluster.join_with("b", &arguments);
    let client = other.client(&cluster.token);

    leader.process.pause();
    for bps in 1..=CHANGES {
        client.change(MAIN, Change::weight(bps)).await;
    }
    let last = (3 + CHANGES).to_string();
    until("the events of the other", async || {
        receiver.taken().contains(&last).then_some(())
    })
    .await;

    leader.process.resume();
    for bps in 1..=CHANGES {
        client.change(MAIN, Change::weight(CHANGES + bps)).await;
    }
    let last = (3 + 2 * CHANGES).to_string();
    until("the rest of the events", async || {
        receiver.taken().contains(&last).then_some(())
    })
    .await;
    let mut seen = Vec::new();
    for id in receiver.taken() {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    let all: Vec<_> = (2..=3 + 2 * CHANGES).map(|id| id.to_string()).collect();
    assert_eq!(seen, all, "in order, and none is missing");
    client.assert_journal_is_sound().await;
}
