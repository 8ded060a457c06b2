//! How calls ended: what is stored of it, and what is acknowledged.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use traffic_cop::domain::judge::evidence::Outcome;
use traffic_cop::domain::judge::metric::Metric;
use traffic_cop::telemetry::OutcomeLabels;

use crate::ask::{Answer, CANARY};
use crate::support::{Ask, Fault};
use crate::world::{MAIN, TestApp};

const CALL: &str = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e";

async fn app() -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, 50.0).await;
    app
}

async fn tell(app: &TestApp, report: Value) -> Answer {
    tell_of(app, MAIN, report).await
}

async fn tell_of(app: &TestApp, name: &str, report: Value) -> Answer {
    app.decisions("POST", &format!("/v1/environments/{name}/outcomes"))
        .by(&app.first_admin_text())
        .json(&report)
        .send()
        .await
}

async fn stored(app: &TestApp) -> Vec<Outcome> {
    let name = MAIN.parse().expect("a name");
    let mut pages = app
        .world
        .store
        .outcomes(&name, Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let mut outcomes = Vec::new();
    while let Some(page) = pages.next().await.expect("an answer") {
        outcomes.extend(page.into_calls());
    }
    outcomes
}

/// A flow's end as Genesys Cloud tells it.
fn flow_end(flow_id: &str, exit_reason: &str) -> Value {
    json!({
        "version": "0",
        "detail-type": "v2.detail.events.conversation.{id}.flow.end",
        "detail": {
            "eventBody": {
                "eventTime": 1_767_599_999_000_i64,
                "conversationId": CALL,
                "ani": "tel:+4930123456",
                "flowId": flow_id,
                "exitReason": exit_reason,
                "transferType": if exit_reason == "TRANSFER" { "FLOW" } else { "" },
            },
        },
    })
}

#[tokio::test]
async fn an_outcome_is_stored_under_the_hash_of_its_decision() {
    let app = app().await;
    app.decide(MAIN, json!({ "Conversation_ID": CALL }))
        .await
        .ok();
    app.process.write_exposures().await.expect("a write");
    let name = MAIN.parse().expect("a name");
    let page = app
        .world
        .store
        .exposures(&name, Timestamp::UNIX_EPOCH, Timestamp::MAX)
        .next()
        .await
        .expect("an answer")
        .expect("a page");
    let exposure = page.into_calls().next().expect("an exposure");

    let answer = tell(
        &app,
        // The same id in another spelling.
        json!({ "Conversation_ID": CALL.to_uppercase(), "Abandon": "true", "Error": "" }),
    )
    .await
    .ok();
    assert_eq!(answer.json(), json!({ "Stored": 1, "Ignored": 0 }));
    let outcomes = stored(&app).await;
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].conversation, exposure.conversation);
    assert_eq!(outcomes[0].bad, Metric::Abandon.into());
    assert_eq!(outcomes[0].at.to_string(), "2026-01-05T08:00:00Z");
}

#[tokio::test]
async fn many_are_reported_at_once_and_none_is_of_a_time_to_come() {
    let app = app().await;
    let report = json!({ "Outcomes": [
        { "Conversation_ID": "a", "Time": "2026-01-05T07:59:00Z" },
        { "Conversation_ID": "b", "Time": "2026-01-05T09:00:00+01:00", "Containment": false },
        { "Conversation_ID": "c", "Time": "2026-01-05T08:00:01Z" },
        { "Conversation_ID": "d", "Time": "" },
    ]});
    let answer = tell(&app, report).await.ok();
    assert_eq!(answer.json(), json!({ "Stored": 4, "Ignored": 0 }));
    let at: Vec<_> = stored(&app)
        .await
        .iter()
        .map(|outcome| outcome.at.to_string())
        .collect();
    assert_eq!(
        at,
        [
            "2026-01-05T07:59:00Z",
            "2026-01-05T08:00:00Z",
            "2026-01-05T08:00:00Z",
            "2026-01-05T08:00:00Z"
        ]
    );
}

#[tokio::test]
async fn there_is_room_for_as_many_as_may_be_reported_at_once_with_all_that_is_said_of_each() {
    let app = app().await;
    let all = (0..500).map(|number| {
        json!({
            "Conversation_ID": format!("7f3b3a52-3d0e-4f7e-9b8e-{number:012}"),
            "Abandon": "false",
            "Error": "false",
            "Transfer": "false",
            "Containment": "false",
            "Time": "2026-01-05T08:59:00.123456789+01:00",
        })
    });
    let report = json!({ "Outcomes": all.collect::<Vec<_>>() });
    // As people and tools write it: every member on a line of its own.
    let pretty = serde_json::to_string_pretty(&report).expect("JSON");
    let told = |body: String| {
        let ask = app.decisions("POST", &format!("/v1/environments/{MAIN}/outcomes"));
        ask.by(&app.first_admin_text()).raw(body).send()
    };
    for body in [report.to_string(), pretty.clone()] {
        assert!(body.len() > 64 * 1024, "it would have been a small one");
        let answer = told(body).await.ok();
        assert_eq!(answer.json(), json!({ "Stored": 500, "Ignored": 0 }));
    }
    assert_eq!(stored(&app).await.len(), 1_000);
    let padded = pretty + &" ".repeat(256 * 1024);
    assert_eq!(told(padded).await.problem(), "too-large");
}

