//! From decisions to the evidence that a judge reads: nothing lost while the store answers, nothing twice whatever happens on
//! the way, and nothing at all where chance does not choose.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use traffic_cop::clock::Clock as _;
use traffic_cop::domain::conversation::Conversation;
use traffic_cop::domain::decision::{Decision, Request};
use traffic_cop::domain::ids::Revision;
use traffic_cop::domain::judge::Judge;
use traffic_cop::domain::judge::arm::ByArm;
use traffic_cop::domain::judge::evidence::{Evidence, Exposure, Outcome};
use traffic_cop::domain::judge::metric::MetricSet;
use traffic_cop::domain::rollout::plan::Plan;
use traffic_cop::domain::rollout::{Commit, Rollout};
use traffic_cop::domain::slot::Slot;
use traffic_cop::evidence::CAPACITY;
use traffic_cop::store::StoreError;
use traffic_cop::store::evidence::MOST_CALLS;
use traffic_cop::store::item::{get_number, number};
use traffic_cop::telemetry::{OutcomeLabels, StoreOperation};

use crate::support::engine::cases;
use crate::support::world::until_answered;
use crate::support::{Ask, Fault, Process, World};

cases![
    every_decided_call_is_in_the_fold_once_though_its_batch_was_written_twice,
    a_second_decision_about_a_conversation_does_not_change_its_arm,
    a_replica_that_is_behind_writes_the_revision_that_it_decided_by,
    nothing_is_written_where_chance_does_not_choose,
    a_write_is_one_request_and_reads_nothing,
    what_the_store_had_no_room_for_is_written_the_next_time,
    a_store_that_is_away_costs_no_exposure_until_too_many_wait,
    exposures_of_many_environments_take_several_requests,
    a_reader_gets_the_batches_of_its_time_page_by_page,
    batches_that_cannot_be_read_are_counted_and_hide_no_others,
    evidence_expires_a_month_after_a_weight_set_by_hand,
];

const NAME: &str = "Main_IVR";
/// Partition of its exposures, as the architecture document has it.
const PARTITION: &str = "exposures/Main_IVR";
/// The attempts that the SDK makes by itself.
const ATTEMPTS: usize = 3;

fn call(conversation_id: &str) -> Request<'_> {
    Request {
        conversation_id,
        ..Request::default()
    }
}

/// A process at `percent`, and its revision.
async fn a_process_at(world: &World, percent: &str) -> (Process, Revision) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let revision = process.set_weight(NAME, percent).await;
    (process, revision)
}

/// Everything that is stored about `name`, by its batches' times.
async fn stored(world: &World, name: &str, from: Timestamp, until: Timestamp) -> Vec<Exposure> {
    let environment = name.parse().expect("a name");
    let read = async || {
        let mut pages = world.store.exposures(&environment, from, until);
        let mut exposures = Vec::new();
        while let Some(page) = pages.next().await? {
            assert_eq!(page.unreadable(), 0);
            exposures.extend(page.into_calls());
        }
        Ok(exposures)
    };
    until_answered(read).await
}

async fn all_stored(world: &World, name: &str) -> Vec<Exposure> {
    stored(world, name, Timestamp::UNIX_EPOCH, Timestamp::MAX).await
}

/// How many exposures came out like this.
fn counted(process: &Process, outcome: &'static str) -> u64 {
    let label = OutcomeLabels { outcome };
    process.metrics.exposures.get_or_create(&label).get()
}

/// A judge of a rollout whose first step began with `revision`, an instant before the first call.
fn judge(world: &World, revision: Revision) -> Judge {
    let now = world.clock.now() - Duration::from_millis(1);
    let commit = Commit { revision, now };
    Judge::resume(&Rollout::start(Plan::default(), Slot::Green, commit))
}

