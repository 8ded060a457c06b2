//! Repair: an aggregate whose last state cannot be read goes on, on every replica and after every start.

use serde_json::{Value, json};
use traffic_cop::control::{Outcome, WriteError};
use traffic_cop::domain::access::{Access, AccessCommand, TokenHash};
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::domain::repair::{Refusal as RepairRefusal, Repair, Target};
use traffic_cop::domain::slot::Slot;
use traffic_cop::domain::{Environment, Refusal};
use traffic_cop::store::item::text;

use crate::support::engine::cases;
use crate::support::forgery::{forge, forge_of, poison, rewritten};
use crate::support::process::{asked_as, environment};
use crate::support::tables::set;
use crate::support::{Process, World, asked, commands};

cases![
    the_last_good_state_is_brought_back_everywhere,
    an_earlier_revision_is_brought_back_with_what_only_newer_binaries_know,
    a_state_is_brought_back_where_none_was_ever_readable,
    a_record_changed_on_its_way_is_repaired_for_those_who_read_it_late,
    a_repair_is_recognised_when_it_is_repeated_anywhere,
    what_a_newer_binary_wrote_is_not_given_up_unasked,
    tokens_are_brought_back_as_they_last_were,
    two_repairs_at_once_are_one,
];

const POISONED: &str = "Poisoned";