#[tokio::test]
async fn the_end_of_a_flow_counts_if_it_is_of_a_slot_or_bad() {
    let app = app().await;
    for (flow_id, exit_reason, is_stored) in [
        ("flow-green", "FLOW_DISCONNECT", true),
        ("FLOW-BLUE", "TRANSFER", true),
        // The Traffic Cop flow hands every call on.
        ("flow-traffic-cop", "TRANSFER", false),
        // A caller who hangs up further on.
        ("flow-payment", "DISCONNECT", true),
    ] {
        let before = stored(&app).await.len();
        let answer = tell(&app, flow_end(flow_id, exit_reason)).await.ok();
        let count = usize::from(is_stored);
        assert_eq!(
            answer.json(),
            json!({ "Stored": count, "Ignored": 1 - count }),
            "{flow_id}"
        );
        assert_eq!(stored(&app).await.len(), before + count, "{flow_id}");
    }
    let last = stored(&app).await.pop().expect("an outcome");
    assert_eq!(last.bad, Metric::Abandon.into());
    assert_eq!(last.at.to_string(), "2026-01-05T07:59:59Z");

    let mut other = flow_end("flow-green", "DISCONNECT");
    other["detail-type"] = "v2.detail.events.conversation.{id}.flow.start".into();
    let answer = tell(&app, other).await.ok();
    assert_eq!(answer.json(), json!({ "Stored": 0, "Ignored": 1 }));
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.join().await;
    app.create_with_candidate(MAIN).await;
    proxy.fail(Ask::Outcomes, Fault::ServerError, usize::MAX);
    let report = json!({ "Conversation_ID": CALL, "Abandon": true });
    let answer = tell(&app, report.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.json()["type"],
        "urn:traffic-cop:problem:store-unavailable"
    );
    assert_eq!(stored(&app).await, []);

    // It has no room for one of the outcomes, then takes it and cannot say so, then it is well again.
    proxy.heal();
    proxy.fail(Ask::Outcomes, Fault::NoRoom, 1);
    assert!(tell(&app, report.clone()).await.status.is_server_error());
    assert_eq!(stored(&app).await, []);
    proxy.heal();
    proxy.fail(Ask::Outcomes, Fault::DropReply, 3);
    assert!(tell(&app, report.clone()).await.status.is_server_error());
    proxy.settled().await;
    proxy.heal();
    tell(&app, report).await.ok();
    let outcomes = stored(&app).await;
    assert_eq!(outcomes.len(), 2, "the judge counts them as one");
    assert_eq!(outcomes[0].conversation, outcomes[1].conversation);
    let counted = |outcome| {
        let label = OutcomeLabels { outcome };
        app.process.metrics.outcomes.get_or_create(&label).get()
    };
    assert_eq!((counted("written"), counted("refused")), (1, 3));
}

#[tokio::test]
async fn reports_that_come_together_share_a_write() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.process.join().await;
    app.create_with_candidate(MAIN).await;
    proxy.fail(Ask::Outcomes, Fault::HoldReply, 1);
    let report = |n: usize| json!({ "Conversation_ID": format!("call-{n}") });
    let first = tell(&app, report(0));
    let rest = async {
        proxy.holds().await;
        let answers = futures_util::future::join_all((1..=20).map(|n| tell(&app, report(n))));
        let release = async {
            // All twenty wait by the time that the first poll of each is over.
            tokio::task::yield_now().await;
            proxy.release();
        };
        futures_util::future::join(answers, release).await.0
    };
    let (first, rest) = futures_util::future::join(first, rest).await;
    first.ok();
    for answer in rest {
        answer.ok();
    }
    assert_eq!(stored(&app).await.len(), 21);
    let writes = proxy.count(Ask::Outcomes);
    assert!(writes <= 4, "{writes} writes");
}

#[tokio::test]
async fn what_does_not_read_is_refused_whole() {
    let app = app().await;
    for report in [
        json!({ "Outcomes": [{ "Conversation_ID": "a" }, { "Conversation_ID": 1 }] }),
        json!({ "Conversation_ID": CANARY, "Abandon": CANARY }),
        json!({ "Conversation_ID": CALL, CANARY: true }),
        json!({ "detail-type": "x.flow.end", "detail": { "eventBody": { "conversationId": CANARY } } }),
    ] {
        let answer = tell(&app, report).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let answer = tell_of(&app, "No_Such", json!({ "Conversation_ID": CALL })).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(stored(&app).await, []);
}

#[tokio::test]
async fn nothing_that_is_stored_leads_back_to_the_caller() {
    let app = app().await;
    tell(&app, flow_end("flow-green", "DISCONNECT")).await.ok();
    tell(&app, json!({ "Conversation_ID": "call-4711" }))
        .await
        .ok();
    let items = app.world.tables.evidence(&format!("outcomes/{MAIN}")).await;
    assert_eq!(items.len(), 2);
    crate::exposures::assert_no_secret_in(&items, &[CALL, "call-4711", "30123456"]);
}
