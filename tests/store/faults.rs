//! What comes of a write when the way to the store fails: done, not done, or an honest "unknown" that a repeat settles.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use tokio::task::JoinSet;
use traffic_cop::control::{Outcome, Request, WriteError};
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::operation::operation_id;
use traffic_cop::domain::slot::Slot;

use crate::support::engine::cases;
use crate::support::process::{asked_as, asked_at, environment};
use crate::support::random::for_all;
use crate::support::{Ask, Fault, FaultProxy, Process, World, asked, commands};

cases![
    a_put_that_arrives_late_is_one_change,
    a_put_whose_answer_is_lost_is_one_change,
    a_lost_answer_is_never_taken_for_a_conflict,
    a_place_lost_meanwhile_is_a_conflict_only_for_who_named_a_revision,
    a_late_put_finds_its_place_taken,
    answers_lost_until_the_deadline_leave_the_outcome_open_and_a_repeat_settles_it,
    puts_late_until_the_deadline_leave_the_outcome_open_and_a_repeat_settles_it,
    an_outcome_left_open_may_turn_out_not_to_be,
    throttling_and_faults_of_the_service_are_outlasted,
    throttling_without_end_changes_nothing,
    a_store_that_refuses_connections_is_unavailable_and_nothing_changes,
    a_store_that_keeps_silent_is_unavailable_in_time_and_nothing_changes,
    whatever_fails_every_answer_is_true,
];

const NAME: &str = "Main_IVR";
/// Longer than one attempt may take, shorter than a write.
const LATE: Duration = Duration::from_secs(2);
/// By then every write has had its answer.
const LONGEST_WRITE: Duration = Duration::from_secs(8);

/// A process behind a proxy, with two versions of one environment to change, and its rows known to be up to date.
async fn a_process_behind_a_proxy(world: &World) -> (Process, FaultProxy) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    (process, proxy)
}

/// Fails unless the journal ends at `head`, is sound, and a fresh process serves `active`.
async fn assert_journal(world: &World, head: u64, active: Slot) {
    world.assert_sound().await;
    assert_eq!(world.verification().await.head, Sequence(head));
    assert_eq!(world.process().await.active(NAME), active);
}

async fn a_put_that_arrives_late_is_one_change(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail(Ask::Commit, Fault::DeliverLate(LATE), 1);
    assert_eq!(process.cutover(NAME).await, Revision(3));
    // It arrives now, and finds its place taken by the one that was sent after it.
    proxy.settled().await;
    assert_journal(world, 3, Slot::Green).await;
    assert_eq!(process.roll_back(NAME).await, Revision(4));
    assert_journal(world, 4, Slot::Blue).await;
}

async fn a_put_whose_answer_is_lost_is_one_change(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    for times in [1, 3] {
        proxy.fail(Ask::Commit, Fault::DropReply, times);
        let target = process.active(NAME).other();
        let revision = process.cutover(NAME).await;
        assert_journal(world, revision.0, target).await;
    }
}

async fn a_lost_answer_is_never_taken_for_a_conflict(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail(Ask::Commit, Fault::DropReply, 2);
    proxy.fail(Ask::Entry, Fault::ServerError, 2);
    let answer = process.ask(NAME, commands::cutover(), asked_at(2)).await;
    let answer = answer.expect("it was not somebody else");
    assert_eq!(answer.revision, Revision(3));
    assert_eq!(answer.outcome, Outcome::Committed(Sequence(3)));
    assert_journal(world, 3, Slot::Green).await;
}

/// Another writer takes the place while the answer is awaited.
async fn a_place_lost_meanwhile_is_a_conflict_only_for_who_named_a_revision(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    let other = world.process().await;
    for (expected, weight) in [(None, "5"), (Some(Revision(4)), "6")] {
        let before = proxy.count(Ask::Commit);
        proxy.fail(Ask::Commit, Fault::DeliverLate(LATE), 1);
        let request = Request {
            expected,
            ..asked()
        };
        let (answer, other_weight) = tokio::join!(
            process.ask(NAME, commands::weight(weight), request),
            async {
                proxy.arrived(Ask::Commit, before + 1).await;
                other.set_weight(NAME, &format!("{weight}.5")).await
            }
        );
        proxy.settled().await;
        match expected {
            None => assert_eq!(answer.expect("a commit").revision, other_weight.next()),
            Some(_) => assert!(
                matches!(answer, Err(WriteError::Stale { current }) if current == other_weight),
                "{answer:?}"
            ),
        }
    }
    assert_journal(world, 5, Slot::Blue).await;
}