fn refused<T: std::fmt::Debug>(outcome: Result<T, WriteError>) -> RepairRefusal {
    match outcome {
        Err(WriteError::Refused(Refusal::Repair(refusal))) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Fails unless these processes and a fresh one serve the same, at `revision`, and take changes.
async fn assert_agree(world: &World, processes: &[&Process], revision: u64) {
    let fresh = world.process().await;
    for process in processes.iter().copied().chain([&fresh]) {
        process.catch_up().await;
        let known = process.tracked(POISONED);
        assert_eq!(known, fresh.tracked(POISONED));
        assert_eq!((known.revision, known.fault), (Revision(revision), None));
        assert_eq!(process.revision(POISONED), revision);
        assert!(
            !process
                .metrics
                .exposition()
                .contains("traffic_cop_alarm{condition=\"unreadable_state\"} 1")
        );
    }
}

async fn the_last_good_state_is_brought_back_everywhere(world: &mut World) {
    let (process, other) = (world.process().await, world.process().await);
    process.create_with_candidate(POISONED).await;
    process.set_weight(POISONED, "5").await;
    assert_eq!(
        refused(process.repairs(POISONED, Target::LastGood).await),
        RepairRefusal::NothingFaulty
    );
    for _ in 0..2 {
        poison(world, &process, POISONED).await;
    }
    let fresh = world.process().await;
    let repaired = fresh.repairs(POISONED, Target::LastGood).await;
    let repaired = repaired.expect("a repair");
    assert_eq!(repaired.revision, Revision(6));
    assert_eq!(repaired.state.expect("a state").weight.bps(), 500);
    assert_agree(world, &[&process, &other, &fresh], 6).await;
    assert_eq!(
        refused(other.repairs(POISONED, Target::LastGood).await),
        RepairRefusal::NothingFaulty
    );
    other.cutover(POISONED).await;
    world.assert_sound().await;
}

async fn an_earlier_revision_is_brought_back_with_what_only_newer_binaries_know(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(POISONED).await;
    forge(world, &process, POISONED, |draft| {
        draft.state = rewritten(&draft.state, |state| {
            state["environment"]["note"] = json!("kept");
        });
    })
    .await;
    process.cutover(POISONED).await;
    process.register(POISONED, "v3").await;
    poison(world, &process, POISONED).await;
    for (revision, process) in [(6, &process), (7, &process), (0, &world.process().await)] {
        let to = Target::Revision(Revision(revision));
        assert_eq!(
            refused(process.repairs(POISONED, to).await),
            RepairRefusal::NoSuchRevision(Revision(revision))
        );
    }
    let to = Target::Revision(Revision(3));
    let repaired = process.repairs(POISONED, to).await.expect("a repair");
    let state = repaired.state.expect("a state");
    assert_eq!(state.active, Slot::Blue, "as it was before the cutover");
    let record = world.tables.record(process.position().0).await.change;
    assert_eq!(record.action, "repair");
    let state: Value = serde_json::from_slice(&record.state).expect("a state");
    assert_eq!(state["environment"]["note"], "kept");
    assert_agree(world, &[&process], 7).await;
    world.assert_sound().await;
}

async fn a_state_is_brought_back_where_none_was_ever_readable(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate("Other").await;
    let state = process.serves("Other").expect("it is served");
    forge(world, &process, "Other", |draft| {
        draft.aggregate = environment(POISONED);
        draft.revision = Revision(1);
        draft.previous = Sequence(0);
        draft.state = b"never readable".to_vec();
    })
    .await;
    assert_eq!(
        refused(process.repairs(POISONED, Target::LastGood).await),
        RepairRefusal::NoGoodState
    );
    let to = Target::State(state.environment.clone());
    process.repairs(POISONED, to).await.expect("a repair");
    assert_agree(world, &[&process], 2).await;
    process.cutover(POISONED).await;
    world.assert_sound().await;
}

async fn a_record_changed_on_its_way_is_repaired_for_those_who_read_it_late(world: &mut World) {
    let (process, late) = (world.process().await, world.process().await);
    process.create_with_candidate(POISONED).await;
    late.catch_up().await;
    process.cutover(POISONED).await;
    let changed = process.position().0;
    let another = set("reason", text("another reason"));
    world.tables.tamper(changed, another).await;
    late.catch_up().await;
    assert_eq!(
        refused(process.repairs(POISONED, Target::LastGood).await),
        RepairRefusal::NothingFaulty,
        "this one has read it before"
    );
    let repaired = late.repairs(POISONED, Target::LastGood).await;
    assert_eq!(
        repaired.expect("a repair").state.expect("a state").active,
        Slot::Blue,
        "nobody can say what the changed record was"
    );
    assert_agree(world, &[&process, &late], 4).await;
}

async fn a_repair_is_recognised_when_it_is_repeated_anywhere(world: &mut World) {
    let (process, other) = (world.process().await, world.process().await);
    process.create_with_candidate(POISONED).await;
    poison(world, &process, POISONED).await;
    let key = environment(POISONED);
    let repair = |to| Repair {
        to,
        discard_newer_format: false,
    };
    let last_good: Repair<Environment> = repair(Target::LastGood);
    let first = process
        .control
        .repair(&key, &last_good, &asked_as("k"))
        .await
        .expect("a repair");
    assert!(matches!(first.outcome, Outcome::Committed(_)));
    other.cutover(POISONED).await;
    for process in [&process, &other, &world.process().await] {
        let again = process
            .control
            .repair(&key, &last_good, &asked_as("k"))
            .await;
        let again = again.expect("an answer");
        assert!(matches!(again.outcome, Outcome::Repeated(_)), "{again:?}");
        assert_eq!((again.revision, &again.state), (Revision(4), &first.state));
        let to_revision: Repair<Environment> = repair(Target::Revision(Revision(1)));
        let reused = process
            .control
            .repair(&key, &to_revision, &asked_as("k"))
            .await;
        assert!(matches!(reused, Err(WriteError::KeyReused)), "{reused:?}");
    }
}

async fn what_a_newer_binary_wrote_is_not_given_up_unasked(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(POISONED).await;
    // One that is still understood in part, and one that is not at all.
    forge(world, &process, POISONED, |draft| {
        draft.format = 2;
        draft.state = rewritten(&draft.state, |state| {
            state["environment"]["schedule"] = json!("noon");
        });
    })
    .await;
    forge(world, &process, POISONED, |draft| {
        draft.format = 3;
        draft.state = b"{\"flows\": []}".to_vec();
    })
    .await;
    poison(world, &process, POISONED).await;
    let targets = || {
        let state = process.serves(POISONED).expect("served");
        [
            Target::LastGood,
            Target::Revision(Revision(2)),
            Target::State(state.environment.clone()),
        ]
    };
    for process in [&process, &world.process().await] {
        for to in targets() {
            assert_eq!(
                refused(process.repairs(POISONED, to).await),
                RepairRefusal::NewerFormat(3)
            );
        }
    }
    let repair = Repair::<Environment> {
        to: Target::LastGood,
        discard_newer_format: true,
    };
    let key = environment(POISONED);
    let repaired = process.control.repair(&key, &repair, &asked()).await;
    repaired.expect("a repair");
    let record = world.tables.record(process.position().0).await.change;
    assert_eq!(record.format, 2, "the last good state goes on whole");
    let state: Value = serde_json::from_slice(&record.state).expect("a state");
    assert_eq!(state["environment"]["schedule"], "noon");
    // That one may be brought back as it is, and nothing in its place.
    forge(world, &process, POISONED, |draft| {
        (draft.format, draft.state) = (1, b"{}".to_vec());
    })
    .await;
    let [_, revision, given] = targets();
    for to in [revision, given] {
        assert_eq!(
            refused(process.repairs(POISONED, to).await),
            RepairRefusal::NewerFormat(2)
        );
    }
    let repaired = process.repairs(POISONED, Target::LastGood).await;
    repaired.expect("a repair");
    assert_agree(world, &[&process], 8).await;
    world.assert_sound().await;
}

async fn tokens_are_brought_back_as_they_last_were(world: &mut World) {
    let (process, other) = (world.process().await, world.process().await);
    for (name, seed) in [("pipeline", 5), ("operator", 6)] {
        let created = process.change_access(commands::create_token(name, seed), asked());
        created.await.expect("a commit");
    }
    let key = AggregateKey::Access;
    forge_of(world, &process, &key, |draft| {
        draft.state = rewritten(&draft.state, |state| {
            // The same token twice, under two names: readable, and yet none.
            let tokens = state["access"]["tokens"].as_object_mut().expect("tokens");
            let mut twice = tokens.values().next().expect("a token").clone();
            twice["name"] = json!("intruder");
            tokens.insert("0123456789abcdef".to_owned(), twice);
        });
    })
    .await;
    process.catch_up().await;
    assert!(!process.lets_in("intruder"));
    let refused = process.change_access(commands::create_token("another", 7), asked());
    let refused = refused.await.expect_err("a refusal").to_string();
    assert!(refused.contains("`traffic-cop token repair`"), "{refused}");
    let repair = Repair::<Access> {
        to: Target::LastGood,
        discard_newer_format: false,
    };
    let repaired = other.control.repair(&key, &repair, &asked()).await;
    assert_eq!(repaired.expect("a repair").revision, Revision(4));
    for process in [&process, &other, &world.process().await] {
        process.catch_up().await;
        assert!(process.lets_in("pipeline") && process.lets_in("operator"));
        assert!(!process.lets_in("intruder"));
    }
    let revoke = AccessCommand::RevokeToken(TokenHash([5; 32]).id());
    let revoked = process.change_access(revoke, asked()).await;
    revoked.expect("a commit");
    world.assert_sound().await;
}

async fn two_repairs_at_once_are_one(world: &mut World) {
    let (one, other) = (world.process().await, world.process().await);
    one.create_with_candidate(POISONED).await;
    poison(world, &one, POISONED).await;
    let (first, second) = tokio::join!(
        one.repairs(POISONED, Target::LastGood),
        other.repairs(POISONED, Target::LastGood)
    );
    let (made, told) = match (first, second) {
        (Ok(made), told) | (told, Ok(made)) => (made, refused(told)),
        both => panic!("{both:?}"),
    };
    assert_eq!(
        (made.revision, told),
        (Revision(4), RepairRefusal::NothingFaulty)
    );
    assert_agree(world, &[&one, &other], 4).await;
    world.assert_sound().await;
}
