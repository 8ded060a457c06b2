//! The control over two processes that share one store.

use std::sync::Arc;

use tokio::task::JoinSet;
use traffic_cop::control::{Outcome, Request, WriteError};
use traffic_cop::domain::access::{AccessCommand, Grant, Reach, Scope, TokenHash};
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::operation::REMEMBERED_OPERATIONS;
use traffic_cop::domain::slot::Slot;
use traffic_cop::domain::{Refusal, Unchanged};

use crate::support::engine::cases;
use crate::support::process::{asked_as, asked_at};
use crate::support::tables::ROWS;
use crate::support::{Ask, Engine, Fault, Process, World, asked, commands};

cases![
    a_cutover_acknowledged_by_one_process_shows_in_the_other,
    a_write_starts_from_what_the_other_process_has_written,
    of_fifty_writers_with_one_revision_exactly_one_wins,
    fifty_writers_without_a_revision_all_come_through,
    a_repeated_key_gives_the_first_answer_everywhere,
    one_key_sent_to_two_processes_at_once_is_one_change,
    a_key_used_for_another_request_is_refused_everywhere,
    a_key_means_something_else_to_another_actor_or_aggregate,
    an_answer_that_changed_nothing_is_not_remembered,
    the_last_sixty_four_keys_are_remembered,
    a_key_is_remembered_over_deletion_and_creation,
    a_stale_revision_is_refused_and_changes_nothing,
    a_state_too_large_is_refused_unless_it_helps,
    a_deleted_environment_continues_its_revision,
    a_refusal_leaves_no_trace,
    the_row_of_a_writer_that_died_is_finished_by_the_next,
    a_process_that_starts_again_serves_what_it_served,
    a_change_of_tokens_shows_in_the_other_process,
    everything_outlives_a_restart_of_the_engine,
];

const NAME: &str = "Main_IVR";

async fn a_cutover_acknowledged_by_one_process_shows_in_the_other(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    let revision = one.cutover(NAME).await;
    assert_eq!(one.revision(NAME), revision.0, "when it is acknowledged");
    other.catch_up().await;
    assert_eq!(other.revision(NAME), revision.0);
    assert_eq!(other.active(NAME), Slot::Green);
    other.roll_back(NAME).await;
    one.catch_up().await;
    assert_eq!(one.active(NAME), Slot::Blue);
    world.assert_sound().await;
}

async fn a_write_starts_from_what_the_other_process_has_written(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    for round in 0..6 {
        let writer = if round % 2 == 0 { &other } else { &one };
        let revision = writer.cutover(NAME).await;
        assert_eq!(revision, Revision(3 + round));
    }
    let entries = world.store.entries_from(Sequence(1), usize::MAX).await;
    assert_eq!(entries.expect("an answer").len(), 8);
    world.assert_sound().await;
}

async fn of_fifty_writers_with_one_revision_exactly_one_wins(world: &mut World) {
    let processes = two_processes(world).await;
    let mut revision = processes.0.create_with_candidate(NAME).await.0;
    for round in 1..=3 {
        let outcomes = race(&processes, 50, |n| {
            (
                commands::weight(&format!("{n}.{round}")),
                asked_at(revision),
            )
        })
        .await;
        let won = outcomes.iter().filter(|(outcome, _)| outcome.is_ok());
        assert_eq!(won.count(), 1);
        for lost in outcomes
            .iter()
            .filter_map(|(outcome, _)| outcome.as_ref().err())
        {
            let current = Revision(revision + 1);
            assert!(
                matches!(lost, WriteError::Stale { current: found } if *found == current),
                "{lost}"
            );
        }
        revision += 1;
    }
    world.assert_sound().await;
    let head = world.verification().await.head;
    assert_eq!(head, Sequence(revision), "one record for each revision");
    let row = world.tables.row(NAME).await;
    assert_eq!(
        row["Revision"].as_n().expect("a number"),
        &revision.to_string()
    );
}