async fn a_late_put_finds_its_place_taken(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    let other = world.process().await;
    proxy.fail(Ask::Commit, Fault::DeliverLate(LATE), 1);
    proxy.fail(Ask::Commit, Fault::Refuse, usize::MAX);
    let (answer, revision) = tokio::join!(
        process.ask(NAME, commands::cutover(), asked_as("k")),
        async {
            proxy.arrived(Ask::Commit, 3).await;
            other.set_weight(NAME, "5").await
        }
    );
    assert!(
        matches!(answer, Err(WriteError::OutcomeUnknown { .. })),
        "{answer:?}"
    );
    proxy.settled().await;
    proxy.heal();
    // It never happened, so the repeat does it, on what the other has left.
    let answer = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    let answer = answer.expect("a commit");
    assert_eq!(answer.revision, revision.next());
    assert!(matches!(answer.outcome, Outcome::Committed(_)));
    assert_journal(world, 4, Slot::Green).await;
}

/// Fails unless the outcome is open, and names the operation that a record of it would have.
fn assert_open(answer: Result<impl std::fmt::Debug, WriteError>, key: &str) {
    let request = asked_as(key);
    let key = request.key.expect("a key");
    let expected = operation_id(&request.actor, &environment(NAME).to_string(), &key);
    assert!(
        matches!(answer, Err(WriteError::OutcomeUnknown { operation }) if operation == expected),
        "{answer:?}"
    );
}

async fn answers_lost_until_the_deadline_leave_the_outcome_open_and_a_repeat_settles_it(
    world: &mut World,
) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail(Ask::Commit, Fault::DropReply, usize::MAX);
    let answer = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert_open(answer, "k");
    proxy.heal();
    for process in [&process, &world.process().await] {
        let again = process.ask(NAME, commands::cutover(), asked_as("k")).await;
        let again = again.expect("an answer");
        assert_eq!(again.outcome, Outcome::Repeated(Sequence(3)));
        assert_eq!(again.revision, Revision(3));
        assert_eq!(again.state.expect("a state").active, Slot::Green);
    }
    assert_journal(world, 3, Slot::Green).await;
}

async fn puts_late_until_the_deadline_leave_the_outcome_open_and_a_repeat_settles_it(
    world: &mut World,
) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail(Ask::Commit, Fault::DeliverLate(LATE), usize::MAX);
    let answer = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert_open(answer, "k");
    proxy.heal();
    let again = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    let again = again.expect("an answer");
    assert_eq!(again.outcome, Outcome::Repeated(Sequence(3)));
    proxy.settled().await;
    assert_journal(world, 3, Slot::Green).await;
}

async fn an_outcome_left_open_may_turn_out_not_to_be(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail(Ask::Commit, Fault::Refuse, usize::MAX);
    let answer = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert_open(answer, "k");
    assert_journal(world, 2, Slot::Blue).await;
    proxy.heal();
    let again = process.ask(NAME, commands::cutover(), asked_as("k")).await;
    assert_eq!(
        again.expect("an answer").outcome,
        Outcome::Committed(Sequence(3))
    );
    assert_journal(world, 3, Slot::Green).await;
}

async fn throttling_and_faults_of_the_service_are_outlasted(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    for fault in [Fault::Throttle, Fault::ServerError, Fault::Refuse] {
        for (ask, times) in [
            (Ask::Poll, 2),
            (Ask::Row, 2),
            (Ask::Commit, 4),
            (Ask::Entry, 2),
        ] {
            proxy.fail(ask, fault, times);
        }
        // A fresh process has a row to finish before it writes.
        let fresh = world.process_behind(&proxy).await;
        fresh.cutover(NAME).await;
        proxy.heal();
    }
    process.catch_up().await;
    assert_journal(world, 5, Slot::Green).await;
}

async fn throttling_without_end_changes_nothing(world: &mut World) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    let fresh = world.process_behind(&proxy).await;
    for ask in [Ask::Row, Ask::Poll] {
        proxy.fail(ask, Fault::Throttle, usize::MAX);
        let answer = tokio::time::timeout(LONGEST_WRITE, fresh.tries(NAME, commands::cutover()));
        let answer = answer.await.expect("an answer in time");
        assert!(
            matches!(answer, Err(WriteError::Unavailable(_))),
            "{answer:?}"
        );
    }
    proxy.heal();
    process.catch_up().await;
    assert_journal(world, 2, Slot::Blue).await;
}

