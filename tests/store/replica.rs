//! Following the journal: from the rows, from zero, from a file, and while others write.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use traffic_cop::clock::Clock as _;
use traffic_cop::domain::command::{AddFreeze, Command};
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::settings::SettingsCommand;
use traffic_cop::domain::slot::Slot;
use traffic_cop::replica::follower::Follower;
use traffic_cop::replica::last_good::{self, Files};
use traffic_cop::replica::tracked::Tracked;
use traffic_cop::replica::{Source, tasks};
use traffic_cop::store::format::Stored;
use traffic_cop::store::record::Bridge;
use traffic_cop::store::recover::Recovery;

use crate::chronicle::Chronicle;
use crate::support::engine::cases;
use crate::support::process::asked;
use crate::support::random::for_all;
use crate::support::{Ask, Fault, Process, World, commands};

cases![
    a_cold_start_equals_following_from_zero,
    a_replica_that_lags_by_several_pages_catches_up_in_one_go,
    a_poll_is_one_request,
    every_read_asks_for_the_latest,
    two_first_loads_at_once_are_one,
    a_replica_that_starts_while_others_write_misses_nothing,
    no_environment_ever_goes_back,
    a_replica_without_tables_stays_up_and_loads_once_they_are_there,
    a_restart_from_the_file_finishes_the_row_of_the_last_record,
    a_restart_from_the_file_in_the_middle_of_a_recovery_does_not_write,
    a_file_of_a_time_that_is_lost_is_refused_and_served,
    a_default_snapshot_is_served_until_the_journal_has_been_read,
    a_default_snapshot_never_makes_a_journal_look_rewound,
    a_default_snapshot_comes_after_everything_else,
    nothing_is_acknowledged_that_a_file_does_not_hold,
];

const NAME: &str = "Main_IVR";

/// What happens in a history.
#[derive(Debug, Clone)]
enum Event {
    /// A command, whatever comes of it.
    Change { environment: u8, command: Command },
    /// The same, by a writer that dies before it has written the row.
    LastChange { environment: u8, command: Command },
    /// A state that nobody can read.
    Poison { environment: u8 },
    /// A change of an aggregate that only newer binaries know.
    Foreign,
    /// One more token.
    Token,
    /// One more freeze window of the deployment, as long as there is room; long after everything else here.
    Freeze,
    /// The replica that lags reads on.
    CatchUp,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let environment = || 0..3_u8;
    let change = || (environment(), commands::any_command());
    let event = prop_oneof![
        12 => change().prop_map(|(environment, command)| Event::Change { environment, command }),
        2 => change().prop_map(|(environment, command)| Event::LastChange { environment, command }),
        1 => environment().prop_map(|environment| Event::Poison { environment }),
        1 => Just(Event::Foreign),
        1 => Just(Event::Token),
        1 => Just(Event::Freeze),
        2 => Just(Event::CatchUp),
    ];
    vec(event, 0..24)
}

/// Everything about an aggregate but the words for why it cannot be read.
fn essence<S: Stored + Debug>(tracked: &Tracked<S>) -> impl PartialEq + Debug + use<S> {
    (
        tracked.revision,
        tracked.sequence,
        tracked.good.clone(),
        tracked.fault.is_some(),
    )
}

fn assert_same(one: &Follower, other: &Follower) {
    assert_eq!(one.position, other.position);
    assert_eq!(essence(one.access()), essence(other.access()));
    assert_eq!(essence(one.settings()), essence(other.settings()));
    let environments = |follower: &Follower| {
        let environments = follower.environments();
        let all = environments.map(|(name, tracked)| (name.clone(), essence(tracked)));
        all.collect::<Vec<_>>()
    };
    assert_eq!(environments(one), environments(other));
}

async fn from_zero(world: &World) -> Follower {
    let mut follower = Follower::default();
    let entries = world.store.entries_from(Sequence(0), usize::MAX).await;
    for entry in entries.expect("an answer") {
        follower.follow(entry).expect("no gap");
    }
    follower
}

fn follower(process: &Process) -> Follower {
    let follower = process.replica.look(Follower::clone);
    follower.expect("it has loaded")
}

