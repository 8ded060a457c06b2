//! What every engine must do for the journal, its rows, the heartbeats and the tables.

use jiff::Timestamp;
use tokio::task::JoinSet;
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::operation::Digest128;
use traffic_cop::domain::slot::Slot;
use traffic_cop::store::StoreError;
use traffic_cop::store::heartbeats::{Calls, Heartbeat, Tallies, Tally};
use traffic_cop::store::item::{Item, number, text};
use traffic_cop::store::journal::CommitError;
use traffic_cop::store::record::{Draft, Entry, JOURNAL, Position, Record, RecordHash, Recovered};
use traffic_cop::store::row::{Row, RowUpdate};
use traffic_cop::store::table::Creation;

use crate::chronicle::{Chronicle, draft, soon};
use crate::support::World;
use crate::support::engine::cases;
use crate::support::tables::ROWS;
use crate::support::world::until_answered;

cases![
    a_commit_reads_back_as_it_was_written,
    the_longest_texts_and_every_byte_survive,
    records_come_in_order_and_each_links_to_the_one_before,
    a_place_that_is_taken_supersedes_the_draft,
    the_same_operation_put_again_is_one_change,
    the_same_operation_with_another_request_is_superseded,
    of_many_drafts_for_one_place_exactly_one_is_committed,
    a_journal_of_several_pages_is_read_to_its_end,
    a_bounded_read_returns_at_least_what_is_asked_for,
    an_empty_journal_has_no_head_and_no_entries,
    an_item_that_is_no_entry_is_passed_over,
    a_row_shows_its_record_and_never_goes_back,
    a_barred_row_keeps_its_state_and_says_why,
    a_row_changed_by_hand_is_read_from_its_record,
    a_deleted_aggregate_keeps_a_row_that_says_so,
    the_row_of_an_aggregate_unknown_here_is_kept_apart,
    no_record_can_pass_its_row_off_as_another_ones,
    heartbeats_replace_each_other_and_are_all_read,
    a_heartbeat_of_an_older_binary_is_read,
    a_heartbeat_of_a_newer_binary_is_read,
    a_store_that_only_reads_control_writes_nothing_there,
    tables_are_made_once,
    missing_tables_are_named_and_refuse_every_request,
];

