//! Repair: going on where the last state cannot be read.

use insta::assert_snapshot;
use serde_json::{Value, json};
use traffic_cop::domain::ids::AggregateKey;

use crate::ask::{Answer, Ask, CANARY};
use crate::support::forgery::{forge, forge_of, poison};
use crate::world::{MAIN, TestApp, because};

/// A repair that still lacks its body.
fn repair(app: &TestApp) -> Ask {
    app.admin("POST", &format!("/v1/environments/{MAIN}/repair"))
}

async fn ask(app: &TestApp, members: Value) -> Answer {
    repair(app).json(&because(members)).send().await
}

/// An app with an environment of two versions at weight 5, at revision 3, whose revision 4 nobody can read.
async fn poisoned() -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 5.0).await;
    poison(&app.world, &app.process, MAIN).await;
    app
}

/// The environment as the record at `sequence` holds it.
async fn stored(app: &TestApp, sequence: u64) -> Value {
    let record = app.world.tables.record(sequence).await;
    let mut state: Value = serde_json::from_slice(&record.change.state).expect("a state");
    state["environment"].take()
}

#[tokio::test]
async fn what_cannot_be_read_is_brought_back_as_it_last_was() {
    let app = poisoned().await;
    let shown = app.show(MAIN).await.ok();
    assert_eq!(shown.json()["revision"], 3);
    assert_snapshot!(shown.json()["fault"], @r#""record 4: the state does not read as format 1: EOF while parsing a string at line 1 column 6""#);
    let refused = app.ask(MAIN, "cutover", json!({})).await;
    assert_snapshot!(refused.line(), @"409 state-corrupt: the last state cannot be read (record 4: the state does not read as format 1: EOF while parsing a string at line 1 column 6); what could be read before is served, and takes only a rollback, or a repair: `traffic-cop env repair Main_IVR`");

    let token = app
        .new_token(json!({ "scopes": ["admin"], "environments": [MAIN] }))
        .await;
    let body = json!({ "reason": "a bad write" });
    let done = repair(&app).by(&token).json(&body).send().await.ok();

    assert_eq!(done.etag(), "\"5\"");
    let done = done.json();
    assert_eq!(
        (&done["outcome"], &done["revision"], &done["sequence"]),
        (&json!("committed"), &json!(5), &json!(6))
    );
    assert_eq!(done["state"]["weight"], 5);
    let shown = app.show(MAIN).await.ok().json();
    assert_eq!(
        (&shown["revision"], &shown["fault"]),
        (&json!(5), &Value::Null)
    );
    let history = app.admin("GET", &format!("/v1/environments/{MAIN}/history"));
    let history = history.send().await.ok().json();
    let entry = &history["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["reason"]),
        (&json!("repair"), &json!("a bad write"))
    );
    let actor = entry["actor"].as_str().expect("an actor");
    assert!(actor.starts_with("token-"), "{actor}");
    app.cut_over(MAIN).await;
}

#[tokio::test]
async fn another_state_can_be_named_or_given() {
    let app = poisoned().await;
    let back = ask(&app, json!({ "revision": 1 })).await.ok().json();
    assert_eq!(
        (
            &back["revision"],
            &back["state"]["slots"]["green"]["status"]
        ),
        (&json!(5), &json!("empty"))
    );
    poison(&app.world, &app.process, MAIN).await;
    let mut given = stored(&app, 3).await;
    given["weight_bps"] = json!(1_250);
    let back = ask(&app, json!({ "state": given })).await.ok().json();
    assert_eq!(
        (&back["revision"], &back["state"]["weight"]),
        (&json!(7), &json!(12.5))
    );
    app.world.assert_sound().await;
}

#[tokio::test]
async fn a_state_that_is_none_is_refused_and_changes_nothing() {
    let app = poisoned().await;
    let good = stored(&app, 3).await;
    let with = |change: fn(&mut Value)| {
        let mut state = good.clone();
        change(&mut state);
        json!({ "state": state })
    };
    let mut lines = Vec::new();
    for members in [
        json!({ "revision": 1, "state": good }),
        json!({ "state": [] }),
        json!({ "state": {} }),
        with(|state| state["slots"]["blue"]["flow"]["id"] = CANARY.repeat(50).into()),
        with(|state| state["weight_bps"] = json!(10_001)),
        with(|state| state["active"] = json!("red")),
        with(|state| state["slots"]["green"]["flow"]["id"] = json!("flow-blue")),
        with(|state| state["slots"]["blue"]["version"] = json!(null)),
        with(|state| state[CANARY] = json!(1)),
        with(|state| state["slots"]["blue"]["flow"][CANARY] = json!(1)),
        with(|state| state["rollout"] = json!({ CANARY: 1 })),
        with(|state| state["salt"] = json!("00112233445566778899aabbccddeeff")),
        json!({ "revision": 4 }),
        json!({ "revision": 99 }),
        json!({ "revision": "last" }),
        json!({ CANARY: true }),
    ] {
        lines.push(ask(&app, members).await.line());
    }
    assert_snapshot!(lines.join("\n"), @"
    400 bad-request: give a revision or a state, not both; neither is the last state that could be read
    400 bad-request: member state: wrong type or value; expected an object
    400 bad-request: member state: missing member `salt`
    400 bad-request: member state.slots.blue.flow.id: invalid flow id: expected 1 to 64 ASCII letters, digits or '-'
    400 bad-request: member state: the weight is above 10000 basis points
    400 bad-request: member state.active: unknown value; expected `blue` or `green`
    400 bad-request: member state: both slots are bound to one flow
    400 bad-request: member state: the active slot holds no flow version
    400 bad-request: member state: it has members that mean nothing here; give it as it is stored, in the newest format that this version writes
    400 bad-request: member state: it has members that mean nothing here; give it as it is stored, in the newest format that this version writes
    400 bad-request: member state: its rollout is none
    409 refused: the state cannot follow the last one that could be read: it has another salt, by which every conversation would be decided anew
    404 revision-not-found: revision 4 has no state that can be brought back: there was none, or its record is lost or cannot be read
    404 revision-not-found: revision 99 has no state that can be brought back: there was none, or its record is lost or cannot be read
    400 bad-request: member revision: wrong type or value; expected a whole number, not too large and not negative
    400 bad-request: unknown member; expected one of `revision`, `state`, `discard_newer_format`
    ");
    let shown = app.show(MAIN).await.ok().json();
    assert!(shown["fault"].is_string(), "{shown}");
    assert_eq!(app.world.verification().await.head.0, 4);
}

#[tokio::test]
async fn there_has_to_be_something_to_repair_and_to_bring_back() {
    let app = TestApp::start().await;
    let missing = ask(&app, json!({})).await;
    assert_eq!(missing.problem(), "environment-not-found");
    app.create_with_candidate(MAIN).await;
    let nothing = ask(&app, json!({})).await;
    assert_snapshot!(nothing.line(), @"409 nothing-to-repair: the last state can be read here; there is nothing to repair");
    let nothing = ask(&app, json!({ "revision": 1 })).await;
    assert_eq!(nothing.problem(), "nothing-to-repair");
    forge(&app.world, &app.process, MAIN, |draft| {
        draft.aggregate = "environment/Other_IVR".parse().expect("a key");
        (draft.revision.0, draft.previous.0) = (1, 0);
        draft.state = b"never readable".to_vec();
    })
    .await;
    let other = app.admin("POST", "/v1/environments/Other_IVR/repair");
    let refused = other.json(&because(json!({}))).send().await;
    assert_snapshot!(refused.line(), @"409 no-good-state: no state that could be read is known; give a whole `state`, as an exported snapshot or a last-good file has it");
    let state = stored(&app, 2).await;
    let other = app.admin("POST", "/v1/environments/Other_IVR/repair");
    let given = other.json(&because(json!({ "state": state }))).send().await;
    assert_eq!(given.ok().json()["revision"], 2);
    app.cut_over("Other_IVR").await;
}

#[tokio::test]
async fn a_repair_needs_no_etag_and_is_refused_with_a_stale_one() {
    let app = poisoned().await;
    let with_etag = async |etag: &str| {
        let repair = repair(&app).if_match(etag).key("the-repair");
        repair.json(&because(json!({}))).send().await
    };
    let seen = app.show(MAIN).await.ok().etag().to_owned();
    assert_eq!(seen, "\"3\"", "that of the state that is served");
    assert_eq!(with_etag("\"2\"").await.problem(), "stale");
    let first = with_etag(&seen).await.ok().json();
    assert_eq!(first["outcome"], "committed");
    app.cut_over(MAIN).await;
    let again = with_etag(&seen).await.ok().json();
    assert_eq!(
        (&again["outcome"], &again["revision"], &again["state"]),
        (&json!("repeated"), &json!(5), &first["state"])
    );
    let reused = repair(&app).key("the-repair");
    let reused = reused.json(&because(json!({ "revision": 1 }))).send().await;
    assert_eq!(reused.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn a_rollback_of_what_cannot_be_read_takes_the_etag_that_is_shown() {
    let app = poisoned().await;
    let roll_back = async |etag: &str| {
        let path = format!("/v1/environments/{MAIN}/rollback");
        let ask = app.admin("POST", &path).if_match(etag);
        ask.json(&because(json!({}))).send().await
    };
    assert_eq!(roll_back("\"2\"").await.problem(), "stale");
    let done = roll_back("\"3\"").await.ok().json();
    assert_eq!(
        (&done["revision"], &done["state"]["weight"]),
        (&json!(5), &json!(0))
    );
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_given_up_on_demand_only() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    forge(&app.world, &app.process, MAIN, |draft| {
        (draft.format, draft.state) = (2, b"{\"flows\": []}".to_vec());
    })
    .await;
    let refused = ask(&app, json!({})).await;
    assert_snapshot!(refused.line(), @"409 newer-format: this would give up a state of format 2, which this binary does not know: repair with one that does, or say discard_newer_format");
    let done = ask(&app, json!({ "discard_newer_format": true })).await;
    assert_eq!(done.ok().json()["revision"], 4);
}

#[tokio::test]
async fn tokens_are_brought_back_with_all_they_may_do() {
    let app = TestApp::start().await;
    let token = app.token(&["read"], None).await;
    let repair = async |members: Value| {
        let repair = app.admin("POST", "/v1/access/repair");
        repair.json(&because(members)).send().await
    };
    assert_eq!(repair(json!({})).await.problem(), "nothing-to-repair");
    app.token(&["decide"], None).await;
    let record = app.world.tables.record(1).await.change;
    let stored: Value = serde_json::from_slice(&record.state).expect("a state");
    let poison = async || {
        let poison = forge_of(&app.world, &app.process, &AggregateKey::Access, |draft| {
            draft.state = b"[]".to_vec();
        });
        poison.await;
        app.process.catch_up().await;
    };
    poison().await;
    let body = because(json!({ "name": "another", "scopes": ["read"] }));
    let refused = app.admin("POST", "/v1/tokens").json(&body).send().await;
    assert_snapshot!(refused.line(), @"409 state-corrupt: the last state cannot be read (record 3: the state does not read as format 1: invalid type: sequence, expected a map at line 1 column 0); what could be read before is served, and takes only a revocation, or a repair: `traffic-cop token repair`");
    let done = repair(json!({})).await.ok();
    assert_eq!(done.etag(), "\"4\"");
    let tokens = &done.json()["tokens"];
    assert_eq!(tokens.as_array().map(Vec::len), Some(2), "{tokens}");
    let list = app.admin("GET", "/v1/environments").by(&token);
    list.send().await.ok();
    // And as they were given.
    poison().await;
    let mut two_of_a_name = stored["access"].clone();
    let tokens = two_of_a_name["tokens"].as_object_mut().expect("tokens");
    let mut twin = tokens.values().next().expect("a token").clone();
    twin["sha256"] = "ab".repeat(32).into();
    tokens.insert("ab".repeat(8), twin);
    let refused = repair(json!({ "state": two_of_a_name })).await;
    assert_snapshot!(refused.line(), @"400 bad-request: member state: two tokens have one name");
    let done = repair(json!({ "state": stored["access"] })).await.ok();
    let done = done.json();
    assert_eq!(done["revision"], 6);
    assert_eq!(done["tokens"].as_array().map(Vec::len), Some(1), "{done}");
    app.world.assert_sound().await;
}

#[tokio::test]
async fn a_state_of_very_many_tokens_finds_room() {
    let app = TestApp::start().await;
    app.token(&["read"], None).await;
    let record = app.world.tables.record(1).await.change;
    let mut state: Value = serde_json::from_slice(&record.state).expect("a state");
    let mut state = state["access"].take();
    let tokens = state["tokens"].as_object_mut().expect("tokens");
    let token = tokens.values().next().expect("a token").clone();
    tokens.clear();
    for n in 0..512 {
        let mut token = token.clone();
        token["name"] = format!("token-{n}").into();
        token["sha256"] = format!("{n:016x}{:048x}", 0).into();
        tokens.insert(format!("{n:016x}"), token);
    }
    forge_of(&app.world, &app.process, &AggregateKey::Access, |draft| {
        draft.state = b"[]".to_vec();
    })
    .await;
    let body = because(json!({ "state": state }));
    assert!(body.to_string().len() > 64 * 1024);
    let repair = app.admin("POST", "/v1/access/repair").json(&body);
    let done = repair.send().await.ok().json();
    assert_eq!(done["tokens"].as_array().map(Vec::len), Some(512));
}
