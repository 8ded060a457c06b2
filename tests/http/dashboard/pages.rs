//! What pages say.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use traffic_cop::telemetry::Alarm;

use super::{Browser, PAGE, app};
use crate::support::Process;
use crate::support::caller::{Call, Caller};
use crate::world::{MAIN, TestApp, creation};

/// A call, and the slot that took it.
async fn call(app: &TestApp, id: &str) -> String {
    let call = json!({ "Conversation_ID": id });
    let answer = app
        .call(MAIN)
        .by(&app.first_admin_text())
        .json(&call)
        .send()
        .await;
    answer.ok().json()["Slot"]
        .as_str()
        .expect("a slot")
        .to_owned()
}

async fn calls(app: &TestApp, count: usize) -> usize {
    let mut green = 0;
    for n in 0..count {
        green += usize::from(call(app, &format!("call-{n}")).await == "green");
    }
    green
}

#[tokio::test]
async fn the_share_that_callers_get_stands_beside_the_one_that_is_set() {
    let app = app().await;
    calls(&app, 3).await;
    app.set_weight(MAIN, 20.0).await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get("/dashboard").await.ok();
    page.assert_says(
        "This replica has decided no call since 08:00:00 UTC (0 s ago), when counting began.",
    );
    let green = calls(&app, 400).await;
    for path in ["/dashboard", PAGE] {
        let page = browser.get(path).await.ok();
        page.assert_says("400 calls decided by this replica since 08:00:00 UTC");
        let got = green as f64 / 4.0;
        let got = format!("{got:.1}");
        let got = got.trim_end_matches('0').trim_end_matches('.');
        page.assert_says(&format!("Of 400 left to chance, {got} % went to green"));
        page.assert_says("19 times in 20 it would be 16.2 to 24 %: as set.");
        page.assert_says(&format!("set 20 %, {green} calls"));
        page.assert_says("set 80 %");
        // Three before the weight was set, which do not count above.
        page.assert_says("All replicas, last 1 s: 403 calls a second");
    }
    app.cut_over(MAIN).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("This replica has decided no call since");
    page.assert_says("set 100 %");
}

#[tokio::test]
async fn the_share_that_callers_get_is_that_of_all_live_replicas_that_decide_alike() {
    let app = app().await;
    let other = app.world.process().await;
    let caller = Caller::of(&other);
    let browser = Browser::of_admin(&app).await;
    let calls = async |first: usize, count: usize| {
        for n in first..first + count {
            let conversation = format!("call-{n}");
            let call = Call {
                conversation: &conversation,
                ..Call::default()
            };
            caller.ask(MAIN, call).await;
        }
        other.replica.beat().await.expect("a heartbeat");
        app.process.beat().await;
    };
    app.set_weight(MAIN, 50.0).await;
    other.catch_up().await;
    calls(0, 200).await;
    for path in ["/dashboard", PAGE] {
        let page = browser.get(path).await.ok();
        page.assert_says("200 calls decided by 2 live replicas since 08:00:00 UTC");
        page.assert_says("Of 200 left to chance");
    }
    call(&app, "one").await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("201 calls decided by 2 live replicas");
    app.set_weight(MAIN, 60.0).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("This replica has decided no call since");
    page.assert_says("One more is not counted: it decides by another share");
    other.catch_up().await;
    calls(200, 30).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("30 calls decided by 2 live replicas");
    page.assert_says_nothing_of("not counted");
    other.replica.say_goodbye().await;
    app.process.beat().await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("This replica has decided no call since");
}

#[tokio::test]
async fn a_process_that_finds_the_share_set_counts_from_its_start_on_and_says_so() {
    let app = TestApp::start_without_a_snapshot().await;
    let other = app.world.process().await;
    other.create_with_candidate(MAIN).await;
    other.set_weight(MAIN, "20").await;
    app.advance(Duration::from_secs(600));
    app.process.join().await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says(
        "This replica has decided no call since 08:10:00 UTC (0 s ago), when counting began.",
    );
    page.assert_says_nothing_of("the share came to be");
}

#[tokio::test]
async fn a_hostile_flow_name_is_text() {
    let app = TestApp::start_for_known_callers().await;
    let hostile = "<script>alert(1)</script><img src=x onerror=\"alert(2)\">'";
    let path = format!("/v1/environments/{MAIN}");
    let creation = creation(hostile);
    app.admin("PUT", &path).json(&creation).send().await.ok();
    let reason = json!({ "flow_version": "\"><b>v2</b>", "reason": "<i>why</i> & \"so\"" });
    let made = app.change(MAIN, "register").json(&reason).send().await;
    made.ok();
    let browser = Browser::of_admin(&app).await;
    for path in [PAGE, "/dashboard", &format!("{PAGE}/history")] {
        let page = browser.get(path).await.ok();
        for markup in ["<script>alert", "<img", "<b>", "<i>"] {
            assert!(!page.text.contains(markup), "{path}: {markup}");
        }
    }
    let page = browser.get(PAGE).await.ok();
    page.assert_says(hostile);
    page.assert_says("<i>why</i> & \"so\"");
}