async fn a_store_that_only_reads_control_writes_nothing_there(world: &mut World) {
    let reading = world.store.clone().reading_control();
    let position = Position::default();
    let refused = reading.commit(draft("environment/Main_IVR"), &position, soon());
    let refused = refused.await;
    assert!(
        matches!(refused, Err(CommitError::Refused(_))),
        "{refused:?}"
    );
    let record = commit(world, draft("environment/Main_IVR"), &position).await;
    assert_eq!(record.sequence, Sequence(1), "the place is free");
    for update in [
        RowUpdate::Finish(Box::new(record.clone())),
        RowUpdate::Bar {
            record: Box::new(record),
            revision: Revision(1),
            fault: "changed".to_owned(),
        },
    ] {
        let refused = reading.update_row(&update).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(world.store.rows().await.expect("rows"), []);
    assert_eq!(
        reading
            .head()
            .await
            .expect("an answer")
            .map(|entry| entry.sequence()),
        Some(Sequence(1))
    );
}

async fn a_commit_reads_back_as_it_was_written(world: &mut World) {
    let record = commit(world, draft("environment/Main_IVR"), &Position::default()).await;
    assert_eq!(record.sequence, Sequence(1));
    assert_eq!(record.previous_hash, RecordHash::default());
    let stored = Entry::Record(Box::new(record));
    let read = world.store.entry(Sequence(1)).await.expect("an answer");
    assert_eq!(read.as_ref(), Some(&stored));
    assert_eq!(world.store.head().await.expect("an answer"), Some(stored));
    let beyond = world.store.entry(Sequence(2)).await.expect("an answer");
    assert_eq!(beyond, None);
}

async fn the_longest_texts_and_every_byte_survive(world: &mut World) {
    let longest = Draft {
        aggregate: format!("environment/{}", "x".repeat(64)).parse().unwrap(),
        revision: Revision(u64::MAX),
        previous: Sequence(u64::MAX),
        actor: "\u{1f6a6}".repeat(256).parse().unwrap(),
        reason: "\"ß\\ \u{1f6a6}".repeat(83).parse().unwrap(),
        action: "create".to_owned(),
        format: u32::MAX,
        row: Item::from([
            ("Empty".to_owned(), text("")),
            ("Traffic_Weight".to_owned(), number(0)),
        ]),
        state: (0..=255).collect::<Vec<u8>>().repeat(512),
        bridged_from: Some(Recovered {
            bridge: Sequence(u64::MAX),
            left: u64::MAX,
        }),
        ..draft("access")
    };
    let record = commit(world, longest, &Position::default()).await;
    let read = world.store.entry(Sequence(1)).await.expect("an answer");
    assert_eq!(read, Some(Entry::Record(Box::new(record))));
}

async fn records_come_in_order_and_each_links_to_the_one_before(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    for n in 1..=12_u8 {
        let aggregate = format!("environment/E{}", n % 3);
        chronicle.write(&aggregate, &[n]).await;
    }
    let entries = entries_from(world, 0).await;
    let mut position = Position::default();
    for (entry, n) in entries.iter().zip(1..) {
        let record = record(entry);
        assert!(record.is_intact);
        assert_eq!(record.change.state, [n]);
        assert_eq!(record.previous_hash, position.hash);
        assert_eq!(record.sequence, position.next);
        position = entry.position();
    }
    assert_eq!(entries.len(), 12);
    assert_eq!(position, chronicle.position);
    assert_eq!(entries_from(world, 9).await, entries[8..]);
    assert_eq!(entries_from(world, 13).await, []);
    world.assert_sound().await;
}

async fn a_place_that_is_taken_supersedes_the_draft(world: &mut World) {
    let first = commit(world, draft("environment/A"), &Position::default()).await;
    let outcome = world
        .store
        .commit(draft("environment/B"), &Position::default(), soon())
        .await;
    assert!(
        matches!(outcome, Err(CommitError::Superseded)),
        "{outcome:?}"
    );
    let entries = entries_from(world, 0).await;
    assert_eq!(entries, [Entry::Record(Box::new(first))]);
}

async fn the_same_operation_put_again_is_one_change(world: &mut World) {
    let first = draft("environment/A");
    let again = Draft {
        state: b"drawn anew".to_vec(),
        at: Timestamp::UNIX_EPOCH,
        ..first.clone()
    };
    let committed = commit(world, first, &Position::default()).await;
    let repeated = commit(world, again, &Position::default()).await;
    assert_eq!(repeated, committed, "what is stored counts");
    assert_eq!(entries_from(world, 0).await.len(), 1);
}

async fn the_same_operation_with_another_request_is_superseded(world: &mut World) {
    let first = draft("environment/A");
    let other = Draft {
        request: Digest128([8; 16]),
        ..first.clone()
    };
    commit(world, first, &Position::default()).await;
    let outcome = world
        .store
        .commit(other, &Position::default(), soon())
        .await;
    assert!(
        matches!(outcome, Err(CommitError::Superseded)),
        "{outcome:?}"
    );
}

async fn of_many_drafts_for_one_place_exactly_one_is_committed(world: &mut World) {
    for round in 0..3_u64 {
        let position = match world.store.head().await.expect("an answer") {
            Some(head) => head.position(),
            None => Position::default(),
        };
        let mut racers = JoinSet::new();
        for n in 0..32 {
            let store = world.store.clone();
            let draft = draft(&format!("environment/E{round}-{n}"));
            racers.spawn(async move { store.commit(draft, &position, soon()).await });
        }
        let outcomes = racers.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let lost = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(CommitError::Superseded)));
        assert_eq!(lost.count(), 31, "round {round}");
        let head = world.store.head().await.expect("an answer");
        assert_eq!(head, Some(Entry::Record(Box::new(winners[0].clone()))));
    }
}

async fn a_journal_of_several_pages_is_read_to_its_end(world: &mut World) {
    // A page ends at one megabyte; these are two and a half.
    let state = vec![b'x'; 250_000];
    let mut chronicle = Chronicle::new(&world.store);
    for n in 0..10 {
        chronicle.write(&format!("environment/E{n}"), &state).await;
    }
    let entries = entries_from(world, 1).await;
    let places: Vec<u64> = entries.iter().map(|entry| entry.sequence().0).collect();
    assert_eq!(places, (1..=10).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| record(entry).is_intact));
    let rows = until_answered(|| world.store.rows()).await;
    assert_eq!(rows.len(), 10);
    world.assert_sound().await;
}

