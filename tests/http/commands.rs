//! Changing environments.

use http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::ask::CANARY;
use crate::world::{MAIN, TestApp, because, creation};

/// The path of a write with a body that is good in an environment with a candidate, by command.
const WRITES: [&str; 6] = [
    "register", "claim", "release", "rebind", "cutover", "weight",
];

fn good_members(command: &str) -> Value {
    match command {
        "register" | "claim" => json!({ "flow_version": "v3" }),
        "rebind" => json!({ "slot": "green", "flow": { "id": "flow-new", "name": "New" } }),
        "weight" => json!({ "weight": 5 }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn an_environment_is_created_once() {
    let app = TestApp::start().await;
    let create = |body: &Value| {
        app.admin("PUT", &format!("/v1/environments/{MAIN}"))
            .json(body)
    };

    assert_snapshot!(create(&creation("Main IVR Blue")).send().await, @r#"
    201 Created
    etag: "1"
    {
      "because": null,
      "notice": null,
      "outcome": "committed",
      "revision": 1,
      "sequence": 1,
      "state": {
        "active": "blue",
        "candidate": "green",
        "environment": "Main_IVR",
        "fault": null,
        "freezes": [],
        "interfaces": [],
        "overrides": [],
        "previously_active": null,
        "retired": [],
        "revision": 1,
        "rollout": null,
        "slots": {
          "blue": {
            "claim": null,
            "flow": {
              "id": "flow-blue",
              "name": "Main IVR Blue"
            },
            "flow_version": {
              "admits_own_calls": true,
              "breaks": null,
              "interface": 0,
              "label": "v1",
              "published_version": null,
              "registered_at": "2026-01-05T08:00:00Z",
              "rolled_back": false
            },
            "share": 100,
            "share_ended_at": null,
            "status": "version"
          },
          "green": {
            "claim": null,
            "flow": {
              "id": "flow-green",
              "name": "Main IVR Green"
            },
            "flow_version": null,
            "share": 0,
            "share_ended_at": null,
            "status": "empty"
          }
        },
        "values": {},
        "weight": 0
      }
    }
    "#);
    assert_snapshot!(create(&creation("Main IVR Blue")).send().await, @r#"
    409 Conflict
    {
      "detail": "the environment exists already; choose another name",
      "status": 409,
      "title": "It exists already",
      "type": "urn:traffic-cop:problem:already-exists"
    }
    "#);
}

#[tokio::test]
async fn a_deleted_environment_that_is_created_again_continues_its_revision() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;

    assert_snapshot!(app.delete(MAIN).await, @r#"
    200 OK
    etag: "3"
    {
      "because": null,
      "notice": null,
      "outcome": "committed",
      "revision": 3,
      "sequence": 3,
      "state": null
    }
    "#);
    assert_eq!(
        app.decide(MAIN, json!({})).await.problem(),
        "environment-not-found"
    );
    assert_eq!(
        app.ask(MAIN, "cutover", json!({})).await.problem(),
        "environment-not-found"
    );
    assert_eq!(app.create(MAIN).await.etag(), "\"4\"");
    assert_eq!(app.decide(MAIN, json!({})).await.ok().json()["Revision"], 4);
}

#[tokio::test]
async fn environments_that_make_no_sense_are_not_created() {
    let app = TestApp::start().await;
    let change = |pointer: &str, value: Value| {
        let mut body = creation("Main IVR Blue");
        match pointer.rsplit_once('/') {
            Some((parent, name)) => body.pointer_mut(parent).expect("a member")[name] = value,
            None => body = value,
        }
        body
    };
    let without = |name: &str| {
        let mut body = creation("Main IVR Blue");
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    let bodies = [
        change("/flows/green/id", json!("flow-blue")),
        change("/flows/green/id", json!(CANARY.to_owned() + " ")),
        change("/flows/green/name", json!("")),
        change("/flows/green/name", json!(format!("a\n{CANARY}"))),
        change("/flows/green/extra", json!(CANARY)),
        change("/flows/green", Value::Null),
        change("/active", json!(CANARY)),
        change("/flow_version", json!(5)),
        change("/flow_version", json!("x".repeat(65))),
        change("/interface", json!(-1)),
        change("/interface", json!(CANARY)),
        without("flows"),
        without("flow_version"),
        without("reason"),
    ];
    let mut lines = Vec::new();
    for body in &bodies {
        lines.push(
            app.admin("PUT", &format!("/v1/environments/{MAIN}"))
                .json(body)
                .send()
                .await
                .line(),
        );
    }
    assert_snapshot!(lines.join("\n"), @"
    422 unprocessable: both slots name the flow flow-blue; blue and green are two flows
    400 bad-request: member flows.green.id: invalid flow id: expected 1 to 64 ASCII letters, digits or '-'
    400 bad-request: member flows.green.name: invalid flow name: expected 1 to 128 characters on one line, no blank at either end
    400 bad-request: member flows.green.name: invalid flow name: expected 1 to 128 characters on one line, no blank at either end
    400 bad-request: member flows.green: unknown member; expected `id` or `name`
    400 bad-request: member flows.green: wrong type or value; expected an object
    400 bad-request: member active: unknown value; expected `blue` or `green`
    400 bad-request: member flow_version: wrong type or value; expected a text
    400 bad-request: member flow_version: invalid flow version: expected 1 to 64 characters on one line, no blank at either end
    400 bad-request: member interface: wrong type or value; expected a whole number, not too large and not negative
    400 bad-request: member interface: wrong type or value; expected a whole number, not too large and not negative
    400 bad-request: missing member `flows`
    400 bad-request: missing member `flow_version`
    400 bad-request: member reason: missing; say why, in one line
    ");
    let long = "x".repeat(65);
    for name in ["-a", "a%20b", "%C3%A4", "a%2Fb", &long] {
        let answer = app
            .admin("PUT", &format!("/v1/environments/{name}"))
            .json(&creation("Main IVR Blue"))
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}: {answer}");
    }
}

#[tokio::test]
async fn registering_a_version_shows_it_in_the_candidate() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    app.define_interface(MAIN, 3, json!([])).await;

    assert_snapshot!(app.ask(MAIN, "register", json!({ "flow_version": "v2", "interface": 3 })).await, @r#"
    200 OK
    etag: "3"
    {
      "because": null,
      "notice": null,
      "outcome": "committed",
      "revision": 3,
      "sequence": 3,
      "state": {
        "active": "blue",
        "candidate": "green",
        "environment": "Main_IVR",
        "fault": null,
        "freezes": [],
        "interfaces": [
          {
            "in_use": true,
            "number": 3,
            "variables": []
          }
        ],
        "overrides": [],
        "previously_active": null,
        "retired": [],
        "revision": 3,
        "rollout": null,
        "slots": {
          "blue": {
            "claim": null,
            "flow": {
              "id": "flow-blue",
              "name": "Main IVR Blue"
            },
            "flow_version": {
              "admits_own_calls": true,
              "breaks": null,
              "interface": 0,
              "label": "v1",
              "published_version": null,
              "registered_at": "2026-01-05T08:00:00Z",
              "rolled_back": false
            },
            "share": 100,
            "share_ended_at": null,
            "status": "version"
          },
          "green": {
            "claim": null,
            "flow": {
              "id": "flow-green",
              "name": "Main IVR Green"
            },
            "flow_version": {
              "admits_own_calls": true,
              "breaks": null,
              "interface": 3,
              "label": "v2",
              "published_version": null,
              "registered_at": "2026-01-05T08:00:00Z",
              "rolled_back": false
            },
            "share": 0,
            "share_ended_at": null,
            "status": "version"
          }
        },
        "values": {},
        "weight": 0
      }
    }
    "#);

    let mut lines = Vec::new();
    for members in [
        json!({ "flow_version": "v1" }),
        json!({ "flow_version": "v3", "slot": "blue" }),
        json!({ "flow_version": "v3", "slot": CANARY }),
        json!({ "flow_version": "" }),
        json!({}),
    ] {
        lines.push(app.ask(MAIN, "register", members).await.line());
    }
    assert_snapshot!(lines.join("\n"), @"
    409 already-exists: the label v1 is or was in use in this environment; choose a new one
    409 refused: slot blue takes new calls; use the other slot, or move its calls away first
    400 bad-request: member slot: unknown value; expected `blue` or `green`
    400 bad-request: member flow_version: invalid flow version: expected 1 to 64 characters on one line, no blank at either end
    400 bad-request: missing member `flow_version`
    ");
}

#[tokio::test]
async fn a_claim_bars_the_slot_until_its_version_is_registered() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;

    let claim = app
        .ask(
            MAIN,
            "claim",
            json!({ "flow_version": "v3", "expires_in_minutes": 10 }),
        )
        .await
        .ok();
    let state = &claim.json()["state"]["slots"]["green"];
    assert_eq!(
        (&state["status"], &state["claim"]),
        (
            &json!("claimed"),
            &json!({ "flow_version": "v3", "expires_at": "2026-01-05T08:10:00Z" })
        )
    );

    let mut lines = Vec::new();
    for (command, members) in [
        ("cutover", json!({})),
        ("weight", json!({ "weight": 5 })),
        ("rollback", json!({})),
        ("claim", json!({ "flow_version": "v4" })),
        ("register", json!({ "flow_version": "v4" })),
        ("claim", json!({ "flow_version": "v4", "slot": "blue" })),
        (
            "claim",
            json!({ "flow_version": "v4", "expires_in_minutes": 0 }),
        ),
        (
            "claim",
            json!({ "flow_version": "v4", "expires_in_minutes": 70000 }),
        ),
    ] {
        lines.push(format!(
            "{command} → {}",
            app.ask(MAIN, command, members).await.line()
        ));
    }
    assert_snapshot!(lines.join("\n"), @"
    cutover → 409 refused: slot green is claimed for flow version v3 until 2026-01-05T08:10:00Z; register that version or release the slot first
    weight → 409 refused: slot green is claimed for flow version v3 until 2026-01-05T08:10:00Z; register that version or release the slot first
    rollback → 409 no-rollback-target: slot green is claimed for flow version v3; release it with nothing_published if that is so, and roll back again
    claim → 409 refused: slot green is claimed for flow version v3 until 2026-01-05T08:10:00Z; register that version or release the slot first
    register → 409 refused: slot green is claimed for flow version v3 until 2026-01-05T08:10:00Z; register that version or release the slot first
    claim → 409 refused: slot blue takes new calls; use the other slot, or move its calls away first
    claim → 400 bad-request: a claim lasts 1 to 1440 minutes
    claim → 400 bad-request: member expires_in_minutes: wrong type or value; expected a whole number, not too large and not negative
    ");

    app.advance(std::time::Duration::from_secs(600));
    assert_eq!(
        app.show(MAIN).await.json()["slots"]["green"]["status"],
        "unknown"
    );
    assert_snapshot!(app.ask(MAIN, "cutover", json!({})).await.line(), @"409 refused: what slot green holds is unknown since its claim for flow version v3 ended; register the version that was published, or release the slot with nothing_published");
    assert_eq!(
        app.register(MAIN, "v3").await.json()["state"]["slots"]["green"]["status"],
        "version"
    );
    assert_eq!(app.ask(MAIN, "cutover", json!({})).await.line(), "200");
}

#[tokio::test]
async fn a_claim_is_given_back() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    assert_snapshot!(app.ask(MAIN, "release", json!({})).await.line(), @"409 refused: slot green is not claimed; there is nothing to release");
    app.ask(MAIN, "claim", json!({ "flow_version": "v3" }))
        .await
        .ok();

    let released = app.ask(MAIN, "release", json!({})).await.ok().json();
    assert_eq!(released["state"]["slots"]["green"]["status"], "unknown");
    assert_snapshot!(app.ask(MAIN, "release", json!({})).await.line(), @"409 refused: what slot green holds is unknown since its claim for flow version v3 ended; register the version that was published, or release the slot with nothing_published");
    let restored = app
        .ask(MAIN, "release", json!({ "nothing_published": true }))
        .await
        .ok()
        .json();
    assert_eq!(restored["state"]["slots"]["green"]["status"], "version");
}

#[tokio::test]
async fn rebinding_says_what_else_has_to_be_done() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let flow = json!({ "id": "flow-new", "name": "New" });

    let rebound = app
        .ask(MAIN, "rebind", json!({ "slot": "green", "flow": flow }))
        .await
        .ok()
        .json();
    assert_eq!(rebound["state"]["slots"]["green"]["flow"], flow);
    assert_snapshot!(rebound["notice"], @r#""the transfer in the Traffic Cop flow still names the old flow: export the Traffic Cop flow again and publish it""#);
    let again = app
        .ask(MAIN, "rebind", json!({ "slot": "green", "flow": flow }))
        .await
        .ok()
        .json();
    assert_eq!(
        (&again["outcome"], &again["because"]),
        (&json!("unchanged"), &json!("same-flow"))
    );
    assert_snapshot!(app.ask(MAIN, "rebind", json!({ "slot": "blue", "flow": flow })).await.line(), @"409 refused: slot blue takes new calls; use the other slot, or move its calls away first");
    assert_snapshot!(app.ask(MAIN, "rebind", json!({ "slot": "green", "flow": { "id": "flow-blue", "name": "x" } })).await.line(), @"422 unprocessable: both slots name the flow flow-blue; blue and green are two flows");
    assert_snapshot!(app.ask(MAIN, "rebind", json!({ "slot": "green" })).await.line(), @"400 bad-request: missing member `flow`");
}

#[tokio::test]
async fn a_cutover_to_a_named_slot_may_be_repeated() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    assert_snapshot!(app.ask(MAIN, "cutover", json!({})).await, @r#"
    409 Conflict
    {
      "detail": "slot green holds no flow version; register one first",
      "status": 409,
      "title": "The present state does not allow this",
      "type": "urn:traffic-cop:problem:refused"
    }
    "#);
    app.register(MAIN, "v2").await;

    let cutover = app
        .ask(MAIN, "cutover", json!({ "to": "green" }))
        .await
        .ok()
        .json();
    assert_eq!(
        (
            &cutover["outcome"],
            &cutover["revision"],
            &cutover["state"]["active"]
        ),
        (&json!("committed"), &json!(3), &json!("green"))
    );
    assert_eq!(
        app.decide(MAIN, json!({})).await.json()["Slot"],
        "green",
        "the answer comes after our own replica applied it"
    );
    let again = app
        .ask(MAIN, "cutover", json!({ "to": "green" }))
        .await
        .ok();
    assert_eq!(again.etag(), "\"3\"");
    assert_eq!(
        (&again.json()["outcome"], &again.json()["because"]),
        (&json!("unchanged"), &json!("already-active"))
    );
}

#[tokio::test]
async fn rolling_back_twice_is_rolling_back_once() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    assert_snapshot!(app.ask(MAIN, "rollback", json!({})).await, @r#"
    409 Conflict
    {
      "detail": "slot green holds flow version v2, which was not active before; to give it calls, cut over",
      "status": 409,
      "title": "There is nothing to roll back to",
      "type": "urn:traffic-cop:problem:no-rollback-target"
    }
    "#);
    app.cut_over(MAIN).await;

    // No If-Match: it must not be held up by somebody else's change.
    let rollback = || {
        app.admin("POST", &format!("/v1/environments/{MAIN}/rollback"))
            .json(&because(json!({})))
            .send()
    };
    let first = rollback().await.ok().json();
    assert_eq!(
        (
            &first["outcome"],
            &first["revision"],
            &first["state"]["active"]
        ),
        (&json!("committed"), &json!(4), &json!("blue"))
    );
    let second = rollback().await.ok().json();
    assert_eq!(
        (&second["outcome"], &second["revision"], &second["because"]),
        (
            &json!("unchanged"),
            &json!(4),
            &json!("already-rolled-back")
        )
    );
}

#[tokio::test]
async fn a_rollback_that_names_an_old_revision_is_stale_all_the_same() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.cut_over(MAIN).await;
    let answer = app
        .admin("POST", &format!("/v1/environments/{MAIN}/rollback"))
        .if_match("\"1\"")
        .json(&because(json!({})))
        .send()
        .await;
    assert_eq!(answer.problem(), "stale");
}

#[tokio::test]
async fn a_weight_is_a_percentage_with_two_decimals() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    assert_eq!(
        app.ask(MAIN, "weight", json!({ "weight": 5 }))
            .await
            .problem(),
        "refused",
        "there is nothing in the candidate"
    );
    app.register(MAIN, "v2").await;
    let weigh = |text: &str| {
        app.change(MAIN, "weight")
            .raw(format!(r#"{{"weight":{text},"reason":"r"}}"#))
            .send()
    };
    for text in ["0.01", "33.33", "100", "100.00", "12.5", "0"] {
        let shown = weigh(text).await.ok().json()["state"]["weight"].clone();
        assert_eq!(shown.as_f64(), text.parse().ok(), "{text}");
    }
    let mut lines = Vec::new();
    for text in [
        "100.01",
        "-1",
        "0.001",
        "1e1",
        "5.000000000000000001",
        "\"5\"",
        "null",
        "true",
        "[5]",
    ] {
        lines.push(weigh(text).await.line());
    }
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @"400 bad-request: member weight: invalid traffic weight: expected a percentage from 0 to 100 with at most two decimals, such as 5 or 12.5");
    let again = weigh("0.00").await.ok().json();
    assert_eq!(
        (&again["outcome"], &again["because"]),
        (&json!("unchanged"), &json!("same-weight"))
    );
}

#[tokio::test]
async fn every_write_but_creation_and_rollback_says_what_it_has_seen() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for command in WRITES {
        let ask = || {
            app.admin("POST", &format!("/v1/environments/{MAIN}/{command}"))
                .json(&because(good_members(command)))
        };
        assert_eq!(
            ask().send().await.problem(),
            "precondition-required",
            "{command}"
        );
        assert_eq!(
            ask().if_match("\"1\"").send().await.problem(),
            "stale",
            "{command}"
        );
        for bad in [
            "2\"",
            "+2",
            "\"x\"",
            "W/\"2\"",
            "\"2\", \"3\"",
            "",
            "\"-1\"",
            CANARY,
        ] {
            assert_eq!(
                ask().if_match(bad).send().await.problem(),
                "bad-request",
                "{command} with {bad:?}"
            );
        }
        let twice = ask().if_match("\"2\"").if_match("\"2\"").send().await;
        assert_eq!(twice.problem(), "bad-request", "{command}");
        let keys = ask().if_match("\"2\"").key("a").key("b").send().await;
        assert_eq!(keys.problem(), "bad-request", "{command}");
    }
    let delete = || app.admin("DELETE", &format!("/v1/environments/{MAIN}?reason=r"));
    assert_eq!(delete().send().await.problem(), "precondition-required");
    assert_eq!(delete().if_match("\"1\"").send().await.problem(), "stale");
    assert_eq!(app.revision(MAIN).await, 2, "nothing has changed");

    let cutover = |etag: &str| {
        app.admin("POST", &format!("/v1/environments/{MAIN}/cutover"))
            .json(&because(json!({})))
            .if_match(etag)
    };
    assert_snapshot!(app.admin("POST", &format!("/v1/environments/{MAIN}/cutover")).json(&because(json!({}))).send().await, @r#"
    428 Precondition Required
    {
      "detail": "send the ETag of the state you have seen as If-Match, or * for whatever there is",
      "status": 428,
      "title": "Name the revision you have seen",
      "type": "urn:traffic-cop:problem:precondition-required"
    }
    "#);
    assert_eq!(
        cutover("1").send().await.problem(),
        "stale",
        "quotes may get lost"
    );
    assert_snapshot!(cutover("\"1\"").send().await, @r#"
    412 Precondition Failed
    {
      "detail": "the aggregate is at revision 2, not at the one named; look at it and decide again",
      "revision": 2,
      "status": 412,
      "title": "The state has changed since",
      "type": "urn:traffic-cop:problem:stale"
    }
    "#);
    assert_eq!(cutover("\"2\"").send().await.ok().etag(), "\"3\"");
    assert_eq!(cutover("\"2\"").send().await.problem(), "stale");
    assert_eq!(delete().if_match("\"3\"").send().await.line(), "200");
}

#[tokio::test]
async fn the_etag_of_a_show_is_what_a_write_takes() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let etag = app.show(MAIN).await.etag().to_owned();
    let cutover = app
        .admin("POST", &format!("/v1/environments/{MAIN}/cutover"))
        .json(&because(json!({})))
        .if_match(&etag);
    let next = cutover.send().await.ok().etag().to_owned();
    assert_eq!(app.show(MAIN).await.etag(), next);
}

#[tokio::test]
async fn every_write_says_why() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for command in WRITES.into_iter().chain(["rollback"]) {
        let answer = app
            .change(MAIN, command)
            .json(&good_members(command))
            .send()
            .await;
        assert_eq!(
            answer.json()["detail"],
            "member reason: missing; say why, in one line",
            "{command}"
        );
    }
    let mut lines = Vec::new();
    for reason in [
        json!(""),
        json!(" x"),
        json!("a\nb"),
        json!("x".repeat(501)),
        json!(5),
        Value::Null,
        json!([CANARY]),
    ] {
        lines.push(
            app.change(MAIN, "cutover")
                .json(&json!({ "reason": reason }))
                .send()
                .await
                .line(),
        );
    }
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @"
    400 bad-request: member reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    400 bad-request: member reason: wrong type or value; expected a text
    ");
    let mut lines = Vec::new();
    for query in [
        "",
        "?reason=",
        "?reason=%20x",
        "?reason=a%0Ab",
        "?because=x",
        "?reason=a&reason=b",
    ] {
        let path = format!("/v1/environments/{MAIN}{query}");
        lines.push(format!(
            "{query} → {}",
            app.admin("DELETE", &path).if_match("*").send().await.line()
        ));
    }
    assert_snapshot!(lines.join("\n"), @"
     → 400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    ?reason= → 400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    ?reason=%20x → 400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    ?reason=a%0Ab → 400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    ?because=x → 400 bad-request: parameter reason: invalid reason: expected 1 to 500 characters on one line, no blank at either end
    ?reason=a&reason=b → 400 bad-request: a parameter of the query has a wrong value or stands twice; /openapi.json describes them
    ");
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn unknown_and_repeated_members_and_other_bodies_are_refused_by_every_write() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    for command in WRITES.into_iter().chain(["rollback"]) {
        let mut unknown = because(good_members(command));
        unknown[CANARY] = CANARY.into();
        let good = because(good_members(command)).to_string();
        let twice = format!(
            "{},\"reason\":\"{CANARY}\"}}",
            good.strip_suffix('}').expect("an object")
        );
        for body in [
            unknown.to_string(),
            twice,
            format!("[{good}]"),
            format!("{good}x"),
            good[..good.len() - 1].to_owned(),
            String::new(),
        ] {
            let answer = app.change(MAIN, command).raw(body.clone()).send().await;
            assert_eq!(answer.problem(), "bad-request", "{command} with {body}");
        }
        assert_eq!(
            app.change(MAIN, command)
                .body("text/plain", good.clone())
                .send()
                .await
                .problem(),
            "unsupported-media-type"
        );
        assert_eq!(
            app.change(MAIN, command)
                .unlabelled(good)
                .send()
                .await
                .problem(),
            "unsupported-media-type"
        );
        let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(64 * 1024));
        assert_eq!(
            app.change(MAIN, command).raw(large).send().await.problem(),
            "too-large"
        );
    }
    assert_eq!(app.revision(MAIN).await, 2);
}

#[tokio::test]
async fn writes_to_an_environment_that_does_not_exist_are_not_found() {
    let app = TestApp::start().await;
    for command in WRITES.into_iter().chain(["rollback"]) {
        assert_eq!(
            app.ask("No_Such", command, good_members(command))
                .await
                .problem(),
            "environment-not-found",
            "{command}"
        );
    }
    let answer = app
        .admin("DELETE", "/v1/environments/No_Such?reason=r")
        .if_match("\"5\"")
        .send()
        .await;
    assert_eq!(answer.problem(), "environment-not-found");
}

#[tokio::test]
async fn a_repeat_under_one_key_gets_the_first_answer() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let weigh = |percent: u8, key: &str| {
        app.change(MAIN, "weight")
            .json(&because(json!({ "weight": percent })))
            .key(key)
    };

    let first = weigh(5, "build-1").send().await.ok();
    app.cut_over(MAIN).await;
    let repeat = weigh(5, "build-1").send().await.ok();

    assert_eq!(
        (repeat.etag(), &repeat.json()["state"]),
        (first.etag(), &first.json()["state"])
    );
    assert_eq!(
        (&first.json()["outcome"], &repeat.json()["outcome"]),
        (&json!("committed"), &json!("repeated"))
    );
    assert_eq!(first.json()["sequence"], repeat.json()["sequence"]);
    assert_eq!(
        weigh(5, "\"build-1\"").send().await.ok().json()["outcome"],
        "repeated",
        "quotes are not part of the key"
    );
    assert_snapshot!(weigh(6, "build-1").send().await, @r#"
    422 Unprocessable Entity
    {
      "detail": "this idempotency key was used for another request; use a new one for each change",
      "status": 422,
      "title": "The idempotency key belongs to another request",
      "type": "urn:traffic-cop:problem:idempotency-key-reused"
    }
    "#);
    assert_eq!(
        app.change(MAIN, "cutover")
            .json(&because(json!({})))
            .key("build-1")
            .send()
            .await
            .problem(),
        "idempotency-key-reused"
    );
    assert_eq!(app.revision(MAIN).await, 4);
}

#[tokio::test]
async fn a_repeat_is_recognised_even_if_it_names_the_revision_of_the_first_time() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let path = format!("/v1/environments/{MAIN}/cutover");
    let cutover = || {
        app.admin("POST", &path)
            .if_match("\"2\"")
            .key("k")
            .json(&because(json!({})))
    };
    assert_eq!(cutover().send().await.ok().json()["outcome"], "committed");
    assert_eq!(cutover().send().await.ok().json()["outcome"], "repeated");
}

#[tokio::test]
async fn a_key_belongs_to_one_actor_and_one_environment() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    app.create_with_candidate("Other_IVR").await;
    let token = app.token(&["operate"], None).await;
    let weigh = |name: &str| {
        app.change(name, "weight")
            .json(&because(json!({ "weight": 5 })))
            .key("k")
    };
    assert_eq!(weigh(MAIN).send().await.ok().json()["outcome"], "committed");
    assert_eq!(
        weigh("Other_IVR").send().await.ok().json()["outcome"],
        "committed"
    );
    assert_eq!(
        weigh(MAIN).by(&token).send().await.ok().json()["outcome"],
        "unchanged",
        "another actor's key is another write"
    );
}

#[tokio::test]
async fn creation_and_deletion_are_repeated_under_their_keys() {
    let app = TestApp::start().await;
    let create = || {
        app.admin("PUT", &format!("/v1/environments/{MAIN}"))
            .json(&creation("Main IVR Blue"))
            .key("create")
    };
    let delete = || {
        app.admin("DELETE", &format!("/v1/environments/{MAIN}?reason=r"))
            .if_match("*")
            .key("delete")
    };
    let first = create().send().await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = create().send().await;
    assert_eq!(
        (again.status, &again.json()["outcome"]),
        (StatusCode::OK, &json!("repeated"))
    );
    assert_eq!(again.json()["state"], first.json()["state"]);
    delete().send().await.ok();
    let again = delete().send().await.ok().json();
    assert_eq!(
        (&again["outcome"], &again["state"], &again["revision"]),
        (&json!("repeated"), &Value::Null, &json!(2))
    );
    assert_eq!(
        create().send().await.ok().json()["outcome"],
        "repeated",
        "deleting does not make keys new"
    );
}

#[tokio::test]
async fn a_malformed_key_is_a_bad_request() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let long = "x".repeat(129);
    let mut lines = Vec::new();
    for key in ["", "\"\"", "a b", &long, "\u{e4}"] {
        lines.push(
            app.change(MAIN, "cutover")
                .json(&because(json!({})))
                .key(key)
                .send()
                .await
                .line(),
        );
    }
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @"400 bad-request: header Idempotency-Key: invalid idempotency key: expected 1 to 128 printable ASCII characters without blanks");
}

#[tokio::test]
async fn an_answer_that_changed_nothing_is_not_remembered_under_its_key() {
    let app = TestApp::start().await;
    app.create_with_candidate(MAIN).await;
    let blue = || {
        app.change(MAIN, "cutover")
            .json(&because(json!({ "to": "blue" })))
            .key("k")
            .send()
    };
    assert_eq!(blue().await.ok().json()["outcome"], "unchanged");
    app.cut_over(MAIN).await;
    assert_eq!(blue().await.ok().json()["outcome"], "committed");
}

#[tokio::test]
async fn writes_while_the_store_is_away_say_so_and_change_nothing() {
    let (app, proxy) = TestApp::start_behind_a_proxy().await;
    app.create_with_candidate(MAIN).await;
    proxy.fail_all(crate::support::Fault::Refuse);
    assert_snapshot!(app.ask(MAIN, "cutover", json!({})).await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "the store did not answer as it should; nothing was changed, and calls are answered from memory meanwhile",
      "status": 503,
      "title": "The store does not answer",
      "type": "urn:traffic-cop:problem:store-unavailable"
    }
    "#);
    proxy.heal();
    assert_eq!(app.revision(MAIN).await, 2);
}
