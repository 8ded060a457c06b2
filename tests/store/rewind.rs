//! Journals that lost their end: refused at once, recovered by a person, followed again by everybody.

use jiff::Timestamp;
use traffic_cop::clock::Clock as _;
use traffic_cop::control::WriteError;
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::slot::Slot;
use traffic_cop::replica::follower::Follower;
use traffic_cop::replica::saved::Saved;
use traffic_cop::replica::{CatchUpError, JournalFault};
use traffic_cop::store::heartbeats::Presence;
use traffic_cop::store::record::{Bridge, Entry, JOURNAL};
use traffic_cop::store::recover::{Memory, Recovery};

use crate::chronicle::soon;
use crate::support::engine::cases;
use crate::support::tables::ROWS;
use crate::support::{Ask, Fault, Process, World, asked, commands};

cases![
    an_emptied_journal_is_refused_and_calls_are_still_served,
    a_rewound_journal_is_refused_and_calls_are_still_served,
    a_journal_that_goes_on_differently_is_refused,
    a_journal_with_a_hole_is_refused_by_those_who_need_it,
    a_fresh_process_refuses_a_journal_that_its_rows_go_beyond,
    a_write_is_refused_while_a_live_replica_knows_more,
    a_replica_that_stopped_long_ago_holds_up_nobody,
    heartbeats_that_cannot_be_read_hold_up_nobody,
    nothing_is_recovered_of_a_journal_that_lost_nothing,
    an_emptied_journal_is_recovered_from_its_rows,
    a_rewound_journal_is_followed_from_both_sides_of_the_gap,
    what_only_a_file_knows_is_recovered,
    a_state_that_can_be_read_is_recovered_from_an_older_file,
    a_state_that_cannot_be_read_is_not_recovered_if_an_older_one_can,
    an_interrupted_recovery_is_run_again,
    nobody_writes_while_a_recovery_is_under_way,
    a_journal_is_recovered_twice,
    nothing_is_made_of_a_journal_that_nobody_knows_anything_of,
    a_heartbeat_that_comes_in_meanwhile_refuses_no_write,
    a_recovery_leaves_a_tampered_record_out,
    a_deleted_environment_stays_deleted,
];

const NAME: &str = "Main_IVR";

fn is_refused(outcome: &Result<impl Sized, WriteError>) -> bool {
    matches!(outcome, Err(WriteError::Journal(_)))
}

async fn fault(process: &Process) -> JournalFault {
    match process.replica.catch_up().await {
        Err(CatchUpError::Journal(fault)) => fault,
        other => panic!("the journal is followed: {other:?}"),
    }
}

async fn recover(world: &World, memories: Vec<Memory>) -> Recovery {
    let actor = "somebody".parse().expect("an actor");
    let reason = "the table was restored".parse().expect("a reason");
    let recovered = world
        .store
        .recover(memories, &actor, &reason, Timestamp::UNIX_EPOCH)
        .await;
    recovered.expect("a recovery")
}

/// Fails unless `process` follows the journal and serves `revision` of `name`.
async fn assert_follows(process: &Process, name: &str, revision: u64) {
    process.catch_up().await;
    assert_eq!(process.replica.fault(), None);
    assert_eq!(process.revision(name), revision, "{name}");
}

async fn an_emptied_journal_is_refused_and_calls_are_still_served(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.cutover(NAME).await;
    let served = process.serves(NAME).expect("it is served");
    world.tables.rewind(0).await;
    for _ in 0..2 {
        let refused = process.tries(NAME, commands::rollback()).await;
        assert!(is_refused(&refused), "{refused:?}");
        assert_eq!(
            process.replica.fault(),
            Some(JournalFault::Rewound(Sequence(3)))
        );
        let after = process.serves(NAME).expect("it is served still");
        assert_eq!(after.environment, served.environment);
    }
    let alarm = "traffic_cop_alarm{condition=\"journal_rewound\"} 1";
    assert!(process.metrics.exposition().contains(alarm));
    assert_eq!(world.tables.partition(JOURNAL).await.len(), 0);
}

async fn a_rewound_journal_is_refused_and_calls_are_still_served(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let last = world.tables.entry(2).await;
    world.tables.rewind(1).await;
    assert_eq!(fault(&process).await, JournalFault::Rewound(Sequence(2)));
    let refused = process.tries(NAME, commands::cutover()).await;
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(process.revision(NAME), 2);
    // It was somebody's mistake, and is put right.
    world.tables.put(last).await;
    process.cutover(NAME).await;
    assert_eq!(process.replica.fault(), None);
    world.assert_sound().await;
}

