//! The audit from end to end: a server, a copy of its journal, and the proof of it without the server.

use nix::sys::signal::Signal;

use crate::client::{Change, MAIN};
use crate::world::{Cluster, failure_of, run, traffic_cop};

/// The heads that a log tells, the latest last.
fn heads(log: &str) -> Vec<&str> {
    let lines = log
        .lines()
        .filter(|line| line.contains("head of the journal"));
    let hashes = lines.filter_map(|line| line.rsplit_once("hash="));
    hashes.map(|(_, hash)| hash.trim()).collect()
}

#[tokio::test]
async fn a_copy_of_the_journal_is_proved_without_the_server_by_what_it_told() {
    let cluster = Cluster::start().await;
    let mut service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    client.change(MAIN, Change::cutover()).await;
    let copy = cluster.path("copy.jsonl");
    let exported = run(cluster.operator(&service).args(["audit", "export", &copy])).await;
    assert!(exported.contains("3 entries read"), "{exported}");
    service.process.send(Signal::SIGTERM);
    assert!(service.process.end().await.success());

    // Told when it began and when it ended; a minute is too long for a test.
    let log = service.process.errors();
    let heads = heads(&log);
    let last = heads.last().expect("a head");
    let verify = |head: &str| {
        let mut verify = traffic_cop();
        verify.args(["audit", "verify", &copy, "--head", head]);
        verify
    };
    let verified = run(&mut verify(last)).await;
    assert!(
        verified.contains(last) && verified.contains("everything is in order"),
        "{verified}"
    );

    let lines = std::fs::read_to_string(&copy).expect("the copy");
    let (kept, _) = lines.trim_end().rsplit_once('\n').expect("two lines");
    std::fs::write(&copy, format!("{kept}\n")).expect("a shorter copy");
    let failure = failure_of(&mut verify(last)).await;
    assert!(failure.contains("number of findings: 1"), "{failure}");
    let edited = lines.replacen("a test", "no test", 1);
    std::fs::write(&copy, edited).expect("an edited copy");
    let failure = failure_of(&mut verify(last)).await;
    assert!(failure.contains("not in order"), "{failure}");
}