async fn a_cold_start_equals_following_from_zero(world: &mut World) {
    let world = &*world;
    let run = AtomicU32::new(0);
    let token = AtomicU32::new(0);
    for_all(12, &events(), async |events| {
        let run = run.fetch_add(1, Ordering::Relaxed);
        let name = |environment: u8| format!("E{run}-{environment}");
        let (process, lagging) = (world.process().await, world.process().await);
        for event in events {
            match event {
                Event::Change {
                    environment,
                    command,
                } => {
                    let _ = process.tries(&name(environment), command).await;
                }
                Event::LastChange {
                    environment,
                    command,
                } => {
                    let proxy = world.proxy().await;
                    let dying = world.process_behind(&proxy).await;
                    dying.replica.finish_last_row().await.expect("a row");
                    proxy.fail(Ask::Row, Fault::Refuse, usize::MAX);
                    let _ = dying.tries(&name(environment), command).await;
                }
                Event::Poison { environment } => {
                    poison(world, &process, &name(environment)).await;
                }
                Event::Foreign => foreign(world, &process).await,
                Event::Token => {
                    let n = token.fetch_add(1, Ordering::Relaxed);
                    let seed = u8::try_from(n % 256).expect("a byte");
                    let create = commands::create_token(&format!("t{n}"), seed);
                    let _ = process.change_access(create, asked()).await;
                }
                Event::Freeze => {
                    let start = world.clock.now() + Duration::from_secs(24 * 60 * 60);
                    let freeze = SettingsCommand::AddFreeze(AddFreeze {
                        start: Some(start),
                        end: start + Duration::from_secs(60 * 60),
                        reason: "a test".parse().expect("a reason"),
                    });
                    let _ = process.change_settings(freeze, asked()).await;
                }
                Event::CatchUp => drop(lagging.catch_up().await),
            }
        }
        process.catch_up().await;
        lagging.catch_up().await;
        let from_zero = from_zero(world).await;
        assert_same(&follower(&process), &from_zero);
        assert_same(&follower(&lagging), &from_zero);
        assert_same(&follower(&world.process().await), &from_zero);
        // And once more when the last row is finished, which a rewrite of it is not needed for.
        process.replica.finish_last_row().await.expect("a row");
        assert_same(&follower(&world.process().await), &from_zero);
    });
}

/// Puts a state that nobody can read on top of what there is of `name`, if there is anything.
async fn poison(world: &World, process: &Process, name: &str) {
    process.catch_up().await;
    let tracked = process.tracked(name);
    if tracked.sequence == Sequence(0) {
        return;
    }
    let mut draft = world.tables.record(tracked.sequence.0).await.change;
    (draft.revision, draft.previous) = (tracked.revision.next(), tracked.sequence);
    draft.operation.0 = rand::random();
    draft.state = b"nobody can read this".to_vec();
    put(world, process, draft).await;
}

async fn foreign(world: &World, process: &Process) {
    process.catch_up().await;
    put(world, process, crate::chronicle::draft("webhook/1")).await;
}

/// Commits what a binary without our checks would, after finishing the row before it.
async fn put(world: &World, process: &Process, draft: traffic_cop::store::record::Draft) {
    process.replica.finish_last_row().await.expect("a row");
    let position = process.position_to_write_at();
    let outcome = world
        .store
        .commit(draft, &position, crate::chronicle::soon());
    outcome.await.expect("a commit");
}

async fn a_replica_that_lags_by_several_pages_catches_up_in_one_go(world: &mut World) {
    let lagging = world.process().await;
    let state = vec![b'x'; 250_000];
    let mut chronicle = Chronicle::new(&world.store);
    for n in 0..10 {
        chronicle.write(&format!("webhook/{n}"), &state).await;
    }
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    assert_eq!(lagging.catch_up().await.last, Sequence(12));
    assert_eq!(lagging.revision(NAME), 2);
    lagging.cutover(NAME).await;
    world.assert_sound().await;
}

