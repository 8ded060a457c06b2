//! Webhooks: who is told of what, in which order, and what becomes of that when the other side fails, a process dies, or another
//! one leads.

mod storm;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use traffic_cop::clock::Clock as _;
use traffic_cop::domain::command::AddFreeze;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::domain::settings::SettingsCommand;
use traffic_cop::followers::webhooks::secrets::{Secrets, SecretsFile};
use traffic_cop::followers::webhooks::{KIND, Sender, Webhooks, signature};
use traffic_cop::followers::{Follower, Tick};
use traffic_cop::reload::Reload as _;
use traffic_cop::store::cursors::{Cursor, Obstacle};

use crate::support::engine::cases;
use crate::support::receiver::{Receiver, Reply, SECRET};
use crate::support::{Fault, Process, World, asked, commands};
use storm::whatever_fails_every_change_is_told_and_in_order;

cases![
    every_change_is_told_in_order_and_signed,
    what_is_not_taken_is_sent_again_until_it_is,
    an_answer_is_its_status_whatever_follows,
    who_fails_delays_nobody_else,
    a_crash_before_the_cursor_is_written_has_an_event_sent_again,
    who_lost_the_lease_moves_no_cursor,
    what_a_look_comes_to_is_counted,
    a_cursor_never_moves_back,
    a_webhook_without_a_secret_waits_and_says_so,
    both_secrets_sign_while_one_takes_the_place_of_the_other,
    a_webhook_is_told_of_what_it_asks_for_alone,
    a_webhook_begins_behind_its_own_record_also_when_it_comes_again,
    what_was_passed_over_is_not_read_again_for_ever,
    what_cannot_be_read_and_what_is_missing_is_told_to_all,
    what_fails_for_long_needs_a_person,
    without_webhooks_nobody_asks_for_anything,
    whatever_fails_every_change_is_told_and_in_order,
];

const NAME: &str = "Main_IVR";
/// How long the other side has for an answer.
const ANSWER_TIME: Duration = Duration::from_millis(300);
/// Longer than any pause.
const LONG: Duration = Duration::from_secs(300);
/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_secs(11);

/// Who tells, beside `process`.
fn teller_with(process: &Process, secrets: Arc<Secrets>) -> Follower<Webhooks> {
    let (clock, metrics) = (&process.clock, &process.metrics);
    let webhooks = Webhooks::new(
        process.replica.clone(),
        clock.clone(),
        metrics.clone(),
        secrets,
        Sender::new(ANSWER_TIME).expect("a sender"),
        "urn:traffic-cop:test".to_owned(),
    );
    let (replica, clock) = (process.replica.clone(), clock.clone());
    Follower::new(replica, clock, metrics.clone(), webhooks)
}

fn teller(process: &Process) -> Follower<Webhooks> {
    let secrets = json!({ "ours": SECRET }).to_string();
    let secrets = Secrets::read(&secrets).expect("secrets");
    teller_with(process, Arc::new(secrets))
}

/// A change that adds a webhook with these members beside its name and URL.
fn adds(name: &str, receiver: &Receiver, members: serde_json::Value) -> SettingsCommand {
    let mut all = json!({ "name": name, "url": receiver.url(), "secret": "ours" });
    let members = members.as_object().expect("members").clone();
    all.as_object_mut().expect("members").extend(members);
    SettingsCommand::AddWebhook(serde_json::from_value(all).expect("a webhook"))
}

async fn set(process: &Process, command: SettingsCommand) {
    let changed = process.change_settings(command, asked()).await;
    changed.expect("a commit");
}

async fn add(process: &Process, name: &str, receiver: &Receiver) {
    set(process, adds(name, receiver, json!({}))).await;
}

/// Has so many attempts made and taken in, one after the other.
async fn attempts(teller: &mut Follower<Webhooks>, count: usize) {
    leads(teller).await;
    for _ in 0..count {
        teller.progress().await;
        leads(teller).await;
    }
}

async fn leads(teller: &mut Follower<Webhooks>) {
    assert_eq!(teller.tick().await.expect("a look"), Tick::Leading);
}

/// The one cursor there is.
async fn cursor(world: &World) -> Cursor {
    let cursors = world.store.cursors(KIND).await.expect("cursors");
    assert_eq!(cursors.len(), 1, "{cursors:?}");
    cursors.into_values().next().expect("a cursor")
}

