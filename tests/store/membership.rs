//! How a replica joins the others, and how it tells them what it has.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use traffic_cop::control::Request;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::replica::last_good::{self, Files};
use traffic_cop::replica::receipt::Status;
use traffic_cop::replica::tasks;
use traffic_cop::store::format::NEWEST;
use traffic_cop::store::item::{number, text};
use traffic_cop::telemetry::OutcomeLabels;

use crate::support::engine::cases;
use crate::support::{Ask, Fault, Process, World, asked, commands};

cases![
    a_replica_registers_before_it_reads_the_journal,
    a_replica_that_cannot_register_joins_all_the_same,
    a_replica_that_joins_is_waited_for_until_it_has_what_was_committed_meanwhile,
    a_change_is_acknowledged_at_once_but_not_before_the_file_holds_it,
    a_replica_that_stops_says_so,
    writes_that_wait_share_their_looks_at_the_heartbeats,
    the_format_to_write_is_one_that_every_live_replica_can_read,
];

const NAME: &str = "Main_IVR";

/// Waits until `process`, looking, finds that `of` has acknowledged `sequence`.
async fn until_acknowledged(process: &Process, of: &Process, sequence: u64) {
    loop {
        process.replica.look_around().await.expect("heartbeats");
        let peers = process.replica.peers();
        let peer = peers
            .iter()
            .find(|peer| peer.heartbeat.replica == of.replica.id());
        if peer.is_some_and(|peer| peer.heartbeat.sequence >= Sequence(sequence)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn waiting(ms: u64) -> Request {
    Request {
        wait: Some(Duration::from_millis(ms)),
        ..asked()
    }
}

async fn a_replica_registers_before_it_reads_the_journal(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.newcomer_behind(&proxy).await;
    proxy.fail(Ask::Heartbeat, Fault::HoldReply, 1);
    let (joined, ()) = tokio::join!(process.replica.join(), async {
        proxy.holds().await;
        assert_eq!(proxy.count(Ask::Poll), 0);
        assert!(!process.replica.has_joined());
        proxy.release();
    });
    joined.expect("a journal to follow");
    assert!(process.replica.has_joined() && process.replica.is_ready());
}

async fn a_replica_that_cannot_register_joins_all_the_same(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.newcomer_behind(&proxy).await;
    proxy.fail(Ask::Heartbeat, Fault::ServerError, usize::MAX);
    process.join().await;
    assert!(process.replica.is_ready(), "calls matter more");
    proxy.fail_all(Fault::Refuse);
    let without_a_store = world.newcomer_behind(&proxy).await;
    without_a_store.replica.join().await.expect_err("no answer");
    assert!(!without_a_store.replica.has_joined());
}

/// The writer commits after the newcomer has registered and before it reads the journal.
async fn a_replica_that_joins_is_waited_for_until_it_has_what_was_committed_meanwhile(
    world: &mut World,
) {
    let writer = world.process().await;
    writer.create_with_candidate(NAME).await;
    let stop = CancellationToken::new();
    tokio::spawn(tasks::look(writer.replica.clone(), stop.clone()));
    let proxy = world.proxy().await;
    let newcomer = world.newcomer_behind(&proxy).await;
    proxy.fail(Ask::Heartbeat, Fault::HoldReply, 1);
    let (joined, answer) = tokio::join!(newcomer.replica.join(), async {
        proxy.holds().await;
        let answer = writer.ask(NAME, commands::cutover(), waiting(800)).await;
        proxy.release();
        answer
    });
    joined.expect("a journal to follow");
    let receipt = answer.expect("a commit").receipt.expect("a receipt");
    assert_eq!(receipt.status, Status::Unconfirmed, "{receipt:?}");
    assert_eq!(newcomer.revision(NAME), 3, "it has read what came before");
    newcomer.beat().await;
    let answer = writer
        .ask(
            NAME,
            commands::cutover_to(newcomer.active(NAME)),
            waiting(10_000),
        )
        .await;
    let receipt = answer.expect("nothing to do").receipt.expect("a receipt");
    assert_eq!(receipt.status, Status::All, "{receipt:?}");
    assert_eq!(receipt.replicas.len(), 2, "{receipt:?}");
    stop.cancel();
}

async fn a_change_is_acknowledged_at_once_but_not_before_the_file_holds_it(world: &mut World) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let writer = world.process().await;
    writer.create_with_candidate(NAME).await;
    let process = world.newcomer().await;
    process.replica.start_from(&files);
    process.catch_up().await;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(tasks::beat(process.replica.clone(), stop.clone()));
    until_acknowledged(&writer, &process, 0).await;
    let told = writer.replica.peers()[0].heartbeat.sequence;
    assert_eq!(told, Sequence(0), "no file holds it");
    let keeper = last_good::keep(process.replica.clone(), files.clone(), stop.clone());
    running.spawn(keeper);
    until_acknowledged(&writer, &process, 2).await;
    // Far more often than every two seconds, if there is something to say.
    let began = Instant::now();
    for sequence in 3..=7 {
        writer.cutover(NAME).await;
        process.catch_up().await;
        until_acknowledged(&writer, &process, sequence).await;
        assert!(files.read().expect("a file").position.last >= Sequence(sequence));
    }
    let beats = writer.replica.peers()[0].heartbeat.beat;
    let by_the_clock = 1 + began.elapsed().as_secs() / 2;
    assert!(beats >= 5 + by_the_clock, "{beats} heartbeats");
    stop.cancel();
    running.join_all().await;
}

async fn a_replica_that_stops_says_so(world: &mut World) {
    let process = world.process().await;
    let stop = CancellationToken::new();
    let beating = tokio::spawn(tasks::beat(process.replica.clone(), stop.clone()));
    until_acknowledged(&process, &process, 0).await;
    stop.cancel();
    beating.await.expect("an orderly end");
    process.replica.look_around().await.expect("heartbeats");
    assert!(process.replica.peers()[0].heartbeat.has_ended);
}

async fn writes_that_wait_share_their_looks_at_the_heartbeats(world: &mut World) {
    let writer = world.process().await;
    writer.create_with_candidate(NAME).await;
    let cut_off = world.process().await;
    cut_off.beat().await;
    writer.cutover(NAME).await;
    let stop = CancellationToken::new();
    let looking = tokio::spawn(tasks::look(writer.replica.clone(), stop.clone()));
    let looks = || {
        let outcome = OutcomeLabels { outcome: "read" };
        let looks = writer.metrics.heartbeats.get_or_create(&outcome).get();
        (looks, Instant::now())
    };
    let (before, began) = looks();
    let mut waits = JoinSet::new();
    for _ in 0..30 {
        let replica = writer.replica.clone();
        waits.spawn(async move {
            let wait = Duration::from_millis(500);
            replica.receipt(Sequence(3), Duration::ZERO, wait).await
        });
    }
    for receipt in waits.join_all().await {
        assert_eq!(receipt.status, Status::Unconfirmed);
    }
    let (after, ended) = looks();
    let most = 2 + (ended - began).as_millis() / 40;
    assert!(
        u128::from(after - before) <= most,
        "{before} to {after}, at most {most} more"
    );
    stop.cancel();
    looking.await.expect("an orderly end");
}

async fn the_format_to_write_is_one_that_every_live_replica_can_read(world: &mut World) {
    let process = world.process().await;
    let readable = || process.replica.readable_by_all();
    assert_eq!(readable(), None, "nobody has been seen yet");
    process.beat().await;
    assert_eq!(readable(), Some(NEWEST));
    let beat = async |replica: &str, beat: u64, format: u32| {
        let mut other = world.tables.evidence("heartbeat").await;
        let mut other = other.pop().expect("a heartbeat");
        other.insert("sk".to_owned(), text(replica));
        other.insert("beat".to_owned(), number(beat));
        other.insert("newest_format".to_owned(), number(format.into()));
        world.tables.put_evidence(other).await;
        process.beat().await;
    };
    beat("newer", 1, NEWEST + 1).await;
    assert_eq!(readable(), Some(NEWEST));
    beat("older", 1, NEWEST - 1).await;
    assert_eq!(readable(), Some(NEWEST - 1));
    // It falls silent, and the others go on.
    for second in 2..=9 {
        world.clock.advance(Duration::from_secs(1));
        beat("newer", second, NEWEST + 1).await;
    }
    assert_eq!(readable(), Some(NEWEST));
    // Heartbeats that cannot be read grow old.
    world.clock.advance(Duration::from_secs(7));
    assert_eq!(readable(), None);
}