async fn a_poll_is_one_request(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    let other = world.process().await;
    let requests = || process.metrics.store_requests.get();
    for changes in 0..3 {
        for _ in 0..changes {
            other.cutover(NAME).await;
        }
        let before = (requests(), proxy.count(Ask::Poll));
        process.catch_up().await;
        assert_eq!(
            (requests(), proxy.count(Ask::Poll)),
            (before.0 + 1, before.1 + 1)
        );
    }
    // And a decision is none at all: it looks at what is there.
    let before = requests();
    assert_eq!(process.active(NAME), other.active(NAME));
    assert_eq!(requests(), before);
}

/// The engines here always give the latest, so that a read which forgets to ask for it would only fail on DynamoDB.
async fn every_read_asks_for_the_latest(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    proxy.fail(Ask::Commit, Fault::DropReply, 1);
    process.cutover(NAME).await;
    process.beat().await;
    world.process_behind(&proxy).await.roll_back(NAME).await;
    let store = world.store_behind(&proxy).await;
    store.verify(None).await.expect("a verification");
    let next = Sequence(
        store
            .head()
            .await
            .expect("an answer")
            .expect("an entry")
            .sequence()
            .0
            + 1,
    );
    for _ in 0..2 {
        assert!(!store.is_vacant(Sequence(1)).await.expect("an answer"));
        assert!(store.is_vacant(next).await.expect("an answer"));
        assert!(
            store
                .is_vacant(next)
                .await
                .expect("the same answer to the same request")
        );
    }
    world.tables.rewind(2).await;
    let (actor, reason) = ("somebody".parse().unwrap(), "restored".parse().unwrap());
    let now = jiff::Timestamp::UNIX_EPOCH;
    let recovered = store.recover(vec![], &actor, &reason, now).await;
    assert!(
        matches!(recovered, Ok(Recovery::Recovered { .. })),
        "{recovered:?}"
    );
    process.catch_up().await;
    assert_eq!(proxy.stale_reads(), Vec::<String>::new());
}

async fn two_first_loads_at_once_are_one(world: &mut World) {
    world.process().await.create_with_candidate(NAME).await;
    let process = world.newcomer().await;
    let mut loads = JoinSet::new();
    for _ in 0..8 {
        let process = process.clone();
        loads.spawn(async move { process.catch_up().await.last });
    }
    assert_eq!(loads.join_all().await, [Sequence(2); 8]);
    assert_eq!(process.cutover(NAME).await, Revision(3));
}

async fn a_replica_that_starts_while_others_write_misses_nothing(world: &mut World) {
    let writer = world.process().await;
    for n in 0..3 {
        writer.create_with_candidate(&format!("E{n}")).await;
    }
    let is_done = AtomicBool::new(false);
    let write = async {
        for n in 0..24 {
            writer.cutover(&format!("E{}", n % 3)).await;
        }
        is_done.store(true, Ordering::SeqCst);
    };
    let start = async {
        let mut started = Vec::new();
        while !is_done.load(Ordering::SeqCst) {
            started.push(world.process().await);
        }
        started
    };
    let ((), started) = tokio::join!(write, start);
    for process in &started {
        process.catch_up().await;
        assert_same(&follower(process), &follower(&writer));
        assert_eq!(process.replica.fault(), None);
    }
    world.assert_sound().await;
}