async fn fifty_writers_without_a_revision_all_come_through(world: &mut World) {
    let processes = two_processes(world).await;
    processes.0.create_with_candidate(NAME).await;
    let mut revisions = Vec::new();
    let mut to_try: Vec<u32> = (1..=50).collect();
    while !to_try.is_empty() {
        let weight = |n: u32| commands::weight(&to_try[n as usize - 1].to_string());
        let writers = u32::try_from(to_try.len()).expect("a few");
        let outcomes = race(&processes, writers, |n| (weight(n), asked())).await;
        let mut again = Vec::new();
        for (outcome, n) in outcomes {
            match outcome {
                Ok(revision) => revisions.push(revision),
                // It had to wait for too long, and says so; on a slow machine that happens.
                Err(WriteError::Contended) => again.push(to_try[n as usize - 1]),
                Err(error) => panic!("{error}"),
            }
        }
        to_try = again;
    }
    revisions.sort_unstable();
    let each_once: Vec<_> = (3..=52).map(Revision).collect();
    assert_eq!(revisions, each_once);
    world.assert_sound().await;
}

async fn a_repeated_key_gives_the_first_answer_everywhere(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    let key = asked_as("release-1");
    let first = one.ask(NAME, commands::cutover(), key.clone()).await;
    let first = first.expect("a commit");
    let Outcome::Committed(sequence) = first.outcome else {
        panic!("{first:?}")
    };
    // Much happens; the answer is still the first one.
    other.catch_up().await;
    other.roll_back(NAME).await;
    other.register(NAME, "v3").await;
    for process in [&one, &other, &world.process().await] {
        let again = process.ask(NAME, commands::cutover(), key.clone()).await;
        let again = again.expect("an answer");
        assert_eq!(again.outcome, Outcome::Repeated(sequence));
        assert_eq!(again.revision, first.revision);
        assert_eq!(again.state, first.state);
        // A revision named along with it has long passed, which does not matter.
        let stale = Request {
            expected: Some(Revision(2)),
            ..key.clone()
        };
        let again = process.ask(NAME, commands::cutover(), stale).await;
        assert_eq!(again.expect("an answer").state, first.state);
    }
    assert_eq!(world.verification().await.head, Sequence(5));
}

async fn one_key_sent_to_two_processes_at_once_is_one_change(world: &mut World) {
    let processes = two_processes(world).await;
    for round in 0..5 {
        let name = format!("E{round}");
        // A creation draws a salt, so that two of them differ.
        let mut racers = JoinSet::new();
        for n in 0..8 {
            let process = pick(&processes, n);
            let name = name.clone();
            racers.spawn(async move {
                let answer = process.ask(&name, commands::create(), asked_as("create"));
                let answer = answer.await.expect("an answer");
                (answer.revision, answer.state.expect("a state").salt.0)
            });
        }
        let answers = racers.join_all().await;
        assert!(
            answers.windows(2).all(|two| two[0] == two[1]),
            "{answers:?}"
        );
    }
    assert_eq!(world.verification().await.head, Sequence(5));
    world.assert_sound().await;
}

async fn a_key_used_for_another_request_is_refused_everywhere(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    let first = one.ask(NAME, commands::cutover(), asked_as("k")).await;
    first.expect("a commit");
    let another_reason = Request {
        reason: "something else".parse().unwrap(),
        ..asked_as("k")
    };
    for process in [&one, &other, &world.process().await] {
        let requests = [
            (commands::cutover_to(Slot::Green), asked_as("k")),
            (commands::rollback(), asked_as("k")),
            (commands::weight("5"), asked_as("k")),
            (commands::cutover(), another_reason.clone()),
        ];
        for (command, request) in requests {
            let refused = process.ask(NAME, command, request).await;
            assert!(matches!(refused, Err(WriteError::KeyReused)), "{refused:?}");
        }
    }
    assert_eq!(world.verification().await.head, Sequence(3));
}

async fn a_key_means_something_else_to_another_actor_or_aggregate(world: &mut World) {
    let process = world.process().await;
    let create = |name: &'static str, request| process.ask(name, commands::create(), request);
    create("A", asked_as("k")).await.expect("a commit");
    let other_aggregate = create("B", asked_as("k")).await.expect("a commit");
    assert!(matches!(other_aggregate.outcome, Outcome::Committed(_)));
    let other_actor = Request {
        actor: "somebody else".parse().unwrap(),
        ..asked_as("k")
    };
    let refused = create("A", other_actor).await;
    assert!(
        matches!(
            refused,
            Err(WriteError::Refused(Refusal::EnvironmentExists))
        ),
        "{refused:?}"
    );
}