async fn a_store_that_refuses_connections_is_unavailable_and_nothing_changes(world: &mut World) {
    unavailable(world, Fault::Refuse).await;
}

async fn a_store_that_keeps_silent_is_unavailable_in_time_and_nothing_changes(world: &mut World) {
    unavailable(world, Fault::Silence).await;
}

async fn unavailable(world: &World, fault: Fault) {
    let (process, proxy) = a_process_behind_a_proxy(world).await;
    proxy.fail_all(fault);
    let mut writers = JoinSet::new();
    for request in [asked(), asked_as("k"), asked_at(2)] {
        let process = process.clone();
        writers.spawn(async move {
            let write = process.ask(NAME, commands::cutover(), request);
            tokio::time::timeout(LONGEST_WRITE, write).await
        });
    }
    for answer in writers.join_all().await {
        let answer = answer.expect("an answer in time");
        // Those that had to wait for their turn may have waited for too long.
        assert!(
            matches!(
                answer,
                Err(WriteError::Unavailable(_) | WriteError::Contended)
            ),
            "{answer:?}"
        );
    }
    assert_eq!(process.active(NAME), Slot::Blue, "calls are served");
    assert_eq!(process.replica.fault(), None, "away is not broken");
    proxy.heal();
    assert_journal(world, 2, Slot::Blue).await;
    process.cutover(NAME).await;
    assert_journal(world, 3, Slot::Green).await;
}

/// Faults of every kind, a few at a time, so that most writes still find an end.
fn faults() -> impl Strategy<Value = Vec<(Ask, Fault, usize)>> {
    let ask = prop_oneof![
        4 => Just(Ask::Commit),
        1 => Just(Ask::Entry),
        1 => Just(Ask::Poll),
        1 => Just(Ask::Row)
    ];
    let fault = prop_oneof![
        Just(Fault::DropReply),
        Just(Fault::Refuse),
        Just(Fault::ServerError),
        Just(Fault::Throttle),
        Just(Fault::Pass),
        Just(Fault::DeliverLate(Duration::from_millis(30))),
        Just(Fault::DeliverLate(Duration::from_millis(1_100))),
    ];
    vec((ask, fault, 1..3_usize), 0..12)
}

/// Writers on two processes, each behind failing lines of its own. Whoever is told "done" finds the change in the journal,
/// whoever is told "no" does not, and whoever is told "unknown" learns by repeating.
async fn whatever_fails_every_answer_is_true(world: &mut World) {
    let world = &*world;
    let number = std::sync::atomic::AtomicU32::new(0);
    for_all(4, &(faults(), faults()), async |faults| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("E{number}");
        let (one, other) = (world.proxy().await, world.proxy().await);
        let processes = [
            world.process_behind(&one).await,
            world.process_behind(&other).await,
        ];
        processes[0].create_with_candidate(&name).await;
        for (proxy, faults) in [(&one, &faults.0), (&other, &faults.1)] {
            for (ask, fault, times) in faults {
                proxy.fail(*ask, *fault, *times);
            }
        }
        let mut writers = JoinSet::new();
        for writer in 0..6_usize {
            let process = processes[writer % 2].clone();
            let name = name.clone();
            writers.spawn(async move {
                let command = commands::weight(&format!("{}", writer + 1));
                let request = asked_as(&format!("k{writer}"));
                let answer = process.ask(&name, command, request).await;
                (writer, answer)
            });
        }
        let answers = writers.join_all().await;
        one.heal();
        other.heal();
        let mut revisions = Vec::new();
        for (writer, answer) in answers {
            let command = commands::weight(&format!("{}", writer + 1));
            let request = asked_as(&format!("k{writer}"));
            let again = processes[1 - writer % 2].ask(&name, command, request).await;
            let again = again.expect("an answer now");
            match answer {
                Ok(first) => {
                    assert!(matches!(again.outcome, Outcome::Repeated(_)), "{again:?}");
                    assert_eq!(again.revision, first.revision);
                    assert_eq!(again.state, first.state);
                }
                Err(WriteError::OutcomeUnknown { .. }) => {}
                Err(WriteError::Unavailable(_) | WriteError::Contended) => {
                    assert!(matches!(again.outcome, Outcome::Committed(_)), "{again:?}");
                }
                Err(error) => panic!("nothing else can go wrong here: {error}"),
            }
            revisions.push(again.revision.0);
        }
        one.settled().await;
        other.settled().await;
        revisions.sort_unstable();
        assert_eq!(revisions, [3, 4, 5, 6, 7, 8], "each exactly once");
        world.assert_sound().await;
    });
}
