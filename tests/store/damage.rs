//! Records that cannot be taken as they are: each harms its own environment and nothing else.

use serde_json::{Value, json};
use traffic_cop::control::{Outcome, WriteError};
use traffic_cop::domain::access::{AccessCommand, TokenHash};
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::domain::slot::Slot;
use traffic_cop::store::item::{Item, bytes, number, text};
use traffic_cop::store::record::{JOURNAL, sort_key};

use crate::support::engine::cases;
use crate::support::forgery::{forge, forge_of, poison, rewritten};
use crate::support::tables::{ROWS, seal, set};
use crate::support::{Process, World, asked, commands};

cases![
    a_poisoned_state_freezes_only_its_environment,
    a_rollback_heals_a_poisoned_environment,
    a_poisoned_environment_starts_at_its_last_good_state,
    a_history_that_was_never_readable_harms_nobody,
    a_record_changed_on_its_way_is_not_believed,
    a_changed_head_bars_its_row_and_a_rollback_heals_it,
    a_record_renamed_to_another_environment_holds_that_one_up_at_most_once,
    a_record_whose_hash_was_changed_harms_nobody_elses,
    a_record_turned_into_a_bridge_leads_nowhere,
    a_row_changed_by_hand_is_read_from_its_record_instead,
    a_newer_format_is_served_and_takes_only_a_rollback,
    members_of_a_newer_writer_survive_every_change,
    an_envelope_that_cannot_be_read_is_passed_over,
    records_of_unknown_aggregates_are_passed_over,
    a_record_with_a_row_that_cannot_be_stored_holds_nobody_up,
    poisoned_access_keeps_the_tokens_there_are,
];

const POISONED: &str = "Poisoned";
const OTHER: &str = "Other";

/// Two environments with two versions each, known to the process.
async fn two_environments(process: &Process) {
    process.create_with_candidate(POISONED).await;
    process.create_with_candidate(OTHER).await;
}

fn passed_over(process: &Process, why: &str) -> bool {
    let line = format!("traffic_cop_records_passed_over_total{{outcome=\"{why}\"}}");
    process.metrics.exposition().contains(&line)
}

fn is_alarmed(process: &Process) -> bool {
    let line = "traffic_cop_alarm{condition=\"unreadable_state\"} 1";
    process.metrics.exposition().contains(line)
}

async fn assert_corrupt(process: &Process, name: &str) {
    for command in [
        commands::cutover(),
        commands::weight("5"),
        commands::register("v9"),
        commands::delete(),
    ] {
        let refused = process.tries(name, command).await;
        assert!(
            matches!(refused, Err(WriteError::Corrupt { .. })),
            "{refused:?}"
        );
    }
}

async fn a_poisoned_state_freezes_only_its_environment(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    process.set_weight(POISONED, "5").await;
    let good = process.serves(POISONED).expect("it is served");
    let sequence = poison(world, &process, POISONED).await;
    process.catch_up().await;
    let served = process.serves(POISONED).expect("it is served still");
    assert_eq!(served.environment, good.environment);
    assert_eq!(
        served.revision, good.revision,
        "what is served is still that"
    );
    assert_eq!(served.sequence, Sequence(sequence));
    assert!(served.fault.is_some());
    assert!(passed_over(&process, "unreadable_state"));
    assert!(is_alarmed(&process));
    assert_corrupt(&process, POISONED).await;
    // The other goes on.
    process.cutover(OTHER).await;
    assert_eq!(process.active(OTHER), Slot::Green);
    world.process().await.roll_back(OTHER).await;
}