async fn every_change_is_told_in_order_and_signed(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    process.create(NAME).await;
    add(&process, "chat", &receiver).await;
    process.register(NAME, "v2").await;
    world.clock.advance(Duration::from_secs(60));
    process.set_weight(NAME, "5").await;
    let freeze = SettingsCommand::AddFreeze(AddFreeze {
        start: None,
        end: "2026-01-06T00:00:00Z".parse().expect("a time"),
        reason: "Christmas".parse().expect("a reason"),
    });
    set(&process, freeze).await;
    let token = commands::create_token("x", 1);
    let made = process.change_access(token, asked()).await;
    made.expect("a commit");

    let mut teller = teller(&process);
    attempts(&mut teller, 4).await;

    let received = receiver.received();
    for delivery in &received {
        delivery.assert_signed_with(SECRET);
        assert_eq!(delivery.path, "/hooks/ivr");
        assert_eq!(
            delivery.header("content-type"),
            "application/cloudevents+json"
        );
        let now = world.clock.now().as_second().to_string();
        assert_eq!(delivery.header("webhook-timestamp"), now);
        let event = delivery.event();
        assert_eq!(event["id"], delivery.id());
        assert_eq!(event["data"]["sequence"].to_string(), delivery.id());
    }
    let told = received.iter().map(|delivery| {
        let event = delivery.event();
        let text = |member: &str| event[member].as_str().unwrap_or("-").to_owned();
        [text("id"), text("type"), text("subject")].join(" ")
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "3 traffic-cop.environment.register Main_IVR",
            "4 traffic-cop.environment.set_weight Main_IVR",
            "5 traffic-cop.settings.add_freeze -",
            "6 traffic-cop.access.create_token -",
        ]
    );
    let mut event = received[1].event();
    assert_eq!(event["data"]["state"]["weight"], 5);
    event["data"]["state"].take();
    insta::assert_json_snapshot!(event, @r#"
    {
      "data": {
        "action": "set_weight",
        "actor": "tester",
        "aggregate": "environment/Main_IVR",
        "at": "2026-01-05T08:01:00Z",
        "environment": "Main_IVR",
        "reason": "a test",
        "revision": 3,
        "sequence": 4,
        "state": null
      },
      "datacontenttype": "application/json",
      "id": "4",
      "source": "urn:traffic-cop:test",
      "specversion": "1.0",
      "subject": "Main_IVR",
      "time": "2026-01-05T08:01:00Z",
      "type": "traffic-cop.environment.set_weight"
    }
    "#);
    assert_eq!(cursor(world).await.sequence, Sequence(6));
}

async fn what_is_not_taken_is_sent_again_until_it_is(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    let elsewhere = Receiver::start().await;
    add(&process, "chat", &receiver).await;
    process.create_with_candidate(NAME).await;
    let mut teller = teller(&process);
    let failures = [
        (Reply::Status(500), "it answers with status 500"),
        (Reply::Status(404), "it answers with status 404"),
        (Reply::Status(410), "it answers with status 410"),
        (Reply::Status(304), "it answers with status 304"),
        (
            Reply::Redirect(elsewhere.url()),
            "it answers with status 307",
        ),
        (Reply::RetryAfter(429, 7), "it answers with status 429"),
        (Reply::Silence, "it does not answer: nothing within 300ms"),
        (Reply::HangUp, "it does not answer: "),
        (Reply::Garbage, "it does not answer: "),
    ];
    let begin = world.clock.now();
    for (count, (reply, expected)) in failures.iter().enumerate() {
        receiver.replies(reply.clone());
        attempts(&mut teller, 1).await;
        assert_eq!(receiver.received().len(), count + 1, "{reply:?}");
        // Not before it is time.
        leads(&mut teller).await;
        assert_eq!(receiver.received().len(), count + 1, "{reply:?}");
        let cursor = cursor(world).await;
        assert_eq!(cursor.sequence, Sequence(1), "{reply:?}");
        let Obstacle { since, why } = cursor.obstacle.expect("an obstacle");
        assert!(why.starts_with(expected), "{why}");
        assert_eq!(since, begin, "since the first failure");
        world.clock.advance(LONG);
    }
    attempts(&mut teller, 2).await;
    let received = receiver.received();
    let first = &received[0];
    for again in &received[..=failures.len()] {
        assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    }
    assert_eq!(receiver.taken(), ["2", "3"]);
    assert_eq!(elsewhere.received().len(), 0, "redirects lead nowhere");
    let after = cursor(world).await;
    assert_eq!((after.sequence, after.obstacle), (Sequence(3), None));
    let metrics = process.metrics.exposition();
    for line in [
        "webhook_deliveries_total{webhook=\"chat\",outcome=\"delivered\"} 2",
        "webhook_deliveries_total{webhook=\"chat\",outcome=\"refused\"} 6",
        "webhook_deliveries_total{webhook=\"chat\",outcome=\"unanswered\"} 3",
        "webhook_behind{webhook=\"chat\"} 0",
        "webhook_oldest_seconds{webhook=\"chat\"} 0.0",
        "follower_leads{follower=\"webhooks\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

async fn an_answer_is_its_status_whatever_follows(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    add(&process, "chat", &receiver).await;
    process.create_with_candidate(NAME).await;
    receiver.replies(Reply::Huge);
    receiver.replies(Reply::SlowBody);
    attempts(&mut teller(&process), 2).await;
    assert_eq!(receiver.ids(), ["2", "3"]);
    assert_eq!(cursor(world).await.sequence, Sequence(3));
}

async fn who_fails_delays_nobody_else(world: &mut World) {
    let process = world.process().await;
    let (silent, failing) = (Receiver::start().await, Receiver::start().await);
    let mut healthy = Receiver::start().await;
    silent.always(Reply::Silence);
    failing.always(Reply::Status(500));
    add(&process, "a-silent", &silent).await;
    add(&process, "b-failing", &failing).await;
    add(&process, "c-healthy", &healthy).await;
    process.create_with_candidate(NAME).await;
    for _ in 0..8 {
        process.cutover(NAME).await;
    }
    let mut teller = teller(&process);
    leads(&mut teller).await;
    // As long as the first event of the silent one is under way: its time has not passed, or has long passed.
    while healthy.taken().len() < 10 {
        teller.progress().await;
        leads(&mut teller).await;
    }
    healthy.until(10).await;
    let expected: Vec<_> = (4..14).map(|sequence| sequence.to_string()).collect();
    assert_eq!(healthy.taken(), expected);
    assert_eq!(silent.ids()[0], "2");
    assert_eq!(failing.ids(), ["3"]);
}

async fn a_crash_before_the_cursor_is_written_has_an_event_sent_again(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    add(&process, "chat", &receiver).await;
    process.create_with_candidate(NAME).await;
    let mut crashing = teller(&process);
    leads(&mut crashing).await;
    crashing.progress().await;
    assert_eq!(receiver.taken(), ["2"]);
    drop(crashing);

    let other = world.process().await;
    let mut other = teller(&other);
    assert_eq!(other.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    attempts(&mut other, 2).await;
    assert_eq!(receiver.taken(), ["2", "2", "3"]);
    let received = receiver.received();
    assert_eq!(received[0].body, received[1].body);
}

async fn who_lost_the_lease_moves_no_cursor(world: &mut World) {
    let (process, mut receiver) = (world.process().await, Receiver::start().await);
    add(&process, "chat", &receiver).await;
    process.create_with_candidate(NAME).await;
    let mut former = teller(&process);
    leads(&mut former).await;
    receiver.until(1).await;
    let other = world.process().await;
    let mut other = teller(&other);
    assert_eq!(other.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    attempts(&mut other, 2).await;
    assert_eq!(cursor(world).await.sequence, Sequence(3));

    former.progress().await;
    assert_eq!(former.tick().await.expect("a look"), Tick::Following);
    assert_eq!(cursor(world).await.sequence, Sequence(3));
    assert_eq!(receiver.ids(), ["2", "2", "3"]);
}

async fn what_a_look_comes_to_is_counted(world: &mut World) {
    let proxy = world.proxy().await;
    let process = world.process_behind(&proxy).await;
    let mut teller = teller(&process);
    assert_eq!(teller.tick().await.expect("a look"), Tick::Idle);
    add(&process, "chat", &Receiver::start().await).await;
    leads(&mut teller).await;
    proxy.fail_all(Fault::Refuse);
    world.clock.advance(LEASE);
    teller.tick().await.expect_err("no way to the store");
    proxy.heal();
    leads(&mut teller).await;
    let metrics = process.metrics.exposition();
    for (outcome, looks) in [("idle", 1), ("led", 2), ("failed", 1)] {
        let line =
            format!("follower_ticks_total{{follower=\"webhooks\",outcome=\"{outcome}\"}} {looks}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

async fn a_cursor_never_moves_back(world: &mut World) {
    let now = world.clock.now();
    let put = async |sequence| {
        let cursor = Cursor {
            sequence: Sequence(sequence),
            ..Cursor::default()
        };
        let put = world.store.put_cursor(KIND, "a", &cursor, now).await;
        put.expect("an answer")
    };
    assert!(put(5).await);
    assert!(put(5).await, "it is renewed");
    assert!(!put(4).await);
    assert_eq!(cursor(world).await.sequence, Sequence(5));
    assert!(put(10).await, "as a number, not as a text");
    assert!(!put(9).await);
    assert_eq!(cursor(world).await.sequence, Sequence(10));
}

async fn a_webhook_without_a_secret_waits_and_says_so(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    add(&process, "chat", &receiver).await;
    process.create(NAME).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secrets.json");
    std::fs::write(&path, "{}").expect("a file");
    let (mut file, secrets) = SecretsFile::open(path.clone()).expect("secrets");
    let mut teller = teller_with(&process, secrets);
    leads(&mut teller).await;
    leads(&mut teller).await;
    assert_eq!(receiver.received().len(), 0);
    let why = "the process that leads has no secret of the name ours";
    assert_eq!(cursor(world).await.obstacle.expect("an obstacle").why, why);
    let raised = process.metrics.alarms.raised();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].1, format!("chat: {why}"));
    let backlog = &process.metrics.followers.webhooks()["chat"];
    assert_eq!(
        (backlog.entries, backlog.obstacle.as_deref()),
        (1, Some(why))
    );

    std::fs::write(&path, json!({ "ours": SECRET }).to_string()).expect("a file");
    file.look();
    attempts(&mut teller, 1).await;
    assert_eq!(receiver.taken(), ["2"]);
    assert_eq!(process.metrics.alarms.raised().len(), 0);
    assert_eq!(cursor(world).await.obstacle, None);
}

async fn both_secrets_sign_while_one_takes_the_place_of_the_other(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    add(&process, "chat", &receiver).await;
    process.create(NAME).await;
    let new = signature::draw();
    let secrets = json!({ "ours": [new, SECRET] }).to_string();
    let secrets = Secrets::read(&secrets).expect("secrets");
    attempts(&mut teller_with(&process, Arc::new(secrets)), 1).await;
    for secret in [SECRET, &new] {
        receiver.received()[0].assert_signed_with(secret);
    }
}

async fn a_webhook_is_told_of_what_it_asks_for_alone(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    let other = Receiver::start().await;
    let members = json!({ "environments": [NAME], "actions": ["cutover", "rollback"] });
    set(&process, adds("some", &receiver, members)).await;
    let members = json!({ "environments": ["Other_IVR"] });
    set(&process, adds("other", &other, members)).await;
    for name in [NAME, "Other_IVR"] {
        process.create_with_candidate(name).await;
        process.cutover(name).await;
    }
    process.roll_back(NAME).await;
    let mut teller = teller(&process);
    leads(&mut teller).await;
    while receiver.taken().len() + other.taken().len() < 5 {
        teller.progress().await;
        leads(&mut teller).await;
    }
    assert_eq!(receiver.taken(), ["5", "9"]);
    assert_eq!(other.taken(), ["6", "7", "8"]);
}

async fn a_webhook_begins_behind_its_own_record_also_when_it_comes_again(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    process.create(NAME).await;
    add(&process, "chat", &receiver).await;
    let mut teller = teller(&process);
    leads(&mut teller).await;
    receiver.always(Reply::Status(500));
    process.register(NAME, "v2").await;
    attempts(&mut teller, 1).await;
    assert_eq!(receiver.ids(), ["3"]);
    set(
        &process,
        SettingsCommand::RemoveWebhook("chat".parse().expect("a name")),
    )
    .await;
    assert_eq!(teller.tick().await.expect("a look"), Tick::Idle);
    assert!(process.metrics.followers.webhooks().is_empty());

    process.cutover(NAME).await;
    add(&process, "chat", &receiver).await;
    receiver.always(Reply::Status(200));
    process.roll_back(NAME).await;
    world.clock.advance(LONG);
    attempts(&mut teller, 1).await;
    assert_eq!(receiver.taken(), ["7"]);
}

async fn what_was_passed_over_is_not_read_again_for_ever(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    let members = json!({ "environments": ["Other_IVR"] });
    set(&process, adds("other", &receiver, members)).await;
    process.create_with_candidate(NAME).await;
    let mut teller = teller(&process);
    leads(&mut teller).await;
    for _ in 0..40 {
        process.cutover(NAME).await;
    }
    leads(&mut teller).await;
    assert_eq!(cursor(world).await.sequence, Sequence(1));
    world.clock.advance(Duration::from_secs(60));
    leads(&mut teller).await;
    assert_eq!(cursor(world).await.sequence, Sequence(43));
    let expires_at = async || {
        let items = world.tables.evidence("cursor/webhooks").await;
        items[0]["expires_at"].as_n().expect("a number").clone()
    };
    let before = expires_at().await;
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    leads(&mut teller).await;
    assert_ne!(expires_at().await, before, "what is needed is renewed");
    assert_eq!(receiver.received().len(), 0);
}

async fn what_cannot_be_read_and_what_is_missing_is_told_to_all(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    let members = json!({ "environments": ["Nowhere"], "actions": ["delete"] });
    set(&process, adds("chat", &receiver, members)).await;
    process.create_with_candidate(NAME).await;
    // More than a replica keeps at hand.
    for _ in 0..150 {
        process.cutover(NAME).await;
    }
    let of = crate::support::tables::set;
    let other = traffic_cop::store::item::text("another reason");
    world.tables.tamper(5, of("reason", other)).await;
    world.tables.drop_entry(9).await;
    world.tables.drop_entry(10).await;
    attempts(&mut teller(&process), 2).await;
    assert_eq!(receiver.taken(), ["5", "gap-10"]);
    let received = receiver.received();
    assert_eq!(
        received[0].event()["type"],
        "traffic-cop.journal.unreadable"
    );
    let gap = received[1].event();
    assert_eq!(gap["type"], "traffic-cop.journal.gap");
    assert_eq!(gap["data"], json!({ "after": 8, "resumed_after": 10 }));
    let behind = process.metrics.followers.webhooks()["chat"].entries;
    assert_eq!(behind, 0);
}

async fn what_fails_for_long_needs_a_person(world: &mut World) {
    let (process, receiver) = (world.process().await, Receiver::start().await);
    process.create_with_candidate(NAME).await;
    add(&process, "chat", &receiver).await;
    process.cutover(NAME).await;
    receiver.always(Reply::Status(503));
    let mut teller = teller(&process);
    attempts(&mut teller, 1).await;
    assert_eq!(process.metrics.alarms.raised().len(), 0, "it may come back");
    for _ in 0..3 {
        world.clock.advance(LONG);
        attempts(&mut teller, 1).await;
    }
    let raised = process.metrics.alarms.raised();
    assert_eq!(raised[0].1, "chat: it answers with status 503");
    let backlog = &process.metrics.followers.webhooks()["chat"];
    assert_eq!(backlog.age, 3 * LONG);
    receiver.always(Reply::Status(200));
    world.clock.advance(LONG);
    attempts(&mut teller, 1).await;
    assert_eq!(process.metrics.alarms.raised().len(), 0);

    receiver.replies(Reply::Status(410));
    process.cutover(NAME).await;
    attempts(&mut teller, 1).await;
    let raised = process.metrics.alarms.raised();
    assert_eq!(raised[0].1, "chat: it answers with status 410", "at once");
}

async fn without_webhooks_nobody_asks_for_anything(world: &mut World) {
    let process = world.process().await;
    process.create(NAME).await;
    let mut teller = teller(&process);
    let before = process.metrics.store_requests.get();
    assert_eq!(teller.tick().await.expect("a look"), Tick::Idle);
    assert_eq!(process.metrics.store_requests.get(), before);
    assert!(world.tables.evidence("lease").await.is_empty());
}
