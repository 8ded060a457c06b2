//! The variables in answers: by the interface asked for, by the version that a caller names, and without a decision.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use traffic_cop::domain::ids::VariableName;

use crate::ask::{Answer, CANARY};
use crate::world::{MAIN, TestApp, because};

/// The members of every look at variables, and the type that each has.
const MEMBERS: [&str; 4] = ["Flow_Version_Known", "Revision", "Schema_Version", "Source"];

/// Blue is active with v1 of no interface. Interface 1 has a variable of each type; interface 2 adds one.
/// Green holds v3 of interface 2, and v2 of interface 1 is retired.
async fn with_interfaces() -> TestApp {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let mut variables = vec![
        json!({ "name": "Closed", "type": "boolean", "default": false }),
        json!({ "name": "Prompt", "type": "string", "default": "Hello" }),
        json!({ "name": "Rate", "type": "number", "default": 0.5 }),
        json!({ "name": "Retries", "type": "integer", "default": 3 }),
    ];
    app.define_interface(MAIN, 1, json!(variables)).await;
    variables.push(json!({ "name": "Added", "type": "string", "default": "" }));
    app.define_interface(MAIN, 2, json!(variables)).await;
    for (label, interface) in [("v2", 1), ("v3", 2)] {
        let register = json!({ "flow_version": label, "interface": interface });
        app.ask(MAIN, "register", register).await.ok();
    }
    app
}

async fn ask(app: &TestApp, resource: &str, query: &str, version: &str) -> Answer {
    let path = format!("/v1/environments/{MAIN}/{resource}{query}");
    app.decisions("POST", &path)
        .json(&json!({ "Flow_Version": version, "Conversation_ID": "c" }))
        .send()
        .await
}

/// The number of the interface that answers, and its variables.
async fn variables(app: &TestApp, query: &str, version: &str) -> (u64, Map<String, Value>) {
    let fixed = ask(app, "decisions", "", "").await.ok().json();
    let of = |answer: &Value| -> Map<String, Value> {
        let members = answer.as_object().expect("a flat object").clone();
        let variables = members.into_iter();
        variables
            .filter(|(name, _)| fixed.get(name).is_none())
            .collect()
    };
    let decision = ask(app, "decisions", query, version).await.ok().json();
    let looked_up = ask(app, "variables", query, version).await.ok().json();
    for member in MEMBERS {
        assert_eq!(looked_up[member], decision[member], "{member}");
    }
    assert_eq!(of(&looked_up), of(&decision), "both say the same");
    let number = decision["Schema_Version"].as_u64().expect("a number");
    (number, of(&decision))
}