async fn every_decided_call_is_in_the_fold_once_though_its_batch_was_written_twice(
    world: &mut World,
) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    let revision = process.set_weight(NAME, "5").await;
    let mut judge = judge(world, revision);
    let mut green = 0;
    let mut outcomes = Vec::new();
    for half in 0..2 {
        for n in 0..200 {
            let id = format!("{half}-{n}");
            let decision = process.decide(NAME, &call(&id));
            green += u64::from(decision.slot == Slot::Green);
            outcomes.push(Outcome {
                conversation: decision.exposed.expect("an exposure"),
                at: world.clock.now(),
                bad: MetricSet::NONE,
            });
        }
        if half == 0 {
            // Each attempt arrives, and no answer to it does.
            proxy.fail(Ask::Exposures, Fault::DropReply, ATTEMPTS);
            process.write_exposures().await.expect_err("no answer");
        } else {
            process.write_exposures().await.expect("the first half");
            process.write_exposures().await.expect("the second half");
        }
    }
    proxy.settled().await;
    assert!(proxy.count(Ask::Exposures) > ATTEMPTS + 1);

    let exposures = all_stored(world, NAME).await;
    assert_eq!(exposures.len(), 400, "written twice under one key");
    assert_eq!(counted(&process, "written"), 400);
    for evidence in [&exposures, &exposures] {
        judge.absorb(&Evidence {
            exposures: evidence.clone(),
            outcomes: outcomes.clone(),
            ..Evidence::default()
        });
    }
    judge.advance(world.clock.now() + Duration::from_hours(1));
    let expected = ByArm {
        active: 400 - green,
        candidate: green,
    };
    assert_eq!(judge.record().step.matured, expected);
    assert_eq!(judge.record().step.reported, expected);
    assert_eq!(judge.record().skipped, Default::default());
}

async fn a_second_decision_about_a_conversation_does_not_change_its_arm(world: &mut World) {
    let (process, revision) = a_process_at(world, "5").await;
    let decide = |id: &str| process.decide(NAME, &call(id)).slot;
    // A call that the weight of 5 % leaves to blue, and that of 99 % to green.
    let mut ids = (0..1_000).map(|n| format!("call-{n}"));
    let id = ids
        .find(|id| decide(id) == Slot::Blue)
        .expect("most of them");
    process.write_exposures().await.expect("a write");
    let first = all_stored(world, NAME).await;
    let mut judge = judge(world, revision);

    world.clock.advance(Duration::from_secs(5));
    process.set_weight(NAME, "99.99").await;
    let again = process.decide(NAME, &call(&id));
    let inside = process.decide(
        NAME,
        &Request {
            flow_version: "v2",
            ..call(&id)
        },
    );
    process.write_exposures().await.expect("a write");

    assert_eq!((again.slot, again.is_randomised()), (Slot::Green, true));
    assert_eq!((inside.slot, inside.is_randomised()), (Slot::Green, false));
    let conversation = again.exposed.expect("an exposure");
    let about: Vec<_> = all_stored(world, NAME)
        .await
        .into_iter()
        .filter(|exposure| exposure.conversation == conversation)
        .collect();
    let randomised: Vec<_> = about.iter().map(|e| (e.slot, e.is_randomised)).collect();
    assert_eq!(
        randomised,
        [
            (Slot::Blue, true),
            (Slot::Green, true),
            (Slot::Green, false)
        ]
    );
    // Later ones first: what arrives first is not what counts.
    for exposures in [about, first.clone()] {
        judge.absorb(&Evidence {
            exposures,
            ..Evidence::default()
        });
    }
    judge.advance(world.clock.now() + Duration::from_hours(1));
    let green = first.iter().filter(|e| e.slot == Slot::Green).count() as u64;
    assert_eq!(
        judge.record().step.matured,
        ByArm {
            active: first.len() as u64 - green,
            candidate: green,
        }
    );
}

async fn a_replica_that_is_behind_writes_the_revision_that_it_decided_by(world: &mut World) {
    let (ahead, old) = a_process_at(world, "5").await;
    let behind = world.process().await;
    let new = ahead.set_weight(NAME, "50").await;
    for (process, id) in [(&behind, "a"), (&ahead, "b")] {
        process.decide(NAME, &call(id));
        process.write_exposures().await.expect("a write");
    }
    // Both within one batch, on either side of the change.
    behind.decide(NAME, &call("c"));
    behind.catch_up().await;
    behind.decide(NAME, &call("d"));
    behind.write_exposures().await.expect("a write");

    let salt = ahead.serves(NAME).expect("served").environment.salt;
    let exposures = all_stored(world, NAME).await;
    for (id, revision, percent) in [
        ("a", old, "5"),
        ("b", new, "50"),
        ("c", old, "5"),
        ("d", new, "50"),
    ] {
        let hash = Conversation::of(id).hash(&salt);
        let exposure = exposures.iter().find(|e| e.conversation == hash);
        let exposure = exposure.expect("it is stored");
        assert_eq!(exposure.revision, revision, "{id}");
        assert_eq!(exposure.weight.to_string(), percent, "{id}");
    }
}