async fn a_journal_that_goes_on_differently_is_refused(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let before = world.tables.record(1).await;
    world.tables.rewind(1).await;
    let mut other = before.change.clone();
    (other.revision, other.previous) = (Revision(2), Sequence(1));
    other.operation.0[0] ^= 0xff;
    let position = Entry::Record(Box::new(before)).position();
    let outcome = world.store.commit(other, &position, soon()).await;
    outcome.expect("a commit");
    assert_eq!(fault(&process).await, JournalFault::Rewound(Sequence(2)));
    let refused = process.tries(NAME, commands::cutover()).await;
    assert!(is_refused(&refused), "{refused:?}");
}

async fn a_journal_with_a_hole_is_refused_by_those_who_need_it(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    process.create_with_candidate(NAME).await;
    lagging.catch_up().await;
    process.cutover(NAME).await;
    process.roll_back(NAME).await;
    world.tables.drop_entry(3).await;
    assert!(matches!(fault(&lagging).await, JournalFault::Gap(_)));
    assert_eq!(lagging.revision(NAME), 2);
    let refused = lagging.tries(NAME, commands::cutover()).await;
    assert!(is_refused(&refused), "{refused:?}");
    // Those past it go on, and a fresh one starts behind it.
    process.cutover(NAME).await;
    assert_follows(&world.process().await, NAME, 5).await;
}

async fn a_fresh_process_refuses_a_journal_that_its_rows_go_beyond(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.cutover(NAME).await;
    for left in [2, 0] {
        world.tables.rewind(left).await;
        let fresh = world.newcomer().await;
        // It may load what the rows say before it finds out.
        let _ = fresh.replica.catch_up().await;
        for command in [commands::rollback(), commands::create()] {
            let refused = fresh.tries(NAME, command).await;
            assert!(is_refused(&refused), "{left} left: {refused:?}");
        }
        assert_eq!(fresh.active(NAME), Slot::Green, "calls are served");
        assert_eq!(
            fresh.replica.fault(),
            Some(JournalFault::Rewound(Sequence(3)))
        );
    }
    assert_eq!(world.tables.partition(JOURNAL).await.len(), 0);
}

async fn a_write_is_refused_while_a_live_replica_knows_more(world: &mut World) {
    let ahead = world.process().await;
    ahead.create_with_candidate(NAME).await;
    ahead.cutover(NAME).await;
    ahead.beat().await;
    // The table is restored as it was before the cutover, rows and all.
    world.tables.rewind(2).await;
    world.tables.remove(ROWS, NAME).await;
    let second = world.tables.record(2).await;
    let finish = traffic_cop::store::row::RowUpdate::Finish(Box::new(second));
    world.store.update_row(&finish).await.expect("a row");
    let fresh = world.process().await;
    fresh.beat().await;
    assert_follows(&fresh, NAME, 2).await;
    let refused = fresh.tries(NAME, commands::weight("5")).await;
    assert!(
        matches!(
            refused,
            Err(WriteError::Journal(JournalFault::BehindPeers {
                named: Sequence(3),
                end: Sequence(2)
            }))
        ),
        "{refused:?}"
    );
    assert_eq!(fresh.revision(NAME), 2, "calls are served");
    // Once it has been silent for long enough, a person will have looked.
    world.clock.advance(std::time::Duration::from_secs(6));
    fresh.beat().await;
    fresh.set_weight(NAME, "5").await;
}

async fn a_replica_that_stopped_long_ago_holds_up_nobody(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let gone = world.process().await;
    gone.beat().await;
    for _ in 1..=4 {
        process.beat().await;
        world.clock.advance(std::time::Duration::from_secs(2));
    }
    process.beat().await;
    let now = world.clock.monotonic();
    let presences: Vec<_> = process
        .replica
        .peers()
        .iter()
        .map(|peer| peer.presence(now))
        .collect();
    assert_eq!(
        presences,
        [Presence::Live, Presence::Silent],
        "in the order of their starts"
    );
    process.cutover(NAME).await;
}

async fn heartbeats_that_cannot_be_read_hold_up_nobody(world: &mut World) {
    let proxy = world.proxy().await;
    proxy.fail(Ask::Heartbeat, Fault::ServerError, usize::MAX);
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    process.replica.beat().await.expect_err("no answer");
    process.replica.look_around().await.expect_err("no answer");
    process.cutover(NAME).await;
}