async fn an_answer_that_changed_nothing_is_not_remembered(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let to_blue = || process.ask(NAME, commands::cutover_to(Slot::Blue), asked_as("k"));
    for _ in 0..2 {
        let unchanged = to_blue().await.expect("an answer");
        assert_eq!(
            unchanged.outcome,
            Outcome::Unchanged(Unchanged::AlreadyActive)
        );
        assert_eq!(unchanged.revision, Revision(2));
        assert_eq!(unchanged.state.expect("a state").active, Slot::Blue);
    }
    process.cutover(NAME).await;
    let changed = to_blue().await.expect("a commit");
    assert!(
        matches!(changed.outcome, Outcome::Committed(_)),
        "{changed:?}"
    );
    assert_eq!(process.active(NAME), Slot::Blue);
}

async fn the_last_sixty_four_keys_are_remembered(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let count = u64::try_from(REMEMBERED_OPERATIONS).expect("a few");
    let set = |n: u64| {
        let weight = if n.is_multiple_of(2) { "0" } else { "5" };
        process.ask(NAME, commands::weight(weight), asked_as(&format!("k{n}")))
    };
    for n in 1..=count {
        let answer = set(n).await.expect("a commit");
        assert_eq!(answer.revision, Revision(2 + n));
    }
    let fresh = world.process().await;
    for n in [1, 17, count] {
        let weight = if n.is_multiple_of(2) { "0" } else { "5" };
        let request = asked_as(&format!("k{n}"));
        let answer = fresh.ask(NAME, commands::weight(weight), request).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.outcome, Outcome::Repeated(Sequence(2 + n)));
    }
    // One more pushes the oldest out: it is a new request now.
    set(count + 1).await.expect("a commit");
    let forgotten = set(1).await.expect("an answer");
    assert_eq!(forgotten.outcome, Outcome::Unchanged(Unchanged::SameWeight));
}

async fn a_key_is_remembered_over_deletion_and_creation(world: &mut World) {
    let process = world.process().await;
    let first = process
        .ask(NAME, commands::create(), asked_as("first"))
        .await;
    let first = first.expect("a commit");
    let deleted = process
        .ask(NAME, commands::delete(), asked_as("gone"))
        .await;
    assert_eq!(deleted.expect("a commit").state, None);
    let deleted = process
        .ask(NAME, commands::delete(), asked_as("gone"))
        .await;
    let deleted = deleted.expect("an answer");
    assert_eq!(deleted.outcome, Outcome::Repeated(Sequence(2)));
    assert_eq!(deleted.state, None);
    let again = process
        .ask(NAME, commands::create(), asked_as("first"))
        .await;
    let again = again.expect("an answer");
    assert_eq!(again.outcome, Outcome::Repeated(Sequence(1)));
    assert_eq!(again.state, first.state);
}

async fn a_stale_revision_is_refused_and_changes_nothing(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    let stale = other.ask(NAME, commands::cutover(), asked_at(1)).await;
    assert!(
        matches!(
            stale,
            Err(WriteError::Stale {
                current: Revision(2)
            })
        ),
        "{stale:?}"
    );
    let ahead = other.ask(NAME, commands::cutover(), asked_at(3)).await;
    assert!(
        matches!(
            ahead,
            Err(WriteError::Stale {
                current: Revision(2)
            })
        ),
        "{ahead:?}"
    );
    assert_eq!(other.active(NAME), Slot::Blue);
    let fitting = other.ask(NAME, commands::cutover(), asked_at(2)).await;
    assert_eq!(fitting.expect("a commit").revision, Revision(3));
}