async fn a_bounded_read_returns_at_least_what_is_asked_for(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    for n in 0..8_u8 {
        chronicle.commit("environment/A", &[n]).await;
    }
    for at_most in [1, 3, 8, 100] {
        let entries = world.store.entries_from(Sequence(2), at_most).await;
        let entries = entries.expect("an answer");
        assert!(entries.len() >= at_most.min(7), "{}", entries.len());
        assert_eq!(entries[0].sequence(), Sequence(2));
    }
}

async fn an_empty_journal_has_no_head_and_no_entries(world: &mut World) {
    assert_eq!(world.store.head().await.expect("an answer"), None);
    assert_eq!(entries_from(world, 0).await, []);
    assert_eq!(world.store.rows().await.expect("an answer"), []);
    let verification = world.verification().await;
    assert_eq!((verification.entries, verification.head), (0, Sequence(0)));
    assert_eq!(verification.findings, []);
}

async fn an_item_that_is_no_entry_is_passed_over(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    chronicle.write("environment/A", b"1").await;
    for sort in ["note", "00000000000000000001 ", "+0000000000000000001"] {
        let mut item = traffic_cop::store::item::key(JOURNAL, sort);
        item.insert("text".to_owned(), text("somebody left this here"));
        world.tables.put(item).await;
    }
    chronicle.write("environment/A", b"2").await;
    assert_eq!(entries_from(world, 0).await.len(), 2);
    world.assert_sound().await;
}

async fn a_row_shows_its_record_and_never_goes_back(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    let first = chronicle.commit("environment/A", b"1").await;
    let second = chronicle.commit("environment/A", b"2").await;
    for record in [&first, &second, &second, &first] {
        let finish = RowUpdate::Finish(Box::new(record.clone()));
        world.store.update_row(&finish).await.expect("a row");
    }
    let [row] = rows(world).await;
    assert_eq!(row.aggregate, second.change.aggregate);
    assert_eq!((row.revision, row.sequence), (Revision(2), Sequence(2)));
    assert_eq!(row.good_revision, Revision(2));
    assert_eq!(row.fault, None);
    assert_eq!(row.state.as_deref(), Some(&b"2"[..]));
    assert_eq!(row.attributes, second.change.row);
    // What people and other tools read.
    let item = world.tables.row("A").await;
    assert_eq!(item.get("Active_Slot"), Some(&text("blue")));
    assert_eq!(item.get("Revision"), Some(&number(2)));
    assert_eq!(item.get("Sequence"), Some(&number(2)));
    world.assert_sound().await;
}

async fn a_barred_row_keeps_its_state_and_says_why(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    chronicle.write("environment/A", b"1").await;
    for revision in [2, 3] {
        let record = Box::new(chronicle.commit("environment/A", b"changed").await);
        let revision = Revision(revision);
        for _ in 0..2 {
            let bar = RowUpdate::Bar {
                record: record.clone(),
                revision,
                fault: "a test".to_owned(),
            };
            world.store.update_row(&bar).await.expect("a row");
        }
        let [row] = rows(world).await;
        assert_eq!((row.revision, row.good_revision), (revision, Revision(1)));
        assert_eq!(row.sequence, record.sequence);
        assert_eq!(row.state.as_deref(), Some(&b"1"[..]));
        assert_eq!(row.fault.as_deref(), Some("a test"));
    }
    chronicle.write("environment/A", b"healed").await;
    let [row] = rows(world).await;
    assert_eq!(
        (row.revision, row.good_revision),
        (Revision(4), Revision(4))
    );
    assert_eq!(row.fault, None);
    assert_eq!(row.state.as_deref(), Some(&b"healed"[..]));
}

async fn a_row_changed_by_hand_is_read_from_its_record(world: &mut World) {
    Chronicle::new(&world.store)
        .write("environment/A", b"1")
        .await;
    let mut item = world.tables.row("A").await;
    item.insert(
        "State".to_owned(),
        traffic_cop::store::item::bytes(b"edited"),
    );
    world.tables.put(item).await;
    let [row] = rows(world).await;
    assert_eq!(row.state.as_deref(), Some(&b"1"[..]));
    assert_eq!(row.sequence, Sequence(1));
    assert!(row.is_damaged);
}