#[tokio::test]
async fn history_says_who_what_why_when_and_what_that_did() {
    let app = app().await;
    app.advance(Duration::from_secs(60));
    app.set_weight(MAIN, 5.0).await;
    app.cut_over(MAIN).await;
    let browser = Browser::of_admin(&app).await;
    for path in [PAGE.to_owned(), format!("{PAGE}/history")] {
        let page = browser.get(&path).await.ok();
        page.assert_says("cutover revision 4 08:01:00 0 s ago first-admin: a test active: blue → green weight: 5 % → 0 %");
        page.assert_says(
            "set weight revision 3 08:01:00 0 s ago first-admin: a test weight: 0 % → 5 %",
        );
        page.assert_says("create revision 1 08:00:00 60 s ago first-admin: a test blue takes every call with flow version v1");
    }
    for percent in 1..60 {
        app.set_weight(MAIN, f64::from(percent)).await;
    }
    let page = browser.get(PAGE).await.ok();
    page.assert_says("The whole history");
    page.assert_says("weight: 58 % → 59 %");
    page.assert_says_nothing_of("weight: 40 % → 41 %");
    let page = browser.get(&format!("{PAGE}/history")).await.ok();
    page.assert_says("weight: 19 % → 20 %");
    page.assert_says("Earlier changes");
    let next = format!("{PAGE}/history?before=24");
    assert!(
        page.text.contains(&format!("href=\"{next}\"")),
        "{}",
        page.text
    );
    let page = browser.get(&next).await.ok();
    page.assert_says("weight: 18 % → 19 %");
    page.assert_says("blue takes every call with flow version v1");
    page.assert_says_nothing_of("Earlier changes");
}

#[tokio::test]
async fn history_goes_back_no_further_than_the_limit() {
    let app = TestApp::start_with_longest_walk(2).await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 5.0).await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(&format!("{PAGE}/history?before=3")).await.ok();
    page.assert_says("register revision 2");
    page.assert_says_nothing_of("create revision 1");
    let page = browser.get(&format!("{PAGE}/history?before=2")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    page.assert_says("it is more than 2 changes ago");
}

#[tokio::test]
async fn a_rollout_is_a_ladder_with_the_evidence_and_what_it_waits_for() {
    let app = app().await;
    let plan = json!({ "steps": [
        { "weight": 50, "bake_minutes": 30 }, { "weight": 75, "gate": "manual" }, { "weight": 100 },
    ] });
    app.ask(MAIN, "rollout", json!({ "plan": plan })).await.ok();
    let path = format!("/v1/environments/{MAIN}/outcomes");
    for n in 0..40 {
        app.advance(Duration::from_secs(1));
        let id = format!("call-{n}");
        call(&app, &id).await;
        let outcome = json!({ "Conversation_ID": id, "Abandon": n % 4 == 0 });
        let report = app.decisions("POST", &path).by(&app.first_admin_text());
        report.json(&outcome).send().await.ok();
    }
    app.process.write_exposures().await.expect("a write");
    app.advance(Duration::from_secs(20 * 60));
    app.process.join().await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("green v2: in step 1 of 3 .");
    page.assert_says("10 min of bake time left, until 08:30:00 UTC");
    page.assert_says("Waits for 10 minutes of bake time left");
    page.assert_says("75 % step 2 30 min, 50 calls, a person agrees");
    page.assert_says("abandon E = ");
    page.assert_says("of 50 matured green calls");
    assert!(
        page.text
            .contains("aria-label=\"Evidence of harm, abandon: E = ")
    );
    assert!(page.text.contains("class=\"abort\"") && page.text.contains("class=\"pause\""));
    let points = page.text.split("points=\"").nth(1).expect("a line");
    let points = points.split('"').next().expect("points");
    assert!(points.split(' ').count() > 5, "a sample a minute: {points}");

    app.ask(MAIN, "rollout/pause", json!({})).await.ok();
    let page = browser.get(PAGE).await.ok();
    page.assert_says("paused in step 1 of 3: asked for");
    page.assert_says("Waits for a person");
    browser
        .get("/dashboard")
        .await
        .ok()
        .assert_says("rollout paused in step 1 of 3");
    app.ask(MAIN, "rollout/abort", json!({})).await.ok();
    let page = browser.get(PAGE).await.ok();
    page.assert_says("aborted in step 1 of 3: asked for");
    page.assert_says("50 % stopped here step 1");
    page.assert_says_nothing_of("75 % stopped here");
    page.assert_says("green v2 was rolled back");
}

