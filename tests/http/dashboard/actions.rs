//! What forms do: the same as the admin API, under the name of whoever signed in.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use traffic_cop::config::Policy;

use super::{Browser, PAGE, running};
use crate::preflight::World;
use crate::receipts::Running;
use crate::support::Fault;
use crate::support::genesys::flows::locked_by;
use crate::world::{MAIN, TestApp, because};

async fn state(app: &TestApp) -> Value {
    app.show(MAIN).await.ok().json()
}

/// What commands have left behind in an environment, but for its name.
async fn left_behind(app: &TestApp, name: &str) -> Value {
    let mut state = app.show(name).await.ok().json();
    state["environment"].take();
    state
}

async fn last_change(app: &TestApp, name: &str) -> Value {
    let path = format!("/v1/environments/{name}/history?limit=1");
    let mut history = app.admin("GET", &path).send().await.ok().json();
    history["entries"][0].take()
}

/// A running app in which `commands` of the API were carried out.
async fn after(commands: &[(&str, Value)]) -> (TestApp, Running) {
    let (app, running) = running().await;
    for (command, members) in commands {
        app.ask(MAIN, command, members.clone()).await.ok();
    }
    (app, running)
}

#[tokio::test]
async fn every_form_does_what_the_api_does_in_the_name_of_the_token() {
    let manual =
        json!({ "plan": { "steps": [{ "weight": 5, "gate": "manual" }, { "weight": 100 }] } });
    let started = || vec![("rollout", manual.clone())];
    let paused = || vec![("rollout", manual.clone()), ("rollout/pause", json!({}))];
    let weighted = || vec![("weight", json!({ "weight": 20 }))];
    let none = || Vec::new();
    type Case = (
        Vec<(&'static str, Value)>,
        &'static str,
        Vec<(&'static str, &'static str)>,
        Value,
    );
    let cases: Vec<Case> = vec![
        (none(), "cutover", vec![], json!({})),
        (weighted(), "rollback", vec![], json!({})),
        (
            weighted(),
            "rollback",
            vec![("keep_calls", "on")],
            json!({ "keep_calls": true }),
        ),
        (
            none(),
            "weight",
            vec![("weight", "12,5 %")],
            json!({ "weight": 12.5 }),
        ),
        (none(), "rollout", vec![], json!({})),
        (none(), "rollout", vec![("plan", "canary")], json!({})),
        (
            none(),
            "rollout",
            vec![("plan", "cutover")],
            json!({ "plan": { "steps": [{ "weight": 100, "bake_minutes": 0 }] } }),
        ),
        (started(), "rollout/pause", vec![], json!({})),
        (paused(), "rollout/resume", vec![], json!({})),
        (started(), "rollout/promote", vec![], json!({})),
        (
            started(),
            "rollout/promote",
            vec![("when", "now")],
            json!({ "when": "now" }),
        ),
        (started(), "rollout/abort", vec![], json!({})),
        (
            started(),
            "rollout/abort",
            vec![("keep_calls", "on")],
            json!({ "keep_calls": true }),
        ),
    ];
    let (app, _running) = running().await;
    let token = app.token(&["operate"], None).await;
    let browser = Browser::of(&app, &token).await;
    for (number, (before, command, mut typed, members)) in cases.into_iter().enumerate() {
        let [by_form, by_api] = ["Form", "API"].map(|way| format!("{way}_{number}"));
        for name in [&by_form, &by_api] {
            app.create_with_candidate(name).await;
            for (command, members) in &before {
                app.ask(name, command, members.clone()).await.ok();
            }
        }
        typed.push(("reason", "a test"));
        let page = format!("/dashboard/environments/{by_form}");
        let page = browser.send_form(&page, command, &typed).await.ok();
        page.assert_says("Done: ");
        page.assert_says("Every live replica decides by it.");
        app.ask(&by_api, command, members).await.ok();
        let (form, api) = (
            left_behind(&app, &by_form).await,
            left_behind(&app, &by_api).await,
        );
        assert_eq!(form, api, "{command}");
        let (form, api) = (
            last_change(&app, &by_form).await,
            last_change(&app, &by_api).await,
        );
        for member in ["action", "reason", "revision"] {
            assert_eq!(form[member], api[member], "{command}");
        }
        let actor = form["actor"].as_str().expect("an actor");
        assert!(actor.starts_with("token-"), "{command} by {actor}");
    }
}

#[tokio::test]
async fn a_receipt_says_which_replica_has_it_and_how_soon() {
    let (app, _running) = running().await;
    let browser = Browser::of_admin(&app).await;
    let page = browser
        .send_form(PAGE, "cutover", &[("reason", "2.0 is good")])
        .await
        .ok();
    page.assert_says("Done: cut over");
    page.assert_says("This is revision 3");
    page.assert_says(app.process.replica.id());
    page.assert_says("has it, within 0 ms");
}

#[tokio::test]
async fn a_rollback_needs_a_reason_and_nothing_else() {
    let (app, _running) = after(&[("cutover", json!({}))]).await;
    let browser = Browser::of_admin(&app).await;
    let shown = browser.get(PAGE).await.ok();
    shown.assert_says("Goes back to blue v1: every new call goes there.");
    let path = format!("{PAGE}/rollback");
    let form_token = shown.field(&path, "form_token");
    let fields = [("form_token", form_token.as_str()), ("reason", "")];
    let page = browser.post(&path, &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.assert_says("The reason: invalid reason: expected 1 to 500 characters on one line");
    let fields = [
        ("form_token", form_token.as_str()),
        ("reason", "2.0 is not good"),
    ];
    let page = browser.post(&path, &fields).await.ok();
    page.assert_says("Done: roll back");
    assert_eq!(state(&app).await["active"], "blue");
    let page = browser
        .send_form(PAGE, "rollback", &[("reason", "2.0 is not good")])
        .await
        .ok();
    page.assert_says("Nothing to do: roll back");
}

#[tokio::test]
async fn a_refusal_is_told_and_nothing_typed_is_lost() {
    let (app, _running) = running().await;
    let browser = Browser::of_admin(&app).await;
    let weight = format!("{PAGE}/weight");
    for (typed, status, told) in [
        (
            "five",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The weight: invalid traffic weight",
        ),
        (
            "101",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The weight: invalid traffic weight",
        ),
        ("0", StatusCode::OK, "Nothing to do: set the weight"),
    ] {
        let fields = [("weight", typed), ("reason", "canary of 2.0")];
        let page = browser.send_form(PAGE, "weight", &fields).await;
        assert_eq!(page.status, status, "{typed}");
        page.assert_says(told);
        if status != StatusCode::OK {
            assert_eq!(page.field(&weight, "weight"), typed);
            assert_eq!(page.field(&weight, "reason"), "canary of 2.0");
        }
    }
    let end = "2026-01-06T00:00:00Z";
    let freeze = because(json!({ "end": end }));
    let path = format!("/v1/environments/{MAIN}/freezes");
    app.admin("POST", &path)
        .if_match("*")
        .json(&freeze)
        .send()
        .await
        .ok();
    let fields = [("weight", "5"), ("reason", "canary of 2.0")];
    let page = browser.send_form(PAGE, "weight", &fields).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.assert_says(
        "Freeze window 3 until 2026-01-06T00:00:00Z (a test) lets no callers be moved",
    );
    assert_eq!(page.field(&weight, "weight"), "5");
    assert_eq!(page.field(&weight, "reason"), "canary of 2.0");
}

#[tokio::test]
async fn a_form_about_another_revision_is_refused_once() {
    let (app, _running) = running().await;
    let browser = Browser::of_admin(&app).await;
    let shown = browser.get(PAGE).await.ok();
    app.set_weight(MAIN, 10.0).await;
    let path = format!("{PAGE}/weight");
    let fields = shown.fields(&path);
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    fields.retain(|(name, _)| !matches!(*name, "reason" | "weight"));
    fields.extend([("weight", "50"), ("reason", "onwards")]);
    let page = browser.post(&path, &fields).await;
    assert_eq!(page.status, StatusCode::PRECONDITION_FAILED);
    page.assert_says("The environment has changed since this page was made.");
    assert_eq!(page.field(&path, "weight"), "50");
    assert_eq!(state(&app).await["weight"], 10);
    // What is shown now is what is seen now.
    let fields = page.fields(&path);
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    browser.post(&path, &fields).await.ok();
    assert_eq!(state(&app).await["weight"], 50);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_done_once() {
    let (app, _running) = running().await;
    let browser = Browser::of_admin(&app).await;
    let shown = browser.get(PAGE).await.ok();
    let path = format!("{PAGE}/cutover");
    let fields = shown.fields(&path);
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    fields.retain(|(name, _)| *name != "reason");
    fields.push(("reason", "2.0 is good"));
    browser
        .post(&path, &fields)
        .await
        .ok()
        .assert_says("Done: cut over");
    let again = browser.post(&path, &fields).await.ok();
    again.assert_says("Done before: cut over");
    assert_eq!(app.revision(MAIN).await, 3);
    let page = browser.get(&path).await;
    assert_eq!(page.location(), PAGE, "loading it again leads back");
}

#[tokio::test]
async fn what_is_frozen_claimed_or_under_way_explains_itself() {
    let claim = json!({ "flow_version": "v3", "expires_in_minutes": 60 });
    let (app, _running) = after(&[("claim", claim)]).await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("Claimed for flow version v3 until 09:00:00 UTC");
    page.assert_says("Not possible now: slot green is claimed for flow version v3");
    let refused = browser
        .send_form(PAGE, "cutover", &[("reason", "now")])
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT);

    let (app, _running) = after(&[]).await;
    let path = "/v1/freezes";
    let freeze = because(json!({ "end": "2026-01-06T00:00:00Z" }));
    app.admin("POST", path)
        .if_match("*")
        .json(&freeze)
        .send()
        .await
        .ok();
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("frozen until 2026-01-06 00:00 UTC");
    page.assert_says("More is not possible now: freeze window 1 of the deployment until");
    page.assert_says("of the whole deployment");
    browser
        .get("/dashboard")
        .await
        .ok()
        .assert_says("frozen until");

    let (app, _running) = after(&[("rollout", json!({}))]).await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("Not possible now: a rollout is under way");
    page.assert_says("Takes back the 5 % of new calls that green v2 has");
}

#[tokio::test]
async fn without_the_store_pages_are_shown_and_refusals_told() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create_with_candidate(MAIN).await;
    let browser = Browser::of_admin(&app).await;
    browser
        .get(PAGE)
        .await
        .ok()
        .assert_says_nothing_of("Stale.");
    proxy.fail_all(Fault::Refuse);
    app.advance(Duration::from_secs(42));
    for path in ["/dashboard", PAGE] {
        let page = browser.get(path).await.ok();
        page.assert_says("Stale. The store was last read 42 s ago.");
        page.assert_says("blue v1");
    }
    let page = browser.get(PAGE).await.ok();
    page.assert_says("The history is in the store, which does not answer.");
    let page = browser
        .send_form(PAGE, "cutover", &[("reason", "now")])
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    page.assert_says("Not done: cut over");
    page.assert_says("The store did not answer as it should; nothing was changed");
    assert_eq!(page.field(&format!("{PAGE}/cutover"), "reason"), "now");
}

#[tokio::test]
async fn a_flow_that_is_not_fit_gets_no_callers_unless_somebody_insists() {
    let world = World::start(Policy::Refuse).await;
    let _running = Running::all(&world.app.process);
    world.genesys.changes_flow("flow-green", &locked_by("Anna"));
    let browser = Browser::of_admin(&world.app).await;
    let fields = [("reason", "2.0 is good")];
    let page = browser.send_form(PAGE, "cutover", &fields).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.assert_says(
        "The flow Main IVR Green (flow-green) is not fit to get callers: it is locked by Anna",
    );
    page.assert_says("send callers there all the same, without a look at the flow");
    assert_eq!(world.app.revision(MAIN).await, 2);
    let path = format!("{PAGE}/cutover");
    let fields = page.fields(&path);
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    fields.push(("skip_preflight", "on"));
    let page = browser.post(&path, &fields).await.ok();
    page.assert_says("Nobody looked at the flow Main IVR Green first: on request.");
    assert_eq!(world.app.revision(MAIN).await, 3);
}

#[tokio::test]
async fn a_rollout_is_started_where_none_is_under_way_and_the_flow_is_fit() {
    let world = World::start(Policy::Refuse).await;
    let _running = Running::all(&world.app.process);
    let browser = Browser::of_admin(&world.app).await;
    let path = format!("{PAGE}/rollout");
    let shown = browser.get(PAGE).await.ok();
    shown.assert_says("canary: 5 % for 30 min, 25 % for 30 min, 50 % for 30 min, 100 % for 30 min");
    assert_eq!(shown.field(&path, "plan"), "canary");
    let typed = [("plan", "mine"), ("reason", "2.0")];
    let page = browser.send_form(PAGE, "rollout", &typed).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.assert_says("The plan: expected canary or cutover.");
    assert_eq!(page.field(&path, "reason"), "2.0");

    world.genesys.changes_flow("flow-green", &locked_by("Anna"));
    let typed = [("plan", "cutover"), ("reason", "2.0")];
    let page = browser.send_form(PAGE, "rollout", &typed).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.assert_says("it is locked by Anna");
    assert_eq!(page.field(&path, "plan"), "cutover");
    let fields = page.fields(&path);
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    fields.push(("skip_preflight", "on"));
    let page = browser.post(&path, &fields).await.ok();
    page.assert_says("Done: start a rollout");
    page.assert_says("in step 1 of 1");
    assert!(page.form(&path).is_none(), "one at a time");
}
