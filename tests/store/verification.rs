//! What `journal verify` finds, and that it finds nothing else.

use traffic_cop::domain::ids::Sequence;
use traffic_cop::store::audit;
use traffic_cop::store::item::{SORT_KEY, bytes, number, text};
use traffic_cop::store::record::{Bridge, Entry, Position, sort_key};
use traffic_cop::store::row::RowUpdate;
use traffic_cop::store::verify::Verification;

use crate::chronicle::{Chronicle, draft, soon};
use crate::support::World;
use crate::support::engine::cases;
use crate::support::tables::{ROWS, seal, set};

cases![
    a_healthy_journal_has_no_findings,
    an_edited_record_is_found,
    an_edited_record_with_a_new_hash_is_found_at_the_next,
    a_dropped_record_is_found,
    two_swapped_records_are_found,
    an_inserted_record_is_found,
    a_replaced_record_is_found_at_the_next,
    an_unreadable_record_is_found,
    a_cut_off_end_shows_in_the_hash_of_the_head,
    an_export_says_what_the_journal_says_page_after_page,
    a_forged_revision_or_link_is_found,
    a_changed_row_is_found,
    a_missing_row_is_found,
    a_row_left_behind_is_found_unless_its_record_is_the_last,
    a_row_of_an_aggregate_that_the_journal_does_not_know_is_found,
];

/// Ten records of three environments, the rows up to date.
async fn a_healthy_journal(world: &World) -> Chronicle {
    let mut chronicle = Chronicle::new(&world.store);
    for n in 1..=10_u8 {
        let aggregate = format!("environment/E{}", n % 3);
        chronicle.write(&aggregate, &[n]).await;
    }
    world.assert_sound().await;
    chronicle
}

/// The entries that have findings, in order, each once.
fn found(verification: &Verification) -> Vec<u64> {
    let mut found: Vec<_> = verification
        .findings
        .iter()
        .map(|finding| finding.sequence.0)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

async fn assert_found(world: &World, expected: &[u64]) {
    let verification = world.verification().await;
    assert_eq!(found(&verification), expected, "{verification:#?}");
}

async fn a_healthy_journal_has_no_findings(world: &mut World) {
    let chronicle = a_healthy_journal(world).await;
    let verification = world.verification().await;
    assert_eq!(verification.findings, []);
    assert_eq!(verification.entries, 10);
    assert_eq!(verification.head, Sequence(10));
    assert_eq!(verification.head_hash, chronicle.position.hash.to_string());
}

async fn an_edited_record_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    let edits = [
        ("reason", text("another reason")),
        ("actor", text("somebody else")),
        ("at", text("2020-01-01T00:00:00Z")),
        ("operation", text("00".repeat(16))),
        ("format", number(9)),
        ("added", text("more")),
    ];
    for (name, value) in edits {
        let before = world.tables.entry(4).await;
        world.tables.tamper(4, set(name, value)).await;
        assert_found(world, &[4]).await;
        world.tables.put(before).await;
    }
    // A changed state also is not what the row says, if the row is of that record.
    world.tables.tamper(4, set("state", bytes(b"edited"))).await;
    assert_found(world, &[4]).await;
    world
        .tables
        .tamper(10, set("state", bytes(b"edited")))
        .await;
    assert_found(world, &[4, 10]).await;
}

async fn an_edited_record_with_a_new_hash_is_found_at_the_next(world: &mut World) {
    a_healthy_journal(world).await;
    world
        .tables
        .tamper(4, |item| {
            item.insert("reason".to_owned(), text("another reason"));
            seal(item);
        })
        .await;
    assert_found(world, &[5]).await;
}

async fn a_dropped_record_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    world.tables.drop_entry(5).await;
    // The next entry does not follow; the next of the same environment names it.
    assert_found(world, &[6, 8]).await;
}

async fn two_swapped_records_are_found(world: &mut World) {
    a_healthy_journal(world).await;
    let (mut first, mut second) = (world.tables.entry(4).await, world.tables.entry(5).await);
    first.insert(SORT_KEY.to_owned(), text(sort_key(Sequence(5))));
    second.insert(SORT_KEY.to_owned(), text(sort_key(Sequence(4))));
    world.tables.put(first.clone()).await;
    world.tables.put(second.clone()).await;
    let verification = world.verification().await;
    assert!(
        found(&verification).starts_with(&[4, 5]),
        "{verification:#?}"
    );
    // With new hashes the order is still not the one they were written in.
    seal(&mut first);
    seal(&mut second);
    world.tables.put(first).await;
    world.tables.put(second).await;
    let verification = world.verification().await;
    assert!(
        found(&verification).starts_with(&[4, 5]),
        "{verification:#?}"
    );
}

async fn an_inserted_record_is_found(world: &mut World) {
    let chronicle = a_healthy_journal(world).await;
    // Beyond the end, with a hash that fits: a record that nobody committed.
    let beyond = Position {
        next: Sequence(20),
        ..chronicle.position
    };
    let inserted = draft("environment/New").at(&beyond);
    world.tables.put(inserted.to_item()).await;
    let verification = world.verification().await;
    assert!(found(&verification).contains(&20), "{verification:#?}");
    // In the middle there is no free place: a second bridge to the rest makes one, and does not fit.
    world.tables.drop_entry(20).await;
    let fourth = world.tables.record(4).await;
    let bridge = Bridge::at(&Entry::Record(Box::new(fourth)).position(), Sequence(6));
    world.tables.put(bridge.to_item()).await;
    let verification = world.verification().await;
    assert!(found(&verification).contains(&6), "{verification:#?}");
}