async fn a_deleted_aggregate_keeps_a_row_that_says_so(world: &mut World) {
    let process = world.process().await;
    process.create("A").await;
    process
        .commits("A", crate::support::commands::delete())
        .await;
    let item = world.tables.row("A").await;
    assert!(item["Deleted"].as_bool().expect("a truth value"));
    assert!(!item.contains_key("Active_Flow_ID"));
    assert_eq!(item.get("Revision"), Some(&number(2)));
    world.assert_sound().await;
}

async fn the_row_of_an_aggregate_unknown_here_is_kept_apart(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    chronicle.write("environment/A", b"1").await;
    chronicle.write("gadget", b"2").await;
    chronicle.write("webhook/17", b"3").await;
    let [row] = rows(world).await;
    assert_eq!(row.aggregate, "environment/A".parse().unwrap());
    assert!(world.tables.item("gadget", "gadget").await.is_some());
    assert!(world.tables.item("webhook", "17").await.is_some());
    world.assert_sound().await;
}

async fn no_record_can_pass_its_row_off_as_another_ones(world: &mut World) {
    let mut chronicle = Chronicle::new(&world.store);
    chronicle.write("environment/A", b"1").await;
    chronicle.write("access", b"2").await;
    let before = world.store.rows().await.expect("an answer");
    let foreign = [
        "Environment_State/A",
        "Environment_State",
        "access/A",
        "journal/00000000000000000009",
        "journal",
        "foreign/",
        "/foreign",
        "/",
    ];
    for (aggregate, state) in foreign.into_iter().zip(3_u8..) {
        chronicle.write(aggregate, &[state]).await;
    }
    assert_eq!(world.store.rows().await.expect("an answer"), before);
    assert_eq!(world.tables.partition(ROWS).await.len(), 1);
    let entries = world.tables.partition(JOURNAL).await;
    assert_eq!(entries.len(), 2 + foreign.len());
}

/// So many calls, now and an hour ago.
fn calls(count: u64) -> Calls {
    let mut calls = Calls::default();
    for (time, slot) in [("07:00:00", Slot::Blue), ("08:00:00", Slot::Green)] {
        let now = format!("2026-01-05T{time}Z").parse().expect("a time");
        calls.record(&"Main_IVR".parse().expect("a name"), slot, count, now);
    }
    calls
}

/// So many calls under one share.
fn tallies(count: u64) -> Tallies {
    let mut tallies = Tallies::default();
    let weight = "12.5".parse().expect("a weight");
    let mut tally = Tally::new(Slot::Blue, weight, Timestamp::UNIX_EPOCH);
    tally.calls.green = count;
    tallies.take(&"Main_IVR".parse().expect("a name"), tally);
    tallies
}

/// One that was written before heartbeats told of calls and of their end.
async fn a_heartbeat_of_an_older_binary_is_read(world: &mut World) {
    use traffic_cop::store::item::{key, number, text};
    let mut item = key("heartbeat", "old");
    for (name, value) in [
        ("beat", number(3)),
        ("sequence", number(9)),
        ("newest_format", number(1)),
        ("version", text("0.1.0")),
        ("started_at", text("2026-01-05T08:00:00Z")),
        ("expires_at", number(1_767_686_400)),
    ] {
        item.insert(name.to_owned(), value);
    }
    world.tables.put_evidence(item).await;
    let read = world.store.heartbeats().await.expect("an answer");
    assert_eq!(
        read,
        [Heartbeat {
            replica: "old".to_owned(),
            beat: 3,
            sequence: Sequence(9),
            newest_format: 1,
            version: "0.1.0".to_owned(),
            started_at: "2026-01-05T08:00:00Z".parse().expect("a time"),
            written_at: "2026-01-05T08:00:00Z".parse().expect("a time"),
            has_ended: false,
            calls: Calls::default(),
            tallies: None,
            alarms: Vec::new(),
        }]
    );
}

/// One whose members of later days cannot be read, beside members that nobody knows yet.
async fn a_heartbeat_of_a_newer_binary_is_read(world: &mut World) {
    use traffic_cop::store::item::text;
    let process = world.process().await;
    process.beat().await;
    let mut items = world.tables.evidence("heartbeat").await;
    let mut item = items.pop().expect("a heartbeat");
    item.insert("unheard_of".to_owned(), text("new"));
    item.insert("tallies".to_owned(), text("[1]"));
    world.tables.put_evidence(item).await;
    let read = world.store.heartbeats().await.expect("an answer");
    let [heartbeat] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!(heartbeat.replica, process.replica.id());
    assert_eq!(heartbeat.tallies, None);
}

