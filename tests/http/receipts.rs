//! Receipts: who decides by a change, as far as a write waits to know.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use traffic_cop::domain::ids::Sequence;
use traffic_cop::replica::last_good::{self, Files};
use traffic_cop::replica::tasks;

use crate::ask::Answer;
use crate::support::{Ask, Fault, Process};
use crate::world::{MAIN, TestApp, because};

/// What a process does by itself. Ends when it is dropped.
pub(crate) struct Running {
    tasks: JoinSet<()>,
    stop: DropGuard,
}

impl Running {
    /// A process that follows the journal, says so, and looks at the others.
    pub(crate) fn all(process: &Process) -> Self {
        let mut running = Self::cut_off(process);
        let stop = running.stop.token().clone();
        running
            .tasks
            .spawn(tasks::poll(process.replica.clone(), stop));
        running
    }

    /// A process that has lost the journal and nothing else.
    fn cut_off(process: &Process) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let replica = &process.replica;
        tasks.spawn(tasks::beat(replica.clone(), stop.clone()));
        tasks.spawn(tasks::look(replica.clone(), stop.clone()));
        Self {
            tasks,
            stop: stop.drop_guard(),
        }
    }
}

/// Carries out a cutover and waits for a receipt as `query` says.
async fn cut_over(app: &TestApp, query: &str) -> Answer {
    let path = format!("/v1/environments/{MAIN}/cutover?{query}");
    let cutover = app.admin("POST", &path).if_match("*");
    cutover.json(&because(json!({}))).send().await
}

/// How many replicas have each status in a receipt, whose times are within reason.
fn tally(receipt: &Value) -> String {
    let mut lines = Vec::new();
    for replica in receipt["replicas"].as_array().expect("replicas") {
        let status = replica["status"].as_str().expect("a status");
        let ms = replica["acknowledged_ms"].as_u64();
        assert_eq!(ms.is_some(), status == "acknowledged", "{receipt:#}");
        lines.push(status);
    }
    lines.sort_unstable();
    format!("{}: {}", receipt["status"], lines.join(", "))
}

#[tokio::test]
async fn a_write_that_waits_is_answered_with_a_receipt_and_others_are_not() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let other = app.world.process().await;
    let _running = [Running::all(&app.process), Running::all(&other)];

    let without = cut_over(&app, "").await.ok().json();
    let with = cut_over(&app, "wait=all&timeout_ms=10000").await.ok();

    assert_eq!(without.get("receipt"), None);
    let receipt = &with.json()["receipt"];
    assert_eq!(tally(receipt), "\"all\": acknowledged, acknowledged");
    let named = receipt["replicas"].as_array().expect("replicas").iter();
    let named: Vec<_> = named.map(|replica| &replica["replica"]).collect();
    assert_eq!(
        named,
        [app.process.replica.id(), other.replica.id()],
        "in the order of their starts"
    );
    assert_eq!(other.revision(MAIN), 4, "what was acknowledged is so");
}

#[tokio::test]
async fn a_replica_that_is_cut_off_from_the_journal_is_named_and_the_write_stands() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let other = app.world.process().await;
    let _running = [Running::all(&app.process), Running::cut_off(&other)];

    let written = cut_over(&app, "wait=all&timeout_ms=2000").await.ok().json();

    assert_eq!(written["outcome"], "committed");
    let receipt = &written["receipt"];
    assert_eq!(tally(receipt), "\"unconfirmed\": acknowledged, unconfirmed");
    let named = receipt["replicas"].as_array().expect("replicas");
    let named = named.iter().find(|named| named["status"] == "unconfirmed");
    assert_eq!(
        named.expect("the one cut off")["replica"],
        other.replica.id()
    );
    assert_eq!(app.revision(MAIN).await, 3);
}

#[tokio::test]
async fn heartbeats_that_cannot_be_read_leave_the_receipt_unknown_and_the_write_made() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.catch_up().await;
    app.create_with_candidate(MAIN).await;
    proxy.fail(Ask::Heartbeat, Fault::ServerError, usize::MAX);
    let _running = Running::all(&app.process);

    let written = cut_over(&app, "wait=all&timeout_ms=2000").await.ok().json();

    assert_eq!(written["outcome"], "committed");
    assert_eq!(tally(&written["receipt"]), "\"unknown\": acknowledged");
    assert_eq!(app.revision(MAIN).await, 3);
}

#[tokio::test]
async fn a_replica_that_fell_silent_is_named_and_not_waited_for() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let other = app.world.process().await;
    other.beat().await;
    app.process.beat().await;
    app.advance(Duration::from_secs(6));
    let _running = Running::all(&app.process);

    let written = cut_over(&app, "wait=all&timeout_ms=10000").await.ok();

    let receipt = &written.json()["receipt"];
    assert_eq!(tally(receipt), "\"all\": acknowledged, silent");
}