async fn a_replaced_record_is_found_at_the_next(world: &mut World) {
    a_healthy_journal(world).await;
    let (before, replaced) = (world.tables.record(3).await, world.tables.record(4).await);
    let mut change = replaced.change;
    change.state = b"what somebody would like it to be".to_vec();
    let forged = change.at(&Entry::Record(Box::new(before)).position());
    world.tables.put(forged.to_item()).await;
    assert_found(world, &[5]).await;
}

async fn an_unreadable_record_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    world
        .tables
        .tamper(4, |item| {
            item.remove("actor");
        })
        .await;
    // It is of nobody now: the next of the same environment names it in vain, and goes two revisions ahead.
    assert_found(world, &[4, 7]).await;
}

async fn a_cut_off_end_shows_in_the_hash_of_the_head(world: &mut World) {
    a_healthy_journal(world).await;
    let before = world.verification().await;
    world.tables.rewind(9).await;
    let after = world.verification().await;
    assert_eq!(after.head, Sequence(9));
    assert_ne!(after.head_hash, before.head_hash);
    assert!(
        !after.findings.is_empty(),
        "the row says more than the journal"
    );
}

/// The journal as an export writes it.
async fn export(world: &World) -> String {
    let (mut journal, mut first) = (String::new(), Sequence(0));
    while let Some(page) = world.store.export_from(first).await.expect("a page") {
        assert!(page.next > first);
        (journal, first) = (journal + &page.lines, page.next);
    }
    journal
}

async fn an_export_says_what_the_journal_says_page_after_page(world: &mut World) {
    assert_eq!(export(world).await, "");
    let mut chronicle = a_healthy_journal(world).await;
    for n in 11..=140_u8 {
        chronicle.write("environment/E0", &[n]).await;
    }
    let head = chronicle.position.hash;
    let journal = export(world).await;
    let offline = audit::verify(journal.as_bytes(), Some(head)).expect("text in memory");
    assert_eq!(offline, world.verification().await);
    assert_eq!((offline.entries, offline.findings.len()), (140, 0));

    // What is wrong with the store's journal is wrong with its export.
    world.tables.tamper(4, set("actor", text("nobody"))).await;
    let journal = export(world).await;
    let offline = audit::verify(journal.as_bytes(), Some(head)).expect("text in memory");
    assert_eq!(found(&offline), [4]);

    let told = world
        .store
        .verify(Some(head))
        .await
        .expect("a verification");
    assert_eq!(found(&told), [4]);
    world.tables.rewind(139).await;
    let journal = export(world).await;
    let offline = audit::verify(journal.as_bytes(), Some(head)).expect("text in memory");
    assert_eq!(found(&offline), [4, 139]);
}

async fn a_forged_revision_or_link_is_found(world: &mut World) {
    let chronicle = a_healthy_journal(world).await;
    let mut wrong = draft("environment/E1");
    (wrong.revision.0, wrong.previous) = (7, Sequence(10));
    let outcome = world.store.commit(wrong, &chronicle.position, soon());
    let record = outcome.await.expect("a commit");
    let position = Entry::Record(Box::new(record.clone())).position();
    let finish = RowUpdate::Finish(Box::new(record));
    world.store.update_row(&finish).await.expect("a row");
    assert_found(world, &[11]).await;
    let mut wrong = draft("environment/E1");
    (wrong.revision.0, wrong.previous) = (8, Sequence(10));
    let outcome = world.store.commit(wrong, &position, soon()).await;
    outcome.expect("a commit");
    assert_found(world, &[11, 12]).await;
}

async fn a_changed_row_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    let edits = [
        ("State", bytes(b"edited")),
        ("State_Hash", bytes(b"edited")),
        ("Active_Slot", text("green")),
        ("Revision", number(40)),
        ("Added", text("more")),
    ];
    for (name, value) in edits {
        let before = world.tables.row("E1").await;
        let mut row = before.clone();
        row.insert(name.to_owned(), value);
        world.tables.put(row).await;
        assert_found(world, &[10]).await;
        world.tables.put(before).await;
    }
    world.assert_sound().await;
}

async fn a_missing_row_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    world.tables.remove(ROWS, "E2").await;
    assert_found(world, &[8]).await;
}

async fn a_row_left_behind_is_found_unless_its_record_is_the_last(world: &mut World) {
    let mut chronicle = a_healthy_journal(world).await;
    chronicle.commit("environment/E1", b"11").await;
    // Whoever commits next brings the row up to date, so this is as it should be.
    world.assert_sound().await;
    chronicle.write("environment/E2", b"12").await;
    assert_found(world, &[11]).await;
}

async fn a_row_of_an_aggregate_that_the_journal_does_not_know_is_found(world: &mut World) {
    a_healthy_journal(world).await;
    let mut row = world.tables.row("E1").await;
    row.insert(SORT_KEY.to_owned(), text("Nowhere"));
    world.tables.put(row).await;
    // No entry is of it.
    assert_found(world, &[0]).await;
}
