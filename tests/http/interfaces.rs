//! Interfaces and variables: what is defined and set, and what is refused.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::{Answer, CANARY};
use crate::world::{MAIN, TestApp, because, creation};

/// One variable of each type.
fn one_of_each() -> Value {
    json!([
        { "name": "Closed", "type": "boolean", "default": false },
        { "name": "Prompt", "type": "string", "default": "Hello" },
        { "name": "Rate", "type": "number", "default": 0.5 },
        { "name": "Retries", "type": "integer", "default": 3 },
    ])
}

/// An app whose environment was created with [`one_of_each`] as interface 1.
async fn with_interface() -> TestApp {
    let app = TestApp::start().await;
    let mut creation = creation("Main IVR Blue");
    creation["interface"] = json!(1);
    creation["variables"] = one_of_each();
    app.admin("PUT", &format!("/v1/environments/{MAIN}"))
        .json(&creation)
        .send()
        .await
        .ok();
    app
}

async fn define(app: &TestApp, number: impl std::fmt::Display, variables: Value) -> Answer {
    let path = format!("/v1/environments/{MAIN}/interfaces/{number}");
    app.admin("PUT", &path)
        .if_match("*")
        .json(&because(json!({ "variables": variables })))
        .send()
        .await
}

async fn remove(app: &TestApp, number: impl std::fmt::Display) -> Answer {
    let path = format!("/v1/environments/{MAIN}/interfaces/{number}?reason=a%20test");
    app.admin("DELETE", &path).if_match("*").send().await
}