async fn nothing_is_recovered_of_a_journal_that_lost_nothing(world: &mut World) {
    let process = world.process().await;
    process.beat().await;
    assert_eq!(
        recover(world, vec![]).await,
        Recovery::NothingLost { head: Sequence(0) }
    );
    process.create_with_candidate(NAME).await;
    process.beat().await;
    for _ in 0..2 {
        assert_eq!(
            recover(world, vec![]).await,
            Recovery::NothingLost { head: Sequence(2) }
        );
    }
    assert_eq!(world.verification().await.head, Sequence(2));
}

async fn an_emptied_journal_is_recovered_from_its_rows(world: &mut World) {
    let process = world.process().await;
    for name in ["A", "B", "C"] {
        process.create_with_candidate(name).await;
    }
    process.cutover("B").await;
    let create = commands::create_token("pipeline", 5);
    let created = process.change_access(create, asked()).await;
    created.expect("a commit");
    world.tables.rewind(0).await;
    assert!(matches!(fault(&process).await, JournalFault::Rewound(_)));
    let Recovery::Recovered { bridge, aggregates } = recover(world, vec![]).await else {
        panic!("something was lost")
    };
    assert_eq!(bridge, Sequence(1));
    let revisions: Vec<_> = aggregates
        .iter()
        .map(|(key, revision)| (key.to_string(), revision.0))
        .collect();
    let expected = [
        ("environment/A", 3),
        ("environment/B", 4),
        ("environment/C", 3),
        ("access", 2),
    ];
    assert_eq!(
        revisions,
        expected.map(|(key, revision)| (key.to_owned(), revision))
    );
    world.assert_sound().await;
    for process in [&process, &world.process().await] {
        assert_follows(process, "A", 3).await;
        assert_follows(process, "B", 4).await;
        assert_eq!(process.active("B"), Slot::Green);
        assert!(process.lets_in("pipeline"));
    }
    process.roll_back("B").await;
    world.process().await.cutover("A").await;
    world.assert_sound().await;
}

/// One replica remembers what was lost, one lags behind the loss, one was asleep far behind, one is new.
async fn a_rewound_journal_is_followed_from_both_sides_of_the_gap(world: &mut World) {
    let behind = world.process().await;
    let ahead = world.process().await;
    ahead.create_with_candidate(NAME).await;
    behind.catch_up().await;
    ahead.create_with_candidate("Other").await;
    let at_the_cut = world.process().await;
    ahead.cutover(NAME).await;
    ahead.create("Lost").await;
    ahead.beat().await;
    // The journal is restored to its fourth entry, the rows are as they were at the end.
    world.tables.rewind(4).await;
    assert!(matches!(fault(&ahead).await, JournalFault::Rewound(_)));
    let Recovery::Recovered { bridge, .. } = recover(world, vec![]).await else {
        panic!("something was lost")
    };
    assert_eq!(bridge, Sequence(5));
    let landing = world.verification().await.head;
    assert!(
        landing > Sequence(6),
        "beyond every entry that anybody knows"
    );
    for process in [&ahead, &behind, &at_the_cut, &world.process().await] {
        assert_follows(process, NAME, 4).await;
        assert_follows(process, "Lost", 2).await;
        assert_follows(process, "Other", 3).await;
        assert_eq!(process.active(NAME), Slot::Green);
    }
    let mut revision = 4;
    for process in [&ahead, &behind, &at_the_cut, &world.process().await] {
        revision += 1;
        assert_eq!(process.cutover(NAME).await, Revision(revision));
    }
    world.assert_sound().await;
}

/// What `process` has in its last-good file.
fn memory(process: &Process) -> Memory {
    let saved = process.replica.look(Follower::save).expect("it has loaded");
    let read = Saved::from_bytes(&saved.to_bytes()).expect("a file");
    read.remember().expect("states that can be read")
}

/// Two revisions that no table knows any more, in the file of a replica.
async fn what_only_a_file_knows_is_recovered(world: &mut World) {
    let ahead = world.process().await;
    ahead.create_with_candidate(NAME).await;
    let behind = memory(&ahead);
    ahead.cutover(NAME).await;
    ahead.set_weight(NAME, "5").await;
    let expected = ahead
        .serves(NAME)
        .expect("it is served")
        .environment
        .clone();
    world.tables.rewind(2).await;
    world.tables.remove(ROWS, NAME).await;
    let memories = vec![behind.clone(), memory(&ahead), behind];
    let recovered = recover(world, memories).await;
    assert!(
        matches!(&recovered, Recovery::Recovered { aggregates, .. } if aggregates[0].1 == Revision(5)),
        "{recovered:?}"
    );
    for process in [&ahead, &world.process().await] {
        assert_follows(process, NAME, 5).await;
        let served = process.serves(NAME).expect("served");
        assert_eq!(served.environment, expected);
    }
    ahead.roll_back(NAME).await;
    world.assert_sound().await;
}