async fn a_rollback_heals_a_poisoned_environment(world: &mut World) {
    let process = world.process().await;
    let other = world.process().await;
    two_environments(&process).await;
    process.set_weight(POISONED, "5").await;
    let sequence = poison(world, &process, POISONED).await;
    let fresh = world.process().await;
    assert_corrupt(&fresh, POISONED).await;
    let healed = fresh.roll_back(POISONED).await;
    assert_eq!(
        healed,
        Revision(5),
        "the poisoned record took up revision 4"
    );
    for process in [&process, &other, &fresh, &world.process().await] {
        process.catch_up().await;
        let served = process.serves(POISONED).expect("it is served");
        assert_eq!(served.revision, healed);
        assert_eq!(served.fault, None);
        assert!(served.environment.weight.is_zero());
        assert!(!is_alarmed(process));
    }
    let head = world.verification().await.head;
    let record = world.tables.record(head.0).await;
    assert_eq!(
        record.change.previous,
        Sequence(sequence),
        "history has no gap"
    );
    other.cutover(POISONED).await;
    // Every record is what its writer wrote.
    world.assert_sound().await;
}

async fn a_poisoned_environment_starts_at_its_last_good_state(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    process.cutover(POISONED).await;
    for _ in 0..3 {
        poison(world, &process, POISONED).await;
        process.catch_up().await;
        // Whoever writes next finishes the poisoned row: copying needs no understanding.
        process.commits(OTHER, commands::cutover()).await;
    }
    let fresh = world.process().await;
    assert_eq!(fresh.tracked(POISONED).revision, Revision(6));
    assert_eq!(fresh.revision(POISONED), 3);
    assert_eq!(fresh.active(POISONED), Slot::Green);
    assert!(
        fresh
            .serves(POISONED)
            .expect("it is served")
            .fault
            .is_some()
    );
    assert_corrupt(&fresh, POISONED).await;
    assert_eq!(fresh.roll_back(POISONED).await, Revision(7));
    world.assert_sound().await;
}

async fn a_history_that_was_never_readable_harms_nobody(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(OTHER).await;
    let sequence = forge(world, &process, OTHER, |draft| {
        draft.aggregate = format!("environment/{POISONED}").parse().unwrap();
        draft.revision = Revision(1);
        draft.previous = Sequence(0);
        draft.state = b"never readable".to_vec();
    })
    .await;
    process.catch_up().await;
    process.cutover(OTHER).await;
    for process in [&process, &world.process().await] {
        assert!(process.serves(POISONED).is_none());
        assert_eq!(process.tracked(POISONED).sequence, Sequence(sequence));
        let refused = process.tries(POISONED, commands::create()).await;
        assert!(
            matches!(refused, Err(WriteError::Corrupt { .. })),
            "{refused:?}"
        );
        assert_eq!(process.active(OTHER), Slot::Green);
    }
}

/// A process that lags reads a record after somebody has changed it.
async fn a_record_changed_on_its_way_is_not_believed(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    two_environments(&process).await;
    lagging.catch_up().await;
    process.cutover(POISONED).await;
    let sequence = process.position();
    process.cutover(OTHER).await;
    let flow = |state: &Value| state["environment"]["slots"]["green"]["flow"]["id"].clone();
    world
        .tables
        .tamper(sequence.0, |item| {
            let state = item["state"].as_b().expect("bytes").as_ref();
            let mut state: Value = serde_json::from_slice(state).expect("a state");
            assert_eq!(flow(&state), "flow-green");
            state["environment"]["slots"]["green"]["flow"]["id"] = "flow-of-someone-else".into();
            item.insert("state".to_owned(), bytes(state.to_string().as_bytes()));
        })
        .await;
    lagging.catch_up().await;
    assert_eq!(lagging.active(POISONED), Slot::Blue, "its last good state");
    assert_eq!(lagging.active(OTHER), Slot::Green, "its neighbour goes on");
    assert!(passed_over(&lagging, "tampered"));
    assert!(is_alarmed(&lagging));
    assert_corrupt(&lagging, POISONED).await;
    // Those that had read it before go on, and so does everybody with the next change.
    assert_eq!(process.roll_back(POISONED).await, Revision(4));
    lagging.catch_up().await;
    assert_eq!(lagging.revision(POISONED), 4);
    assert_eq!(lagging.serves(POISONED).expect("it is served").fault, None);
    assert_eq!(found(world).await, [sequence.0]);
}