#[tokio::test]
async fn a_repeat_and_a_write_that_changes_nothing_get_a_receipt_too() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let _running = Running::all(&app.process);
    let path = format!("/v1/environments/{MAIN}/cutover?wait=all&timeout_ms=10000");
    let cut_over = |to: &str| {
        let cutover = app.admin("POST", &path).if_match("*").key(to);
        cutover.json(&because(json!({ "to": to }))).send()
    };

    let outcomes = [
        cut_over("green").await.ok().json(),
        cut_over("green").await.ok().json(),
        app.admin("POST", &path)
            .if_match("*")
            .json(&because(json!({ "to": "green" })))
            .send()
            .await
            .ok()
            .json(),
    ];

    assert_eq!(
        outcomes.each_ref().map(|answer| &answer["outcome"]),
        ["committed", "repeated", "unchanged"]
    );
    for answer in outcomes {
        assert_eq!(tally(&answer["receipt"]), "\"all\": acknowledged");
    }
}

#[tokio::test]
async fn every_kind_of_write_can_wait() {
    let app = TestApp::start().await;
    let _running = Running::all(&app.process);
    let wait = "wait=all&timeout_ms=10000";
    let environment = format!("/v1/environments/{MAIN}?{wait}");
    let created = app
        .admin("PUT", &environment)
        .json(&crate::world::creation("Blue"));
    let deleted = app
        .admin("DELETE", &format!("{environment}&reason=a%20test"))
        .if_match("*");
    let token = because(json!({ "name": "pipeline", "scopes": ["read"] }));
    let token = app
        .admin("POST", &format!("/v1/tokens?{wait}"))
        .json(&token);
    let mut answers = Vec::new();
    for write in [created, deleted, token] {
        answers.push(write.send().await.ok().json());
    }
    let id = answers[2]["id"].as_str().expect("an id");
    let revoked = format!("/v1/tokens/{id}?{wait}&reason=a%20test");
    let revoked = app.admin("DELETE", &revoked).send().await.ok().json();
    for answer in answers.iter().chain([&revoked]) {
        assert_eq!(tally(&answer["receipt"]), "\"all\": acknowledged");
    }
}

/// A write is an operation with an idempotency key; whoever adds one adds the wait as well.
#[tokio::test]
async fn every_write_is_described_as_one_that_can_wait() {
    let app = TestApp::start().await;
    let description = app.admin("GET", "/openapi.json").send().await.json();
    let mut writes = 0;
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array();
            let names: Vec<_> = parameters
                .into_iter()
                .flatten()
                .map(|parameter| &parameter["name"])
                .collect();
            if names.contains(&&json!("Idempotency-Key")) {
                writes += 1;
                for name in ["wait", "timeout_ms"] {
                    assert!(names.contains(&&json!(name)), "{method} {path}: {name}");
                }
            }
        }
    }
    assert!(writes >= 11, "{writes} writes");
}

#[tokio::test]
async fn a_wait_that_is_not_well_formed_is_refused_before_anything_is_changed() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for query in [
        "wait=some",
        "wait=all&timeout_ms=0",
        "wait=all&timeout_ms=c4N4rY",
    ] {
        let refused = cut_over(&app, query).await;
        assert_eq!(refused.problem(), "bad-request", "{query}");
    }
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn a_process_is_ready_once_it_has_registered_and_read_the_journal_after_that() {
    let app = TestApp::start_without_a_snapshot().await;
    let ready = async || app.decisions("GET", "/v1/health/ready").send().await;
    assert_eq!(ready().await.problem(), "not-ready");

    // Somebody's request makes it read the journal; the others do not know of it yet.
    app.process.catch_up().await;
    assert_eq!(ready().await.problem(), "not-ready");

    app.process.join().await;
    ready().await.ok();
    let others = app.world.process().await;
    others.beat().await;
    assert_eq!(others.replica.peers().len(), 2);
}

#[tokio::test]
async fn a_change_that_a_restart_might_lack_is_made_and_says_so() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let cut_over = || {
        let path = format!("/v1/environments/{MAIN}/cutover");
        let cutover = app.admin("POST", &path).if_match("*").key("once");
        cutover.json(&because(json!({}))).send()
    };
    let told = |answer: &Value| (answer["outcome"].clone(), answer.get("saved").cloned());
    // A file is kept, and nobody writes it for now.
    let directory = tempfile::tempdir().expect("a directory");
    let files = Files::within(directory.path());
    let replica = app.process.replica.clone();
    assert!(!replica.start_from(&files), "there is none yet");

    let written = cut_over().await.ok().json();
    assert_eq!(told(&written), (json!("committed"), Some(json!(false))));
    assert_eq!(app.revision(MAIN).await, 3);
    let again = cut_over().await.ok().json();
    assert_eq!(told(&again), (json!("repeated"), Some(json!(false))));

    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    tokio::spawn(last_good::keep(replica, files, stop));
    assert!(app.process.replica.until_saved(Sequence(3)).await);
    let again = cut_over().await.ok().json();
    assert_eq!(told(&again), (json!("repeated"), None));
}
