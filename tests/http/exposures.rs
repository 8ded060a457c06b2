//! What a call leaves behind as evidence, and what it never does.

use jiff::Timestamp;
use serde_json::{Value, json};
use traffic_cop::domain::judge::evidence::Exposure;
use traffic_cop::store::item::Item;

use crate::world::{MAIN, TestApp};

const CALL: &str = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e";

async fn app_at(percent: f64) -> TestApp {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.set_weight(MAIN, percent).await;
    app
}

/// What is stored once everything that waits is written.
async fn exposures(app: &TestApp) -> Vec<Exposure> {
    app.process.write_exposures().await.expect("a write");
    let name = MAIN.parse().expect("a name");
    let mut pages = app
        .world
        .store
        .exposures(&name, Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let mut exposures = Vec::new();
    while let Some(page) = pages.next().await.expect("an answer") {
        exposures.extend(page.into_calls());
    }
    exposures
}

#[tokio::test]
async fn an_exposure_is_what_the_caller_was_told() {
    let app = app_at(50.0).await;
    for n in 0..20 {
        let answer = app
            .decide(MAIN, json!({ "Conversation_ID": n.to_string() }))
            .await
            .ok()
            .json();
        let stored = exposures(&app).await;
        let exposure = stored.last().expect("it is stored");
        assert_eq!(stored.len(), n + 1);
        assert_eq!(answer["Slot"], exposure.slot.as_str());
        assert_eq!(answer["Revision"], exposure.revision.0);
        assert_eq!(answer["Traffic_Weight"], 50);
        assert_eq!(exposure.weight.to_string(), "50");
        assert!(exposure.is_randomised);
        app.advance(std::time::Duration::from_secs(1));
    }
}

#[tokio::test]
async fn only_answered_calls_with_an_id_are_exposures() {
    let app = app_at(5.0).await;
    let decide = async |name: &str, call: Value| app.decide(name, call).await;
    decide(MAIN, json!({})).await.ok();
    decide(MAIN, json!({ "Conversation_ID": "" })).await.ok();
    decide(MAIN, json!({ "Conversation_ID": 1 })).await;
    decide("No_Such", json!({ "Conversation_ID": CALL })).await;
    assert_eq!(exposures(&app).await, []);

    for version in ["v1", "v2"] {
        let call = json!({ "Conversation_ID": CALL, "Flow_Version": version });
        decide(MAIN, call).await.ok();
    }
    let by_affinity: Vec<_> = exposures(&app)
        .await
        .iter()
        .map(|exposure| (exposure.slot.as_str(), exposure.is_randomised))
        .collect();
    assert_eq!(by_affinity, [("blue", false), ("green", false)]);
}

#[tokio::test]
async fn nothing_that_is_stored_leads_back_to_the_caller() {
    let app = app_at(5.0).await;
    let call = json!({ "Conversation_ID": CALL, "ANI": "+4930123456", "DNIS": "tel:+4930654321" });
    app.decide(MAIN, call).await.ok();
    app.decide(MAIN, json!({ "Conversation_ID": "call-4711" }))
        .await
        .ok();
    assert_eq!(exposures(&app).await.len(), 2);

    let partition = format!("exposures/{MAIN}");
    let items = app.world.tables.evidence(&partition).await;
    assert_no_secret_in(&items, &[CALL, "call-4711", "30123456", "30654321"]);
}

/// Fails if one of `secrets` stands in `items`, be it as text or, for a UUID, as bytes.
pub(crate) fn assert_no_secret_in(items: &[Item], secrets: &[&str]) {
    let mut bytes = Vec::new();
    for item in items {
        for (name, value) in item {
            bytes.extend_from_slice(name.as_bytes());
            match (value.as_s(), value.as_n(), value.as_b()) {
                (Ok(text), _, _) | (_, Ok(text), _) => bytes.extend_from_slice(text.as_bytes()),
                (_, _, Ok(blob)) => bytes.extend_from_slice(blob.as_ref()),
                _ => panic!("an attribute of another type: {name}"),
            }
        }
    }
    for secret in secrets {
        let id = uuid::Uuid::parse_str(secret).map(|id| id.into_bytes().to_vec());
        let forms = [Some(secret.as_bytes().to_vec()), id.ok()];
        for form in forms.into_iter().flatten() {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{secret}");
        }
    }
}
