//! Rows that were changed after they were written: nothing of that is served, and nothing that is in them is lost.

use traffic_cop::domain::ids::Sequence;
use traffic_cop::store::item::{Item, bytes, number, text};

use crate::support::engine::cases;
use crate::support::forgery::forge;
use crate::support::tables::{ROWS, set};
use crate::support::{Process, World, commands};

cases![
    a_changed_row_is_not_believed,
    a_changed_row_is_written_anew_with_the_next_change,
    rows_without_a_proof_are_none_the_worse,
    a_row_that_names_no_record_is_looked_up,
    a_row_that_tells_of_a_changed_record_proves_it,
];

const CHANGED: &str = "Changed";
const OTHER: &str = "Other";

/// A way to change a row, and its name.
type Change = (&'static str, fn(&mut Item));

/// Ways to change a row.
const CHANGES: [Change; 14] = [
    ("sequence of another kind", |row| {
        put(row, "Sequence", text("4"));
    }),
    ("sequence too high", |row| {
        put(row, "Sequence", number(u64::MAX));
    }),
    ("sequence a bit too high", |row| {
        put(row, "Sequence", number(999));
    }),
    ("sequence too low", |row| put(row, "Sequence", number(1))),
    ("sequence of a neighbour", |row| {
        put(row, "Sequence", number(2));
    }),
    ("no sequence", |row| drop(row.remove("Sequence"))),
    ("revision of another kind", |row| {
        put(row, "Revision", text("x"));
    }),
    ("revision too high", |row| {
        put(row, "Revision", number(1_000));
    }),
    ("revision too low", |row| put(row, "Revision", number(1))),
    ("a newer format", |row| put(row, "Format", number(9))),
    ("no format", |row| drop(row.remove("Format"))),
    ("a fault", |row| put(row, "Fault", text("made up"))),
    ("another state", |row| {
        put(row, "State", bytes(b"{}"));
        put(row, "Good_Revision", number(1));
    }),
    ("no proof and another number", |row| {
        row.remove("Proof");
        put(row, "Sequence", number(1_000));
    }),
];

fn put(row: &mut Item, name: &str, value: aws_sdk_dynamodb::types::AttributeValue) {
    row.insert(name.to_owned(), value);
}

/// Two environments, of which one has been changed last by its fourth entry and the other since.
async fn two_environments(world: &World) -> Process {
    let process = world.process().await;
    process.create(CHANGED).await;
    process.create(OTHER).await;
    process.register(CHANGED, "v2").await;
    process.cutover(CHANGED).await;
    process.register(OTHER, "v2").await;
    process.cutover(OTHER).await;
    process
}

/// How often a process has read entries in a batch.
fn batches(process: &Process) -> usize {
    let counted = process.metrics.exposition();
    let name = "traffic_cop_store_requests_total{operation=\"BatchGetItem\"} ";
    let line = counted.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |count| count.parse().expect("a count"))
}

async fn a_changed_row_is_not_believed(world: &mut World) {
    let process = two_environments(world).await;
    let good = world.tables.row(CHANGED).await;
    assert_eq!(batches(&world.process().await), 0, "rows prove themselves");
    for (n, (what, change)) in CHANGES.into_iter().enumerate() {
        let mut row = good.clone();
        change(&mut row);
        world.tables.put(row).await;
        let fresh = world.process().await;
        process.catch_up().await;
        assert_eq!(fresh.tracked(CHANGED), process.tracked(CHANGED), "{what}");
        assert_eq!(fresh.tracked(OTHER), process.tracked(OTHER), "{what}");
        assert_eq!(batches(&fresh), 1, "{what}");
        fresh.set_weight(OTHER, &format!("{n}.5")).await;
        let findings = world.verification().await.findings;
        assert!(
            findings
                .iter()
                .any(|finding| finding.problem.contains("row of environment/Changed")),
            "{what}: {findings:?}"
        );
        world.tables.put(good.clone()).await;
    }
    world.assert_sound().await;
}

async fn a_changed_row_is_written_anew_with_the_next_change(world: &mut World) {
    let process = two_environments(world).await;
    for (n, (what, change)) in CHANGES.into_iter().enumerate() {
        let mut row = world.tables.row(CHANGED).await;
        change(&mut row);
        world.tables.put(row).await;
        let fresh = world.process().await;
        process.set_weight(CHANGED, &format!("{n}.5")).await;
        fresh.set_weight(CHANGED, &format!("{n}")).await;
        let row = world.tables.row(CHANGED).await;
        let sequence = fresh.position().to_string();
        assert_eq!(row["Sequence"].as_n(), Ok(&sequence), "{what}");
        world.assert_sound().await;
        assert_eq!(batches(&world.process().await), 0, "{what}");
    }
}

async fn rows_without_a_proof_are_none_the_worse(world: &mut World) {
    let process = two_environments(world).await;
    for mut row in world.tables.partition(ROWS).await {
        row.remove("Proof").expect("a proof");
        world.tables.put(row).await;
    }
    let fresh = world.process().await;
    for name in [CHANGED, OTHER] {
        assert_eq!(fresh.tracked(name), process.tracked(name));
    }
    assert_eq!(batches(&fresh), 1, "one for all");
    world.assert_sound().await;
    // A journal that lost its end does not make them forget what they know.
    world.tables.rewind(3).await;
    let fresh = world.newcomer().await;
    let lost = fresh
        .replica
        .catch_up()
        .await
        .expect_err("a journal that lost its end");
    assert!(lost.to_string().contains("lost or changed entry"), "{lost}");
    assert_eq!(fresh.tracked(CHANGED), process.tracked(CHANGED));
}

async fn a_row_that_names_no_record_is_looked_up(world: &mut World) {
    let process = two_environments(world).await;
    let mut row = world.tables.row(CHANGED).await;
    row.retain(|name, _| matches!(name.as_str(), "pk" | "sk"));
    world.tables.put(row).await;
    let fresh = world.process().await;
    assert_eq!(fresh.tracked(CHANGED), process.tracked(CHANGED));
    fresh.commits(CHANGED, commands::rollback()).await;
    // One that never had a record is known to exist, and no more.
    let mut never = world.tables.row(OTHER).await;
    never.insert("sk".to_owned(), text("Never"));
    world.tables.put(never).await;
    let fresh = world.process().await;
    let known = fresh.tracked("Never");
    assert_eq!(known.sequence, Sequence(0));
    assert!(known.fault.is_some() && fresh.serves("Never").is_none());
    fresh.cutover(CHANGED).await;
}

async fn a_row_that_tells_of_a_changed_record_proves_it(world: &mut World) {
    let process = two_environments(world).await;
    let sequence = forge(world, &process, CHANGED, |_| {}).await;
    world
        .tables
        .tamper(sequence, set("reason", text("another reason")))
        .await;
    let fresh = world.process().await;
    fresh.commits(OTHER, commands::rollback()).await;
    let row = world.tables.row(CHANGED).await;
    assert!(row["Fault"].as_s().is_ok(), "{row:?}");
    let again = world.process().await;
    assert_eq!(batches(&again), 0);
    assert_eq!(again.tracked(CHANGED), fresh.tracked(CHANGED));
    assert_eq!(again.tracked(CHANGED).sequence, Sequence(sequence));
}