fn names(variables: &Map<String, Value>) -> String {
    variables.keys().cloned().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn answers_have_the_variables_of_the_interface_asked_for_or_else_the_callers() {
    let app = with_interfaces().await;
    let (one, two) = (
        "Closed Prompt Rate Retries",
        "Added Closed Prompt Rate Retries",
    );
    let cases = [
        ("", "", 0, ""),
        ("", "v1", 0, ""),
        ("", "v2", 1, one),
        ("", "v3", 2, two),
        ("", "never heard of", 0, ""),
        ("?interface=1", "", 1, one),
        ("?interface=2", "v2", 2, two),
        ("?interface=1", "v3", 1, one),
        ("?interface=0", "v3", 0, ""),
        ("?interface=77", "v3", 2, two),
        ("?interface=77", "", 0, ""),
    ];
    for (query, version, number, expected) in cases {
        let (schema, variables) = variables(&app, query, version).await;
        assert_eq!(
            (schema, names(&variables).as_str()),
            (number, expected),
            "{query} {version}"
        );
    }
}

/// Never the interface of the flow that takes the call: blue must not see what it does not know.
#[tokio::test]
async fn the_chosen_flows_interface_does_not_matter() {
    let app = with_interfaces().await;
    app.cut_over(MAIN).await;
    let answer = ask(&app, "decisions", "", "").await.ok().json();
    assert_eq!(
        (&answer["Slot"], &answer["Schema_Version"]),
        (&json!("green"), &json!(0))
    );
    let answer = ask(&app, "decisions", "", "v2").await.ok().json();
    assert_eq!(
        (&answer["Slot"], &answer["Schema_Version"]),
        (&json!("green"), &json!(1))
    );
}

#[tokio::test]
async fn values_come_with_the_types_that_are_declared() {
    let app = with_interfaces().await;
    let (_, defaults) = variables(&app, "?interface=1", "").await;
    assert_eq!(
        Value::Object(defaults),
        json!({ "Closed": false, "Prompt": "Hello", "Rate": 0.5, "Retries": 3 })
    );
    let hostile = "\"},{\"Slot\":\"green\"</script><b>\\u0022 \u{2028}\u{2029}\u{0} ä 🚦 %00\n";
    let set = json!({ "Closed": true, "Prompt": hostile, "Rate": -1e-7, "Retries": -9_007_199_254_740_991_i64 });
    app.set_variables(MAIN, set.clone()).await.ok();
    let (_, variables) = variables(&app, "?interface=1", "").await;
    assert_eq!(Value::Object(variables), set);
}

#[tokio::test]
async fn a_value_of_another_type_gives_way_to_the_default() {
    let app = with_interfaces().await;
    let retyped = json!([{ "name": "Closed", "type": "string", "default": "no" }]);
    app.define_interface(MAIN, 9, retyped).await;
    app.set_variables(MAIN, json!({ "Closed": true }))
        .await
        .ok();
    let (_, one) = variables(&app, "?interface=1", "").await;
    let (_, nine) = variables(&app, "?interface=9", "").await;
    assert_eq!(
        (&one["Closed"], &nine["Closed"]),
        (&json!(true), &json!("no"))
    );
}

#[tokio::test]
async fn a_look_at_variables_counts_as_no_call_and_routes_nobody() {
    let app = with_interfaces().await;
    app.set_weight(MAIN, 50.0).await;
    let calls = async || {
        let metrics = app.admin("GET", "/metrics").send().await.ok();
        let lines = metrics.text().lines().map(str::to_owned);
        lines
            .filter(|line| line.contains("decision") && !line.starts_with('#'))
            .collect::<Vec<_>>()
    };
    let before = calls().await;
    assert!(before.iter().any(|line| line.contains(MAIN)), "{before:?}");
    let answer = ask(&app, "variables", "?interface=1", "v3")
        .await
        .ok()
        .json();
    assert_eq!(calls().await, before);
    assert_eq!(answer.get("Slot"), None);
    ask(&app, "decisions", "", "").await.ok();
    assert_ne!(calls().await, before, "a decision is counted");
}

#[tokio::test]
async fn a_look_at_variables_can_ask_for_validation() {
    let app = with_interfaces().await;
    let _proving = app.process.proves();
    let path = format!("/v1/environments/{MAIN}/variables");
    let look = || app.decisions("POST", &path).json(&json!({}));
    let source = |answer: Answer| answer.ok().json()["Source"].clone();
    assert_eq!(source(look().send().await), "live");
    let validated = async {
        // A loaded machine may take longer than the budget; then the answer is one from memory, and says so.
        while source(look().header("cache-control", "no-cache").send().await) != "validated" {}
    };
    tokio::time::timeout(Duration::from_secs(30), validated)
        .await
        .expect("a proof at some time");
}

#[tokio::test]
async fn a_look_at_variables_is_refused_as_a_decision_is() {
    let app = with_interfaces().await;
    let path = |name: &str, query: &str| format!("/v1/environments/{name}/variables{query}");
    let asks = [
        app.decisions("POST", &path(CANARY, "")).json(&json!({})),
        app.decisions("POST", &path(MAIN, &format!("?interface={CANARY}")))
            .json(&json!({})),
        app.decisions("POST", &path(MAIN, ""))
            .json(&json!({ "Flow_Version": 1 })),
        app.decisions("POST", &path(MAIN, "")).raw(CANARY),
        app.decisions("POST", &path(MAIN, ""))
            .body("text/plain", "{}"),
        app.decisions("GET", &path(MAIN, "")),
        app.decisions("PATCH", &path(MAIN, ""))
            .json(&because(json!({ "values": {} }))),
    ];
    let mut statuses = Vec::new();
    for ask in asks {
        statuses.push(ask.send().await.status.as_u16());
    }
    assert_eq!(statuses, [404, 400, 400, 400, 415, 405, 405]);
    let strict = TestApp::start_for_known_callers().await;
    strict.create(MAIN).await;
    let ask = || strict.decisions("POST", &path(MAIN, "")).json(&json!({}));
    assert_eq!(ask().send().await.status.as_u16(), 401);
    let reader = strict.token(&["read"], None).await;
    assert_eq!(ask().by(&reader).send().await.status.as_u16(), 403);
    let decider = strict.token(&["decide"], Some(&[MAIN])).await;
    ask().by(&decider).send().await.ok();
}

/// An interface cannot take a member away from an answer.
#[tokio::test]
async fn no_variable_can_have_the_name_of_a_member_of_every_answer() {
    let app = with_interfaces().await;
    let mut members: BTreeMap<String, Value> = BTreeMap::new();
    for resource in ["decisions", "variables"] {
        let answer = ask(&app, resource, "", "").await.ok().json();
        members.extend(answer.as_object().expect("an object").clone());
    }
    assert_eq!(members.len(), 10);
    for name in members.keys() {
        for name in [name.clone(), name.to_lowercase(), name.to_uppercase()] {
            assert!(name.parse::<VariableName>().is_err(), "{name}");
        }
    }
}