/// Polls, writes and repeated loads at once; whoever looks never sees a revision below one seen before.
async fn no_environment_ever_goes_back(world: &mut World) {
    let processes = [world.process().await, world.process().await];
    processes[0].create_with_candidate(NAME).await;
    processes[1].catch_up().await;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for process in &processes {
        for _ in 0..2 {
            tasks.spawn(tasks::poll(process.replica.clone(), stop.clone()));
        }
        let (process, stop) = (process.clone(), stop.clone());
        tasks.spawn(async move {
            let mut seen = 0;
            while !stop.is_cancelled() {
                let revision = process.revision(NAME);
                assert!(revision >= seen, "{revision} after {seen}");
                seen = revision;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut writers = JoinSet::new();
    for process in &processes {
        let process = process.clone();
        writers.spawn(async move {
            for _ in 0..15 {
                process.cutover(NAME).await;
            }
        });
    }
    writers.join_all().await;
    stop.cancel();
    tasks.join_all().await;
    for process in &processes {
        process.catch_up().await;
        assert_eq!(process.revision(NAME), 32);
    }
    world.assert_sound().await;
}

async fn a_replica_without_tables_stays_up_and_loads_once_they_are_there(world: &mut World) {
    world.tables.delete().await;
    while world.store.missing_tables().await.expect("an answer").len() < 2 {
        tokio::task::yield_now().await;
    }
    let process = world.newcomer().await;
    for _ in 0..2 {
        process.replica.catch_up().await.expect_err("no tables");
        assert!(process.replica.snapshot().is_none());
        process
            .tries(NAME, commands::create())
            .await
            .expect_err("no tables");
    }
    world.store.create_tables().await.expect("tables");
    process.catch_up().await;
    process.create(NAME).await;
}

/// A process that keeps a last-good file, and what stops it.
async fn a_process_with_a_file(
    world: &World,
    proxy: &crate::support::FaultProxy,
    files: &Files,
) -> (Process, CancellationToken) {
    let process = world.newcomer_behind(proxy).await;
    process.replica.start_from(files);
    let stop = CancellationToken::new();
    let keeper = last_good::keep(process.replica.clone(), files.clone(), stop.clone());
    tokio::spawn(keeper);
    process.catch_up().await;
    (process, stop)
}

async fn a_restart_from_the_file_finishes_the_row_of_the_last_record(world: &mut World) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let proxy = world.proxy().await;
    let (process, stop) = a_process_with_a_file(world, &proxy, &files).await;
    process.create_with_candidate(NAME).await;
    proxy.fail(Ask::Row, Fault::Refuse, usize::MAX);
    process.cutover(NAME).await;
    stop.cancel();
    drop(process);
    proxy.heal();
    // The file knows the record, but not that nobody has finished its row.
    let again = world.newcomer().await;
    assert!(again.replica.start_from(&files));
    assert_eq!(again.active(NAME), Slot::Green);
    again.replica.catch_up().await.expect("a journal to follow");
    again.replica.finish_last_row().await.expect("a row");
    let row = world.tables.row(NAME).await;
    assert_eq!(row["Sequence"].as_n().expect("a number"), "3");
}

async fn a_restart_from_the_file_in_the_middle_of_a_recovery_does_not_write(world: &mut World) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let proxy = world.proxy().await;
    let (process, stop) = a_process_with_a_file(world, &proxy, &files).await;
    process.create_with_candidate(NAME).await;
    let bridge = Bridge::at(&process.position_to_write_at(), Sequence(1_000));
    world.tables.put(bridge.to_item()).await;
    process.replica.catch_up().await.expect_err("a recovery");
    assert!(process.replica.until_saved(Sequence(3)).await);
    stop.cancel();
    let again = world.newcomer().await;
    assert!(again.replica.start_from(&files));
    again.replica.catch_up().await.expect_err("a recovery");
    again
        .tries(NAME, commands::cutover())
        .await
        .expect_err("a recovery");
    assert_eq!(again.revision(NAME), 2);
}

async fn a_file_of_a_time_that_is_lost_is_refused_and_served(world: &mut World) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let proxy = world.proxy().await;
    let (process, stop) = a_process_with_a_file(world, &proxy, &files).await;
    process.create_with_candidate(NAME).await;
    process.cutover(NAME).await;
    assert!(process.replica.until_saved(Sequence(3)).await);
    stop.cancel();
    world.tables.rewind(2).await;
    let again = world.newcomer().await;
    assert!(again.replica.start_from(&files));
    again
        .replica
        .catch_up()
        .await
        .expect_err("a rewound journal");
    again
        .tries(NAME, commands::rollback())
        .await
        .expect_err("a rewound journal");
    assert_eq!(again.active(NAME), Slot::Green);
}

fn source(process: &Process) -> Option<Source> {
    let snapshot = process.replica.snapshot();
    snapshot.as_ref().map(|snapshot| snapshot.source)
}

/// The last entry that `process` acknowledges in a heartbeat, as it reads in the table.
async fn acknowledged(process: &Process) -> Sequence {
    process.replica.beat().await.expect("a beat");
    process.replica.look_around().await.expect("heartbeats");
    let peers = process.replica.peers();
    let own = peers
        .iter()
        .find(|peer| peer.heartbeat.replica == process.replica.id());
    own.expect("a heartbeat").heartbeat.sequence
}

async fn a_default_snapshot_is_served_until_the_journal_has_been_read(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.create("Deleted_since").await;
    let default = follower(&process);
    process.commits("Deleted_since", commands::delete()).await;
    process.cutover(NAME).await;

    let fresh = world.newcomer().await;
    fresh.replica.serve_default(default);
    assert_eq!(source(&fresh), Some(Source::Default));
    assert_eq!(
        (fresh.active(NAME), fresh.revision("Deleted_since")),
        (Slot::Blue, 1)
    );
    let alarm = "traffic_cop_alarm{condition=\"default_snapshot_in_use\"}";
    assert!(fresh.metrics.exposition().contains(&format!("{alarm} 1")));
    assert!(!fresh.replica.validate().await);
    assert_eq!(
        acknowledged(&fresh).await,
        Sequence(0),
        "it has followed nothing"
    );

    fresh.catch_up().await;
    assert_eq!(source(&fresh), Some(Source::Live));
    assert_eq!((fresh.active(NAME), fresh.revision(NAME)), (Slot::Green, 3));
    assert!(
        fresh.serves("Deleted_since").is_none(),
        "nothing of the default stays"
    );
    assert!(fresh.metrics.exposition().contains(&format!("{alarm} 0")));
    assert_eq!(acknowledged(&fresh).await, Sequence(5));
    fresh.set_weight(NAME, "5").await;
}

/// It was exported from another deployment, further on, with other environments.
async fn a_default_snapshot_never_makes_a_journal_look_rewound(world: &mut World) {
    let elsewhere = World::start(world.engine).await;
    let other = elsewhere.process().await;
    for _ in 0..4 {
        other.create("Elsewhere").await;
        other.commits("Elsewhere", commands::delete()).await;
    }
    other.create_with_candidate(NAME).await;
    other.cutover(NAME).await;
    let default = follower(&other);
    elsewhere.tables.delete().await;

    world.process().await.create_with_candidate(NAME).await;
    let fresh = world.newcomer().await;
    fresh.replica.serve_default(default);
    assert_eq!((fresh.active(NAME), fresh.revision(NAME)), (Slot::Green, 3));
    fresh.catch_up().await;
    assert_eq!(fresh.replica.fault(), None);
    assert_eq!((fresh.active(NAME), fresh.revision(NAME)), (Slot::Blue, 2));
    fresh.cutover(NAME).await;
    world.assert_sound().await;
}

async fn a_default_snapshot_comes_after_everything_else(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let default = follower(&process);
    process.cutover(NAME).await;
    process.replica.serve_default(default.clone());
    assert_eq!(
        (source(&process), process.revision(NAME)),
        (Some(Source::Live), 3)
    );

    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    files.write(&follower(&process).save()).expect("a file");
    let restarted = world.newcomer().await;
    restarted.replica.start_from(&files);
    restarted.replica.serve_default(default);
    assert_eq!(
        (source(&restarted), restarted.revision(NAME)),
        (Some(Source::LastGood), 3)
    );
}

/// The disk breaks while the process runs.
async fn nothing_is_acknowledged_that_a_file_does_not_hold(world: &mut World) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let proxy = world.proxy().await;
    let (process, stop) = a_process_with_a_file(world, &proxy, &files).await;
    process.create_with_candidate(NAME).await;
    assert_eq!(acknowledged(&process).await, Sequence(2));

    drop(directory);
    process.cutover(NAME).await;
    assert_eq!(process.active(NAME), Slot::Green, "calls and writes go on");
    assert_eq!(acknowledged(&process).await, Sequence(2));
    let alarm = "traffic_cop_alarm{condition=\"last_good_file\"} 1";
    assert!(process.metrics.exposition().contains(alarm));
    stop.cancel();
}
