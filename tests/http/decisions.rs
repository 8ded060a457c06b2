//! Decisions that are made.

use std::collections::HashSet;

use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::Answer;
use crate::world::{MAIN, TestApp, creation};

/// Every member of an answer, with the type that Architect's contract fixes.
fn assert_is_whole(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{answer}");
    let answer = answer.json();
    let members = answer.as_object().expect("a flat object");
    let names: HashSet<_> = members.keys().map(String::as_str).collect();
    let texts = [
        "Active_Flow_ID",
        "Active_Flow_Name",
        "Slot",
        "Flow_Version",
        "Reason",
        "Source",
    ];
    let integers = ["Schema_Version", "Revision"];
    let others = ["Traffic_Weight", "Flow_Version_Known"];
    let expected = texts
        .into_iter()
        .chain(integers)
        .chain(others)
        .collect::<HashSet<_>>();
    assert_eq!(names, expected);
    assert!(
        texts.iter().all(|name| answer[name].is_string()),
        "{answer}"
    );
    assert!(
        integers.iter().all(|name| answer[name].is_u64()),
        "{answer}"
    );
    assert!(
        answer["Traffic_Weight"].is_number() && answer["Flow_Version_Known"].is_boolean(),
        "{answer}"
    );
}

#[tokio::test]
async fn the_active_slot_takes_a_call_while_the_weight_is_zero() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;

    let answer = app
        .decide(
            MAIN,
            json!({ "Conversation_ID": "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e" }),
        )
        .await;

    assert_is_whole(&answer);
    assert_eq!(answer.header(CONTENT_TYPE), Some("application/json"));
    assert_eq!(answer.header(ETAG), None);
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "Active_Flow_ID": "flow-blue",
      "Active_Flow_Name": "Main IVR Blue",
      "Flow_Version": "v1",
      "Flow_Version_Known": true,
      "Reason": "active",
      "Revision": 2,
      "Schema_Version": 0,
      "Slot": "blue",
      "Source": "live",
      "Traffic_Weight": 0
    }
    "#);
}

#[tokio::test]
async fn the_candidate_takes_every_new_call_at_full_weight() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 100.0).await;

    let answer = app
        .decide(
            MAIN,
            json!({ "Conversation_ID": "not-a-uuid", "ANI": "+4930123456", "DNIS": "" }),
        )
        .await;

    assert_is_whole(&answer);
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "Active_Flow_ID": "flow-green",
      "Active_Flow_Name": "Main IVR Green",
      "Flow_Version": "v2",
      "Flow_Version_Known": true,
      "Reason": "weighted",
      "Revision": 3,
      "Schema_Version": 0,
      "Slot": "green",
      "Source": "live",
      "Traffic_Weight": 100
    }
    "#);
}

#[tokio::test]
async fn a_weight_with_decimals_is_shown_as_it_was_set() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 12.5).await;

    let answer = app.decide(MAIN, json!({})).await;

    assert_is_whole(&answer);
    assert!(
        answer.text().contains("\"Traffic_Weight\":12.5,"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_conversation_gets_one_answer_and_many_get_both() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 50.0).await;
    let mut slots = HashSet::new();
    for n in 0..64 {
        let call = json!({ "Conversation_ID": format!("conversation-{n}") });
        let (first, again) = (
            app.decide(MAIN, call.clone()).await,
            app.decide(MAIN, call).await,
        );
        assert_eq!(first.text(), again.text());
        slots.insert(first.json()["Slot"].to_string());
    }
    // That 64 calls end in one slot has a probability of 1 in 10^19.
    assert_eq!(slots.len(), 2);
}

#[tokio::test]
async fn a_call_without_a_conversation_id_gets_an_answer_by_chance() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 50.0).await;
    let mut slots = HashSet::new();
    for call in [
        json!({}),
        json!({ "Conversation_ID": "" }),
        json!({ "Conversation_ID": null }),
    ]
    .iter()
    .cycle()
    .take(96)
    {
        let answer = app.decide(MAIN, call.clone()).await;
        assert_is_whole(&answer);
        slots.insert(answer.json()["Slot"].to_string());
    }
    assert_eq!(slots.len(), 2);
}

#[tokio::test]
async fn a_call_stays_with_the_version_it_is_in_after_a_cutover() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;

    let answer = app
        .decide(
            MAIN,
            json!({ "Conversation_ID": "c", "Flow_Version": "v1" }),
        )
        .await;

    assert_is_whole(&answer);
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "Active_Flow_ID": "flow-blue",
      "Active_Flow_Name": "Main IVR Blue",
      "Flow_Version": "v1",
      "Flow_Version_Known": true,
      "Reason": "affinity",
      "Revision": 3,
      "Schema_Version": 0,
      "Slot": "blue",
      "Source": "live",
      "Traffic_Weight": 0
    }
    "#);
}