async fn a_state_too_large_is_refused_unless_it_helps(world: &mut World) {
    let process = world.process().await;
    let reach = (0..256).map(|n| format!("{n:0>64}").parse().expect("a name"));
    let grant = Grant {
        scopes: Scope::ALL.into(),
        reach: Reach::Environments(reach.collect()),
    };
    let create = |n: u8| AccessCommand::CreateToken {
        name: format!("token {n}").parse().expect("a name"),
        hash: TokenHash([n; 32]),
        grant: grant.clone(),
        expires_at: None,
    };
    let mut created = 0;
    let refused = loop {
        match process.change_access(create(created), asked()).await {
            Ok(_) => created += 1,
            Err(refused) => break refused,
        }
    };
    assert!(
        matches!(refused, WriteError::TooLarge { bytes, limit: 262_144 } if bytes > 262_144),
        "{refused}"
    );
    assert!(created > 10, "{created}");
    assert_eq!(world.verification().await.head, Sequence(created.into()));
    // An environment that a newer binary has left larger than this one may.
    process.create_with_candidate("Large").await;
    let head = world.verification().await.head;
    let mut large = world.tables.record(head.0).await.change;
    let mut state: serde_json::Value = serde_json::from_slice(&large.state).expect("a state");
    state["environment"]["notes"] = "x".repeat(40_000).into();
    (large.previous, large.revision) = (head, large.revision.next());
    large.operation.0[0] ^= 1;
    large.state = state.to_string().into_bytes();
    let position = process.position_to_write_at();
    let record = large.at(&position);
    world.tables.put(record.to_item()).await;
    let refused = process.tries("Large", commands::cutover()).await;
    assert!(
        matches!(refused, Err(WriteError::TooLarge { limit: 32_768, .. })),
        "{refused:?}"
    );
    assert_eq!(process.revision("Large"), 3);
    // Taking tokens away and calls back always goes.
    let first = TokenHash([0; 32]).id();
    let revoked = process.change_access(AccessCommand::RevokeToken(first), asked());
    revoked.await.expect("a commit");
    world.assert_sound().await;
}

async fn a_deleted_environment_continues_its_revision(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    let first = one.serves(NAME).expect("it is served");
    one.commits(NAME, commands::delete()).await;
    other.catch_up().await;
    for process in [&one, &other, &world.process().await] {
        assert!(process.serves(NAME).is_none());
    }
    let missing = one.tries(NAME, commands::cutover()).await;
    assert!(
        matches!(
            missing,
            Err(WriteError::Refused(Refusal::EnvironmentMissing))
        ),
        "{missing:?}"
    );
    assert_eq!(other.create(NAME).await, Revision(4));
    let again = world.process().await.serves(NAME).expect("it is served");
    assert_eq!(again.revision, Revision(4));
    assert_ne!(again.environment.salt, first.environment.salt);
    world.assert_sound().await;
}

async fn a_refusal_leaves_no_trace(world: &mut World) {
    let process = world.process().await;
    process.create(NAME).await;
    let before = (
        world.verification().await,
        world.tables.row(NAME).await,
        process.serves(NAME).expect("it is served"),
    );
    let refused = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert!(
        matches!(
            refused,
            Err(WriteError::Refused(Refusal::SlotEmpty(Slot::Green)))
        ),
        "{refused:?}"
    );
    assert_eq!(world.verification().await, before.0);
    assert_eq!(world.tables.row(NAME).await, before.1);
    let after = process.serves(NAME).expect("it is served");
    assert!(Arc::ptr_eq(&after, &before.2));
    // The key is still free.
    process.register(NAME, "v2").await;
    let committed = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    committed.expect("a commit");
}

async fn the_row_of_a_writer_that_died_is_finished_by_the_next(world: &mut World) {
    let (one, other) = two_processes(world).await;
    one.create_with_candidate(NAME).await;
    other.catch_up().await;
    // It committed a cutover and died before it could say so anywhere else.
    let proxy = world.proxy().await;
    let dying = world.process_behind(&proxy).await;
    dying.set_weight(NAME, "5").await;
    proxy.fail(Ask::Row, Fault::Refuse, usize::MAX);
    dying.cutover(NAME).await;
    let row = world.tables.row(NAME).await;
    assert_eq!(row["Sequence"].as_n().expect("a number"), "3");
    // A fresh process serves the head on top of the rows.
    let fresh = world.process().await;
    assert_eq!(fresh.active(NAME), Slot::Green);
    // Whoever writes next, anywhere, finishes the row first.
    other.create("Other").await;
    let row = world.tables.row(NAME).await;
    assert_eq!(row["Sequence"].as_n().expect("a number"), "4");
    assert_eq!(row["Active_Slot"].as_s().expect("a text"), "green");
    world.assert_sound().await;
    assert_eq!(world.tables.partition(ROWS).await.len(), 2);
}