#[tokio::test]
async fn interfaces_are_shown_with_the_values_that_flows_get() {
    let app = with_interface().await;
    define(&app, 2, json!([])).await.ok();
    app.set_variables(MAIN, json!({ "Closed": true, "Retries": "4" }))
        .await
        .ok();

    let shown = app.show(MAIN).await.ok().json();

    let shown = json!({ "interfaces": shown["interfaces"], "values": shown["values"] });
    assert_snapshot!(format!("{shown:#}"), @r#"
    {
      "interfaces": [
        {
          "in_use": true,
          "number": 1,
          "variables": [
            {
              "default": false,
              "name": "Closed",
              "type": "boolean",
              "value": true
            },
            {
              "default": "Hello",
              "name": "Prompt",
              "type": "string",
              "value": "Hello"
            },
            {
              "default": 0.5,
              "name": "Rate",
              "type": "number",
              "value": 0.5
            },
            {
              "default": 3,
              "name": "Retries",
              "type": "integer",
              "value": 4
            }
          ]
        },
        {
          "in_use": false,
          "number": 2,
          "variables": []
        }
      ],
      "values": {
        "Closed": true,
        "Retries": 4
      }
    }
    "#);
}

#[tokio::test]
async fn an_interface_is_defined_changed_and_removed_until_a_version_names_it() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let variable = |name: &str| json!([{ "name": name, "type": "string", "default": "" }]);
    let mut lines = vec![
        define(&app, 4, variable("A")).await.line(),
        define(&app, 4, variable("A")).await.json()["because"].to_string(),
        define(&app, 4, variable("B")).await.line(),
        remove(&app, 4).await.line(),
        remove(&app, 4).await.line(),
        define(&app, 4, variable("C")).await.line(),
    ];
    app.ask(
        MAIN,
        "register",
        json!({ "flow_version": "v2", "interface": 4 }),
    )
    .await
    .ok();
    lines.extend([
        define(&app, 4, variable("D")).await.line(),
        define(&app, 4, variable("C")).await.json()["because"].to_string(),
        remove(&app, 4).await.line(),
    ]);
    assert_snapshot!(lines.join("\n"), @r#"
    200
    "same-interface"
    200
    200
    404 interface-not-found: this environment has no interface 4
    200
    409 refused: interface 4 is that of flow version v2, so it stays as it is; define another number instead
    "same-interface"
    409 refused: interface 4 is that of flow version v2, so it stays as it is; define another number instead
    "#);
}

#[tokio::test]
async fn a_definition_that_is_none_is_refused_by_its_member() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let variable = |name: &str, kind: &str, default: Value| json!([{ "name": name, "type": kind, "default": default }]);
    let twice = json!([
        { "name": "Closed", "type": "boolean", "default": true },
        { "name": "CLOSED", "type": "string", "default": "" },
    ]);
    let many: Value = (0..65)
        .map(|n| json!({ "name": format!("V{n}"), "type": "string", "default": "" }))
        .collect();
    let mut lines = vec![define(&app, 0, json!([])).await.line()];
    for number in ["-1", "4294967296", "x", CANARY] {
        lines.push(define(&app, number, json!([])).await.line());
    }
    for variables in [
        json!({ CANARY: "string" }),
        json!([CANARY]),
        json!([{ "name": "A", "type": "string" }]),
        json!([{ "name": "A", "type": "string", "default": "", CANARY: 1 }]),
        variable(&format!("{CANARY}-"), "string", json!("")),
        variable("flow_version", "string", json!("")),
        variable("TC_Region", "string", json!("")),
        variable("A", CANARY, json!("")),
        variable("A", "integer", json!(CANARY)),
        variable("A", "integer", json!(1.5)),
        variable("A", "boolean", json!("true")),
        variable("A", "string", json!(null)),
        variable("A", "string", json!([CANARY])),
        variable("A", "string", json!("x".repeat(1025))),
        twice,
        many,
    ] {
        lines.push(define(&app, 1, variables).await.line());
    }
    assert_snapshot!(lines.join("\n"), @r#"
    404 interface-not-found: an interface has a whole number from 1
    404 interface-not-found: an interface has a whole number from 1
    404 interface-not-found: an interface has a whole number from 1
    404 interface-not-found: an interface has a whole number from 1
    404 interface-not-found: an interface has a whole number from 1
    400 bad-request: member variables: wrong type or value; expected a list
    400 bad-request: member variables[0]: wrong type or value; expected an object
    400 bad-request: member variables[0]: missing member `default`
    400 bad-request: member variables[0]: unknown member; expected one of `name`, `type`, `default`
    400 bad-request: member variables[0].name: invalid variable name: expected 1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot
    400 bad-request: member variables[0].name: invalid variable name: expected 1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot
    400 bad-request: member variables[0].name: invalid variable name: expected 1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot
    400 bad-request: member variables[0].type: unknown value; expected one of `string`, `integer`, `number`, `boolean`
    400 bad-request: member variables[0]: the default is not of the type integer
    400 bad-request: member variables[0]: the default is not of the type integer
    400 bad-request: member variables[0]: the default is not of the type boolean
    400 bad-request: member variables[0].default: expected a text, a number, true or false
    400 bad-request: member variables[0].default: expected a text, a number, true or false
    422 unprocessable: the text for variable A is too long; at most 1024 bytes are allowed
    400 bad-request: member variables: variable CLOSED stands twice; names that differ in nothing but case count as one
    400 bad-request: an interface has at most 64 variables
    "#);
    assert_eq!(app.revision(MAIN).await, 1, "nothing was changed");
}

#[tokio::test]
async fn values_are_read_by_the_types_of_their_variables() {
    let app = with_interface().await;
    let mut lines = Vec::new();
    for values in [
        json!({ "Closed": "true", "Prompt": "5", "Rate": "1e-7", "Retries": "-4" }),
        json!({ "Closed": true, "Prompt": "5", "Rate": 1e-7, "Retries": -4 }),
        json!({ "Rate": 2, "Prompt": null }),
        json!({}),
        json!({ "Closed": 1 }),
        json!({ "Closed": "yes", "Retries": "4.0", "Rate": "", "Prompt": 5 }),
        json!({ "Volume": 1, "Pitch": null, "Closed": 1 }),
        json!({ "Prompt": "x".repeat(1025) }),
        json!({ "Prompt": [CANARY] }),
        json!({ "Slot": "green" }),
        json!({ format!("{CANARY} "): 1 }),
        json!([CANARY]),
    ] {
        let answer = app.set_variables(MAIN, values).await;
        lines.push(if answer.status.is_success() {
            let answer = answer.json();
            format!("{} {}", answer["outcome"], answer["state"]["values"])
        } else {
            answer.line()
        });
    }
    assert_snapshot!(lines.join("\n"), @r#"
    "committed" {"Closed":true,"Prompt":"5","Rate":1e-7,"Retries":-4}
    "unchanged" {"Closed":true,"Prompt":"5","Rate":1e-7,"Retries":-4}
    "committed" {"Closed":true,"Rate":2,"Retries":-4}
    "unchanged" {"Closed":true,"Rate":2,"Retries":-4}
    409 refused: the value of variable Closed has to be of type boolean
    409 refused: the value of variable Closed has to be of type boolean, the value of variable Prompt has to be of type string, the value of variable Rate has to be of type number, the value of variable Retries has to be of type integer
    409 refused: no interface of this environment has variables Pitch, Volume; define one that does first
    422 unprocessable: the text for variable Prompt is too long; at most 1024 bytes are allowed
    400 bad-request: member values.Prompt: expected a text, a number, true or false
    400 bad-request: member values: invalid variable name: expected 1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot
    400 bad-request: member values: invalid variable name: expected 1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot
    400 bad-request: member values: wrong type or value; expected an object
    "#);
    let twice = format!(r#"{{"values":{{"Closed":true,"Closed":"{CANARY}"}},"reason":"r"}}"#);
    let answer = app
        .admin("PATCH", &format!("/v1/environments/{MAIN}/variables"))
        .if_match("*")
        .raw(twice)
        .send()
        .await;
    assert_snapshot!(answer.line(), @r#"
    400 bad-request: a member stands twice in one object
    "#);
}

#[tokio::test]
async fn a_version_that_would_miss_variables_is_refused_naming_each() {
    let app = with_interface().await;
    let fewer = json!([
        { "name": "Closed", "type": "string", "default": "" },
        { "name": "Prompt", "type": "string", "default": "another default" },
        { "name": "rate", "type": "number", "default": 0.5 },
        { "name": "Retries", "type": "integer", "default": 3 },
    ]);
    define(&app, 2, fewer).await.ok();
    let register = json!({ "flow_version": "v2", "interface": 2 });

    assert_snapshot!(app.ask(MAIN, "register", register).await, @r#"
    409 Conflict
    {
      "detail": "interface 2 is not compatible with interface 1 of the version in slot blue, which holds the calls: Closed was boolean and is string, Rate is gone; define one that only adds, say force_incompatible, or, to go back, roll back",
      "status": 409,
      "title": "The interface is not compatible with that in use",
      "type": "urn:traffic-cop:problem:incompatible-interface",
      "variables": [
        {
          "is": "string",
          "variable": "Closed",
          "was": "boolean"
        },
        {
          "is": null,
          "variable": "Rate",
          "was": "number"
        }
      ]
    }
    "#);

    let forced = json!({ "flow_version": "v2", "interface": 2, "force_incompatible": true });
    let registered = app.ask(MAIN, "register", forced).await.ok().json();
    assert_eq!(
        registered["state"]["slots"]["green"]["flow_version"]["breaks"],
        1
    );
    app.set_weight(MAIN, 5.0).await;
    app.cut_over(MAIN).await;
    // Another cutover would lead back to a flow that lacks a variable in its turn; a rollback goes back all the same.
    let lines = [
        app.ask(MAIN, "cutover", json!({})).await.line(),
        app.ask(MAIN, "weight", json!({ "weight": 1 })).await.line(),
    ];
    assert_snapshot!(lines.join("\n"), @r#"
    409 incompatible-interface: interface 1 is not compatible with interface 2 of the version in slot green, which holds the calls: Closed was string and is boolean, rate is gone; define one that only adds, say force_incompatible, or, to go back, roll back
    409 incompatible-interface: interface 1 is not compatible with interface 2 of the version in slot green, which holds the calls: Closed was string and is boolean, rate is gone; define one that only adds, say force_incompatible, or, to go back, roll back
    "#);
    app.ask(MAIN, "rollback", json!({})).await.ok();
    assert_eq!(app.show(MAIN).await.json()["active"], "blue");
}

#[tokio::test]
async fn no_version_is_registered_with_an_interface_that_is_not_defined() {
    let app = TestApp::start().await;
    let mut undefined = creation("Main IVR Blue");
    undefined["interface"] = json!(1);
    let mut zero = creation("Main IVR Blue");
    zero["variables"] = one_of_each();
    let mut lines = Vec::new();
    for body in [undefined, zero] {
        let create = app.admin("PUT", &format!("/v1/environments/{MAIN}"));
        lines.push(create.json(&body).send().await.line());
    }
    app.create(MAIN).await;
    let register = json!({ "flow_version": "v2", "interface": 7 });
    lines.push(app.ask(MAIN, "register", register).await.line());
    assert_snapshot!(lines.join("\n"), @r#"
    409 refused: interface 1 is not defined in this environment; define it first
    422 unprocessable: interface 0 stands for none and has no variables; number interfaces from 1
    409 refused: interface 7 is not defined in this environment; define it first
    "#);
}