/// Everything is gone, and of the two files the newer one is of a replica that could not read the last record.
async fn a_state_that_can_be_read_is_recovered_from_an_older_file(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.cutover(NAME).await;
    let good = process
        .serves(NAME)
        .expect("it is served")
        .environment
        .clone();
    let position = process.position_to_write_at();
    let mut draft = world.tables.record(position.last.0).await.change;
    (draft.revision, draft.previous) = (Revision(4), position.last);
    draft.state = b"{".to_vec();
    world.tables.put(draft.at(&position).to_item()).await;
    process.catch_up().await;
    assert!(process.serves(NAME).expect("served").fault.is_some());
    let remembered = memory(&process);
    world.tables.rewind(0).await;
    world.tables.remove(ROWS, NAME).await;
    recover(world, vec![remembered]).await;
    for process in [&process, &world.process().await] {
        // Above the record that nobody could read.
        assert_follows(process, NAME, 5).await;
        let served = process.serves(NAME).expect("served");
        assert_eq!((&served.environment, &served.fault), (&good, &None));
    }
    world.assert_sound().await;
}

/// The row of a record that nobody can read has its state; the journal has an older one that can be read.
async fn a_state_that_cannot_be_read_is_not_recovered_if_an_older_one_can(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let good = process
        .serves(NAME)
        .expect("it is served")
        .environment
        .clone();
    let position = process.position_to_write_at();
    let mut draft = world.tables.record(position.last.0).await.change;
    (draft.revision, draft.previous) = (Revision(3), position.last);
    draft.state = b"{".to_vec();
    world.tables.put(draft.at(&position).to_item()).await;
    process.create("Other").await;
    world.tables.rewind(2).await;
    recover(world, vec![]).await;
    for process in [&process, &world.process().await] {
        assert_follows(process, NAME, 4).await;
        let served = process.serves(NAME).expect("served");
        assert_eq!((&served.environment, &served.fault), (&good, &None));
        assert_follows(process, "Other", 2).await;
    }
    world.assert_sound().await;
}

async fn an_interrupted_recovery_is_run_again(world: &mut World) {
    for records_written in 0..3_u8 {
        let names = ["A", "B", "C"].map(|name| format!("{name}{records_written}"));
        let (ahead, behind) = (world.process().await, world.process().await);
        for name in &names {
            ahead.create_with_candidate(name).await;
        }
        behind.catch_up().await;
        for name in &names {
            ahead.cutover(name).await;
        }
        let lost = ahead.position();
        world.tables.rewind(behind.position().0).await;
        // The bridge is there, then the first records. The next one is never put.
        let proxy = world.proxy().await;
        let puts = usize::from(records_written) + 1;
        for _ in 0..puts {
            proxy.fail(Ask::Commit, Fault::Pass, 1);
        }
        proxy.fail(Ask::Commit, Fault::Silence, usize::MAX);
        let store = world.store_behind(&proxy).await;
        let (actor, reason) = ("somebody".parse().unwrap(), "restored".parse().unwrap());
        tokio::select! {
            recovered = store.recover(vec![], &actor, &reason, Timestamp::UNIX_EPOCH) => {
                panic!("it was interrupted: {recovered:?}")
            }
            () = proxy.arrived(Ask::Commit, puts + 1) => {}
        }
        let fresh = world.newcomer().await;
        for process in [&ahead, &behind, &fresh] {
            for name in &names {
                let refused = process.tries(name, commands::weight("5")).await;
                assert!(is_refused(&refused), "{name}: {refused:?}");
            }
        }
        let again = recover(world, vec![]).await;
        assert!(matches!(again, Recovery::Recovered { .. }), "{again:?}");
        let fresh_again = world.process().await;
        for process in [&ahead, &behind, &fresh, &fresh_again] {
            process.catch_up().await;
            assert!(process.position() > lost);
            for name in &names {
                assert_eq!(process.active(name), Slot::Green, "{name}");
                assert!(process.revision(name) > 3, "{name}");
            }
        }
        let nothing = recover(world, vec![]).await;
        assert!(
            matches!(nothing, Recovery::NothingLost { .. }),
            "{nothing:?}"
        );
        ahead.roll_back(&names[0]).await;
        behind.roll_back(&names[2]).await;
        world.assert_sound().await;
    }
}