async fn heartbeats_replace_each_other_and_are_all_read(world: &mut World) {
    let heartbeat = |replica: &str, beat| Heartbeat {
        replica: replica.to_owned(),
        beat,
        sequence: Sequence(beat * 10),
        newest_format: 1,
        version: "0.1.0".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
        written_at: "2026-01-05T08:00:00Z".parse().expect("a time"),
        has_ended: replica == "b" && beat == 2,
        calls: calls(beat),
        tallies: Some(tallies(beat)),
        alarms: ["webhooks", "of_a_newer_binary"].map(str::to_owned).into(),
    };
    // The last put is an early one that was long under way.
    let beats = [("a", 1), ("b", 1), ("a", 3), ("c", 1), ("b", 2), ("a", 2)];
    for (replica, beat) in beats {
        let heartbeat = heartbeat(replica, beat);
        world.store.beat(&heartbeat).await.expect("a beat");
    }
    let mut read = world.store.heartbeats().await.expect("an answer");
    read.sort_by(|a, b| a.replica.cmp(&b.replica));
    let last = [heartbeat("a", 3), heartbeat("b", 2), heartbeat("c", 1)];
    assert_eq!(read, last);
}

async fn tables_are_made_once(world: &mut World) {
    let endpoint = world.endpoint().clone();
    let again = world.store.create_tables().await.expect("an answer");
    let existed = [endpoint.control_table, endpoint.evidence_table].map(Creation::Existed);
    assert_eq!(again, existed);
    let missing = world.store.missing_tables().await.expect("an answer");
    assert_eq!(missing, Vec::<String>::new());
    world.tables.delete().await;
    while world.store.missing_tables().await.expect("an answer").len() < 2 {
        tokio::task::yield_now().await;
    }
    // Many at once: a deployment's processes may all be told to.
    let mut makers = JoinSet::new();
    for _ in 0..4 {
        let store = world.store.clone();
        makers.spawn(async move { store.create_tables().await });
    }
    let made = makers.join_all().await;
    let made: Vec<_> = made
        .into_iter()
        .map(|made| made.expect("an answer"))
        .collect();
    let by_one = made
        .iter()
        .flatten()
        .filter(|creation| matches!(creation, Creation::Created(_)));
    assert_eq!(by_one.count(), 2, "{made:?}");
    commit(world, draft("environment/A"), &Position::default()).await;
}

async fn missing_tables_are_named_and_refuse_every_request(world: &mut World) {
    world.tables.delete().await;
    let endpoint = world.endpoint().clone();
    let both = [endpoint.control_table, endpoint.evidence_table];
    while world.store.missing_tables().await.expect("an answer") != both {
        tokio::task::yield_now().await;
    }
    let is_missing = |error: &StoreError| matches!(error, StoreError::Refused { code, .. } if code == "ResourceNotFoundException");
    let error = world.store.head().await.expect_err("a refusal");
    assert!(is_missing(&error), "{error}");
    let error = world.store.rows().await.expect_err("a refusal");
    assert!(is_missing(&error), "{error}");
    let outcome = world
        .store
        .commit(draft("environment/A"), &Position::default(), soon())
        .await;
    assert!(
        matches!(&outcome, Err(CommitError::Refused(error)) if is_missing(error)),
        "{outcome:?}"
    );
}

async fn commit(world: &World, draft: Draft, position: &Position) -> Record {
    let outcome = world.store.commit(draft, position, soon()).await;
    outcome.expect("a commit")
}

async fn entries_from(world: &World, first: u64) -> Vec<Entry> {
    until_answered(|| world.store.entries_from(Sequence(first), usize::MAX)).await
}

async fn rows<const N: usize>(world: &World) -> [Row; N] {
    let rows = world.store.rows().await.expect("an answer");
    rows.try_into().expect("so many rows")
}

fn record(entry: &Entry) -> &Record {
    match entry {
        Entry::Record(record) => record,
        other => panic!("no record: {other:?}"),
    }
}