async fn nothing_is_written_where_chance_does_not_choose(world: &mut World) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let requests = || process.metrics.store_requests.get();
    for percent in [None, Some("100")] {
        if let Some(percent) = percent {
            process.set_weight(NAME, percent).await;
        }
        let before = requests();
        for n in 0..100 {
            process.decide(NAME, &call(&n.to_string()));
        }
        process.write_exposures().await.expect("nothing to do");
        assert_eq!(requests(), before);
    }
    assert_eq!(world.tables.evidence(PARTITION).await.len(), 0);
}

async fn a_write_is_one_request_and_reads_nothing(world: &mut World) {
    let (process, _) = a_process_at(world, "5").await;
    let requests = &process.metrics.store_requests;
    let before = (requests.get(), requests.reads());
    let calls = MOST_CALLS + 1;
    for n in 0..calls {
        process.decide(NAME, &call(&n.to_string()));
    }
    assert_eq!((requests.get(), requests.reads()), before);
    process.write_exposures().await.expect("a write");
    process.write_exposures().await.expect("nothing more to do");
    assert_eq!((requests.get(), requests.reads()), (before.0 + 1, before.1));
    assert_eq!(requests.of(StoreOperation::BatchWriteItem).get(), 1);
    assert_eq!(all_stored(world, NAME).await.len(), calls);
    assert_eq!(world.tables.evidence(PARTITION).await.len(), 2);
}

async fn what_the_store_had_no_room_for_is_written_the_next_time(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    process.set_weight(NAME, "5").await;
    proxy.fail(Ask::Exposures, Fault::NoRoom, 2);
    for n in 0..10 {
        process.decide(NAME, &call(&n.to_string()));
    }
    for _ in 0..2 {
        process.write_exposures().await.expect("an answer");
        assert_eq!(counted(&process, "written"), 0);
        process.decide(NAME, &call("one that came later"));
    }
    process.write_exposures().await.expect("room");
    assert_eq!(counted(&process, "written"), 10);
    process.write_exposures().await.expect("room");
    assert_eq!(counted(&process, "written"), 12);
    assert_eq!(all_stored(world, NAME).await.len(), 12);
}

async fn a_store_that_is_away_costs_no_exposure_until_too_many_wait(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    process.create_with_candidate(NAME).await;
    process.set_weight(NAME, "5").await;
    proxy.fail_all(Fault::Refuse);
    // These are on their way when the store goes; as many again may wait in the queue.
    for n in 0..10 {
        process.decide(NAME, &call(&format!("first-{n}")));
    }
    process.write_exposures().await.expect_err("no store");
    for n in 0..CAPACITY {
        process.decide(NAME, &call(&format!("second-{n}")));
    }
    assert_eq!(counted(&process, "dropped"), 0);
    for n in 0..7 {
        let decision = process.decide(NAME, &call(&format!("third-{n}")));
        assert!(
            decision.exposed.is_some(),
            "the call is decided all the same"
        );
    }
    assert_eq!(counted(&process, "dropped"), 7);
    process.write_exposures().await.expect_err("no store");

    proxy.heal();
    let written = || counted(&process, "written");
    until_answered(async || process.write_exposures().await).await;
    assert_eq!(written(), 10);
    until_answered(async || process.write_exposures().await).await;
    assert_eq!(written(), 10 + CAPACITY as u64);
    let stored = all_stored(world, NAME).await;
    let conversations: BTreeSet<_> = stored.iter().map(|e| e.conversation).collect();
    assert_eq!(conversations.len(), 10 + CAPACITY);
}

