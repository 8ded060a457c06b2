//! Decisions that are refused, and why.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::ask::CANARY;
use crate::world::{MAIN, TestApp};

/// What each of `bodies` is answered with, a line each.
async fn answers(app: &TestApp, bodies: &[(&str, Vec<u8>)]) -> String {
    let mut lines = Vec::new();
    for (what, body) in bodies {
        lines.push(format!(
            "{what} → {}",
            app.call(MAIN).raw(body.clone()).send().await.line()
        ));
    }
    lines.join("\n")
}

#[tokio::test]
async fn an_unknown_environment_is_not_found() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    assert_snapshot!(app.decide("main_ivr", json!({})).await, @r#"
    404 Not Found
    {
      "detail": "no environment has this name; names are case-sensitive",
      "status": 404,
      "title": "There is no such environment",
      "type": "urn:traffic-cop:problem:environment-not-found"
    }
    "#);
    for hostile in [CANARY, "..", "%22%3Cb%3E", "%FF", "%00"] {
        assert_eq!(
            app.decide(hostile, json!({}))
                .await
                .line()
                .split(':')
                .next(),
            Some("404 environment-not-found"),
            "{hostile}"
        );
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_problems_that_say_so() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = app
            .decisions(method, &format!("/v1/environments/{MAIN}/decisions"))
            .send()
            .await;
        assert_eq!(answer.problem(), "method-not-allowed", "{method}");
        assert_eq!(answer.header(http::header::ALLOW), Some("POST"), "{method}");
    }
    let path = format!("/v1/environments/{MAIN}/decisions");
    assert_snapshot!(app.decisions("GET", &path).send().await, @r#"
    405 Method Not Allowed
    allow: POST
    {
      "detail": "the resource has other methods; the Allow header names them",
      "status": 405,
      "title": "This method is not allowed here",
      "type": "urn:traffic-cop:problem:method-not-allowed"
    }
    "#);
    assert_snapshot!(app.decisions("GET", &format!("/{CANARY}")).send().await, @r#"
    404 Not Found
    {
      "detail": "no resource has this path; GET /openapi.json on the admin listener lists them",
      "status": 404,
      "title": "There is nothing here",
      "type": "urn:traffic-cop:problem:not-found"
    }
    "#);
    for path in [
        "/",
        "/v1/environments",
        "/v1/environments/Main_IVR",
        "/v1/tokens",
        "/metrics",
        "/docs/",
        "/openapi.json",
    ] {
        assert_eq!(
            app.decisions("GET", path).send().await.problem(),
            "not-found",
            "{path} is not for the decisions listener"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_labelled_as_json_is_refused() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    assert_snapshot!(app.call(MAIN).unlabelled("{}").send().await, @r#"
    415 Unsupported Media Type
    {
      "detail": "send the header `Content-Type: application/json`",
      "status": 415,
      "title": "The body must be application/json",
      "type": "urn:traffic-cop:problem:unsupported-media-type"
    }
    "#);
    for label in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application",
        "",
        "application/json/x",
    ] {
        let answer = app.call(MAIN).body(label, "{}").send().await;
        assert_eq!(answer.problem(), "unsupported-media-type", "{label:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_with_texts_is_refused() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("blanks", b" \n".to_vec()),
        ("an array", format!(r#"["{CANARY}"]"#).into()),
        (
            "an array with the members in order",
            br#"["c","v1","",""]"#.to_vec(),
        ),
        ("a text", format!(r#""{CANARY}""#).into()),
        ("null", b"null".to_vec()),
        ("no JSON", format!("<{CANARY}/>").into()),
        ("a number for a text", br#"{"Conversation_ID":5}"#.to_vec()),
        (
            "an object for a text",
            format!(r#"{{"Flow_Version":{{"{CANARY}":1}}}}"#).into(),
        ),
        ("an array for a text", br#"{"ANI":["+49"]}"#.to_vec()),
        ("a boolean for a text", br#"{"DNIS":false}"#.to_vec()),
        (
            "a known member twice",
            format!(r#"{{"Conversation_ID":"c","Conversation_ID":"{CANARY}"}}"#).into(),
        ),
        (
            "a known member twice, once null",
            br#"{"ANI":null,"ANI":"+49"}"#.to_vec(),
        ),
        (
            "a known member twice, once escaped",
            br#"{"ANI":"+49","\u0041NI":"+49"}"#.to_vec(),
        ),
        (
            "an unknown member twice",
            format!(r#"{{"{CANARY}":1,"{CANARY}":2}}"#).into(),
        ),
        (
            "an end too early",
            format!(r#"{{"Conversation_ID":"{CANARY}"#).into(),
        ),
        ("a comma too many", br#"{"Conversation_ID":"c",}"#.to_vec()),
        ("more after the end", format!(r#"{{}} {CANARY}"#).into()),
        ("another object after the end", b"{}{}".to_vec()),
        (
            "half a surrogate pair",
            br#"{"Conversation_ID":"\ud800"}"#.to_vec(),
        ),
        (
            "a control character",
            b"{\"Conversation_ID\":\"a\nb\"}".to_vec(),
        ),
        (
            "no UTF-8 in a known member",
            b"{\"Conversation_ID\":\"\xff\"}".to_vec(),
        ),
        (
            "no UTF-8 in an unknown member",
            b"{\"Unknown\":\"\xff\"}".to_vec(),
        ),
        ("no UTF-8 in a name", b"{\"\xff\":\"\"}".to_vec()),
        ("UTF-16", "{\0}\0".into()),
        ("a byte order mark", "\u{feff}{}".into()),
    ];
    assert_snapshot!(answers(&app, &bodies).await, @"
    nothing → 400 bad-request: the body does not read as JSON
    blanks → 400 bad-request: the body does not read as JSON
    an array → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    an array with the members in order → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    a text → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    null → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    no JSON → 400 bad-request: the body does not read as JSON
    a number for a text → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    an object for a text → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    an array for a text → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    a boolean for a text → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    a known member twice → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    a known member twice, once null → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    a known member twice, once escaped → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    an unknown member twice → 400 bad-request: the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no member twice
    an end too early → 400 bad-request: the body does not read as JSON
    a comma too many → 400 bad-request: the body does not read as JSON
    more after the end → 400 bad-request: the body does not read as JSON
    another object after the end → 400 bad-request: the body does not read as JSON
    half a surrogate pair → 400 bad-request: the body does not read as JSON
    a control character → 400 bad-request: the body does not read as JSON
    no UTF-8 in a known member → 400 bad-request: the body does not read as JSON
    no UTF-8 in an unknown member → 400 bad-request: the body does not read as JSON
    no UTF-8 in a name → 400 bad-request: the body does not read as JSON
    UTF-16 → 400 bad-request: the body does not read as JSON
    a byte order mark → 400 bad-request: the body does not read as JSON
    ");
}

#[tokio::test]
async fn an_unknown_member_among_thousands_is_ignored_once_and_refused_twice() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let members: Vec<_> = (0..1_800).map(|name| format!("\"{name}\":0")).collect();
    let once = members.join(",");
    assert_eq!(
        app.call(MAIN)
            .raw(format!("{{{once}}}"))
            .send()
            .await
            .line(),
        "200"
    );
    for twice in [0, 7, 8, 1_799] {
        let body = format!("{{{once},\"{twice}\":1}}");
        let answer = app.call(MAIN).raw(body).send().await;
        assert_eq!(answer.problem(), "bad-request", "{twice}");
    }
}

#[tokio::test]
async fn a_body_may_have_sixteen_kibibytes_and_no_more() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let body = |length: usize| {
        let frame = "{\"x\":\"\"}".len();
        format!("{{\"x\":\"{}\"}}", "x".repeat(length - frame))
    };
    assert_eq!(
        app.call(MAIN).raw(body(16 * 1024)).send().await.line(),
        "200"
    );
    assert_snapshot!(app.call(MAIN).raw(body(16 * 1024 + 1)).send().await, @r#"
    413 Payload Too Large
    {
      "detail": "the body may hold at most 16384 bytes",
      "status": 413,
      "title": "The request or its result is too large",
      "type": "urn:traffic-cop:problem:too-large"
    }
    "#);

    let endless = (0..64).map(|_| Ok(" ".repeat(1024)));
    assert_eq!(
        app.call(MAIN).pieces(endless).send().await.problem(),
        "too-large"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let broken = [Ok("{"), Err(std::io::Error::other(CANARY))];
    assert_snapshot!(app.call(MAIN).pieces(broken).send().await, @r#"
    400 Bad Request
    {
      "detail": "the body ended before it was complete",
      "status": 400,
      "title": "The request is malformed",
      "type": "urn:traffic-cop:problem:bad-request"
    }
    "#);
}

#[tokio::test]
async fn an_interface_that_is_no_number_is_a_bad_request() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let mut lines = Vec::new();
    for value in ["", CANARY, "-1", "1.0", "4294967296", "0&interface=0"] {
        let path = format!("/v1/environments/{MAIN}/decisions?interface={value}");
        lines.push(
            app.decisions("POST", &path)
                .json(&json!({}))
                .send()
                .await
                .line(),
        );
    }
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @"400 bad-request: parameter interface: expected one whole number");
}

#[tokio::test]
async fn a_listener_that_wants_tokens_tells_nobody_anything_without_one() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    assert_snapshot!(app.decide(MAIN, json!({})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "detail": "a credential is needed: send a token as `Authorization: Bearer tc_…`",
      "status": 401,
      "title": "A valid token is needed",
      "type": "urn:traffic-cop:problem:unauthenticated"
    }
    "#);
    assert_eq!(
        app.decide("No_Such", json!({})).await.problem(),
        "unauthenticated"
    );
}

#[tokio::test]
async fn a_wrong_token_is_never_taken_for_none() {
    for app in [
        TestApp::start().await,
        TestApp::start_for_known_callers().await,
    ] {
        app.create(MAIN).await;
        let token = app.token(&["decide"], None).await;
        let ask = |authorization: &str| {
            app.call(MAIN)
                .json(&json!({}))
                .header("authorization", authorization)
        };
        for good in [format!("Bearer {token}"), format!("bearer   {token}")] {
            assert_eq!(ask(&good).send().await.line(), "200");
        }
        let bad = [
            "",
            "Bearer",
            "Bearer ",
            CANARY,
            &token,
            &format!("Basic {token}"),
            &format!("Bearer {token}0"),
            "Bearer tc_",
        ];
        for bad in bad {
            assert_eq!(
                ask(bad).send().await.problem(),
                "unauthenticated",
                "{bad:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_no_token() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let token = app.expiring_token().await;
    let ask = || app.call(MAIN).json(&json!({})).by(&token);

    app.advance(Duration::from_secs(3_599));
    assert_eq!(ask().send().await.line(), "200");
    app.advance(Duration::from_secs(1));
    assert_eq!(ask().send().await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_token_without_the_scope_or_for_another_environment_is_refused() {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    app.create("Other_IVR").await;
    let reader = app.token(&["read"], None).await;
    let elsewhere = app.token(&["decide"], Some(&["Other_IVR"])).await;
    let here = app.token(&["decide"], Some(&[MAIN])).await;
    let ask = |name: &str, token: &str| app.call(name).json(&json!({})).by(token).send();

    assert_snapshot!(ask(MAIN, &reader).await, @r#"
    403 Forbidden
    {
      "detail": "this needs the scope decide in this environment",
      "status": 403,
      "title": "The token does not allow this",
      "type": "urn:traffic-cop:problem:forbidden"
    }
    "#);
    assert_eq!(ask(MAIN, &elsewhere).await.problem(), "forbidden");
    assert_eq!(
        ask("No_Such", &elsewhere).await.problem(),
        "forbidden",
        "which environments there are is not told"
    );
    assert_eq!(ask("Other_IVR", &elsewhere).await.line(), "200");
    assert_eq!(ask(MAIN, &here).await.line(), "200");
}

#[tokio::test]
async fn before_the_first_load_every_caller_is_asked_to_come_again() {
    let app = TestApp::start_without_a_snapshot().await;
    let some_token = "Bearer tc_00";
    assert_snapshot!(app.decide(MAIN, json!({})).await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "nothing has been loaded from the store yet; try again in a moment",
      "status": 503,
      "title": "Not ready",
      "type": "urn:traffic-cop:problem:not-ready"
    }
    "#);
    // Whether the token is good cannot be known before the tokens are loaded.
    let answer = app
        .call(MAIN)
        .json(&json!({}))
        .header("authorization", some_token)
        .send()
        .await;
    assert_eq!(answer.problem(), "not-ready");
}

#[tokio::test]
async fn a_panic_costs_one_request_and_says_nothing_of_its_cause() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let token = app.expiring_token().await;

    app.break_clock();
    let answer = app
        .call(MAIN)
        .by(&token)
        .json(&json!({ "Conversation_ID": CANARY }))
        .send()
        .await;
    app.repair_clock();

    assert_snapshot!(answer, @r#"
    500 Internal Server Error
    {
      "detail": "the request could not be answered; the log of this replica says why",
      "status": 500,
      "title": "Something broke here",
      "type": "urn:traffic-cop:problem:internal"
    }
    "#);
    assert_eq!(app.decide(MAIN, json!({})).await.line(), "200");
}

#[tokio::test]
async fn health_tells_alive_from_ready() {
    let app = TestApp::start().await;
    let both = [TestApp::decisions, TestApp::admin];
    let health = async |app: &TestApp, what: &str| {
        let path = format!("/v1/health/{what}");
        let answers = both.map(|door| door(app, "GET", &path).by_nobody().send());
        let [decisions, admin] = answers;
        let (decisions, admin) = (decisions.await.to_string(), admin.await.to_string());
        assert_eq!(decisions, admin, "both listeners say the same");
        decisions
    };
    assert_snapshot!(health(&app, "live").await, @r#"
    200 OK
    {
      "live": true
    }
    "#);
    assert_snapshot!(health(&app, "ready").await, @r#"
    200 OK
    {
      "ready": true
    }
    "#);

    app.create(MAIN).await;
    app.start_draining();
    assert_snapshot!(health(&app, "ready").await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "this process is on its way out",
      "status": 503,
      "title": "Not ready",
      "type": "urn:traffic-cop:problem:not-ready"
    }
    "#);
    assert!(health(&app, "live").await.starts_with("200"));
    assert_eq!(
        app.decide(MAIN, json!({})).await.line(),
        "200",
        "what still comes is still answered"
    );

    let app = TestApp::start_without_a_snapshot().await;
    assert_snapshot!(health(&app, "ready").await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "detail": "nothing has been loaded from the store yet; try again in a moment",
      "status": 503,
      "title": "Not ready",
      "type": "urn:traffic-cop:problem:not-ready"
    }
    "#);
    assert!(health(&app, "live").await.starts_with("200"));
}