async fn nobody_writes_while_a_recovery_is_under_way(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let position = process.position_to_write_at();
    let bridge = Bridge::at(&position, Sequence(1_000));
    world.tables.put(bridge.to_item()).await;
    for process in [&process, &world.newcomer().await] {
        assert_eq!(fault(process).await, JournalFault::RecoveryUnderWay);
        let refused = process.tries(NAME, commands::cutover()).await;
        assert!(is_refused(&refused), "{refused:?}");
        assert_eq!(process.revision(NAME), 2, "calls are served");
    }
    let recovered = recover(world, vec![]).await;
    assert!(
        matches!(recovered, Recovery::Recovered { .. }),
        "{recovered:?}"
    );
    assert_follows(&process, NAME, 3).await;
    process.cutover(NAME).await;
    world.assert_sound().await;
}

/// One replica is there all the time, one sleeps through both.
async fn a_journal_is_recovered_twice(world: &mut World) {
    let (awake, asleep) = (world.process().await, world.process().await);
    awake.create_with_candidate(NAME).await;
    asleep.catch_up().await;
    for _ in 1..=2 {
        awake.cutover(NAME).await;
        awake.beat().await;
        // An entry before its end: the first time a cutover is lost, the second time all but a cutover.
        world.tables.rewind(2).await;
        let recovered = recover(world, vec![]).await;
        assert!(
            matches!(recovered, Recovery::Recovered { .. }),
            "{recovered:?}"
        );
        awake.catch_up().await;
    }
    let revision = awake.revision(NAME);
    assert_eq!(awake.active(NAME), Slot::Blue, "two cutovers");
    for process in [&asleep, &world.process().await] {
        assert_follows(process, NAME, revision).await;
        assert_eq!(process.active(NAME), Slot::Blue);
    }
    asleep.cutover(NAME).await;
    awake.roll_back(NAME).await;
    world.assert_sound().await;
}

async fn nothing_is_made_of_a_journal_that_nobody_knows_anything_of(world: &mut World) {
    let process = world.process().await;
    process.create(NAME).await;
    process.beat().await;
    world.tables.rewind(0).await;
    world.tables.remove(ROWS, NAME).await;
    let recovered = recover(world, vec![]).await;
    assert_eq!(recovered, Recovery::NothingLost { head: Sequence(0) });
    assert_eq!(world.tables.partition(JOURNAL).await.len(), 0);
}

/// What a live replica names may have been committed after the journal was read.
async fn a_heartbeat_that_comes_in_meanwhile_refuses_no_write(world: &mut World) {
    let other = world.process().await;
    other.create_with_candidate(NAME).await;
    let proxy = world.proxy().await;
    let writer = world.process_behind(&proxy).await;
    proxy.fail(Ask::Poll, Fault::HoldReply, 1);
    let (written, ()) = tokio::join!(writer.tries(NAME, commands::weight("5")), async {
        proxy.holds().await;
        other.create("Meanwhile").await;
        other.beat().await;
        writer.beat().await;
        proxy.release();
    });
    assert_eq!(written.expect("a commit").revision, Revision(3));
}

async fn a_recovery_leaves_a_tampered_record_out(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.cutover(NAME).await;
    world
        .tables
        .tamper(
            3,
            crate::support::tables::set("state", traffic_cop::store::item::bytes(b"?")),
        )
        .await;
    world.tables.remove(ROWS, NAME).await;
    process.beat().await;
    let recovered = recover(world, vec![]).await;
    // Nothing intact is above the journal's second record, so there is nothing to bring back.
    assert_eq!(recovered, Recovery::NothingLost { head: Sequence(3) });
}

async fn a_deleted_environment_stays_deleted(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    process.commits(NAME, commands::delete()).await;
    world.tables.rewind(2).await;
    recover(world, vec![]).await;
    for process in [&process, &world.process().await] {
        process.catch_up().await;
        assert!(process.serves(NAME).is_none());
        assert_eq!(process.tracked(NAME).revision, Revision(4));
    }
    assert_eq!(process.create(NAME).await, Revision(5));
    world.assert_sound().await;
}