#[tokio::test]
async fn a_rolled_back_version_gets_no_call_back() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    app.ask(MAIN, "rollback", json!({})).await.ok();

    let answer = app
        .decide(
            MAIN,
            json!({ "Conversation_ID": "c", "Flow_Version": "v2" }),
        )
        .await;

    assert_is_whole(&answer);
    let answer = answer.json();
    assert_eq!(
        (
            &answer["Slot"],
            &answer["Reason"],
            &answer["Flow_Version_Known"]
        ),
        (&json!("blue"), &json!("active"), &json!(true))
    );
}

#[tokio::test]
async fn an_unknown_flow_version_is_no_error() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;

    let answer = app
        .decide(MAIN, json!({ "Flow_Version": "never heard of" }))
        .await;

    assert_is_whole(&answer);
    assert_eq!(answer.json()["Flow_Version_Known"], false);
}

#[tokio::test]
async fn the_interface_asked_for_wins_over_that_of_the_callers_version() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.define_interface(MAIN, 3, json!([])).await;
    app.define_interface(MAIN, 4, json!([])).await;
    app.ask(
        MAIN,
        "register",
        json!({ "flow_version": "v2", "interface": 3 }),
    )
    .await
    .ok();
    app.ask(
        MAIN,
        "register",
        json!({ "flow_version": "v3", "interface": 4 }),
    )
    .await
    .ok();
    let schema = async |query: &str, version: &str| -> Value {
        let path = format!("/v1/environments/{MAIN}/decisions{query}");
        let answer = app
            .decisions("POST", &path)
            .json(&json!({ "Flow_Version": version }))
            .send()
            .await;
        assert_is_whole(&answer);
        answer.json()["Schema_Version"].clone()
    };

    assert_eq!(schema("", "").await, 0, "neither");
    assert_eq!(schema("", "v3").await, 4, "the caller's version");
    assert_eq!(schema("", "v2").await, 3, "a retired version");
    assert_eq!(schema("?interface=4", "v2").await, 4, "the parameter");
    assert_eq!(
        schema("?x=1&interface=0", "v2").await,
        0,
        "the parameter, saying none"
    );
    assert_eq!(
        schema("?interface=77", "v2").await,
        3,
        "nobody has defined 77"
    );
}

#[tokio::test]
async fn texts_that_would_break_out_of_json_or_html_come_back_as_they_were_given() {
    let app = TestApp::start().await;
    let hostile = "\"},{\"Slot\":\"green\"</script><b>\\u0022 \u{2028}\u{2029} ä 🚦 %00";
    let label = "v\"1\\";
    let mut creation = creation(hostile);
    creation["flow_version"] = label.into();
    app.admin("PUT", &format!("/v1/environments/{MAIN}"))
        .json(&creation)
        .send()
        .await
        .ok();

    let answer = app.decide(MAIN, json!({ "Flow_Version": label })).await;

    assert_is_whole(&answer);
    let json = answer.json();
    assert_eq!(
        (
            json["Active_Flow_Name"].as_str(),
            json["Flow_Version"].as_str()
        ),
        (Some(hostile), Some(label))
    );
    assert_eq!(json["Reason"], "affinity");
}

#[tokio::test]
async fn members_may_stand_in_any_order_and_spelling_that_json_has() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let bodies = [
        r#"{}"#,
        " \n{ }\t",
        r#"{"Flow_Version":"v1","Conversation_ID":"c"}"#,
        "{\"Flow\\u005fVersion\":\"\\u0076\\u0031\"}",
        r#"{"Unknown":{"Conversation_ID":[1,{"a":null,"a":2}]},"Conversation_ID":"c"}"#,
        r#"{"conversation_id":"another case is another member","Conversation_ID":"c"}"#,
    ];
    for body in bodies {
        for content_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json ; q=1",
        ] {
            assert_is_whole(&app.call(MAIN).body(content_type, body).send().await);
        }
    }
    // As deep as the size allows: nothing in an ignored member may cost the stack.
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(8_000), "]".repeat(8_000));
    assert_is_whole(&app.call(MAIN).raw(deep).send().await);
}

#[tokio::test]
async fn a_body_in_chunks_is_read_to_its_end() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let body: &'static [u8] = br#"{"Conversation_ID":"c","Flow_Version":"v2"}"#;

    let answer = app.call(MAIN).pieces(body.chunks(5).map(Ok)).send().await;

    assert_is_whole(&answer);
    assert_eq!(answer.json()["Reason"], "affinity");
}

#[tokio::test]
async fn a_plain_decision_asks_the_store_for_nothing() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 5.0).await;
    let before = app.store_requests();

    for n in 0..1_000 {
        assert_is_whole(
            &app.decide(MAIN, json!({ "Conversation_ID": n.to_string() }))
                .await,
        );
    }

    assert!(before > 0, "requests are counted at all");
    assert_eq!(app.store_requests(), before);
}

#[tokio::test]
async fn calls_are_decided_while_the_store_is_away() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create_with_candidate(MAIN).await;

    proxy.fail_all(crate::support::Fault::Refuse);

    assert_is_whole(&app.decide(MAIN, json!({ "Conversation_ID": "c" })).await);
}
