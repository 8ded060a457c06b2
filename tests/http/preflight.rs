//! Looking at a flow before callers are sent there: what is found, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;
use traffic_cop::clock::SystemClock;
use traffic_cop::config::Policy;
use traffic_cop::genesys::client::Client;
use traffic_cop::http::preflight::Preflight;

use crate::ask::Answer;
use crate::support::genesys::flows::{being_published, locked_by};
use crate::support::genesys::{CLIENT_SECRET, Fault, Genesys};
use crate::world::{MAIN, TestApp, because};

const LOOK: &str = "GET /api/v2/flows/flow-green";

/// An app with a candidate that was published as 45.0, and the Genesys Cloud that it asks.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) genesys: Genesys,
    _secret: TempDir,
}

impl World {
    pub(crate) async fn start(policy: Policy) -> Self {
        // Long enough for any machine; faults of silence have a shorter one.
        Self::with_budget(policy, Duration::from_secs(30)).await
    }

    async fn with_budget(policy: Policy, budget: Duration) -> Self {
        let genesys = Genesys::start().await;
        genesys.has_flow("flow-green", "Main IVR Green", "45.0");
        genesys.has_flow("flow-blue", "Main IVR Blue", "7.0");
        let secret = tempfile::tempdir().expect("a directory");
        let preflight = Preflight {
            policy,
            client: Some(Arc::new(client(&genesys, &secret))),
            budget,
        };
        let app = TestApp::start_with_preflight(preflight).await;
        app.create(MAIN).await;
        let register = json!({ "flow_version": "v2", "published_version": "45.0" });
        app.ask(MAIN, "register", register).await.ok();
        Self {
            app,
            genesys,
            _secret: secret,
        }
    }

    async fn look(&self) -> Value {
        let path = format!("/v1/environments/{MAIN}/preflight");
        self.app.admin("GET", &path).send().await.ok().json()
    }

    async fn cut_over(&self) -> Answer {
        self.app.ask(MAIN, "cutover", json!({})).await
    }
}

fn client(genesys: &Genesys, directory: &TempDir) -> Client {
    let file = directory.path().join("secret");
    let settings = genesys.settings(CLIENT_SECRET, &file, 100);
    Client::new(settings, Arc::new(SystemClock::start())).expect("a client")
}

