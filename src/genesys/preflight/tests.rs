//! Flows as Genesys Cloud describes them, and what is found about each.

use serde_json::{Value, json};

use super::*;
use crate::domain::environment::Standing;
use crate::domain::ids::InterfaceNumber;

/// A flow that is fit.
fn fit() -> Value {
    json!({
        "id": "flow-green", "name": "Main IVR Green", "type": "INBOUNDCALL", "active": true, "deleted": false,
        "publishedVersion": { "id": "45.0", "name": "45.0", "type": "PUBLISH", "datePublished": "2026-01-05T07:59:00.000Z" },
        "currentOperation": { "id": "7", "complete": true, "actionName": "PUBLISH", "actionStatus": "SUCCESS" },
        "somethingNew": [1],
    })
}

fn version(label: &str, published: Option<&str>) -> FlowVersion {
    FlowVersion {
        label: label.parse().unwrap(),
        published: published.map(|published| published.parse().unwrap()),
        interface: InterfaceNumber::NONE,
        registered_at: "2026-01-05T08:00:00Z".parse().unwrap(),
        standing: Standing::Good,
        breaks: None,
    }
}

fn found(flow: &Value, expected: &FlowVersion) -> Vec<Finding> {
    let id = "flow-green".parse().unwrap();
    let flow = read(&id, flow.to_string().as_bytes()).unwrap();
    judge(Some(&flow), expected)
}

/// What is found of a fit flow with other members in place of some.
fn found_with(changes: &Value) -> Vec<Finding> {
    let mut flow = fit();
    let members = flow.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    found(&flow, &version("2.0", Some("45.0")))
}

#[test]
fn a_flow_that_is_fit_has_no_findings() {
    assert_eq!(found(&fit(), &version("2.0", Some("45.0"))), []);
}

#[test]
fn each_thing_that_is_wrong_is_found_by_itself() {
    let busy = |operation: Value| json!({ "currentOperation": operation });
    let cases = [
        (json!({ "active": false }), "inactive"),
        (json!({ "type": "INBOUNDCHAT" }), "other_type"),
        (json!({ "publishedVersion": null }), "unpublished"),
        (
            json!({ "publishedVersion": { "id": "46.0" } }),
            "other_version",
        ),
        (
            json!({ "lockedUser": { "id": "1", "name": "Anna" } }),
            "locked",
        ),
        (json!({ "lockedClient": { "id": "archy" } }), "locked"),
        (
            busy(
                json!({ "complete": false, "actionName": "PUBLISH", "actionStatus": "PENDING_GENERATION" }),
            ),
            "busy",
        ),
        (busy(json!({})), "busy"),
        (json!({ "deleted": true }), "deleted"),
    ];
    for (change, name) in cases {
        let found = found_with(&change);
        let names: Vec<_> = found.iter().map(Finding::name).collect();
        assert_eq!(names, [name], "{change}");
        assert!(found[0].is_problem(), "{change}");
    }
    let missing = judge(None, &version("2.0", None));
    assert_eq!(missing, [Finding::Missing]);
    assert!(missing[0].is_problem());
}

#[test]
fn several_things_that_are_wrong_are_all_told() {
    let found = found_with(
        &json!({ "active": false, "type": "BOT", "publishedVersion": null, "lockedUser": { "name": "Anna" } }),
    );
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    it is not active
    it is of type BOT, to which no call can be transferred; INBOUNDCALL is needed
    no version of it is published
    it is locked by Anna, who may publish any moment; have it unlocked
    ");
}

#[test]
fn what_is_not_said_is_a_note_and_no_problem() {
    for (member, what) in [
        ("active", "whether it is active"),
        ("type", "of what type it is"),
    ] {
        let found = found_with(&json!({ member: null }));
        assert_eq!(found, [Finding::Untold(what)]);
        assert!(!found[0].is_problem());
    }
    let nameless = found_with(&json!({ "publishedVersion": { "name": " " } }));
    assert_eq!(nameless, [Finding::Untold("which version is published")]);
    let without = json!({ "currentOperation": null, "deleted": null, "lockedUser": null });
    assert_eq!(found_with(&without), []);
}

#[test]
fn a_published_version_is_known_by_its_id_or_its_name() {
    let by_name = json!({ "publishedVersion": { "id": "8c1f", "name": "45.0" } });
    let by_id = json!({ "publishedVersion": { "id": "45.0", "name": "Release 45" } });
    assert_eq!(found_with(&by_name), []);
    assert_eq!(found_with(&by_id), []);
}

#[test]
fn without_a_registered_number_the_label_or_the_time_may_tell() {
    assert_eq!(found(&fit(), &version("45.0", None)), []);
    let published = "45.0".to_owned();
    assert_eq!(
        found(&fit(), &version("2.0", None)),
        [Finding::NotCompared { published }]
    );
    for (at, name) in [
        ("2026-01-05T08:00:30.000Z", "not_compared"),
        ("2026-01-05T08:02:00.000Z", "published_since"),
        ("yesterday", "not_compared"),
    ] {
        let mut flow = fit();
        flow["publishedVersion"]["datePublished"] = at.into();
        let found = found(&flow, &version("2.0", None));
        assert_eq!(found[0].name(), name, "{at}");
        assert_eq!(found[0].is_problem(), name == "published_since", "{at}");
    }
}

#[test]
fn what_is_no_flow_or_another_one_is_not_judged() {
    let id = "flow-green".parse().unwrap();
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"id": 5}"#,
        r#"{"id": "flow-blue", "active": true}"#,
        r#"{"id": "flow-green", "active": "yes"}"#,
    ] {
        assert_eq!(
            read(&id, body.as_bytes()),
            Err(InvalidAnswer::Unreadable),
            "{body}"
        );
    }
}

#[test]
fn texts_from_elsewhere_are_short_and_plain() {
    let name = format!("Anna\u{1b}[31m\n{}", "x".repeat(500));
    let found = found_with(&json!({ "lockedUser": { "name": name } }));
    let Finding::Locked(by) = &found[0] else {
        panic!("{found:?}")
    };
    assert_eq!(by.chars().count(), MOST_CHARACTERS);
    assert!(by.starts_with("Anna[31mxxx"), "{by}");
}

#[test]
fn what_is_published_is_called_by_its_id_before_its_name() {
    let found = |changes: Value| {
        let mut flow = fit();
        let members = flow.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        let flow = read(&"flow-green".parse().unwrap(), flow.to_string().as_bytes());
        flow.unwrap().published().map(|version| version.to_string())
    };
    let of = |version: Value| found(json!({ "publishedVersion": version }));
    let known = |version: &str| Ok(version.to_owned());
    assert_eq!(of(json!({ "id": " 46.0 ", "name": "x" })), known("46.0"));
    assert_eq!(of(json!({ "id": " ", "name": "47.0" })), known("47.0"));
    let untold = Err(Finding::Untold("which version is published"));
    assert_eq!(of(json!({ "id": "a\nb" })), untold);
    assert_eq!(of(Value::Null), Err(Finding::Unpublished));
    assert_eq!(found(json!({ "deleted": true })), Err(Finding::Deleted));
}