async fn a_process_that_starts_again_serves_what_it_served(world: &mut World) {
    let process = world.process().await;
    for n in 0..5 {
        let name = format!("E{n}");
        process.create_with_candidate(&name).await;
        process.set_weight(&name, &format!("{n}.5")).await;
    }
    process.cutover("E3").await;
    process.commits("E4", commands::delete()).await;
    let again = world.process().await;
    assert_eq!(again.position(), process.position());
    for n in 0..5 {
        let name = format!("E{n}");
        assert_eq!(again.tracked(&name), process.tracked(&name));
    }
    assert_eq!(again.create("New").await, Revision(1));
}

async fn a_change_of_tokens_shows_in_the_other_process(world: &mut World) {
    let (one, other) = two_processes(world).await;
    let create = commands::create_token("pipeline", 5);
    let created = one.change_access(create.clone(), asked_as("k")).await;
    assert_eq!(created.expect("a commit").revision, Revision(1));
    assert!(one.lets_in("pipeline"));
    other.catch_up().await;
    assert!(other.lets_in("pipeline"));
    // A repeat draws another secret and is told that it is a repeat.
    let AccessCommand::CreateToken {
        name,
        grant,
        expires_at,
        ..
    } = create
    else {
        unreachable!()
    };
    let redrawn = AccessCommand::CreateToken {
        name,
        grant,
        expires_at,
        hash: TokenHash([6; 32]),
    };
    let repeated = other.change_access(redrawn, asked_as("k")).await;
    let repeated = repeated.expect("an answer");
    assert_eq!(repeated.outcome, Outcome::Repeated(Sequence(1)));
    let revoke = AccessCommand::RevokeToken(TokenHash([5; 32]).id());
    let revoked = other.change_access(revoke, asked()).await;
    assert_eq!(revoked.expect("a commit").revision, Revision(2));
    assert!(!other.lets_in("pipeline"));
    one.catch_up().await;
    assert!(!one.lets_in("pipeline"));
    assert!(!world.process().await.lets_in("pipeline"));
    world.assert_sound().await;
}

/// On engines that are not ours to restart, the process starts again, which is as much as can be asked for.
async fn everything_outlives_a_restart_of_the_engine(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let first = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    let first = first.expect("a commit");
    drop(process);
    if world.engine == Engine::Disk {
        world.restart_engine().await;
    }
    let process = world.process().await;
    assert_eq!(process.active(NAME), Slot::Green);
    let again = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert_eq!(again.expect("an answer").state, first.state);
    assert_eq!(process.roll_back(NAME).await, Revision(4));
    world.assert_sound().await;
}

async fn two_processes(world: &World) -> (Process, Process) {
    (world.process().await, world.process().await)
}

fn pick(processes: &(Process, Process), n: u32) -> Process {
    if n.is_multiple_of(2) {
        processes.0.clone()
    } else {
        processes.1.clone()
    }
}

/// So many writers at once, half of them on either process: what each comes to, and its number from 1.
async fn race(
    processes: &(Process, Process),
    writers: u32,
    write: impl Fn(u32) -> (traffic_cop::domain::Command, Request),
) -> Vec<(Result<Revision, WriteError>, u32)> {
    let mut racers = JoinSet::new();
    for n in 0..writers {
        let process = pick(processes, n);
        let n = n + 1;
        let (command, request) = write(n);
        racers.spawn(async move {
            let answer = process.ask(NAME, command, request).await;
            (answer.map(|answer| answer.revision), n)
        });
    }
    racers.join_all().await
}