fn names(preflight: &Value) -> Vec<String> {
    let findings = preflight["findings"].as_array().expect("findings");
    let names = findings.iter().map(|found| &found["finding"]);
    names
        .map(|name| name.as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn a_flow_that_is_fit_is_said_to_be() {
    let world = World::start(Policy::Warn).await;
    assert_snapshot!(world.look().await.to_string(), @r#"{"because":null,"environment":"Main_IVR","findings":[],"flow":{"id":"flow-green","name":"Main IVR Green"},"flow_version":"v2","outcome":"fit","policy":"warn","revision":2,"slot":"green"}"#);
    let done = world.cut_over().await.ok().json();
    assert_eq!(done["outcome"], "committed");
    assert_eq!(done["preflight"]["outcome"], "fit");
    assert_eq!(
        done["preflight"]["slot"], "green",
        "which was the candidate"
    );
    // Blue, version v1, is the candidate now.
    let look = world.look().await;
    assert_eq!(
        (&look["slot"], &look["flow_version"]),
        (&"blue".into(), &"v1".into())
    );
    assert_eq!(names(&look), ["not_compared"]);
    assert_eq!(look["outcome"], "fit", "a note is no problem");
}

#[tokio::test]
async fn whatever_is_wrong_warns_or_refuses() {
    for policy in [Policy::Warn, Policy::Refuse] {
        let world = World::start(policy).await;
        let good = json!({
            "active": true, "type": "INBOUNDCALL", "publishedVersion": { "id": "45.0" }, "lockedUser": null,
            "lockedClient": null, "currentOperation": null, "deleted": false,
        });
        for (members, finding) in [
            (json!({ "active": false }), "inactive"),
            (json!({ "type": "INBOUNDCHAT" }), "other_type"),
            (json!({ "publishedVersion": null }), "unpublished"),
            (
                json!({ "publishedVersion": { "id": "46.0" } }),
                "other_version",
            ),
            (locked_by("Anna"), "locked"),
            (being_published(), "busy"),
            (json!({ "deleted": true }), "deleted"),
        ] {
            world.genesys.changes_flow("flow-green", &good);
            world.genesys.changes_flow("flow-green", &members);
            let look = world.look().await;
            assert_eq!(look["outcome"], "unfit", "{finding}");
            assert_eq!(names(&look), [finding]);
            let answer = world.cut_over().await;
            if policy == Policy::Refuse {
                assert_eq!(answer.status, StatusCode::CONFLICT);
                let problem = answer.json();
                assert_eq!(problem["type"], "urn:traffic-cop:problem:flow-unfit");
                assert_eq!(names(&problem["preflight"]), [finding]);
            } else {
                assert_eq!(names(&answer.ok().json()["preflight"]), [finding]);
                world.app.ask(MAIN, "rollback", json!({})).await.ok();
            }
        }
        world.genesys.loses_flow("flow-green");
        assert_eq!(names(&world.look().await), ["missing"]);
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let world = World::start(Policy::Refuse).await;
    world.genesys.changes_flow("flow-green", &locked_by("Anna"));
    let refused = world.cut_over().await;
    assert_snapshot!(refused.json()["detail"], @r#""the flow Main IVR Green (flow-green) is not fit to get callers: it is locked by Anna, who may publish any moment; have it unlocked. Nothing was changed. Mend that, or ask with preflight=skip and say why in the reason""#);
    assert_eq!(world.app.revision(MAIN).await, 2);
    let path = |wish: &str| format!("cutover?preflight={wish}");
    let done = world.app.ask(MAIN, &path("skip"), json!({})).await;
    let done = done.ok().json();
    assert_eq!(done["preflight"]["outcome"], "skipped");
    assert_eq!(done["preflight"]["because"], "on request");
    let odd = world.app.ask(MAIN, &path("maybe"), json!({})).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn genesys_cloud_in_trouble_warns_or_refuses_and_tells_nothing_of_itself() {
    for (fault, because) in [
        (
            Fault::Status(StatusCode::UNAUTHORIZED),
            "Genesys Cloud refuses its own access tokens",
        ),
        (
            Fault::Status(StatusCode::FORBIDDEN),
            "Genesys Cloud does not let the client see flows: it needs the permission architect:flow:view",
        ),
        (
            Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
            "Genesys Cloud answers with status 500",
        ),
        (
            Fault::Garbage("<html>"),
            "Genesys Cloud gives an answer that cannot be read",
        ),
        (
            Fault::Garbage("{\"id\": \"flow-blue\"}"),
            "Genesys Cloud gives an answer that cannot be read",
        ),
        (
            Fault::Huge,
            "Genesys Cloud gives an answer that cannot be read",
        ),
        (Fault::TooMany(Some(60)), "Genesys Cloud is asked too much"),
    ] {
        for policy in [Policy::Warn, Policy::Refuse] {
            let world = World::start(policy).await;
            world.genesys.fails(fault.clone());
            let answer = world.cut_over().await;
            let preflight = if policy == Policy::Refuse {
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
                let problem = answer.json();
                assert_eq!(problem["type"], "urn:traffic-cop:problem:preflight-unknown");
                assert_eq!(world.app.revision(MAIN).await, 2, "{fault:?}");
                problem["preflight"].clone()
            } else {
                answer.ok().json()["preflight"].clone()
            };
            assert_eq!(preflight["outcome"], "unknown", "{fault:?}");
            assert_eq!(preflight["because"], because);
            if matches!(fault, Fault::TooMany(_)) {
                world.genesys.take_asked();
                let look = world.look().await;
                assert_eq!(look["outcome"], "unknown", "it heeds Retry-After");
                assert!(world.genesys.take_asked().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn silence_holds_a_cutover_up_for_no_longer_than_the_budget() {
    for fault in [Fault::Silence, Fault::Slow] {
        let budget = Duration::from_millis(50);
        let mut world = World::with_budget(Policy::Warn, budget).await;
        world.genesys.fails(fault);
        let done = world.cut_over().await.ok().json();
        assert_eq!(
            done["preflight"]["because"],
            "Genesys Cloud did not answer within 50ms"
        );
        world.genesys.go_away();
        let look = world.look().await;
        assert_eq!(look["outcome"], "unknown");
    }
}

#[tokio::test]
async fn what_takes_callers_back_never_asks() {
    let world = World::start(Policy::Refuse).await;
    for (command, members) in [
        ("cutover", json!({})),
        ("rollback", json!({})),
        ("weight", json!({ "weight": 50 })),
        ("weight", json!({ "weight": 20 })),
        ("weight", json!({ "weight": 0 })),
        ("rollout", json!({})),
        ("rollout/pause", json!({})),
        ("rollout/resume", json!({})),
        ("rollout/abort", json!({})),
    ] {
        world.genesys.take_asked();
        world.genesys.fails(None);
        let moves_callers_there = command == "cutover"
            || command == "rollout"
            || (command == "weight" && members["weight"] == 50);
        if !moves_callers_there {
            world.genesys.fails(Fault::Silence);
        }
        let done = world.app.ask(MAIN, command, members.clone()).await;
        let done = done.ok().json();
        let looks = world.genesys.take_asked();
        let has_looked = looks.iter().any(|asked| asked == LOOK);
        assert_eq!(has_looked, moves_callers_there, "{command} {members}");
        assert_eq!(
            done.get("preflight").is_some(),
            moves_callers_there,
            "{command}"
        );
    }
}

#[tokio::test]
async fn nobody_looks_for_a_change_that_is_not_made() {
    let world = World::start(Policy::Refuse).await;
    let cut_over = async |key: &str| {
        let path = format!("/v1/environments/{MAIN}/cutover");
        let ask = world.app.admin("POST", &path).if_match("2").key(key);
        ask.json(&because(json!({}))).send().await
    };
    cut_over("a").await.ok();
    world.genesys.take_asked();
    world.genesys.fails(Fault::Silence);
    assert_eq!(cut_over("a").await.ok().json()["outcome"], "repeated");
    assert_eq!(cut_over("b").await.status, StatusCode::PRECONDITION_FAILED);
    let already = world.app.ask(MAIN, "cutover", json!({ "to": "green" }));
    assert_eq!(already.await.ok().json()["outcome"], "unchanged");
    let claim = json!({ "flow_version": "v3" });
    world.app.advance(Duration::from_secs(3600));
    world.app.ask(MAIN, "claim", claim).await.ok();
    let refused = world.cut_over().await;
    assert_eq!(refused.json()["type"], "urn:traffic-cop:problem:refused");
    let path = format!("/v1/environments/{MAIN}/preflight");
    let look = world.app.admin("GET", &path).send().await;
    assert_eq!(look.json()["type"], "urn:traffic-cop:problem:refused");
    assert!(world.genesys.take_asked().is_empty());
}

#[tokio::test]
async fn without_access_the_answer_says_that_nobody_looked() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let done = app.ask(MAIN, "cutover", json!({})).await.ok().json();
    assert_snapshot!(done["preflight"].to_string(), @r#"{"because":"no access to Genesys Cloud","findings":[],"flow":{"id":"flow-green","name":"Main IVR Green"},"flow_version":"v2","outcome":"skipped","slot":"green"}"#);
}

#[tokio::test]
async fn where_it_is_off_only_whoever_asks_is_told() {
    let world = World::start(Policy::Off).await;
    world.genesys.loses_flow("flow-green");
    let done = world.cut_over().await.ok().json();
    assert_eq!(done.get("preflight"), None);
    assert!(world.genesys.take_asked().is_empty());
    assert_eq!(world.look().await["policy"], "off");
}

#[tokio::test]
async fn a_registered_published_version_is_shown() {
    let world = World::start(Policy::Off).await;
    let shown = world.app.show(MAIN).await.json();
    let version = |slot: &str| shown["slots"][slot]["flow_version"]["published_version"].clone();
    assert_eq!(
        (version("green"), version("blue")),
        ("45.0".into(), Value::Null)
    );
}

#[tokio::test]
async fn whoever_registers_can_ask_what_is_published() {
    let mut world = World::start(Policy::Off).await;
    let ask = async |app: &TestApp, query: &str| {
        let path = format!("/v1/environments/{MAIN}/publication{query}");
        app.admin("GET", &path).send().await
    };
    let claim = json!({ "flow_version": "v3" });
    world.app.advance(Duration::from_secs(3600));
    world.app.ask(MAIN, "claim", claim).await.ok();
    let known = ask(&world.app, "").await.ok().json();
    assert_snapshot!(known.to_string(), @r#"{"because":null,"environment":"Main_IVR","flow":{"id":"flow-green","name":"Main IVR Green"},"outcome":"known","published_version":"45.0","revision":3,"slot":"green"}"#);
    let blue = ask(&world.app, "?slot=blue").await.ok().json();
    assert_eq!(
        (&blue["slot"], &blue["published_version"]),
        (&"blue".into(), &"7.0".into())
    );
    let odd = ask(&world.app, "?slot=red").await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    let why = async |app: &TestApp| {
        let told = ask(app, "").await.ok().json();
        assert_eq!(told["published_version"], Value::Null);
        format!("{}: {}", told["outcome"], told["because"])
    };
    let unpublished = json!({ "publishedVersion": null });
    world.genesys.changes_flow("flow-green", &unpublished);
    assert_snapshot!(why(&world.app).await, @r#""none": "no version of it is published""#);
    let untold = json!({ "publishedVersion": {} });
    world.genesys.changes_flow("flow-green", &untold);
    assert_snapshot!(why(&world.app).await, @r#""unknown": "Genesys Cloud does not say which version is published""#);
    world.genesys.loses_flow("flow-green");
    assert_snapshot!(why(&world.app).await, @r#""unknown": "Genesys Cloud does not show the flow: compare its id and division""#);
    world.genesys.go_away();
    assert_snapshot!(why(&world.app).await, @r#""unknown": "Genesys Cloud does not answer""#);
    let without_access = TestApp::start().await;
    without_access.create_with_candidate(MAIN).await;
    assert_snapshot!(why(&without_access).await, @r#""skipped": "no access to Genesys Cloud""#);
}