async fn a_changed_head_bars_its_row_and_a_rollback_heals_it(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    // Its writer died before it could finish the row.
    let sequence = forge(world, &process, POISONED, |_| {}).await;
    world
        .tables
        .tamper(sequence, set("reason", text("another reason")))
        .await;
    let fresh = world.process().await;
    assert_eq!(fresh.revision(POISONED), 2);
    assert_corrupt(&fresh, POISONED).await;
    fresh.cutover(OTHER).await;
    let row = world.tables.row(POISONED).await;
    assert!(row["Fault"].as_s().is_ok(), "{row:?}");
    // The record lies behind the head now, and is not forgotten.
    for fresh in [&fresh, &world.process().await] {
        assert_eq!(fresh.tracked(POISONED).revision, Revision(3));
        assert_eq!(fresh.revision(POISONED), 2);
        assert_corrupt(fresh, POISONED).await;
    }
    process.catch_up().await;
    let refused = process.tries(POISONED, commands::rollback()).await;
    assert!(
        matches!(refused, Err(WriteError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(found(world).await, [sequence]);
}

/// The record says that it is of another environment. That one cannot know better until its next change.
async fn a_record_renamed_to_another_environment_holds_that_one_up_at_most_once(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    two_environments(&process).await;
    lagging.catch_up().await;
    process.cutover(POISONED).await;
    let sequence = process.position().0;
    world
        .tables
        .tamper(
            sequence,
            set("aggregate", text(format!("environment/{OTHER}"))),
        )
        .await;
    lagging.catch_up().await;
    process.cutover(OTHER).await;
    process.cutover(POISONED).await;
    lagging.catch_up().await;
    for name in [OTHER, POISONED] {
        let (served, expected) = (lagging.serves(name), process.serves(name));
        let (served, expected) = (served.expect("served"), expected.expect("served"));
        assert_eq!(served.environment, expected.environment, "{name}");
        assert_eq!(served.revision, expected.revision, "{name}");
        assert_eq!(served.fault, None, "{name}");
    }
    lagging.cutover(OTHER).await;
    process.cutover(OTHER).await;
}

async fn a_record_whose_hash_was_changed_harms_nobody_elses(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    two_environments(&process).await;
    lagging.catch_up().await;
    process.cutover(POISONED).await;
    let sequence = process.position().0;
    process.cutover(OTHER).await;
    world
        .tables
        .tamper(sequence, set("hash", text("ab".repeat(32))))
        .await;
    lagging.catch_up().await;
    assert_eq!(lagging.revision(POISONED), 2);
    assert_eq!(lagging.active(OTHER), Slot::Green, "its own hash is right");
    assert_eq!(lagging.serves(OTHER).expect("it is served").fault, None);
    lagging.roll_back(OTHER).await;
}

async fn a_record_turned_into_a_bridge_leads_nowhere(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    two_environments(&process).await;
    lagging.catch_up().await;
    process.cutover(POISONED).await;
    let sequence = process.position().0;
    process.cutover(OTHER).await;
    let before = world.tables.entry(sequence).await;
    world
        .tables
        .tamper(sequence, set("bridge_to", number(1_000)))
        .await;
    lagging.catch_up().await;
    assert_eq!(lagging.active(OTHER), Slot::Green);
    lagging.roll_back(OTHER).await;
    // Nor as the last entry, before anybody has followed it.
    world.tables.put(before).await;
    process.catch_up().await;
    let sequence = forge(world, &process, POISONED, |_| {}).await;
    world
        .tables
        .tamper(sequence, set("bridge_to", number(1_000)))
        .await;
    for process in [&process, &world.process().await] {
        process.cutover(OTHER).await;
    }
}

async fn a_row_changed_by_hand_is_read_from_its_record_instead(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    process.cutover(POISONED).await;
    process.cutover(OTHER).await;
    let mut row = world.tables.row(POISONED).await;
    row.insert("State".to_owned(), bytes(b"{}"));
    row.insert("Active_Flow_ID".to_owned(), text("flow-of-someone-else"));
    world.tables.put(row).await;
    let fresh = world.process().await;
    assert_eq!(fresh.tracked(POISONED), process.tracked(POISONED));
    assert_eq!(fresh.roll_back(POISONED).await, Revision(4));
    world.assert_sound().await;
}

async fn a_newer_format_is_served_and_takes_only_a_rollback(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    process.cutover(POISONED).await;
    forge(world, &process, POISONED, |draft| {
        draft.format = 2;
        draft.state = rewritten(&draft.state, |state| {
            state["environment"]["weight_bps"] = json!(2_500);
            state["environment"]["schedule"] = json!({"at": "noon", "until": [1, 2]});
            state["environment"]["slots"]["green"]["colour"] = json!("dark");
            state["newer"] = json!(true);
        });
    })
    .await;
    let fresh = world.process().await;
    for process in [&process, &fresh] {
        process.catch_up().await;
        let served = process.serves(POISONED).expect("it is served");
        assert_eq!(served.environment.weight.bps(), 2_500);
        assert_eq!((served.revision, served.fault.clone()), (Revision(4), None));
        for command in [
            commands::cutover(),
            commands::weight("0"),
            commands::delete(),
        ] {
            let refused = process.tries(POISONED, command).await;
            assert!(
                matches!(refused, Err(WriteError::NewerFormat(2))),
                "{refused:?}"
            );
        }
    }
    let revision = fresh.roll_back(POISONED).await;
    let record = world.tables.record(fresh.position().0).await;
    assert_eq!(record.change.revision, revision);
    assert_eq!(record.change.format, 2, "it is still of the newer format");
    let state: Value = serde_json::from_slice(&record.change.state).expect("a state");
    assert_eq!(state["environment"]["weight_bps"], 0);
    assert_eq!(
        state["environment"]["schedule"],
        json!({"at": "noon", "until": [1, 2]})
    );
    assert_eq!(state["environment"]["slots"]["green"]["colour"], "dark");
    assert_eq!(state["newer"], true);
    world.assert_sound().await;
}

async fn members_of_a_newer_writer_survive_every_change(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    forge(world, &process, POISONED, |draft| {
        draft.state = rewritten(&draft.state, |state| {
            state["environment"]["note"] = json!("kept");
            state["environment"]["slots"]["blue"]["note"] = json!(["kept", 0.1, -1, null]);
            state["environment"]["slots"]["blue"]["version"]["note"] = json!({"kept": true});
        });
    })
    .await;
    process.cutover(POISONED).await;
    process.roll_back(POISONED).await;
    process.set_weight(POISONED, "33.33").await;
    let revision = world.process().await.set_weight(POISONED, "0").await;
    let record = world.tables.record(process.catch_up().await.last.0).await;
    assert_eq!(record.change.revision, revision);
    let state: Value = serde_json::from_slice(&record.change.state).expect("a state");
    assert_eq!(state["environment"]["note"], "kept");
    let blue = &state["environment"]["slots"]["blue"];
    assert_eq!(blue["note"], json!(["kept", 0.1, -1, null]));
    assert_eq!(blue["version"]["note"], json!({"kept": true}));
}

async fn an_envelope_that_cannot_be_read_is_passed_over(world: &mut World) {
    let (process, lagging) = (world.process().await, world.process().await);
    two_environments(&process).await;
    lagging.catch_up().await;
    let unreadable: [fn(&mut Item); 5] = [
        |item| drop(item.remove("actor")),
        |item| drop(item.insert("revision".to_owned(), text("three"))),
        |item| drop(item.insert("aggregate".to_owned(), text("environment/not a name"))),
        |item| drop(item.remove("hash")),
        |item| item.retain(|name, _| matches!(name.as_str(), "pk" | "sk")),
    ];
    for (change, name) in unreadable.into_iter().zip([POISONED, OTHER].iter().cycle()) {
        let sequence = forge(world, &process, POISONED, |_| {}).await;
        world
            .tables
            .tamper(sequence, |item| {
                change(item);
                if item.contains_key("hash") {
                    seal(item);
                }
            })
            .await;
        process.catch_up().await;
        // Others go on behind it, in whichever process and environment.
        process.cutover(name).await;
        world.process().await.cutover(name).await;
        lagging.catch_up().await;
        assert_eq!(
            lagging.tracked(POISONED),
            process_caught_up(&process, POISONED).await
        );
        assert_eq!(lagging.tracked(OTHER), process.tracked(OTHER));
    }
    assert!(passed_over(&lagging, "unreadable_envelope"));
}

async fn process_caught_up(
    process: &Process,
    name: &str,
) -> traffic_cop::replica::tracked::Tracked<traffic_cop::domain::Environment> {
    process.catch_up().await;
    process.tracked(name)
}

async fn records_of_unknown_aggregates_are_passed_over(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    for (aggregate, state) in [("gadget", "{}"), ("webhook/1", "not even JSON")] {
        forge(world, &process, OTHER, |draft| {
            draft.aggregate = aggregate.parse().unwrap();
            (draft.revision, draft.previous) = (Revision(1), Sequence(0));
            draft.state = state.as_bytes().to_vec();
        })
        .await;
        process.catch_up().await;
        process.cutover(OTHER).await;
    }
    // A binary that does not know them finishes their rows all the same.
    assert!(world.tables.item("gadget", "gadget").await.is_some());
    assert!(world.tables.item("webhook", "1").await.is_some());
    let fresh = world.process().await;
    assert_eq!(fresh.tracked(OTHER), process.tracked(OTHER));
    world.assert_sound().await;
}

async fn a_record_with_a_row_that_cannot_be_stored_holds_nobody_up(world: &mut World) {
    let process = world.process().await;
    two_environments(&process).await;
    for aggregate in ["foreign/", "/", "journal/00000000000000000099"] {
        forge(world, &process, OTHER, |draft| {
            draft.aggregate = aggregate.parse().unwrap();
            (draft.revision, draft.previous) = (Revision(1), Sequence(0));
        })
        .await;
        process.catch_up().await;
        process.cutover(OTHER).await;
        world.process().await.cutover(POISONED).await;
    }
    let beyond = sort_key(Sequence(99));
    assert_eq!(world.tables.item(JOURNAL, &beyond).await, None);
    assert_eq!(world.tables.partition(ROWS).await.len(), 2);
}

async fn poisoned_access_keeps_the_tokens_there_are(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(OTHER).await;
    let create = commands::create_token("pipeline", 5);
    let created = process.change_access(create, asked()).await;
    created.expect("a commit");
    forge_of(world, &process, &AggregateKey::Access, |draft| {
        draft.state = b"[]".to_vec();
    })
    .await;
    for process in [&process, &world.process().await] {
        process.catch_up().await;
        process.cutover(OTHER).await;
        assert!(process.lets_in("pipeline"));
        assert!(is_alarmed(process));
        let create = commands::create_token("another", 6);
        let refused = process.change_access(create, asked()).await;
        assert!(
            matches!(refused, Err(WriteError::Corrupt { .. })),
            "{refused:?}"
        );
    }
    let id = TokenHash([5; 32]).id();
    let revoke = AccessCommand::RevokeToken(id);
    let revoked = process.change_access(revoke, asked()).await;
    let revoked = revoked.expect("a commit");
    assert_eq!(revoked.revision, Revision(3));
    assert!(matches!(revoked.outcome, Outcome::Committed(_)));
    assert!(!is_alarmed(&process));
}

/// The entries that have findings.
async fn found(world: &World) -> Vec<u64> {
    let findings = world.verification().await.findings;
    let mut found: Vec<_> = findings.iter().map(|finding| finding.sequence.0).collect();
    found.dedup();
    found
}