async fn exposures_of_many_environments_take_several_requests(world: &mut World) {
    let process = world.process().await;
    let names: Vec<_> = (0..27).map(|n| format!("E{n}")).collect();
    for name in &names {
        process.create_with_candidate(name).await;
        process.set_weight(name, "5").await;
        process.decide(name, &call("one"));
        process.decide(name, &call("two"));
    }
    process.write_exposures().await.expect("a write");
    let requests = &process.metrics.store_requests;
    assert_eq!(requests.of(StoreOperation::BatchWriteItem).get(), 2);
    for name in &names {
        assert_eq!(all_stored(world, name).await.len(), 2, "{name}");
    }
}

async fn a_reader_gets_the_batches_of_its_time_page_by_page(world: &mut World) {
    let (process, _) = a_process_at(world, "5").await;
    let start = world.clock.now();
    let decisions: Vec<Decision> = (0..3)
        .map(|n| {
            let decision = process.decide(NAME, &call(&n.to_string()));
            world.clock.advance(Duration::from_millis(400));
            decision
        })
        .collect();
    process.write_exposures().await.expect("a write");
    let made_at = world.clock.now();
    let millisecond = Duration::from_millis(1);

    let exposures = stored(world, NAME, start, made_at + millisecond).await;
    for (n, (exposure, decision)) in exposures.iter().zip(&decisions).enumerate() {
        assert_eq!(Some(exposure.conversation), decision.exposed);
        assert_eq!(exposure.slot, decision.slot);
        let at = start + Duration::from_millis(400 * n as u64);
        assert_eq!(exposure.assigned_at, at, "the time of the decision");
    }
    assert_eq!(exposures.len(), 3);
    assert_eq!(
        stored(world, NAME, made_at, made_at + millisecond)
            .await
            .len(),
        3
    );
    assert_eq!(
        stored(world, NAME, start, made_at).await,
        [],
        "not yet made"
    );
    assert_eq!(
        stored(world, NAME, made_at + millisecond, Timestamp::MAX).await,
        [],
        "made before"
    );

    // More than a page, which is a megabyte.
    for n in 0..CAPACITY {
        process.decide(NAME, &call(&format!("call-{n}")));
    }
    until_answered(async || process.write_exposures().await).await;
    let environment = NAME.parse().expect("a name");
    let mut pages = world.store.exposures(&environment, start, Timestamp::MAX);
    let (mut count, mut exposures) = (0, 0);
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                count += 1;
                exposures += page.into_calls().count();
            }
            Ok(None) => break,
            // A megabyte takes its time on a busy machine; asking again goes on where it failed.
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(count > 1, "{count} pages");
    assert_eq!(exposures, 3 + CAPACITY);
}

async fn batches_that_cannot_be_read_are_counted_and_hide_no_others(world: &mut World) {
    let (process, _) = a_process_at(world, "5").await;
    for id in ["a", "b"] {
        process.decide(NAME, &call(id));
        world.clock.advance(Duration::from_secs(1));
        process.write_exposures().await.expect("a write");
    }
    let mut items = world.tables.evidence(PARTITION).await;
    let mut newer = items.remove(0);
    newer.insert("format".to_owned(), number(2));
    world.tables.put_evidence(newer).await;

    let environment = NAME.parse().expect("a name");
    let mut pages = world
        .store
        .exposures(&environment, Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let page = pages.next().await.expect("an answer").expect("a page");
    assert_eq!(page.unreadable(), 1);
    assert_eq!(page.into_calls().count(), 1);
    assert_eq!(pages.next().await.expect("an answer"), None);
}

async fn evidence_expires_a_month_after_a_weight_set_by_hand(world: &mut World) {
    let (process, _) = a_process_at(world, "5").await;
    process.decide(NAME, &call("a"));
    process.write_exposures().await.expect("a write");
    let items = world.tables.evidence(PARTITION).await;
    let expires_at = get_number(&items[0], "expires_at").expect("a time");
    let month = 30 * 24 * 60 * 60;
    assert_eq!(
        i64::try_from(expires_at).expect("a time"),
        world.clock.now().as_second() + month
    );
}