#[tokio::test]
async fn slots_say_what_they_hold_and_whether_they_have_drained() {
    let app = app().await;
    call(&app, "one").await;
    app.cut_over(MAIN).await;
    // Calls are counted before every heartbeat.
    app.process.replica.beat().await.expect("a heartbeat");
    app.advance(Duration::from_secs(600));
    app.process.join().await;
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says("draining until 08:30:00 UTC (in 20 min)");
    page.assert_says("takes new calls");
    page.assert_says("Calls, last 30 min 1, the last one 10 min ago");
    app.advance(Duration::from_secs(1_300));
    let page = browser.get(PAGE).await.ok();
    page.assert_says("drained: no call can be inside");
}

#[tokio::test]
async fn replicas_are_told_with_how_far_each_is() {
    let app = app().await;
    app.process.join().await;
    app.process.replica.beat().await.expect("a heartbeat");
    app.process.replica.look_around().await.expect("a look");
    let browser = Browser::of_admin(&app).await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says(&format!(
        "{} (this one) live 2 0 2 0 s ago",
        app.process.replica.id()
    ));
    let other = app.world.process().await;
    other.beat().await;
    let newcomer = app.world.newcomer().await;
    newcomer.beat().await;
    app.set_weight(MAIN, 5.0).await;
    app.process.beat().await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says(&format!("{} live 2 1 2", other.replica.id()));
    page.assert_says(&format!("{} live before 1 3 0", newcomer.replica.id()));
    for percent in 6..26 {
        app.set_weight(MAIN, f64::from(percent)).await;
    }
    let page = browser.get(PAGE).await.ok();
    page.assert_says(&format!("{} live before 11 21 2", other.replica.id()));
}

#[tokio::test]
async fn alarms_of_every_live_replica_are_shown() {
    let app = app().await;
    let other = app.world.process().await;
    let raise = |process: &Process, alarm, why: &str| {
        process.metrics.alarms.set(alarm, Some(why.to_owned()));
    };
    raise(&app.process, Alarm::LastGoodFile, "the disk is full");
    raise(&other, Alarm::Webhooks, "what only its log says");
    other.beat().await;
    app.process.beat().await;
    let browser = Browser::of_admin(&app).await;
    let id = other.replica.id();
    for path in ["/dashboard", PAGE] {
        let page = browser.get(path).await.ok();
        page.assert_says("Alarm last_good_file at this replica. the disk is full");
        page.assert_says(&format!(
            "Alarm webhooks at another replica. Its log says why: {id}"
        ));
    }
    let page = browser.get(PAGE).await.ok();
    page.assert_says(&format!("{id} live webhooks"));
    let listed = app.admin("GET", "/v1/replicas").send().await.ok().json();
    assert_eq!(
        listed["replicas"][1]["alarms"],
        json!(["webhooks"]),
        "{listed:#}"
    );
    let stranger = app.token(&["read"], Some(&[MAIN])).await;
    let page = Browser::of(&app, &stranger).await.get(PAGE).await.ok();
    page.assert_says_nothing_of("Alarm webhooks");
    other.metrics.alarms.set(Alarm::Webhooks, None);
    other.beat().await;
    app.process.beat().await;
    let page = browser.get(PAGE).await.ok();
    page.assert_says_nothing_of("webhooks");
}

#[tokio::test]
async fn what_is_not_there_is_said_on_a_page() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    for (path, title) in [
        (
            "/dashboard/environments/Nowhere",
            "no environment has this name",
        ),
        (
            "/dashboard/environments/Nowhere/history",
            "no environment has this name",
        ),
        ("/dashboard/nothing", "no resource has this path"),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        page.assert_says(title);
    }
    let page = browser.post("/dashboard", &[]).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    app.break_clock();
    let page = browser.get("/dashboard/login").await;
    app.repair_clock();
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_process_that_knows_nothing_yet_says_so() {
    let app = TestApp::start_without_a_snapshot().await;
    let mut browser = Browser::new(&app);
    let page = browser.sign_in("tc_guess").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    page.assert_says("nothing has been loaded from the store yet");
    browser.cookie = Some("traffic_cop=a.b.c".to_owned());
    let page = browser.get("/dashboard").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_demonstration_says_so_on_every_page_and_nothing_else_does() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let history = format!("{PAGE}/history");
    let pages = ["/dashboard", PAGE, &history];
    for path in pages {
        let page = browser.get(path).await.ok();
        assert!(!page.text.contains("demonstration"), "{path}");
    }
    app.hurry_clock(60);
    for path in pages {
        let page = browser.get(path).await.ok();
        page.assert_says(
            "A demonstration. The callers are imagined, and time goes by 60 times as fast",
        );
    }
    let door = Browser::new(&app).get("/dashboard/login").await.ok();
    door.assert_says("A demonstration.");
}
